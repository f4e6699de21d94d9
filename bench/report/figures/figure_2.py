"""Figure 2: feature maps from early to late layers, and how many channels are dead or saturated."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from bench.paper import TABLES
from bench.paper.figure_2 import GRACE_HOPPER_SHA256, SHOWN
from bench.report.evidence import dead_channels_file, feature_maps_file, link
from bench.report.figures.plots import BLUE, GREEN, ORANGE, PURPLE, VERMILLION
from bench.report.text import STANDARD_ERROR, code, escape, pipe
from bench.results.dead_channels import DeadChannels
from bench.results.feature_maps import FeatureMaps, LayerMaps
from bench.spec.run import Network

LAYERS_SHOWN = 5
"""of each network, evenly spaced from the first to the last"""
_ACROSS = 4
"""maps of a layer beside one another"""
_GAP = 0.12
"""between two maps, in sides of one"""
_BAND_IN, _CURVES_IN = 1.42, 2.75
"""heights of a network's band, and of what is below all of them"""
_LEGEND_LETTERS = 150
"""that fit beside one another, of which a mark takes some eight"""

_FRAMES: dict[str, dict[str, Any]] = {
    "dead": {"edgecolor": VERMILLION, "linestyle": "-"},
    "saturated": {"edgecolor": BLUE, "linestyle": (0, (3, 1.5))},
}
_STYLES: tuple[dict[str, str], ...] = (
    {"color": VERMILLION, "marker": "s", "linestyle": "-"},
    {"color": GREEN, "marker": "D", "linestyle": "--"},
    {"color": BLUE, "marker": "o", "linestyle": "-."},
    {"color": PURPLE, "marker": "^", "linestyle": ":"},
    {"color": ORANGE, "marker": "v", "linestyle": "-"},
)
"""of the curves, in the order of the networks; more than these begin again"""


def name_of(network: Network) -> str:
    """The paper's name of a network without its stars, or its own, and the resolution where it is not 224 px."""
    rows = [row for table in TABLES.values() for row in table.rows]
    named = [(name, runs[0].network.model) for name, runs in SHOWN.items()]
    named += [(row.name.rstrip("*"), row.network.model) for row in rows if not row.network.model_args]
    name = next((name for name, model in named if model == network.model and not network.model_args), str(network))
    return name if network.img_size == 224 else f"{name} at {network.img_size} px"


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


def figure_2(
    found: Sequence[FeatureMaps],
    photograph: "np.ndarray[Any, Any]",
    title: str = "Figure 2",
    names: Sequence[str] | None = None,
) -> Figure:
    """The figure: a band of maps a network, and below them the photograph and the shares of channels by depth.

    Args:
        found: of the networks, all on the photograph.
        photograph: (H, W, 3), uint8.
        title: begins the title.
        names: of the networks; None for those of the paper.
    """
    names = names or names_of(found)
    figure = Figure(figsize=(9, 0.3 + _BAND_IN * len(found) + _CURVES_IN), layout="constrained")
    figure.suptitle(
        f"{title}: feature maps from early to late layers, and channels that are dead or saturated", fontsize=11
    )
    heights = [*[_BAND_IN] * len(found), _CURVES_IN]
    parts = figure.subfigures(len(found) + 1, 1, height_ratios=heights, squeeze=False)[:, 0]
    for part, name, one in zip(parts, names, found, strict=False):
        part.suptitle(f"{name}: {one.weights}", fontsize=9.5, x=0.01, ha="left")
        for axes, i in zip(part.subplots(1, LAYERS_SHOWN), _shown_layers(one), strict=True):
            _mosaic(axes, one.layers[i])
    image, dead, saturated = parts[-1].subplots(1, 3, width_ratios=(1, 1.7, 1.7))
    image.imshow(photograph)
    image.set_axis_off()
    image.set_title("the photograph", fontsize=9)
    for axes, what in ((dead, "dead"), (saturated, "saturated")):
        for i, (name, one) in enumerate(zip(names, found, strict=True)):
            trained = "trained" if one.source.weights else "untrained"
            depths = [one.depth(j) for j in range(len(one.layers))]
            shares = [getattr(layer, f"{what}_pct") for layer in one.layers]
            axes.plot(
                depths, shares, label=f"{name}, {trained}", markersize=4, linewidth=1.2, markerfacecolor="none",
                clip_on=False, **_STYLES[i % len(_STYLES)],
            )  # fmt: skip
        axes.set_xlabel("relative depth (0: first layer, 1: last)", fontsize=9)
        axes.set_ylabel(f"{what} channels (%)", fontsize=9)
        axes.set_xlim(0, 1)
        axes.set_ylim(0, max(1.0, 1.05 * axes.dataLim.y1))
        axes.tick_params(labelsize=8)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    framed = [Rectangle((0, 0), 1, 1, fill=False, linewidth=1.8, label=what, **_FRAMES[what]) for what in _FRAMES]
    handles = [*dead.lines, *framed]
    longest = max(len(str(handle.get_label())) for handle in handles)
    parts[-1].legend(
        handles=handles,
        loc="outside lower center",
        ncols=max(1, min(len(handles), _LEGEND_LETTERS // (longest + 8))),
        fontsize=8.5,
        frameon=False,
    )
    return figure


def _shown_layers(one: FeatureMaps) -> list[int]:
    return [round(i * (len(one.layers) - 1) / (LAYERS_SHOWN - 1)) for i in range(LAYERS_SHOWN)]


def _mosaic(axes: Axes, layer: LayerMaps) -> None:
    """The maps that are kept of a layer, on the layer's scale, with frames around dead and saturated ones."""
    maps = np.frombuffer(layer.pixels, np.uint8).reshape(-1, layer.height, layer.width)
    step = 1 + _GAP
    for i, (channel, pixels) in enumerate(zip(layer.shown, maps, strict=True)):
        left, top = step * (i % _ACROSS), step * (i // _ACROSS)
        axes.imshow(
            pixels, cmap="gray", vmin=0, vmax=255, interpolation="nearest", extent=(left, left + 1, top + 1, top)
        )
        for what, channels in (("dead", layer.shown_dead), ("saturated", layer.shown_saturated)):
            if channel in channels:
                axes.add_patch(Rectangle((left, top), 1, 1, fill=False, linewidth=1.8, **_FRAMES[what]))
    lines = -(-len(maps) // _ACROSS)
    axes.set_xlim(-_GAP / 2, step * _ACROSS - _GAP / 2)
    axes.set_ylim(step * lines - _GAP / 2, -_GAP / 2)
    axes.set_aspect("equal")
    axes.set_axis_off()
    name = layer.name.replace("tokens_to_token", "t2t")
    axes.set_title(
        f"{name}: {layer.channels} ch., {layer.height} x {layer.width}\n"
        f"dead {layer.dead_pct:.1f} %, sat. {layer.saturated_pct:.1f} %",
        fontsize=7.5,
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
