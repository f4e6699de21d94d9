"""Table 4: T2T-ViT against MobileNet, trained from scratch on ImageNet at 224 px."""

from bench.experiments.recipes import CNN_T2T, T2T_LITE, T2T_TEACHER
from bench.paper.editions import ICCV, README
from bench.paper.reasons import DISTILLATION_HEAD, NOT_EXPLAINED, WITHOUT_DISTILLATION
from bench.spec.run import Network, imagenet
from bench.spec.table import Candidate, Published, Row, Table

_MOBILENETV2_14 = (
    "6.9 is printed in the MobileNetV2 paper (Sandler et al. 2018, Table 4); the network that its authors released "
    "has 6.06 M (README of TF-Slim's MobileNet), close to timm's"
)

TABLE = Table(
    number=4,
    title="T2T-ViT against MobileNet, trained from scratch on ImageNet",
    rows=(
        Row(
            "MobileNetV1 1.0x*",
            run=imagenet("mobilenetv1_100", CNN_T2T),
            published={ICCV: Published(top1_pct=70.8, params_m=4.2, macs_g=0.6)},
            curve="MobileNetV1*",
            point="1.0x",
        ),
        Row(
            "T2T-ViT-7",
            run=imagenet("t2t_vit_7", T2T_LITE),
            published=dict.fromkeys((ICCV, README), Published(top1_pct=71.7, params_m=4.3, macs_g=1.1)),
            curve="T2T-ViT",
            point="7",
        ),
        Row(
            "T2T-ViT-7-Distilled",
            run=imagenet("t2t_vit_7_distilled", T2T_LITE, teacher=T2T_TEACHER),
            published={ICCV: Published(top1_pct=73.1, params_m=4.3, macs_g=1.1, why={"params_m": DISTILLATION_HEAD})},
            candidates=(Candidate(network=Network("t2t_vit_7"), what=WITHOUT_DISTILLATION),),
            curve="T2T-ViT, distilled",
            point="7",
        ),
        Row(
            "T2T-ViT-10",
            run=imagenet("t2t_vit_10", T2T_LITE),
            published={README: Published(top1_pct=75.2, params_m=5.9, macs_g=1.5)},
            curve="T2T-ViT",
            point="10",
        ),
        Row(
            "MobileNetV2 1.0x*",
            run=imagenet("mobilenetv2_100", CNN_T2T),
            published={ICCV: Published(top1_pct=72.8, params_m=3.5, macs_g=0.3)},
            curve="MobileNetV2*",
            point="1.0x",
        ),
        Row(
            "MobileNetV2 1.4x*",
            run=imagenet("mobilenetv2_140", CNN_T2T),
            published={
                ICCV: Published(
                    top1_pct=75.6,
                    params_m=6.9,
                    macs_g=0.6,
                    why={"params_m": _MOBILENETV2_14},
                )
            },
            curve="MobileNetV2*",
            point="1.4x",
        ),
        Row(
            "MobileNetV3 (Searched)",
            untrained=Network("mobilenetv3_large_100"),
            published={ICCV: Published(top1_pct=75.2, params_m=5.4, macs_g=0.2)},
            curve="MobileNetV3",
            point="searched",
        ),
        Row(
            "T2T-ViT-12",
            run=imagenet("t2t_vit_12", T2T_LITE),
            published=dict.fromkeys((ICCV, README), Published(top1_pct=76.5, params_m=6.9, macs_g=1.8)),
            curve="T2T-ViT",
            point="12",
        ),
        Row(
            "T2T-ViT-12-Distilled",
            run=imagenet("t2t_vit_12_distilled", T2T_LITE, teacher=T2T_TEACHER),
            published={
                ICCV: Published(
                    top1_pct=77.4,
                    params_m=6.9,
                    macs_g=1.9,
                    why={"params_m": DISTILLATION_HEAD, "macs_g": NOT_EXPLAINED},
                )
            },
            candidates=(Candidate(network=Network("t2t_vit_12"), what=WITHOUT_DISTILLATION),),
            curve="T2T-ViT, distilled",
            point="12",
        ),
    ),
)
