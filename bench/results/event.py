"""An entry of a run's history: a change of its status, or another event."""

from dataclasses import asdict, dataclass
from typing import Annotated

import msgspec

from bench.results.codec import Amount, Count, decode


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An event in a run's history. What does not belong to the event, or is older than its field, is None or empty."""

    what: str
    """a status that begins, such as "running", or another event, such as "killed" or "resized\""""
    when: str
    """UTC, ISO 8601"""
    host: str = ""
    pid: Count | None = None
    attempt: Count | None = None
    """number of the attempt, from 1"""
    epoch: Count | None = None
    """epochs finished"""
    step: Count | None = None
    """steps finished of the next epoch"""
    steps: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """steps of an epoch"""
    note: str = ""
    """one line that says more"""
    refused: bool = False
    """whether a failure was an error of the request"""
    job: str = ""
    node: str = ""
    log: str = ""
    """path below the folder of runs"""
    device: str = ""
    precision: str = ""
    formulation: str = ""
    world_size: Count | None = None
    gpus: Count | None = None
    """held by the attempt, busy or not"""
    waited_s: Amount | None = None
    """in the queue, before the attempt began"""
    estimated_gpu_hours: Amount | None = None
    """expected when the run was first submitted"""
    until: str = ""
    """last sign of life of an attempt that was killed"""
    lost_s: Amount | None = None
    """trained by that attempt after its last save, and trained again"""
    compile: bool | None = None

    def plain(self) -> dict[str, object]:
        """The event as JSON has it: fields without a value are left out."""
        return {name: value for name, value in asdict(self).items() if value not in (None, "") and value is not False}


def event_of(values: object) -> Event:
    """The event of a JSON object; keys that newer versions may have written are left out.

    Raises:
        ValueError: one line with the field, its value and what would be right.
    """
    return decode(values, Event, others=True)
