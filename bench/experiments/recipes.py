"""Named recipes: how each row of the paper was trained, every value with its source.

Library defaults move (timm's warm-up, cooldown, minimal learning rate and EMA all did since 2021), so a recipe
leaves nothing to them. Learning rate and global batch belong together: fewer GPUs accumulate gradients.
"""

import dataclasses
import re
from collections.abc import Iterable

from bench.spec.errors import RequestError, unknown
from bench.spec.recipe import UNUSED, YOUNGER_FIELDS, Recipe
from bench.spec.run import Teacher

AUTHORS = "https://github.com/yitu-opensource/T2T-ViT, commit 0f63dc9"
"""the source of most values"""
_README = f"{AUTHORS}: README, section 4"
_README_TRANSFER = f"{AUTHORS}: README, section 5"
_TORCHVISION = "https://github.com/pytorch/vision/tree/main/references/classification: train.py, original recipe"


def _defaults(**options: str) -> dict[str, str]:
    """Sources in the authors' main.py: the default of an option, by field."""
    return {name: f"{AUTHORS}: main.py, default of --{option}" for name, option in options.items()}


T2T_MEDIUM = Recipe(
    name="t2t_medium",
    summary="T2T-ViT scheme for the 14-layer networks: 310 epochs AdamW, learning rate 5e-4 at batch 512, "
    "weight decay 0.05 (8 GPUs; for 4 the README has 1e-3)",
    sources={
        "lr": f"{_README}, 8 GPUs",
        "global_batch": f"{_README}, 8 GPUs with -b 64",
        "weight_decay": _README,
        "decay_1d": f"{AUTHORS}: timm 0.3.4's create_optimizer, called by main.py",
        **dict.fromkeys(("decay_epochs", "decay_rate", *YOUNGER_FIELDS), UNUSED),
        "local_batch": f"{_README}, 8 GPUs with -b 64",
        "crop_pct": f"{AUTHORS}: models/t2t_vit.py, default_cfgs",
        "eval_interpolation": f"{AUTHORS}: models/t2t_vit.py, default_cfgs",
        **_defaults(
            optimizer="opt",
            momentum="opt-betas (None: torch's 0.9)",
            schedule="sched",
            epochs="epochs",
            cooldown_epochs="cooldown-epochs",
            min_lr="min-lr",
            warmup_epochs="warmup-epochs (5 before May 2021)",
            warmup_lr="warmup-lr",
            drop_path="drop-path",
            dropout="drop (0.1 before March 2021)",
            label_smoothing="smoothing",
            mixup="mixup",
            cutmix="cutmix",
            mixup_prob="mixup-prob",
            mixup_switch_prob="mixup-switch-prob",
            mixup_mode="mixup-mode",
            auto_augment="aa",
            color_jitter="color-jitter; without effect beside auto_augment, in timm",
            random_erasing="reprob",
            random_erasing_mode="remode",
            crop_scale_min="scale",
            crop_scale_max="scale",
            hflip="hflip",
            interpolation="train-interpolation",
            ema_decay="model-ema-decay",
        ),
    },
    optimizer="adamw",
    lr=5e-4,
    global_batch=512,
    momentum=0.9,
    weight_decay=0.05,
    decay_1d=False,
    schedule="cosine",
    epochs=300,
    cooldown_epochs=10,
    min_lr=1e-5,
    warmup_epochs=10,
    warmup_lr=1e-6,
    decay_epochs=0,
    decay_rate=1.0,
    drop_path=0.1,
    label_smoothing=0.1,
    mixup=0.8,
    cutmix=1.0,
    mixup_prob=1.0,
    mixup_switch_prob=0.5,
    mixup_mode="batch",
    auto_augment="rand-m9-mstd0.5-inc1",
    color_jitter=0.4,
    random_erasing=0.25,
    random_erasing_mode="pixel",
    crop_scale_min=0.08,
    crop_scale_max=1.0,
    hflip=0.5,
    interpolation="random",
    crop_pct=0.9,
    eval_interpolation="bicubic",
    ema_decay=0.99996,
    crop_padding=0.0,
    backbone_lr_scale=1.0,
    backbone_min_lr_scale=1.0,
    freeze_class_token_and_norm=False,
    augmentation_repeats=1,
    held_out=0.0,
    local_batch=64,
    train_fraction=1.0,
    dropout=0.0,
    erase_after_mixing=False,
)

