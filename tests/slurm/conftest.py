"""A real Slurm for the tests: the cluster that ``cluster.sh up`` has started, or a reason why not."""

import contextlib
import fcntl
import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.conftest import ROOT

CLUSTER_SH = ROOT / "tests" / "slurm" / "cluster.sh"
BASE = Path(os.environ.get("T2T_SLURM", "/tmp/t2t-slurm"))
CONF = BASE / "etc" / "slurm.conf"


def _why_not():
    if not shutil.which("sbatch"):
        return "no Slurm on this machine: tests/slurm/cluster.sh install, as root"
    if not CONF.exists():
        return "the test cluster is not running: tests/slurm/cluster.sh up, as root"
    env = {**os.environ, "SLURM_CONF": str(CONF)}
    ping = subprocess.run(["scontrol", "ping"], env=env, capture_output=True, text=True)
    return "" if "is UP" in ping.stdout else f"the test cluster does not answer: {ping.stdout}{ping.stderr}"


def pytest_collection_modifyitems(items):
    here = [item for item in items if Path(__file__).parent in item.path.parents]
    reason = _why_not() if here else ""
    for item in here:
        if reason:
            item.add_marker(pytest.mark.skip(reason=reason))


class Cluster:
    """Commands against the test cluster, and the program's own."""

    def __init__(self, run_all, runs):
        self._run_all = run_all
        self.runs = runs
        self.smoke = ("--budget", "smoke", "--runs", runs, "--reports", runs / "reports")

    def ask(self, *command):
        """The output of a command of Slurm's."""
        return subprocess.run([str(word) for word in command], capture_output=True, text=True, check=True).stdout

    def daemon(self, action, name):
        """``kill``, ``stop`` or ``start`` one of the daemons."""
        subprocess.run([CLUSTER_SH, action, name], check=True, capture_output=True)

    def submit(self, *options, **kwargs):
        """``run_all.py --budget smoke --run slurm``; returns what it printed as JSON."""
        done = self._run_all(*self.smoke, "--run", "slurm", "--json", *options, **kwargs)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def status(self):
        """``status`` by run id."""
        done = self._run_all("status", "--runs", self.runs, "--json")
        assert done.returncode == 0, done.stderr
        return {run["run_id"]: run for run in json.loads(done.stdout)["runs"]}

    def wait(self, condition, what, seconds=120):
        """Until the condition holds; returns what it returned."""
        deadline = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < deadline, f"no {what} in {seconds} s: {self.logs()}"
            time.sleep(0.2)
        return found

    def wait_for(self, state, *run_ids, seconds=150):
        """Until all of the runs are in a state; returns their lines.

        The program, which competes with what it waits for, is asked when something has changed, or after a while, since
        Slurm's accounting changes unseen.
        """
        seen, again = None, 0.0

        def there():
            nonlocal seen, again
            if (now := self._seen()) == seen and time.monotonic() < again:
                return None
            seen, again = now, time.monotonic() + 5
            lines = self.status()
            return all(lines[run_id]["state"] == state for run_id in run_ids) and lines

        return self.wait(there, f"{state} {run_ids}", seconds)

    def _seen(self):
        """What the states of runs follow from, without the program: records, owners and the queue."""
        records = {path: json.loads(path.read_text())["status"] for path in self.runs.glob("*/record.json")}
        owners = {path: path.read_text() for path in self.runs.glob("*/owner.json")}
        return records, owners, self.ask("squeue", "-h", "-a", "-t", "all", "-o", "%i %T %r")

    def wait_for_epoch(self, run_id, epoch):
        """Until a run has that many epochs behind it."""
        metrics = self.runs / run_id / "metrics.jsonl"

        def there():
            with contextlib.suppress(FileNotFoundError):
                return len(metrics.read_text().splitlines()) >= epoch

        self.wait(there, f"epoch {epoch} of {run_id}")

    def wait_until_ended(self, job, seconds=60):
        """Until the queue has let go of a job."""
        self.wait(lambda: not self.ask("squeue", "-h", "-j", job, "-t", "all", "-o", "%i").strip()
                  or not re.search("PENDING|RUNNING|COMPLETING",
                                   self.ask("squeue", "-h", "-j", job, "-t", "all", "-o", "%T")),
                  f"end of job {job}", seconds)  # fmt: skip

    def cancel_all(self):
        """Leave nothing of this test in the queue."""
        jobs = [json.loads(path.read_text())["job"] for path in self.runs.glob("jobs/*/submission.json")]
        if any(jobs):
            subprocess.run(["scancel", *filter(None, jobs)], capture_output=True, check=False)

    def logs(self):
        """The end of every log, for the message of a test that failed."""
        found = {path.name: path.read_text()[-1500:] for path in self.runs.glob("jobs/*/*_log.err")}
        return json.dumps(found, indent=1) + self.ask("squeue", "-a", "-t", "all")


@pytest.fixture(autouse=True)
def conf(monkeypatch):
    """Slurm's commands, here and in every process that a test starts, talk to the test cluster."""
    monkeypatch.setenv("SLURM_CONF", str(CONF))


@contextlib.contextmanager
def _lock(kind):
    with (BASE / "tests.lock").open("w") as file:
        fcntl.flock(file, kind)
        yield


@pytest.fixture
def cluster(run_all, tmp_path, conf):
    """The cluster, shared with tests in other processes."""
    with _lock(fcntl.LOCK_SH):
        cluster = Cluster(run_all, tmp_path / "runs")
        yield cluster
        cluster.cancel_all()


@pytest.fixture
def cluster_alone(run_all, tmp_path, conf):
    """The cluster, while no other test uses it."""
    with _lock(fcntl.LOCK_EX):
        cluster = Cluster(run_all, tmp_path / "runs")
        yield cluster
        cluster.cancel_all()
