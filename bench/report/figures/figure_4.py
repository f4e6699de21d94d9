"""Figure 4: the architecture of a T2T-ViT, drawn from the built network."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.report.figures.diagrams import (
    ATTENTION,
    GIVEN,
    LINEAR,
    MLP,
    NORMAL,
    SOFT_SPLIT,
    WIDTH,
    arrow,
    bar,
    box,
    canvas,
    kind,
    panel,
    params,
    plus,
    write,
)
from bench.report.pages.figure_4 import T2T_MODULE, tokens_in_front
from bench.report.pages.layers import sizes
from bench.results.measurement import LayerShape, Outline

_BLOCK = ("norm1", "attn", "norm2", "mlp")
_FLOW = 3.86
"""height at which the tokens go through the backbone"""


def figure_4(outline: Outline) -> Figure:
    """The figure: T2T module above, backbone below, and where the params are.

    Args:
        outline: of a network with a T2T module and blocks of one width.
    """
    network = outline.network
    figure, axes = canvas(6.0, f"Figure 4: the architecture of {network} at {network.img_size} px")
    _t2t_module(axes, outline)
    _backbone(axes, outline)
    _shares(axes, outline)
    return figure


def _t2t_module(axes: Axes, outline: Outline) -> None:
    module = outline["tokens_to_token"]
    panel(axes, 0.15, 0.5, WIDTH - 0.3, 1.85)
    write(axes, 0.3, 0.68, "T2T module", size=NORMAL, bold=True, align="left")
    write(axes, 1.25, 0.68, params(module), align="left")
    width, height, gap, top = 1.04, 0.62, 0.18, 1.0
    layers = [outline[f"tokens_to_token.{name}"] for name in T2T_MODULE]
    middle = top + height / 2
    for i, layer in enumerate([None, *layers]):
        x = 0.32 + i * (width + gap)
        lines, color = _piece(layer, outline)
        centre, _ = box(axes, x, top, width, height, lines, color)
        if i < len(layers):
            arrow(axes, (x + width, middle), (x + width + gap, middle))
        comes_out = module.inputs[1:] + module.inputs[:1] if layer is None else _tokens_of(layer)
        write(axes, centre, top + height + 0.18, sizes(comes_out), size=NORMAL, bold=True)
        if layer is not None and i < len(layers) and layer.kind != "Unfold":
            channels, rows, columns = layers[i].inputs
            write(axes, centre, top + height + 0.37, f"= {sizes((rows, columns, channels))}")
    write(
        axes,
        WIDTH / 2,
        2.2,
        "Below each piece what leaves it: tokens × features, and the map that they are reshaped to.",
    )


def _piece(layer: LayerShape | None, outline: Outline) -> tuple[Sequence[str], str]:
    """Lines and colour of a box of the T2T module, the image's for None."""
    if layer is None:
        return ["Image", f"{outline.network.img_size} px"], GIVEN
    if layer.kind == "Unfold":
        kernel, stride = layer.settings["kernel"], layer.settings["stride"]
        return ["Soft split", f"{kernel} × {kernel}, stride {stride}"], SOFT_SPLIT
    return [kind(layer), params(layer)], LINEAR if layer.kind == "Linear" else ATTENTION


def _tokens_of(layer: LayerShape) -> tuple[int, ...]:
    """Tokens × features; a soft split has its windows behind."""
    return layer.output[::-1] if layer.kind == "Unfold" else layer.output


def _heads(outline: Outline) -> list[LayerShape]:
    return [outline[name] for name in ("head", "head_dist") if name in outline]


def _backbone(axes: Axes, outline: Outline) -> None:
    panel(axes, 0.15, 2.5, WIDTH - 0.3, 2.56)
    blocks, first = outline["blocks"], outline.blocks[0]
    write(axes, 0.3, 2.68, "T2T-ViT backbone", size=NORMAL, bold=True, align="left")
    of = "{} tokens of {} features".format(*first.output)
    write(axes, 1.7, 2.68, of, align="left")
    sum_at = _sequence(axes, outline)
    left, right = 2.72, 7.44
    panel(axes, left, 2.96, right - left, 1.93)
    write(axes, left + 0.12, 3.14, f"Block, {len(outline.blocks)} times", size=NORMAL, bold=True, align="left")
    each = f"{params(first)} each, {blocks.params:,} in all"
    write(axes, right - 0.12, 3.14, each, align="right")
    arrow(axes, (sum_at + 0.09, _FLOW), (left + 0.1, _FLOW), head=False)
    end = _block(axes, outline, left + 0.1)
    norm, heads = outline["norm"], _heads(outline)
    box(axes, 7.54, _FLOW - 0.36, 0.46, 0.72, ["Norm", f"{norm.params:,}", "params"])
    arrow(axes, (end, _FLOW), (7.54, _FLOW))
    arrow(axes, (8.0, _FLOW), (8.15, _FLOW))
    name = "Head" if len(heads) == 1 else f"{len(heads)} heads"
    features, classes = heads[0].inputs[-1], heads[0].output[-1]
    lines = [name, f"{sum(head.params for head in heads):,}", "params"]
    head, _ = box(axes, 8.15, _FLOW - 0.36, 0.62, 0.72, lines, LINEAR)
    write(axes, head, _FLOW + 0.52, "class token" if len(heads) == 1 else "a token each")
    write(axes, head, _FLOW + 0.68, f"{features} → {classes}")


