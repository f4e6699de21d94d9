"""Requests to Slurm: from ``--slurm KEY=VALUE``, else from slurm.toml, else from variables such as SBATCH_QOS."""

import difflib
import fnmatch
import os
import re
import shlex
import tomllib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from bench.launch.slurm import client as slurm
from bench.launch.slurm.sbatch_options import BY_VARIABLE, FURTHER, TOGETHER
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


def _gpus(text: str) -> int | str:
    """Read GPUs as sbatch takes them: a number, or a type and a number, as in a100:4."""
    if text.isdecimal():
        return int(text)
    if not re.fullmatch(r"[A-Za-z][\w.-]*(:\d+)?(,[A-Za-z][\w.-]*(:\d+)?)*", text):
        raise ValueError("choose a whole number from 0, or a type and a number, as in a100:4")
    return text


def _yes(text: str) -> bool | str:
    if text in ("user", "mcs", "topo"):
        return text
    if text.lower() not in ("true", "false"):
        raise ValueError("choose true or false")
    return text.lower() == "true"


def _command(text: str) -> str:
    if not shlex.split(text):
        raise ValueError("choose a command, as in apptainer exec image.sif python")
    return text


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
    "gpus_per_node": _gpus,
    "tasks_per_node": _whole(1),
    "cpus_per_task": _whole(1),
    "mem_gb": _gigabytes,
    "mem": str,
    "time": _minutes,
    "signal_delay_s": _whole(1),
    "setup": str,
    "python": _command,
    "max_parallel": _whole(1),
}

FILE = Path("slurm.toml")


