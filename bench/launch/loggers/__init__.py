"""Loggers: a module each, which is named as on the command line and writes a run's epochs to a tracker.

A module has ``LIBRARIES``, the packages that it imports, and a class ``Logger``, which it imports them in.
``bench.launch.follow`` calls it, in a process of its own.
"""

import importlib
import pkgutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench.launch.labels import values_of
from bench.spec.errors import RequestError
from bench.spec.extras import install, missing
from bench.spec.run import RunSpec

LOGGERS = tuple(found.name for found in pkgutil.iter_modules(__path__))
"""names of the modules in this folder"""

PROJECT = "t2t-bench"
"""name of the project or experiment that runs belong to, unless the tracker's own environment variable names another"""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedRun:
    """A run as a tracker knows it."""

    folder: Path
    spec: RunSpec
    key: str
    """16 hex digits: the same in all attempts at the run, and another one if it is removed and trained anew"""

    @property
    def group(self) -> str:
        """The run's id without its seed: that of all seeds."""
        return self.spec.run_id.rpartition("-s")[0]

    @property
    def config(self) -> dict[str, object]:
        """Everything that changes the run's result, by name, and the names of run and recipe."""
        spec = self.spec
        return {"run_id": spec.run_id, "recipe": spec.recipe.name, "seed": spec.seed, **values_of(spec)}


class Logger(Protocol):
    """A run in a tracker, opened to go on with.

    Whatever a method raises is one line of the run's log, and the logger is opened again later.
    """

    def __init__(self, run: LoggedRun) -> None:
        """Open the run in the tracker, or begin it."""

    def has(self, name: str, epoch: int) -> bool:
        """Whether the tracker holds that value of the epoch, which counts from 0, from an earlier attempt."""

    def write(self, epoch: int, values: Mapping[str, float]) -> None:
        """Write values of an epoch, named as in metrics.jsonl."""

    def end(self, status: str) -> None:
        """Write what is buffered, and close; ``status`` is one of ``bench.results.record.STATUSES``."""


def open_logger(name: str, run: LoggedRun) -> Logger:
    """Open a run in the tracker of one of ``LOGGERS``."""
    opened: Logger = importlib.import_module(f"{__name__}.{name}").Logger(run)
    return opened


def require_loggers(names: Iterable[str]) -> None:
    """Check that the libraries of loggers are installed, without importing them.

    Raises:
        RequestError: one is not; names the command that installs it.
    """
    for name in names:
        for library in missing(importlib.import_module(f"{__name__}.{name}").LIBRARIES):
            raise RequestError(f"--log {name} needs the package {library}, which is not installed: {install(name)}")
