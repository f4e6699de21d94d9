"""``run_all.py status``: a line a run, from its folder and from Slurm; neither torch nor pandas."""

import argparse
import collections
import contextlib
import dataclasses
import json
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from bench.cli.parser import Parser, add_runs, as_name
from bench.cli.run_selection import HELP as SELECTORS
from bench.cli.run_selection import Candidate, fields_of, natural, select
from bench.launch.labels import settings
from bench.launch.log import cause_of_death
from bench.launch.run_state import RunState, State, run_state
from bench.launch.slurm.queue import Queue, look
from bench.launch.slurm.submissions import Submission
from bench.results.event import event_of
from bench.results.files import CorruptFile
from bench.results.progress import Phase, duration
from bench.results.record import RunRecord
from bench.results.run_folder import load_progress, run_ids
from bench.results.spec_file import load_spec
from bench.results.usage import usage
from bench.spec.errors import RequestError
from bench.spec.run import RunSpec
from bench.spec.text import one_line


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """One line."""

    run_id: str
    model: str
    state: State
    """the command that began them resumes interrupted, killed and failed ones"""
    why: str = ""
    """one line, where the state is not as it should be; of a run that is under way, what it does beside training"""
    settings: str = ""
    """what tells it from other runs of its network, data set and recipe, such as ``lr=1e-3``"""
    epoch: float | None = None
    """finished ones, and the part of the one that runs"""
    epochs: int | None = None
    best_top1_pct: float | None = None
    images_per_s: float | None = None
    left_s: float | None = None
    """at the pace so far"""
    restarts: int = 0
    node: str = ""
    job: str = ""
    """Slurm's id"""
    log: str = ""
    gpu_hours: float | None = None
    """used so far, of attempts that have ended; None before the first one"""
    estimated_gpu_hours: float | None = None
    """of the whole run, when it was submitted"""
    queue_wait_s: float | None = None
    lost_s: float = 0.0
    """trained again after an attempt was killed"""
    energy_j: float | None = None
    """of its newest job, where the cluster accounts for it"""


def status(runs: Path, run_id: str, queue: Queue, spec: RunSpec | None) -> Status:
    """The state of one run, whose spec is None where its file is missing or corrupt."""
    found = run_state(runs, run_id, queue)
    record, submission = found.record, queue.by_run.get(run_id)
    state, why = _state(runs, run_id, found, spec, queue)
    task = queue.tasks.get(found.job)
    line = Status(
        run_id=run_id,
        model=spec.model if spec else "",
        state=state,
        why=one_line(why),
        epochs=spec.recipe.total_epochs if spec else None,
        job=found.job,
        node=one_line(_node(found, queue)),
        log=one_line(_log(runs, run_id, record, submission)),
        estimated_gpu_hours=submission.estimated_gpu_hours.get(run_id) if submission else None,
        energy_j=task.energy_j if task else None,
    )
    if record is None:
        return line
    owner = found.owner
    told = load_progress(runs / run_id, owner) if owner and state is State.RUNNING else None
    used = usage(record)
    speed = (told.images_per_s if told else None) or record.images_per_s
    epoch: float = record.epoch
    if told and told.epoch == record.epoch:
        epoch += told.part_of_epoch
    images = record.data.get("train_images")
    left = told.left_s if told else None
    if left is None and speed and isinstance(images, int) and state is not State.COMPLETED:
        left = (record.epochs - epoch) * images / speed
    return dataclasses.replace(
        line,
        why=line.why or (told.phase if told and told.phase is not Phase.TRAINING else ""),
        epoch=epoch,
        epochs=record.epochs or line.epochs,
        best_top1_pct=record.top1_pct("best") or record.top1_pct("best", "held_out_"),
        images_per_s=speed,
        left_s=left,
        restarts=owner.attempt - 1 if owner else 0,
        gpu_hours=used.gpu_hours,
        estimated_gpu_hours=line.estimated_gpu_hours if used.estimated_gpu_hours is None else used.estimated_gpu_hours,
        queue_wait_s=used.queue_wait_s,
        lost_s=used.lost_s,
    )


def spec_of(runs: Path, run_id: str) -> RunSpec | None:
    """The spec of a run; None where its file is missing or corrupt."""
    try:
        return load_spec(runs / run_id)
    except (FileNotFoundError, CorruptFile):
        return None


