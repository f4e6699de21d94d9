"""Figure 5: the Ghost block in a ViT, drawn from the built network beside the same block without Ghost."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.report.figures.diagrams import (
    ATTENTION,
    CHEAP,
    GIVEN,
    LINEAR,
    MLP,
    NORMAL,
    WIDTH,
    arrow,
    bar,
    box,
    canvas,
    panel,
    params,
    write,
)
from bench.report.pages.layers import sizes
from bench.results.measurement import LayerShape, Outline

_IN, _COMPUTED, _BRANCH, _CHEAP, _JOINED, _NEXT, _PROJECT, _OUT = 0.9, 1.24, 1.89, 2.06, 2.8, 3.38, 4.06, 4.57
"""heights, downwards: tokens that come in, Linear, where cheap operations begin, they, what both make, and behind it"""
_BAR, _BOX = 0.15, 0.52
_SCALE, _GAP, _EDGE = 4.02, 0.12, 0.1
"""inches of the MLP's hidden features, between columns, and beside them in a panel"""


def figure_5(plain: Outline, ghost: Outline) -> Figure:
    """The figure: Ghost attention and Ghost MLP with their widths, and both blocks' params.

    Args:
        plain: of a network whose blocks have no Ghost.
        ghost: of one whose blocks are Ghost blocks of the same width.
    """
    figure, axes = canvas(6.6, f"Figure 5: the Ghost block of {ghost.network} at {ghost.network.img_size} px")
    _attention(axes, ghost)
    _mlp(axes, ghost)
    _costs(axes, plain, ghost)
    return figure


def _attention(axes: Axes, outline: Outline) -> None:
    """Queries, keys and values: one half by a Linear, the other from it."""
    per_feature = _SCALE / outline["blocks.0.mlp.fc2"].inputs[-1]
    each = per_feature * outline["blocks.0.attn"].inputs[-1]
    left, width = 0.1, 3 * each + 2 * _GAP + 2 * _EDGE
    attention, proj = outline["blocks.0.attn"], outline["blocks.0.attn.proj"]
    panel(axes, left, 0.46, width, 4.31)
    write(axes, left + 0.13, 0.64, "Ghost attention", size=NORMAL, bold=True, align="left")
    write(axes, left + 1.4, 0.64, params(attention), align="left")
    middle = left + width / 2
    features = attention.inputs[-1]
    _tokens(axes, middle - each / 2, _IN, each, attention.inputs)
    inside = left + _EDGE
    fork = _IN + 0.2
    arrow(axes, (middle, _IN + _BAR / 2), (middle, fork), head=False)
    for i, name in enumerate("qkv"):
        x = inside + i * (each + _GAP)
        linear, cheap = outline[f"blocks.0.attn.{name}"], outline[f"blocks.0.attn.cheap_operation_{name}"]
        computed, derived = linear.output[-1], cheap.output[0]
        centre = x + each / 2
        arrow(axes, (middle, fork), (centre, fork), (centre, _COMPUTED))
        box(axes, x, _COMPUTED, each, _BOX, [f"Linear {features} → {computed}", params(linear)], ATTENTION)
        split = each * computed / (computed + derived)
        own, other = x + split / 2, x + split + (each - split) / 2
        arrow(axes, (own, _COMPUTED + _BOX), (own, _JOINED))
        arrow(axes, (own, _BRANCH), (other, _BRANCH), (other, _CHEAP))
        _cheap(axes, x + split - 0.05, each - split + 0.1, cheap)
        arrow(axes, (other, _CHEAP + _BOX), (other, _JOINED))
        bar(axes, x, _JOINED, split, _BAR, ATTENTION)
        bar(axes, x + split, _JOINED, each - split, _BAR, CHEAP)
        write(axes, own, _JOINED + _BAR + 0.12, f"{name}: {computed}")
        write(axes, other, _JOINED + _BAR + 0.12, f"{derived}")
        arrow(axes, (centre, _JOINED + _BAR + 0.03), (centre, _NEXT))
    heads = attention.settings["heads"]
    width_of_head = features // heads
    formula = f"softmax(q kᵀ / √{width_of_head}) v"
    box(axes, inside, _NEXT, 3 * each + 2 * _GAP, _BOX, [f"{heads} heads of {width_of_head}", formula])
    arrow(axes, (middle, _NEXT + _BOX), (middle, _PROJECT))
    lines = [f"Linear {proj.inputs[-1]} → {proj.output[-1]}, {params(proj)}"]
    box(axes, middle - 1.3, _PROJECT, 2.6, 0.26, lines, LINEAR)
    arrow(axes, (middle, _PROJECT + 0.26), (middle, _OUT - _BAR / 2))
    _tokens(axes, middle - each / 2, _OUT, each, proj.output)


