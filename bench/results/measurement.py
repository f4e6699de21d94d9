"""Measurements of a network: params, MACs, structure, and the shapes of its layers."""

import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from bench.results.codec import Count
from bench.spec.run import Network


@dataclass(frozen=True, slots=True, kw_only=True)
class Complexity:
    """Size and cost of one network at one resolution, batch 1, with the evidence for it."""

    network: Network
    params: Count
    """all parameters, frozen ones included"""
    trainable_params: Count
    macs: Count
    """multiply-adds as fvcore counts them: linear, convolution, matrix products, norms, pooling"""
    linear_macs: Count
    """the part in linear layers and convolutions alone"""
    torch_macs: Count
    """the cross-check: torch's FlopCounterMode, which sees no norms and no pooling, halved"""
    structure: Mapping[str, str]
    """read off the built network, by column of STRUCTURE"""
    macs_by_operator: Mapping[str, Count]
    uncounted_operators: Mapping[str, Count]
    """operators that no counter knows, with how often they ran"""
    versions: Mapping[str, str]
    """of python and of the libraries that decide the count"""
    source: str
    """Python package that defines the network"""
    source_sha256: str
    """over our own code behind the counts"""
    machine: str
    measured_at: str
    """UTC, ISO 8601"""

    def __post_init__(self) -> None:
        if not (self.params and self.params >= self.trainable_params and self.macs >= self.linear_macs):
            raise ValueError(f"counts of {str(self.network)!r} contradict each other")
        datetime.datetime.fromisoformat(self.measured_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerShape:
    """One layer of a built network, with what goes into it and what comes out, batch left out."""

    name: str
    """qualified, as in the state dict"""
    kind: str
    """its class; "Parameter" for one that belongs to the network itself"""
    inputs: tuple[Count, ...]
    """shape of the first argument; empty for a parameter"""
    output: tuple[Count, ...]
    params: Count
    """all parameters in it, frozen ones included"""
    trainable_params: Count
    settings: Mapping[str, Count] = field(default_factory=dict)
    """kernel, stride, padding, groups or heads, where it has them; the same along both axes"""

    def __post_init__(self) -> None:
        if not self.output or self.params < self.trainable_params:
            raise ValueError(f"shape and counts of {self.name!r} contradict each other")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """The layers of a built network in the order in which an image meets them: what figures are drawn from."""

    network: Network
    layers: tuple[LayerShape, ...]
    """those that have parameters, and soft splits; of what lies inside the blocks the first one's alone"""
    params: Count
    """of the whole network"""
    versions: Mapping[str, str]
    """of python and of the libraries that decide the layers"""
    source_sha256: str
    """over our own code behind them"""
    machine: str
    measured_at: str
    """UTC, ISO 8601"""

    def __post_init__(self) -> None:
        if not self.layers:
            raise ValueError(f"{str(self.network)!r} has no layers")
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
        """The blocks of the backbone, in order."""
        return tuple(layer for layer in self.layers if re.fullmatch(r"blocks\.\d+", layer.name))
