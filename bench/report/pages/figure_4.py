"""The page of Figure 4: the layers of a T2T-ViT."""

from bench.report.pages.layers import LayersPage, layers_frame, layers_markdown
from bench.results.measurement import LayerShape, Outline

TITLE = "The architecture of T2T-ViT"

T2T_MODULE = ("soft_split0", "attention1", "soft_split1", "attention2", "soft_split2", "project")


def tokens_in_front(outline: Outline) -> list[LayerShape]:
    """The class token, and the distillation token where there is one."""
    return [outline[name] for name in ("cls_token", "dist_token") if name in outline]


def figure_4_files(outline: Outline) -> dict[str, str]:
    """The page and its CSV, by suffix."""
    names = [layer.name for layer in outline.layers if "." not in layer.name]
    names += [f"tokens_to_token.{name}" for name in T2T_MODULE] + ["blocks.0"]
    names += [layer.name for layer in outline.layers if layer.name.startswith("blocks.0.")]
    frame = layers_frame([outline], names)
    network = outline.network
    positions = outline["pos_embed"]
    tokens, in_front = outline["tokens_to_token"].output[0], len(tokens_in_front(outline))
    caption = (
        f"An image of {network.img_size} × {network.img_size} pixels becomes {tokens} tokens ([the T2T process]"
        f"(figure_3.md)). {'The class token' if in_front == 1 else 'Class and distillation token'} and a table of "
        f"positions are added, and {positions.output[0]} tokens pass through {len(outline.blocks)} blocks of the same "
        "shape, of which the first is shown. The number in a norm is its params; the bar is to scale."
    )
    alt = f"The architecture of {network}: T2T module, backbone, and where its params are"
    return {
        "md": layers_markdown(LayersPage(number=4, title=TITLE, caption=caption, alt=alt, outlines=[outline]), frame),
        "csv": frame.to_csv(index=False, lineterminator="\n"),
    }
