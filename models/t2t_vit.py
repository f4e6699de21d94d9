"""Tokens-to-Token Vision Transformer (T2T-ViT).

Legend: B batch, H x W image, h x w = H/16 x W/16 grid of final tokens, N = h w tokens, C embedding width.

Source: Yuan et al., "Tokens-to-Token ViT: Training Vision Transformers from Scratch on ImageNet", ICCV 2021,
arXiv 2101.11986. Parameter names and shapes are those of yitu-opensource/T2T-ViT, so that the authors'
checkpoints load with ``strict=True``.
"""

import operator
from collections.abc import Sequence
from typing import Any

import torch
from timm.layers import resample_abs_pos_embed, to_2tuple, trunc_normal_, use_fused_attn
from timm.layers.mlp import Mlp
from timm.models import build_model_with_cfg, checkpoint_seq, generate_default_cfgs, register_model
from timm.models._features import feature_take_indices
from timm.models.vision_transformer import Block, global_pool_nlc
from torch import Tensor, nn

from models.performer import TokenPerformer

__all__ = ["T2TModule", "T2TViT", "TokenTransformer", "sinusoid_positions"]

_STRIDE = 16  # 4 * 2 * 2, the product of the three soft splits' strides


def sinusoid_positions(num_positions: int, dim: int) -> Tensor:
    """Fixed position table: angle p / 10000^(2 (j // 2) / dim), sine on even j, cosine on odd j.

    Returns:
        (1, num_positions, dim), float32, computed in float64.
    """
    j = torch.arange(dim, dtype=torch.float64, device="cpu")
    p = torch.arange(num_positions, dtype=torch.float64, device="cpu")
    angle = p[:, None] / torch.pow(10000.0, 2 * (j // 2) / dim)
    return torch.where(j % 2 == 0, angle.sin(), angle.cos()).float()[None]


class TokenAttention(nn.Module):
    """Single-head attention that changes the token width, with its skip connection from the values.

    The scale is (input width)^-0.5, not (head width)^-0.5: the authors trained it so.

    Args:
        dim: input width.
        token_dim: width of queries, keys, values and output.
    """

    def __init__(self, dim: int, token_dim: int) -> None:
        super().__init__()
        self.scale = dim**-0.5
        self.fused_attn = use_fused_attn()
        self.qkv = nn.Linear(dim, 3 * token_dim, bias=False)
        self.proj = nn.Linear(token_dim, token_dim)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).unsqueeze(1).chunk(3, dim=-1)  # (B, 1 head, N, token_dim)
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
    """

    def __init__(self, dim: int, token_dim: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.attn = TokenAttention(dim, token_dim)
        self.norm2 = nn.LayerNorm(token_dim)
        self.mlp = Mlp(token_dim)

    def forward(self, x: Tensor) -> Tensor:
        x = self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


_TOKEN_LAYERS = {"performer": TokenPerformer, "transformer": TokenTransformer}


class T2TModule(nn.Module):
    """Layer-wise Tokens-to-Token transformation (paper section 3.1): (B, in_chans, H, W) to (B, N, embed_dim).

    Three soft splits (unfold with overlap: kernels 7, 3, 3, strides 4, 2, 2, paddings 2, 1, 1) with a
    token layer after the first and the second; Eq. 3 gives H/4, H/8 and H/16 tokens per axis.

    Args:
        in_chans: image channels.
        embed_dim: width of the final tokens.
        tokens_type: "performer" or "transformer", the layer between the splits.
        token_dim: width of the tokens inside the module.

    Raises:
        ValueError: the type is unknown, or an image size is not divisible by 16.
    """

    def __init__(self, in_chans: int = 3, embed_dim: int = 384, tokens_type: str = "performer", token_dim: int = 64):
        super().__init__()
        if tokens_type not in _TOKEN_LAYERS:
            raise ValueError(f"unknown tokens_type {tokens_type!r}; choose from {', '.join(_TOKEN_LAYERS)}")
        layer = _TOKEN_LAYERS[tokens_type]
        self.soft_split0 = nn.Unfold(kernel_size=7, stride=4, padding=2)
        self.soft_split1 = nn.Unfold(kernel_size=3, stride=2, padding=1)
        self.soft_split2 = nn.Unfold(kernel_size=3, stride=2, padding=1)
        self.attention1 = layer(in_chans * 7 * 7, token_dim)
        self.attention2 = layer(token_dim * 3 * 3, token_dim)
        self.project = nn.Linear(token_dim * 3 * 3, embed_dim)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        grid_size(height, width)
        x = self.attention1(self.soft_split0(x).transpose(1, 2))  # (B, H/4 W/4, token_dim)
        x = _to_map(x, height // 4, width // 4)
        x = self.attention2(self.soft_split1(x).transpose(1, 2))  # (B, H/8 W/8, token_dim)
        x = _to_map(x, height // 8, width // 8)
        return self.project(self.soft_split2(x).transpose(1, 2))  # (B, N, embed_dim)


def _to_map(tokens: Tensor, height: int, width: int) -> Tensor:
    """(B, height width, C) to (B, C, height, width)."""
    return tokens.transpose(1, 2).reshape(tokens.shape[0], tokens.shape[2], height, width)


def _sides(img_size: int | Sequence[int]) -> tuple[int, int]:
    """(height, width) of an ``img_size`` argument."""
    try:
        height, width = (operator.index(side) for side in to_2tuple(img_size))
    except (TypeError, ValueError):
        raise ValueError(f"img_size {img_size!r}: give a side in pixels or (height, width), as in 224") from None
    return height, width


def grid_size(height: int, width: int) -> tuple[int, int]:
    """Final tokens per axis of an image, (H/16, W/16).

    Raises:
        ValueError: a side is not a positive multiple of 16.
    """
    for side in (height, width):
        if side < _STRIDE or side % _STRIDE:
            lower = max(side // _STRIDE, 1) * _STRIDE
            raise ValueError(
                f"image size {height}x{width}: T2T-ViT takes sides divisible by {_STRIDE}; "
                f"instead of {side} use {lower} or {lower + _STRIDE}"
            )
    return height // _STRIDE, width // _STRIDE


class T2TViT(nn.Module):
    """T2T module in front of a deep-narrow ViT backbone (paper section 3.2).

    Positions are a frozen sinusoid table for ``img_size``. An image of another size, divisible by 16, is
    taken as well: its positions are the table resized bicubically over the grid.

    Args:
        img_size: training resolution, a side or (height, width).
        in_chans: image channels.
        num_classes: classes of the head; 0 leaves the head out.
        global_pool: what the head reads: "token" (class token, as the paper), "avg", or "" for all tokens.
        embed_dim: C.
        depth: number of transformer blocks.
        num_heads: attention heads of a block.
        mlp_ratio: hidden width of a block's MLP over C.
        tokens_type: layer inside the T2T module, "performer" or "transformer".
        drop_rate: dropout after positions, attention projections and MLPs (the authors' meaning of the name).
        attn_drop_rate: dropout on attention weights.
        drop_path_rate: stochastic depth of the last block, rising linearly from 0 at the first.

    Raises:
        ValueError: ``img_size`` is not divisible by 16, or ``tokens_type`` or ``global_pool`` is unknown.
    """

    def __init__(
        self,
        img_size: int | Sequence[int] = 224,
        in_chans: int = 3,
        num_classes: int = 1000,
        global_pool: str = "token",
        embed_dim: int = 384,
        depth: int = 14,
        num_heads: int = 6,
        mlp_ratio: float = 3.0,
        tokens_type: str = "performer",
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
    ) -> None:
        super().__init__()
        self.num_features = self.head_hidden_size = self.embed_dim = embed_dim
        self.num_prefix_tokens = 1
        self.grad_checkpointing = False
        self.grid_size = grid_size(*_sides(img_size))

        self.tokens_to_token = T2TModule(in_chans, embed_dim, tokens_type)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, embed_dim))
        num_positions = self.num_prefix_tokens + self.grid_size[0] * self.grid_size[1]
        self.pos_embed = nn.Parameter(sinusoid_positions(num_positions, embed_dim), requires_grad=False)
        self.pos_drop = nn.Dropout(drop_rate)
        self.blocks = nn.Sequential(
            *(
                Block(
                    embed_dim,
                    num_heads,
                    mlp_ratio=mlp_ratio,
                    qkv_bias=False,
                    proj_drop=drop_rate,
                    attn_drop=attn_drop_rate,
                    drop_path=rate,
                    norm_layer=nn.LayerNorm,
                )
                for rate in torch.linspace(0, drop_path_rate, depth, device="cpu").tolist()
            )
        )
        self.norm: nn.Module = nn.LayerNorm(embed_dim)
        self.feature_info = [
            {"module": f"blocks.{i}", "num_chs": embed_dim, "reduction": _STRIDE} for i in range(depth)
        ]
        self.reset_classifier(num_classes, global_pool)

        trunc_normal_(self.cls_token, std=0.02)
        self.apply(_init_weights)

    def no_weight_decay(self) -> set[str]:
        """Names of parameters that weight decay skips, besides biases and norms."""
        return {"cls_token", "pos_embed"}

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """Patterns that sort parameters into layers, for layer-wise learning rates."""
        return {
            "stem": r"^cls_token|pos_embed|tokens_to_token",
            "blocks": [(r"^blocks\.(\d+)", None), (r"^norm", (99999,))],
        }

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Recompute each block in the backward pass instead of keeping its activations."""
        self.grad_checkpointing = enable

    def get_classifier(self) -> nn.Module:
        """The head: Linear(C, num_classes), or Identity when num_classes is 0."""
        return self.head

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Put a new, freshly initialised head on the backbone.

        Args:
            num_classes: classes; 0 leaves the head out.
            global_pool: "token", "avg" or ""; None keeps what is there.

        Raises:
            ValueError: ``global_pool`` is unknown.
        """
        if global_pool is not None:
            if global_pool not in ("token", "avg", ""):
                raise ValueError(f"unknown global_pool {global_pool!r}; choose from 'token', 'avg', ''")
            self.global_pool = global_pool
        self.num_classes = num_classes
        self.head: nn.Module = nn.Identity()
        if num_classes > 0:
            self.head = nn.Linear(self.embed_dim, num_classes, device=self.cls_token.device, dtype=self.cls_token.dtype)
            _init_weights(self.head)

    def set_input_size(self, img_size: int | Sequence[int]) -> None:
        """Resize the position table, bicubically, to another resolution.

        Raises:
            ValueError: ``img_size`` is not divisible by 16.
        """
        grid = grid_size(*_sides(img_size))
        self.pos_embed = nn.Parameter(_resize_positions(self.pos_embed, self.grid_size, grid), requires_grad=False)
        self.grid_size = grid

    def _tokens(self, x: Tensor) -> Tensor:
        """(B, in_chans, H, W) to (B, 1 + N, C), the input of the first block."""
        grid = grid_size(*x.shape[-2:])
        x = self.tokens_to_token(x)
        x = torch.cat((self.cls_token.expand(x.shape[0], -1, -1), x), dim=1)
        return self.pos_drop(x + _resize_positions(self.pos_embed, self.grid_size, grid))

    def forward_features(self, x: Tensor) -> Tensor:
        """(B, in_chans, H, W) to (B, 1 + N, C): class token and image tokens after the final norm."""
        x = self._tokens(x)
        x = checkpoint_seq(self.blocks, x) if self.grad_checkpointing else self.blocks(x)
        return self.norm(x)

    def forward_intermediates(
        self,
        x: Tensor,
        indices: int | list[int] | None = None,
        return_prefix_tokens: bool = False,
        norm: bool = False,
        stop_early: bool = False,
        output_fmt: str = "NCHW",
        intermediates_only: bool = False,
    ) -> Any:
        """Features after chosen blocks, as timm's ``features_only=True`` asks for them.

        Args:
            x: (B, in_chans, H, W).
            indices: the last n blocks if an int, all if None, else the blocks listed.
            return_prefix_tokens: pair each feature with its (B, 1, C) class token.
            norm: apply the final norm to each feature.
            stop_early: stop after the last block asked for.
            output_fmt: "NCHW" for (B, C, h, w) or "NLC" for (B, N, C).
            intermediates_only: leave out the final features.

        Returns:
            List of features, or (final features (B, 1 + N, C), list).

        Raises:
            ValueError: ``output_fmt`` is unknown.
        """
        if output_fmt not in ("NCHW", "NLC"):
            raise ValueError(f"unknown output_fmt {output_fmt!r}; choose from 'NCHW', 'NLC'")
        wanted, last = feature_take_indices(len(self.blocks), indices)
        grid = grid_size(*x.shape[-2:])
        x = self._tokens(x)
        intermediates: list[Any] = []
        for i in range(last + 1 if stop_early else len(self.blocks)):
            x = self.blocks[i](x)
            if i not in wanted:
                continue
            y = self.norm(x) if norm else x
            prefix, y = y[:, : self.num_prefix_tokens], y[:, self.num_prefix_tokens :]
            if output_fmt == "NCHW":
                y = _to_map(y, *grid).contiguous()
            intermediates.append((y, prefix) if return_prefix_tokens else y)
        return intermediates if intermediates_only else (self.norm(x), intermediates)

    def prune_intermediate_layers(
        self, indices: int | list[int] = 1, prune_norm: bool = False, prune_head: bool = True
    ) -> Sequence[int]:
        """Drop the layers that the chosen features do not need; returns the blocks that remain wanted."""
        wanted, last = feature_take_indices(len(self.blocks), indices)
        self.blocks = nn.Sequential(*list(self.blocks)[: last + 1])
        if prune_norm:
            self.norm = nn.Identity()
        if prune_head:
            self.reset_classifier(0, "")
        return wanted

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """(B, 1 + N, C) to logits (B, num_classes), or to the pooled (B, C) with ``pre_logits``."""
        x = global_pool_nlc(x, pool_type=self.global_pool, num_prefix_tokens=self.num_prefix_tokens)
        return x if pre_logits else self.head(x)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_chans, H, W) to logits (B, num_classes)."""
        return self.forward_head(self.forward_features(x))


def _init_weights(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _resize_positions(pos_embed: Tensor, old: tuple[int, int], new: tuple[int, int]) -> Tensor:
    # Without antialias, which would also change the cubic kernel: the authors interpolate so.
    return resample_abs_pos_embed(pos_embed, new_size=list(new), old_size=list(old), antialias=False)


def _fit_checkpoint(state_dict: dict[str, Tensor], model: T2TViT) -> dict[str, Tensor]:
    """Resize a checkpoint's position table, taken to be square, where it does not fit the model's."""
    if state_dict["pos_embed"].shape == model.pos_embed.shape:
        return state_dict
    side = round((state_dict["pos_embed"].shape[1] - model.num_prefix_tokens) ** 0.5)
    resized = _resize_positions(state_dict["pos_embed"], (side, side), model.grid_size)
    return {**state_dict, "pos_embed": resized}


def _cfg() -> dict[str, Any]:
    return {
        "fixed_input_size": True,  # timm's word for: the factory takes img_size
        "crop_pct": 0.9,
        "interpolation": "bicubic",
        "classifier": "head",
        "paper_ids": "arXiv:2101.11986",
        "paper_name": "Tokens-to-Token ViT: Training Vision Transformers from Scratch on ImageNet",
        "origin_url": "https://github.com/yitu-opensource/T2T-ViT",
    }


default_cfgs = generate_default_cfgs(
    {
        "t2t_vit_7": _cfg(),
        "t2t_vit_10": _cfg(),
        "t2t_vit_12": _cfg(),
        "t2t_vit_14": _cfg(),
        "t2t_vit_19": _cfg(),
        "t2t_vit_24": _cfg(),
        "t2t_vit_t_14": _cfg(),
        "t2t_vit_t_19": _cfg(),
        "t2t_vit_t_24": _cfg(),
    }
)

_LITE: dict[str, Any] = {"embed_dim": 256, "num_heads": 4, "mlp_ratio": 2.0}
_14: dict[str, Any] = {"embed_dim": 384, "depth": 14, "num_heads": 6, "mlp_ratio": 3.0}
_19: dict[str, Any] = {"embed_dim": 448, "depth": 19, "num_heads": 7, "mlp_ratio": 3.0}
_24: dict[str, Any] = {"embed_dim": 512, "depth": 24, "num_heads": 8, "mlp_ratio": 3.0}


def _create(variant: str, pretrained: bool, structure: dict[str, Any], kwargs: dict[str, Any]) -> T2TViT:
    return build_model_with_cfg(
        T2TViT,
        variant,
        pretrained,
        pretrained_filter_fn=_fit_checkpoint,
        feature_cfg={"out_indices": 3, "feature_cls": "getter"},
        **{**structure, **kwargs},
    )


@register_model
def t2t_vit_7(pretrained: bool = False, **kwargs: Any) -> T2TViT:
    """T2T-ViT-7: 4.3 M params, 1.2 G MACs."""
    return _create("t2t_vit_7", pretrained, {**_LITE, "depth": 7}, kwargs)


@register_model
def t2t_vit_10(pretrained: bool = False, **kwargs: Any) -> T2TViT:
    """T2T-ViT-10: 5.9 M params."""
    return _create("t2t_vit_10", pretrained, {**_LITE, "depth": 10}, kwargs)


@register_model
def t2t_vit_12(pretrained: bool = False, **kwargs: Any) -> T2TViT:
    """T2T-ViT-12: 6.9 M params."""
    return _create("t2t_vit_12", pretrained, {**_LITE, "depth": 12}, kwargs)


@register_model
def t2t_vit_14(pretrained: bool = False, **kwargs: Any) -> T2TViT:
    """T2T-ViT-14: 21.5 M params, 4.8 G MACs."""
    return _create("t2t_vit_14", pretrained, _14, kwargs)


@register_model
def t2t_vit_19(pretrained: bool = False, **kwargs: Any) -> T2TViT:
    """T2T-ViT-19."""
    return _create("t2t_vit_19", pretrained, _19, kwargs)


@register_model
def t2t_vit_24(pretrained: bool = False, **kwargs: Any) -> T2TViT:
    """T2T-ViT-24."""
    return _create("t2t_vit_24", pretrained, _24, kwargs)


@register_model
def t2t_vit_t_14(pretrained: bool = False, **kwargs: Any) -> T2TViT:
    """T2T-ViT_t-14: T2T-ViT-14 with Transformer layers in the T2T module."""
    return _create("t2t_vit_t_14", pretrained, {**_14, "tokens_type": "transformer"}, kwargs)


@register_model
def t2t_vit_t_19(pretrained: bool = False, **kwargs: Any) -> T2TViT:
    """T2T-ViT_t-19: T2T-ViT-19 with Transformer layers in the T2T module."""
    return _create("t2t_vit_t_19", pretrained, {**_19, "tokens_type": "transformer"}, kwargs)


@register_model
def t2t_vit_t_24(pretrained: bool = False, **kwargs: Any) -> T2TViT:
    """T2T-ViT_t-24: T2T-ViT-24 with Transformer layers in the T2T module."""
    return _create("t2t_vit_t_24", pretrained, {**_24, "tokens_type": "transformer"}, kwargs)
