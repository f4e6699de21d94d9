"""The vocabulary of the suite: what a row, a run and a measurement are. Standard library only."""

import base64
import datetime
import difflib
import fnmatch
import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, TypeVar

T = TypeVar("T")

CELLS = ("top1_pct", "params_m", "macs_g")
STRUCTURE = ("tokens", "depth", "hidden", "mlp")
"""what a table may say of a network's structure: the layer that makes tokens, blocks (layers of a CNN), widths"""


class RequestError(Exception):
    """The request cannot be met as made: one line with the value, the choices and the remedy (exit code 2)."""


def unknown(kind: str, value: object, choices: Iterable[object], remedy: str = "") -> RequestError:
    """The error for a value that is none of the choices, with the likeliest one named."""
    names = [str(choice) for choice in choices]
    by_lower = {name.lower(): name for name in names}
    close = difflib.get_close_matches(str(value).lower(), by_lower, n=1)
    hint = f"; did you mean {by_lower[close[0]]!r}?" if close else ""
    return RequestError(
        f"unknown {kind} {str(value)!r}{hint} (choose from {', '.join(names)})" + (f"; {remedy}" if remedy else "")
    )


def matching(named: Sequence[tuple[Sequence[str], T]], patterns: Sequence[str] | None) -> list[T]:
    """What stands behind the names (of row and network) that a pattern matches, or behind all.

    Raises:
        RequestError: a pattern matches nothing.
    """
    if not patterns:
        return [item for _, item in named]
    matches = {
        pattern: [
            item for names, item in named if any(fnmatch.fnmatchcase(name.lower(), pattern.lower()) for name in names)
        ]
        for pattern in patterns
    }
    for pattern, found in matches.items():
        if not found:
            names = [names[0] for names, _ in named]
            raise unknown("row or network", pattern, names, "--list shows networks; * and ? are wildcards")
    return [item for _, item in named if any(item in found for found in matches.values())]


@dataclass(frozen=True, slots=True, kw_only=True)
class Edition:
    """One printing of the paper's numbers."""

    key: str
    """what ``--edition`` takes"""
    name: str
    citation: str
    amends: "Edition | None" = None
    """the edition whose figures hold for rows that this one does not print"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """One row's figures as an edition prints them; None where it prints none."""

    top1_pct: float | None = None
    params_m: float | None = None
    macs_g: float | None = None
    cifar10_pct: float | None = None
    """top-1 after fine-tuning"""
    cifar100_pct: float | None = None
    change_pct: float | None = None
    """of top-1 against the group's baseline, where what is printed is not the difference of the printed figures"""
    structure: Mapping[str, str] = field(default_factory=dict)
    """by column of STRUCTURE, as printed"""
    why: Mapping[str, str] = field(default_factory=dict)
    """the reason we hold, by cell, for a figure that our measurement contradicts"""

    def __post_init__(self) -> None:
        for column in self.structure:
            if column not in STRUCTURE:
                raise unknown("column of a network's structure", column, STRUCTURE)
        for cell in self.why:
            if cell not in self.structure and (cell not in CELLS or getattr(self, cell) is None):
                raise ValueError(f"a reason needs a printed figure beside it: {cell!r}")


_CHOICES = {
    "optimizer": ("adamw", "momentum"),
    "schedule": ("cosine", "step"),
    "mixup_mode": ("batch", "pair", "elem"),
    "random_erasing_mode": ("const", "rand", "pixel"),
    "interpolation": ("random", "bilinear", "bicubic"),
    "eval_interpolation": ("bilinear", "bicubic"),
}
_LARGEST = 1e30
_RANGES: dict[str, tuple[float, float]] = {
    "lr": (1e-30, _LARGEST),
    "global_batch": (1, 2**20),
    "momentum": (0, 0.99999),
    "weight_decay": (0, _LARGEST),
    "epochs": (1, 99_000),
    "cooldown_epochs": (0, 900),
    "min_lr": (0, _LARGEST),
    "warmup_epochs": (0, 99_000),
    "warmup_lr": (0, _LARGEST),
    "decay_epochs": (0, 99_000),
    "decay_rate": (0, 1),
    "drop_path": (0, 0.99),
    "label_smoothing": (0, 0.99),
    "mixup": (0, _LARGEST),
    "cutmix": (0, _LARGEST),
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
}
"""least and most of each number in a recipe"""


