"""Figure 2: feature maps from early to late layers, and how many channels are dead or saturated."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from bench.report.figures.plots import BLUE, GREEN, ORANGE, PURPLE, VERMILLION
from bench.report.pages.figure_2 import LAYERS_SHOWN, names_of
from bench.results.feature_maps import FeatureMaps, LayerMaps

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
