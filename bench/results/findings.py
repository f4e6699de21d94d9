"""What was found: the records of runs, evaluations and measurements, as their files remember them."""

import base64
import datetime
import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from bench.spec.specs import DATASETS, LARGEST, Network, RunSpec, Weights

NO_SEAL = "no checksum"

BROKEN_SEAL = "edited by hand"
"""what may be wrong with the checksum of a record, an evaluation or a measurement: it was written before they had one,
or it was changed afterwards and fills no cell"""

STATUSES = ("running", "interrupted", "failed", "diverged", "completed")
"""what a run's record may say of it; a "running" run whose process is gone was killed"""


NAMED_CLASSES = 5
"""names of classes that a fingerprint keeps, to say in a message which data it is of"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """Which images a run was trained and validated on, as far as it changes the result."""

    basis: str
    """what the digests are over: "pixels" and class of each image; relative path, size and class of its "files"; its
    "labels", where the reader tells no more; or "generated" images, which are the same everywhere"""
    classes: int
    class_names: tuple[str, ...]
    """the first ``NAMED_CLASSES``; empty where the data set names none"""
    train_images: int
    val_images: int
    train_sha256: str
    val_sha256: str

    def __post_init__(self) -> None:
        counts = (self.classes, self.train_images, self.val_images)
        if not all(type(count) is int and count >= 0 for count in counts):
            raise ValueError("a count in its fingerprint is none")
        texts = (self.basis, self.train_sha256, self.val_sha256, *self.class_names)
        if not all(type(text) is str for text in texts):
            raise ValueError("a text in its fingerprint is none")

    def difference(self, here: "Fingerprint") -> str:
        """How the images that are here differ from these; empty if they are the same, or nobody can tell."""
        if self.classes != here.classes:
            return f"{self._named()}; here {here._named()}"
        for split in ("training", "validation"):
            count = "train_images" if split == "training" else "val_images"
            ours, theirs = getattr(self, count), getattr(here, count)
            if ours != theirs:
                return f"{ours:,} {split} images; here {theirs:,}"
        if self.basis != here.basis:
            return ""
        changed = [
            split
            for split, ours, theirs in (
                ("training", self.train_sha256, here.train_sha256),
                ("validation", self.val_sha256, here.val_sha256),
            )
            if ours != theirs
        ]
        if not changed:
            return ""
        if self.class_names != here.class_names:
            return f"{self._named()}; here {here._named()}"
        return f"as many, but the {self.basis} of the {' and '.join(changed)} images are not the same"

    def _named(self) -> str:
        """Its classes, as a message has them."""
        more = ", ..." if self.classes > len(self.class_names) else ""
        return f"classes {', '.join(self.class_names)}{more}" if self.class_names else f"{self.classes} classes"


@dataclass(slots=True, kw_only=True)
class RunRecord:
    """What a run's record.json remembers: the only mutable thing here, written whole at each change."""

    run_id: str
    spec: Mapping[str, object]
    """``RunSpec.identity()``"""
    status: str
    history: list[dict[str, object]]
    """an entry for each change of status or other event: what, when (UTC), host, pid; of "running", which begins an
    attempt, also device, precision, formulation, compile and world_size"""
    git: Mapping[str, object]
    """commit of the suite's checkout and whether the tree was dirty; empty outside a checkout"""
    versions: Mapping[str, str]
    device: str = ""
    """of the last attempt, like the next three"""
    precision: str = ""
    """of autocast: bfloat16, float16 or float32"""
    formulation: str = ""
    """in which the network is computed (``bench.training.formulation``); empty for a run from before this field, which
    was literal"""
    world_size: int = 0
    """processes"""
    data: Mapping[str, object] = field(default_factory=dict)
    """classes and images found, what was expected, and on how many images an epoch draws (``trained_images``)"""
    fingerprint: Fingerprint | None = None
    """of these images; None for a run of before this field"""
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
    predictions_sha256: str = ""
    """over predictions.npz: what the last epoch's weights said of every validation image of the data set; empty until
    then, and for a run of before this field"""
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

    def is_from_a_file(self, run: RunSpec) -> bool:
        """Whether it is of that run with any seed, but for its start: from a file's weights."""
        start = ("start_from", "weights", "seed")
        wanted = json.loads(json.dumps({k: v for k, v in run.identity().items() if k not in start}))
        return "weights" in self.spec and wanted == {k: v for k, v in self.spec.items() if k not in start}

    def top1_pct(self, protocol: str, images: str = "") -> float | None:
        """Accuracy by "best" (the paper's: best epoch, averaged weights where there are any) or "last" epoch.

        On the data set's validation images, or with "held_out_" on those that its recipe held out, if it did.
        """
        of = self.results
        return of.get(f"{images}ema_{protocol}_top1_pct", of.get(f"{images}raw_{protocol}_top1_pct"))

    def __post_init__(self) -> None:
        if self.status not in STATUSES:
            raise ValueError(f"unknown status {self.status!r} (choose from {', '.join(STATUSES)})")
        if not isinstance(self.run_id, str):
            raise ValueError("its run_id is no text")
        if not all(isinstance(part, Mapping) for part in (self.spec, self.git, self.versions, self.data, self.results)):
            raise ValueError("a table in it is none")
        images = (self.data.get(f"{part}_images", 0) for part in ("train", "val", "trained"))
        counts = (self.epoch, self.epochs, self.world_size, self.spec.get("seed", 0), *images)
        if not all(type(count) is int and count >= 0 for count in counts):
            raise ValueError("a count in it is none")
        numbers = (self.wall_time_s, 0 if self.images_per_s is None else self.images_per_s, *self.results.values())
        if not all(_is_number(number) and number >= 0 for number in numbers):
            raise ValueError("a number in it is none")
        if self.epochs and self.epoch > self.epochs:
            raise ValueError(f"epoch {self.epoch} of {self.epochs} is none")
        if not all(speed is None or (_is_number(speed) and speed >= 0) for speed in self.epoch_images_per_s):
            raise ValueError("a speed in it is none")
        if not isinstance(self.fingerprint, Fingerprint | None):
            raise ValueError("its fingerprint is none")
        if not isinstance(self.metrics_sha256, str) or not isinstance(self.predictions_sha256, str):
            raise ValueError("a checksum in it is none")
        if not all(isinstance(e.get("what"), str) and isinstance(e.get("when"), str) for e in self.history):
            raise ValueError("an event in its history says not what and when")
        for event in self.history:
            if (
                not all(_is_number(event.get(name, 1)) for name in ("epoch", "step", "steps"))
                or event.get("steps") == 0
            ):
                raise ValueError("an event in its history says not in which epoch")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and -LARGEST <= value <= LARGEST


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
            if line.get("epoch") != number - 1:
                raise ValueError(f"line {number}: it is not of epoch {number - 1}")


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
    """of the split, as a ``Fingerprint`` has it"""

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
    predictions_sha256: str = ""
    """over the file of what was said of every image so far; empty for an evaluation of before this field"""
    seal: str = field(default="", compare=False)
    """what is wrong with the checksum of the file that it was read from, and nothing if it holds; not saved"""

    def __post_init__(self) -> None:
        counts = (0, self.top1_hits, self.top5_hits, self.images, self.images + len(self.unreadable), self.spec.images)
        if not all(type(count) is int for count in counts) or sorted(counts) != list(counts):
            raise ValueError(f"hits and images contradict each other: {counts}")
        spec, network = self.spec, self.spec.network
        texts = (spec.released, spec.sha256, network.model, spec.dataset, spec.precision, self.file, self.key)
        lists = (*self.resized, *self.unreadable, *self.versions.values(), self.predictions_sha256)
        if not all(type(text) is str for text in (*texts, *lists)):
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
