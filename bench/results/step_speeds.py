"""Measured speeds of training steps and of inference, as ``run_all.py speed`` keeps them in ``step.json``."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A case to time."""

    model: str
    img_size: int
    batch: int
    precision: str
    """of autocast: one of ``bench.training.metrics.PRECISIONS``"""
    mode: str
    """train, a training step; or infer, a forward pass in evaluation mode"""
    device: str = "cpu"
    compile: bool = False
    """whether ours runs under torch.compile; the other one never does"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One implementation's part of a measurement."""

    seconds: tuple[float, ...]
    """of a call, in each round"""
    saved_bytes: int | None
    """kept from the forward for the backward pass; None of inference"""

    @property
    def median_s(self) -> float:
        """Seconds a call."""
        return statistics.median(self.seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Both implementations of a case."""

    case: Case
    formulation: str
    """in which ours ran"""
    macs: int
    """multiply-adds of a forward pass over one image, as ``bench.measure.complexity`` counts them"""
    ours: Side
    theirs: Side | None
    """None where ours was measured alone"""
    matrix_gflops: float
    """billions of operations a second in a product of two large matrices, in the case's precision"""
    load: float
    """load average before the first round"""

    @property
    def ratios(self) -> tuple[float, ...]:
        """Our speed over the other's in each round; empty if there was no other."""
        theirs = self.theirs.seconds if self.theirs else ()
        return tuple(b / a for a, b in zip(self.ours.seconds, theirs, strict=False))

    def images_per_s(self, side: Side) -> float:
        """Images per second, by the median of the rounds."""
        return self.case.batch / side.median_s

    def gflops(self, side: Side) -> float:
        """Billions of operations a second: two to a multiply-add, and a backward pass takes two forward passes'."""
        passes = 3 if self.case.mode == "train" else 1
        return 2 * passes * self.macs * self.images_per_s(side) / 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSpeeds:
    """Cases that were measured in one setting."""

    against: str | None
    """what builds the other implementation"""
    machine: str
    threads: int
    clock: str
    """one of ``bench.measure.speed.CLOCKS``"""
    versions: Mapping[str, str]
    gpu: str = ""
    """name of the machine's GPU; empty if it has none, and in files of version 0.1.0"""
    measured: tuple[Measured, ...] = ()
    measured_at: str = ""
    """UTC, ISO 8601"""
