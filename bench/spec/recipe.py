"""Recipes: every value by which a network is trained, with its range and its source."""

import functools
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from bench.spec.errors import RequestError, unknown

_CHOICES = {
    "optimizer": ("adamw", "momentum"),
    "schedule": ("cosine", "step"),
    "mixup_mode": ("batch", "pair", "elem"),
    "random_erasing_mode": ("const", "rand", "pixel"),
    "interpolation": ("random", "bilinear", "bicubic"),
    "eval_interpolation": ("bilinear", "bicubic"),
}
Number = int | float
"""kept as it is written: recipes with 1 and with 1.0 have different run ids"""

LARGEST = 1e30
_RANGES: dict[str, tuple[float, float]] = {
    "lr": (1e-30, LARGEST),
    "global_batch": (1, 2**20),
    "momentum": (0, 0.99999),
    "weight_decay": (0, LARGEST),
    "epochs": (1, 99_000),
    "cooldown_epochs": (0, 900),
    "min_lr": (0, LARGEST),
    "warmup_epochs": (0, 99_000),
    "warmup_lr": (0, LARGEST),
    "decay_epochs": (0, 99_000),
    "decay_rate": (0, 1),
    "drop_path": (0, 0.99),
    "dropout": (0, 0.99),
    "label_smoothing": (0, 0.99),
    "mixup": (0, LARGEST),
    "cutmix": (0, LARGEST),
    "mixup_prob": (0, 1),
    "mixup_switch_prob": (0, 1),
    "color_jitter": (0, 1),
    "random_erasing": (0, 1),
    "crop_scale_min": (0.0001, 1),
    "crop_scale_max": (0.0001, 1),
    "hflip": (0, 1),
    "crop_pct": (0.01, 1),
    "ema_decay": (0, 0.9999999),
    "crop_padding": (0, 1),
    "backbone_lr_scale": (1e-30, 1),
    "backbone_min_lr_scale": (1e-30, 1),
    "augmentation_repeats": (1, 1000),
    "held_out": (0, 0.5),
    "local_batch": (1, 2**20),
    "train_fraction": (1e-6, 1),
}
"""least and most of each number in a recipe"""


