"""Measured speeds of training steps and of inference, as ``run_all.py speed`` keeps them.

Each network of the speed page has a file for every case, a ``NetworkSpeed``, in the folder ``speed``; the comparison
with another implementation is one file, ``step.json``.
"""

import datetime
import hashlib
import json
import re
import statistics
from collections.abc import Mapping
from dataclasses import dataclass

from bench.spec.run import ModelArgs, Network


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
    model_args: ModelArgs = ()
    """further arguments of the factory"""

    @property
    def network(self) -> Network:
        """The network that is timed, at its resolution."""
        return Network(self.model, model_args=self.model_args, img_size=self.img_size)

    @property
    def is_latency(self) -> bool:
        """Whether it is the time that one image takes, rather than the speed over a batch."""
        return self.mode == "infer" and self.batch == 1

    def __str__(self) -> str:
        what = "latency" if self.is_latency else f"{self.mode}, batch {self.batch}"
        compiled = ", compiled" if self.compile else ""
        return f"{self.network} at {self.img_size} px, {what}, {self.precision}{compiled}, {self.device}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One implementation's part of a measurement."""

    seconds: tuple[float, ...]
    """of a call, in each round"""
    saved_bytes: int | None
    """kept from the forward for the backward pass; None of inference"""
    peak_bytes: int | None = None
    """most memory in use at once: on a CPU, the whole process, Python and libraries included; on a GPU, what torch
    allocated; None beside another implementation, since both are in one process"""

    def __post_init__(self) -> None:
        if not (self.seconds and min(self.seconds) > 0):
            raise ValueError(f"seconds are {list(self.seconds)}; each round takes some")

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """The machine and the software on which speeds were measured."""

    machine: str
    threads: int
    clock: str
    """one of ``bench.measure.speed.CLOCKS``"""
    versions: Mapping[str, str]
    gpu: str = ""
    """name of the GPU; empty for speeds on the CPU"""

    @property
    def where(self) -> tuple[str, str, int, str]:
        """The part that it shares with settings that differ in their versions alone."""
        return self.gpu, self.machine, self.threads, self.clock


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSpeed:
    """The speed of a network in one case."""

    setting: Setting
    measured: Measured
    measured_at: str
    """UTC, ISO 8601"""

    def __post_init__(self) -> None:
        if self.measured.theirs:
            raise ValueError("measured beside another implementation, whose page is another")
        datetime.datetime.fromisoformat(self.measured_at)

    @property
    def speed_id(self) -> str:
        """``<network>-<img_size>px-<mode>-<batch>-<precision>-<device>-<8 hex>``, the hex from the rest.

        Versions are not in it: a measurement with newer ones takes the older one's place.
        """
        case = self.measured.case
        rest = json.dumps([*self.setting.where, case.compile])
        digest = hashlib.sha256(rest.encode()).hexdigest()[:8]
        name = re.sub(r"[^\w.=,()-]", "-", str(case.network))
        return f"{name}-{case.img_size}px-{case.mode}-{case.batch}-{case.precision}-{case.device}-{digest}"
