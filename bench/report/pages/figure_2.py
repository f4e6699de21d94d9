"""The page of Figure 2: counts of dead and saturated channels, and where the maps are from."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import pandas as pd

from bench.paper import TABLES
from bench.paper.figure_2 import GRACE_HOPPER_SHA256, SHOWN
from bench.report.evidence import dead_channels_file, feature_maps_file, link
from bench.report.text import STANDARD_ERROR, code, escape, pipe
from bench.results.dead_channels import DeadChannels
from bench.results.feature_maps import FeatureMaps
from bench.spec.run import Network, at_resolution

LAYERS_SHOWN = 5
"""of each network, evenly spaced from the first to the last"""


def name_of(network: Network) -> str:
    """The paper's name of a network without its stars, or its own, and the resolution where it is not 224 px."""
    rows = [row for table in TABLES.values() for row in table.rows]
    named = [(name, runs[0].network.model) for name, runs in SHOWN.items()]
    named += [(row.name.rstrip("*"), row.network.model) for row in rows if not row.network.model_args]
    name = next((name for name, model in named if model == network.model and not network.model_args), str(network))
    return at_resolution(name, network.img_size)


def names_of(found: Sequence[FeatureMaps]) -> list[str]:
    """A name for each, numbered where several are of one network."""
    names = [name_of(one.source.network) for one in found]
    return [f"{name} ({names[: i + 1].count(name)})" if names.count(name) > 1 else name for i, name in enumerate(names)]


def figure_2_files(
    found: Sequence[FeatureMaps], counts: Mapping[str, DeadChannels] = MappingProxyType({})
) -> dict[str, str]:
    """The page and its CSV, by suffix; arguments as ``figure_2_markdown``."""
    csv = figure_2_frame(found).to_csv(index=False, lineterminator="\n")
    return {"md": figure_2_markdown(found, counts), "csv": csv}


def figure_2_frame(found: Sequence[FeatureMaps]) -> pd.DataFrame:
    """A line a layer of each network, for the CSV."""
    return pd.DataFrame(
        [
            {
                "network": str(one.source.network),
                "img_size": one.source.network.img_size,
                "weights": one.weights,
                "trained": one.source.weights is not None,
                "layer": layer.name,
                "depth": round(one.depth(i), 4),
                "channels": layer.channels,
                "height": layer.height,
                "width": layer.width,
                "dead": layer.dead,
                "dead_pct": round(layer.dead_pct, 4),
                "saturated": layer.saturated,
                "saturated_pct": round(layer.saturated_pct, 4),
                "measured_in": feature_maps_file(one),
            }
            for one in found
            for i, layer in enumerate(one.layers)
        ]
    )


def figure_2_markdown(found: Sequence[FeatureMaps], counts: Mapping[str, DeadChannels] = MappingProxyType({})) -> str:
    """The page below the figure: what it shows, every count, and where the evidence is.

    Args:
        found: as ``figure_2``.
        counts: of dead channels over test images, by ``FeatureMaps.feature_maps_id``, as far as they were counted.
    """
    names = names_of(found)
    first = found[0]
    trained = [name for name, one in zip(names, found, strict=True) if one.source.weights]
    shown = pd.DataFrame(
        [
            {
                "Network": escape(name),
                "Layer": code(layer.name),
                "depth": f"{one.depth(i):.2f}",
                "channels": str(layer.channels),
                "map": f"{layer.height} x {layer.width}",
                "dead": str(layer.dead),
                "dead %": f"{layer.dead_pct:.1f}",
                "saturated": str(layer.saturated),
                "saturated %": f"{layer.saturated_pct:.1f}",
            }
            for name, one in zip(names, found, strict=True)
            for i, layer in enumerate(one.layers)
        ]
    )
    overview = pd.DataFrame(
        [
            {
                "Network": escape(name),
                "Weights": escape(one.weights),
                "layers": str(len(one.layers)),
                "channels": str(sum(layer.channels for layer in one.layers)),
                "dead %": f"{one.dead_pct:.1f}",
                "saturated %": f"{one.saturated_pct:.1f}",
                "Evidence": link("counts and maps", feature_maps_file(one)),
            }
            for name, one in zip(names, found, strict=True)
        ]
    )
    sections = [
        "# Figure 2: feature maps from early to late layers",
        f"![Feature maps of {escape(', '.join(names))}, and shares of dead and saturated channels by depth]"
        "(figure_2.png)",
        f"Each network sees the photograph {_photograph(first)}. Each band shows {LAYERS_SHOWN} layers of a network, "
        "evenly spaced from the first to the last, and a fixed, evenly spaced sample of each layer's channels: none "
        "was picked by hand (`t2t` is short for `tokens_to_token`). Tokens are reshaped to maps; these are features, "
        "not attention. All maps of a layer share one grey scale, with black at the 1st percentile of its values and "
        "white at the 99th.",
        "The paper draws red boxes around channels that are zero or too large. Here every channel is counted, relative "
        "to the scale of its layer:\n\n"
        f"- *Dead*: the largest absolute value of the channel is at most {100 * first.dead_below:g} % of the layer's "
        "root mean square over all channels and positions. Such a channel is practically zero on this photograph, but "
        "perhaps not on another. A map without a frame may look black and still be above this limit.\n"
        f"- *Saturated*: the channel's root mean square is more than {first.saturated_above:g} times the median of "
        "the layer's channels that are not dead.",
        _trained(names, trained),
        pipe(overview, text=("Network", "Weights", "Evidence")),
        "A channel counts once in each layer.",
        *_over_test_images(names, found, counts),
        "## Layers",
        pipe(shown, text=("Network", "Layer")),
        "The same data as CSV: [figure_2.csv](figure_2.csv); the picture as SVG: [figure_2.svg](figure_2.svg).",
        "## Evidence",
        "\n".join(_evidence(name, one) for name, one in zip(names, found, strict=True)),
    ]
    return "\n\n".join(sections) + "\n"


