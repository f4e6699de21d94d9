"""The resources that a run has used: GPU hours, time in a queue, restarts and lost time, from its history."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

from bench.results.event import Event
from bench.results.record import RunRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """The resources that all attempts at a run have used together."""

    gpu_hours: float
    """of GPUs held, whether or not they were busy; 0 on CPUs"""
    estimated_gpu_hours: float | None
    """what was expected when the run was first submitted; None if nothing was"""
    queue_wait_s: float | None
    """None for a run that was in no queue"""
    restarts: int
    lost_s: float
    """trained after the last save before an attempt was killed, and trained again"""


def usage(record: RunRecord) -> Usage:
    """Add up what a run has used; of records that are older than a fact, it is 0 or None."""
    events = record.events
    begins = [(place, event) for place, event in enumerate(events) if event.what == "running"]
    seconds = sum(gpus * _lasted_s(begin, events[place + 1 :]) for place, begin in begins if (gpus := _gpus(begin)))
    waits = [event.waited_s for _, event in begins if event.waited_s is not None]
    expected = [event.estimated_gpu_hours for _, event in begins if event.estimated_gpu_hours is not None]
    return Usage(
        gpu_hours=seconds / 3600,
        estimated_gpu_hours=expected[0] if expected else None,
        queue_wait_s=sum(waits) if waits else None,
        restarts=max(0, len(begins) - 1),
        lost_s=sum(event.lost_s or 0.0 for event in events),
    )


def _gpus(begin: Event) -> int:
    """GPUs of an attempt: those that it held, or else one for each process."""
    if begin.gpus is not None:
        return begin.gpus
    return (begin.world_size or 1) if begin.device not in ("", "cpu") else 0


def _lasted_s(begin: Event, later: Sequence[Event]) -> float:
    """The time from the beginning of an attempt to its end, or to the last sign of life of one that was killed."""
    end = next((event for event in later if event.what in _ENDS), None)
    if end is None:
        return 0.0
    return max(0.0, (_time(end.until or end.when) - _time(begin.when)).total_seconds())


_ENDS = ("completed", "interrupted", "failed", "diverged", "killed")


def _time(text: str) -> datetime.datetime:
    try:
        found = datetime.datetime.fromisoformat(text)
    except ValueError:
        return datetime.datetime.fromtimestamp(0, datetime.UTC)
    return found if found.tzinfo else found.replace(tzinfo=datetime.UTC)
