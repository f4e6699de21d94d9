"""A run: network, data, recipe and seed, which are its identity, and the resources, which are not."""

import functools
import hashlib
import json
import operator
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace

from bench.spec.recipe import COUNTED_FIELDS, YOUNGER_FIELDS, Recipe

ModelArgs = tuple[tuple[str, int | float | str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A network at a resolution, as it is measured."""

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


@dataclass(frozen=True, kw_only=True)  # without slots, which would leave no room for the cached run_id
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
    """the file that it starts from, where that is not a run of t2t-bench"""
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
        """The network that it trains, for its params and MACs."""
        return Network(self.model, model_args=self.model_args, img_size=self.img_size)

    @functools.cached_property
    def run_id(self) -> str:
        """``<model>-<dataset>-<recipe>-s<seed>-<8 hex>``, the hex from all that changes the result."""
        dataset = self.dataset.replace("/", "_")
        identity = json.dumps(self.identity(), sort_keys=True)
        digest = hashlib.sha1(identity.encode(), usedforsecurity=False).hexdigest()[:8]
        return f"{self.model}-{dataset}-{self.recipe.name}-s{self.seed}-{digest}"

    @property
    def teacher_network(self) -> Network | None:
        """The teacher's network, if there is one."""
        return Network(self.teacher.model.partition(".")[0], img_size=self.img_size) if self.teacher else None

    @property
    def family(self) -> "list[RunSpec]":
        """The run, the one that it starts from, and so on."""
        return [self, *(self.start_from.family if self.start_from else ())]

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

    def identity(self) -> dict[str, object]:
        """The values that the run id is a hash of, as in JSON."""
        values = zip(COUNTED_FIELDS, _counted_values(self.recipe), strict=True)
        recipe = {name: value for name, value in values if YOUNGER_FIELDS.get(name) != value}
        identity = {name: getattr(self, name) for name in _OWN} | {
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


_counted_values = operator.attrgetter(*COUNTED_FIELDS)

_OWN = tuple(f.name for f in fields(RunSpec) if f.name not in ("start_from", "weights", "teacher"))
"""fields that are part of every identity"""


def is_run_id(name: str) -> bool:
    """Whether a folder of this name may be a run's: one of another name is not ours."""
    return name.isprintable() and bool(_RUN_ID.fullmatch(name))


_RUN_ID = re.compile(r"[^/%]+-s[0-9]{1,30}-[0-9a-f]{8}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """The resources of a run, which change its speed but not its result (except for rounding)."""

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
    log: tuple[str, ...] = ()
    """names of the loggers that follow the run"""
    command: str = ""
    """command line that asked for the run, for its record"""


def at_resolution(name: str, img_size: int) -> str:
    """A network's name, and the resolution unless it is 224 px, which goes without saying."""
    return name if img_size == 224 else f"{name} at {img_size} px"


def imagenet(model: str, recipe: Recipe, *, img_size: int = 224, teacher: Teacher | None = None) -> RunSpec:
    """A run from scratch on ImageNet-1k."""
    return RunSpec(model=model, dataset="imagenet", recipe=recipe, img_size=img_size, teacher=teacher)


def transfer(run: RunSpec, dataset: str, recipe: Recipe) -> RunSpec:
    """The fine-tuning of a run's final weights on another data set, at its resolution."""
    return replace(run, dataset=dataset, recipe=recipe, start_from=run)