UNUSED = "not used by this recipe"
"""how the source of a recipe's value begins where it does nothing"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a network is trained, completely: no value is left to a library's default."""

    name: str
    summary: str = field(compare=False)
    sources: Mapping[str, str] = field(compare=False)
    """by field, where its value comes from"""

    optimizer: str
    """timm's name: "adamw", or "momentum" for SGD with plain momentum"""
    lr: float
    """peak, for the global batch"""
    global_batch: int
    """images an optimizer step, over all processes and accumulated micro-batches"""
    momentum: float
    """of SGD, or the first beta of AdamW"""
    weight_decay: float
    decay_1d: bool
    """whether biases, norms and other 1-D parameters decay too"""
    schedule: str
    """cosine or step"""
    epochs: int
    """of the schedule, cooldown not included"""
    cooldown_epochs: int
    """at the minimal learning rate, after the schedule"""
    min_lr: float
    warmup_epochs: int
    """linear, over the first epochs of the schedule"""
    warmup_lr: float
    """in epoch 0"""
    decay_epochs: int
    """of the step schedule: epochs between two steps"""
    decay_rate: float
    """of the step schedule: factor at each step"""
    drop_path: float
    label_smoothing: float
    mixup: float
    cutmix: float
    mixup_prob: float
    mixup_switch_prob: float
    mixup_mode: str
    auto_augment: str
    """timm's policy string; empty for none"""
    color_jitter: float
    """without auto_augment only, as in timm"""
    random_erasing: float
    """probability"""
    random_erasing_mode: str
    crop_scale_min: float
    """of the random resized crop, as a part of the image's area"""
    crop_scale_max: float
    hflip: float
    interpolation: str
    """of training images: "random" draws bilinear or bicubic"""
    crop_pct: float
    """of evaluation: side of the centre crop over the resized shorter side"""
    eval_interpolation: str
    ema_decay: float
    """of the averaged weights, by step; 0 for none"""
    crop_padding: float
    """for training, resize the image and crop it at random after padding by this part of its side; 0 for a random
    resized crop instead"""
    backbone_lr_scale: float
    """learning rate of all but the head, as a part of lr"""
    backbone_min_lr_scale: float
    """likewise of min_lr"""
    freeze_class_token_and_norm: bool
    """leave a transformer's class token, positions and final norm as they came: train tokens, blocks and head"""
    augmentation_repeats: int
    """times that an image comes in a batch, augmented anew each time; an epoch is no longer for it, and sees fewer"""
    held_out: float
    """part of the training images that is kept from training, to choose by; the data set's validation images are then
    seen once, after the last epoch. 0 validates on the latter after each epoch"""

    def __post_init__(self) -> None:
        missing = [f.name for f in fields(self) if f.compare and f.name != "name" and f.name not in self.sources]
        if missing:
            raise ValueError(f"recipe {self.name!r} gives no source for {', '.join(missing)}")
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise unknown(name, getattr(self, name), choices)
        for name, (least, most) in _RANGES.items():
            if not least <= getattr(self, name) <= most:  # also false for nan
                raise RequestError(f"{name}={getattr(self, name)} is not possible; choose from {least} to {most}")
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
        if self.auto_augment and not self.auto_augment.startswith(("rand-", "augmix-", "original", "v0", "3a")):
            raise RequestError(
                f"unknown auto_augment {self.auto_augment!r}; choose a policy of timm's, as rand-m9-mstd0.5-inc1"
            )

    @property
    def total_epochs(self) -> int:
        """Epochs that are trained."""
        return self.epochs + self.cooldown_epochs


YOUNGER_FIELDS: dict[str, float | bool] = {
    "crop_padding": 0.0,
    "backbone_lr_scale": 1.0,
    "backbone_min_lr_scale": 1.0,
    "freeze_class_token_and_norm": False,
    "augmentation_repeats": 1,
    "held_out": 0.0,
}
"""fields younger than the first runs, with the values at which a recipe is what it was before: these stay out of a
run's identity, so that older runs keep their ids"""

