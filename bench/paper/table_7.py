"""Table 7: ablation of the T2T module and of the deep-narrow backbone, trained from scratch on ImageNet."""

from bench.experiments.recipes import T2T_MEDIUM
from bench.paper.editions import ICCV, README
from bench.paper.reasons import AUTHORS_CODE, FROZEN_LEFT_OUT
from bench.spec.run import imagenet
from bench.spec.table import Published, Row, Table

_BARE_PARAMS = "blocks, norm and head alone, without embedding and class token, have 21.078 M"
_BARE_MACS = "not explained: blocks, norm and head alone take more, 4.495 G"

T2T_MODULE = "T2T module"
DEEP_NARROW = "Deep-narrow"

TABLE = Table(
    number=7,
    title="Ablation of the T2T module and of the deep-narrow backbone",
    rows=(
        Row(
            "T2T-ViT-14 without T2T",
            run=imagenet("t2t_vit_14_no_t2t", T2T_MEDIUM),
            published={
                ICCV: Published(
                    top1_pct=79.5, params_m=21.1, macs_g=4.2, why={"params_m": _BARE_PARAMS, "macs_g": _BARE_MACS}
                )
            },
            group=T2T_MODULE,
        ),
        Row(
            "T2T-ViT-14",
            run=imagenet("t2t_vit_14", T2T_MEDIUM),
            published=dict.fromkeys((ICCV, README), Published(top1_pct=81.5, params_m=21.5, macs_g=4.8)),
            group=T2T_MODULE,
        ),
        Row(
            "T2T-ViT_t-14",
            run=imagenet("t2t_vit_t_14", T2T_MEDIUM),
            published=dict.fromkeys((ICCV, README), Published(top1_pct=81.7, params_m=21.5, macs_g=6.1)),
            group=T2T_MODULE,
        ),
        Row(
            "T2T-ViT_c-14",
            run=imagenet("t2t_vit_c_14", T2T_MEDIUM),
            published={ICCV: Published(top1_pct=80.8, params_m=21.3, macs_g=4.6, why={"params_m": FROZEN_LEFT_OUT})},
            group=T2T_MODULE,
        ),
        Row(
            "T2T-ViT-14",
            run=imagenet("t2t_vit_14", T2T_MEDIUM),
            published=dict.fromkeys((ICCV, README), Published(top1_pct=81.5, params_m=21.5, macs_g=4.8)),
            group=DEEP_NARROW,
        ),
        Row(
            "T2T-ViT-d768-4",
            run=imagenet("t2t_vit_14_wide", T2T_MEDIUM),
            published={
                ICCV: Published(
                    top1_pct=78.8, params_m=25.0, macs_g=5.4, why={"params_m": FROZEN_LEFT_OUT, "macs_g": AUTHORS_CODE}
                )
            },
            group=DEEP_NARROW,
        ),
    ),
)
