"""Transformer blocks with the CNN designs that the paper carries over: SE, Ghost and dense connections.

Legend: B batch, N tokens, C width.

Source: Yuan et al., arXiv 2101.11986, section 3.2, Table 6 and, for Ghost, figure 5. Parameter names and shapes are
those of yitu-opensource/T2T-ViT. ResNeXt's design is more heads, and needs no block of its own.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from timm.layers import Attention, DropPath
from timm.models import vision_transformer
from torch import Tensor, nn
from torch.nn import functional

from models.formulation import Formulated, is_plain, is_plain_mlp
from models.fused_block import attention_branch, mlp_branch

__all__ = ["DenseBlock", "GhostAttention", "GhostMlp", "SEAttention", "Transition", "create_blocks"]


class SqueezeExcite(nn.Module):
    """Channel gates from the mean over tokens: (B, N, C) to (B, N, C).

    Args:
        dim: C.
        reduction: C over the width between the two layers.
        factory: device and dtype, as torch's layers take them.
    """

    def __init__(self, dim: int, reduction: int = 16, **factory: Any) -> None:
        super().__init__()
        self.fc = nn.Sequential(
            nn.Linear(dim, dim // reduction, bias=False, **factory),
            nn.ReLU(inplace=True),
            nn.Linear(dim // reduction, dim, bias=False, **factory),
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
        self.se_layer = SqueezeExcite(dim, **_factory(arguments))
        self.se_drop = nn.Dropout(proj_drop)

    def forward(self, x: Tensor, attn_mask: Tensor | None = None, is_causal: bool = False) -> Tensor:
        return self.se_drop(self.se_layer(super().forward(x, attn_mask, is_causal)))


def _factory(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Device and dtype among the arguments of a layer of timm's."""
    return {name: arguments[name] for name in ("device", "dtype") if name in arguments}


def _cheap_operation(dim: int, **factory: Any) -> nn.Conv1d:
    """A factor a channel: what the authors kept of the Ghost module's depthwise convolution."""
    return nn.Conv1d(dim, dim, kernel_size=1, groups=dim, bias=False, **factory)


def _cheaply(operation: nn.Module, x: Tensor) -> Tensor:
    """The operation on tokens (B, N, C) rather than on (B, C, N)."""
    return operation(x.transpose(1, 2)).transpose(1, 2)


