"""Tables of positions: the fixed one, and tables for another grid of tokens.

Legend: P prefix tokens, N tokens of an image, C embedding width.
"""

import math

import torch
from timm.layers import resample_abs_pos_embed
from torch import Tensor

__all__ = ["positions_grid", "resize_positions", "sinusoid_positions"]


def sinusoid_positions(num_positions: int, dim: int) -> Tensor:
    """Fixed position table: angle p / 10000^(2 (j // 2) / dim), sine on even j, cosine on odd j.

    Returns:
        (1, num_positions, dim), float32, computed in float64.
    """
    j = torch.arange(dim, dtype=torch.float64, device="cpu")
    p = torch.arange(num_positions, dtype=torch.float64, device="cpu")
    angle = p[:, None] / torch.pow(10000.0, 2 * (j // 2) / dim)
    return torch.where(j % 2 == 0, angle.sin(), angle.cos()).float()[None]


def resize_positions(pos_embed: Tensor, prefix_tokens: int, old: tuple[int, int], new: tuple[int, int]) -> Tensor:
    """Resize a table (1, P + N, C) from one grid to another, bicubically.

    Args:
        pos_embed: the table.
        prefix_tokens: P, whose positions are kept.
        old: rows and columns of tokens that it is of.
        new: those that it is to be of.
    """
    if old == new:
        return pos_embed
    # Without antialias, which would also change the cubic kernel: the authors interpolate so.
    return resample_abs_pos_embed(
        pos_embed, new_size=list(new), old_size=list(old), num_prefix_tokens=prefix_tokens, antialias=False
    )


def positions_grid(positions: Tensor, prefix_tokens: int, own: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of tokens that a checkpoint's position table is taken to be of.

    Those of a square if their number is a square's, else of the shape of the network's grid: the table does not say.

    Args:
        positions: (1, P + N, C).
        prefix_tokens: P.
        own: grid of the network that it is to be resized for.

    Raises:
        ValueError: it is no such table, or N is the number of neither.
    """
    rows, columns = own
    if positions.ndim != 3 or len(positions) != 1 or positions.shape[1] <= prefix_tokens:
        raise ValueError(
            f"pos_embed of the checkpoint is {tuple(positions.shape)}, and a table of positions is (1, {prefix_tokens} "
            "+ tokens of an image, channels)"
        )
    tokens = positions.shape[1] - prefix_tokens
    square, alike = math.isqrt(tokens), math.isqrt(tokens * rows // columns)
    if square**2 == tokens:
        return square, square
    if alike and tokens % alike == 0 and alike * columns == tokens // alike * rows:
        return alike, tokens // alike
    nor = "" if rows == columns else f", nor of one like {rows} x {columns}"
    raise ValueError(
        f"pos_embed of the checkpoint has {positions.shape[1]} positions, of which {prefix_tokens} are this network's "
        f"prefix tokens: the other {tokens} are of no square grid{nor}; choose the network and img_size that it was "
        "trained with"
    )
