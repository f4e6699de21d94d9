"""The record of a run, its metrics, and the fingerprint of its images."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from bench.results.codec import Amount, Count, Finite
from bench.results.event import Event, event_of
from bench.spec.run import RunSpec

STATUSES = ("running", "interrupted", "failed", "diverged", "completed")
"""what a run's record may say of it; a "running" run whose process is gone was killed"""


NAMED_CLASSES = 5
"""names of classes that a fingerprint keeps, to say in a message which data it is of"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """The identity of the images that a run was trained and validated on, as far as it changes the result."""

    basis: str
    """what the digests are over: "pixels" and class of each image; relative path, size and class of its "files"; its
    "labels", where the reader tells no more; or "generated" images, which are the same everywhere"""
    classes: Count
    class_names: tuple[str, ...]
    """the first ``NAMED_CLASSES``; empty where the data set names none"""
    train_images: Count
    val_images: Count
    train_sha256: str
    val_sha256: str

    def difference(self, here: "Fingerprint") -> str:
        """The difference between these images and those that are here; empty if none is known."""
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
    """The content of a run's record.json: the only mutable type here, written whole at each change."""

    run_id: str
    spec: Mapping[str, object]
    """``RunSpec.identity()``"""
    status: str
    history: list[dict[str, object]]
    """as JSON has its ``events``: a "running" one begins each attempt"""
    git: Mapping[str, object]
    """commit of the checkout and whether the tree was dirty; empty outside a checkout"""
    versions: Mapping[str, str]
    command: str = ""
    """command line of the last attempt, which trains the run again: without folders, files' paths and Slurm's options;
    empty for a run of before this field"""
    device: str = ""
    """of the last attempt, like the next three"""
    precision: str = ""
    """of autocast: bfloat16, float16 or float32"""
    formulation: str = ""
    """in which the network is computed (``bench.training.formulation``); empty for a run from before this field, which
    was literal"""
    world_size: Count = 0
    """processes"""
    data: Mapping[str, object] = field(default_factory=dict)
    """classes and images found, what was expected, and on how many images an epoch draws (``trained_images``)"""
    fingerprint: Fingerprint | None = None
    """of these images; None for a run of before this field"""
    unreadable: list[str] = field(default_factory=list)
    """images that failed to load, each with its error"""
    epoch: Count = 0
    """epochs finished"""
    epochs: Count = 0
    images_per_s: Amount | None = None
    """of training, in the last epoch"""
    epoch_images_per_s: list[Amount | None] = field(default_factory=list)
    """likewise in each epoch from 0; of one that was resumed in its middle, in the part that the last attempt trained;
    None where nobody noted it"""
    metrics_sha256: str = ""
    """over the first ``epoch`` lines of metrics.jsonl; empty before the first epoch"""
    predictions_sha256: str = ""
    """over predictions.npz: what the last epoch's weights said of every validation image of the data set; empty until
    then, and for a run of before this field"""
    wall_time_s: Amount = 0.0
    """over all attempts, as far as they were recorded"""
    results: Mapping[str, Amount] = field(default_factory=dict)
    """accuracies in %, named {raw,ema}_{last,best}_{top1,top5}_pct, and the epochs of the best; where the recipe holds
    images out, those named held_out_... are on these, and of the others there is the last epoch's alone"""
    error: str = ""
    """one line, for a run that failed or diverged"""

    @property
    def events(self) -> list[Event]:
        """Its history, oldest first."""
        return [event_of(values) for values in self.history]

    def add(self, event: Event) -> None:
        """Append an event to its history."""
        self.history.append(event.plain())

    def last(self, what: str) -> Event | None:
        """The newest event of a kind."""
        return next((event_of(values) for values in reversed(self.history) if values["what"] == what), None)

    @property
    def is_whole(self) -> bool:
        """Whether it was trained to its end on the complete data set."""
        return self.status == "completed" and bool(self.data.get("complete"))

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
        if self.epochs and self.epoch > self.epochs:
            raise ValueError(f"epoch {self.epoch} is beyond its {self.epochs} epochs")
        images = {f"data.{part}_images": self.data.get(f"{part}_images", 0) for part in ("train", "val", "trained")}
        for name, value in ({"spec.seed": self.spec.get("seed", 0)} | images).items():
            if type(value) is not int or value < 0:
                raise ValueError(f"{name} = {value!r}: expected a whole number from 0")
        for number, values in enumerate(self.history):
            try:
                event_of(values)
            except ValueError as error:
                raise ValueError(f"history[{number}]: {error}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """The lines of a run's metrics.jsonl for the epochs that its record counts."""

    lines: tuple[Mapping[str, Finite], ...]
    """one an epoch, which counts from 0: epoch, lr, train_loss, and of raw and averaged weights {raw,ema}_val_loss,
    ..._top1_pct, ..._top5_pct, ..._val_images"""

    def __post_init__(self) -> None:
        for number, line in enumerate(self.lines, start=1):
            if line.get("epoch") != number - 1:
                raise ValueError(f"line {number}: it is not of epoch {number - 1}")
