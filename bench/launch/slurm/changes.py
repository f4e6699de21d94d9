"""Changes to runs that wait in the queue: applied by scontrol, or refused; never ignored."""

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from bench.launch.slurm import submissions
from bench.launch.slurm.ask import Refused, ask
from bench.launch.slurm.client import gigabytes
from bench.launch.slurm.config import SlurmRequest
from bench.launch.slurm.queue import Queue
from bench.launch.slurm.submissions import Submission
from bench.spec.errors import RequestError
from bench.spec.run import RunSpec

UPDATES = {
    "partition": "Partition",
    "account": "Account",
    "qos": "QOS",
    "time": "TimeLimit",
    "mem": "MinMemoryNode",
    "mem_gb": "MinMemoryNode",
    "mem_per_cpu": "MinMemoryCPU",
    "nice": "Nice",
    "comment": "Comment",
    "constraint": "Features",
    "reservation": "Reservation",
    "licenses": "Licenses",
    "nodelist": "ReqNodeList",
    "exclude": "ExcNodeList",
}
"""by option, what scontrol update calls it; the number of processes, for example, is part of a job's script"""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change to the waiting runs of one submission."""

    submission: Submission
    runs: tuple[str, ...]
    """ids of those that wait"""
    options: Mapping[str, tuple[object, object]]
    """by name, values before and after"""
    at_once: int | None = None
    """most of its runs at a time, if that changes"""

    def __str__(self) -> str:
        told = [f"{key} from {before or 'nothing'} to {after}" for key, (before, after) in self.options.items()]
        told += [f"at most {self.at_once} of its runs at once"] if self.at_once else []
        return f"job {self.submission.job}: {', '.join(told)}"


def waiting(wanted: Sequence[RunSpec], queue: Queue) -> list[tuple[RunSpec, Submission]]:
    """The runs that wait in the queue, with their submissions."""
    found = []
    for spec in wanted:
        submission, task = queue.task(spec.run_id) or (None, None)
        if submission and task and task.state == "PENDING" and task.is_of(submission.name):
            found.append((spec, submission))
    return found


def changes(
    wanted: Sequence[RunSpec], queue: Queue, request: Callable[[RunSpec], SlurmRequest], max_parallel: int | None
) -> list[Change]:
    """The changes that make runs which already wait as this command wants them.

    Args:
        wanted: runs of the command.
        queue: with their submissions.
        request: a run's options, without a time limit unless one was asked for.
        max_parallel: most of the runs at once; None to leave that.

    Raises:
        RequestError: a change cannot be made to a job in the queue.
    """
    groups: dict[str, list[RunSpec]] = defaultdict(list)
    alive: dict[str, Submission] = {}
    for spec, submission in waiting(wanted, queue):
        groups[submission.name].append(spec)
        alive[submission.name] = submission
    shares = _shares(alive, max_parallel) if max_parallel else {}
    found = []
    for name, specs in groups.items():
        submission = alive[name]
        options = _difference(submission, specs, request)
        at_once = shares.get(name)
        at_once = at_once if at_once != (submission.at_once or len(submission.runs)) else None
        if options or at_once:
            ids = tuple(spec.run_id for spec in specs)
            found.append(Change(submission=submission, runs=ids, options=options, at_once=at_once))
    return found


def _difference(
    submission: Submission, specs: Sequence[RunSpec], request: Callable[[RunSpec], SlurmRequest]
) -> dict[str, tuple[object, object]]:
    before, after = submission.settings, request(specs[0]).options()
    changed = {key: (before.get(key), value) for key, value in after.items() if before.get(key) != value}
    for key in changed:
        if key not in UPDATES:
            raise RequestError(
                f"{key}={after[key]}: {specs[0].run_id} waits as job {submission.task(specs[0].run_id)} with "
                f"{key}={before.get(key, 'nothing')}, which cannot be changed in the queue; cancel it with run_all.py "
                f"cancel {specs[0].run_id} and run the command again, or leave out the change"
            )
    return changed


def kept(wanted: Sequence[RunSpec], queue: Queue, request: Callable[[RunSpec], SlurmRequest]) -> list[str]:
    """A line on each job that waits with options that this command does not set."""
    lines = []
    for spec, submission in waiting(wanted, queue):
        now = request(spec).options()
        old = [f"{key}={value}" for key, value in submission.settings.items() if key not in now and key != "time"]
        if old:
            lines.append(f"job {submission.job} keeps {' '.join(old)}, which this command does not set")
    return list(dict.fromkeys(lines))


def _shares(alive: Mapping[str, Submission], max_parallel: int) -> dict[str, int]:
    """The number of runs of each submission that may run at once."""
    if len(alive) > max_parallel:
        jobs = ", ".join(submission.job for submission in alive.values())
        raise RequestError(
            f"--max-parallel {max_parallel}: jobs {jobs} are already in the queue and may run at the same time; cancel "
            f"some of them, or choose at least {len(alive)}"
        )
    total = sum(len(submission.runs) for submission in alive.values())
    spare = max_parallel - len(alive)
    return {
        name: min(len(submission.runs), 1 + spare * len(submission.runs) // total) for name, submission in alive.items()
    }


def apply(runs: Path, found: Sequence[Change]) -> Iterator[Change]:
    """Make the changes in the queue, one after another, and keep them.

    Raises:
        RequestError: Slurm refuses one, with its reason.
    """
    for change in found:
        submission = change.submission
        try:
            if change.options:
                settings = [f"{UPDATES[key]}={_value(key, after)}" for key, (_, after) in change.options.items()]
                ask("scontrol", "update", f"JobId={_tasks(change)}", *settings)
            if change.at_once and len(submission.runs) > 1:
                ask("scontrol", "update", f"JobId={submission.job}", f"ArrayTaskThrottle={change.at_once}")
        except Refused as error:
            raise RequestError(
                f"{change}: Slurm refuses the change: {error}; cancel the job, or leave out the change"
            ) from None
        now = {key: after for key, (_, after) in change.options.items()}
        at_once = change.at_once or submission.at_once
        submissions.save(
            runs, dataclasses.replace(submission, settings={**submission.settings, **now}, at_once=at_once)
        )
        yield change


def _tasks(change: Change) -> str:
    submission = change.submission
    if len(submission.runs) == 1:
        return submission.job
    return f"{submission.job}_[{','.join(submission.task(run).rpartition('_')[2] for run in change.runs)}]"


def _value(key: str, value: object) -> object:
    if key == "mem_gb":
        return round(float(str(value)) * 1024)  # scontrol takes MB
    return round(gigabytes(str(value)) * 1024) if key in ("mem", "mem_per_cpu") else value
