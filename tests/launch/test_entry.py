"""What a queued job's pickle holds, and that it still runs after the suite has moved on."""

import dataclasses
import os
import subprocess
import sys

import pytest
from submitit.core.utils import DelayedSubmission

from bench.entry import Job
from bench.spec.run import Resources
from tests.conftest import ROOT, names_in_pickle
from tests.moved import move_suite

OLD = ROOT / "tests" / "golden" / "queued_job.pkl"
"""of a job of the version before ``bench.entry``, for the folder ``a-run``"""


@pytest.fixture
def job():
    return Job(folder="a-run", resources=dataclasses.asdict(Resources(data="nowhere")), environment={"A": "1"})


def result(pickle, folder, suite=ROOT):
    """What a pickled job of ``folder/a-run`` ends with, in a process of its own, as submitit starts it."""
    code = f"from submitit.core.utils import DelayedSubmission as D; print(D.load({str(pickle)!r}).result())"
    env = {**os.environ, "PYTHONPATH": str(suite)}
    return subprocess.run([sys.executable, "-c", code], cwd=folder, env=env, capture_output=True, text=True)


def test_a_pickle_names_the_entry_alone(job, tmp_path):
    DelayedSubmission(job).dump(tmp_path / "job.pkl")
    job.checkpoint().dump(tmp_path / "again.pkl")
    for name in ("job.pkl", "again.pkl"):
        assert names_in_pickle(tmp_path / name) == {"submitit.core.utils.DelayedSubmission", "bench.entry.Job"}
        assert DelayedSubmission.load(tmp_path / name).function == job


def test_a_job_runs_where_all_but_the_entry_has_moved(job, tmp_path):
    """It gets as far as the run's folder, in which nothing lies."""
    DelayedSubmission(job).dump(tmp_path / "job.pkl")
    moved = {
        "bench.launch.job": "bench.jobs.attempt",
        "bench.spec.run": "bench.vocabulary",
        "bench.training.signals": "bench.signals",
    }
    move_suite(tmp_path, moved)
    done = result(tmp_path / "job.pkl", tmp_path, suite=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("bench: a-run/spec.json: ")
    assert done.stdout.startswith("(1, ")


def test_a_job_from_before_the_entry_says_that_it_is_too_old(tmp_path):
    done = result(OLD, tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "bench: this job was queued by an older version of t2t-bench; submit the run again\n"


@pytest.mark.parametrize(
    ("resources", "why"),
    [
        ({"data": "nowhere", "nodes": 2}, "unexpected keyword argument 'nodes'"),
        ({"workers": 2}, "missing 1 required keyword-only argument: 'data'"),
    ],
)
def test_a_job_of_another_version_that_cannot_run_says_so(tmp_path, capfd, resources, why):
    line = f"this job was submitted by another version of t2t-bench ({why}); submit the run again"
    assert Job(folder=str(tmp_path), resources=resources)() == (2, line)
    assert capfd.readouterr().err == f"bench: {line}\n"
    assert not list(tmp_path.iterdir())
