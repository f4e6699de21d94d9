"""The arms of the study at 64 and 96 px, and on ImageNet.

Sizes are with 100 classes, at 64 px. T2T-ViT-7 is the size at which its rivals of equal params are found: ResNet10-T,
MobileNetV2 1.4x, and a shallow and wide T2T-ViT. The plain ViT has twice its params, as ViT-S/16 has twice those of
T2T-ViT-14 in claim 1.
"""

from bench.experiments.study import Arm
from bench.spec.run import ModelArgs

_T2T, _VIT, _RESNET, _MOBILENET = "T2T-ViT", "ViT", "ResNet", "MobileNet"

TUNED_ON = {_T2T: "t2t_vit_7", _VIT: "vit_s", _RESNET: "resnet10t", _MOBILENET: "mobilenetv2_100"}
"""by family, the arm that the grid is trained on: the others of the family take over what it chooses"""

TUNED_ON_TINY = {_T2T: "tiny_t2t"}


def _t2t(key: str, name: str, *, core: bool = False, **arguments: int | float | str) -> Arm:
    return Arm(key, name, family=_T2T, model="t2t_vit_7", model_args=tuple(arguments.items()), core=core)


_VIT_S: ModelArgs = (("embed_dim", 384), ("depth", 6), ("num_heads", 6))


def _vit(key: str, name: str, *, core: bool = False, **arguments: int | float | str) -> Arm:
    return Arm(
        key, name, family=_VIT, model="vit_s_16", model_args=tuple((dict(_VIT_S) | arguments).items()), core=core
    )


CORE = (
    _t2t("t2t_vit_7", "T2T-ViT-7", core=True),
    _t2t("t2t_vit_t_7", "T2T-ViT_t-7", core=True, tokens_type="transformer"),
    _t2t("t2t_vit_c_7", "T2T-ViT_c-7", core=True, tokens_type="convolution"),
    _t2t("t2t_vit_7_patches", "T2T-ViT-7 without T2T", core=True, tokens_type="patch"),
    _t2t("t2t_vit_wide", "T2T-ViT, shallow and wide", core=True, embed_dim=480, depth=2, num_heads=8),
    _vit("vit_s", "ViT, 384 wide, 6 deep", core=True),
    Arm("resnet10t", "ResNet10-T", family=_RESNET, model="resnet10t", core=True),
    Arm("mobilenetv2_140", "MobileNetV2 1.4x", family=_MOBILENET, model="mobilenetv2_140", core=True),
    Arm("mobilenetv2_100", "MobileNetV2 1.0x", family=_MOBILENET, model="mobilenetv2_100", core=True),
)
"""of 4.0, 4.0, 3.9, 3.9, 4.2, 9.2, 5.0, 4.5 and 2.4 M params; MobileNetV2 1.0x trains about as fast as T2T-ViT-7"""

DESIGNS = (
    _t2t("t2t_vit_7_se", "T2T-ViT-SE", block_type="se"),
    _vit("vit_s_se", "ViT-SE", block_type="se"),
    # Narrower MLPs than the baseline's keep it to 4.6 M params, as much beyond as the paper's.
    Arm(
        "t2t_vit_dense",
        "T2T-ViT-Dense",
        family=_T2T,
        model="t2t_vit_dense",
        model_args=(("embed_dim", 64), ("growth_rate", 32), ("num_heads", 4), ("mlp_ratio", 1.0)),
    ),
    Arm(
        "vit_dense",
        "ViT-Dense",
        family=_VIT,
        model="vit_dense",
        model_args=(("embed_dim", 64), ("growth_rate", 28), ("num_heads", 4)),
    ),
    _t2t("t2t_vit_7_resnext", "T2T-ViT-ResNeXt", num_heads=32),
    _vit("vit_s_resnext", "ViT-ResNeXt", num_heads=32),
    _t2t("t2t_vit_7_ghost", "T2T-ViT-Ghost", block_type="ghost"),
    _vit("vit_s_ghost", "ViT-Ghost", block_type="ghost"),
    Arm("resnet50", "ResNet50", family=_RESNET, model="resnet50"),
    Arm("resnet50_ghost", "ResNet50-Ghost", family=_RESNET, model="resnet50_ghost"),
)
"""of claims 6 to 9"""


def _fine_tuned(arm: Arm) -> Arm:
    return Arm(
        f"{arm.key}_cifar10",
        f"{arm.name}, fine-tuned on CIFAR-10",
        family=arm.family,
        model=arm.model,
        model_args=arm.model_args,
        fine_tuned_on="cifar10",
        starts_from=arm.key,
    )


def _on_fewer(arm: Arm, percent: int) -> Arm:
    return Arm(
        f"{arm.key}_{percent}pct",
        f"{arm.name}, {percent} % of the images",
        family=arm.family,
        model=arm.model,
        model_args=arm.model_args,
        train_fraction=percent / 100,
    )


FEWER_PCT = (10, 30)
ON_FEWER = ("t2t_vit_7", "t2t_vit_t_7", "t2t_vit_7_patches", "vit_s", "resnet10t", "mobilenetv2_140")
"""arms that are also trained on a part of the images"""
_BY_KEY = {arm.key: arm for arm in CORE}
FINE_TUNED = tuple(_fine_tuned(_BY_KEY[key]) for key in ("t2t_vit_7", "vit_s"))
FEWER_IMAGES = tuple(_on_fewer(_BY_KEY[key], percent) for percent in FEWER_PCT for key in ON_FEWER)

SMALL_ARMS = (*CORE, *DESIGNS, *FINE_TUNED, *FEWER_IMAGES)

IMAGENET_ARMS = tuple(
    Arm(key, name, family=family, model=key, core=True)
    for key, name, family in (
        ("t2t_vit_14", "T2T-ViT-14", _T2T),
        ("t2t_vit_t_14", "T2T-ViT_t-14", _T2T),
        ("t2t_vit_c_14", "T2T-ViT_c-14", _T2T),
        ("t2t_vit_14_no_t2t", "T2T-ViT-14 without T2T", _T2T),
        ("vit_s_16", "ViT-S/16", _VIT),
        ("resnet50", "ResNet50", _RESNET),
    )
)

_TINY: ModelArgs = (("embed_dim", 64), ("depth", 2), ("num_heads", 2))

SMOKE_ARMS = (
    Arm("tiny_t2t", "tiny T2T-ViT", family=_T2T, model="t2t_vit_7", model_args=_TINY, core=True),
    Arm(
        "tiny_patches",
        "tiny T2T-ViT without T2T",
        family=_T2T,
        model="t2t_vit_7",
        model_args=(*_TINY, ("tokens_type", "patch")),
        core=True,
    ),
)
