"""The scales of the study: data, resolution, epochs, seeds and recipes, fixed before the first run (docs/study.md)."""

from dataclasses import replace

from bench.experiments.arms import IMAGENET_ARMS, SMALL_ARMS, SMOKE_ARMS, TUNED_ON, TUNED_ON_TINY
from bench.experiments.grid import Grid
from bench.experiments.questions import IMAGENET_QUESTIONS, SMALL_QUESTIONS, SMOKE_QUESTIONS
from bench.experiments.recipes import CNN_T2T, T2T_LITE, T2T_MEDIUM, VIT_T2T, changed
from bench.experiments.study import Study
from bench.spec.contents import DATASETS
from bench.spec.errors import unknown
from bench.spec.recipe import Recipe

EPOCHS = 6
"""of the final runs at the small scale, the first of which warms up"""

_FIXED = "this study, fixed before its first run"
_OFF = "this study: off, in runs of a few epochs"

_RECIPE = replace(
    changed(
        changed(
            T2T_LITE,
            _OFF,
            mixup=0.0,
            cutmix=0.0,
            auto_augment="",
            color_jitter=0.0,
            random_erasing=0.0,
            drop_path=0.0,
            ema_decay=0.0,
            cooldown_epochs=0,
        ),
        _FIXED,
        epochs=EPOCHS,
        warmup_epochs=1,
        global_batch=64,
        label_smoothing=0.1,
        crop_padding=0.125,
        interpolation="bicubic",
        crop_pct=1.0,
        held_out=0.1,
    ),
    name="study_small",
    summary=f"AdamW for {EPOCHS} epochs at batch 64, one of them to warm up, padded crops and flips, a tenth of the "
    "training images held out",
)


def _grid_recipe(recipe: Recipe) -> Recipe:
    return replace(
        changed(recipe, _FIXED, epochs=2, warmup_epochs=0, train_fraction=0.5),
        name=f"{recipe.name}_grid",
        summary=f"2 epochs on half of the images, to choose {recipe.name}'s learning rate and weight decay by",
    )


GRID = Grid(lrs=(5e-4, 1e-3, 2e-3), weight_decays=(0.05, 0.2))
"""for AdamW at batch 64, the same for every family, since the paper trains its CNNs with the T2T-ViT scheme, too"""

SMALL = Study(
    scale="small",
    title="CIFAR-100 at 64 px",
    dataset="cifar100",
    img_size=64,
    precision="bfloat16",
    seeds=(0, 1, 2),
    recipe=_RECIPE,
    grid=GRID,
    grid_recipe=_grid_recipe(_RECIPE),
    grid_seed=100,
    tuned_on=TUNED_ON,
    arms=SMALL_ARMS,
    questions=SMALL_QUESTIONS,
)

_FULL_RECIPE = replace(
    changed(_RECIPE, _FIXED, epochs=24, warmup_epochs=4),
    name="study_full",
    summary="as study_small, 24 epochs, four of them to warm up",
)

FULL = replace(
    SMALL,
    scale="full",
    title="CIFAR-100 at 96 px",
    img_size=96,
    seeds=(0, 1, 2, 3, 4),
    recipe=_FULL_RECIPE,
    grid_recipe=_grid_recipe(_FULL_RECIPE),
)


def _shortened(recipe: Recipe) -> Recipe:
    return replace(
        changed(recipe, _FIXED, epochs=100, cooldown_epochs=0),
        name=f"study_{recipe.name}",
        summary=f"as {recipe.name}, 100 epochs at 128 px",
    )


IMAGENET = Study(
    scale="imagenet",
    title="ImageNet at 128 px, 100 epochs",
    dataset="imagenet",
    img_size=128,
    precision="auto",
    seeds=(0, 1, 2),
    recipe=_shortened(T2T_MEDIUM),
    grid=None,
    grid_recipe=_shortened(T2T_MEDIUM),
    grid_seed=100,
    tuned_on={},
    recipes={"T2T-ViT": _shortened(T2T_MEDIUM), "ViT": _shortened(VIT_T2T), "ResNet": _shortened(CNN_T2T)},
    arms=IMAGENET_ARMS,
    questions=IMAGENET_QUESTIONS,
)

_SMOKE_RECIPE = replace(
    changed(_RECIPE, "t2t-bench: for runs of seconds", epochs=2),
    name="study_smoke",
    summary="2 epochs on generated images at 32 px, only to show that everything runs",
)

SMOKE = replace(
    SMALL,
    scale="smoke",
    title="generated images at 32 px",
    dataset="synthetic",
    img_size=32,
    seeds=(0, 1),
    recipe=_SMOKE_RECIPE,
    grid=Grid(lrs=(1e-3, 2e-3), weight_decays=(0.05,)),
    grid_recipe=_grid_recipe(_SMOKE_RECIPE),
    tuned_on=TUNED_ON_TINY,
    arms=SMOKE_ARMS,
    questions=SMOKE_QUESTIONS,
)

STUDIES = {study.scale: study for study in (SMALL, FULL, IMAGENET, SMOKE)}

SECOND_OPINIONS = ("imagenette", "imagewoof", "tiny-imagenet-200")
"""data sets that the scales on CIFAR-100 can be repeated on"""


def answering() -> list[Study]:
    """Every study whose runs say something of the paper's claims, the nearest to the paper first."""
    return [IMAGENET, FULL, SMALL, *(on(study, dataset) for study in (FULL, SMALL) for dataset in SECOND_OPINIONS)]


def on(study: Study, dataset: str) -> Study:
    """The study on other data, in as many steps: so many more epochs, or fewer.

    Raises:
        RequestError: the scale is of other data.
    """
    if dataset == study.dataset:
        return study
    choices = (study.dataset, *(SECOND_OPINIONS if study.dataset == "cifar100" else ()))
    if dataset not in choices:
        raise unknown(f"data set of the {study.scale} scale", dataset, choices)
    times = DATASETS[study.dataset].train_images / DATASETS[dataset].train_images
    recipe = changed(
        study.recipe,
        f"this study: as many steps as on {study.dataset}",
        epochs=max(2, round(study.recipe.epochs * times)),
        warmup_epochs=max(1, round(study.recipe.warmup_epochs * times)),
    )
    grid_recipe = changed(
        study.grid_recipe,
        f"this study: as many steps as on {study.dataset}",
        epochs=max(2, round(study.grid_recipe.epochs * times)),
    )
    kept = tuple(arm for arm in study.arms if not arm.fine_tuned_on)  # CIFAR-10 after CIFAR-100 is claim 10's
    keys = {arm.key for arm in kept}
    return replace(
        study,
        title=f"{dataset} at {study.img_size} px",
        dataset=dataset,
        recipe=recipe,
        grid_recipe=grid_recipe,
        arms=kept,
        questions=tuple(q for q in study.questions if all({c.arm, c.against} <= keys for c in q.contests)),
    )
