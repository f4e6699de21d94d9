"""Table 5: fine-tuning on CIFAR-10 and CIFAR-100, 60 epochs at 224 px, from the weights trained on ImageNet.

Params are of the ImageNet network, with its head for 1000 classes, as the paper prints them.
"""

from bench.experiments.recipes import CIFAR_TRANSFER, T2T_DEEP, T2T_MEDIUM, VIT_T2T
from bench.paper.editions import ICCV, README
from bench.paper.reasons import FROZEN_LEFT_OUT
from bench.spec.run import RunSpec, imagenet, transfer
from bench.spec.table import Published, Row, Table


def _on_cifar(run: RunSpec) -> tuple[RunSpec, ...]:
    return tuple(transfer(run, dataset, CIFAR_TRANSFER) for dataset in ("cifar10", "cifar100"))


_VIT_S = imagenet("vit_s_16", VIT_T2T)
_T2T_14 = imagenet("t2t_vit_14", T2T_MEDIUM)
_T2T_19 = imagenet("t2t_vit_19", T2T_DEEP)

TABLE = Table(
    number=5,
    title="Fine-tuning on CIFAR-10 and CIFAR-100",
    rows=(
        Row(
            "ViT-S/16",
            run=_VIT_S,
            transfers=_on_cifar(_VIT_S),
            published={
                ICCV: Published(
                    top1_pct=78.1,
                    params_m=48.6,
                    cifar10_pct=97.1,
                    cifar100_pct=87.1,
                    why={"params_m": FROZEN_LEFT_OUT},
                )
            },
        ),
        Row(
            "T2T-ViT-14",
            run=_T2T_14,
            transfers=_on_cifar(_T2T_14),
            published={
                ICCV: Published(top1_pct=81.5, params_m=21.5, cifar10_pct=97.5, cifar100_pct=88.4),
                README: Published(top1_pct=81.5, params_m=21.5, cifar10_pct=98.3, cifar100_pct=88.4),
            },
        ),
        Row(
            "T2T-ViT-19",
            run=_T2T_19,
            transfers=_on_cifar(_T2T_19),
            published={
                ICCV: Published(top1_pct=81.9, params_m=39.1, cifar10_pct=98.3, cifar100_pct=89.0),
                README: Published(top1_pct=81.9, params_m=39.2, cifar10_pct=98.4, cifar100_pct=89.0),
            },
        ),
    ),
)