ModelArgs = tuple[tuple[str, int | float | str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """What is measured: a network at a resolution."""

    model: str = field(kw_only=False)
    """name that ``timm.create_model`` knows once ``models`` is imported"""
    model_args: ModelArgs = ()
    """further arguments of the factory"""
    img_size: int = 224
    """pixels, square"""

    def __str__(self) -> str:
        arguments = ",".join(f"{name}={value}" for name, value in self.model_args)
        return f"{self.model}({arguments})" if arguments else self.model


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """A file of weights, by what is in it."""

    sha256: str
    file: str = field(default="", compare=False)
    """its name, for the reader"""

    def __str__(self) -> str:
        return f"{self.file}-{self.sha256[:8]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Teacher:
    """A trained network that a distilled one learns from."""

    model: str = field(kw_only=False)
    """timm's name, with the tag of its pretrained weights unless a file holds them"""
    weights: Weights | None = None
    """the file"""
    source: str = field(default="", compare=False)
    """why this one"""

    def __str__(self) -> str:
        return f"{self.model}={self.weights}" if self.weights else self.model


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpec:
    """One training run: everything that changes its result, and nothing else."""

    model: str
    """name that ``timm.create_model`` knows once ``models`` is imported"""
    model_args: ModelArgs = ()
    """further arguments of the factory"""
    dataset: str
    """imagenet, cifar10, cifar100, synthetic, or what timm's create_dataset names by prefix"""
    recipe: Recipe
    img_size: int
    """pixels, square"""
    seed: int = 42
    """the authors' default"""
    start_from: "RunSpec | None" = None
    """the run, of the same network, whose final weights it starts from instead of random ones"""
    weights: Weights | None = None
    """the file that it starts from, where that is no run of this suite"""
    teacher: Teacher | None = None
    """whose decisions the distillation token learns"""

    def __post_init__(self) -> None:
        parent = self.start_from
        if parent and self.weights:
            raise ValueError(f"{self.model!r} cannot start from a run and from a file")
        if parent and (parent.model, parent.model_args) != (self.model, self.model_args):
            raise ValueError(f"{self.model!r} cannot start from the weights of {parent.model!r}")

    @property
    def network(self) -> Network:
        """What it trains, for its params and MACs."""
        return Network(self.model, model_args=self.model_args, img_size=self.img_size)

    @property
    def run_id(self) -> str:
        """``<model>-<dataset>-<recipe>-s<seed>-<8 hex>``, the hex from all that changes the result."""
        dataset = self.dataset.replace("/", "_")
        identity = json.dumps(self.identity(), sort_keys=True)
        digest = hashlib.sha1(identity.encode(), usedforsecurity=False).hexdigest()[:8]
        return f"{self.model}-{dataset}-{self.recipe.name}-s{self.seed}-{digest}"

    def with_seed(self, seed: int) -> "RunSpec":
        """The same with another seed, from its parent on."""
        parent = self.start_from.with_seed(seed) if self.start_from else None
        return replace(self, seed=seed, start_from=parent)

    def starting_from(self, weights: Weights) -> "RunSpec":
        """The same from a file's weights instead of another run's."""
        return replace(self, start_from=None, weights=weights)

    def seeds_in(self, run_ids: Iterable[str]) -> "list[RunSpec]":
        """The same with each seed that one of the run ids has, by seed."""
        there = set(run_ids)
        pattern = re.compile(re.escape(self.run_id.rpartition("-s")[0]) + r"-s(\d+)-[0-9a-f]{8}")
        seeds = {int(match[1]) for match in map(pattern.fullmatch, there) if match}
        return [spec for spec in map(self.with_seed, sorted(seeds)) if spec.run_id in there]

    def is_from_a_file(self, record: "RunRecord") -> bool:
        """Whether a record is of the same run with any seed, but for its start: from a file's weights."""
        start = ("start_from", "weights", "seed")
        own = json.loads(json.dumps({k: v for k, v in self.identity().items() if k not in start}))
        return "weights" in record.spec and own == {k: v for k, v in record.spec.items() if k not in start}

    def to_json(self) -> str:
        """The whole spec, sources included, for spec.json."""
        return json.dumps(asdict(self), indent=2) + "\n"

    @staticmethod
    def from_json(text: str) -> "RunSpec":
        """What ``to_json`` wrote.

        Raises:
            ValueError: it is not a spec.
        """
        try:
            values = json.loads(text)
            return _spec(values)
        except (KeyError, TypeError, AttributeError, RecursionError, RequestError) as error:
            raise ValueError(f"not a run's spec: {error}") from error

    def identity(self) -> dict[str, object]:
        """What the run id stands for, as JSON has it."""
        values = {f.name: getattr(self.recipe, f.name) for f in fields(self.recipe) if f.compare}
        recipe = {name: value for name, value in values.items() if YOUNGER_FIELDS.get(name) != value}
        own = [f.name for f in fields(self) if f.name not in ("start_from", "weights", "teacher")]
        identity = {name: getattr(self, name) for name in own} | {
            "recipe": recipe,
            "model_args": [list(pair) for pair in self.model_args],
        }
        # What a run has none of stays out, so that runs older than these fields keep their ids.
        identity |= {"start_from": self.start_from.run_id} if self.start_from else {}
        identity |= {"weights": self.weights.sha256} if self.weights else {}
        if self.teacher:
            identity["teacher"] = self.teacher.model
            identity |= {"teacher_weights": self.teacher.weights.sha256} if self.teacher.weights else {}
        return identity


def _spec(values: dict[str, Any]) -> RunSpec:
    parent = values.get("start_from")
    recipe = YOUNGER_FIELDS | values["recipe"]
    recipe["sources"] = dict.fromkeys(YOUNGER_FIELDS, "the recipe is older than this field") | recipe["sources"]
    parts = {
        "recipe": Recipe(**recipe),
        "model_args": tuple((name, value) for name, value in values["model_args"]),
        "start_from": _spec(parent) if parent else None,
        "weights": _weights(values.get("weights")),
        "teacher": _teacher(values.get("teacher")),
    }
    return RunSpec(**values | parts)


def _weights(values: dict[str, str] | None) -> Weights | None:
    return Weights(**values) if values else None


def _teacher(values: dict[str, Any] | None) -> Teacher | None:
    return Teacher(values["model"], weights=_weights(values["weights"]), source=values["source"]) if values else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """Where and with what a run is trained: changes how fast, never what comes out (but for rounding)."""

    data: str
    """folder with imagenet/{train,val}, cifar10, cifar100"""
    download: bool = False
    """fetch CIFAR where it is missing"""
    workers: int | None = None
    """loading processes a training process, 0 to load in the training process; None for as many as its share of the
    machine's cores feeds, up to 8, with a GPU, and 0 without"""
    micro_batch: int = 64
    """most images a device takes at once; the global batch is reached by accumulation"""
    save_every_s: float = 300
    """seconds between saves inside an epoch"""
    max_unreadable: int = 100
    """images that may fail to load before the run does"""
    precision: str = "auto"
    """of autocast: auto takes bfloat16 where the hardware has it, else float16 on a GPU, else float32"""
    beat_s: float = 15
    """seconds between two signs of life, which tell how far the run is"""
    files: Mapping[str, str] = field(default_factory=dict)
    """where files of weights lie, by their sha256, and timm's pretrained ones, by name with tag"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What a complete data set holds."""

    num_classes: int
    train_images: int
    val_images: int


DATASETS = {
    "imagenet": Contents(num_classes=1000, train_images=1_281_167, val_images=50_000),
    "cifar10": Contents(num_classes=10, train_images=50_000, val_images=10_000),
    "cifar100": Contents(num_classes=100, train_images=50_000, val_images=10_000),
    "synthetic": Contents(num_classes=10, train_images=512, val_images=256),
}
"""those whose contents are known beforehand"""


def imagenet(model: str, recipe: Recipe, *, img_size: int = 224, teacher: Teacher | None = None) -> RunSpec:
    """A run from scratch on ImageNet-1k."""
    return RunSpec(model=model, dataset="imagenet", recipe=recipe, img_size=img_size, teacher=teacher)


def transfer(run: RunSpec, dataset: str, recipe: Recipe) -> RunSpec:
    """The fine-tuning of a run's final weights on another data set, at its resolution."""
    return replace(run, dataset=dataset, recipe=recipe, start_from=run)


NO_SEAL = "no checksum"
BROKEN_SEAL = "edited by hand"
"""what may be wrong with the checksum of a record, an evaluation or a measurement: it was written before they had one,
or it was changed afterwards and fills no cell"""

STATUSES = ("running", "interrupted", "failed", "diverged", "completed")
"""what a run's record may say of it; a "running" run whose process is gone was killed"""


@dataclass(slots=True, kw_only=True)
class RunRecord:
    """What a run's record.json remembers: the only mutable thing here, written whole at each change."""

    run_id: str
    spec: Mapping[str, object]
    """``RunSpec.identity()``"""
    status: str
    history: list[dict[str, object]]
    """an entry for each change of status or other event: what, when (UTC), host, pid"""
    git: Mapping[str, object]
    """commit of the suite's checkout and whether the tree was dirty; empty outside a checkout"""
    versions: Mapping[str, str]
    device: str = ""
    precision: str = ""
    """of autocast: bfloat16, float16 or float32"""
    world_size: int = 0
    """processes"""
    data: Mapping[str, object] = field(default_factory=dict)
    """classes and images found, and what was expected"""
    unreadable: list[str] = field(default_factory=list)
    """images that failed to load, each with its error"""
    epoch: int = 0
    """epochs finished"""
    epochs: int = 0
    images_per_s: float | None = None
    """of training, in the last epoch"""
    epoch_images_per_s: list[float | None] = field(default_factory=list)
    """likewise in each epoch from 0; of one that was resumed in its middle, in the part that the last attempt trained;
    None where nobody noted it"""
    metrics_sha256: str = ""
    """over the first ``epoch`` lines of metrics.jsonl; empty for a run of before this field"""
    wall_time_s: float = 0.0
    """over all attempts, as far as they were recorded"""
    results: Mapping[str, float] = field(default_factory=dict)
    """accuracies in %, named {raw,ema}_{last,best}_{top1,top5}_pct, and the epochs of the best; where the recipe holds
    images out, those named held_out_... are on these, and of the others there is the last epoch's alone"""
    error: str = ""
    """one line, for a run that failed or diverged"""
    seal: str = field(default="", compare=False)
    """what is wrong with the checksum of the file that it was read from, and nothing if it holds; not saved"""

    @property
    def is_whole(self) -> bool:
        """Whether it was trained to its end on the complete data set, and says so in its own words."""
        return self.status == "completed" and bool(self.data.get("complete")) and self.seal != BROKEN_SEAL

    def top1_pct(self, protocol: str, images: str = "") -> float | None:
        """Accuracy by "best" (the paper's: best epoch, averaged weights where there are any) or "last" epoch.

        On the data set's validation images, or with "held_out_" on those that its recipe held out, if it did.
        """
        of = self.results
        return of.get(f"{images}ema_{protocol}_top1_pct", of.get(f"{images}raw_{protocol}_top1_pct"))

    def __post_init__(self) -> None:
        if self.status not in STATUSES:
            raise ValueError(f"unknown status {self.status!r} (choose from {', '.join(STATUSES)})")
        numbers = (self.epoch, self.epochs, self.world_size, self.wall_time_s, self.images_per_s or 0)
        if not all(isinstance(number, int | float) for number in (*numbers, *dict(self.results).values())):
            raise ValueError("a number in it is none")
        if not all(speed is None or (_is_number(speed) and speed >= 0) for speed in self.epoch_images_per_s):
            raise ValueError("a speed in it is none")
        if not isinstance(self.metrics_sha256, str):
            raise ValueError("metrics_sha256 in it is none")
        if not all(isinstance(part, Mapping) for part in (self.spec, self.git, self.versions, self.data)):
            raise ValueError("a table in it is none")
        if not all(isinstance(e.get("what"), str) and isinstance(e.get("when"), str) for e in self.history):
            raise ValueError("an event in its history says not what and when")
        for event in self.history:
            if (
                not all(_is_number(event.get(name, 1)) for name in ("epoch", "step", "steps"))
                or event.get("steps") == 0
            ):
                raise ValueError("an event in its history says not in which epoch")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and -_LARGEST <= value <= _LARGEST


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """What a run's metrics.jsonl holds of the epochs that its record speaks of."""

    lines: tuple[Mapping[str, float], ...]
    """one an epoch, which counts from 0: epoch, lr, train_loss, and of raw and averaged weights {raw,ema}_val_loss,
    ..._top1_pct, ..._top5_pct, ..._val_images"""
    seal: str = ""
    """what is wrong with the file's checksum in the record: nothing, ``NO_SEAL`` or ``BROKEN_SEAL``"""

    def __post_init__(self) -> None:
        for number, line in enumerate(self.lines, start=1):
            if not all(_is_number(value) for value in line.values()):
                raise ValueError(f"line {number}: a number in it is none")
            if not (isinstance(line.get("epoch"), int) and line["epoch"] >= 0):
                raise ValueError(f"line {number}: it says not which epoch it is of")


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """Trained weights that somebody released."""

    files: tuple[str, ...]
    """their names, the official one first; eight hex digits before the suffix begin the file's sha256"""
    tag: str = ""
    """timm's name for them, with which its hub has them; empty if it has none"""
    source: str
    """where the files are"""

    @property
    def name(self) -> str:
        """What they are called here."""
        return self.tag or self.files[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationSpec:
    """One evaluation of released weights: everything that changes its result, and nothing else."""

    released: str
    """``Released.name``: what the file is, or is taken for"""
    sha256: str
    """of the file"""
    network: Network
    dataset: str
    crop_pct: float
    eval_interpolation: str
    precision: str
    images: int
    """that were found"""
    classes: int
    """likewise"""
    images_sha256: str
    """over their names and labels, in order"""

    @property
    def evaluation_id(self) -> str:
        """``<model>-<dataset>-<img_size>px-<8 hex of the file>-<8 hex of all that changes the result>``."""
        identity = json.dumps(asdict(self), sort_keys=True).encode()
        digest = hashlib.sha1(identity, usedforsecurity=False).hexdigest()[:8]
        return f"{self.network.model}-{self.dataset}-{self.network.img_size}px-{self.sha256[:8]}-{digest}"

    def is_of(self, run: RunSpec) -> bool:
        """Whether it is of the run's network, on its data, by its protocol."""
        protocol = run.network, run.dataset, run.recipe.crop_pct, run.recipe.eval_interpolation
        return protocol == (self.network, self.dataset, self.crop_pct, self.eval_interpolation)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What an evaluation of released weights found, as its file remembers it."""

    spec: EvaluationSpec
    file: str
    """its name"""
    found_by: str
    """name, content, or hub"""
    key: str
    """where in the file the weights lay; empty if it is nothing but weights"""
    resized: tuple[str, ...]
    """parameters that did not fit and were resized"""
    images: int
    """evaluated so far"""
    top1_hits: int
    top5_hits: int
    unreadable: tuple[str, ...]
    """images that failed to load, each with its error"""
    device: str
    world_size: int
    """processes"""
    versions: Mapping[str, str]
    git: Mapping[str, object]
    """commit of the suite's checkout and whether the tree was dirty; empty outside a checkout"""
    evaluated_at: str
    """UTC, ISO 8601"""
    wall_time_s: float
    seal: str = field(default="", compare=False)
    """what is wrong with the checksum of the file that it was read from, and nothing if it holds; not saved"""

    def __post_init__(self) -> None:
        counts = (0, self.top1_hits, self.top5_hits, self.images, self.images + len(self.unreadable), self.spec.images)
        if not all(type(count) is int for count in counts) or sorted(counts) != list(counts):
            raise ValueError(f"hits and images contradict each other: {counts}")
        spec, network = self.spec, self.spec.network
        texts = (spec.released, spec.sha256, network.model, spec.dataset, spec.precision, self.file, self.key)
        if not all(type(text) is str for text in (*texts, *self.resized, *self.unreadable, *self.versions.values())):
            raise ValueError("a text in it is none")
        if not isinstance(self.git, Mapping) or not isinstance(self.wall_time_s, int | float):
            raise ValueError("git or wall_time_s in it is none")
        datetime.datetime.fromisoformat(self.evaluated_at)

    @property
    def top1_pct(self) -> float:
        """Of the images that were evaluated."""
        return 100 * self.top1_hits / self.images if self.images else math.nan

    @property
    def top5_pct(self) -> float:
        """Likewise."""
        return 100 * self.top5_hits / self.images if self.images else math.nan

    @property
    def top1_se(self) -> float:
        """Binomial standard error of ``top1_pct``, in points."""
        return (self.top1_pct * (100 - self.top1_pct) / self.images) ** 0.5 if self.images else math.nan

    @property
    def expected_images(self) -> int:
        """Of the whole validation set."""
        return DATASETS[self.spec.dataset].val_images

    @property
    def is_done(self) -> bool:
        """Whether it has seen every image that was found."""
        return self.images + len(self.unreadable) == self.spec.images

    @property
    def is_whole(self) -> bool:
        """Whether it is of every image of the validation set, in as many classes as that has."""
        return (self.images, self.spec.classes) == (self.expected_images, DATASETS[self.spec.dataset].num_classes)

    @property
    def fills_a_cell(self) -> bool:
        """Whether it is the accuracy of the weights as they were released."""
        return self.is_whole and not self.resized and self.seal != BROKEN_SEAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """Another network that a row's printed figures may be of: shown as a note, never in the row."""

    network: Network
    what: str
    """in what it is another, for the reader"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of one of the paper's tables."""

    name: str = field(kw_only=False)
    """as the paper prints it"""
    run: RunSpec | None = None
    """how its printed top-1 came about; None where the suite holds no recipe for that, and trains nothing"""
    untrained: Network | None = None
    """what is measured for a row without a run"""
    transfers: tuple[RunSpec, ...] = ()
    """what fine-tunes the run's final weights, a run a data set"""
    published: Mapping[Edition, Published]
    group: str = ""
    """heading that it stands under"""
    baseline: bool = False
    """whether the changes of its group are against it"""
    candidates: tuple[Candidate, ...] = ()
    curve: str = ""
    """line of the table's picture that the row belongs to, if it has one"""
    point: str = ""
    """label of the row on that line"""

    def __post_init__(self) -> None:
        if (self.run is None) == (self.untrained is None):
            raise ValueError(f"row {self.name!r} needs a run, or else the network to measure")

    @property
    def network(self) -> Network:
        """What its params and MACs are of."""
        network = self.run.network if self.run else self.untrained
        assert network is not None  # checked when the row was made
        return network

    @property
    def runs(self) -> tuple[RunSpec, ...]:
        """All that fill cells of the row."""
        return (*([self.run] if self.run else []), *self.transfers)

    def figures(self, edition: Edition) -> tuple[Published, Edition]:
        """The row's figures in an edition, and the edition that printed them."""
        holder: Edition | None = edition
        while holder is not None:
            if holder in self.published:
                return self.published[holder], holder
            holder = holder.amends
        return Published(), edition


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One of the paper's tables of networks."""

    number: int
    title: str
    rows: tuple[Row, ...]

    def rows_in(self, edition: Edition) -> tuple[Row, ...]:
        """The rows that an edition prints, itself or through the one that it amends, and those that none prints."""
        return tuple(row for row in self.rows if not row.published or row.figures(edition)[1] in row.published)

    @property
    def has_picture(self) -> bool:
        """Whether its rows lie on curves of accuracy against cost."""
        return any(row.curve for row in self.rows)


def networks(rows: Iterable[Row]) -> list[Network]:
    """Everything that a report on the rows shows figures of, candidates included, each once."""
    listed = list(rows)
    own = [row.network for row in listed]
    return list(dict.fromkeys([*own, *(candidate.network for row in listed for candidate in row.candidates)]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two rows of a table, and the figure in which the one is set against the other."""

    table: int
    row: str
    against: str
    cell: str = "top1_pct"
    """top1_pct, cifar10_pct, cifar100_pct, params_m or macs_g"""
    of: str = "difference"
    """in points (accuracies), M or G; or "ratio", in %"""

    def __post_init__(self) -> None:
        if self.of not in ("difference", "ratio"):
            raise unknown("kind of comparison", self.of, ("difference", "ratio"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison(Pair):
    """What a claim says of a pair."""

    low: float | None = None
    """least that it is claimed to be, None for no least; two bounds are values at their printed precision, of one digit
    behind the point, and one is a threshold"""
    high: float | None = None

    def __post_init__(self) -> None:
        Pair.__post_init__(self)
        if self.low is None and self.high is None:
            raise ValueError(f"{self.row!r} against {self.against!r}: a claim needs a bound")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadChannels:
    """What a claim says of the channels of a trained network that are dead on Figure 2's photograph."""

    network: str
    """as Figure 2 names it"""
    against: str = ""
    """another, whose share is taken off"""
    low: float
    """least share of the channels of all layers, or least difference of the shares, in %"""
    high: None = None

    @property
    def of(self) -> str:
        """As a ``Pair`` has it."""
        return "difference" if self.against else "ratio"


@dataclass(frozen=True, slots=True, kw_only=True)
class Idea:
    """A design that the paper tries on several networks, each against its baseline."""

    name: str = field(kw_only=False)
    pairs: tuple[Pair, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One of the paper's claims, with what must hold for it."""

    number: int
    text: str
    comparisons: tuple[Comparison, ...] = ()
    dead_channels: tuple[DeadChannels, ...] = ()

    def __post_init__(self) -> None:
        if not (self.comparisons or self.dead_channels):
            raise ValueError(f"claim {self.number} needs something that it can be tried on")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A value of the authors' that is no part of a recipe."""

    name: str = field(kw_only=False)
    value: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeTable:
    """One of the paper's tables of experiment settings, read off the recipes."""

    number: int
    title: str
    recipes: tuple[Recipe, ...]
    beside: tuple[Setting, ...]
    """what is set elsewhere, for all of them"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Complexity:
    """Size and cost of one network at one resolution, batch 1, with the evidence for it."""

    network: Network
    params: int
    """all parameters, frozen ones included"""
    trainable_params: int
    macs: int
    """multiply-adds as fvcore counts them: linear, convolution, matrix products, norms, pooling"""
    linear_macs: int
    """the part in linear layers and convolutions alone"""
    torch_macs: int
    """the cross-check: torch's FlopCounterMode, which sees no norms and no pooling, halved"""
    structure: Mapping[str, str]
    """read off the built network, by column of STRUCTURE"""
    macs_by_operator: Mapping[str, int]
    uncounted_operators: Mapping[str, int]
    """operators that no counter knows, with how often they ran"""
    versions: Mapping[str, str]
    """of python and of the libraries that decide the count"""
    source: str
    """Python package that defines the network"""
    source_sha256: str
    """over the suite's own code behind the figures"""
    machine: str
    measured_at: str
    """UTC, ISO 8601"""

    def __post_init__(self) -> None:
        name = str(self.network)
        counts = (self.network.img_size, self.params, self.trainable_params, self.macs, self.linear_macs)
        tables = (*self.macs_by_operator.items(), *self.uncounted_operators.items())
        texts = (name, self.source, self.source_sha256, self.machine, *self.versions.values(), *self.structure.values())
        numbers = (*counts, self.torch_macs, *(count for _, count in tables))
        if not all(type(count) is int and count >= 0 for count in numbers):
            raise ValueError(f"counts of {name!r} must be whole numbers from 0")
        if not (self.params and self.params >= self.trainable_params and self.macs >= self.linear_macs):
            raise ValueError(f"counts of {name!r} contradict each other")
        if not all(type(text) is str for text in texts):
            raise ValueError(f"names, structure and versions of {name!r} must be text")
        datetime.datetime.fromisoformat(self.measured_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerShape:
    """One layer of a built network, with what goes into it and what comes out, batch left out."""

    name: str
    """qualified, as in the state dict"""
    kind: str
    """its class; "Parameter" for one that belongs to the network itself"""
    inputs: tuple[int, ...]
    """shape of the first argument; empty for a parameter"""
    output: tuple[int, ...]
    params: int
    """all parameters in it, frozen ones included"""
    trainable_params: int
    settings: Mapping[str, int] = field(default_factory=dict)
    """kernel, stride, padding, groups or heads, where it has them; the same along both axes"""

    def __post_init__(self) -> None:
        numbers = (*self.inputs, *self.output, self.params, self.trainable_params, *self.settings.values())
        if not all(type(number) is int and number >= 0 for number in numbers):
            raise ValueError(f"shapes, settings and counts of {self.name!r} must be whole numbers from 0")
        if not self.output or self.params < self.trainable_params:
            raise ValueError(f"shape and counts of {self.name!r} contradict each other")
        if not all(type(text) is str for text in (self.name, self.kind)):
            raise ValueError("names and kinds of layers must be text")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """The layers of a built network in the order in which an image meets them: what figures are drawn from."""

    network: Network
    layers: tuple[LayerShape, ...]
    """those that have parameters, and soft splits; of what lies inside the blocks the first one's alone"""
    params: int
    """of the whole network"""
    versions: Mapping[str, str]
    """of python and of the libraries that decide the layers"""
    source_sha256: str
    """over the suite's own code behind them"""
    machine: str
    measured_at: str
    """UTC, ISO 8601"""

    def __post_init__(self) -> None:
        texts = (str(self.network), self.source_sha256, self.machine, *self.versions.values())
        if not all(type(text) is str for text in texts):
            raise ValueError(f"names and versions of {texts[0]!r} must be text")
        if not all(type(number) is int for number in (self.network.img_size, self.params)) or not self.layers:
            raise ValueError(f"counts of {texts[0]!r} must be whole numbers, and layers there")
        datetime.datetime.fromisoformat(self.measured_at)

    def __contains__(self, name: str) -> bool:
        return any(layer.name == name for layer in self.layers)

    def __getitem__(self, name: str) -> LayerShape:
        """The layer of a name.

        Raises:
            KeyError: there is none.
        """
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise KeyError(f"{self.network} has no layer {name!r}")

    @property
    def blocks(self) -> tuple[LayerShape, ...]:
        """Of the backbone, in order."""
        return tuple(layer for layer in self.layers if re.fullmatch(r"blocks\.\d+", layer.name))


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureSource:
    """Whose features: a network at a resolution, and the weights in it."""

    network: Network
    seed: int | None = None
    """of random weights, as the network's own initialisation draws them"""
    weights: Weights | None = None
    """the file of trained ones"""
    run_id: str = ""
    """the finished run whose final checkpoint that file is, if it is one"""

    def __post_init__(self) -> None:
        texts = (self.network.model, self.run_id, *([self.weights.file, self.weights.sha256] if self.weights else []))
        if not all(type(text) is str for text in texts) or type(self.network.img_size) is not int:
            raise ValueError("names must be text, and a resolution a whole number")
        if (self.seed is None) == (self.weights is None) or type(self.seed) not in (int, type(None)):
            raise ValueError(f"features of {self.network} need weights, or else the seed of random ones")

    def __str__(self) -> str:
        """Which weights, for the reader."""
        if self.weights is None:
            return f"untrained (random weights, seed {self.seed})"
        if self.run_id:
            return f"weights of run {self.run_id}"
        return f"weights of file {self.weights.file} (sha256 {self.weights.sha256[:8]})"


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerMaps:
    """The feature maps of one layer on one image: counts over all channels, and some of the maps."""

    name: str
    """the module whose output they are"""
    channels: int
    height: int
    width: int
    dead: int
    """channels that are as good as zero everywhere"""
    saturated: int
    """channels that are far stronger than the others"""
    low: float
    """value that is shown black: 1 % of all the layer's values are below"""
    high: float
    """value that is shown white: 1 % are above"""
    shown: tuple[int, ...]
    """indices of the channels whose maps are kept"""
    shown_dead: tuple[int, ...]
    """those of them that are dead"""
    shown_saturated: tuple[int, ...]
    maps: str
    """base64 of (len(shown), height, width) uint8: 0 at ``low`` and below, 255 at ``high`` and above"""

    def __post_init__(self) -> None:
        numbers = (self.channels, self.height, self.width, self.dead, self.saturated, *self.shown)
        if type(self.name) is not str or not all(type(number) is int and number >= 0 for number in numbers):
            raise ValueError(f"a layer's name must be text and its counts whole numbers from 0: {self.name!r}")
        if not self.channels * self.height * self.width or self.dead + self.saturated > self.channels:
            raise ValueError(f"counts of layer {self.name} contradict each other")
        dead, saturated = set(self.shown_dead), set(self.shown_saturated)
        if sorted(set(self.shown)) != list(self.shown) or max(self.shown, default=0) >= self.channels:
            raise ValueError(f"layer {self.name} shows channels that it has not")
        if not dead | saturated <= set(self.shown) or dead & saturated:
            raise ValueError(f"layer {self.name} marks channels that it does not show")
        if len(dead) > self.dead or len(saturated) > self.saturated:
            raise ValueError(f"layer {self.name} marks more channels than it counts")
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low <= self.high):
            raise ValueError(f"layer {self.name} has no scale")
        if len(self.pixels) != len(self.shown) * self.height * self.width:
            raise ValueError(f"layer {self.name} has not the pixels of its maps")

    @property
    def pixels(self) -> bytes:
        """Of the maps, a byte each, channel by channel and row by row."""
        return base64.b64decode(self.maps, validate=True)

    @property
    def dead_pct(self) -> float:
        """Share of the channels."""
        return 100 * self.dead / self.channels

    @property
    def saturated_pct(self) -> float:
        """Likewise."""
        return 100 * self.saturated / self.channels


AVERAGED_KEYS = ("state_dict_ema", "ema")
"""where averaged weights lie in a file, of the authors' or of this suite's"""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureMaps:
    """A network's feature maps on one photograph, from its first layer to its last, with the evidence for them."""

    source: FeatureSource
    image: str
    """name of the photograph's file"""
    image_sha256: str
    """of that file"""
    dataset: str
    """that the network was trained on, or is made for"""
    mean: tuple[float, ...]
    """that was subtracted from the pixels, by colour"""
    std: tuple[float, ...]
    """by which they were divided"""
    crop_pct: float
    eval_interpolation: str
    key: str
    """where in the file the weights lay; empty if it is nothing but weights, or if they are random"""
    resized: tuple[str, ...]
    """parameters that did not fit and were resized"""
    dead_below: float
    """largest value of a dead channel, over the layer's root mean square"""
    saturated_above: float
    """root mean square of a saturated channel, over the median of those that are not dead"""
    layers: tuple[LayerMaps, ...]
    """from early to late"""
    versions: Mapping[str, str]
    """of python and of the libraries that decide the features"""
    package: str
    """that defines the network"""
    source_sha256: str
    """over the suite's own code behind the counts"""
    machine: str
    measured_at: str
    """UTC, ISO 8601"""

    def __post_init__(self) -> None:
        texts = (self.image, self.image_sha256, self.dataset, self.eval_interpolation, self.key, *self.resized)
        texts += (*self.versions.values(), self.package, self.source_sha256, self.machine)
        if not all(type(text) is str for text in texts):
            raise ValueError("a text in it is none")
        numbers = (*self.mean, *self.std, self.crop_pct, self.dead_below, self.saturated_above)
        if not all(isinstance(number, int | float) and math.isfinite(number) for number in numbers):
            raise ValueError("a number in it is none")
        if len(self.layers) < 2:
            raise ValueError("from early to late needs two layers")
        datetime.datetime.fromisoformat(self.measured_at)

    @property
    def feature_maps_id(self) -> str:
        """``<model>-<img_size>px-<8 hex of the image>-<8 hex of network, weights and image>``."""
        source = self.source
        identity = json.dumps(
            {
                "network": asdict(source.network),
                "seed": source.seed,
                "weights": source.weights and source.weights.sha256,
                "run_id": source.run_id,
                "image": self.image_sha256,
            },
            sort_keys=True,
        )
        digest = hashlib.sha1(identity.encode(), usedforsecurity=False).hexdigest()[:8]
        return f"{source.network.model}-{source.network.img_size}px-{self.image_sha256[:8]}-{digest}"

    @property
    def weights(self) -> str:
        """Which weights, for the reader."""
        return f"averaged {self.source}" if self.key in AVERAGED_KEYS else str(self.source)

    def depth(self, layer: int) -> float:
        """Where a layer lies, from 0, the first, to 1, the last."""
        return layer / (len(self.layers) - 1)

    @property
    def dead_pct(self) -> float:
        """Share of the channels of all layers."""
        return 100 * sum(layer.dead for layer in self.layers) / sum(layer.channels for layer in self.layers)

    @property
    def saturated_pct(self) -> float:
        """Likewise."""
        return 100 * sum(layer.saturated for layer in self.layers) / sum(layer.channels for layer in self.layers)
