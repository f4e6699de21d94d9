"""``--status``: a line a run, from its folder and from Slurm; neither torch nor pandas."""

import argparse
import contextlib
import dataclasses
import datetime
import fnmatch
import json
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from bench.findings import RunRecord
from bench.planner import Known
from bench.run_folder import last_owner, load_progress
from bench.specs import RequestError, RunSpec, unknown
from bench.standing import Queue, known, look
from bench.submissions import Submission


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """One line."""

    run_id: str
    model: str
    state: str
    """running, queued, blocked, interrupted, killed, failed, diverged, completed or not begun: ``blocked`` would start
    from a run that failed; the command that began them resumes ``interrupted``, ``killed`` and ``failed`` ones"""
    why: str = ""
    """one line, where the state is not as it should be"""
    epoch: float | None = None
    """finished ones, and the part of the one that runs"""
    epochs: int | None = None
    best_top1_pct: float | None = None
    images_per_s: float | None = None
    left_s: float | None = None
    """at that speed, validations not counted"""
    restarts: int = 0
    node: str = ""
    job: str = ""
    """Slurm's id"""
    log: str = ""


def run_ids(runs: Path) -> list[str]:
    """All runs that have a folder."""
    return sorted(path.parent.name for path in runs.glob("*/spec.json"))


def status(runs: Path, run_id: str, queue: Queue) -> Status:
    """How one run stands."""
    found = known(runs, run_id, queue)
    record, submission = found.record, queue.by_run.get(run_id)
    try:
        spec = RunSpec.from_json((runs / run_id / "spec.json").read_text())
    except (OSError, ValueError):
        spec = None
    state, why = _state(runs, run_id, found, spec, queue)
    line = Status(
        run_id=run_id,
        model=spec.model if spec else "",
        state=state,
        why=why,
        epochs=spec.recipe.total_epochs if spec else None,
        job=found.job,
        node=_node(found, queue),
        log=_log(runs, run_id, record, submission),
    )
    if record is None:
        return line
    owner = last_owner(runs / run_id)
    told = load_progress(runs / run_id, owner) if owner and state == "running" else {}
    speed = told.get("images_per_s", record.images_per_s)
    epoch: float = record.epoch
    if told and told["epoch"] == record.epoch:
        epoch += told["step"] / told["steps"]
    images = record.data.get("train_images")
    left = None
    if speed and isinstance(images, int) and state != "completed":
        left = (record.epochs - epoch) * images / speed
    return dataclasses.replace(
        line,
        epoch=epoch,
        epochs=record.epochs or line.epochs,
        best_top1_pct=record.top1_pct("best") or record.top1_pct("best", "held_out_"),
        images_per_s=speed,
        left_s=left,
        restarts=owner.attempt - 1 if owner else 0,
    )


def _state(runs: Path, run_id: str, found: Known, spec: RunSpec | None, queue: Queue) -> tuple[str, str]:
    record = found.record
    if found.problem:
        return "failed", found.problem
    if record and record.status == "completed":
        return "completed", ""
    if found.job_alive and found.job_state != "RUNNING":
        return "queued", " ".join(filter(None, [found.job_state.lower(), found.job_reason]))
    if found.trained_by or found.job_alive:
        return "running", "" if found.trained_by else "starting"
    if record and record.status in ("failed", "diverged", "interrupted"):
        last = str(record.history[-1].get("note", "")) if record.history else ""
        return record.status, record.error or last
    if record:  # says running, and nobody is
        return "killed", f"its job ended as {found.job_state.lower()}" if found.job_state else "its process is gone"
    parent = spec and spec.start_from
    if parent and found.job:
        state, why = _state(runs, parent.run_id, known(runs, parent.run_id, queue), parent, queue)
        if state in ("failed", "diverged", "killed", "interrupted", "blocked", "not begun"):
            return "blocked", f"starts from {parent.run_id}, {state}" + (f": {why}" if why else "")
    if found.unsure:
        return "queued", found.unsure
    if found.job_state == "CANCELLED":
        return "interrupted", f"job {found.job} was cancelled before the run began"
    if found.job_state:
        log = queue.by_run[run_id].log(runs, run_id)
        return "failed", f"job {found.job} ended as {found.job_state.lower()} before the run began: {last_words(log)}"
    return "not begun", ""


