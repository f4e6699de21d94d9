"""The class that executors submit: the only thing of t2t-bench that a queued job's pickle names.

A job may wait for weeks, while the code moves on. So this module stays where it is, ``Job`` keeps its name, and all
that it holds is of Python's own types.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.launch.job import execute

if TYPE_CHECKING:
    from submitit.helpers import DelayedSubmission


@dataclass(frozen=True, kw_only=True)  # without slots, and so pickled by the names of its fields, not by their order
class Job:
    """A run to train; all else about it is in its folder."""

    folder: str
    """of the run"""
    resources: dict[str, Any]
    """``Resources`` as JSON has them"""
    environment: dict[str, str | None] = field(default_factory=dict)
    """variables to set, or with None to remove, before torch is imported: the job's share of a shared machine"""
    estimated_gpu_hours: float | None = None
    """that the run was expected to need when it was submitted"""

    def __call__(self) -> tuple[int, str]:
        """Train; see ``execute``."""
        return execute(Path(self.folder), self.resources, self.environment, self.estimated_gpu_hours)

    def checkpoint(self) -> "DelayedSubmission":
        """The same again: submitit calls this if a signal comes before the run listens to it."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)