T2T_LITE = dataclasses.replace(
    T2T_MEDIUM,
    name="t2t_lite",
    summary="T2T-ViT scheme for T2T-ViT-7, 10 and 12: learning rate 1e-3 at batch 512, weight decay 0.03",
    lr=1e-3,
    weight_decay=0.03,
)

T2T_DEEP = dataclasses.replace(
    T2T_MEDIUM,
    name="t2t_deep",
    summary="T2T-ViT scheme for the 19- and 24-layer networks: as t2t_medium, weight decay 0.065",
    weight_decay=0.065,
)

CNN_T2T = dataclasses.replace(
    T2T_MEDIUM,
    name="cnn_t2t",
    summary="CNN retrained by the authors with the T2T-ViT scheme (the rows marked *): as t2t_medium, crop_pct 0.875",
    sources={
        **{
            name: f"{source}; the paper gives the CNN rows no values of their own"
            for name, source in T2T_MEDIUM.sources.items()
        },
        "crop_pct": "timm 0.3.4: default_cfgs of its CNNs, with which the authors' main.py evaluates",
        "eval_interpolation": "timm 0.3.4: default_cfgs of its CNNs, with which the authors' main.py evaluates",
    },
    crop_pct=0.875,
)

_JANUARY = "https://github.com/yitu-opensource/T2T-ViT, commit fd50554"
"""the authors' code of January 2021 as it was last, before 70ffcf2 changed defaults of main.py on 2021-03-02; those
that are not named below are the same as in ``AUTHORS``"""
_JANUARY_README = f"{_JANUARY}: README, Train, T2T-ViT-14"

T2T_MEDIUM_JANUARY = dataclasses.replace(
    T2T_MEDIUM,
    name="t2t_medium_january",
    summary="T2T-ViT scheme of January 2021, before the authors changed it: as t2t_medium, with mixup 0.2 instead of "
    "0.8, no random erasing, dropout 0.1, and a warm-up of 3 epochs",
    sources={
        **{name: source.replace(AUTHORS, _JANUARY) for name, source in T2T_MEDIUM.sources.items()},
        "lr": _JANUARY_README,
        "global_batch": f"{_JANUARY_README}: 8 GPUs with -b 64",
        "local_batch": f"{_JANUARY_README}: 8 GPUs with -b 64",
        "weight_decay": _JANUARY_README,
        "decay_1d": f"{_JANUARY}: timm's create_optimizer, called by main.py",
        "warmup_epochs": f"{_JANUARY}: main.py, default of --warmup-epochs",
        "dropout": f"{_JANUARY}: main.py, default of --drop",
        "random_erasing_mode": UNUSED,
    },
    warmup_epochs=3,
    mixup=0.2,
    random_erasing=0.0,
    dropout=0.1,
)

CNN_T2T_JANUARY = dataclasses.replace(
    T2T_MEDIUM_JANUARY,
    name="cnn_t2t_january",
    summary="CNN trained with the T2T-ViT scheme of January 2021: as t2t_medium_january, crop_pct 0.875; dropout is "
    "ahead of the head",
    sources={
        **{
            name: f"{source}; the paper gives the CNN rows no values of their own"
            for name, source in T2T_MEDIUM_JANUARY.sources.items()
        },
        **{name: CNN_T2T.sources[name] for name in ("crop_pct", "eval_interpolation")},
    },
    crop_pct=CNN_T2T.crop_pct,
)

