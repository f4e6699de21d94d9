"""An evaluation of released weights."""

import datetime
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from bench.results.codec import Amount, Count
from bench.spec.contents import DATASETS
from bench.spec.run import Network, RunSpec


def binomial_variance(pct: float, images: int) -> float:
    """Binomial variance of an accuracy in %, in points squared."""
    return pct * (100 - pct) / images


def require_real_counts(name: str, hits: int | None, images: int | None) -> None:
    """Require counts on ReaL labels that do not contradict each other.

    Raises:
        ValueError: they do.
    """
    if (hits is None) != (images is None) or images == 0 or (hits or 0) > (images or 0):
        raise ValueError(
            f"{name} needs hits and images on ReaL labels, or neither, and no more hits than images: {hits} of {images}"
        )


def real_accuracy_pct(hits: int | None, images: int | None) -> float | None:
    """Accuracy on ReaL labels in %; None where nothing was counted."""
    return None if hits is None or images is None else 100 * hits / images


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationSpec:
    """One evaluation of released weights: everything that changes its result, and nothing else."""

    released: str
    """``Released.name``: what the file is, or is taken for"""
    sha256: str
    """of the file"""
    network: Network
    dataset: str
    crop_pct: Amount
    eval_interpolation: str
    precision: str
    images: Count
    """that were found"""
    classes: Count
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
    """The result of evaluating released weights, as kept in its file."""

    spec: EvaluationSpec
    file: str
    """its name"""
    found_by: str
    """name, content, or hub"""
    key: str
    """where in the file the weights lay; empty if it is nothing but weights"""
    resized: tuple[str, ...]
    """parameters that did not fit and were resized"""
    images: Count
    """evaluated so far"""
    top1_hits: Count
    top5_hits: Count
    unreadable: tuple[str, ...]
    """images that failed to load, each with its error"""
    device: str
    world_size: Count
    """processes"""
    versions: Mapping[str, str]
    git: Mapping[str, object]
    """commit of the checkout and whether the tree was dirty; empty outside a checkout"""
    evaluated_at: str
    """UTC, ISO 8601"""
    wall_time_s: Amount
    predictions_sha256: str = ""
    """over the file of what was said of every image so far; empty for an evaluation of before this field"""
    real_hits: Count | None = None
    """images whose first class is among their reassessed labels (ReaL); None where no such labels were given"""
    real_images: Count | None = None
    """evaluated images that have any reassessed label"""

    def __post_init__(self) -> None:
        require_real_counts(self.file, self.real_hits, self.real_images)
        counts = (self.top1_hits, self.top5_hits, self.images, self.images + len(self.unreadable), self.spec.images)
        if sorted(counts) != list(counts):
            raise ValueError(f"hits and images contradict each other: {counts}")
        if self.spec.dataset not in DATASETS:
            raise ValueError(f"unknown dataset {self.spec.dataset!r} (choose from {', '.join(DATASETS)})")
        datetime.datetime.fromisoformat(self.evaluated_at)

    @property
    def top1_pct(self) -> float:
        """Top-1 accuracy on the evaluated images, in %."""
        return 100 * self.top1_hits / self.images if self.images else math.nan

    @property
    def top5_pct(self) -> float:
        """Top-5 accuracy on the evaluated images, in %."""
        return 100 * self.top5_hits / self.images if self.images else math.nan

    @property
    def top1_se(self) -> float:
        """Binomial standard error of ``top1_pct``, in points."""
        return binomial_variance(self.top1_pct, self.images) ** 0.5 if self.images else math.nan

    @property
    def real_pct(self) -> float | None:
        """Accuracy on the reassessed labels (ReaL), in %, over the images that have any."""
        return real_accuracy_pct(self.real_hits, self.real_images)

    @property
    def expected_images(self) -> int:
        """The number of images in the whole validation set."""
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
        return self.is_whole and not self.resized
