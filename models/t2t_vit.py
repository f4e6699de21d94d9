"""Tokens-to-Token Vision Transformer (T2T-ViT).

Legend: B batch, H x W image, h x w = H/16 x W/16 grid of final tokens, N = h w tokens, P prefix tokens (the class
token and, in a distilled network, the distillation token), C embedding width.

Source: Yuan et al., "Tokens-to-Token ViT: Training Vision Transformers from Scratch on ImageNet", ICCV 2021,
arXiv 2101.11986. Parameter names and shapes are those of yitu-opensource/T2T-ViT, so that the authors'
ImageNet checkpoints load with ``strict=True``.
"""

import logging
import math
import operator
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from timm.layers import get_device_dtype, to_2tuple, trunc_normal_
from timm.models import build_model_with_cfg, checkpoint, checkpoint_seq, generate_default_cfgs, register_model
from timm.models._features import feature_take_indices
from timm.models._input import update_model_input_size
from timm.models.vision_transformer import global_pool_nlc
from torch import Tensor, nn

from models.blocks import Block, create_blocks
from models.formulation import Formulated, is_plain
from models.input_channels import adapt_soft_split
from models.positions import positions_grid, resize_positions, sinusoid_positions
from models.tokens import STRIDE, create_tokens, grid_size, to_map

__all__ = ["T2TViT"]

_logger = logging.getLogger(__name__)


def _sides(img_size: int | Sequence[int]) -> tuple[int, int]:
    """(height, width) of an ``img_size`` argument."""
    try:
        height, width = (operator.index(side) for side in to_2tuple(img_size))
    except (TypeError, ValueError):
        raise ValueError(f"img_size {img_size!r}: give a side in pixels or (height, width), as in 224") from None
    return height, width


def _image_grid(images: Tensor, in_chans: int) -> tuple[int, int]:
    """Final tokens per axis of images (B, in_chans, H, W)."""
    if images.shape[1] != in_chans:
        raise ValueError(f"{images.shape[1]} image channels: this network was built with in_chans={in_chans}")
    return grid_size(*images.shape[-2:])


# Nodes of a graph of torch.fx, which checks the images that it is given and resizes positions for them.
torch.fx.wrap("_image_grid")
torch.fx.wrap("resize_positions")


