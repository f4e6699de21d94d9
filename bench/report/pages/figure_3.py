"""The page of Figure 3: the T2T process, as a network has it."""

from bench.report.pages.layers import LayersPage, layers_frame, layers_markdown
from bench.results.measurement import Outline

TITLE = "The Tokens-to-Token process"

STEPS = (("soft_split0", "attention1"), ("soft_split1", "attention2"), ("soft_split2", "project"))


def figure_3_files(outline: Outline) -> dict[str, str]:
    """The page and its CSV, by suffix."""
    names = ["tokens_to_token", *(f"tokens_to_token.{name}" for step in STEPS for name in step)]
    frame = layers_frame([outline], names)
    network = outline.network
    tokens, features = outline["tokens_to_token"].output
    caption = (
        "Each step reshapes the tokens to a map and cuts the map into overlapping windows, each of which becomes a new "
        "token. This gives fewer tokens with more features, which the next layer reduces. Three soft splits turn an "
        f"image of {network.img_size} × {network.img_size} pixels into {tokens} tokens of {features} features. The "
        "windows are drawn twice: to scale on the map, and enlarged beside it, cell by cell, in the frame that dashed "
        "lines join to the frame on the map. Grey cells are zero padding, and the first two windows have the colours "
        "of the first two tokens. The line below them is Eq. 3 of the paper, ⌊(h + 2p − k) / (k − s) + 1⌋ with s the "
        "overlap. The width of a token matrix is proportional to the number of features, its height to the square root "
        "of the number of tokens."
    )
    alt = f"The T2T process in {network} at {network.img_size} px, in three steps"
    return {
        "md": layers_markdown(LayersPage(number=3, title=TITLE, caption=caption, alt=alt, outlines=[outline]), frame),
        "csv": frame.to_csv(index=False, lineterminator="\n"),
    }
