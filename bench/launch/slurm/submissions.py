"""Records of submissions: a folder for each job or job array, written before sbatch is called and completed after it.

``<runs>/jobs/<name>/submission.json`` stands beside the job's script, pickles and logs. Slurm shows the path of a job's
script and its comment, which both hold ``name``, so that a submission cut short between the two writes is found again.
"""

import contextlib
import datetime
import fcntl
import shutil
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from bench.results.files import CorruptFile, read, write
from bench.results.run_folder import open_lock
from bench.spec.errors import RequestError

CUT_SHORT_S = 60
"""after which a job that the queue does not show was never taken"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """One job, or one array with a task a run."""

    name: str
    cluster: str
    runs: tuple[str, ...]
    """run ids, in the order of the array"""
    created: str
    """UTC, ISO 8601"""
    settings: dict[str, object] = field(default_factory=dict)
    """what was asked of Slurm"""
    resources: dict[str, Any] = field(default_factory=dict)
    """of each run, ``Resources`` as JSON has them"""
    job: str = ""
    """Slurm's id; empty until sbatch has answered"""
    estimated_gpu_hours: dict[str, float] = field(default_factory=dict)
    """by run id, where anything is known"""
    at_once: int = 0
    """most of the runs at a time; 0 for all, and in a submission from before this field"""
    user: str = ""
    """who submitted it; empty in a submission from before this field"""

    def __post_init__(self) -> None:
        datetime.datetime.fromisoformat(self.created)

    @property
    def is_overdue(self) -> bool:
        """Whether Slurm will not take it any more, if its queue does not show it."""
        age = datetime.datetime.now(datetime.UTC) - datetime.datetime.fromisoformat(self.created)
        return age.total_seconds() > CUT_SHORT_S

    def task(self, run_id: str) -> str:
        """Slurm's id of one run's task."""
        return f"{self.job}_{self.runs.index(run_id)}" if len(self.runs) > 1 else self.job

    def log(self, runs: Path, run_id: str) -> Path:
        """The log of the run's first process."""
        return runs / "jobs" / self.name / f"{self.task(run_id)}_0_log.err"


def begin(
    cluster: str,
    runs: tuple[str, ...],
    settings: dict[str, object],
    resources: dict[str, Any],
    user: str = "",
    at_once: int = 0,
    estimated_gpu_hours: dict[str, float] | None = None,
) -> Submission:
    """A submission that is about to be made.

    Many parameters: the fields of ``Submission``, without those that are worked out here.
    """
    created = datetime.datetime.now(datetime.UTC).isoformat()  # to the microsecond: of a run's jobs the newest counts
    return Submission(
        name=f"t2t-{uuid.uuid4().hex[:10]}",
        cluster=cluster,
        runs=runs,
        created=created,
        settings=settings,
        resources=resources,
        user=user,
        at_once=at_once,
        estimated_gpu_hours=estimated_gpu_hours or {},
    )


def save(folder: Path, submission: Submission) -> None:
    """Keep it under the folder of all runs."""
    write(folder / "jobs" / submission.name / "submission.json", submission, checksum=False)


def drop(folder: Path, submission: Submission) -> None:
    """Forget one that sbatch never took; logs in its folder stay for the reader."""
    own = folder / "jobs" / submission.name
    for name in ("submission.json", "submission.sh"):
        (own / name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # there is more in it
        own.rmdir()


KEPT = 3
"""newest submissions of a run whose logs stay"""


def tidy(folder: Path) -> None:
    """Remove the folders of submissions that are no longer among the newest of any of their runs.

    Their jobs have ended: a run is submitted again only then.
    """
    newer: Counter[str] = Counter()
    for submission in reversed(load_all(folder)):
        if all(newer[run_id] >= KEPT for run_id in submission.runs):
            shutil.rmtree(folder / "jobs" / submission.name, ignore_errors=True)
        newer.update(submission.runs)


def load_all(folder: Path) -> list[Submission]:
    """All submissions, oldest first.

    Raises:
        RequestError: one of them is damaged: without it a live job could be submitted twice.
    """
    found = []
    for path in (folder / "jobs").glob("*/submission.json"):
        try:
            found.append(read(path, Submission, checksum=False, remedy=REMEDY))
        except CorruptFile as error:
            raise RequestError(str(error)) from error
    return sorted(found, key=lambda submission: submission.created)


REMEDY = (
    "without it nobody knows what is in the queue: restore it, or remove its folder once squeue shows none of its jobs"
)


@contextlib.contextmanager
def planning(folder: Path) -> Iterator[None]:
    """Hold the lock from the plan to its last submission, so that two commands at once submit nothing twice.

    Raises:
        RequestError: another command plans or submits, and has for a while.
    """
    folder = folder / "jobs"
    folder.mkdir(parents=True, exist_ok=True)
    with open_lock(folder) as lock:
        deadline = time.monotonic() + PATIENCE_S
        while not _locked(lock):
            if time.monotonic() > deadline:
                raise RequestError(
                    f"another command has been submitting runs of {str(folder.parent)!r} for {PATIENCE_S} s; run this "
                    "one again when it is done"
                )
            time.sleep(0.1)
        yield


PATIENCE_S = 30
"""with another command that plans or submits"""


def _locked(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
