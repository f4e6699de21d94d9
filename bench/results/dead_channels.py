"""Counts of the channels of a trained network that are dead on each of many test images."""

import datetime
import statistics
from collections.abc import Mapping
from dataclasses import dataclass

from bench.results.codec import Count, Finite
from bench.spec.run import Network


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerCounts:
    """Dead channels of one layer."""

    name: str
    """the module whose output was looked at"""
    channels: Count
    dead: tuple[Count, ...]
    """number of dead channels on each image"""
    always_dead: Count
    """channels that are dead on every image"""

    def __post_init__(self) -> None:
        if not self.dead or not self.always_dead <= min(self.dead) <= max(self.dead) <= self.channels:
            raise ValueError(f"counts of layer {self.name} contradict each other")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadChannels:
    """Dead channels of a finished run's network, from its first layer to its last.

    ``bench/measure/feature_maps.py`` defines when a channel is dead on an image.
    """

    run_id: str
    network: Network
    dataset: str
    images_sha256: str
    """of the test images, as in the run's fingerprint"""
    images: tuple[Count, ...]
    """indices of those that were looked at"""
    weights_sha256: str
    """of the checkpoint"""
    key: str
    """where in the checkpoint the weights are"""
    dead_below: Finite
    """largest value of a dead channel, over the layer's root mean square"""
    layers: tuple[LayerCounts, ...]
    versions: Mapping[str, str]
    """of python and of the libraries that decide the counts"""
    machine: str
    measured_at: str
    """UTC, ISO 8601"""

    def __post_init__(self) -> None:
        if not self.layers or not any(layer.channels for layer in self.layers):
            raise ValueError(f"no layers of {self.run_id}")
        if any(len(layer.dead) != len(self.images) for layer in self.layers):
            raise ValueError(f"layers of {self.run_id} saw different numbers of images")
        datetime.datetime.fromisoformat(self.measured_at)

    @property
    def channels(self) -> int:
        """Number of channels in all layers."""
        return sum(layer.channels for layer in self.layers)

    @property
    def shares(self) -> list[float]:
        """Share of dead channels on each image, from 0 to 1."""
        return [sum(dead) / self.channels for dead in zip(*(layer.dead for layer in self.layers), strict=True)]

    @property
    def dead_pct(self) -> float:
        """Share of dead channels, the mean over the images, in %."""
        return 100 * statistics.fmean(self.shares)

    @property
    def always_dead_pct(self) -> float:
        """Share of channels that are dead on every image, in %."""
        return 100 * sum(layer.always_dead for layer in self.layers) / self.channels
