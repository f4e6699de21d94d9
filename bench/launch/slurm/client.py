"""What Slurm says and is told, through its own commands: states of jobs, limits of the cluster, requeue, cancel."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass

from bench.spec.errors import RequestError

PATIENCE_S = 20
"""for an answer; Slurm's own patience with a controller that is down is about ten seconds"""

ENDED = frozenset(
    "BOOT_FAIL CANCELLED COMPLETED DEADLINE FAILED NODE_FAIL OUT_OF_MEMORY PREEMPTED REVOKED TIMEOUT".split()
)
"""states of a job that will not run again by itself"""


class Unreachable(Exception):
    """Slurm does not answer; one line says what it said instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One job, or one task of a job array, as Slurm has it."""

    name: str
    """of the job"""
    state: str
    """as squeue spells it, such as PENDING"""
    reason: str = ""
    """why it waits"""
    node: str = ""

    @property
    def ended(self) -> bool:
        """Whether Slurm is done with it."""
        return self.state in ENDED


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """What of a cluster's configuration bears on submission."""

    name: str
    max_array_size: int
    """tasks in one array"""
    time_limits: dict[str, float]
    """minutes, by partition"""
    default_partition: str
    gpus: dict[str, int]
    """the most on one node, by partition"""


def is_here() -> bool:
    """Whether this machine has Slurm's commands."""
    return shutil.which("sbatch") is not None


def cluster_name() -> str:
    """The name of this machine's cluster.

    Raises:
        RequestError: there is no Slurm here.
        Unreachable: its controller does not answer.
    """
    return _config()["ClusterName"]


def _config() -> dict[str, str]:
    if not is_here():
        raise RequestError(
            "no sbatch on this machine; choose --run local, or give the command on a login node of a Slurm cluster"
        )
    try:
        up = "is UP" in _ask("scontrol", "ping")  # which knows at once what other commands find out in ten seconds
    except _Refused:
        up = False
    if not up:
        raise Unreachable("its controller is down")
    return dict(re.findall(r"^(\w+)\s*= (.*?)\s*$", _ask("scontrol", "show", "config"), re.MULTILINE))


def cluster() -> Cluster:
    """This machine's cluster.

    Raises:
        RequestError, Unreachable: as ``cluster_name``.
    """
    config = _config()
    limits: dict[str, float] = {}
    gpus: dict[str, int] = {}
    default = ""
    for line in _ask("sinfo", "--noheader", "--format=%P|%l|%G").splitlines():
        name, limit, resources = line.split("|")
        if name.endswith("*"):
            default = name = name[:-1]
        limits[name] = minutes(limit)
        counts = [int(count) for count in re.findall(r"gpu:(?:[^:,(]+:)?(\d+)", resources)]
        gpus[name] = max(gpus.get(name, 0), sum(counts))
    return Cluster(
        name=config["ClusterName"],
        max_array_size=max(1, int(config["MaxArraySize"])),
        time_limits=limits,
        default_partition=default,
        gpus=gpus,
    )


def minutes(limit: str) -> float:
    """Minutes of a time limit as Slurm writes it: M, M:S, H:M:S, D-H, D-H:M, D-H:M:S or infinite.

    Raises:
        ValueError: it is none of these.
    """
    if limit in ("infinite", "UNLIMITED", "n/a"):
        return float("inf")
    match = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", limit)
    if not match:
        raise ValueError(f"{limit!r} is no time limit; choose minutes, or Slurm's D-HH:MM:SS")
    days, first, second, third = (int(part or 0) for part in match.groups())
    if match[1] is not None:
        return days * 1440 + first * 60 + second + third / 60
    if match[4] is not None:
        return first * 60 + second + third / 60
    return first + second / 60


def tasks(job_ids: Iterable[str]) -> dict[str, Task]:
    """The tasks of the jobs by id ("12", or "12_3" in an array); what Slurm has forgotten is not there.

    Raises:
        Unreachable: the controller does not answer.
    """
    ids = ",".join(dict.fromkeys(job_ids))
    if not ids:
        return {}
    found: dict[str, Task] = {}
    try:
        fields = "--format=%F|%K|%j|%T|%N|%r"
        listed = _ask("squeue", "--noheader", "--array", "--states=all", f"--jobs={ids}", fields)
    except _Refused as error:
        if "Invalid job id" not in str(error):
            raise Unreachable(str(error)) from error
        listed = ""
    for line in listed.splitlines():
        job, index, name, state, node, reason = line.split("|", 5)
        task = f"{job}_{index}" if index.isdecimal() else job
        found[task] = Task(name=name, state=state, node=node, reason="" if reason == "None" else reason)
    return _remembered(ids) | found


