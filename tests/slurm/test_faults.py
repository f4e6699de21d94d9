"""What happens to jobs on a cluster: each fault ends in the metrics of a run that nothing happened to."""

import contextlib
import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from bench.results.run_folder import last_owner, load_record

pytestmark = pytest.mark.extended

RUN = ("--only", "tiny ResNet", "--set", "epochs=12")


@pytest.fixture(scope="module")
def undisturbed(run_all, tmp_path_factory):
    """The metrics that a run must end with."""
    folder = tmp_path_factory.mktemp("undisturbed")
    done = run_all("--budget", "smoke", *RUN, "--run", "local", "--runs", folder, "--reports", folder)
    assert done.returncode == 0, done.stderr
    (metrics,) = folder.glob("*/metrics.jsonl")
    return metrics.read_bytes()


class Fault:
    """One run on the cluster, about to be hit."""

    def __init__(self, cluster, *slurm):
        self.cluster, self.command = cluster, (*RUN, "--slurm", *slurm)
        (submitted,) = cluster.submit(*self.command)["submitted"]
        ((self.task, self.run_id),) = submitted["runs"].items()
        self.folder = cluster.runs / self.run_id
        cluster.wait_for_epoch(self.run_id, 2)
        self.first = last_owner(self.folder)
        self.node = cluster.ask("squeue", "-h", "-j", self.task, "-o", "%N").strip()

    @property
    def epochs(self):
        return len((self.folder / "metrics.jsonl").read_text().splitlines())

    def end(self, undisturbed, *, restarts):
        """Wait for it, and compare; returns the record."""
        line = self.cluster.wait_for("completed", self.run_id)[self.run_id]
        assert (self.folder / "metrics.jsonl").read_bytes() == undisturbed
        assert line["restarts"] == restarts
        record = load_record(self.folder)
        assert record.history[-1]["what"] == "completed"
        return record

    def resumed_at(self):
        """Epochs that its last attempt began with, as its log tells."""
        logs = "".join(path.read_text() for path in self.cluster.runs.glob("jobs/*/*_log.err"))
        return [tuple(map(int, place)) for place in re.findall(r"resumes at epoch (\d+), step (\d+)", logs)]

    def same_command(self, epochs):
        """Which resumes the run; nothing but unsaved steps is lost."""
        told = self.cluster.submit(*self.command)
        (decision,) = told["plan"]
        assert decision["action"] == "resume"
        assert len(told["submitted"]) == 1
        assert decision["reason"].partition(" after ")[0] in ("killed", "interrupted")
        self.cluster.wait(self.resumed_at, "resumption")
        assert self.resumed_at()[-1] >= (epochs, 0)

    def stop(self):
        """Stop its process until it gets SIGCONT, so that the run is not over before the fault strikes.

        Between two writes, since one that had begun would be finished whoever owns the folder by then.
        """
        os.kill(self.first.pid, signal.SIGSTOP)
        while any(self.folder.rglob(".*.tmp")):
            os.kill(self.first.pid, signal.SIGCONT)
            time.sleep(0.01)
            os.kill(self.first.pid, signal.SIGSTOP)


def what(record):
    return [event["what"] for event in record.history]


def test_requeue_by_hand(cluster, undisturbed):
    fault = Fault(cluster, "time=60")
    epochs = fault.epochs
    cluster.ask("scontrol", "requeue", fault.task)
    record = fault.end(undisturbed, restarts=1)
    assert fault.resumed_at()[-1] >= (epochs, 0)
    assert {event["job"] for event in record.history if "job" in event} == {fault.task}


def test_the_time_limit_saves_and_requeues(cluster, undisturbed):
    """The warning comes 10 s before the limit of a minute, or, as Slurm looks now and then, up to 30 s earlier."""
    fault = Fault(cluster, "time=1", "signal_delay_s=10")
    with contextlib.suppress(ProcessLookupError):  # a slow machine meets the limit already
        fault.stop()  # Slurm continues what it warns
    cluster.wait_for("completed", fault.run_id)
    restarts = last_owner(fault.folder).attempt - 1
    assert restarts >= 1  # a slow machine meets the limit again
    record = fault.end(undisturbed, restarts=restarts)
    (note, *_) = [event["note"] for event in record.history if event["what"] == "interrupted"]
    place = re.search(r"SIGUSR2 in epoch (\d+), step (\d+)", note)
    assert fault.resumed_at()[0] == tuple(map(int, place.groups()))  # nothing was lost


