"""Pieces of command lines that several commands share."""

import argparse
import difflib
import errno
import os
import re
import reprlib
import shlex
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from bench.launch.loggers import LOGGERS, require_loggers
from bench.spec.errors import RequestError
from bench.spec.gpus import PEAK_TFLOPS
from bench.spec.run import Resources, is_run_id

if TYPE_CHECKING:
    from bench.launch.dispatch import Launch

LARGEST_SEED = 2**63 - 1
"""the largest that torch, NumPy and pandas hold as a whole number"""


LONGEST_PATH, LONGEST_NAME = 3_000, 255
"""bytes of a path, and of each of its parts; Linux takes 4,095, of which our own files need some"""


class Parser(argparse.ArgumentParser):
    """Refuses a request by one line and exit code 2, and names the option or value that was probably meant.

    Args:
        command: name of the subcommand; empty for the tables.
        others: what argparse takes.
    """

    def __init__(self, command: str = "", **others: Any) -> None:
        others.setdefault("prog", f"run_all.py {command}".strip())
        super().__init__(allow_abbrev=False, **others)  # --run must never be read as --runs
        for action in (None, "store"):
            self.register("action", action, _StoreOnce)

    def error(self, message: str) -> NoReturn:
        """Raise RequestError."""
        raise RequestError(f"{message}{self._hint(message)}; {self.prog} --help shows the options")

    def command_line(self, args: argparse.Namespace) -> str:
        """The command that these options make, for a record that others read and that trains the run again.

        A folder is DIR, and a file its name. What says where a run is trained, and not what, is left out: of Slurm's
        options a setup may even hold a password.
        """
        words = ["python", *self.prog.split()]
        for action in self._actions:
            value = getattr(args, action.dest, action.default)
            if value == action.default or action.dest in ("slurm", "runs", "reports", "json", "log"):
                continue
            values = value if isinstance(value, list) else [] if action.nargs == 0 else [value]
            words += [action.option_strings[-1], *(_told(each, action.metavar) for each in values)]
        return shlex.join(words)

    def _hint(self, message: str) -> str:
        if unknown := re.match(r"unrecognized arguments: .*?(-[-\w]+)", message):
            close = difflib.get_close_matches(unknown[1], self._option_string_actions, n=1)
        elif choice := re.search(r"invalid choice: '(.*)' \(choose from (.*)\)", message):
            close = difflib.get_close_matches(choice[1], re.findall(r"[\w-]+", choice[2]), n=1)
        else:
            close = []
        return f"; did you mean {close[0]}?" if close else ""


def _told(value: object, metavar: object) -> str:
    """An option's value without the folders of this machine."""
    if isinstance(value, Path):
        return "DIR" if metavar == "DIR" else shared_name(value)
    name, equals, file = str(value).partition("=")
    return f"{name}={Path(file).name}" if equals and "/" in file else str(value)


def shared_name(path: Path) -> str:
    """The name of a file, which tells nothing of this machine; of a run's with the run's id."""
    folder = path.absolute().parent.name
    return f"{folder}/{path.name}" if is_run_id(folder) else path.name