def divisors(number: int) -> list[int]:
    """All whole numbers that divide one, ascending."""
    small = [n for n in range(1, math.isqrt(number) + 1) if number % n == 0]
    return sorted({*small, *(number // n for n in small)})


UNUSED = "not used by this recipe"
"""how the source of a recipe's value begins where it does nothing"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A complete recipe for training a network: no value is left to a library's default."""

    name: str
    summary: str = field(compare=False)
    sources: Mapping[str, str] = field(compare=False)
    """by field, where its value comes from"""

    optimizer: str
    """timm's name: "adamw", or "momentum" for SGD with plain momentum"""
    lr: Number
    """peak, for the global batch"""
    global_batch: int
    """images an optimizer step, over all processes and accumulated micro-batches"""
    momentum: Number
    """of SGD, or the first beta of AdamW"""
    weight_decay: Number
    decay_1d: bool
    """whether biases, norms and other 1-D parameters decay too"""
    schedule: str
    """cosine or step"""
    epochs: int
    """of the schedule, cooldown not included"""
    cooldown_epochs: int
    """at the minimal learning rate, after the schedule"""
    min_lr: Number
    warmup_epochs: int
    """linear, over the first epochs of the schedule"""
    warmup_lr: Number
    """in epoch 0"""
    decay_epochs: int
    """of the step schedule: epochs between two steps"""
    decay_rate: Number
    """of the step schedule: factor at each step"""
    drop_path: Number
    label_smoothing: Number
    mixup: Number
    cutmix: Number
    mixup_prob: Number
    mixup_switch_prob: Number
    mixup_mode: str
    auto_augment: str
    """timm's policy string; empty for none"""
    color_jitter: Number
    """without auto_augment only, as in timm"""
    random_erasing: Number
    """probability"""
    random_erasing_mode: str
    crop_scale_min: Number
    """of the random resized crop, as a part of the image's area"""
    crop_scale_max: Number
    hflip: Number
    interpolation: str
    """of training images: "random" draws bilinear or bicubic"""
    crop_pct: Number
    """of evaluation: side of the centre crop over the resized shorter side"""
    eval_interpolation: str
    ema_decay: Number
    """of the averaged weights, by step; 0 for none"""
    crop_padding: Number
    """for training, resize the image and crop it at random after padding by this part of its side; 0 for a random
    resized crop instead"""
    backbone_lr_scale: Number
    """learning rate of all but the head, as a part of lr"""
    backbone_min_lr_scale: Number
    """likewise of min_lr"""
    freeze_class_token_and_norm: bool
    """leave a transformer's class token, positions and final norm as they came: train tokens, blocks and head"""
    augmentation_repeats: int
    """times that an image comes in a batch, augmented anew each time; an epoch is no longer for it, and sees fewer"""
    held_out: Number
    """part of the training images that is kept from training, to choose by; the data set's validation images are then
    seen once, after the last epoch. 0 validates on the latter after each epoch"""
    local_batch: int
    """most images over which batch-norm statistics are computed and one mixup draw is made: the batch of one GPU, where
    the recipe was published for several"""
    train_fraction: Number
    """part of the training images, without those that are held out, that is trained on: as much of each class, the same
    for every seed, and a part of what a larger fraction takes"""
    dropout: Number
    """what the network's factory takes as drop_rate: of the T2T-ViTs dropout behind positions, attention and MLPs, of
    timm's ResNets ahead of the head; 0 leaves the network's own"""
    erase_after_mixing: bool
    """erase from images that are mixed already, so that what is erased is noise alone; otherwise each image is erased
    from before it is mixed with another"""

    def __post_init__(self) -> None:
        if missing := [name for name in COUNTED_FIELDS if name != "name" and name not in self.sources]:
            raise ValueError(f"recipe {self.name!r} gives no source for {', '.join(missing)}")
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise unknown(name, getattr(self, name), choices)
        for name, (least, most) in _RANGES.items():
            if not least <= getattr(self, name) <= most:  # also false for nan
                raise RequestError(f"{name}={getattr(self, name)} is not possible; choose from {least} to {most}")
        if self.mixes and (self.global_batch % 2 or self.local_batch < 2):
            raise RequestError(
                f"mixup and cutmix pair images, which global_batch={self.global_batch} with "
                f"local_batch={self.local_batch} does not allow; choose an even global_batch, and local_batch=2 or more"
            )
        if self.schedule == "step" and not self.decay_epochs:
            raise RequestError("schedule=step needs decay_epochs; choose 1 or more epochs")
        if self.crop_scale_min > self.crop_scale_max:
            raise RequestError(f"crop_scale_min={self.crop_scale_min} is above crop_scale_max={self.crop_scale_max}")
        beside = ("auto_augment", "color_jitter", "random_erasing")
        if self.crop_padding and (self.interpolation == "random" or any(getattr(self, name) for name in beside)):
            raise RequestError(
                f"crop_padding={self.crop_padding} goes with flips alone: choose interpolation bilinear or bicubic, "
                f"and {', '.join(beside)} off; or crop_padding=0"
            )
        _require_policy(self.auto_augment)

    @property
    def total_epochs(self) -> int:
        """Epochs that are trained."""
        return self.epochs + self.cooldown_epochs

    @property
    def mixes(self) -> bool:
        """Whether training images are mixed in pairs."""
        return bool(self.mixup or self.cutmix)

    @property
    def effective_local_batch(self) -> int:
        """Images of a local batch: as many as divide the global batch, an even number where they are mixed."""
        sizes = [size for size in divisors(self.global_batch) if not (self.mixes and size % 2)]
        return max(size for size in sizes if size <= self.local_batch)


COUNTED_FIELDS = tuple(f.name for f in fields(Recipe) if f.compare)
"""fields that change the result"""

YOUNGER_FIELDS: dict[str, float | bool] = {
    "crop_padding": 0.0,
    "backbone_lr_scale": 1.0,
    "backbone_min_lr_scale": 1.0,
    "freeze_class_token_and_norm": False,
    "augmentation_repeats": 1,
    "held_out": 0.0,
    "local_batch": 64,
    "train_fraction": 1.0,
    "dropout": 0.0,
    "erase_after_mixing": False,
}
"""fields younger than the first runs, with the values at which a recipe is what it was before: these stay out of a
run's identity, so that older runs keep their ids"""

_NUMBER = r"\d+(\.\d+)?"
_POLICIES = {
    "rand": {"m": r"\d+", "n": r"[1-9]\d*", "p": r"0(\.\d+)?|1(\.0+)?", "mstd": _NUMBER, "mmax": r"\d+", "inc": "[01]"},
    "augmix": {"m": r"\d+", "w": r"[1-9]\d*", "d": r"[1-9]\d*", "a": _NUMBER, "b": "[01]", "mstd": _NUMBER},
    **{policy: {"mstd": _NUMBER} for policy in ("original", "originalr", "v0", "v0r", "3a")},
}
"""timm's policies of augmentation, with the sections that each takes and the values of these; timm itself passes over
most that it does not understand"""


@functools.cache
def _require_policy(text: str) -> None:
    """Check a policy of augmentation, such as ``rand-m9-mstd0.5-inc1``.

    Raises:
        RequestError: timm would fail at it, or pass over a part of it.
    """
    policy, *sections = text.split("-")
    if not text:
        return
    if policy not in _POLICIES:
        raise unknown("policy of auto_augment", policy, _POLICIES, "as in rand-m9-mstd0.5-inc1")
    if policy in ("rand", "augmix") and not sections:
        raise RequestError(f"auto_augment={text!r}: no magnitude; give it as {policy}-m9")
    seen: set[str] = set()
    for section in sections:
        key = re.match("[a-z]*", section)[0]  # type: ignore[index]  # matches nothing, too
        values = _POLICIES[policy].get(key)
        if values is None or key in seen or not re.fullmatch(f"(?:{values})", section.removeprefix(key), re.ASCII):
            choices = ", ".join(_POLICIES[policy])
            raise RequestError(
                f"auto_augment={text!r}: {section!r} is not a section of {policy}, or is given twice; choose from "
                f"{choices}, each with a number, as in rand-m9-mstd0.5-inc1"
            )
        seen.add(key)