def _sequence(axes: Axes, outline: Outline) -> float:
    """Prefix tokens in front of the T2T module's, and the positions that are added; returns where the sum stands."""
    prefix, positions, tokens = tokens_in_front(outline), outline["pos_embed"], outline["tokens_to_token"]
    count = len(prefix)
    name = "Class token" if count == 1 else "Class, distillation"
    strip, above, height = 1.84, _FLOW - 0.62, 1.24
    cell = height / 9
    left, width, tall = 0.3, 1.32, 0.48
    top = _FLOW - 0.9
    box(axes, left, top, width, tall, [name, f"{count} × {prefix[0].output[-1]}, {params(*prefix)}"], SOFT_SPLIT)
    middle = _FLOW - 0.24
    box(axes, left, middle, width, tall, ["T2T tokens", sizes(tokens.output)], LINEAR)
    for i in range(9):
        bar(axes, strip, above + i * cell, 0.16, cell, SOFT_SPLIT if i < count else LINEAR)
    arrow(axes, (left + width, above + cell * count / 2), (strip, above + cell * count / 2))
    arrow(axes, (left + width, _FLOW), (strip, _FLOW))
    sum_at = 2.36
    arrow(axes, (strip + 0.16, _FLOW), (sum_at - 0.09, _FLOW))
    plus(axes, sum_at, _FLOW)
    fixed = "fixed" if positions.trainable_params == 0 else "learned"
    box(axes, left, _FLOW + 0.42, width, 0.62, [f"Positions, {fixed}", sizes(positions.output), params(positions)])
    arrow(axes, (left + width, _FLOW + 0.85), (sum_at, _FLOW + 0.85), (sum_at, _FLOW + 0.09))
    return sum_at


def _block(axes: Axes, outline: Outline, x: float) -> float:
    """The first block, with its skip connections; returns where it ends."""
    norm1, attention, norm2, mlp = (outline[f"blocks.0.{name}"] for name in _BLOCK)
    height, radius, gap = 0.72, 0.09, 0.155
    heads, width, hidden = attention.settings["heads"], attention.output[-1], outline["blocks.0.mlp.fc2"].inputs[-1]
    attends = [kind(attention), f"{heads} heads of {width // heads}", params(attention)]
    transforms = [kind(mlp), f"{mlp.inputs[-1]} → {hidden} → {mlp.output[-1]}", params(mlp)]
    for norm, part, lines, color in ((norm1, attention, attends, ATTENTION), (norm2, mlp, transforms, MLP)):
        begin = x
        x += gap
        arrow(axes, (begin, _FLOW), (x, _FLOW))
        box(axes, x, _FLOW - height / 2, 0.46, height, ["Norm", f"{norm.params:,}", "params"])
        x += 0.46
        arrow(axes, (x, _FLOW), (x + gap, _FLOW))
        x += gap
        wide = 1.11
        box(axes, x, _FLOW - height / 2, wide, height, lines, color)
        x += wide
        arrow(axes, (x, _FLOW), (x + gap, _FLOW))
        x += gap + radius
        plus(axes, x, _FLOW, radius)
        over, start = _FLOW + 0.6, begin + gap / 4
        arrow(axes, (start, _FLOW), (start, over), (x, over), (x, _FLOW + radius))
        write(axes, (start + x) / 2, over + 0.15, "skip connection")
        x += radius
        assert part.output == norm.output
    return x


def _shares(axes: Axes, outline: Outline) -> None:
    """A bar of all params, to scale."""
    parts = {
        "T2T module": (outline["tokens_to_token"].params, ATTENTION),
        "class token and positions" if len(tokens_in_front(outline)) == 1 else "two tokens and positions": (
            sum(p.params for p in (*tokens_in_front(outline), outline["pos_embed"])),
            GIVEN,
        ),
        "blocks": (outline["blocks"].params, MLP),
        "norm and head" + "s" * (len(_heads(outline)) - 1): (
            sum(p.params for p in (outline["norm"], *_heads(outline))),
            LINEAR,
        ),
    }
    left, width, top = 0.3, WIDTH - 0.6, 5.44
    write(axes, left, top - 0.16, f"{outline.params:,} params", bold=True, align="left")
    x = left
    for place, (name, (count, color)) in zip((0.3, 2.13, 4.85, 6.7), parts.items(), strict=True):
        wide = width * count / outline.params
        bar(axes, x, top, wide, 0.2, color)
        x += wide
        bar(axes, place, top + 0.31, 0.1, 0.1, color)
        write(axes, place + 0.16, top + 0.36, f"{name} {count:,} ({100 * count / outline.params:.1f} %)", align="left")