class _StoreOnce(argparse.Action):
    """Stores the values of an option: all of them if it takes several and is given again, and else only once."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option_string: Any = None
    ) -> None:
        given = namespace.__dict__.setdefault("_given", set())
        if self.dest not in given:
            setattr(namespace, self.dest, values)
        elif isinstance(values, list):
            setattr(namespace, self.dest, [*getattr(namespace, self.dest), *values])
        else:
            raise argparse.ArgumentError(self, "given twice; give it once")
        given.add(self.dest)


def whole(least: int, most: int | None = None) -> Callable[[str], int]:
    """Type of an option that takes a whole number within bounds."""

    def number(text: str) -> int:
        if not re.fullmatch("[0-9]{1,30}", text) or int(text) < least or (most is not None and int(text) > most):
            bounds = f"from {least}" if most is None else f"from {least} to {most}"
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number {bounds}")
        return int(text)

    return number


def factor(text: str) -> float:
    """Type of an option that takes a number above 1."""
    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6})?", text) or float(text) <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 1, such as 1.5")
    return float(text)


def as_path(text: str) -> Path:
    """Type of an option that takes a path."""
    if not text.strip() or "\0" in text:
        raise argparse.ArgumentTypeError(f"{text!r} is not a path")
    name = os.fsencode(text)
    if len(name) > LONGEST_PATH or max(map(len, name.split(b"/"))) > LONGEST_NAME:
        raise argparse.ArgumentTypeError(f"{reprlib.repr(text)} is too long for a path")
    try:
        Path(text).stat()
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise argparse.ArgumentTypeError(f"{text!r} is a link that points back to itself") from error
    return Path(text)


def as_name(text: str) -> str:
    """Type of an option that takes a name or a pattern."""
    if not text.strip():
        raise argparse.ArgumentTypeError(f"{text!r} is not a name")
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """The folders that a command reads and writes, and the form of its answer."""

    runs: Path
    """the folder of measurements and runs"""
    reports: Path
    as_json: bool = False


def add_runs(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Add the options of every command about runs: where they are, and JSON; returns their group."""
    group = parser.add_argument_group("folders and output")
    group.add_argument(
        "--runs",
        type=as_path,
        default=Path("runs"),
        metavar="DIR",
        help="where measurements and runs are kept (default: %(default)s)",
    )
    group.add_argument("--json", action="store_true", help="print JSON for programs instead of text")
    return group


def add_output(parser: argparse.ArgumentParser) -> None:
    """Add the options of a command that writes reports."""
    add_runs(parser).add_argument(
        "--reports", type=as_path, default=Path("reports"), metavar="DIR", help="where to write (default: %(default)s)"
    )


def add_to(group: argparse._ActionsContainer, default: str) -> None:
    """Add the option of a command that exports: the folder of what it writes."""
    group.add_argument(
        "--to", type=as_path, default=Path(default), metavar="DIR", help="folder to write to (default: %(default)s)"
    )


def output_of(args: argparse.Namespace) -> Output:
    """Read the options that ``add_output`` added."""
    return Output(runs=args.runs, reports=args.reports, as_json=args.json)


def add_data(group: argparse._ArgumentGroup) -> None:
    """Add the options of a command that reads images."""
    group.add_argument(
        "--data",
        type=as_path,
        metavar="DIR",
        help="folder that holds the data sets, such as imagenet/{train,val} and cifar10; or, for ImageNet alone, the "
        "folder that holds {train,val} (default: $T2T_BENCH_DATA or ./data)",
    )
    group.add_argument(
        "--download", action="store_true", help="download CIFAR, Imagenette or another of torchvision's data sets"
    )
    group.add_argument(
        "--workers", type=whole(0), metavar="N", help="loading processes per GPU (default: up to 8; 0 on a CPU)"
    )


def data_folder(args: argparse.Namespace) -> str:
    """The folder of --data, else that of the environment, else ./data, as an absolute path."""
    return os.path.realpath(args.data or os.environ.get("T2T_BENCH_DATA") or "data")


