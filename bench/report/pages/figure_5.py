"""The page of Figure 5: the layers of a Ghost block, and of the same block without Ghost."""

from bench.report.pages.layers import LayersPage, layers_frame, layers_markdown
from bench.results.measurement import Outline

TITLE = "The Ghost block"


def figure_5_files(plain: Outline, ghost: Outline) -> dict[str, str]:
    """The page and its CSV, by suffix.

    Args:
        plain: of a network whose blocks have no Ghost.
        ghost: of one whose blocks are Ghost blocks of the same width.
    """
    names = [layer.name for layer in (*plain.layers, *ghost.layers) if layer.name.startswith("blocks.0")]
    frame = layers_frame([plain, ghost], names)
    cheap = ghost["blocks.0.attn.cheap_operation_q"]
    kernel = cheap.settings["kernel"]
    caption = (
        "A linear layer computes some of the features, and cheap operations derive the others from these. The cheap "
        f"operations are depthwise convolutions over tokens with kernel size {kernel}, that is, one factor per "
        "channel. In attention they produce half of the queries, keys and values; in the MLP they produce all hidden "
        f"features but the first {ghost['blocks.0.mlp.fc1'].output[-1]}. Bars of features and of params are to scale."
    )
    alt = f"Ghost attention and Ghost MLP of {ghost.network}, and the params of a block with and without Ghost"
    return {
        "md": layers_markdown(
            LayersPage(number=5, title=TITLE, caption=caption, alt=alt, outlines=[plain, ghost]), frame
        ),
        "csv": frame.to_csv(index=False, lineterminator="\n"),
    }