def _mlp(axes: Axes, outline: Outline) -> None:
    """Hidden features: a part by a Linear, the others from it."""
    width = _SCALE + 2 * _EDGE
    left = WIDTH - 0.1 - width
    mlp, first, second = (outline[f"blocks.0.mlp{name}"] for name in ("", ".fc1", ".fc2"))
    ghosts = [layer for layer in outline.layers if layer.name.startswith("blocks.0.mlp.cheap_operation")]
    panel(axes, left, 0.46, width, 4.31)
    write(axes, left + 0.13, 0.64, "Ghost MLP", size=NORMAL, bold=True, align="left")
    write(axes, left + 1.0, 0.64, params(mlp), align="left")
    inside, whole = left + _EDGE, _SCALE
    hidden = second.inputs[-1]
    each = whole * first.output[-1] / hidden
    own, middle = inside + each / 2, left + width / 2
    _tokens(axes, inside, _IN, each, mlp.inputs)
    arrow(axes, (own, _IN + _BAR / 2), (own, _COMPUTED))
    lines = [f"Linear {first.inputs[-1]} → {first.output[-1]}", params(first), "then GELU"]
    box(axes, inside, _COMPUTED, each, _BOX, lines, MLP)
    arrow(axes, (own, _COMPUTED + _BOX), (own, _JOINED))
    bar(axes, inside, _JOINED, each, _BAR, MLP)
    write(axes, own, _JOINED + _BAR + 0.12, f"{first.output[-1]}")
    kernel = ghosts[0].settings["kernel"]
    for i, line in enumerate((f"cheap: depthwise convolution, kernel {kernel},", "a factor a channel")):
        write(axes, inside + each + 0.14, _COMPUTED + 0.18 + i * 0.16, line, align="left")
    x = inside + each
    for ghost in ghosts:
        wide = whole * ghost.output[0] / hidden
        centre = x + wide / 2
        arrow(axes, (own, _BRANCH), (centre, _BRANCH), (centre, _CHEAP))
        _cheap(axes, x + 0.08, wide - 0.16, ghost, ", GELU")
        arrow(axes, (centre, _CHEAP + _BOX), (centre, _JOINED))
        bar(axes, x, _JOINED, wide, _BAR, CHEAP)
        write(axes, centre, _JOINED + _BAR + 0.12, f"{ghost.output[0]}")
        x += wide
    box(axes, middle - 1.3, _NEXT, 2.6, _BOX, [f"Linear {hidden} → {second.output[-1]}", params(second)], LINEAR)
    arrow(axes, (middle, _JOINED + _BAR + 0.2), (middle, _NEXT))
    arrow(axes, (middle, _NEXT + _BOX), (middle, _OUT - _BAR / 2))
    _tokens(axes, middle - each / 2, _OUT, each, second.output)


def _cheap(axes: Axes, x: float, width: float, cheap: LayerShape, also: str = "") -> None:
    box(axes, x, _CHEAP, width, _BOX, [f"cheap{also}", params(cheap)], CHEAP)


def _tokens(axes: Axes, x: float, y: float, width: float, shape: Sequence[int]) -> None:
    bar(axes, x, y - _BAR / 2, width, _BAR, GIVEN)
    write(axes, x + width + 0.08, y, sizes(shape), align="left")


def _costs(axes: Axes, plain: Outline, ghost: Outline) -> None:
    """Params of a block with and without Ghost, to scale."""
    left, top, whole = 1.42, 5.2, 6.6
    most = max(outline.blocks[0].params for outline in (plain, ghost))
    panel(axes, 0.1, 4.9, WIDTH - 0.2, 1.62)
    for i, (outline, name) in enumerate(((plain, "plain block"), (ghost, "Ghost block"))):
        y = top + i * 0.62
        write(axes, 0.25, y + 0.1, name, bold=True, align="left")
        write(axes, 0.25, y + 0.27, str(outline.network), align="left")
        x = left
        for what, count, color in _parts(outline):
            width = whole * count / most
            bar(axes, x, y, width, 0.36, color)
            if width > 0.5:
                write(axes, x + width / 2, y + 0.1, what)
                write(axes, x + width / 2, y + 0.26, f"{count:,}")
            x += width
        total = outline.blocks[0].params
        share = "" if outline is plain else f" ({100 * total / plain.blocks[0].params:.1f} %)"
        write(axes, x + 0.08, y + 0.18, f"{total:,}{share}", bold=True, align="left")
    small = [part for part in _parts(ghost) if part[0] in (_CHEAP_ONES, _NORMS)]
    note = ", ".join(f"{what} {count:,}" for what, count, _ in small)
    write(axes, left, 6.38, f"Params of a block, to scale. Too small to see, at the ends: {note}.", align="left")


_CHEAP_ONES, _NORMS = "cheap operations", "norms"


def _parts(outline: Outline) -> list[tuple[str, int, str]]:
    """Name, params and colour of what a block's params are in."""
    inside = [layer for layer in outline.layers if layer.name.startswith("blocks.0.")]

    def within(*names: str) -> int:
        return sum(layer.params for layer in inside if layer.name.removeprefix("blocks.0.") in names)

    return [
        ("q, k, v", within("attn.qkv", "attn.q", "attn.k", "attn.v"), ATTENTION),
        ("proj", within("attn.proj"), LINEAR),
        ("fc1", within("mlp.fc1"), MLP),
        ("fc2", within("mlp.fc2"), LINEAR),
        (_CHEAP_ONES, sum(layer.params for layer in inside if "cheap_operation" in layer.name), CHEAP),
        (_NORMS, within("norm1", "norm2"), GIVEN),
    ]