def _over_test_images(
    names: Sequence[str], found: Sequence[FeatureMaps], counts: Mapping[str, DeadChannels]
) -> list[str]:
    """The section on dead channels over test images; nothing where none were counted."""
    lines = [
        {
            "Network": escape(name),
            "Test images": f"{len(of_one.images)} of {escape(of_one.dataset)}",
            "dead %": f"{of_one.dead_pct:.2f} ± {of_one.std_err_pct:.2f}",
            "dead on all %": f"{of_one.always_dead_pct:.2f}",
            "Evidence": link("counts", dead_channels_file(of_one)),
        }
        for name, one in zip(names, found, strict=True)
        if (of_one := counts.get(one.feature_maps_id))
    ]
    if not lines:
        return []
    return [
        "## Dead channels over test images",
        pipe(pd.DataFrame(lines), text=("Network", "Test images", "Evidence")),
        "*Dead %* is the share of channels that are dead on an image, the mean over evenly spaced test images ± its "
        f"{STANDARD_ERROR}; *dead on all %* is the share that is dead on every one of them. "
        "[Claim 11](claims.md) rests on these counts.",
    ]


def _photograph(one: FeatureMaps) -> str:
    origin = ""
    if one.image_sha256 == GRACE_HOPPER_SHA256:
        origin = ", Rear Admiral Grace Hopper, which matplotlib ships among its sample data"
    return f"{code(one.image)} (sha256 `{one.image_sha256[:8]}`){origin}"


def _trained(names: Sequence[str], trained: Sequence[str]) -> str:
    untrained = [name for name in names if name not in trained]
    if not untrained:
        return "All weights are trained."
    return (
        f"**Untrained: {', '.join(map(escape, untrained))}.** Random weights show what the architecture and its "
        "initialisation do to an image, not what training adds. In timm's ResNets each residual branch starts at zero, "
        "so all blocks of a stage look the same. To show trained weights, use `python run_all.py figure 2 --weights "
        "FILE_OR_RUN`, or finish the paper's own run."
    )


def _evidence(name: str, one: FeatureMaps) -> str:
    versions = ", ".join(f"{library} {version}" for library, version in one.versions.items())
    file = f", file sha256 `{one.source.weights.sha256}`" if one.source.weights else ""
    key = f", under {code(one.key)} in it" if one.key else ""
    resized = f", {escape(', '.join(one.resized))} resized" if one.resized else ""
    return (
        f"- {escape(name)} ({code(str(one.source.network))}): {escape(one.weights)}{file}{key}{resized}; image sha256 "
        f"`{one.image_sha256}`, crop {one.crop_pct:g}, {escape(one.eval_interpolation)}, normalised by mean "
        f"{_numbers(one.mean)} and deviation {_numbers(one.std)}; measured {escape(one.measured_at[:10])} on "
        f"{escape(one.machine)}, with {escape(versions)}: {link('counts and maps', feature_maps_file(one))}."
    )


def _numbers(values: Sequence[float]) -> str:
    return " ".join(f"{value:g}" for value in values)
