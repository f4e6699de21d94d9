"""Requests to Slurm, from slurm.toml and from ``--slurm KEY=VALUE``, which outranks it."""

import fnmatch
import os
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from bench.launch.slurm import client as slurm
from bench.spec.errors import RequestError, unknown
from bench.spec.regular_files import regular_file


def _whole(least: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise ValueError(f"choose a whole number from {least}")
        return int(text)

    return read


def _minutes(text: str) -> int:
    limit = slurm.minutes(text)
    if not 1 <= limit < float("inf"):
        raise ValueError("choose a minute or more")
    return int(limit)


def _gigabytes(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise ValueError("choose a number above 0")
    return value


def _yes(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError("choose true or false")
    return text.lower() == "true"


SBATCH: dict[str, Callable[[str], str | bool]] = {
    "partition": str,
    "account": str,
    "qos": str,
    "constraint": str,
    "reservation": str,
    "nodelist": str,
    "exclude": str,
    "exclusive": _yes,
    "mail_user": str,
    "mail_type": str,
}
"""sbatch's options, by name with underscores, that mean nothing to this program: they are passed on as they are"""

_KEYS: dict[str, Callable[[str], object]] = {
    **SBATCH,
    "nodes": _whole(1),
    "gpus_per_node": _whole(0),
    "tasks_per_node": _whole(1),
    "cpus_per_task": _whole(1),
    "mem_gb": _gigabytes,
    "time": _minutes,
    "signal_delay_s": _whole(1),
    "setup": str,
    "max_parallel": _whole(1),
}

FILE = Path("slurm.toml")


@dataclass(frozen=True, slots=True, kw_only=True)
class SlurmRequest:
    """A run's request to Slurm. None leaves the choice to Slurm, or to this program where the field says so."""

    nodes: int | None = None
    """one unless given"""
    gpus_per_node: int | None = None
    """none unless given"""
    tasks_per_node: int | None = None
    """one for each GPU unless given, and one if there are no GPUs"""
    cpus_per_task: int | None = None
    mem_gb: float | None = None
    """of each node"""
    time: int | None = None
    """minutes; estimated unless given"""
    signal_delay_s: int | None = None
    """time between the warning signal and the time limit"""
    setup: str | None = None
    """a shell command to run before Python"""
    passed_on: tuple[tuple[str, str | bool], ...] = ()
    """names in ``SBATCH``, and their values"""

    @property
    def tasks(self) -> int:
        """Processes on each node."""
        return self.tasks_per_node or self.gpus_per_node or 1

    @property
    def processes(self) -> int:
        """Processes on all nodes."""
        return (self.nodes or 1) * self.tasks

    @property
    def gpus(self) -> int:
        """GPUs on all nodes."""
        return (self.nodes or 1) * (self.gpus_per_node or 0)

    @property
    def partition(self) -> str | None:
        """One partition, or several separated by commas."""
        asked = dict(self.passed_on).get("partition")
        return None if asked is None else str(asked)

    def options(self) -> dict[str, object]:
        """All options that were set, by the names that slurm.toml uses."""
        own = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "passed_on"}
        return {**dict(self.passed_on), **{key: value for key, value in own.items() if value is not None}}


class Settings:
    """Options from slurm.toml and from the command line, which together give each network's request.

    Args:
        given: KEY=VALUE pairs of the command line.
        file: a TOML file with the same keys, and tables ``[networks."t2t_vit_24*"]`` for networks that need more.

    Raises:
        RequestError: an unknown key, or a value that Slurm would refuse; names it and the choices.
    """

    def __init__(self, given: Sequence[str], file: Path = FILE) -> None:
        self._general, self._networks = _read_file(file) if os.path.lexists(file) else ({}, {})
        self._given: dict[str, object] = {}
        for pair in given:
            key, separator, text = pair.partition("=")
            if not separator or not text:
                raise RequestError(f"--slurm {pair!r} is not KEY=VALUE, as in --slurm partition=gpu gpus_per_node=8")
            self._given[key] = _value(key, text, "--slurm")

    def request(self, network: str) -> SlurmRequest:
        """The request of a run of this network."""
        special = [v for pattern, v in self._networks.items() if fnmatch.fnmatchcase(network, pattern)]
        options: dict[str, Any] = dict(self._general)
        for values in (*special, self._given):
            options |= values
        options.pop("max_parallel", None)  # a limit on the whole command, not on a run
        passed_on = tuple((key, options.pop(key)) for key in SBATCH if key in options)
        return SlurmRequest(**options, passed_on=passed_on)

    @property
    def max_parallel(self) -> int | None:
        """Most runs at once, if there is a limit."""
        limit = (self._general | self._given).get("max_parallel")
        return int(str(limit)) if limit else None


def _read_file(file: Path) -> tuple[dict[str, object], dict[str, dict[str, object]]]:
    try:
        with regular_file(file) as opened:
            document = tomllib.load(opened)
    except OSError as error:
        raise RequestError(f"{file}: {error.strerror}; docs/slurm.md shows one") from error
    except (ValueError, RecursionError) as error:
        raise RequestError(f"{file}: {error}; docs/slurm.md shows one") from error
    networks = document.pop("networks", {})
    if not isinstance(networks, dict) or not all(isinstance(values, dict) for values in networks.values()):
        raise RequestError(f'{file}: networks is not a table of tables, as in [networks."t2t_vit_24*"]')
    special = {pattern: _values(values, f'{file}, networks."{pattern}"') for pattern, values in networks.items()}
    if any("max_parallel" in values for values in special.values()):
        raise RequestError(f"{file}: max_parallel limits all networks together; put it above the tables")
    return _values(document, str(file)), special


def _values(table: Mapping[str, object], where: str) -> dict[str, object]:
    for key, value in table.items():
        if not isinstance(value, str | int | float):
            raise RequestError(f"{where}: {key} must be text, a number, true or false; docs/slurm.md shows a file")
    return {key: _value(key, str(value), where) for key, value in table.items()}


def _value(key: str, text: str, where: str) -> object:
    if key not in _KEYS:
        raise unknown(f"key of {where}", key, _KEYS)
    try:
        return _KEYS[key](text)
    except ValueError as error:
        raise RequestError(f"{where}: {key}={text} is not possible: {error}") from None