TORCHVISION = Recipe(
    name="torchvision",
    summary="torchvision's original ImageNet recipe, whose weights timm lists as tv_in1k: 90 epochs SGD, "
    "learning rate 0.1 at batch 256, divided by 10 every 30 epochs, weight decay 1e-4",
    sources={
        **{field.name: _TORCHVISION for field in dataclasses.fields(Recipe)},
        **dict.fromkeys(
            ("warmup_lr", "mixup_prob", "mixup_switch_prob", "mixup_mode", "random_erasing_mode", *YOUNGER_FIELDS),
            UNUSED,
        ),
        "local_batch": f"{_TORCHVISION}; its README trains on 8 GPUs with --batch-size 32",
    },
    optimizer="momentum",
    lr=0.1,
    global_batch=256,
    momentum=0.9,
    weight_decay=1e-4,
    decay_1d=True,
    schedule="step",
    epochs=90,
    cooldown_epochs=0,
    min_lr=0.0,
    warmup_epochs=0,
    warmup_lr=0.0,
    decay_epochs=30,
    decay_rate=0.1,
    drop_path=0.0,
    label_smoothing=0.0,
    mixup=0.0,
    cutmix=0.0,
    mixup_prob=0.0,
    mixup_switch_prob=0.0,
    mixup_mode="batch",
    auto_augment="",
    color_jitter=0.0,
    random_erasing=0.0,
    random_erasing_mode="const",
    crop_scale_min=0.08,
    crop_scale_max=1.0,
    hflip=0.5,
    interpolation="bilinear",
    crop_pct=0.875,
    eval_interpolation="bilinear",
    ema_decay=0.0,
    crop_padding=0.0,
    backbone_lr_scale=1.0,
    backbone_min_lr_scale=1.0,
    freeze_class_token_and_norm=False,
    augmentation_repeats=1,
    held_out=0.0,
    local_batch=32,
    train_fraction=1.0,
    dropout=0.0,
    erase_after_mixing=False,
)

_TRANSFER = f"{AUTHORS}: transfer_learning.py"

CIFAR_TRANSFER = Recipe(
    name="cifar_transfer",
    summary="the authors' fine-tuning on CIFAR: 60 epochs SGD at batch 64, learning rate 0.05 for the head and a "
    "hundredth of it for tokens and blocks, down to 2e-4 for both; here the last, incomplete batch of each "
    "epoch is dropped; the authors train in float32",
    sources={
        **{field.name: _TRANSFER for field in dataclasses.fields(Recipe)},
        **dict.fromkeys(
            (
                "warmup_lr",
                "decay_epochs",
                "decay_rate",
                "mixup_prob",
                "mixup_switch_prob",
                "mixup_mode",
                "random_erasing_mode",
                "augmentation_repeats",
                "held_out",
                "train_fraction",
                "dropout",
                "erase_after_mixing",
            ),
            UNUSED,
        ),
        "local_batch": f"{UNUSED}: neither mixup nor a network with batch norm",
        **dict.fromkeys(("crop_scale_min", "crop_scale_max"), f"{UNUSED}: it pads and crops"),
        "lr": f"{_README_TRANSFER}: --lr 0.05",
        "global_batch": f"{_README_TRANSFER}: --b 64, over both GPUs",
        "weight_decay": f"{_TRANSFER}, default of --wd",
        "min_lr": f"{_TRANSFER}, default of --min-lr",
        "drop_path": f"{_TRANSFER}, default of --drop-path",
        "crop_padding": f"{_TRANSFER}: RandomCrop(img_size, padding=img_size // 8)",
        "interpolation": f"{_TRANSFER}: default of torchvision's Resize",
        "eval_interpolation": f"{_TRANSFER}: default of torchvision's Resize",
        "crop_pct": f"{_TRANSFER}: Resize(img_size), no crop",
        "backbone_lr_scale": f"{_TRANSFER}, default of --transfer-ratio",
        "backbone_min_lr_scale": f"{_TRANSFER}: one eta_min for all groups",
        "freeze_class_token_and_norm": f"{_TRANSFER}: its optimizer is given neither",
    },
    optimizer="momentum",
    lr=0.05,
    global_batch=64,
    momentum=0.9,
    weight_decay=5e-4,
    decay_1d=True,
    schedule="cosine",
    epochs=60,
    cooldown_epochs=0,
    min_lr=2e-4,
    warmup_epochs=0,
    warmup_lr=0.0,
    decay_epochs=0,
    decay_rate=1.0,
    drop_path=0.1,
    label_smoothing=0.0,
    mixup=0.0,
    cutmix=0.0,
    mixup_prob=0.0,
    mixup_switch_prob=0.0,
    mixup_mode="batch",
    auto_augment="",
    color_jitter=0.0,
    random_erasing=0.0,
    random_erasing_mode="const",
    crop_scale_min=1.0,
    crop_scale_max=1.0,
    hflip=0.5,
    interpolation="bilinear",
    crop_pct=1.0,
    eval_interpolation="bilinear",
    ema_decay=0.0,
    crop_padding=0.125,
    backbone_lr_scale=0.01,
    backbone_min_lr_scale=1.0,
    freeze_class_token_and_norm=True,
    augmentation_repeats=1,
    held_out=0.0,
    local_batch=64,
    train_fraction=1.0,
    dropout=0.0,
    erase_after_mixing=False,
)


