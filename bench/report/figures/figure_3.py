"""Figure 3: the T2T process, drawn from the T2T module of a built network."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from bench.report.figures.diagrams import (
    ATTENTION,
    GIVEN,
    LINEAR,
    LINES,
    NORMAL,
    SOFT_SPLIT,
    arrow,
    bar,
    box,
    canvas,
    kind,
    params,
    tint,
    write,
)
from bench.report.figures.plots import BLUE
from bench.report.pages.figure_3 import STEPS
from bench.report.pages.layers import sizes
from bench.results.measurement import LayerShape, Outline

_MAP, _WINDOWS, _TOKENS, _LAYER, _OUT, _RIGHT = 0.9, 2.65, 4.72, 6.22, 7.72, 8.68
"""centres of the columns, and the way back to the left"""
_SIDE = 1.15
"""of a map and of the longest token matrix, inches"""
_ROW = 0.082
"""of a token matrix, about; it stands for several tokens where there are more"""
_TOP, _PITCH = 1.0, 1.95
"""of the first row of the figure, and from one to the next"""


def figure_3(outline: Outline) -> Figure:
    """The figure: a row a step, with the token counts and widths that the network has at its resolution.

    Args:
        outline: of a network with a T2T module.
    """
    network = outline.network
    steps = [tuple(outline[f"tokens_to_token.{name}"] for name in names) for names in STEPS]
    figure, axes = canvas(
        _TOP + len(steps) * _PITCH + 0.1, f"Figure 3: the T2T process, as in {network} at {network.img_size} px"
    )
    for x, heading, of in (
        (_MAP, "map", "height × width × channels"),
        (_WINDOWS, "soft split", "unfold overlapping windows"),
        (_TOKENS, "tokens", "a window each"),
        (_LAYER, "layer", "mixes and narrows them"),
        (_OUT, "tokens", "count × features"),
    ):
        write(axes, x, 0.56, heading, size=NORMAL, bold=True)
        write(axes, x, 0.74, of)
    widest = max(size for split, layer in steps for size in (split.output[0], layer.output[-1]))
    most = _windows_per_axis(steps[0][0])
    for i, (split, layer) in enumerate(steps):
        top = _TOP + i * _PITCH
        _map(axes, top, split)
        if i == 0:
            write(axes, _MAP, top + 1.5, "the image")
        per_inch = (_SIDE / widest, _SIDE / most)
        left = _tokens(axes, top, _TOKENS, (split.output[1], split.output[0]), per_inch, marked=True)
        _soft_split(axes, top, split, left[0])
        kernel, channels = split.settings["kernel"], split.inputs[0]
        write(axes, _TOKENS, top + 1.5, f"{channels} · {kernel} · {kernel} = {split.output[0]} features")
        right = _tokens(axes, top, _OUT, (layer.output[0], layer.output[1]), per_inch)
        _layer(axes, top, layer, left, right)
        if i + 1 < len(steps):
            _reshape(axes, top, layer, steps[i + 1][0], right)
        else:
            middle = top + _SIDE / 2
            arrow(axes, (right[1] + 0.05, middle), (right[1] + 0.27, middle))
            write(axes, _OUT, top + 1.5, "to the backbone")
    return figure


def _windows_per_axis(split: LayerShape) -> int:
    """Eq. 3 of the paper, floor((h + 2p - k) / (k - s) + 1) with s the overlap."""
    kernel, stride, padding = (split.settings[name] for name in ("kernel", "stride", "padding"))
    return (split.inputs[1] + 2 * padding - kernel) // stride + 1


def _map(axes: Axes, top: float, split: LayerShape) -> None:
    """The map and its padding, with the first two windows in place, and the frame that is enlarged beside it."""
    channels, height, width = split.inputs
    padding, shown = split.settings["padding"], _cells_shown(split)
    left, cell = _MAP - _SIDE / 2, _SIDE / (width + 2 * padding)
    x, y, side = left + padding * cell, top + padding * cell, width * cell
    for behind in (0.08, 0.04, 0):
        shade = tint(GIVEN, 0.1 if behind else 0.05)
        axes.add_patch(Rectangle((x + behind, y - behind), side, side, facecolor=shade, edgecolor=GIVEN, linewidth=0.7))
    if width <= 64:  # more lines than that would be grey
        for i in range(1, width):
            axes.plot([x + i * cell] * 2, [y, y + side], color=tint(GIVEN, 0.35), linewidth=0.15)
            axes.plot([x, x + side], [y + i * cell] * 2, color=tint(GIVEN, 0.35), linewidth=0.15)
    _first_windows(axes, left, top, cell, split, linewidth=0.8)
    region, enlarged = shown * cell, _WINDOWS - _SIDE / 2
    for at, wide in ((left, region), (enlarged, _SIDE)):
        axes.add_patch(Rectangle((at, top), wide, wide, facecolor="none", edgecolor=LINES, linewidth=1, zorder=4))
    for corner, to in ((top, top), (top + region, top + _SIDE)):  # between right and left corners of the two frames
        axes.plot([left + region, enlarged], [corner, to], color=LINES, linewidth=0.8, linestyle=(0, (4, 2)), zorder=4)
    write(axes, _MAP, top + 1.33, sizes((height, width, channels)), size=NORMAL, bold=True)


def _cells_shown(split: LayerShape) -> int:
    """Cells a side of the enlarged corner: two windows and one more, padding included, or all that there are."""
    kernel, stride, padding = (split.settings[name] for name in ("kernel", "stride", "padding"))
    return min(kernel + stride + 1, split.inputs[1] + 2 * padding)


def _first_windows(axes: Axes, left: float, top: float, cell: float, split: LayerShape, *, linewidth: float) -> None:
    """Mark the first two windows.

    Many parameters: the place and scale of one drawing.
    """
    kernel, stride = split.settings["kernel"], split.settings["stride"]
    windows = min(2, _windows_per_axis(split))
    for i, color in list(enumerate((BLUE, SOFT_SPLIT)))[:windows]:
        at, side = (left + i * stride * cell, top), kernel * cell
        axes.add_patch(Rectangle(at, side, side, facecolor=color, alpha=0.25))
        axes.add_patch(Rectangle(at, side, side, facecolor="none", edgecolor=color, linewidth=linewidth, zorder=3))


def _soft_split(axes: Axes, top: float, split: LayerShape, tokens: float) -> None:
    """The map's first corner, enlarged, with the two windows that become the first two tokens, and Eq. 3.

    Args:
        axes: of the figure.
        top: of the row.
        split: the soft split.
        tokens: where they begin, to the right.
    """
    kernel, stride, padding = (split.settings[name] for name in ("kernel", "stride", "padding"))
    shown = _cells_shown(split)
    left, cell = _WINDOWS - _SIDE / 2, _SIDE / shown
    axes.add_patch(Rectangle((left, top), _SIDE, _SIDE, facecolor="white", edgecolor="none"))
    for row in range(shown):
        for column in range(shown):
            outside = not all(padding <= place < padding + split.inputs[1] for place in (row, column))
            axes.add_patch(
                Rectangle(
                    (left + column * cell, top + row * cell), cell, cell,
                    facecolor="#c8c8c8" if outside else "white", edgecolor="#999999", linewidth=0.4,
                )
            )  # fmt: skip
    _first_windows(axes, left, top, cell, split, linewidth=1.6)
    overlap = kernel - stride
    write(axes, _WINDOWS, top + 1.33, f"{kernel} × {kernel} windows, stride {stride}, overlap {overlap}")
    side = _windows_per_axis(split)
    equation = f"⌊({split.inputs[1]} + 2·{padding} − {kernel}) / ({kernel} − {overlap}) + 1⌋ = {side} an axis"
    write(axes, _WINDOWS, top + 1.5, equation)
    arrow(axes, (left + _SIDE + 0.05, top + _SIDE / 2), (tokens - 0.05, top + _SIDE / 2))
    write(axes, (left + _SIDE + _TOKENS - _SIDE / 2) / 2, top + _SIDE / 2 - 0.12, "unfold")


def _tokens(
    axes: Axes, top: float, x: float, shape: tuple[int, int], per_inch: tuple[float, float], *, marked: bool = False
) -> tuple[float, float]:
    """Draw a matrix of tokens to scale, the first two marked on request; returns its left and right side.

    Many parameters: the place and scale of one drawing.
    """
    count, features = shape
    side = round(count**0.5)
    width, height = features * per_inch[0], side * per_inch[1]
    left, above = x - width / 2, top + (_SIDE - height) / 2
    rows = min(side, round(height / _ROW))
    for i in range(rows):
        color = (BLUE, SOFT_SPLIT)[i] if marked and i < 2 else GIVEN
        bar(
            axes, left, above + i * height / rows, width, height / rows, color, strength=0.45 if color != GIVEN else 0.2
        )
    write(axes, x, top + 1.33, sizes(shape), size=NORMAL, bold=True)
    return left, left + width


def _layer(axes: Axes, top: float, layer: LayerShape, left: tuple[float, float], right: tuple[float, float]) -> None:
    width, height, middle = 1.26, 0.62, top + _SIDE / 2
    is_last = layer.kind == "Linear"
    name = "Linear" if is_last else f"{kind(layer)} layer"
    lines = [name, f"{layer.inputs[-1]} → {layer.output[-1]}", params(layer)]
    box(axes, _LAYER - width / 2, middle - height / 2, width, height, lines, LINEAR if is_last else ATTENTION)
    arrow(axes, (left[1] + 0.05, middle), (_LAYER - width / 2, middle))
    arrow(axes, (_LAYER + width / 2, middle), (right[0] - 0.05, middle))


def _reshape(axes: Axes, top: float, layer: LayerShape, split: LayerShape, right: tuple[float, float]) -> None:
    """The way from a row's tokens to the next row's map."""
    middle, back = top + _SIDE / 2, top + 1.72
    arrow(axes, (right[1] + 0.05, middle), (_RIGHT, middle), (_RIGHT, back), (_MAP, back), (_MAP, top + _PITCH - 0.1))
    channels, height, width = split.inputs
    text = f"reshape {sizes(layer.output)} to {sizes((height, width, channels))}"
    write(axes, _RIGHT - 0.1, back - 0.1, text, align="right")
