"""Modules that turn images into tokens: the T2T module, and those that the paper compares it with.

Legend: B batch, H x W image, N = H/16 W/16 final tokens, C embedding width.

Source: Yuan et al., arXiv 2101.11986, section 3.1 and the ablation of Table 7. Parameter names and shapes are those
of yitu-opensource/T2T-ViT.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from timm.layers import PatchEmbed, use_fused_attn
from timm.layers.mlp import Mlp
from torch import Tensor, nn

from models.formulation import Formulated, is_plain, is_plain_mlp
from models.fused_block import mlp_branch
from models.fused_performer import performer_layer
from models.performer import TokenPerformer
from models.soft_split import split_linear, split_norm_linear

__all__ = ["ConvolutionTokens", "T2TModule", "TokenTransformer", "create_tokens", "grid_size", "to_map"]

STRIDE = 16
"""pixels a side of a final token: 4 * 2 * 2, the product of the three soft splits' strides"""


def grid_size(height: int, width: int) -> tuple[int, int]:
    """Final tokens per axis of an image, (H/16, W/16).

    Raises:
        ValueError: a side is not a positive multiple of 16.
    """
    for side in (height, width):
        if side < STRIDE or side % STRIDE:
            lower = max(side // STRIDE, 1) * STRIDE
            raise ValueError(
                f"image size {height}x{width}: T2T-ViT takes sides divisible by {STRIDE}; "
                f"instead of {side} use {lower} or {lower + STRIDE}"
            )
    return height // STRIDE, width // STRIDE


torch.fx.wrap("grid_size")  # a graph checks the images that it is given, and not the one that it was traced with


def to_map(tokens: Tensor, height: int, width: int) -> Tensor:
    """(B, height width, C) to (B, C, height, width)."""
    return tokens.transpose(1, 2).reshape(tokens.shape[0], tokens.shape[2], height, width)


class TokenAttention(nn.Module):
    """Single-head attention that changes the token width, with its skip connection from the values.

    The scale is (input width)^-0.5, not (head width)^-0.5: the authors trained it so.

    Args:
        dim: input width.
        token_dim: width of queries, keys, values and output.
        factory: device and dtype, as torch's layers take them.
    """

    def __init__(self, dim: int, token_dim: int, **factory: Any) -> None:
        super().__init__()
        self.scale = dim**-0.5
        self.fused_attn = use_fused_attn()
        self.qkv = nn.Linear(dim, 3 * token_dim, bias=False, **factory)
        self.proj = nn.Linear(token_dim, token_dim, **factory)

    def forward(self, x: Tensor) -> Tensor:
        return self.attend(self.qkv(x))

    def attend(self, qkv: Tensor) -> Tensor:
        """(B, N, 3 token_dim) to (B, N, token_dim)."""
        q, k, v = qkv.unsqueeze(1).chunk(3, dim=-1)  # (B, 1 head, N, token_dim)
        if self.fused_attn:
            y = nn.functional.scaled_dot_product_attention(q, k, v, scale=self.scale)
        else:
            y = ((q * self.scale) @ k.transpose(-2, -1)).softmax(dim=-1) @ v
        return v.squeeze(1) + self.proj(y.squeeze(1))


class TokenTransformer(nn.Module):
    """Transformer layer of the T2T module: (B, N, dim) to (B, N, token_dim).

    Args:
        dim: input width.
        token_dim: output width.
        factory: device and dtype, as torch's layers take them.
    """

    def __init__(self, dim: int, token_dim: int, **factory: Any) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, **factory)
        self.attn = TokenAttention(dim, token_dim, **factory)
        self.norm2 = nn.LayerNorm(token_dim, **factory)
        self.mlp = Mlp(token_dim, **factory)

    def forward(self, x: Tensor) -> Tensor:
        x = self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


_TOKEN_LAYERS = {"performer": TokenPerformer, "transformer": TokenTransformer}