class T2TViT(Formulated):
    """Tokens, then a ViT backbone: T2T-ViT (paper section 3.2) and, with other pieces, every ViT of the paper.

    An image of another size than ``img_size``, divisible by 16, is taken as well: its positions are the table resized
    bicubically over the grid.

    Sinusoid positions and the Performers' random directions are buffers: nothing trains or thaws them.

    Many parameters: those of timm's VisionTransformer, and the pieces that a network of the paper is made of.

    Args:
        img_size: training resolution, a side or (height, width).
        in_chans: image channels.
        num_classes: classes of the head; 0 leaves the head out.
        global_pool: what the head reads: "token" (class token, as the paper), "avg", or "" for all tokens.
        embed_dim: C.
        depth: number of transformer blocks; of dense ones, those of each stage.
        num_heads: attention heads of a block.
        mlp_ratio: hidden width of a block's MLP over C.
        tokens_type: what makes the tokens: the T2T module with "performer" or "transformer" layers, three
            "convolution" layers, or a "patch" embedding, as ViT has it.
        block_type: "plain", or with one of the CNN designs: "se", "ghost" or "dense".
        growth_rate: features that each dense block adds.
        qkv_bias: whether queries, keys and values have biases.
        positions: "sinusoid" for a fixed table, "learned" for a trained one.
        distilled: adds DeiT's distillation token and its head.
        drop_rate: dropout after positions, attention projections and MLPs (the authors' meaning of the name).
        attn_drop_rate: dropout on attention weights.
        drop_path_rate: stochastic depth of the last block, rising linearly from 0 at the first.
        device: of the weights.
        dtype: of the weights.

    Raises:
        ValueError: ``img_size`` is not divisible by 16, or a piece is unknown or does not go with the others.
    """

    pos_embed: Tensor

    def __init__(
        self,
        img_size: int | Sequence[int] = 224,
        in_chans: int = 3,
        num_classes: int = 1000,
        global_pool: str = "token",
        embed_dim: int = 384,
        depth: int | Sequence[int] = 14,
        num_heads: int = 6,
        mlp_ratio: float = 3.0,
        tokens_type: str = "performer",
        block_type: str = "plain",
        growth_rate: int = 0,
        qkv_bias: bool = False,
        positions: str = "sinusoid",
        distilled: bool = False,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        factory: dict[str, Any] = {"device": device, "dtype": dtype}
        self.in_chans, self.embed_dim = in_chans, embed_dim
        self.num_prefix_tokens = 2 if distilled else 1
        self.distilled_training = False
        self.grad_checkpointing = False
        self.grid_size = grid_size(*_sides(img_size))

        self.tokens_to_token = create_tokens(tokens_type, in_chans, embed_dim, **factory)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, embed_dim, **factory))
        self.dist_token = nn.Parameter(torch.zeros(1, 1, embed_dim, **factory)) if distilled else None
        table = torch.zeros(1, self.num_prefix_tokens + math.prod(self.grid_size), embed_dim, **factory)
        if positions == "sinusoid":
            self.register_buffer("pos_embed", table)
        elif positions == "learned":
            self.pos_embed = nn.Parameter(table)
        else:
            raise ValueError(f"unknown positions {positions!r}; choose from sinusoid, learned")
        self._init_positions()
        self.pos_drop = nn.Dropout(drop_rate)
        self.blocks, widths = create_blocks(
            block_type,
            embed_dim,
            depth,
            growth_rate,
            drop_path_rate,
            num_heads=num_heads,
            mlp_ratio=mlp_ratio,
            qkv_bias=qkv_bias,
            proj_drop=drop_rate,
            attn_drop=attn_drop_rate,
            norm_layer=nn.LayerNorm,
            **factory,
        )
        self.num_features = self.head_hidden_size = widths[-1]
        self.norm: nn.Module = nn.LayerNorm(self.num_features, **factory)
        self.feature_info: list[dict[str, Any]] = [
            {"module": f"blocks.{i}", "num_chs": width, "reduction": STRIDE} for i, width in enumerate(widths)
        ]
        self.reset_classifier(num_classes, global_pool)
        self._init_tokens_and_layers(needs_reset=False)

    def init_weights(self) -> None:
        """Draw all weights anew and compute the fixed positions, as after ``to_empty`` on a network of meta tensors."""
        self._init_positions()
        self._init_tokens_and_layers(needs_reset=True)

    def _init_positions(self) -> None:
        if isinstance(self.pos_embed, nn.Parameter):
            trunc_normal_(self.pos_embed, std=0.02)
        else:
            self.pos_embed.copy_(sinusoid_positions(*self.pos_embed.shape[1:]))

    def _init_tokens_and_layers(self, needs_reset: bool) -> None:
        trunc_normal_(self.cls_token, std=0.02)
        if self.dist_token is not None:
            trunc_normal_(self.dist_token, std=0.02)
        self.apply(partial(_init_layer, needs_reset=needs_reset))

    def no_weight_decay(self) -> set[str]:
        """Names of parameters that weight decay skips, besides biases and norms."""
        return {"cls_token", "dist_token"} | ({"pos_embed"} & self._parameters.keys())

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """Patterns that sort parameters into layers, for layer-wise learning rates."""
        return {
            "stem": r"^cls_token|dist_token|pos_embed|tokens_to_token",
            "blocks": [(r"^blocks\.(\d+)", None), (r"^norm", (99999,))],
        }

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Recompute each block in the backward pass instead of keeping its activations."""
        self.grad_checkpointing = enable

    def set_distilled_training(self, enable: bool = True) -> None:
        """Return (class logits, distillation logits) in training, for a loss each, instead of their mean."""
        self.distilled_training = enable

    def get_classifier(self) -> nn.Module | tuple[nn.Module, nn.Module]:
        """The head: Linear(num_features, num_classes), or Identity when num_classes is 0; both if distilled."""
        return self.head if self.dist_token is None else (self.head, self.head_dist)

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Put a new, freshly initialised head on the backbone.

        Args:
            num_classes: classes; 0 leaves the head out.
            global_pool: "token", "avg" or ""; None keeps what is there.

        Raises:
            ValueError: ``global_pool`` is unknown, or a distilled network's heads are to read other than their tokens.
        """
        if global_pool is not None:
            if global_pool not in ("token", "avg", ""):
                raise ValueError(f"unknown global_pool {global_pool!r}; choose from 'token', 'avg', ''")
            if self.dist_token is not None and num_classes and global_pool != "token":
                raise ValueError(
                    f"global_pool {global_pool!r}: the heads of a distilled network read a token each; choose 'token', "
                    "or num_classes=0"
                )
            self.global_pool = global_pool
        self.num_classes = num_classes
        self.head = self._new_head()
        if self.dist_token is not None:
            self.head_dist = self._new_head()

    def _new_head(self) -> nn.Module:
        head: nn.Module = nn.Identity()
        if self.num_classes:
            head = nn.Linear(self.num_features, self.num_classes, **get_device_dtype(self))
            _init_layer(head)
        return head.train(self.training)

    def set_input_size(self, img_size: int | Sequence[int]) -> None:
        """Resize the position table, bicubically, to another resolution.

        Raises:
            ValueError: ``img_size`` is not divisible by 16.
        """
        sides = _sides(img_size)
        grid = grid_size(*sides)
        table, resized = self.pos_embed, self._positions_for(grid).detach()
        learned = isinstance(table, nn.Parameter)
        self.pos_embed = nn.Parameter(resized, requires_grad=table.requires_grad) if learned else resized
        self.grid_size = grid
        update_model_input_size(self, sides)

    def _tokens(self, x: Tensor) -> Tensor:
        """(B, in_chans, H, W) to (B, P + N, C), the input of the first block."""
        grid = _image_grid(x, self.in_chans)
        prefix = [token.expand(x.shape[0], -1, -1) for token in (self.cls_token, self.dist_token) if token is not None]
        x = torch.cat((*prefix, self.tokens_to_token(x)), dim=1)
        return self.pos_drop(x + self._positions_for(grid))

    def _positions_for(self, grid: tuple[int, int]) -> Tensor:
        return resize_positions(self.pos_embed, self.num_prefix_tokens, self.grid_size, grid)

    def forward_features(self, x: Tensor, attn_mask: Tensor | None = None, is_causal: bool = False) -> Tensor:
        """(B, in_chans, H, W) to (B, P + N, num_features): prefix and image tokens after the final norm.

        Args:
            x: images.
            attn_mask: of each block's attention, broadcast to (B, heads, P + N, P + N): False, or minus infinity,
                where a token is not to be read.
            is_causal: whether each token reads only those up to itself.
        """
        x = self._tokens(x)
        if attn_mask is not None or is_causal:
            for block in self.blocks:
                x = self._run(block, x, attn_mask, is_causal)
        else:
            x = checkpoint_seq(self.blocks, x) if self.grad_checkpointing else self.blocks(x)
        return self.norm(x)

    def _run(self, block: nn.Module, x: Tensor, attn_mask: Tensor | None, is_causal: bool) -> Tensor:
        masks = isinstance(block, Block) and (attn_mask is not None or is_causal)  # a transition attends to nothing
        arguments: dict[str, Any] = {"attn_mask": attn_mask, "is_causal": is_causal} if masks else {}
        return checkpoint(block, x, **arguments) if self.grad_checkpointing else block(x, **arguments)

    def forward_intermediates(
        self,
        x: Tensor,
        indices: int | list[int] | None = None,
        return_prefix_tokens: bool = False,
        norm: bool = False,
        stop_early: bool = False,
        output_fmt: str = "NCHW",
        intermediates_only: bool = False,
        output_dict: bool = False,
        attn_mask: Tensor | None = None,
        is_causal: bool = False,
    ) -> Any:
        """Features after chosen blocks, as timm's ``features_only=True`` asks for them.

        Many parameters: those of timm's ``forward_intermediates``.

        Args:
            x: (B, in_chans, H, W).
            indices: the last n blocks if an int, all if None, else the blocks listed.
            return_prefix_tokens: pair each feature with its (B, P, C) prefix tokens.
            norm: apply the final norm to each feature.
            stop_early: stop after the last block asked for.
            output_fmt: "NCHW" for (B, C, h, w) or "NLC" for (B, N, C).
            intermediates_only: leave out the final features.
            output_dict: return a dictionary.
            attn_mask: as in ``forward_features``.
            is_causal: as in ``forward_features``.

        Returns:
            List of features, or (final features (B, P + N, C), list). As a dictionary the list is
            ``image_intermediates``, the prefix tokens asked for are ``image_intermediates_prefix``, and the final
            features ``image_features``.

        Raises:
            ValueError: ``output_fmt`` is unknown, or ``norm`` is asked of dense blocks, whose widths differ.
        """
        if output_fmt not in ("NCHW", "NLC"):
            raise ValueError(f"unknown output_fmt {output_fmt!r}; choose from 'NCHW', 'NLC'")
        if norm and len({info["num_chs"] for info in self.feature_info}) > 1:
            raise ValueError("norm=True: the final norm fits no feature of dense blocks but the last; leave it out")
        wanted, last = feature_take_indices(len(self.blocks), indices)
        height, width = _image_grid(x, self.in_chans)
        x = self._tokens(x)
        features, prefixes = [], []
        for i in range(last + 1 if stop_early else len(self.blocks)):
            x = self._run(self.blocks[i], x, attn_mask, is_causal)
            if i not in wanted:
                continue
            y = self.norm(x) if norm else x
            prefixes.append(y[:, : self.num_prefix_tokens])
            y = y[:, self.num_prefix_tokens :]
            features.append(to_map(y, height, width).contiguous() if output_fmt == "NCHW" else y)
        if output_dict:
            found: dict[str, Any] = {"image_intermediates": features}
            found |= {"image_intermediates_prefix": prefixes} if return_prefix_tokens else {}
            return found if intermediates_only else found | {"image_features": self.norm(x)}
        intermediates = list(zip(features, prefixes, strict=True)) if return_prefix_tokens else features
        return intermediates if intermediates_only else (self.norm(x), intermediates)

    def get_intermediate_layers(
        self,
        x: Tensor,
        n: int | Sequence[int] = 1,
        reshape: bool = False,
        return_prefix_tokens: bool = False,
        norm: bool = False,
        attn_mask: Tensor | None = None,
    ) -> Any:
        """Features after chosen blocks, as DINO's code asks for them; ``forward_intermediates`` has all options.

        Many parameters: those of timm's ``get_intermediate_layers``.

        Args:
            x: (B, in_chans, H, W).
            n: the last n blocks, or the blocks listed.
            reshape: (B, C, h, w) instead of (B, N, C).
            return_prefix_tokens: pair each feature with its (B, P, C) prefix tokens.
            norm: apply the final norm to each feature.
            attn_mask: as in ``forward_features``.
        """
        return self.forward_intermediates(
            x,
            n if isinstance(n, int) else list(n),
            return_prefix_tokens=return_prefix_tokens,
            norm=norm,
            output_fmt="NCHW" if reshape else "NLC",
            intermediates_only=True,
            attn_mask=attn_mask,
        )

    def prune_intermediate_layers(
        self, indices: int | list[int] = 1, prune_norm: bool = False, prune_head: bool = True
    ) -> Sequence[int]:
        """Drop the layers that the chosen features do not need; returns the blocks that remain wanted.

        Norm and head go, too, where dense blocks end at another width than theirs.
        """
        wanted, last = feature_take_indices(len(self.blocks), indices)
        self.blocks = nn.Sequential(*list(self.blocks)[: last + 1])
        width = self.feature_info[last]["num_chs"]
        fits = width == self.num_features
        self.num_features = self.head_hidden_size = width
        if prune_norm or not fits:
            self.norm = nn.Identity()
        if prune_head or not fits:
            self.reset_classifier(0, "")
        return wanted

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        """(B, P + N, num_features) to logits (B, num_classes), or to the pooled (B, num_features) with ``pre_logits``.

        A distilled network gives the mean over its two tokens, or both logits in distilled training.
        """
        if self.dist_token is not None and self.global_pool == "token":
            if pre_logits:
                return (x[:, 0] + x[:, 1]) / 2
            logits, distilled = self.head(x[:, 0]), self.head_dist(x[:, 1])
            if self.distilled_training and self.training:
                return logits, distilled
            return (logits + distilled) / 2
        x = global_pool_nlc(x, pool_type=self.global_pool, num_prefix_tokens=self.num_prefix_tokens)
        return x if pre_logits else self.head(x)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """(B, in_chans, H, W) to logits (B, num_classes); in distilled training to both heads'."""
        return self.forward_head(self._head_tokens(x))

    def _head_tokens(self, x: Tensor) -> Tensor:
        """Features, in training those that the head reads alone: (B, N', num_features), P <= N' <= P + N."""
        last = self.blocks[-1] if len(self.blocks) else None
        if (
            not self.training
            or not isinstance(x, Tensor)  # a graph of torch.fx has the same nodes in training as in evaluation
            or self.global_pool != "token"
            or self.grad_checkpointing
            or not isinstance(last, Block)
            or not is_plain((self.blocks, nn.Sequential), (self.norm, nn.LayerNorm))
        ):
            return self.forward_features(x)
        x = self._tokens(x)
        for block in list(self.blocks)[:-1]:
            x = block(x)
        first = last.first_tokens(x, self.num_prefix_tokens)
        return self.norm(last(x) if first is None else first)


