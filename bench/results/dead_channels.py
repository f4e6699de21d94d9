"""Counts of the channels of a trained network that are dead on each of many test images."""

import datetime
import statistics
from collections.abc import Mapping
from dataclasses import dataclass

from bench.results.codec import Count, Finite
from bench.results.feature_maps import FeatureSource


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
    """Dead channels of a trained network, from its first layer to its last.

    ``bench/measure/feature_maps.py`` defines when a channel is dead on an image.
    """

    source: FeatureSource
    """a finished run, or a file of weights"""
    dataset: str
    images_sha256: str
    """of the test images, as in the run's fingerprint"""
    images: tuple[Count, ...]
    """indices of those that were looked at"""
    key: str
    """where in the file the weights are"""
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
            raise ValueError(f"no layers of {self.dead_channels_id}")
        if any(len(layer.dead) != len(self.images) for layer in self.layers):
            raise ValueError(f"layers of {self.dead_channels_id} saw different numbers of images")
        datetime.datetime.fromisoformat(self.measured_at)

    @property
    def dead_channels_id(self) -> str:
        """The run's id, or ``<model>-<img_size>px-<8 hex of the file>``."""
        return dead_channels_id(self.source)

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
    def std_err_pct(self) -> float:
        """Standard error of ``dead_pct`` over the images, in points; 0 of a single image."""
        shares = self.shares
        return 100 * statistics.stdev(shares) / len(shares) ** 0.5 if len(shares) > 1 else 0.0

    @property
    def always_dead_pct(self) -> float:
        """Share of channels that are dead on every image, in %."""
        return 100 * sum(layer.always_dead for layer in self.layers) / self.channels


def dead_channels_id(source: FeatureSource) -> str:
    """The id of the counts of trained weights."""
    if source.weights is None:
        raise ValueError(f"{source.network}: channels of random weights are not counted over test images")
    return source.run_id or f"{source.network.model}-{source.network.img_size}px-{source.weights.sha256[:8]}"
