"""How runs stand: what their folders remember and what Slurm says, put together."""

import dataclasses
import enum
from dataclasses import dataclass
from pathlib import Path

from bench.launch.slurm.queue import Queue
from bench.launch.slurm.submissions import Submission
from bench.results.files import CorruptFile
from bench.results.record import RunRecord
from bench.results.run_folder import Owner, last_owner, load_record, lost_file, recovered_record, was_saved


class State(enum.StrEnum):
    """In what state a run is, in one word; what a person should see to comes first."""

    FAILED = "failed"
    DIVERGED = "diverged"
    KILLED = "killed"
    BLOCKED = "blocked"
    """it would start from a run that has not completed and that nobody trains"""
    INTERRUPTED = "interrupted"
    RUNNING = "running"
    QUEUED = "queued"
    COMPLETED = "completed"
    NOT_BEGUN = "not begun"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    """All that is known of a run: from its folder, and from Slurm if it was ever submitted there."""

    record: RunRecord | None = None
    problem: str = ""
    """of a corrupt record, with the remedy"""
    lost_file: str = ""
    """of a completed run, a line on a file that its record vouches for and that is not there any more"""
    is_recoverable: bool = False
    """whether the run can go on from its checkpoint although its record is corrupt"""
    trained_by: str = ""
    """the live process that owns the folder, by pid and host"""
    job: str = ""
    """Slurm's id of its newest job"""
    job_state: str = ""
    """as Slurm has it, such as PENDING; empty if there is no job, or Slurm has forgotten it"""
    job_reason: str = ""
    job_alive: bool = False
    """whether that job runs, or will run by itself"""
    has_checkpoint: bool = False
    """of its own, so that it needs no other run's weights"""
    unsure: str = ""
    """why nobody can tell whether that job is alive"""

    @property
    def state(self) -> State:
        """The state, but for what becomes of the run that it starts from."""
        return self._told[0]

    @property
    def why(self) -> str:
        """A line, where the state is not as it should be or needs a word."""
        return self._told[1]

    @property
    def _told(self) -> tuple[State, str]:
        record = self.record
        if self.problem and not self.is_recoverable:
            return State.FAILED, self.problem
        if record and record.status == "completed":
            return State.COMPLETED, self.lost_file
        if self.job_alive and self.job_state == "COMPLETING":
            return State.RUNNING, "ending"
        if self.job_alive and self.job_state != "RUNNING":
            return State.QUEUED, " ".join(filter(None, [self.job_state.lower(), self.job_reason]))
        if self.trained_by or self.job_alive:
            return State.RUNNING, "" if self.trained_by else "starting"
        if self.problem:
            return State.FAILED, self.problem
        if record and record.status != "running":
            last = str(record.history[-1].get("note", "")) if record.history else ""
            return State(record.status), record.error or last
        ended = f"ended as {self.job_state.lower()}" if self.job_state else ""
        if record:  # says running, and nobody is
            return State.KILLED, f"its job {ended}" if ended else "its process is gone"
        if self.unsure:
            return State.QUEUED, self.unsure
        if self.job_state == "CANCELLED":
            return State.INTERRUPTED, f"job {self.job} was cancelled before the run began"
        return (State.FAILED, f"job {self.job} {ended} before the run began") if ended else (State.NOT_BEGUN, "")


def run_state(runs: Path, run_id: str, queue: Queue) -> RunState:
    """All that is known of one run."""
    folder = runs / run_id
    record, problem, is_recoverable = None, "", False
    try:
        record = load_record(folder)
    except CorruptFile as error:
        problem, is_recoverable = str(error), recovered_record(folder) is not None
    owner = last_owner(folder)
    has_checkpoint = was_saved(folder)
    found = RunState(
        record=record,
        problem=problem,
        is_recoverable=is_recoverable,
        trained_by=_alive(owner),
        has_checkpoint=has_checkpoint,
        lost_file=lost_file(folder, record) if record else "",
    )
    submission = queue.by_run.get(run_id)
    if submission is None:
        return found
    if not submission.job:
        why = f"its submission to {submission.cluster} as {submission.name} is under way, or was cut short"
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