class GhostAttention(Attention):
    """Attention that computes half of its queries, keys and values, and derives the rest cheaply.

    Args:
        dim: C.
        qkv_bias: whether queries, keys and values have biases.
        arguments: of timm's Attention.

    Raises:
        ValueError: ``dim`` is odd.
    """

    def __init__(self, dim: int, *, qkv_bias: bool = False, **arguments: Any) -> None:
        if dim % 2:
            raise ValueError(f"embed_dim {dim}: Ghost attention computes half of it, and takes an even width")
        super().__init__(dim, **arguments)
        del self._modules["qkv"]  # the method below is in its place
        factory = _factory(arguments)
        self.q = nn.Linear(dim, dim // 2, bias=qkv_bias, **factory)
        self.k = nn.Linear(dim, dim // 2, bias=qkv_bias, **factory)
        self.v = nn.Linear(dim, dim // 2, bias=qkv_bias, **factory)
        self.cheap_operation_q = _cheap_operation(dim // 2, **factory)
        self.cheap_operation_k = _cheap_operation(dim // 2, **factory)
        self.cheap_operation_v = _cheap_operation(dim // 2, **factory)

    def qkv(self, x: Tensor) -> Tensor:  # type: ignore[override]  # a layer of timm's Attention, with its output
        """(B, N, C) to (B, N, 3 C): queries, keys and values, of each the cheap half behind the other."""
        q, k, v = self.q(x), self.k(x), self.v(x)
        cheap = (
            _cheaply(self.cheap_operation_q, q),
            _cheaply(self.cheap_operation_k, k),
            _cheaply(self.cheap_operation_v, v),
        )
        return torch.cat((q, cheap[0], k, cheap[1], v, cheap[2]), dim=2)


class GhostMlp(nn.Module):
    """MLP that computes one C of its hidden features, and derives the others cheaply.

    Many parameters: those of timm's ``Mlp``, in whose place timm's Block creates it.

    Args:
        in_features: C.
        hidden_features: a multiple of C.
        act_layer: activation of every hidden feature.
        norm_layer: none; timm's Block names it.
        bias: of both linear layers.
        drop: dropout on hidden features and output.
        device: of the parameters.
        dtype: likewise.

    Raises:
        ValueError: the hidden width is not a multiple of C.
    """

    def __init__(
        self,
        in_features: int,
        hidden_features: int,
        *,
        act_layer: type[nn.Module] = nn.GELU,
        norm_layer: None = None,
        bias: bool = True,
        drop: float = 0.0,
        device: torch.device | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        ratio, rest = divmod(hidden_features, in_features)
        if rest or not ratio:
            raise ValueError(f"mlp_ratio {hidden_features / in_features:g}: a Ghost MLP takes whole ratios, as in 3")
        self.fc1 = nn.Linear(in_features, in_features, bias, device, dtype)
        self.act = act_layer()
        self.cheap = [f"cheap_operation{i}" for i in range(2, ratio + 1)]
        for name in self.cheap:
            self.add_module(name, _cheap_operation(in_features, device=device, dtype=dtype))
        self.fc2 = nn.Linear(hidden_features, in_features, bias, device, dtype)
        self.drop = nn.Dropout(drop)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.fc1(x))
        ghosts = [self.act(_cheaply(self.get_submodule(name), x)) for name in self.cheap]
        x = torch.cat((x, *ghosts), dim=2)  # (B, N, ratio C)
        return self.drop(self.fc2(self.drop(x)))


class Block(Formulated, vision_transformer.Block):
    """timm's pre-norm block, whose two branches may each be fused: (B, N, C) to (B, N, C)."""

    norm1: nn.LayerNorm
    attn: Any
    norm2: nn.LayerNorm
    mlp: Any

    def forward(self, x: Tensor, attn_mask: Tensor | None = None, is_causal: bool = False) -> Tensor:
        dtype = self.fused_dtype(x, self.norm1.weight)
        if dtype is not None and attn_mask is None and not is_causal and self._has_plain_attention():
            attend = partial(attention_branch, norm=self.norm1, attn=self.attn, dtype=dtype)
            x = _add_branch(x, attend, self.ls1, self.drop_path1)
        else:
            y = self.attn(self.norm1(x), attn_mask=attn_mask, is_causal=is_causal)
            x = x + self.drop_path1(self.ls1(y))
        if dtype is not None and is_plain((self.norm2, nn.LayerNorm)) and is_plain_mlp(self.mlp):
            return _add_branch(
                x, partial(mlp_branch, norm=self.norm2, mlp=self.mlp, dtype=dtype), self.ls2, self.drop_path2
            )
        return x + self.drop_path2(self.ls2(self.mlp(self.norm2(x))))

    def first_tokens(self, x: Tensor, count: int) -> Tensor | None:
        """The first of the tokens that the block gives, computed without the others: (B, N, C) to (B, count, C).

        None where that would not be the same, or where something looks on.
        """
        layers = ((self.norm1, nn.LayerNorm), (self.norm2, nn.LayerNorm))
        dtype = self.fused_dtype(x, self.norm1.weight)
        if dtype is None or not (is_plain((self, Block), *layers) and self._has_plain_attention()):
            return None
        if not is_plain_mlp(self.mlp):
            return None
        attn, bias, width = self.attn, self.attn.qkv.bias, x.shape[2]
        normed = self.norm1(x)
        q = functional.linear(normed[:, :count], attn.qkv.weight[:width], None if bias is None else bias[:width])
        kv = functional.linear(normed, attn.qkv.weight[width:], None if bias is None else bias[width:])
        q = q.unflatten(2, (attn.num_heads, -1)).transpose(1, 2)  # (B, H, count, C / H)
        k, v = kv.unflatten(2, (2, attn.num_heads, -1)).permute(2, 0, 3, 1, 4)  # each (B, H, N, C / H)
        y = ((q @ k.transpose(2, 3)) * attn.scale).softmax(-1) @ v
        x = x[:, :count] + self.drop_path1(self.ls1(attn.proj(y.transpose(1, 2).flatten(2))))
        return x + self.drop_path2(self.ls2(self.mlp(self.norm2(x))))

    def _has_plain_attention(self) -> bool:
        """Whether it is timm's attention without norms, gate and active dropout."""
        attn = self.attn
        parts = (attn, Attention), (self.norm1, nn.LayerNorm), (attn.qkv, nn.Linear), (attn.proj, nn.Linear)
        norms = [(norm, nn.Identity) for norm in (attn.q_norm, attn.k_norm, attn.norm)]
        dropout = any(drop.p and (drop.training or attn.training) for drop in (attn.attn_drop, attn.proj_drop))
        return is_plain(*parts, *norms) and attn.gate is None and not dropout


def _add_branch(x: Tensor, branch: Callable[[Tensor], Tensor], scale: nn.Module, drop_path: Any) -> Tensor:
    """x + drop_path(scale(branch(x))), of a branch that draws nothing, without the images that stochastic depth drops.

    Only on a CPU: elsewhere, to ask which these are is to wait for the device.
    """
    if x.device.type != "cpu" or torch.compiler.is_compiling() or not _drops_images(drop_path, scale):
        return x + drop_path(scale(branch(x)))
    rate: float = drop_path.drop_prob
    kept = x.new_empty(len(x)).bernoulli_(1 - rate).nonzero().squeeze(1)
    factor = 1 / (1 - rate) if drop_path.scale_by_keep else 1.0
    if len(kept) in (0, len(x)):  # of none, the branch's parameters still have a gradient, of zeros
        return torch.add(x, branch(x), alpha=factor if len(kept) else 0.0)
    return x.index_add(0, kept, branch(x.index_select(0, kept)).to(x.dtype), alpha=factor)


def _drops_images(drop_path: Any, scale: nn.Module) -> bool:
    plain = is_plain((drop_path, DropPath), (scale, nn.Identity))
    return plain and drop_path.training and 0 < drop_path.drop_prob < 1


class DenseBlock(Block):
    """Block that adds features beside its input instead of to it: (B, N, C) to (B, N, C + growth_rate).

    Args:
        dim: C.
        growth_rate: features added.
        arguments: of timm's Block.
    """

    def __init__(self, dim: int, *, growth_rate: int, **arguments: Any) -> None:
        super().__init__(dim, **arguments)
        self.dense_linear = nn.Linear(dim, growth_rate, **_factory(arguments))

    def forward(self, x: Tensor, attn_mask: Tensor | None = None, is_causal: bool = False) -> Tensor:
        return torch.cat((x, self.dense_linear(super().forward(x, attn_mask, is_causal))), dim=2)


class Transition(nn.Module):
    """Between two dense stages: (B, N, C) to (B, N, C / 2).

    Args:
        dim: C.
        factory: device and dtype, as torch's layers take them.
    """

    def __init__(self, dim: int, **factory: Any) -> None:
        super().__init__()
        self.act = nn.GELU()
        self.linear = nn.Linear(dim, dim // 2, **factory)

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
    *,
    num_heads: int,
    **arguments: Any,
) -> tuple[nn.Sequential, list[int]]:
    """The backbone and the width behind each of its entries.

    Many parameters: those of timm's networks, under timm's names.

    Args:
        block_type: "plain", "se", "ghost" or "dense".
        embed_dim: width of the tokens that come in.
        depth: blocks; of a dense backbone those of each stage.
        growth_rate: features that a dense block adds; 0 for any other.
        drop_path_rate: stochastic depth, rising linearly over the blocks from 0 to this.
        num_heads: attention heads of a block.
        arguments: of timm's Block.

    Raises:
        ValueError: unknown type, or a depth, growth rate or number of heads that does not go with it.
    """
    dense = block_type == "dense"
    if block_type not in _PIECES and not dense:
        raise ValueError(f"unknown block_type {block_type!r}; choose from {', '.join((*_PIECES, 'dense'))}")
    stages = depth if isinstance(depth, Sequence) else (operator.index(depth),)
    if isinstance(depth, Sequence) != dense or not stages or min(stages) < 1:
        takes = "the blocks of each stage, as in (3, 6, 6, 4)" if dense else "their number, as in 14"
        raise ValueError(f"depth {depth!r}: {block_type} blocks take {takes}")
    if bool(growth_rate) != dense:
        takes = "a rate above 0, as in 64" if dense else "none: 0"
        raise ValueError(f"growth_rate {growth_rate}: {block_type} blocks take {takes}")
    arguments |= {"num_heads": num_heads}
    if dense:
        return _dense_blocks(embed_dim, stages, growth_rate, drop_path_rate, **arguments)
    _check_heads(embed_dim, num_heads)
    rates = torch.linspace(0, drop_path_rate, stages[0], device="cpu").tolist()
    blocks = [Block(embed_dim, drop_path=rate, **_PIECES[block_type], **arguments) for rate in rates]
    return nn.Sequential(*blocks), [embed_dim] * len(blocks)


def _check_heads(width: int, num_heads: int) -> None:
    if width % num_heads:
        raise ValueError(f"{num_heads} heads do not divide a width of {width}; choose others, or another width")


_STAGES = 12


def _dense_blocks(
    width: int, stages: Sequence[int], growth_rate: int, drop_path_rate: float, **arguments: Any
) -> tuple[nn.Sequential, list[int]]:
    # The authors' code takes the rate of a stage's blocks from a schedule of twelve at the stage's index, and the
    # published network was trained so: with four stages no rate passes 3/11 of the one asked for.
    if len(stages) > _STAGES:
        raise ValueError(f"depth {stages!r}: dense blocks take up to {_STAGES} stages")
    rates = torch.linspace(0, drop_path_rate, _STAGES, device="cpu").tolist()
    entries: list[nn.Module] = []
    widths: list[int] = []
    for stage, depth in enumerate(stages):
        for _ in range(depth):
            _check_heads(width, arguments["num_heads"])
            entries.append(DenseBlock(width, growth_rate=growth_rate, drop_path=rates[stage], **arguments))
            width += growth_rate
            widths.append(width)
        if stage < len(stages) - 1:
            entries.append(Transition(width, **_factory(arguments)))
            width //= 2
            widths.append(width)
    return nn.Sequential(*entries), widths
