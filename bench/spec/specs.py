"""The vocabulary of the suite: what a row, a recipe and a run are. Standard library only."""

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


def matching(
    named: Sequence[tuple[Sequence[str], T]],
    patterns: Sequence[str] | None,
    *,
    kind: str = "row or network",
    remedy: str = "--list shows networks; * and ? are wildcards",
) -> list[T]:
    """What stands behind the names that a pattern matches, or behind all.

    Args:
        named: names, such as those of a row and its network, and what they are of.
        patterns: with wildcards.
        kind: what the names are of, and ``remedy``, for the error.
        remedy: see ``kind``.

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
            raise unknown(kind, pattern, names, remedy)
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
    local_batch: int
    """most images over which batch-norm statistics are computed and one mixup draw is made: the batch of one GPU, where
    the recipe was published for several"""
    train_fraction: float
    """part of the training images, without those that are held out, that is trained on: as much of each class, the same
    for every seed, and a part of what a larger fraction takes"""

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
        if self.auto_augment and not self.auto_augment.startswith(("rand-", "augmix-", "original", "v0", "3a")):
            raise RequestError(
                f"unknown auto_augment {self.auto_augment!r}; choose a policy of timm's, as rand-m9-mstd0.5-inc1"
            )

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


YOUNGER_FIELDS: dict[str, float | bool] = {
    "crop_padding": 0.0,
    "backbone_lr_scale": 1.0,
    "backbone_min_lr_scale": 1.0,
    "freeze_class_token_and_norm": False,
    "augmentation_repeats": 1,
    "held_out": 0.0,
    "local_batch": 64,
    "train_fraction": 1.0,
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
    """one of ``DATASETS``, or what timm's create_dataset names by prefix"""
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

    @property
    def teacher_network(self) -> Network | None:
        """What decides for the run's images beside its own network, if one does."""
        return Network(self.teacher.model.partition(".")[0], img_size=self.img_size) if self.teacher else None

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
    """most images a device takes at once; local and global batch are reached by accumulation"""
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
    # Jobs queued before bench.entry hold the values of the fields above by place: a new field goes below.
    compile: bool = False
    """train by torch.compile"""


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
    "imagenette": Contents(num_classes=10, train_images=9_469, val_images=3_925),
    "imagewoof": Contents(num_classes=10, train_images=9_025, val_images=3_929),
    "tiny-imagenet-200": Contents(num_classes=200, train_images=100_000, val_images=10_000),
    "synthetic": Contents(num_classes=10, train_images=512, val_images=256),
}
"""those whose contents are known beforehand"""


def imagenet(model: str, recipe: Recipe, *, img_size: int = 224, teacher: Teacher | None = None) -> RunSpec:
    """A run from scratch on ImageNet-1k."""
    return RunSpec(model=model, dataset="imagenet", recipe=recipe, img_size=img_size, teacher=teacher)


def transfer(run: RunSpec, dataset: str, recipe: Recipe) -> RunSpec:
    """The fine-tuning of a run's final weights on another data set, at its resolution."""
    return replace(run, dataset=dataset, recipe=recipe, start_from=run)


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
    """Everything that a report on the rows shows figures of, candidates and teachers included, each once."""
    listed = list(rows)
    candidates = [candidate.network for row in listed for candidate in row.candidates]
    teachers = [teacher for row in listed if row.run and (teacher := row.run.teacher_network)]
    return list(dict.fromkeys([*(row.network for row in listed), *candidates, *teachers]))


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
    note: str = ""
    """where the printed figures may not bear it out, what the text may have been made of"""

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
