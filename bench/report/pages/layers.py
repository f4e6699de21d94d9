"""The pages of figures that show the layers of networks."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from bench.report.evidence import link, outline_file
from bench.report.text import DASH, code, escape, pipe
from bench.results.measurement import Outline


def sizes(shape: Sequence[int]) -> str:
    """A shape in words, as "3136 × 147"."""
    return " × ".join(map(str, shape))


def layers_frame(outlines: Sequence[Outline], names: Sequence[str]) -> pd.DataFrame:
    """A line a layer that is among the names, with its shapes, settings and params."""
    return pd.DataFrame(
        [
            {
                "network": str(outline.network),
                "img_size": outline.network.img_size,
                "layer": layer.name,
                "kind": layer.kind,
                "input": sizes(layer.inputs),
                "output": sizes(layer.output),
                "settings": ", ".join(f"{name} {value}" for name, value in layer.settings.items()),
                "params": layer.params,
                "trainable_params": layer.trainable_params,
                "evidence": outline_file(outline.network),
            }
            for outline in outlines
            for layer in outline.layers
            if layer.name in names
        ]
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LayersPage:
    """A figure that shows the layers of networks."""

    number: int
    title: str
    caption: str
    """explains the picture"""
    alt: str
    """the picture in words"""
    outlines: Sequence[Outline]
    """networks that the picture shows"""


def layers_markdown(page: LayersPage, frame: pd.DataFrame) -> str:
    """Write the page of a figure, with a ``layers_frame`` below the picture."""
    shown = pd.DataFrame(
        {
            **({"Network": [code(name) for name in frame["network"]]} if len(page.outlines) > 1 else {}),
            "Layer": [code(name) for name in frame["layer"]],
            "kind": frame["kind"].map(escape),
            "input": frame["input"].replace("", DASH).map(escape),
            "output": frame["output"].map(escape),
            "settings": frame["settings"].replace("", DASH).map(escape),
            "params": [f"{count:,}" for count in frame["params"]],
            "trainable": [f"{count:,}" for count in frame["trainable_params"]],
        }
    )
    name, splits = f"figure_{page.number}", (frame["kind"] == "Unfold").any()
    sections = [
        f"# Figure {page.number}: {page.title}",
        f"![{page.alt}]({name}.png)",
        page.caption,
        "## Layers",
        "Shapes are those of the network as built, without the batch dimension."
        + (" A soft split (`Unfold`) gives features × windows; its transpose is the tokens." if splits else ""),
        pipe(shown, text=("Network", "Layer", "kind", "input", "output", "settings")),
        "\n".join(_read_off(outline) for outline in page.outlines),
        f"The same data as CSV: [{name}.csv]({name}.csv); the picture as SVG: [{name}.svg]({name}.svg).",
    ]
    return "\n\n".join(sections) + "\n"


def _read_off(outline: Outline) -> str:
    network = outline.network
    versions = ", ".join(f"{name} {version}" for name, version in outline.versions.items())
    return (
        f"- {code(str(network))} at {network.img_size} px, {outline.params:,} params: read from the built network on "
        f"{escape(outline.measured_at[:10])} on {escape(outline.machine)}, with {escape(versions)} "
        f"({link('evidence', outline_file(network))})."
    )