def _state(runs: Path, run_id: str, found: RunState, spec: RunSpec | None, queue: Queue) -> tuple[State, str]:
    """The state and a word on it, with what becomes of the run that it starts from."""
    own, word = found.told
    parent = spec and spec.start_from
    if parent and found.job and not found.record and own is not State.RUNNING and not found.job_alive:
        state, why = _state(runs, parent.run_id, run_state(runs, parent.run_id, queue), parent, queue)
        if state not in (State.COMPLETED, State.RUNNING, State.QUEUED):
            return State.BLOCKED, f"starts from {parent.run_id}, {state}" + (f": {why}" if why else "")
    if own is State.KILLED and not found.failure:
        cause = cause_of_death(Path(_log(runs, run_id, found.record, queue.by_run.get(run_id))))
        return State.KILLED, f"{word}: {cause}" if cause else word
    return own, word


def _node(found: RunState, queue: Queue) -> str:
    task = queue.tasks.get(found.job)
    if task and task.node and found.job_alive:
        return task.node
    began = found.record.last("running") if found.record else None
    return (began.node or began.host) if began else ""


def _log(runs: Path, run_id: str, record: RunRecord | None, submission: Submission | None) -> str:
    logged = next((values for values in reversed(record.history) if values.get("log")), None) if record else None
    started = event_of(logged) if logged else None
    if submission and submission.job and (started is None or started.when < submission.created):
        return str(submission.log(runs, run_id))
    log = runs / started.log if started else None
    return str(log) if log and log.is_file() else ""  # logs of older commands are removed


def table(lines: Sequence[Status]) -> str:
    """The lines in aligned columns, as programs that read text want them; what is not known is a dash."""
    shown = [cells(line) for line in lines]
    names = [name for name in _COLUMNS if name not in _IF_ANY or any(row[name] not in ("-", "") for row in shown)]
    rows = []
    for line, row in zip(lines, shown, strict=True):
        log = row["log"] if line.state in ("running", "killed", "failed", "diverged") else ""
        row["why, and its log"] = "; ".join(filter(None, [row["why"], log]))
        rows.append([row[name] or "-" for name in names])
    return _aligned(names, rows)