def changed(recipe: Recipe, source: str, **values: object) -> Recipe:
    """The recipe with some values changed for one stated reason, which becomes their source."""
    sources = {**recipe.sources, **dict.fromkeys(values, source)}
    return dataclasses.replace(recipe, sources=sources, **values)  # type: ignore[arg-type]  # a value for its field


_CORRECTED = "t2t-bench, corrected"

CIFAR_TRANSFER_CORRECTED = dataclasses.replace(
    changed(
        changed(
            changed(
                CIFAR_TRANSFER,
                f"{_CORRECTED}: the authors' optimizer is given neither class token nor final norm",
                freeze_class_token_and_norm=False,
            ),
            f"{_CORRECTED}: relative to each group, where the authors' one floor is 40 % of the backbone's first rate",
            backbone_min_lr_scale=CIFAR_TRANSFER.backbone_lr_scale,
        ),
        f"{_CORRECTED}: the authors choose the best epoch on the test images",
        held_out=0.1,
    ),
    name="cifar_transfer_corrected",
    summary="as cifar_transfer, with all parameters trained, the floor of the learning rate relative to each group, "
    "and a tenth of the training images held out for choosing: the test images are used once, after the last epoch",
)

TRANSFER_RECIPES = {recipe.name: recipe for recipe in (CIFAR_TRANSFER, CIFAR_TRANSFER_CORRECTED)}
"""those that fine-tune the rows of Table 5, by name: the authors' own first"""

CNN_T2T_NO_DROP_PATH = dataclasses.replace(
    changed(CNN_T2T, "t2t-bench: off, DenseNet has no residual branch to drop", drop_path=0.0),
    name="cnn_t2t_no_drop_path",
    summary="as cnn_t2t, without stochastic depth",
)

VIT_T2T = dataclasses.replace(
    T2T_MEDIUM,
    name="vit_t2t",
    summary="plain ViTs trained by the authors, presumably with the T2T-ViT scheme: as t2t_medium",
    sources={
        name: f"{source}; the paper gives the ViT rows no values of their own"
        for name, source in T2T_MEDIUM.sources.items()
    },
)

_DEIT = "https://github.com/facebookresearch/deit, commit 0282d2a"


def _deit_default(option: str) -> str:
    return f"{_DEIT}: main.py, default of --{option}"