def _remembered(ids: str) -> dict[str, Task]:
    """How jobs ended that the controller may have forgotten; nothing without accounting.

    One that is not in the queue and has not ended there either was lost with the controller's state.
    """
    try:
        lines = _ask(
            *("sacct", "--noheader", "--parsable2", "--allocations", f"--jobs={ids}"),
            "--format=JobID,JobName,State,NodeList",
        ).splitlines()
    except Unreachable:
        return {}
    found: dict[str, Task] = {}
    for line in lines:
        listed, name, state, node = line.split("|")
        task = Task(name=name, state=state.split()[0], node="" if node == "None assigned" else node)
        if task.ended:
            found |= dict.fromkeys(_one_by_one(listed), task)
    return found


def _one_by_one(listed: str) -> list[str]:
    """Ids of the tasks that stand together, as in 12_[3-5,9-15:2%2]."""
    job, bracket, inside = listed.partition("_[")
    if not bracket:
        return [listed]
    ids = []
    for part in inside.rstrip("]").partition("%")[0].split(","):
        match = re.fullmatch(r"(\d+)(?:-(\d+)(?::(\d+))?)?", part)
        if match:  # else cut off, by a Slurm that knows no SLURM_BITSTR_LEN
            first, last, step = (int(number) if number else None for number in match.groups())
            assert first is not None
            ids += [f"{job}_{index}" for index in range(first, (first if last is None else last) + 1, step or 1)]
    return ids


def find(name: str) -> str | None:
    """The id of the job of a name that waits or runs, if there is one; a refused one stands in the queue as failed.

    Raises:
        Unreachable: the controller does not answer.
    """
    listed = _ask("squeue", "--noheader", f"--name={name}", "--format=%F").split()
    return listed[0] if listed else None


def cancel(task_ids: Iterable[str]) -> None:
    """Take jobs out of the queue, or stop them; their processes are told first and save.

    Raises:
        Unreachable: the controller does not answer.
    """
    _ask("scancel", *task_ids)


def wants_requeue(number: signal.Signals) -> bool:
    """Whether Slurm, and not a person, stopped this process by a signal, and will not run the job again by itself.

    SIGUSR2 is ours, asked for ahead of the time limit and of a preemption. SIGTERM comes with a preemption, with
    scancel and with a requeue; only after the first the job is still running, and ends if its processes do.
    """
    job = os.environ.get("SLURM_JOB_ID")
    if job is None or number == signal.SIGINT:
        return False
    if number == signal.SIGUSR2:
        return True
    return is_preempted()


def is_preempted() -> bool:
    """Whether this process's job runs in the grace time of a preemption, as far as Slurm says."""
    try:
        told = _ask("scontrol", "show", "job", os.environ["SLURM_JOB_ID"])
    except Unreachable:
        return False
    return "JobState=RUNNING" in told and bool(re.search(r"PreemptTime=\d", told))


def is_silence(said: str) -> bool:
    """Whether a command's last words mean that there was no answer, rather than a refusal."""
    return bool(re.search("timed out|unable to contact|zero bytes|connection|communication", said, re.IGNORECASE))


def requeue() -> str:
    """Put this process's job back into the queue; returns a line on how that went."""
    job = os.environ["SLURM_JOB_ID"]
    try:
        _ask("scontrol", "requeue", job)
    except Unreachable as error:
        return f"job {job} could not be put back into the queue ({error}); the same command resumes the run"
    return f"job {job} is back in the queue and will resume the run"


class _Refused(Unreachable):
    """Slurm answered with an error."""


def _ask(*command: str) -> str:
    try:
        whole = {**os.environ, "SLURM_BITSTR_LEN": "0"}  # lists of tasks are not cut off
        done = subprocess.run(command, env=whole, capture_output=True, text=True, timeout=PATIENCE_S, check=True)
    except subprocess.TimeoutExpired:
        raise Unreachable(f"{command[0]} gave no answer in {PATIENCE_S} s") from None
    except FileNotFoundError:
        raise Unreachable(f"no {command[0]} on this machine") from None
    except subprocess.CalledProcessError as error:
        raise _Refused(plain(error.stderr) or f"{command[0]} ended with {error.returncode}") from None
    return done.stdout


def plain(said: str) -> str:
    """What Slurm said on standard error, in one line."""
    lines = [re.sub(r"^\w+: (error: )?", "", line).strip() for line in said.splitlines()]
    return "; ".join(dict.fromkeys(line for line in lines if line))