class T2TModule(Formulated):
    """Layer-wise Tokens-to-Token transformation (paper section 3.1): (B, in_chans, H, W) to (B, N, embed_dim).

    Three soft splits (unfold with overlap: kernels 7, 3, 3, strides 4, 2, 2, paddings 2, 1, 1) with a
    token layer after the first and the second; Eq. 3 gives H/4, H/8 and H/16 tokens per axis.

    Args:
        in_chans: image channels.
        embed_dim: width of the final tokens.
        tokens_type: "performer" or "transformer", the layer between the splits.
        token_dim: width of the tokens inside the module.
        factory: device and dtype, as torch's layers take them.

    Raises:
        ValueError: the type is unknown, or an image size is not divisible by 16.
    """

    def __init__(
        self,
        in_chans: int = 3,
        embed_dim: int = 384,
        tokens_type: str = "performer",
        token_dim: int = 64,
        **factory: Any,
    ) -> None:
        super().__init__()
        if tokens_type not in _TOKEN_LAYERS:
            raise ValueError(f"unknown tokens_type {tokens_type!r}; choose from {', '.join(_TOKEN_LAYERS)}")
        layer = _TOKEN_LAYERS[tokens_type]
        self.soft_split0 = nn.Unfold(kernel_size=7, stride=4, padding=2)
        self.soft_split1 = nn.Unfold(kernel_size=3, stride=2, padding=1)
        self.soft_split2 = nn.Unfold(kernel_size=3, stride=2, padding=1)
        self.attention1 = layer(in_chans * 7 * 7, token_dim, **factory)
        self.attention2 = layer(token_dim * 3 * 3, token_dim, **factory)
        self.project = nn.Linear(token_dim * 3 * 3, embed_dim, **factory)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        grid_size(height, width)
        dtype = self.fused_dtype(x, self.project.weight)
        if dtype is not None and self._is_plain():
            return self._fused(x, dtype)
        x = self.attention1(self.soft_split0(x).transpose(1, 2))  # (B, H/4 W/4, token_dim)
        x = to_map(x, height // 4, width // 4)
        x = self.attention2(self.soft_split1(x).transpose(1, 2))  # (B, H/8 W/8, token_dim)
        x = to_map(x, height // 8, width // 8)
        return self.project(self.soft_split2(x).transpose(1, 2))  # (B, N, embed_dim)

    def _fused(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        height, width = x.shape[-2:]
        x = _fused_layer(x, self.soft_split0, self.attention1, dtype)  # (B, H/4 W/4, token_dim)
        x = x.unflatten(1, (height // 4, width // 4)).permute(0, 3, 1, 2)
        x = _fused_layer(x, self.soft_split1, self.attention2, dtype)  # (B, H/8 W/8, token_dim)
        x = x.unflatten(1, (height // 8, width // 8)).permute(0, 3, 1, 2)
        return split_linear(x, self.soft_split2, self.project)

    def _is_plain(self) -> bool:
        splits = ((split, nn.Unfold) for split in (self.soft_split0, self.soft_split1, self.soft_split2))
        layers = is_plain(*splits, (self.project, nn.Linear))
        return layers and _is_plain_layer(self.attention1) and _is_plain_layer(self.attention2)


def _fused_layer(x: Tensor, split: nn.Unfold, layer: nn.Module, dtype: torch.dtype) -> Tensor:
    """layer(patches): (B, C, H, W) to (B, N, token_dim)."""
    if isinstance(layer, TokenPerformer):
        return performer_layer(split_norm_linear(x, split, layer.norm1, layer.kqv, dtype), layer)
    assert isinstance(layer, TokenTransformer)
    qkv = split_norm_linear(x, split, layer.norm1, layer.attn.qkv, dtype)
    x = layer.attn.attend(qkv).to(x.dtype)
    return x + mlp_branch(x, layer.norm2, layer.mlp, dtype)


def _is_plain_layer(layer: nn.Module) -> bool:
    if isinstance(layer, TokenPerformer):
        fc1, act, fc2, drop = layer.mlp
        linear = ((each, nn.Linear) for each in (layer.kqv, layer.proj, fc1, fc2))
        norms = ((each, nn.LayerNorm) for each in (layer.norm1, layer.norm2))
        drops = ((each, nn.Dropout) for each in (layer.dp, drop))
        return is_plain((layer, TokenPerformer), (layer.mlp, nn.Sequential), (act, nn.GELU), *linear, *norms, *drops)
    return (
        isinstance(layer, TokenTransformer)
        and is_plain((layer, TokenTransformer), (layer.attn, TokenAttention), (layer.attn.qkv, nn.Linear))
        and is_plain((layer.norm1, nn.LayerNorm), (layer.norm2, nn.LayerNorm))
        and is_plain_mlp(layer.mlp)
    )


class ConvolutionTokens(nn.Module):
    """Three convolutions in place of the T2T module (T2T-ViT_c in Table 7): (B, in_chans, H, W) to (B, N, embed_dim).

    Kernels, strides and paddings are the soft splits'; there is no norm and no activation between them.

    Args:
        in_chans: image channels.
        embed_dim: width of the final tokens.
        token_dim: channels between the convolutions.
        factory: device and dtype, as torch's layers take them.
    """

    def __init__(self, in_chans: int = 3, embed_dim: int = 384, token_dim: int = 64, **factory: Any) -> None:
        super().__init__()
        self.soft_split0 = nn.Conv2d(in_chans, token_dim, kernel_size=7, stride=4, padding=2, **factory)
        self.soft_split1 = nn.Conv2d(token_dim, token_dim, kernel_size=3, stride=2, padding=1, **factory)
        self.project = nn.Conv2d(token_dim, embed_dim, kernel_size=3, stride=2, padding=1, **factory)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        grid_size(height, width)
        return self.project(self.soft_split1(self.soft_split0(x))).flatten(2).transpose(1, 2)


_TOKENS: dict[str, Callable[..., nn.Module]] = {
    "performer": partial(T2TModule, tokens_type="performer"),
    "transformer": partial(T2TModule, tokens_type="transformer"),
    "convolution": ConvolutionTokens,
    "patch": partial(PatchEmbed, None, STRIDE),
}


def create_tokens(tokens_type: str, in_chans: int, embed_dim: int, **factory: Any) -> nn.Module:
    """Create the module that turns (B, in_chans, H, W) into (B, N, embed_dim).

    Args:
        tokens_type: "performer" or "transformer" for the T2T module with that layer, "convolution" for three
            convolutions, "patch" for ViT's embedding of 16 x 16 patches.
        in_chans: image channels.
        embed_dim: width of the tokens.
        factory: device and dtype, as torch's layers take them.

    Raises:
        ValueError: unknown type.
    """
    if tokens_type not in _TOKENS:
        raise ValueError(f"unknown tokens_type {tokens_type!r}; choose from {', '.join(_TOKENS)}")
    return _TOKENS[tokens_type](in_chans=in_chans, embed_dim=embed_dim, **factory)
