"""Measurements of a network: params, MACs, structure, and the shapes of its layers."""

import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from bench.spec.run import Network


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
