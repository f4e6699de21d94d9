"""Slurm, through its own commands: states of jobs, limits of the cluster, submission, cancellation."""

import contextlib
import functools
import os
import pwd
import re
import shutil
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.launch.slurm.ask import (
    MARK,
    PAUSES_S,
    Refused,
    Unreachable,
    ask,
    ask_once,
    is_passing,
    is_silence,
    plain,
    rows,
)
from bench.spec.errors import RequestError

ENDED = frozenset(
    "BOOT_FAIL CANCELLED COMPLETED DEADLINE FAILED NODE_FAIL OUT_OF_MEMORY PREEMPTED REVOKED TIMEOUT".split()
)
"""states of a job that will not run again by itself"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One job, or one task of a job array, as Slurm has it."""

    name: str
    """of the job, with its script and comment: what tells whose it is, should any of them have been changed"""
    state: str
    """as squeue spells it, such as PENDING"""
    reason: str = ""
    """why it waits"""
    node: str = ""
    user: str = ""
    energy_j: float | None = None
    """of a job that has ended, where the cluster accounts for it"""
    asked_memory: str = ""
    """of a job that failed, as Slurm has it"""
    used_memory: str = ""
    """most of any process of a job that failed, if Slurm measures it"""

    @property
    def ended(self) -> bool:
        """Whether Slurm is done with it."""
        return self.state in ENDED

    def is_of(self, submission: str) -> bool:
        """Whether it belongs to the submission of a name."""
        return submission in self.name

    @property
    def is_unmarked(self) -> bool:
        """Whether it belongs to none that can be told."""
        return not re.search(r"\bt2t-\w+", self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """The part of a cluster's configuration that matters for submission."""

    name: str
    max_array_size: int
    """tasks in one array"""
    time_limits: dict[str, float]
    """minutes, by partition"""
    default_partition: str
    gpus: dict[str, int]
    """the most on one node, by partition"""
    enforced: str = ""
    """of what accounting knows, as in limits,qos"""


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
            "no sbatch on this machine; choose --run local, or run the command on a login node of a Slurm cluster"
        )
    try:
        up = "is UP" in ask("scontrol", "ping")  # which knows at once what other commands find out in ten seconds
    except Refused:
        up = False
    if not up:
        raise Unreachable("its controller is down")
    return dict(re.findall(r"^(\w+)\s*= (.*?)\s*$", ask("scontrol", "show", "config"), re.MULTILINE))


def cluster() -> Cluster:
    """This machine's cluster.

    Raises:
        RequestError, Unreachable: as ``cluster_name``.
    """
    config = _config()
    limits: dict[str, float] = {}
    gpus: dict[str, int] = {}
    default = ""
    for name, limit, resources in rows(ask("sinfo", f"--format={MARK}|%P|%l|%G"), 3, "sinfo"):
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
        enforced=config.get("AccountingStorageEnforce", ""),
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
    for job, index, state, user, node, reason, name in _listed("--array", "--states=all", f"--jobs={ids}"):
        task = f"{job}_{index}" if index.isdecimal() else job
        reason = "" if reason == "None" else reason
        found[task] = Task(name=name, state=state, node=node, reason=reason, user=user)
    ended = _remembered(ids)
    found = ended | {
        task: replace(told, energy_j=ended[task].energy_j) if task in ended else told for task, told in found.items()
    }
    failed = [task for task, told in found.items() if told.state in ("FAILED", "OUT_OF_MEMORY")][:_MOST_FAILED]
    for task, (asked, used) in _memory(failed).items():
        if task in found:
            found[task] = replace(found[task], asked_memory=asked, used_memory=used)
    return found


_MOST_FAILED = 100
"""jobs of which the accounting is asked how much memory they used"""


