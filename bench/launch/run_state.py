"""How runs stand: what their folders remember and what Slurm says, put together."""

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path

from bench.launch.planner import Known
from bench.launch.slurm import client as slurm
from bench.launch.slurm import submissions
from bench.launch.slurm.submissions import Submission
from bench.results.files import CorruptFile
from bench.results.record import RunRecord
from bench.results.run_folder import Owner, last_owner, load_record, recovered_record
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
        jobs = [s.job for s in by_run.values() if s.cluster == here and s.job]
        return Queue(by_run, slurm.tasks(jobs), here)
    except (slurm.Unreachable, RequestError) as error:
        return Queue(by_run, {}, silence=str(error))


def known(runs: Path, run_id: str, queue: Queue) -> Known:
    """All that is known of one run."""
    folder = runs / run_id
    record, problem, is_recoverable = None, "", False
    try:
        record = load_record(folder)
    except CorruptFile as error:
        problem, is_recoverable = str(error), recovered_record(folder) is not None
    owner = last_owner(folder)
    has_checkpoint = (folder / "saved").exists()
    found = Known(
        record=record,
        problem=problem,
        is_recoverable=is_recoverable,
        trained_by=_alive(owner),
        has_checkpoint=has_checkpoint,
    )
    submission = queue.by_run.get(run_id)
    if submission is None:
        return found
    if not submission.job:
        why = f"it is being submitted to {submission.cluster} as {submission.name}, or that was cut short"
        return dataclasses.replace(found, unsure=f"{why}; give the command again in a minute")
    job = submission.task(run_id)
    task = queue.tasks.get(job)
    if task and task.name == submission.name:  # else the cluster counts from 1 again, and it is somebody else's
        return dataclasses.replace(
            found,
            # What has ended with its job beats no more, though its last beat may look fresh.
            trained_by="" if task.ended and owner and owner.job == job else found.trained_by,
            job=job,
            job_state=task.state,
            job_reason=task.reason,
            job_alive=not task.ended,
        )
    if submission.cluster == queue.cluster or (record and _settled_since(record, submission)):
        return dataclasses.replace(found, job=job)  # Slurm has forgotten it, so it has ended
    unsure = (
        f"job {job} of cluster {submission.cluster} may still have it, and {queue.silence or 'this is another cluster'}"
        f"; ask there, or remove {runs / 'jobs' / submission.name} once that job is gone"
    )
    return dataclasses.replace(found, job=job, unsure=unsure)


def _alive(owner: Owner | None) -> str:
    return f"pid {owner.pid} on {owner.host}" if owner and owner.alive else ""


def _settled_since(record: RunRecord, submission: Submission) -> bool:
    """Whether the run has come to an end of its own after it was submitted."""
    last = str(record.history[-1].get("when", "")) if record.history else ""
    return record.status in ("completed", "failed", "diverged") and last >= submission.created
