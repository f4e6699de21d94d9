"""The states of runs, from their folders and from Slurm."""

import dataclasses
import enum
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from bench.launch import failure
from bench.launch.failure import Failure
from bench.launch.log import last_words
from bench.launch.slurm import client as slurm
from bench.launch.slurm import reasons
from bench.launch.slurm.config import SlurmRequest
from bench.launch.slurm.queue import Queue
from bench.launch.slurm.submissions import Submission
from bench.results.files import CorruptFile
from bench.results.record import RunRecord
from bench.results.run_folder import Owner, last_owner, load_record, lost_file, recovered_record, was_saved


class State(enum.StrEnum):
    """The state of a run in one word; states that need attention come first."""

    FAILED = "failed"
    DIVERGED = "diverged"
    KILLED = "killed"
    BLOCKED = "blocked"
    """it would start from a run that has not completed and that nobody trains, or its job will not start by itself"""
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
    owner: Owner | None = None
    """the last one of its folder"""
    trained_by: str = ""
    """the live process that owns the folder, by pid and host"""
    job: str = ""
    """Slurm's id of its newest job"""
    job_state: str = ""
    """as Slurm has it, such as PENDING; empty if there is no job, or Slurm has forgotten it"""
    job_reason: str = ""
    job_alive: bool = False
    """whether that job runs, or will run by itself"""
    job_user: str = ""
    """whose that job is"""
    failure: Failure | None = None
    """how its last job ended, as far as its logs and processes tell"""
    too_little_memory_gb: float | None = None
    """what that job had on each node, if that was too little"""
    has_checkpoint: bool = False
    """of its own, so that it needs no other run's weights"""
    unsure: str = ""
    """why nobody can tell whether that job is alive"""

    @property
    def state(self) -> State:
        """The state, but for what becomes of the run that it starts from."""
        return self.told[0]

    @property
    def told(self) -> tuple[State, str]:
        """The state with a line, where it is not as it should be or needs a word."""
        record = self.record
        if self.problem and not self.is_recoverable:
            return State.FAILED, self.problem
        if record and record.status == "completed":
            return State.COMPLETED, self.lost_file
        if self.job_alive and self.job_state == "COMPLETING":
            return State.RUNNING, "ending"
        if stuck := self.stuck:
            return State.BLOCKED, stuck
        if self.job_alive and self.job_state != "RUNNING":
            return State.QUEUED, " ".join(filter(None, [self.job_state.lower(), self.job_reason, self.whose]))
        if self.trained_by or self.job_alive:
            return State.RUNNING, " ".join(filter(None, ["" if self.trained_by else "starting", self.whose]))
        if self.problem:
            return State.FAILED, self.problem
        if record and record.status != "running":
            last = record.events[-1].note if record.history else ""
            return State(record.status), self.error or last
        ended = f"ended as {self.job_state.lower()}" if self.job_state else ""
        if record:  # says running, and nobody is
            if self.failure:
                return State.FAILED if self.failure.raised else State.KILLED, str(self.failure)
            return State.KILLED, f"its job {ended}" if ended else "its process is gone"
        if self.unsure:
            return State.QUEUED, self.unsure
        if self.job_state == "CANCELLED":
            return State.INTERRUPTED, f"job {self.job} was cancelled before the run began"
        if not (ended or self.failure):
            return State.NOT_BEGUN, ""
        words = f": {self.failure}" if self.failure else ""
        return State.FAILED, f"job {self.job} {ended or 'ended'} before the run began{words}"

    @property
    def never(self) -> str:
        """The reason why its job will never start; empty if it may."""
        why = reasons.never(self.job_reason) if self.job_state == "PENDING" else ""
        return f"job {self.job} will never start: {why} ({self.job_reason})" if why else ""

    @property
    def stuck(self) -> str:
        """The reason why its job will not start by itself; empty if it may."""
        held = reasons.held(self.job_reason, self.job) if self.job_state == "PENDING" else ""
        return self.never or (f"job {self.job} does not start: {held}" if held else "")

    @property
    def whose(self) -> str:
        """Whose job it is, where it is another user's."""
        return f"({self.job_user}'s)" if self.job_alive and self.job_user not in ("", slurm.user_name()) else ""

    @property
    def error(self) -> str:
        """The reason why the run failed: from its record, or from the process that failed first."""
        if self.record is None or self.record.status not in ("failed", "diverged"):
            return str(self.failure or "")
        known_better = self.failure and (self.failure.rank or self.failure.is_out_of_memory)
        return str(self.failure) if known_better else self.record.error