def _init_layer(layer: nn.Module, needs_reset: bool = False) -> None:
    """Draw the weights of a linear layer; with ``needs_reset`` those of any other layer as its constructor does."""
    if isinstance(layer, nn.Linear):
        trunc_normal_(layer.weight, std=0.02)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
    elif needs_reset and hasattr(layer, "reset_parameters"):
        layer.reset_parameters()  # type: ignore[operator]


def fit_checkpoint(state_dict: dict[str, Tensor], model: T2TViT) -> dict[str, Tensor]:
    """Adapt a checkpoint to the model's image channels and grid of tokens, where it is for others.

    timm adapts convolutions; here it is the T2T module.

    Raises:
        ValueError: as ``positions_grid``.
    """
    state_dict = {**state_dict, **adapt_soft_split(state_dict, model.in_chans)}
    positions = state_dict.get("pos_embed")
    if positions is None or positions.shape == model.pos_embed.shape:
        return state_dict
    grid = positions_grid(positions, model.num_prefix_tokens, model.grid_size)
    _logger.info("pos_embed is taken to be of %d x %d tokens", *grid)
    resized = resize_positions(positions, model.num_prefix_tokens, grid, model.grid_size)
    return {**state_dict, "pos_embed": resized}


def cfg(**values: Any) -> dict[str, Any]:
    """timm's description of a network of this class, as the authors evaluate theirs."""
    return {
        "fixed_input_size": True,  # timm's word for: the factory takes img_size
        "crop_pct": 0.9,
        "interpolation": "bicubic",
        "first_conv": (),  # none begins the T2T module
        "classifier": "head",
        "paper_ids": "arXiv:2101.11986",
        "paper_name": "Tokens-to-Token ViT: Training Vision Transformers from Scratch on ImageNet",
        "origin_url": "https://github.com/yitu-opensource/T2T-ViT",
        **values,
    }