@dataclass(frozen=True, slots=True, kw_only=True)
class SlurmRequest:
    """A run's request to Slurm. None leaves the choice to Slurm, or to this program where the field says so."""

    nodes: int | None = None
    """one unless given"""
    gpus_per_node: int | str | None = None
    """a number, or types and numbers; none unless given"""
    tasks_per_node: int | None = None
    """one for each GPU unless given, and one if there are no GPUs"""
    cpus_per_task: int | None = None
    mem_gb: float | None = None
    """of each node"""
    mem: str | None = None
    """the same as sbatch has it, where 0 is all of a node's memory"""
    time: int | None = None
    """minutes; estimated unless given"""
    signal_delay_s: int | None = None
    """time between the warning signal and the time limit"""
    setup: str | None = None
    """a shell command to run before Python"""
    python: str | None = None
    """the command that starts Python, as a shell has it; the interpreter that submits unless given"""
    passed_on: tuple[tuple[str, str | bool], ...] = ()
    """names in ``SBATCH`` and ``FURTHER``, and their values"""

    def require_sense(self) -> None:
        """Check what one option says against the others.

        Raises:
            RequestError: they exclude each other, GPUs would idle, or the job would end as it begins.
        """
        options = self.options()
        for key in options:
            for other in TOGETHER.get(key, ()):
                if other in options:
                    raise RequestError(
                        f"{key}={options[key]} and {other}={options[other]} exclude each other; choose one"
                    )
        if self.gpus_per_node is not None and _gpus_of_gres(options):
            raise RequestError(
                f"gpus_per_node={self.gpus_per_node} and gres={options['gres']} both ask for GPUs; choose one"
            )
        gpus = self.gpus_on_each_node
        if gpus and self.tasks != gpus:
            idle = f"{gpus - self.tasks} of {gpus} GPUs would idle" if self.tasks < gpus else "GPUs would be shared"
            raise RequestError(
                f"tasks_per_node={self.tasks} with {gpus} GPUs per node: each process trains on one GPU, so {idle}; "
                f"leave out tasks_per_node, or choose gpus_per_node={self.tasks}"
            )
        if self.signal_delay_s is not None and self.time is not None and self.signal_delay_s >= 60 * self.time:
            raise RequestError(
                f"signal_delay_s={self.signal_delay_s} is not shorter than the time limit of {self.time} minutes: the "
                f"warning would come as the job begins; choose less than {60 * self.time}, or more time"
            )

    @property
    def tasks(self) -> int:
        """Processes on each node."""
        return self.tasks_per_node or self.gpus_on_each_node or 1

    @property
    def processes(self) -> int:
        """Processes on all nodes."""
        return (self.nodes or 1) * self.tasks

    @property
    def gpus_on_each_node(self) -> int:
        """GPUs of whatever type, whether they are asked for as such or as gres."""
        asked = str(self.gpus_per_node) if self.gpus_per_node is not None else _gpus_of_gres(self.options())
        counts = [part.rpartition(":")[2] for part in asked.split(",") if part]
        return sum(int(count) if count.isdecimal() else 1 for count in counts)

    @property
    def gpus(self) -> int:
        """GPUs on all nodes."""
        return (self.nodes or 1) * self.gpus_on_each_node

    @property
    def partition(self) -> str | None:
        """One partition, or several separated by commas."""
        asked = dict(self.passed_on).get("partition")
        return None if asked is None else str(asked)

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> "SlurmRequest":
        """The request of these options, as ``options`` has them."""
        passed_on = tuple((key, options[key]) for key in (*SBATCH, *sorted(FURTHER)) if key in options)
        own = {f.name for f in fields(cls)}
        return cls(passed_on=passed_on, **{key: value for key, value in options.items() if key in own})

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

    def __init__(self, given: Sequence[str], file: Path = FILE, variables: Mapping[str, str] = os.environ) -> None:
        self.file = file if os.path.lexists(file) else None
        self._general, self._networks = _read_file(file) if os.path.lexists(file) else ({}, {})
        self._given: dict[str, object] = {}
        for pair in given:
            key, separator, text = pair.partition("=")
            if not separator or not text:
                raise RequestError(f"--slurm {pair!r} is not KEY=VALUE, as in --slurm partition=gpu gpus_per_node=8")
            self._given |= [_option(key, text, "--slurm")]
        self._variables = {
            option: (_option(option, variables[variable], variable)[1], variable)
            for variable, option in BY_VARIABLE.items()
            if variables.get(variable)
        }

    def request(self, network: str) -> SlurmRequest:
        """The request of a run of this network.

        Raises:
            RequestError: two of its options contradict each other.
        """
        options = self._asked(network)
        found = SlurmRequest.of(options | {key: value for key, (value, _) in self._filled(options).items()})
        found.require_sense()
        return found

    def _asked(self, network: str) -> dict[str, object]:
        """Its options without those that variables fill in."""
        special = [v for pattern, v in self._networks.items() if fnmatch.fnmatchcase(network, pattern)]
        options = dict(self._general)
        for values in (*special, self._given):
            for key in values:
                for other in TOGETHER.get(key, ()):
                    options.pop(other, None)  # --slurm mem_per_gpu=8G takes precedence over mem_gb in slurm.toml
            if _gpus_of_gres(values):
                options.pop("gpus_per_node", None)
            if "gpus_per_node" in values and _gpus_of_gres(options):
                del options["gres"]
            options |= values
        options.pop("max_parallel", None)  # a limit on the whole command, not on a run
        return options

    def _filled(self, options: Mapping[str, object]) -> dict[str, tuple[object, str]]:
        """Values of variables, with their names, for options that nothing else sets."""
        asks_for_gpus = "gpus_per_node" in options or bool(_gpus_of_gres(options))
        return {
            key: (value, variable)
            for key, (value, variable) in self._variables.items()
            if key not in options
            and not any(other in options for other in TOGETHER.get(key, ()))
            and not (asks_for_gpus and (key == "gpus_per_node" or _gpus_of_gres({key: value})))
        }

    def from_variables(self, networks: Iterable[str]) -> list[str]:
        """The options of these networks that variables fill in, with the variables' names."""
        found = [self._filled(self._asked(network)) for network in networks]
        told = [f"{key}={value}, from {variable}" for filled in found for key, (value, variable) in filled.items()]
        return list(dict.fromkeys(told))

    def require_networks(self, names: Collection[str]) -> None:
        """Check that every table of the file is for a network that there is.

        Raises:
            RequestError: one is for none, and would do nothing.
        """
        for pattern in self._networks:
            if not fnmatch.filter(names, pattern):
                raise unknown(f"network in {self.file}", pattern, sorted(names), "run_all.py list shows networks")

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
    except RecursionError as error:
        raise RequestError(f"{file}: nested too deeply; docs/slurm.md shows one") from error
    except ValueError as error:
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
    return dict(_option(key, str(value), where) for key, value in table.items())


def _option(name: str, text: str, where: str) -> tuple[str, object]:
    """The option's name with underscores, and its value."""
    key = name.replace("-", "_")
    if key in FURTHER:
        return key, {"true": True, "false": False}.get(text.lower(), text)
    if key not in _KEYS:
        close = difflib.get_close_matches(key, FURTHER, n=3)
        remedy = "sbatch's other options are keys as well, as in licenses=matlab:1; docs/slurm.md lists the exceptions"
        raise unknown(f"key of {where}", key, [*_KEYS, *close], remedy)
    try:
        return key, _KEYS[key](text)
    except ValueError as error:
        raise RequestError(f"{where}: {key}={text} is not possible: {error}") from None


def _gpus_of_gres(options: Mapping[str, object]) -> str:
    """The part of gres that asks for GPUs."""
    parts = str(options.get("gres", "")).split(",")
    return ",".join(part for part in parts if part.split(":")[0] in ("gpu", "gres/gpu"))
