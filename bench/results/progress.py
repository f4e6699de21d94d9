"""The progress of a run, as its own process reports it: in ``progress.json``, in its log and on the terminal."""

import dataclasses
import datetime
import enum
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from bench.results.codec import Amount, Count


class Phase(enum.StrEnum):
    """The phase that a run is in."""

    READING = "reading data"
    BUILDING = "building"
    TRAINING = "training"
    VALIDATING = "validating"
    SAVING = "saving"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The progress of a run.

    Raises:
        ValueError: a value cannot be.
    """

    phase: Phase
    epoch: Count = 0
    """finished ones"""
    epochs: Count | None = None
    step: Count = 0
    """finished ones: of the validation while validating, and otherwise of the epoch's training"""
    steps: Count | None = None
    """None until the data are read"""
    loss: Amount | None = None
    """mean over the epoch's steps; None until there is one"""
    images_per_s: Amount | None = None
    """in this epoch's training; None until known"""
    left_s: Amount | None = None
    """seconds to the end of the run at the pace so far, validations included; None until known"""

    def __post_init__(self) -> None:
        if 0 in (self.epochs, self.steps, self.images_per_s):
            raise ValueError("totals and speed must be above 0")
        if (self.epochs and self.epoch > self.epochs) or (self.steps and self.step > self.steps):
            raise ValueError("more is done than there is")

    @property
    def part_of_epoch(self) -> float:
        """The share of the epoch's training that is done, from 0 to 1."""
        if self.phase is Phase.VALIDATING:
            return 1.0
        return self.step / self.steps if self.steps else 0.0

    @property
    def current_epoch(self) -> str:
        """``epoch 3 of 16``, counted from 1."""
        last = self.epochs or self.epoch + 1
        return f"epoch {min(self.epoch + 1, last)} of {self.epochs or '?'}"

    def __str__(self) -> str:
        if self.phase in (Phase.READING, Phase.BUILDING):
            return self.phase
        parts = [self.current_epoch]
        if self.phase is not Phase.TRAINING:
            parts.append(self.phase)
        if self.steps and self.phase is not Phase.SAVING:
            parts.append(f"step {self.step:,} of {self.steps:,}")
        if self.loss is not None and self.phase is Phase.TRAINING:
            parts.append(f"loss {self.loss:.4f}")
        if self.images_per_s and self.phase is Phase.TRAINING:
            parts.append(speed(self.images_per_s))
        if self.left_s is not None:
            parts.append(f"{duration(self.left_s)} left")
        return ", ".join(parts)


class Teller:
    """Tells how far one attempt at a run is, and works out how long the rest will take.

    Args:
        told: called with each change.
    """

    def __init__(self, *told: Callable[[Progress], None]) -> None:
        self._told = told
        self._now = Progress(phase=Phase.READING)
        self._first: tuple[float, float] | None = None  # when training began in this attempt, and after how much of it

    def __call__(
        self,
        phase: Phase,
        *,
        epoch: int | None = None,
        epochs: int | None = None,
        step: int | None = None,
        steps: int | None = None,
        loss: float | None = None,
        images_per_s: float | None = None,
    ) -> None:
        """Report progress; counts that are not given stay as they were.

        Many parameters: the fields of ``Progress``, each of which may change alone.
        """
        now = self._now
        now = dataclasses.replace(
            now,
            phase=phase,
            epoch=now.epoch if epoch is None else epoch,
            epochs=now.epochs if epochs is None else epochs,
            step=now.step if step is None else step,
            steps=now.steps if steps is None else steps,
            loss=loss,
            images_per_s=images_per_s,
        )
        self._now = dataclasses.replace(now, left_s=self._left_s(now))
        for tell in self._told:
            tell(self._now)

    def _left_s(self, now: Progress) -> float | None:
        if now.phase in (Phase.READING, Phase.BUILDING) or not now.epochs:
            return None
        done, clock = now.epoch + now.part_of_epoch, time.monotonic()
        if self._first is None:
            self._first = clock, done
        began, before = self._first
        left = max(now.epochs - done, 0)  # what a recipe holds images out for is validated on after the last epoch
        return (clock - began) * left / (done - before) if done > before else None


def duration(seconds: float | None) -> str:
    """A duration in its two largest units of days, hours, minutes and seconds."""
    if seconds is None or not math.isfinite(seconds):
        return "-"
    whole = datetime.timedelta(seconds=min(round(seconds), MOST_S))
    days, hours, minutes = whole.days, whole.seconds // 3600, whole.seconds // 60 % 60
    if days:
        return f"{days:,} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if minutes else f"{whole.seconds} s"


MOST_S = 86_400 * 9_999
"""that ``duration`` writes out"""


def speed(images_per_s: float) -> str:
    """``1,234 images/s``, with a decimal where it is slow."""
    return f"{images_per_s:,.0f} images/s" if images_per_s >= 100 else f"{images_per_s:.1f} images/s"