def create(variant: str, pretrained: bool, structure: dict[str, Any], arguments: dict[str, Any]) -> T2TViT:
    """A registered network of this class.

    Args:
        variant: its name, for timm's pretrained configuration.
        pretrained: whether to load the weights that the configuration names.
        structure: its arguments of ``T2TViT``.
        arguments: the caller's, which outrank them.
    """
    return build_model_with_cfg(
        T2TViT,
        variant,
        pretrained,
        pretrained_filter_fn=fit_checkpoint,
        feature_cfg={"out_indices": 3, "feature_cls": "getter"},
        **{**structure, **arguments},
    )


_DISTILLED = {"classifier": ("head", "head_dist")}

default_cfgs = generate_default_cfgs(
    {
        "t2t_vit_7": cfg(),
        "t2t_vit_7_distilled": cfg(**_DISTILLED),
        "t2t_vit_10": cfg(),
        "t2t_vit_12": cfg(),
        "t2t_vit_12_distilled": cfg(**_DISTILLED),
        "t2t_vit_14": cfg(),
        "t2t_vit_14_no_t2t": cfg(first_conv="tokens_to_token.proj"),
        "t2t_vit_14_resnext": cfg(),
        "t2t_vit_14_se": cfg(),
        "t2t_vit_14_wide": cfg(),
        "t2t_vit_14_wide_no_t2t": cfg(first_conv="tokens_to_token.proj"),
        "t2t_vit_16_ghost": cfg(),
        "t2t_vit_19": cfg(),
        "t2t_vit_24": cfg(),
        "t2t_vit_c_14": cfg(first_conv="tokens_to_token.soft_split0"),
        "t2t_vit_dense": cfg(),
        "t2t_vit_t_14": cfg(),
        "t2t_vit_t_19": cfg(),
        "t2t_vit_t_24": cfg(),
    }
)

