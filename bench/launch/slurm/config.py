"""What to ask of Slurm: from slurm.toml, and from ``--slurm KEY=VALUE``, which outranks it."""

import fnmatch
import os
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

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


SBATCH: dict[str, Callable[[str], object]] = {
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
"""tasks_per_node is a process a GPU unless given, time minutes or D-HH:MM:SS, and setup a shell command to run before
python"""

FILE = Path("slurm.toml")


class Settings:
    """What was asked for, for each network.

    Args:
        given: KEY=VALUE pairs of the command line.
        file: a TOML file with the same keys, and tables ``[networks."t2t_vit_24*"]`` for networks that need more.

    Raises:
        RequestError: a key or a value is none that Slurm would take; names it and the choices.
    """

    def __init__(self, given: Sequence[str], file: Path = FILE) -> None:
        self._general, self._networks = _read_file(file) if os.path.lexists(file) else ({}, {})
        self._given: dict[str, object] = {}
        for pair in given:
            key, separator, text = pair.partition("=")
            if not separator or not text:
                raise RequestError(f"--slurm {pair!r} is no KEY=VALUE, as in --slurm partition=gpu gpus_per_node=8")
            self._given[key] = _value(key, text, "--slurm")

    def shape(self, network: str) -> dict[str, object]:
        """What a run of a network asks for, by key."""
        special = [v for pattern, v in self._networks.items() if fnmatch.fnmatchcase(network, pattern)]
        shape = dict(self._general)
        for values in (*special, self._given):
            shape |= values
        shape.pop("max_parallel", None)  # of the whole command, not of a run
        return shape

    @property
    def max_parallel(self) -> int | None:
        """Most runs at once, if there is a limit."""
        limit = (self._general | self._given).get("max_parallel")
        return int(str(limit)) if limit else None


def tasks_per_node(shape: Mapping[str, object]) -> int:
    """Processes a node: one a GPU unless given, and one without a GPU."""
    return int(str(shape.get("tasks_per_node") or shape.get("gpus_per_node") or 1))


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
        raise RequestError(f'{file}: networks is no table of tables, as in [networks."t2t_vit_24*"]')
    special = {pattern: _values(values, f'{file}, networks."{pattern}"') for pattern, values in networks.items()}
    if any("max_parallel" in values for values in special.values()):
        raise RequestError(f"{file}: max_parallel is of all networks together; put it above the tables")
    return _values(document, str(file)), special


def _values(table: Mapping[str, object], where: str) -> dict[str, object]:
    for key, value in table.items():
        if not isinstance(value, str | int | float):
            raise RequestError(f"{where}: {key} is no single value; docs/slurm.md shows a file")
    return {key: _value(key, str(value), where) for key, value in table.items()}


def _value(key: str, text: str, where: str) -> object:
    if key not in _KEYS:
        raise unknown(f"key of {where}", key, _KEYS)
    try:
        return _KEYS[key](text)
    except ValueError as error:
        raise RequestError(f"{where}: {key}={text} is not possible: {error}") from None
