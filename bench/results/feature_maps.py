"""Feature maps of a network on one photograph, with the counts of dead and saturated channels."""

import base64
import datetime
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from bench.results.codec import Count, Finite
from bench.spec.run import Network, Weights


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
        if (self.seed is None) == (self.weights is None):
            raise ValueError(f"features of {self.network} need weights, or else the seed of random ones")

    def __str__(self) -> str:
        """The weights, in words."""
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
    channels: Count
    height: Count
    width: Count
    dead: Count
    """channels that are as good as zero everywhere"""
    saturated: Count
    """channels that are far stronger than the others"""
    low: Finite
    """value that is shown black: 1 % of all the layer's values are below"""
    high: Finite
    """value that is shown white: 1 % are above"""
    shown: tuple[Count, ...]
    """indices of the channels whose maps are kept"""
    shown_dead: tuple[Count, ...]
    """those of them that are dead"""
    shown_saturated: tuple[Count, ...]
    maps: str
    """base64 of (len(shown), height, width) uint8: 0 at ``low`` and below, 255 at ``high`` and above"""

    def __post_init__(self) -> None:
        if not self.channels * self.height * self.width or self.dead + self.saturated > self.channels:
            raise ValueError(f"counts of layer {self.name} contradict each other")
        dead, saturated = set(self.shown_dead), set(self.shown_saturated)
        if sorted(set(self.shown)) != list(self.shown) or max(self.shown, default=0) >= self.channels:
            raise ValueError(f"layer {self.name} shows channels that it has not")
        if not dead | saturated <= set(self.shown) or dead & saturated:
            raise ValueError(f"layer {self.name} marks channels that it does not show")
        if len(dead) > self.dead or len(saturated) > self.saturated:
            raise ValueError(f"layer {self.name} marks more channels than it counts")
        if not self.low <= self.high:
            raise ValueError(f"layer {self.name} has no scale")
        if len(self.pixels) != len(self.shown) * self.height * self.width:
            raise ValueError(f"layer {self.name} has not the pixels of its maps")

    @property
    def pixels(self) -> bytes:
        """Pixels of the maps, a byte each, channel by channel and row by row."""
        return base64.b64decode(self.maps, validate=True)

    @property
    def dead_pct(self) -> float:
        """Share of dead channels."""
        return 100 * self.dead / self.channels

    @property
    def saturated_pct(self) -> float:
        """Share of saturated channels."""
        return 100 * self.saturated / self.channels


AVERAGED_KEYS = ("state_dict_ema", "ema")
"""where averaged weights lie in a file, of the authors' or ours"""


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
    mean: tuple[Finite, ...]
    """that was subtracted from the pixels, by colour"""
    std: tuple[Finite, ...]
    """by which they were divided"""
    crop_pct: Finite
    eval_interpolation: str
    key: str
    """where in the file the weights lay; empty if it is nothing but weights, or if they are random"""
    resized: tuple[str, ...]
    """parameters that did not fit and were resized"""
    dead_below: Finite
    """largest value of a dead channel, over the layer's root mean square"""
    saturated_above: Finite
    """root mean square of a saturated channel, over the median of those that are not dead"""
    layers: tuple[LayerMaps, ...]
    """from early to late"""
    versions: Mapping[str, str]
    """of python and of the libraries that decide the features"""
    package: str
    """that defines the network"""
    source_sha256: str
    """over our own code behind the counts"""
    machine: str
    measured_at: str
    """UTC, ISO 8601"""

    def __post_init__(self) -> None:
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
        """The weights, in words."""
        return f"averaged {self.source}" if self.key in AVERAGED_KEYS else str(self.source)

    def depth(self, layer: int) -> float:
        """The relative position of a layer, from 0 (first) to 1 (last)."""
        return layer / (len(self.layers) - 1)

    @property
    def dead_pct(self) -> float:
        """Share of dead channels in all layers."""
        return 100 * sum(layer.dead for layer in self.layers) / sum(layer.channels for layer in self.layers)

    @property
    def saturated_pct(self) -> float:
        """Share of saturated channels in all layers."""
        return 100 * sum(layer.saturated for layer in self.layers) / sum(layer.channels for layer in self.layers)