_LITE: dict[str, Any] = {"embed_dim": 256, "num_heads": 4, "mlp_ratio": 2.0}
_14: dict[str, Any] = {"embed_dim": 384, "depth": 14, "num_heads": 6, "mlp_ratio": 3.0}
_19: dict[str, Any] = {"embed_dim": 448, "depth": 19, "num_heads": 7, "mlp_ratio": 3.0}
_24: dict[str, Any] = {"embed_dim": 512, "depth": 24, "num_heads": 8, "mlp_ratio": 3.0}
_WIDE: dict[str, Any] = {"embed_dim": 768, "depth": 4, "num_heads": 12, "mlp_ratio": 3.0}


@register_model
def t2t_vit_7(pretrained: bool = False, **kwargs: Any) -> T2TViT:
    """T2T-ViT-7: 4.3 M params, 1.2 G MACs."""
    return create("t2t_vit_7", pretrained, {**_LITE, "depth": 7}, kwargs)


@register_model
def t2t_vit_10(pretrained: bool = False, **kwargs: Any) -> T2TViT:
    """T2T-ViT-10: 5.9 M params."""
    return create("t2t_vit_10", pretrained, {**_LITE, "depth": 10}, kwargs)


@register_model
def t2t_vit_12(pretrained: bool = False, **kwargs: Any) -> T2TViT:
    """T2T-ViT-12: 6.9 M params."""
    return create("t2t_vit_12", pretrained, {**_LITE, "depth": 12}, kwargs)


