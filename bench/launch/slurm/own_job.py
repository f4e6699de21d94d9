"""Questions of a job to Slurm about itself, and requests."""

import contextlib
import datetime
import os
import re
import signal

from bench.launch.slurm.ask import Unreachable, ask


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
        told = ask("scontrol", "show", "job", os.environ["SLURM_JOB_ID"])
    except Unreachable:
        return False
    return "JobState=RUNNING" in told and bool(re.search(r"PreemptTime=\d", told))


def requeue() -> str:
    """Put this process's job back into the queue; returns a line on how that went."""
    job = os.environ["SLURM_JOB_ID"]
    try:
        ask("scontrol", "requeue", job)
    except Unreachable as error:
        return f"job {job} could not be put back into the queue ({error}); the same command resumes the run"
    return f"job {job} is back in the queue and will resume the run"


def introduce(model: str, run_id: str) -> dict[str, object]:
    """Say in the queue which of its array's runs this job is, and learn what it has cost so far.

    Args:
        model: name of the network, which becomes the job's.
        run_id: becomes its comment, unless the user has given another one.

    Returns:
        ``waited_s``, seconds from its submission, or from its return to the queue, until it began; and ``gpus``, how
        many it holds. Empty where Slurm does not say.
    """
    job = os.environ["SLURM_JOB_ID"]
    try:
        told: dict[str, str] = dict(re.findall(r"(\w+)=(\S*)", ask("scontrol", "--oneliner", "show", "job", job)))
    except Unreachable:
        return {}
    submission = re.search(r"\bt2t-[0-9a-f]{10}\b", told.get("Comment", ""))
    if submission and "ArrayTaskId" in told:
        with contextlib.suppress(Unreachable):  # it would only be nice to know
            ask("scontrol", "update", f"JobId={job}", f"JobName={model}", f"Comment={submission[0]} {run_id}")
    facts: dict[str, object] = {}
    with contextlib.suppress(KeyError, ValueError):
        began = datetime.datetime.fromisoformat(told["StartTime"])
        facts["waited_s"] = max(0.0, (began - datetime.datetime.fromisoformat(told["SubmitTime"])).total_seconds())
    on_node = os.environ.get("SLURM_GPUS_ON_NODE", "")  # TRES has GPUs only where the cluster accounts for them
    told_of = re.search(r"gres/gpu(?::[^=,]+)?=(\d+)", told.get("AllocTRES") or told.get("TRES", ""))
    if on_node.isdecimal():
        facts["gpus"] = int(on_node) * int(os.environ.get("SLURM_JOB_NUM_NODES", 1))
    else:
        facts["gpus"] = int(told_of[1]) if told_of else 0
    return facts
