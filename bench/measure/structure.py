"""A network's structure, read off the built network: what Tables 1 and 6 print of it."""

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

_BESIDE = re.compile(r"downsample|\bse\b|cheap_operation|AuxLogits")
"""modules whose layers lie beside a CNN's path from image to logits: shortcuts, gates, Ghost's cheap halves"""


def read_structure(network: "nn.Module") -> dict[str, str]:
    """Structure by column of ``STRUCTURE``.

    Of a transformer: what makes its tokens, its blocks, and their width and MLP's width, as "first-last" where
    these change. Of a CNN the depth alone: its convolutions and linear layers, without those of shortcuts and gates;
    of Inception, whose branches run side by side, nothing.
    """
    from torch import nn

    blocks = [block for block in getattr(network, "blocks", ()) if hasattr(block, "attn")]
    if any(kind.__name__ == "InceptionV3" for kind in type(network).__mro__):
        return {}
    if not blocks:
        layers = [
            name
            for name, module in network.named_modules()
            if isinstance(module, nn.Conv2d | nn.Linear) and not _BESIDE.search(name)
        ]
        return {"depth": str(len(layers))}
    return {
        "tokens": _tokens(network),
        "depth": str(len(blocks)),
        "hidden": _range(network.embed_dim, network.num_features),
        # what the second layer reads: a Ghost MLP's first layer makes a part of it
        "mlp": _range(blocks[0].mlp.fc2.in_features, blocks[-1].mlp.fc2.in_features),
    }


_TOKENS = {"TokenPerformer": "Performer", "TokenTransformer": "Transformer", "ConvolutionTokens": "convolutions"}


def _tokens(network: "nn.Module") -> str:
    """The kind of layer inside the T2T module, or what stands in its place."""
    module = getattr(network, "tokens_to_token", None)
    return _TOKENS.get(type(getattr(module, "attention1", module)).__name__, "patches")


def _range(first: object, last: object) -> str:
    return f"{first}" if first == last else f"{first}-{last}"
