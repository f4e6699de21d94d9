"""The record of a run, its metrics, and the fingerprint of its images."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from bench.spec.recipe import LARGEST
from bench.spec.run import RunSpec

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
