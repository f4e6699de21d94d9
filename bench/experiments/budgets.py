"""Budgets: sets of runs for a question of their own, most of them where there are minutes instead of days.

A pilot or smoke run has another recipe, data set and resolution than the paper's, so another run id: it can never
fill one of the paper's cells, and reports into tables of its own. A run of full size may be the paper's own, too: then
it is trained once, and appears in both reports.
"""

import dataclasses

from bench.experiments.recipes import (
    CIFAR_TRANSFER,
    CIFAR_TRANSFER_CORRECTED,
    CNN_T2T,
    CNN_T2T_JANUARY,
    T2T_LITE,
    T2T_MEDIUM,
    T2T_MEDIUM_JANUARY,
    changed,
)
from bench.spec.errors import RequestError
from bench.spec.recipe import Recipe
from bench.spec.run import Network, RunSpec, imagenet, transfer
from bench.spec.table import Row

BUDGETS = ("paper", "pilot", "transfer", "trained_alike", "smoke")

FULL_SIZE = ("paper", "trained_alike")
"""those whose runs take a GPU days"""

_OWN_ALONE = ("transfer", "trained_alike")
"""those that stand in for no row of the paper"""

_CHOSEN = "t2t-bench, chosen on 5,000 images of CIFAR-10 for T2T-ViT-7"
_OFF = "t2t-bench: off, the budget is too short for it"
_SHORT = "t2t-bench: for runs of minutes"


PILOT = dataclasses.replace(
    changed(
        changed(T2T_LITE, _OFF, mixup=0.0, cutmix=0.0, auto_augment="", random_erasing=0.0, drop_path=0.0),
        _CHOSEN,
        epochs=16,
        cooldown_epochs=0,
        warmup_epochs=2,
        warmup_lr=1e-5,
        global_batch=64,
        lr=5e-4,
        weight_decay=0.05,
        color_jitter=0.0,
        crop_scale_min=0.6,
        interpolation="bicubic",
        crop_pct=1.0,
        ema_decay=0.99,
    ),
    name="pilot",
    summary="AdamW for 16 epochs at 96 px, learning rate 5e-4 at batch 64, crops and flips only: one recipe for all",
)

SMOKE = dataclasses.replace(
    changed(PILOT, _SHORT, epochs=4, warmup_epochs=1, lr=2e-3, ema_decay=0.9),
    name="smoke",
    summary="4 epochs, learning rate 2e-3, only to show that everything runs",
)


def under(budget: str, row: Row) -> RunSpec | None:
    """The run that stands in for a row's under a budget; under "paper" its own, if it has one.

    Raises:
        RequestError: the budget has runs of its own alone.
    """
    if budget in _OWN_ALONE:
        raise RequestError(f"--budget {budget} has runs of its own; leave out --table, or choose pilot or smoke")
    return row.run if budget == "paper" else _stand_in(budget, row.network)


_LEAST_PX = {"alexnet": 64, "inception_v3_auxiliary": 96}
"""what networks need whose pooling leaves nothing of a smoke run's 32 pixels"""


def _stand_in(budget: str, network: Network) -> RunSpec:
    dataset, img_size, recipe = {
        "pilot": ("cifar10", 96, PILOT),
        "smoke": ("synthetic", _LEAST_PX.get(network.model, 32), SMOKE),
    }[budget]
    return RunSpec(
        model=network.model, model_args=network.model_args, dataset=dataset, img_size=img_size, recipe=recipe
    )


_TINY_T2T = _stand_in("smoke", Network("t2t_vit_7", model_args=(("embed_dim", 64), ("depth", 2), ("num_heads", 2))))
_TUNED = dataclasses.replace(
    changed(SMOKE, "t2t-bench: half of the smoke run that it starts from", epochs=2, lr=1e-3),
    name="smoke_tune",
    summary="2 epochs, learning rate 1e-3",
)

_PILOT_T2T = _stand_in("pilot", Network("t2t_vit_7"))
_PILOT_TUNE = dataclasses.replace(
    changed(PILOT, "t2t-bench: a third of the pilot run", epochs=5, warmup_epochs=1, warmup_lr=1e-4),
    name="pilot_tune",
    summary="as pilot, 5 epochs: one recipe for random weights and for those of another run",
)


def _short(recipe: Recipe) -> Recipe:
    return dataclasses.replace(
        changed(recipe, _SHORT, epochs=_PILOT_TUNE.epochs),
        name=f"{recipe.name}_short",
        summary=f"as {recipe.name} of Table 5, {_PILOT_TUNE.epochs} epochs at 96 px",
    )


SUITES = {
    "pilot": {
        "T2T-ViT-7": _PILOT_T2T,
        "ViT (DeiT-tiny)": _stand_in("pilot", Network("deit_tiny_patch16_224")),
        "ResNet50": _stand_in("pilot", Network("resnet50")),
        "MobileNetV2 1.0x": _stand_in("pilot", Network("mobilenetv2_100")),
    },
    "transfer": {
        "T2T-ViT-7 on CIFAR-10 (pilot)": _PILOT_T2T,
        "T2T-ViT-7 from scratch": dataclasses.replace(_PILOT_T2T, dataset="cifar100", recipe=_PILOT_TUNE),
        "T2T-ViT-7 transferred": transfer(_PILOT_T2T, "cifar100", _PILOT_TUNE),
        "T2T-ViT-7 transferred, authors' recipe": transfer(_PILOT_T2T, "cifar100", _short(CIFAR_TRANSFER)),
        "T2T-ViT-7 transferred, corrected recipe": transfer(_PILOT_T2T, "cifar100", _short(CIFAR_TRANSFER_CORRECTED)),
    },
    "trained_alike": {
        "T2T-ViT-14": imagenet("t2t_vit_14", T2T_MEDIUM),
        "ResNet50*": imagenet("resnet50", CNN_T2T),
        "T2T-ViT-14, recipe of January 2021": imagenet("t2t_vit_14", T2T_MEDIUM_JANUARY),
        "ResNet50*, recipe of January 2021": imagenet("resnet50", CNN_T2T_JANUARY),
    },
    "smoke": {
        "tiny T2T-ViT": _TINY_T2T,
        "tiny T2T-ViT, tuned": dataclasses.replace(_TINY_T2T, recipe=_TUNED, start_from=_TINY_T2T),
        "tiny ResNet": _stand_in("smoke", Network("test_resnet")),
    },
}
"""what a budget trains where no table is named, by row"""

RESULTS = tuple(budget for budget in SUITES if budget != "smoke")
"""budgets whose own runs say something: smoke's show that everything runs"""

QUESTIONS = {
    "transfer": "Does T2T-ViT-7 reach a higher accuracy on CIFAR-100 (at 96 px) if it starts from the weights of its "
    "pilot run on CIFAR-10, in the first row, instead of random ones, in the same number of steps on CIFAR-100? A seed "
    "is used for the whole chain, including the pilot run. The corrected recipe holds out a tenth of the images, and "
    "therefore takes a tenth fewer steps.",
    "trained_alike": "How much does T2T-ViT-14 gain over ResNet50 if both are trained by the same recipe? The authors "
    "changed theirs on 2021-03-02, and it is not known by which of the two the printed ResNet50* was trained. Here "
    "both networks are trained by both, so that each recipe gives a gain of its own.",
}
"""what a budget's own runs are to answer, for the reader"""

FILLS = {
    "trained_alike": "Those by t2t_medium and cnn_t2t are the paper's runs of Table 3, too, and fill its cells; those "
    "by the recipes of January 2021 fill none."
}
"""which of a budget's own runs fill cells of the paper, for the reader; without a line here none does"""
