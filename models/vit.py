"""The paper's own ViT networks (Tables 1, 2, 5 and 6): T2T-ViT's class on a 16 x 16 patch embedding.

The authors did not release this code. Each network is the one that comes closest to the printed params and MACs
within what the paper says of it; what is fitted is said so.
"""

from typing import Any

from timm.models import generate_default_cfgs, register_model

from models.t2t_vit import T2TViT, cfg, create

_PATCHES = {"first_conv": "tokens_to_token.proj"}

default_cfgs = generate_default_cfgs(
    {
        "vit_s_16": cfg(**_PATCHES),
        "vit_s_16_ghost": cfg(**_PATCHES),
        "vit_s_16_resnext": cfg(**_PATCHES),
        "vit_s_16_se": cfg(**_PATCHES),
        "vit_dense": cfg(**_PATCHES),
        "vit_dn": cfg(**_PATCHES),
        "vit_sw": cfg(**_PATCHES),
    }
)

_S_16: dict[str, Any] = {"tokens_type": "patch", "embed_dim": 768, "depth": 8, "num_heads": 8, "mlp_ratio": 3.0}


@register_model
def vit_s_16(pretrained: bool = False, **kwargs: Any) -> T2TViT:
    """ViT-S/16 as the paper has it, 48.6 M params: not what timm calls vit_small_patch16_224 today."""
    return create("vit_s_16", pretrained, _S_16, kwargs)


@register_model
def vit_s_16_se(pretrained: bool = False, **kwargs: Any) -> T2TViT:
    """ViT-SE: ViT-S/16 with squeeze-and-excitation in its attention (Table 6)."""
    return create("vit_s_16_se", pretrained, {**_S_16, "block_type": "se"}, kwargs)


@register_model
def vit_s_16_resnext(pretrained: bool = False, **kwargs: Any) -> T2TViT:
    """ViT-ResNeXt: ViT-S/16 with 32 heads (Table 6)."""
    return create("vit_s_16_resnext", pretrained, {**_S_16, "num_heads": 32}, kwargs)


@register_model
def vit_s_16_ghost(pretrained: bool = False, **kwargs: Any) -> T2TViT:
    """ViT-Ghost: ViT-S/16 with Ghost modules in attention and MLP (Table 6, figure 5)."""
    return create("vit_s_16_ghost", pretrained, {**_S_16, "block_type": "ghost"}, kwargs)


@register_model
def vit_dn(pretrained: bool = False, **kwargs: Any) -> T2TViT:
    """ViT-DN: deep and narrow, 16 blocks of width 384 (Table 6); heads and MLP ratio as in T2T-ViT-14."""
    structure = {"tokens_type": "patch", "embed_dim": 384, "depth": 16, "num_heads": 6, "mlp_ratio": 3.0}
    return create("vit_dn", pretrained, structure, kwargs)


@register_model
def vit_sw(pretrained: bool = False, **kwargs: Any) -> T2TViT:
    """ViT-SW: shallow and wide, 4 blocks of width 1024 (Table 6); the MLP ratio is fitted."""
    structure = {"tokens_type": "patch", "embed_dim": 1024, "depth": 4, "num_heads": 16, "mlp_ratio": 3.5}
    return create("vit_sw", pretrained, structure, kwargs)


@register_model
def vit_dense(pretrained: bool = False, **kwargs: Any) -> T2TViT:
    """ViT-Dense: 19 densely connected blocks, 128 to 736 features wide (Table 6); stages and MLP ratio are fitted."""
    structure = {
        "tokens_type": "patch",
        "embed_dim": 128,
        "depth": (6, 7, 6),
        "num_heads": 8,
        "mlp_ratio": 4.0,
        "block_type": "dense",
        "growth_rate": 64,
        "qkv_bias": True,
        "positions": "learned",
    }
    return create("vit_dense", pretrained, structure, kwargs)