_LOST_ANOTHER = re.compile(r"gloo|nccl|connection (closed|reset)|broken pipe|distbackend|process ?group|peer", re.I)
"""in the error of a process whose partner has gone"""


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
        owner=owner,
        trained_by=_alive(owner),
        has_checkpoint=has_checkpoint,
        lost_file=lost_file(folder, record) if record else "",
    )
    submission = queue.by_run.get(run_id)
    if submission is None:
        return found
    if not submission.job:
        why = f"its submission to {submission.cluster} as {submission.name} is under way, or was cut short"
        return dataclasses.replace(found, unsure=f"{why}; run the command again in a minute")
    job = submission.task(run_id)
    task = queue.tasks.get(job)
    if task and task.is_of(submission.name):
        state = dataclasses.replace(
            found,
            # What has ended with its job beats no more, though its last beat may look fresh.
            trained_by="" if task.ended and owner and owner.job == job else found.trained_by,
            job=job,
            job_state=task.state,
            job_reason=task.reason,
            job_alive=not task.ended,
            job_user=task.user,
        )
        return state if state.job_alive else _with_failure(state, runs, run_id, submission, task)
    remedy = f"remove {shlex.quote(str(runs / 'jobs' / submission.name))} once that job is gone"
    if task and not task.ended and task.is_unmarked and task.user in ("", submission.user or task.user):
        unsure = (
            f"job {job} may be this run's or another: nothing in it names {submission.name}; check squeue, or {remedy}"
        )
        return dataclasses.replace(found, job=job, unsure=unsure)
    # Else the cluster counts from 1 again, and the number is somebody else's.
    if submission.cluster == queue.cluster or (record and _settled_since(record, submission)):
        # Slurm has forgotten it, so it has ended.
        return _with_failure(dataclasses.replace(found, job=job), runs, run_id, submission, None)
    unsure = (
        f"job {job} of cluster {submission.cluster} may still have it, and {queue.silence or 'this is another cluster'}"
        f"; check there, or {remedy}"
    )
    return dataclasses.replace(found, job=job, unsure=unsure)


def _with_failure(
    state: RunState, runs: Path, run_id: str, submission: Submission, task: slurm.Task | None
) -> RunState:
    """The state with how its job failed, where that is not in its record."""
    record = state.record
    if state.trained_by or (record and record.status in ("completed", "interrupted", "diverged")):
        return state
    if state.job_state in ("COMPLETED", "CANCELLED"):
        return state
    began = record.last("running") if record else None
    if record and (began.job if began else "") != state.job:
        record = None  # the job ended before it got to the run
    log = submission.log(runs, run_id)
    found = failure.noted_of(runs / run_id, state.job)
    if found is None and record and record.status == "failed" and not _LOST_ANOTHER.search(record.error):
        found = Failure(words=record.error, raised=True)
        if not (found.is_out_of_memory or (task and task.state == "OUT_OF_MEMORY")):
            return state
    found = found or failure.from_log(log, SlurmRequest.of(submission.settings).processes)
    if found is None and state.record is None and state.job_state:
        found = Failure(words=last_words(log))
    if task and task.state == "OUT_OF_MEMORY" and not (found and found.is_out_of_memory):
        found = dataclasses.replace(found or Failure(words=""), words="out of memory", raised=False)
    if found and found.is_out_of_memory:
        words = f"{found.words}; {_memory(submission, task)}"
        found = dataclasses.replace(found, words=words, raised=False)
        state = dataclasses.replace(state, too_little_memory_gb=_memory_gb(submission, task))
    elif found and found.processes == 1 and record and not found.raised:
        return state  # it was killed, which its job's state says as well
    return dataclasses.replace(state, failure=found)


def _memory(submission: Submission, task: slurm.Task | None) -> str:
    """The memory that was requested and used, with the remedy."""
    keys = {key: value for key, value in submission.settings.items() if key.startswith("mem")}
    asked = " ".join(f"{key}={value}" for key, value in keys.items()) or (task.asked_memory if task else "")
    used = f", used {task.used_memory}" if task and task.used_memory else ""
    return f"requested {asked or 'the default'}{used}; request more with --slurm mem_gb=, or add --retry-mem 1.5"


def _memory_gb(submission: Submission, task: slurm.Task | None) -> float | None:
    """The job's memory on each node, if it is known."""
    own = SlurmRequest.of(submission.settings)
    if own.mem_gb:
        return own.mem_gb
    asked = own.mem or (task.asked_memory if task else "")
    return slurm.gigabytes(asked) or None


def _alive(owner: Owner | None) -> str:
    return f"pid {owner.pid} on {owner.host}" if owner and owner.alive else ""


def _settled_since(record: RunRecord, submission: Submission) -> bool:
    """Whether the run has come to an end of its own after it was submitted."""
    last = record.events[-1].when if record.history else ""
    return record.status in ("completed", "failed", "diverged") and last >= submission.created