def last_words(log: Path) -> str:
    """The last line of a log, or that there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 4000))
            lines = [line.strip() for line in file.read().decode(errors="replace").splitlines()]
    except OSError as error:
        return f"no log at {log} ({error.strerror}); can the node see that folder?"
    ours = [line.removeprefix("bench: ") for line in lines if line.startswith("bench: ")]
    rest = [line for line in lines if line and not line.startswith(("srun: ", "slurmstepd: "))]
    return next(iter(reversed(ours or rest or list(filter(None, lines)))), "its log is empty")


def _node(found: Known, queue: Queue) -> str:
    task = queue.tasks.get(found.job)
    if task and task.node and found.job_alive:
        return task.node
    events = found.record.history if found.record else []
    return next((str(e.get("node", e.get("host", ""))) for e in reversed(events) if e["what"] == "running"), "")


def _log(runs: Path, run_id: str, record: RunRecord | None, submission: Submission | None) -> str:
    started = next((e for e in reversed(record.history) if "log" in e), None) if record else None
    if submission and submission.job and (started is None or str(started["when"]) < submission.created):
        return str(submission.log(runs, run_id))
    return str(runs / str(started["log"])) if started else ""


_HEADERS = (
    "run",
    "state",
    "epoch",
    "top-1 %",
    "images/s",
    "left",
    "restarts",
    "node",
    "job",
    "why, and its log",
)


def table(lines: Iterable[Status]) -> str:
    """The lines in aligned columns; what is not known is a dash."""
    from tabulate import tabulate

    rows = []
    for s in lines:
        epoch = "-" if s.epoch is None else f"{s.epoch:.1f}".removesuffix(".0")
        log = s.log if s.state in ("running", "killed", "failed", "diverged") else ""
        rows.append(
            (
                s.run_id,
                s.state,
                f"{epoch}/{s.epochs or '-'}",
                "-" if s.best_top1_pct is None else f"{s.best_top1_pct:.2f}",
                "-" if s.images_per_s is None else f"{s.images_per_s:,.0f}",
                duration(s.left_s),
                str(s.restarts),
                s.node or "-",
                s.job or "-",
                "; ".join(filter(None, [s.why, log])) or "-",
            )
        )
    align = ("left", "left", *("right",) * 5, "left", "left", "left")
    return tabulate(rows, headers=_HEADERS, tablefmt="plain", disable_numparse=True, colalign=align if rows else None)


def duration(seconds: float | None) -> str:
    """Two figures of days, hours, minutes and seconds."""
    if seconds is None:
        return "-"
    whole = datetime.timedelta(seconds=round(seconds))
    days, hours, minutes = whole.days, whole.seconds // 3600, whole.seconds // 60 % 60
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if minutes else f"{whole.seconds} s"


FOLLOW_S = 5
"""between two looks of ``--follow``"""


def show_status(args: argparse.Namespace) -> int:
    """Print how the runs stand: once, or again and again until Ctrl-C."""
    _print_status(args)
    with contextlib.suppress(KeyboardInterrupt):
        while args.follow:
            time.sleep(FOLLOW_S)
            if sys.stdout.isatty() and not args.json:
                print("\033[2J\033[H", end="")
            _print_status(args)
    return 0


def _print_status(args: argparse.Namespace) -> None:
    ids = matching(args.runs, args.only)
    queue = look(args.runs, ids)
    lines = [status(args.runs, run_id, queue) for run_id in ids]
    counts = {state: sum(line.state == state for line in lines) for state in dict.fromkeys(s.state for s in lines)}
    if args.json:
        shown = [dataclasses.asdict(line) for line in lines]
        # A document a look; on one line if there will be several.
        print(json.dumps({"runs": shown, "slurm": queue.silence or None}, indent=None if args.follow else 2))
    else:
        print(table(lines) if lines else f"no runs in {args.runs}")
        print(f"{time.strftime('%H:%M:%S')}  " + ", ".join(f"{n} {state}" for state, n in counts.items()))
    if queue.silence:
        print(f"run_all.py: Slurm does not answer, the states are the runs' own: {queue.silence}", file=sys.stderr)
    sys.stdout.flush()


def matching(runs: Path, patterns: Sequence[str] | None) -> list[str]:
    """Ids of the runs that a pattern matches by id or network, or of all."""
    ids = run_ids(runs)
    if not patterns:
        return ids
    if not ids:
        raise RequestError(f"no runs in {str(runs)!r}; choose their folder with --runs DIR")
    chosen: set[str] = set()
    for pattern in patterns:
        matches = [i for i in ids if fnmatch.fnmatchcase(i, pattern) or fnmatch.fnmatchcase(i.split("-")[0], pattern)]
        if not matches:
            raise unknown("run", pattern, ids[:20], f"--status lists what is in {runs}; * and ? are wildcards")
        chosen.update(matches)
    return [run_id for run_id in ids if run_id in chosen]
