"""What a queued job's pickle holds, and that it still runs after the suite has moved on."""

import dataclasses
import os
import subprocess
import sys

import pytest
from submitit.core.utils import DelayedSubmission

from bench.budgets import SUITES
from bench.entry import Job
from bench.job import prepare
from bench.recipes import override
from bench.run_folder import load_record
from bench.specs import Resources
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
    assert "bench.specs.Resources" in names_in_pickle(OLD)


def test_a_job_runs_where_all_but_the_entry_has_moved(job, tmp_path):
    """It gets as far as the run's folder, in which nothing lies."""
    DelayedSubmission(job).dump(tmp_path / "job.pkl")
    moved = {"bench.job": "bench.launch.job", "bench.specs": "bench.spec.run", "bench.stop": "bench.training.signals"}
    move_suite(tmp_path, moved)
    done = result(tmp_path / "job.pkl", tmp_path, suite=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("bench: a-run/spec.json: ")
    assert done.stdout.startswith("(1, ")


def test_a_job_from_before_the_entry_still_runs(tmp_path):
    (tiny,) = (spec for name, spec in SUITES["smoke"].items() if name == "tiny T2T-ViT")
    tiny = dataclasses.replace(tiny, recipe=override(tiny.recipe, ["epochs=1", "warmup_epochs=0"]))
    prepare(tmp_path, tiny).rename(tmp_path / "a-run")
    done = result(OLD, tmp_path)
    assert (done.returncode, done.stdout) == (0, "(0, '')\n"), done.stderr
    record = load_record(tmp_path / "a-run")
    assert (record.status, record.epoch) == ("completed", 1)


def test_a_job_from_before_the_entry_keeps_its_resources():
    """Whose pickle has them by place: a new field of ``Resources`` goes last."""
    held = DelayedSubmission.load(OLD).function.resources
    names = ("data", "download", "workers", "micro_batch", "save_every_s", "max_unreadable", "precision", "beat_s")
    assert [getattr(held, name) for name in names] == ["elsewhere", False, 0, 32, 7.5, 3, "float32", 2.5]
    assert held.files == {"a" * 64: "weights.pth"}


@pytest.mark.parametrize(
    ("resources", "why"),
    [
        ({"data": "nowhere", "nodes": 2}, "unexpected keyword argument 'nodes'"),
        ({"workers": 2}, "missing 1 required keyword-only argument: 'data'"),
    ],
)
def test_a_job_of_another_version_that_cannot_run_says_so(tmp_path, capfd, resources, why):
    line = f"this job was submitted by another version of the suite ({why}); submit the run again"
    assert Job(folder=str(tmp_path), resources=resources)() == (2, line)
    assert capfd.readouterr().err == f"bench: {line}\n"
    assert not list(tmp_path.iterdir())