def test_preemption_with_a_grace_time_loses_nothing(cluster, undisturbed):
    """Slurm's default: SIGTERM, and requeue only of jobs that are still there when the grace time is over."""
    fault = Fault(cluster, "partition=low", "time=60")
    more_urgent = cluster.ask(
        "sbatch", "--parsable", "-p", "high", "--exclusive", "-o", "/dev/null", "--wrap", "sleep 2"
    )
    record = fault.end(undisturbed, restarts=1)
    (note,) = [event["note"] for event in record.history if event["what"] == "interrupted"]
    place = re.search(r"SIGTERM in epoch (\d+), step (\d+)", note)
    assert fault.resumed_at() == [tuple(map(int, place.groups()))]
    logs = "".join(path.read_text() for path in cluster.runs.glob("jobs/*/*_log.err"))
    assert f"job {fault.task} is back in the queue and will resume the run" in logs
    assert cluster.ask("sacct", "-n", "-X", "-P", "-j", more_urgent.strip(), "-o", "State").strip() == "COMPLETED"


def test_scancel_and_the_same_command(cluster, undisturbed):
    fault = Fault(cluster, "time=60")
    epochs = fault.epochs
    cluster.ask("scancel", fault.task)
    fault.same_command(epochs)  # at once, while the job is ending
    events = load_record(fault.folder).history
    assert next(event["note"] for event in events if event["what"] == "interrupted").startswith("SIGTERM in epoch")
    fault.end(undisturbed, restarts=1)


def test_kill_9_and_the_same_command(cluster, undisturbed):
    fault = Fault(cluster, "time=60")
    epochs = fault.epochs
    os.kill(fault.first.pid, signal.SIGKILL)
    line = cluster.wait_for("killed", fault.run_id)[fault.run_id]
    assert line["why"].startswith("its job ended as failed")
    fault.same_command(epochs)
    record = fault.end(undisturbed, restarts=1)
    assert "killed" in what(record)


@contextlib.contextmanager
def dead(cluster, node, job=""):
    """A node whose daemon died, and with it, if it is named, every process of a job, until the block ends."""
    cluster.daemon("kill", f"slurmd-{node}")
    if job:
        for name in (f"slurmstepd: \\[{job}\\.", f"{job}_0_log"):  # those that would tell of the others' end, first
            subprocess.run(["pkill", "-9", "-f", name], check=False)
        os.kill(last_owner(next(cluster.runs.glob("*/owner.json")).parent).pid, signal.SIGKILL)
    cluster.ask("scontrol", "update", f"nodename={node}", "state=down", "reason=dead")
    try:
        yield
    finally:
        cluster.daemon("start", f"slurmd-{node}")
        with contextlib.suppress(subprocess.CalledProcessError):  # the node may have reported back already
            cluster.ask("scontrol", "update", f"nodename={node}", "state=resume")


def test_a_node_that_dies(cluster, undisturbed):
    fault = Fault(cluster, "partition=spare", "time=60")
    epochs = fault.epochs
    with dead(cluster, fault.node, fault.task):
        record = fault.end(undisturbed, restarts=1)
    assert fault.resumed_at()[-1] >= (epochs, 0)
    nodes = [event["node"] for event in record.history if event["what"] == "running"]
    assert len(nodes) == len(set(nodes)) == 2


def test_a_node_that_only_seems_dead(cluster, undisturbed):
    """Split brain: the daemon is gone, and the process wakes beside the one that Slurm has started elsewhere."""
    fault = Fault(cluster, "partition=spare", "time=60")
    with dead(cluster, fault.node):
        fault.stop()
        try:
            cluster.wait(lambda: last_owner(fault.folder).token != fault.first.token, "successor")
        finally:
            os.kill(fault.first.pid, signal.SIGCONT)
        record = fault.end(undisturbed, restarts=1)
        owner = last_owner(fault.folder)
        assert (owner.job, owner.restart) == (fault.task, 1)
        cluster.wait(lambda: not Path(f"/proc/{fault.first.pid}").exists(), "end of the first copy")
        logs = "".join(path.read_text() for path in cluster.runs.glob("jobs/*/*_log.err"))
        assert f"this one, pid {fault.first.pid}, stops without writing" in logs
    assert "interrupted" not in what(record)
    pids = [event["pid"] for event in record.history if "pid" in event]
    assert pids == [fault.first.pid, owner.pid, owner.pid]  # the first began; the second began and completed
    assert (fault.folder / "metrics.jsonl").read_bytes() == undisturbed
    assert json.loads((fault.folder / "owner.json").read_text())["token"] == owner.token
