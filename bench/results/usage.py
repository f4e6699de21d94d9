"""What a run has used: GPU hours, time in a queue, restarts and lost time, from the history of its record."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass

from bench.results.record import RunRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What all attempts at a run have used together."""

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
    """What a run has used according to its record; records from before these facts say 0 or None."""
    begins = [event for event in record.history if event["what"] == "running"]
    seconds = 0.0
    for event in begins:
        gpus = event.get("gpus")
        if not isinstance(gpus, int):
            size = event.get("world_size", 1)
            gpus = size if isinstance(size, int) and event.get("device", "cpu") != "cpu" else 0
        seconds += gpus * _lasted_s(event, record)
    waits = [wait for event in begins if isinstance(wait := event.get("waited_s"), int | float)]
    expected = [hours for event in begins if isinstance(hours := event.get("estimated_gpu_hours"), int | float)]
    lost = [value for event in record.history if isinstance(value := event.get("lost_s"), int | float)]
    return Usage(
        gpu_hours=seconds / 3600,
        estimated_gpu_hours=expected[0] if expected else None,
        queue_wait_s=sum(waits) if waits else None,
        restarts=max(0, len(begins) - 1),
        lost_s=sum(lost),
    )


def _lasted_s(begin: Mapping[str, object], record: RunRecord) -> float:
    """From the beginning of an attempt to its end, or to the last sign of life of one that was killed."""
    later = record.history[record.history.index(dict(begin)) + 1 :]
    end = next((event for event in later if event["what"] in _ENDS), None)
    if end is None:
        return 0.0
    return max(0.0, (_time(str(end.get("until", end["when"]))) - _time(str(begin["when"]))).total_seconds())


_ENDS = ("completed", "interrupted", "failed", "diverged", "killed")


def _time(text: str) -> datetime.datetime:
    try:
        found = datetime.datetime.fromisoformat(text)
    except ValueError:
        return datetime.datetime.fromtimestamp(0, datetime.UTC)
    return found if found.tzinfo else found.replace(tzinfo=datetime.UTC)