def _memory(failed: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Memory asked for and used, by id, as far as there is accounting."""
    if not failed:
        return {}
    try:
        lines = ask("sacct", "--parsable2", f"--jobs={','.join(failed)}", "--format=JobID,ReqMem,MaxRSS").splitlines()
    except Unreachable:
        return {}
    found: dict[str, tuple[str, str]] = {}
    for line in lines:
        listed, *fields = line.split("|")
        if not re.match(r"\d", listed) or len(fields) != 2:
            continue
        task = listed.partition(".")[0]
        asked, used = found.get(task, ("", ""))
        found[task] = asked or fields[0], max(used, _readable(fields[1]), key=_bytes)
    return found


def _bytes(text: str) -> float:
    match = re.fullmatch(r"([\d.]+) ?([KMGTP]?)B?", text)
    return float(match[1]) * 1024 ** "KMGTP".find(match[2] or "-") * 1024 if match else 0.0


def _readable(text: str) -> str:
    size = _bytes(text)
    return f"{size / 1024**3:.2f} GB" if size >= 1024**3 else f"{size / 1024**2:.0f} MB" if size else ""


def gigabytes(text: str) -> float:
    """Memory as Slurm writes it, in MB unless it says otherwise; 0 where it is none."""
    return _bytes(text if text[-1:].isalpha() else f"{text}M") / 1024**3


def _listed(*options: str) -> list[list[str]]:
    """Lines of squeue: id, index in an array, state, user, node, reason, and what tells whose it is."""
    try:
        return rows(ask("squeue", *options, f"--format={MARK}|%F|%K|%T|%u|%N|%r|%o %24k %j"), 7, "squeue")
    except Refused as error:
        if "Invalid job id" not in str(error):
            raise
        return []


def describe(job: str) -> str:
    """All that Slurm knows of a job, or nothing.

    A wrapper of sbatch may have submitted a copy of the script under another name; where its output goes still tells
    whose it is.
    """
    with contextlib.suppress(Unreachable):
        return ask("scontrol", "show", "job", job)
    return ""


def _remembered(ids: str) -> dict[str, Task]:
    """Ends of jobs that the controller may have forgotten; nothing without accounting.

    One that is not in the queue and has not ended there either was lost with the controller's state.
    """
    try:
        printed = ask(
            *("sacct", "--parsable2", "--allocations", f"--jobs={ids}"),
            "--format=JobID,State,User,NodeList,ConsumedEnergyRaw,JobName,SubmitLine",
        )
    except Unreachable:
        return {}
    found: dict[str, Task] = {}
    for line in printed.splitlines():
        listed, *fields = line.split("|", 5)
        if not re.match(r"\d", listed) or len(fields) != 5:
            continue  # the head, or what a wrapper prints
        state, user, node, energy, name = fields
        node = "" if node == "None assigned" else node
        joules = float(energy) if energy.isdecimal() and int(energy) else None
        task = Task(name=name, state=(state.split() or [""])[0], node=node, user=user, energy_j=joules)
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


def submit(script: Path, submission: str) -> str:
    """Hand a script to sbatch; returns the job's id.

    Args:
        script: of the job or job array.
        submission: its name, which the script's path or its comment holds.

    Raises:
        Refused: Slurm does not take it.
        Unreachable: it does not answer, or not so that the job can be told; the job may still reach it.
    """
    for pause in (*PAUSES_S, None):
        try:
            said = ask_once("sbatch", "--parsable", str(script))
            break
        except Refused as error:
            # Under load sbatch may give up on a job that the controller has taken, or is about to take.
            if found := find(submission):
                return found
            if is_silence(str(error)):
                raise Unreachable(f"{error}; {submission} may still reach it") from None
            if pause is None or not is_passing(str(error)):
                raise
            time.sleep(pause)
    # Wrappers of sbatch print other lines as well.
    numbers = dict.fromkeys(re.findall(r"^\s*(\d+)(?:;\S+)?\s*$|^Submitted batch job (\d+)", said, re.MULTILINE))
    candidates = [first or second for first, second in numbers]
    for job in candidates:
        if submission in describe(job):
            return job
    if found := find(submission):
        return found
    raise Unreachable(f"sbatch printed {plain(said)[:200]!r}, which names no job of {submission}; it may be there")


def refusal(script: str) -> str:
    """Slurm's objection to a script, or nothing if it would accept it; nothing is submitted.

    Raises:
        Unreachable: it does not answer.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".sh") as file:
        file.write(script)
        file.flush()
        try:
            ask("sbatch", "--test-only", file.name)
        except Refused as error:
            if is_silence(str(error)):
                raise Unreachable(str(error)) from None
            return str(error)
    return ""


def find(submission: str) -> str | None:
    """The id of the job of a submission that waits or runs; a refused one stands in the queue as failed.

    Raises:
        Unreachable: the controller does not answer.
    """
    mine = _listed(f"--user={os.getuid()}")
    return next((job for job, *_, name in mine if submission in name), None)


@functools.cache
def user_name() -> str:
    """The user who runs this command, by Slurm's name."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def cancel(task_ids: Iterable[str]) -> None:
    """Take jobs out of the queue, or stop them; their processes are told first and save.

    Raises:
        Unreachable: the controller does not answer.
    """
    ask("scancel", *task_ids)