@register_model
def t2t_vit_7_distilled(pretrained: bool = False, **kwargs: Any) -> T2TViT:
    """T2T-ViT-7 with DeiT's distillation token and head."""
    return create("t2t_vit_7_distilled", pretrained, {**_LITE, "depth": 7, "distilled": True}, kwargs)


@register_model
def t2t_vit_12_distilled(pretrained: bool = False, **kwargs: Any) -> T2TViT:
    """T2T-ViT-12 with DeiT's distillation token and head."""
    return create("t2t_vit_12_distilled", pretrained, {**_LITE, "depth": 12, "distilled": True}, kwargs)


@register_model
def t2t_vit_14(pretrained: bool = False, **kwargs: Any) -> T2TViT:
    """T2T-ViT-14: 21.5 M params, 4.8 G MACs."""
    return create("t2t_vit_14", pretrained, _14, kwargs)


@register_model
def t2t_vit_19(pretrained: bool = False, **kwargs: Any) -> T2TViT:
    """T2T-ViT-19."""
    return create("t2t_vit_19", pretrained, _19, kwargs)


@register_model
def t2t_vit_24(pretrained: bool = False, **kwargs: Any) -> T2TViT:
    """T2T-ViT-24."""
    return create("t2t_vit_24", pretrained, _24, kwargs)


