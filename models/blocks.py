"""Transformer blocks with the CNN designs that the paper carries over: SE, Ghost and dense connections.

Legend: B batch, N tokens, C width.

Source: Yuan et al., arXiv 2101.11986, section 3.2, Table 6 and, for Ghost, figure 5. Parameter names and shapes are
those of yitu-opensource/T2T-ViT. ResNeXt's design is more heads, and needs no block of its own.
"""

from collections.abc import Sequence
from typing import Any

import torch
from timm.layers import Attention, use_fused_attn
from timm.models.vision_transformer import Block
from torch import Tensor, nn

__all__ = ["DenseBlock", "GhostAttention", "GhostMlp", "SEAttention", "Transition", "create_blocks"]


class SqueezeExcite(nn.Module):
    """Channel gates from the mean over tokens: (B, N, C) to (B, N, C).

    Args:
        dim: C.
        reduction: C over the width between the two layers.
    """

    def __init__(self, dim: int, reduction: int = 16) -> None:
        super().__init__()
        self.fc = nn.Sequential(
            nn.Linear(dim, dim // reduction, bias=False),
            nn.ReLU(inplace=True),
            nn.Linear(dim // reduction, dim, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x * self.fc(x.mean(dim=1, keepdim=True))  # (B, N, C) (B, 1, C)


class SEAttention(Attention):
    """Attention whose output passes through squeeze-and-excitation, ahead of the dropout.

    Args:
        dim: C.
        proj_drop: dropout behind the gates.
        arguments: of timm's Attention.
    """

    def __init__(self, dim: int, *, proj_drop: float = 0.0, **arguments: Any) -> None:
        super().__init__(dim, **arguments)
        self.se_layer = SqueezeExcite(dim)
        self.se_drop = nn.Dropout(proj_drop)

    def forward(self, x: Tensor, attn_mask: Tensor | None = None, is_causal: bool = False) -> Tensor:
        return self.se_drop(self.se_layer(super().forward(x, attn_mask, is_causal)))


def _cheap_operation(dim: int) -> nn.Conv1d:
    """A factor a channel: what the authors kept of the Ghost module's depthwise convolution."""
    return nn.Conv1d(dim, dim, kernel_size=1, groups=dim, bias=False)


def _cheaply(operation: nn.Module, x: Tensor) -> Tensor:
    """The operation on tokens (B, N, C) rather than on (B, C, N)."""
    return operation(x.transpose(1, 2)).transpose(1, 2)


class GhostAttention(nn.Module):
    """Attention that computes half of its queries, keys and values, and derives the rest cheaply.

    Args:
        dim: C.
        num_heads: attention heads.
        qkv_bias: whether queries, keys and values have biases.
        attn_drop: dropout on attention weights.
        proj_drop: dropout after the projection.

    Raises:
        ValueError: ``dim`` is odd, or not divisible by ``num_heads``.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int = 8,
        *,
        qkv_bias: bool = False,
        attn_drop: float = 0.0,
        proj_drop: float = 0.0,
        **_blocks: Any,  # what timm's Block passes to every attention, and this one has not
    ) -> None:
        super().__init__()
        if dim % 2 or dim % num_heads:
            raise ValueError(f"embed_dim {dim}: Ghost attention takes an even width that {num_heads} heads divide")
        self.num_heads = num_heads
        self.scale = (dim // num_heads) ** -0.5
        self.fused_attn = use_fused_attn()
        self.q = nn.Linear(dim, dim // 2, bias=qkv_bias)
        self.k = nn.Linear(dim, dim // 2, bias=qkv_bias)
        self.v = nn.Linear(dim, dim // 2, bias=qkv_bias)
        self.cheap_operation_q = _cheap_operation(dim // 2)
        self.cheap_operation_k = _cheap_operation(dim // 2)
        self.cheap_operation_v = _cheap_operation(dim // 2)
        self.attn_drop = nn.Dropout(attn_drop)
        self.proj = nn.Linear(dim, dim)
        self.proj_drop = nn.Dropout(proj_drop)

    def _heads(self, linear: nn.Module, cheap_operation: nn.Module, x: Tensor) -> Tensor:
        """Queries, keys or values: (B, N, C) to (B, heads, N, C / heads), the cheap half behind the other."""
        half = linear(x)
        both = torch.cat((half, _cheaply(cheap_operation, half)), dim=2)
        return both.unflatten(2, (self.num_heads, -1)).transpose(1, 2)

    def forward(self, x: Tensor, attn_mask: Tensor | None = None, is_causal: bool = False) -> Tensor:
        q = self._heads(self.q, self.cheap_operation_q, x)
        k = self._heads(self.k, self.cheap_operation_k, x)
        v = self._heads(self.v, self.cheap_operation_v, x)
        if self.fused_attn:
            dropout = self.attn_drop.p if self.training else 0.0
            y = nn.functional.scaled_dot_product_attention(q, k, v, dropout_p=dropout)
        else:
            y = self.attn_drop(((q * self.scale) @ k.transpose(-2, -1)).softmax(dim=-1)) @ v
        return self.proj_drop(self.proj(y.transpose(1, 2).flatten(2)))


class GhostMlp(nn.Module):
    """MLP that computes one C of its hidden features, and derives the others cheaply.

    Args:
        in_features: C.
        hidden_features: a multiple of C.
        drop: dropout on hidden features and output.

    Raises:
        ValueError: the hidden width is not a multiple of C.
    """

    def __init__(self, in_features: int, hidden_features: int, *, drop: float = 0.0, **_blocks: Any) -> None:
        super().__init__()
        ratio, rest = divmod(hidden_features, in_features)
        if rest or not ratio:
            raise ValueError(f"mlp_ratio {hidden_features / in_features:g}: a Ghost MLP takes whole ratios, as in 3")
        self.fc1 = nn.Linear(in_features, in_features)
        self.act = nn.GELU()
        self.cheap = [f"cheap_operation{i}" for i in range(2, ratio + 1)]
        for name in self.cheap:
            self.add_module(name, _cheap_operation(in_features))
        self.fc2 = nn.Linear(hidden_features, in_features)
        self.drop = nn.Dropout(drop)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.fc1(x))
        ghosts = [self.act(_cheaply(self.get_submodule(name), x)) for name in self.cheap]
        x = torch.cat((x, *ghosts), dim=2)  # (B, N, ratio C)
        return self.drop(self.fc2(self.drop(x)))


class DenseBlock(Block):
    """Block that adds features beside its input instead of to it: (B, N, C) to (B, N, C + growth_rate).

    Args:
        dim: C.
        growth_rate: features added.
        arguments: of timm's Block.
    """

    def __init__(self, dim: int, *, growth_rate: int, **arguments: Any) -> None:
        super().__init__(dim, **arguments)
        self.dense_linear = nn.Linear(dim, growth_rate)

    def forward(self, x: Tensor, attn_mask: Tensor | None = None, is_causal: bool = False) -> Tensor:
        return torch.cat((x, self.dense_linear(super().forward(x, attn_mask, is_causal))), dim=2)


class Transition(nn.Module):
    """Between two dense stages: (B, N, C) to (B, N, C / 2)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.act = nn.GELU()
        self.linear = nn.Linear(dim, dim // 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.linear(x))


_PIECES: dict[str, dict[str, Any]] = {
    "plain": {},
    "se": {"attn_layer": SEAttention},
    "ghost": {"attn_layer": GhostAttention, "mlp_layer": GhostMlp},
}


def create_blocks(
    block_type: str,
    embed_dim: int,
    depth: int | Sequence[int],
    growth_rate: int,
    drop_path_rate: float,
    **arguments: Any,
) -> tuple[nn.Sequential, list[int]]:
    """The backbone and the width behind each of its entries.

    Args:
        block_type: "plain", "se", "ghost" or "dense".
        embed_dim: width of the tokens that come in.
        depth: blocks; of a dense backbone those of each stage.
        growth_rate: features that a dense block adds.
        drop_path_rate: stochastic depth, rising linearly over the blocks from 0 to this.
        arguments: of timm's Block.

    Raises:
        ValueError: unknown type, or a depth that does not go with it.
    """
    if block_type not in (*_PIECES, "dense"):
        raise ValueError(f"unknown block_type {block_type!r}; choose from {', '.join((*_PIECES, 'dense'))}")
    if isinstance(depth, int) == (block_type == "dense"):
        raise ValueError(f"depth {depth!r}: {block_type} blocks take {_DEPTHS[block_type == 'dense']}")
    if not isinstance(depth, int):
        return _dense_blocks(embed_dim, depth, growth_rate, drop_path_rate, **arguments)
    rates = torch.linspace(0, drop_path_rate, depth, device="cpu").tolist()
    blocks = [Block(embed_dim, drop_path=rate, **_PIECES[block_type], **arguments) for rate in rates]
    return nn.Sequential(*blocks), [embed_dim] * depth


_DEPTHS = ("their number, as in 14", "the blocks of each stage, as in (3, 6, 6, 4)")


def _dense_blocks(
    width: int, stages: Sequence[int], growth_rate: int, drop_path_rate: float, **arguments: Any
) -> tuple[nn.Sequential, list[int]]:
    # The authors' code takes the rate of a stage's blocks from a schedule of twelve at the stage's index, and the
    # published network was trained so: with four stages no rate passes 3/11 of the one asked for.
    rates = torch.linspace(0, drop_path_rate, 12, device="cpu").tolist()
    entries: list[nn.Module] = []
    widths: list[int] = []
    for stage, depth in enumerate(stages):
        for _ in range(depth):
            entries.append(DenseBlock(width, growth_rate=growth_rate, drop_path=rates[stage], **arguments))
            width += growth_rate
            widths.append(width)
        if stage < len(stages) - 1:
            entries.append(Transition(width))
            width //= 2
            widths.append(width)
    return nn.Sequential(*entries), widths
