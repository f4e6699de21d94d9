"""Pieces of the figures that show a network: boxes, bars, arrows and text, placed in inches from the top left."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyBboxPatch, Polygon, Rectangle
from matplotlib.text import Text

from bench.report.figures.plots import BLUE, GREEN, ORANGE, PURPLE, VERMILLION
from bench.results.measurement import LayerShape

SOFT_SPLIT, ATTENTION, MLP, LINEAR, GIVEN, CHEAP = VERMILLION, BLUE, GREEN, PURPLE, "#555555", ORANGE
"""colours, by what a piece does; every piece is named in words too"""

INK, LINES = "black", "#444444"
SMALL, NORMAL, LARGE = 8, 9, 11
"""points; nothing is smaller than the first at a width of 9 inches"""

WIDTH = 9.0
"""of a figure, inches"""


def canvas(height: float, title: str) -> tuple[Figure, Axes]:
    """An empty figure of ``WIDTH`` by ``height`` inches, whose coordinates are inches to the right and down."""
    figure = Figure(figsize=(WIDTH, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, WIDTH)
    axes.set_ylim(height, 0)
    axes.set_axis_off()
    write(axes, WIDTH / 2, 0.24, title, size=LARGE)
    return figure, axes


def write(
    axes: Axes,
    x: float,
    y: float,
    text: str,
    *,
    size: float = SMALL,
    bold: bool = False,
    color: str = INK,
    align: str = "center",
) -> Text:
    """A line of text about (x, y), or beginning or ending there with ``align`` "left" or "right".

    Many parameters: those of matplotlib, which draws it.
    """
    weight = "bold" if bold else "normal"
    # By the baseline, a third of the size below the middle: letters that reach below it shift no word.
    return axes.text(x, y + 0.35 * size / 72, text, fontsize=size, weight=weight, color=color, ha=align, va="baseline")


def tint(color: str, strength: float = 0.16) -> tuple[float, float, float]:
    """The colour on white."""
    red, green, blue = (1 - strength * (1 - part) for part in to_rgb(color))
    return red, green, blue


def box(
    axes: Axes, x: float, y: float, width: float, height: float, lines: Sequence[str], color: str = GIVEN
) -> tuple[float, float]:
    """A box with its name in the first line; returns its centre.

    Many parameters: those of matplotlib, which draws it.
    """
    axes.add_patch(_rounded(x, y, width, height, facecolor=tint(color), edgecolor=color, linewidth=1.2))
    centre = x + width / 2, y + height / 2
    pitch = 0.155
    for i, line in enumerate(lines):
        write(axes, centre[0], centre[1] + (i - (len(lines) - 1) / 2) * pitch, line, bold=i == 0)
    return centre


def panel(axes: Axes, x: float, y: float, width: float, height: float) -> None:
    """A frame behind what belongs together."""
    look = {"facecolor": "#f7f7f7", "edgecolor": "#bbbbbb", "linewidth": 0.8, "zorder": 0}
    axes.add_patch(_rounded(x, y, width, height, **look))


def _rounded(x: float, y: float, width: float, height: float, **look: object) -> FancyBboxPatch:
    return FancyBboxPatch((x, y), width, height, boxstyle="round,pad=0,rounding_size=0.06", **look)  # type: ignore[arg-type]


def bar(axes: Axes, x: float, y: float, width: float, height: float, color: str, *, strength: float = 0.45) -> None:
    """A plain rectangle, for something drawn to scale.

    Many parameters: those of matplotlib, which draws it.
    """
    axes.add_patch(Rectangle((x, y), width, height, facecolor=tint(color, strength), edgecolor=color, linewidth=0.9))


def arrow(axes: Axes, *points: tuple[float, float], head: bool = True) -> None:
    """A line through the points, upright and level, with a head at the last."""
    (from_x, from_y), (x, y) = points[-2:]
    length, half = 0.075, 0.035
    right, down = ((x > from_x) - (x < from_x), (y > from_y) - (y < from_y))
    if head:
        base_x, base_y = x - right * length, y - down * length
        corners = [(x, y), (base_x + down * half, base_y + right * half), (base_x - down * half, base_y - right * half)]
        axes.add_patch(Polygon(corners, facecolor=LINES, edgecolor="none", zorder=2))
        points = (*points[:-1], (base_x, base_y))
    axes.plot(*zip(*points, strict=True), color=LINES, linewidth=1, solid_capstyle="butt", solid_joinstyle="miter")


def plus(axes: Axes, x: float, y: float, radius: float = 0.09) -> None:
    """A sum of what its arrows bring."""
    axes.add_patch(Circle((x, y), radius, facecolor="white", edgecolor=LINES, linewidth=1))
    arm = 0.6 * radius
    axes.plot([x - arm, x + arm], [y, y], color=LINES, linewidth=1)
    axes.plot([x, x], [y - arm, y + arm], color=LINES, linewidth=1)


def params(*layers: LayerShape) -> str:
    """The number of params of the layers, in words."""
    return f"{sum(layer.params for layer in layers):,} params"


def kind(layer: LayerShape) -> str:
    """The name for a kind of layer: of the T2T module, an attention or an MLP."""
    return {
        "TokenPerformer": "Performer",
        "TokenTransformer": "Transformer",
        "SEAttention": "Attention, SE",
        "GhostAttention": "Ghost attention",
        "GhostMlp": "Ghost MLP",
        "Mlp": "MLP",
    }.get(layer.kind, layer.kind)