DEIT = dataclasses.replace(
    T2T_MEDIUM,
    name="deit",
    summary="DeiT (Touvron et al. 2021): 300 epochs AdamW, learning rate 1e-3 at batch 1024, "
    "repeated augmentation; the schedule steps before each epoch here, after it in DeiT's code",
    sources=dict(T2T_MEDIUM.sources)
    | {
        "optimizer": _deit_default("opt"),
        "lr": f"{_deit_default('lr')}, scaled by batch / 512",
        "global_batch": f"{_DEIT}: README, 4 GPUs with --batch-size 256",
        "momentum": _deit_default("opt-betas (None: torch's 0.9)"),
        "weight_decay": _deit_default("weight-decay"),
        "decay_1d": f"{_DEIT}: timm's create_optimizer, called by main.py",
        "schedule": _deit_default("sched"),
        "epochs": _deit_default("epochs"),
        "cooldown_epochs": f"{_DEIT}: main.py trains --epochs epochs, whatever --cooldown-epochs says",
        "min_lr": _deit_default("min-lr"),
        "warmup_epochs": _deit_default("warmup-epochs"),
        "warmup_lr": _deit_default("warmup-lr"),
        "drop_path": _deit_default("drop-path"),
        "dropout": _deit_default("drop"),
        "label_smoothing": _deit_default("smoothing"),
        "mixup": _deit_default("mixup"),
        "cutmix": _deit_default("cutmix"),
        "mixup_prob": _deit_default("mixup-prob"),
        "mixup_switch_prob": _deit_default("mixup-switch-prob"),
        "mixup_mode": _deit_default("mixup-mode"),
        "auto_augment": _deit_default("aa"),
        "color_jitter": _deit_default("color-jitter; without effect beside auto_augment, in timm"),
        "random_erasing": _deit_default("reprob"),
        "random_erasing_mode": _deit_default("remode"),
        **dict.fromkeys(
            ("crop_scale_min", "crop_scale_max", "hflip"), "timm: defaults of create_transform, called by DeiT"
        ),
        "interpolation": _deit_default("train-interpolation"),
        "crop_pct": f"{_DEIT}: datasets.py, 224 of 256 pixels",
        "eval_interpolation": f"{_DEIT}: datasets.py",
        "ema_decay": f"{_DEIT}: main.py evaluates the raw weights; it reports no averaged weights",
        "augmentation_repeats": f"{_DEIT}: samplers.py, RASampler",
        "local_batch": f"{_DEIT}: README, 4 GPUs with --batch-size 256",
    },
    lr=1e-3,
    global_batch=1024,
    cooldown_epochs=0,
    warmup_epochs=5,
    interpolation="bicubic",
    crop_pct=0.875,
    ema_decay=0.0,
    augmentation_repeats=3,
    local_batch=256,
)

DEIT_TEACHER = Teacher("regnety_160.deit_in1k", source=f"{_DEIT}: README, the RegNetY-16GF that taught DeiT")
T2T_TEACHER = Teacher(
    DEIT_TEACHER.model, source="DeiT's: the T2T-ViT paper distils as DeiT does, from a CNN that it does not name"
)

TORCHVISION_LR_01 = dataclasses.replace(
    changed(TORCHVISION, f"{_TORCHVISION}; its README gives AlexNet and VGG --lr 1e-2", lr=0.01),
    name="torchvision_lr_01",
    summary="torchvision's original recipe for networks without batch norm: as torchvision, learning rate 0.01",
)


def override(recipe: Recipe, settings: Iterable[str]) -> Recipe:
    """The recipe with some fields set anew, each given as "field=value".

    Raises:
        RequestError: no such field, one that is given twice or that the recipe would not use, or a value that is not
            of the field's type.
    """
    types = {
        f.name: type(getattr(recipe, f.name)) for f in dataclasses.fields(recipe) if f.compare and f.name != "name"
    }
    values: dict[str, object] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals:
            raise RequestError(f"--set {setting!r}: give it as FIELD=VALUE, for example --set lr=1e-3")
        if name not in types:
            raise unknown("field of a recipe", name, types)
        if name in values:
            raise RequestError(f"--set {setting!r}: {name} is given twice; give it once")
        try:
            values[name] = _parse(text, types[name])
        except ValueError as error:
            raise RequestError(f"--set {setting!r}: {name} takes a {types[name].__name__}, not {text!r}") from error
    found = changed(recipe, "--set on the command line", **values)
    if found.warmup_epochs > found.epochs:
        raise RequestError(
            f"warmup_epochs={found.warmup_epochs} is more than epochs={found.epochs}: the learning rate would never "
            "reach its peak; choose fewer with --set warmup_epochs="
        )
    steps = [name for name in ("decay_epochs", "decay_rate") if name in values]
    if steps and found.schedule != "step":
        raise RequestError(f"--set {' and '.join(steps)}: a cosine schedule has no steps; add schedule=step")
    if "decay_epochs" in values and found.decay_epochs >= found.total_epochs:
        raise RequestError(
            f"--set decay_epochs={found.decay_epochs}: no step comes within {found.total_epochs} epochs; choose fewer"
        )
    return found


def _parse(text: str, kind: type) -> object:
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise ValueError(text)
        return text.lower() == "true"
    if kind in (int, float) and not re.fullmatch(r"[-+.\w]+", text.replace("_", " "), re.ASCII):
        raise ValueError(text)
    return kind(text)
