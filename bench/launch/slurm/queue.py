"""The newest submission of each run, and what Slurm says of it."""

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path

from bench.launch.slurm import client as slurm
from bench.launch.slurm import submissions
from bench.launch.slurm.ask import Unreachable
from bench.launch.slurm.submissions import Submission
from bench.spec.errors import RequestError


@dataclasses.dataclass(frozen=True, slots=True)
class Queue:
    """The newest submission of each run, and what Slurm says of them."""

    by_run: Mapping[str, Submission]
    tasks: Mapping[str, slurm.Task]
    """by Slurm's id"""
    cluster: str = ""
    """whose Slurm answered; empty if none did"""
    silence: str = ""
    """why Slurm did not answer, if there was something to ask"""

    def task(self, run_id: str) -> tuple[Submission, slurm.Task] | None:
        """The newest submission of a run with its job as Slurm has it; None where either is missing."""
        submission = self.by_run.get(run_id)
        task = self.tasks.get(submission.task(run_id)) if submission and submission.job else None
        return (submission, task) if submission and task else None


def look(runs: Path, wanted: Iterable[str] | None = None) -> Queue:
    """Read the submissions, and ask Slurm about them.

    Args:
        runs: the folder of all runs.
        wanted: ids of the runs to ask about; None for all.

    Raises:
        RequestError: a submission is damaged.
    """
    by_run = {run_id: submission for submission in submissions.load_all(runs) for run_id in submission.runs}
    if wanted is not None:
        by_run = {run_id: by_run[run_id] for run_id in wanted if run_id in by_run}
    if not by_run:
        return Queue({}, {})
    try:
        here = slurm.cluster_name()
        named = {s.name: s for s in by_run.values() if s.cluster == here and not s.job}
        cut_short = {name: dataclasses.replace(s, job=slurm.find(name) or "") for name, s in named.items()}
        found = {run_id: cut_short.get(s.name, s) for run_id, s in by_run.items()}
        by_run = {run: s for run, s in found.items() if s.job or s.cluster != here or not s.is_overdue}
        ours = {s.task(run): s for run, s in by_run.items() if s.cluster == here and s.job}
        tasks = slurm.tasks(s.job for s in ours.values())
        unmarked = {ours[task_id].job for task_id, task in tasks.items() if task_id in ours and task.is_unmarked}
        words = {job: slurm.describe(job) for job in unmarked}
        for task_id, submission in ours.items():
            if (task := tasks.get(task_id)) and submission.job in words:
                tasks[task_id] = dataclasses.replace(task, name=f"{task.name} {words[submission.job]}")
        return Queue(by_run, tasks, here)
    except (Unreachable, RequestError) as error:
        return Queue(by_run, {}, silence=str(error))