def _aligned(names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns two spaces apart; tabulate takes as long for them as it takes to read a third of the runs."""
    widths = [max(map(len, column)) for column in zip(names, *rows, strict=True)]
    lines = (
        [cell.rjust(width) if name in _NUMBERS else cell.ljust(width) for name, cell, width in columns]
        for columns in (zip(names, line, widths, strict=True) for line in (names, *rows))
    )
    return "\n".join("  ".join(cells).rstrip() for cells in lines)


_COST = ("GPU h", "waited", "lost")
_IF_ANY = ("settings", *_COST)
_NUMBERS = ("epoch", "top-1 %", "images/s", "left", "restarts", *_COST)
_COLUMNS = ("run", "state", *_NUMBERS, "node", "job", "settings", "why, and its log")


def cells(line: Status) -> dict[str, str]:
    """The line in words, by column; what is not known is a dash."""
    epoch = "-" if line.epoch is None else f"{line.epoch:.1f}".removesuffix(".0")
    return {
        "run": line.run_id,
        "settings": line.settings,
        "state": line.state,
        "epoch": f"{epoch}/{line.epochs or '-'}",
        "top-1 %": "-" if line.best_top1_pct is None else f"{line.best_top1_pct:.2f}",
        "images/s": "-" if line.images_per_s is None else f"{line.images_per_s:,.0f}",
        "left": duration(line.left_s),
        "restarts": str(line.restarts),
        "GPU h": _gpu_hours(line),
        "waited": "-" if line.queue_wait_s is None else duration(line.queue_wait_s),
        "lost": duration(line.lost_s) if line.lost_s else "-",
        "node": line.node or "-",
        "job": line.job or "-",
        "why": line.why,
        "log": line.log,
    }


def _gpu_hours(line: Status) -> str:
    """The GPU hours used, and those expected."""
    if not (line.gpu_hours or line.estimated_gpu_hours):
        return "-"
    used = "-" if line.gpu_hours is None else f"{line.gpu_hours:.3g}"
    return used if line.estimated_gpu_hours is None else f"{used} of ~{line.estimated_gpu_hours:.3g}"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """The states of runs at one moment."""

    lines: Sequence[Status]
    silence: str
    """why Slurm did not answer, if there was something to ask"""
    at: str
    """hours, minutes and seconds, local"""
    pause_s: float
    """until it is worth looking again"""


def look_at(runs: Path, patterns: Sequence[str] | None) -> Look:
    """Read the states of the runs that patterns select, or of all; those that need attention come first.

    Raises:
        RequestError: a pattern chooses nothing, or a submission is damaged.
    """
    ids = run_ids(runs)
    if patterns and not ids:
        raise RequestError(f"no runs in {str(runs)!r}; choose their folder with --runs DIR")
    queue = look(runs, ids)
    specs = {run_id: spec for run_id in ids if (spec := spec_of(runs, run_id))}
    own = settings(specs)
    lines = [
        dataclasses.replace(status(runs, run_id, queue, specs.get(run_id)), settings=own.get(run_id, ""))
        for run_id in ids
    ]
    if patterns:
        candidates = [
            Candidate(
                run_id=line.run_id,
                model=line.model,
                state=line.state,
                job=line.job,
                fields=fields_of(specs[line.run_id]) if line.run_id in specs else {},
            )
            for line in lines
        ]
        chosen = set(select(candidates, patterns))
        lines = [line for line in lines if line.run_id in chosen]
    order = list(State)
    lines.sort(key=lambda line: (order.index(line.state), _place(line)))
    pause_s = FOLLOW_SLURM_S if queue.by_run else FOLLOW_S
    return Look(lines=lines, silence=queue.silence, at=time.strftime("%H:%M:%S"), pause_s=pause_s)


def _place(line: Status) -> tuple[str, object, object]:
    """Runs that differ only in their seed stand together, by seed."""
    kind, _, seed = line.run_id.rpartition("-")[0].rpartition("-s")
    return kind, natural(line.settings), natural(seed)


FOLLOW_S = 1
"""between two looks of ``--follow``"""

FOLLOW_SLURM_S = 5
"""the same where Slurm is asked each time"""


HELP = "show the state of runs, from their folders and from Slurm"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StatusRequest:
    """The runs to show."""

    runs: Path
    patterns: tuple[str, ...]
    """all runs, if there are none"""
    follow: bool
    as_json: bool


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the subcommand."""
    parser.add_argument("patterns", nargs="*", type=as_name, metavar="RUN", help=f"{SELECTORS} (default: all)")
    parser.add_argument("--follow", action="store_true", help="refresh every few seconds, until Ctrl-C")
    add_runs(parser)


def request(arguments: Sequence[str]) -> StatusRequest:
    """Read the command line."""
    parser = Parser("status", description="Show the state of runs, one line for each.")
    add_options(parser)
    args = parser.parse_args(arguments)
    return StatusRequest(runs=args.runs, patterns=tuple(args.patterns), follow=args.follow, as_json=args.json)


def run(asked: StatusRequest) -> int:
    """Print how the runs stand: once, or again and again until Ctrl-C; returns the exit code."""
    if sys.stdout.isatty() and not asked.as_json:
        from bench.cli.status_table import follow, print_table

        show = follow if asked.follow else print_table
        return show(lambda: look_at(asked.runs, asked.patterns), asked.runs, grouped=not asked.patterns)
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            now = look_at(asked.runs, asked.patterns)
            _print(now, asked)
            if not asked.follow:
                break
            time.sleep(max(now.pause_s, FOLLOW_SLURM_S))
    return 0


def _print(now: Look, asked: StatusRequest) -> None:
    if asked.as_json:
        shown = [dataclasses.asdict(line) for line in now.lines]
        # A document a look; on one line if there will be several.
        print(json.dumps({"runs": shown, "slurm": now.silence or None}, indent=None if asked.follow else 2))
    else:
        print(table(now.lines) if now.lines else f"no runs in {asked.runs}")
        print(f"{now.at}  {counts(now.lines)}")
    if now.silence:
        print(
            f"run_all.py: Slurm does not answer, so these are the states that the runs recorded: {now.silence}",
            file=sys.stderr,
        )
    sys.stdout.flush()


def counts(lines: Iterable[Status]) -> str:
    """The number of runs in each state."""
    found = collections.Counter(line.state for line in lines)
    return ", ".join(f"{found[state]:,} {state}" for state in State if state in found)