@register_model
def t2t_vit_t_14(pretrained: bool = False, **kwargs: Any) -> T2TViT:
    """T2T-ViT_t-14: T2T-ViT-14 with Transformer layers in the T2T module."""
    return create("t2t_vit_t_14", pretrained, {**_14, "tokens_type": "transformer"}, kwargs)


@register_model
def t2t_vit_t_19(pretrained: bool = False, **kwargs: Any) -> T2TViT:
    """T2T-ViT_t-19: T2T-ViT-19 with Transformer layers in the T2T module."""
    return create("t2t_vit_t_19", pretrained, {**_19, "tokens_type": "transformer"}, kwargs)


@register_model
def t2t_vit_t_24(pretrained: bool = False, **kwargs: Any) -> T2TViT:
    """T2T-ViT_t-24: T2T-ViT-24 with Transformer layers in the T2T module."""
    return create("t2t_vit_t_24", pretrained, {**_24, "tokens_type": "transformer"}, kwargs)


@register_model
def t2t_vit_c_14(pretrained: bool = False, **kwargs: Any) -> T2TViT:
    """T2T-ViT_c-14: T2T-ViT-14 with three convolutions in place of the T2T module (Table 7)."""
    return create("t2t_vit_c_14", pretrained, {**_14, "tokens_type": "convolution"}, kwargs)


@register_model
def t2t_vit_14_no_t2t(pretrained: bool = False, **kwargs: Any) -> T2TViT:
    """T2T-ViT-14 without the T2T module: its backbone on a 16 x 16 patch embedding (Table 7)."""
    return create("t2t_vit_14_no_t2t", pretrained, {**_14, "tokens_type": "patch"}, kwargs)


@register_model
def t2t_vit_14_wide(pretrained: bool = False, **kwargs: Any) -> T2TViT:
    """T2T-ViT-d768-4 of Table 7, shallow and wide; the authors' name for it."""
    return create("t2t_vit_14_wide", pretrained, _WIDE, kwargs)


@register_model
def t2t_vit_14_wide_no_t2t(pretrained: bool = False, **kwargs: Any) -> T2TViT:
    """T2T-ViT-Wide as Table 6 prints its size: shallow and wide, on a 16 x 16 patch embedding."""
    return create("t2t_vit_14_wide_no_t2t", pretrained, {**_WIDE, "tokens_type": "patch"}, kwargs)


@register_model
def t2t_vit_14_se(pretrained: bool = False, **kwargs: Any) -> T2TViT:
    """T2T-ViT-SE: T2T-ViT-14 with squeeze-and-excitation in its attention (Table 6)."""
    return create("t2t_vit_14_se", pretrained, {**_14, "block_type": "se"}, kwargs)


@register_model
def t2t_vit_14_resnext(pretrained: bool = False, **kwargs: Any) -> T2TViT:
    """T2T-ViT-ResNeXt: T2T-ViT-14 with 32 heads (Table 6)."""
    return create("t2t_vit_14_resnext", pretrained, {**_14, "num_heads": 32}, kwargs)


@register_model
def t2t_vit_16_ghost(pretrained: bool = False, **kwargs: Any) -> T2TViT:
    """T2T-ViT-Ghost: Ghost modules in attention and MLP, 16 blocks (Table 6)."""
    return create("t2t_vit_16_ghost", pretrained, {**_14, "depth": 16, "block_type": "ghost"}, kwargs)


@register_model
def t2t_vit_dense(pretrained: bool = False, **kwargs: Any) -> T2TViT:
    """T2T-ViT-Dense: 19 densely connected blocks, 64 features each (Table 6)."""
    structure = {
        "embed_dim": 128,
        "depth": (3, 6, 6, 4),
        "num_heads": 8,
        "mlp_ratio": 2.0,
        "block_type": "dense",
        "growth_rate": 64,
    }
    return create("t2t_vit_dense", pretrained, structure, kwargs)
