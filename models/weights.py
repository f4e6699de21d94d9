"""The weights of a network: its parameters, and its tables that are never trained.

The authors' code holds these tables as parameters without a gradient, and counts them. Here they are buffers under
the same names in the state dict, so that whoever trains all parameters, or thaws them, leaves the tables alone.
"""

from collections.abc import Iterator

from torch import Tensor, nn

__all__ = ["count_weights", "named_weights"]

_TABLES = frozenset({"pos_embed", "w"})
"""T2T-ViT's positions, where they are sinusoids, and the random directions of its Performers"""


def named_weights(module: nn.Module, recurse: bool = True) -> Iterator[tuple[str, Tensor]]:
    """Parameters and fixed tables, each with its name.

    Args:
        module: a network or a part of one.
        recurse: whether to include those of the modules inside.
    """
    yield from module.named_parameters(recurse=recurse)
    for name, table in module.named_buffers(recurse=recurse):
        if name.rpartition(".")[2] in _TABLES:
            yield name, table


def count_weights(module: nn.Module) -> int:
    """The number of weights of a network or of a part of one."""
    return sum(weight.numel() for _, weight in named_weights(module))