def add_launch(parser: argparse.ArgumentParser, seeds: str) -> None:
    """Add the options of a command that trains.

    Args:
        parser: of the command.
        seeds: that it trains with by default, for the reader.
    """
    group = parser.add_argument_group("training")
    group.add_argument(
        "--run", choices=["local", "slurm"], help="train what is missing on this machine, or submit it to Slurm"
    )
    group.add_argument("--dry-run", action="store_true", help="print the plan and its cost, and train nothing")
    group.add_argument(
        "--seeds",
        nargs="+",
        type=whole(0, LARGEST_SEED),
        default=[],
        metavar="N",
        help=f"train with each of these seeds (default: {seeds})",
    )
    group.add_argument(
        "--max-parallel",
        type=whole(1),
        metavar="N",
        help="train at most this many runs at once (default: 1; on Slurm no limit)",
    )
    group.add_argument(
        "--slurm",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="with --run slurm: job options, as in --slurm partition=gpu; they take precedence over slurm.toml",
    )
    group.add_argument(
        "--max-submit",
        type=whole(1),
        metavar="N",
        help="with --run slurm: have at most this many of the runs queued or running at a time; repeat the command to "
        "submit the rest (default: as many as account and QOS allow)",
    )
    group.add_argument(
        "--gpu",
        choices=PEAK_TFLOPS,
        metavar="NAME",
        help=f"with --run: where no speed was measured, estimate the cost for this GPU ({', '.join(PEAK_TFLOPS)}), "
        "and first measure networks whose MACs are not known (default: v100, for measured networks only)",
    )
    group.add_argument(
        "--retry-mem",
        type=factor,
        metavar="FACTOR",
        help="with --run slurm: ask for this many times as much memory, such as 1.5, for runs that ran out of it",
    )
    group.add_argument(
        "--log",
        nargs="+",
        choices=LOGGERS,
        default=[],
        metavar="LOGGER",
        help=f"with --run: also write every epoch to these ({', '.join(LOGGERS)}), each an extra of t2t-bench; "
        "docs/training.md says where",
    )
    add_data(group)
    group.add_argument(
        "--data-on-nodes",
        action="store_true",
        help="with --run slurm: do not check --data here, since only the compute nodes can see it",
    )


def require_launch(args: argparse.Namespace, *further: str, heeded: Collection[str] = ()) -> None:
    """Check that no option is asked for that only training heeds, where nothing is trained.

    Args:
        args: with what ``add_launch`` added.
        further: other options, as attributes, that only training heeds.
        heeded: options that the command heeds without training, too.

    Raises:
        RequestError: there is one, or the folder of runs has a name in which jobs would be lost.
    """
    for option in ("max_parallel", "data", "download", "workers", "gpu", "log", *further):
        if getattr(args, option) not in (None, False, []) and not args.run and option not in heeded:
            raise does_nothing(f"--{option.replace('_', '-')}", "--run")
    if args.run and "%" in str(args.runs.resolve()):
        raise RequestError(
            f"--runs {str(args.runs)!r}: Slurm and submitit replace a % in a path by a job's number; choose a folder "
            "without one"
        )
    for option in ("slurm", "data_on_nodes", "max_submit", "retry_mem"):
        if getattr(args, option) and args.run != "slurm":
            raise does_nothing(f"--{option.replace('_', '-')}", "--run slurm")


def does_nothing(option: str, without: str) -> RequestError:
    """The error for an option that lacks the one that it goes with."""
    return RequestError(f"{option} does nothing without {without}; add {without}, or leave out {option}")


def launch_of(args: argparse.Namespace, **resources: Any) -> "Launch":
    """Read the options that ``add_launch`` added.

    Args:
        args: with what ``add_launch`` and ``add_runs`` added.
        resources: further fields of ``Resources``.

    Raises:
        RequestError: a logger's library is not installed.
    """
    from bench.experiments.budgets import SUITES
    from bench.experiments.scales import STUDIES
    from bench.launch.dispatch import Launch
    from bench.paper import TABLES

    log = tuple(dict.fromkeys(args.log))
    require_loggers(log)
    trained = [row.network.model for table in TABLES.values() for row in table.rows]
    trained += [run.model for suite in SUITES.values() for run in suite.values()]
    trained += [arm.model for study in STUDIES.values() for arm in study.arms]
    return Launch(
        runs=args.runs,
        resources=Resources(data=data_folder(args), download=args.download, workers=args.workers, log=log, **resources),
        max_parallel=args.max_parallel,
        slurm=tuple(args.slurm),
        max_submit=args.max_submit,
        gpu=args.gpu,
        retry_mem=args.retry_mem,
        networks=frozenset(trained),
        as_json=args.json,
    )
