"""Accuracies worked out here from predictions that others published for every image of a validation set."""

import datetime
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass

from bench.results.codec import Count
from bench.results.evaluation import binomial_variance, real_accuracy_pct, require_real_counts


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedNetwork:
    """Results of one network, counted from its published predictions."""

    name: str
    """of its array in the file"""
    weights: str
    """which public weights made the predictions, as timm's tag or a file name; empty if nobody says"""
    source: str
    """where the predictions were published; empty if nobody says"""
    source_sha256: str
    """of the published file, as the sidecar states it"""
    sha256: str
    """computed here over the predictions, int16 little-endian, (images, predicted), in the order of the image files"""
    predicted: Count
    """classes that were published of each image, best first"""
    images: Count
    top1_hits: Count
    top5_hits: Count | None = None
    """None where fewer than five classes were published"""
    real_hits: Count | None = None
    """images whose first class is among their reassessed labels (ReaL); None where no such labels were given"""
    real_images: Count | None = None
    """images that have any reassessed label"""

    def __post_init__(self) -> None:
        if not self.images or not self.top1_hits <= (self.images if self.top5_hits is None else self.top5_hits):
            raise ValueError(f"hits and images of {self.name} contradict each other")
        if (self.top5_hits or 0) > self.images:
            raise ValueError(f"hits and images of {self.name} contradict each other")
        require_real_counts(self.name, self.real_hits, self.real_images)

    @property
    def top1_pct(self) -> float:
        """Top-1 accuracy, in %."""
        return 100 * self.top1_hits / self.images

    @property
    def top1_se(self) -> float:
        """Binomial standard error of ``top1_pct``, in points."""
        return float(binomial_variance(self.top1_pct, self.images) ** 0.5)

    @property
    def top5_pct(self) -> float | None:
        """Top-5 accuracy, in %."""
        return None if self.top5_hits is None else 100 * self.top5_hits / self.images

    @property
    def real_pct(self) -> float | None:
        """Accuracy on the reassessed labels (ReaL), in %, over the images that have any."""
        return real_accuracy_pct(self.real_hits, self.real_images)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedPair:
    """The 2 x 2 counts that compare two networks image by image."""

    first: str
    second: str
    both: Count
    """images on which both are right"""
    only_first: Count
    only_second: Count
    neither: Count


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """All that was counted from one file of published predictions; the predictions themselves are not kept."""

    file: str
    """its name"""
    dataset: str
    images: Count
    labels_sha256: str
    """computed over the labels, int16 little-endian, in the order of the image files"""
    are_official_labels: bool
    """whether these are the labels of the data set"""
    networks: tuple[RecordedNetwork, ...]
    pairs: tuple[RecordedPair, ...]
    recorded_at: str
    """UTC, ISO 8601"""

    def __post_init__(self) -> None:
        by_name = {one.name: one for one in self.networks}
        if not by_name or len(by_name) != len(self.networks):
            raise ValueError("networks need names of their own")
        if any(one.images != self.images for one in self.networks):
            raise ValueError("networks saw different numbers of images")
        for pair in self.pairs:
            if pair.first not in by_name or pair.second not in by_name:
                raise ValueError(f"no network {pair.first!r} or {pair.second!r}")
            first, second = by_name[pair.first], by_name[pair.second]
            right = pair.both + pair.only_first, pair.both + pair.only_second
            if right != (first.top1_hits, second.top1_hits) or sum(right) - pair.both + pair.neither != self.images:
                raise ValueError(f"counts of {pair.first} and {pair.second} contradict their hits")
        datetime.datetime.fromisoformat(self.recorded_at)

    @property
    def recording_id(self) -> str:
        """``<file>-<8 hex of the predictions and labels>``."""
        identity = json.dumps([self.labels_sha256, *sorted((one.name, one.sha256) for one in self.networks)])
        digest = hashlib.sha1(identity.encode(), usedforsecurity=False).hexdigest()[:8]
        stem = "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in self.file.partition(".")[0])
        return f"{stem[:60]}-{digest}"

    def of_weights(self, names: tuple[str, ...]) -> Iterator[RecordedNetwork]:
        """Networks whose weights have one of these names."""
        return (one for one in self.networks if one.weights and one.weights in names)
