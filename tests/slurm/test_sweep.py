"""The story of docs/slurm.md: a sweep that is planned, submitted in batches, watched, partly cancelled and reported."""

import json
import re

import pytest

from tests.slurm.test_submission import QUICK

pytestmark = pytest.mark.extended

SEEDS = ("--seeds", "0", "1", "2")
ONE_GPU = ("qos=sweeps", "time=10", "gres=gpu:1")
"""of a QOS that takes 30 jobs of a user"""


def test_a_sweep_from_its_plan_to_its_cost(cluster, run_all):
    def command(sweep, *options):
        return run_all(*cluster.smoke, *QUICK, "--sweep", *sweep, *SEEDS, "--run", "slurm", "--json", *options)

    def counts():
        lines = run_all("status", "--runs", cluster.runs).stdout.splitlines()
        return {state: int(n) for n, state in re.findall(r"(\d+) ([a-z]+)", lines[-1].partition("  ")[2])}

    whole = ("lr=5e-4,1e-3,2e-3", "weight_decay=0.02,0.05")
    closed = ("--slurm", "partition=closed", *ONE_GPU)
    dry = json.loads(command(whole, *closed, "--dry-run").stdout)
    assert len(dry["plan"]) == 54 + 3  # what the fine-tuned ones start from
    assert dry["arrays"][0].startswith("array of 30: partition closed, time limit 10 min, 1 node with 1 GPU")
    assert len(dry["left"]) == 27

    first = json.loads(command(whole, *closed).stdout)
    assert sum(len(job["runs"]) for job in first["submitted"]) == 30
    assert set(first["left"].values()) <= {"MaxSubmitJobs=30 of QOS sweeps"} | {
        reason for reason in first["left"].values() if reason.endswith("which is not submitted yet")
    }
    assert counts() == {"queued": 30}

    done = run_all("cancel", "lr=1e-3", "lr=2e-3", "--yes", "--runs", cluster.runs)
    assert done.returncode == 0, done.stderr
    narrow = ("lr=5e-4", "weight_decay=0.02,0.05")
    second = json.loads(command(narrow, *closed).stdout)
    assert second["left"] == {}
    assert counts()["queued"] == 18 + 3  # three networks, two decays, three seeds

    done = run_all("cancel", "seed=1", "seed=2", "--yes", "--runs", cluster.runs)
    assert done.returncode == 0, done.stderr
    last = (*cluster.smoke, *QUICK, "--sweep", *narrow, "--seeds", "0")
    moved = run_all(*last, "--run", "slurm", "--json", "--slurm", "partition=gpu", *ONE_GPU)
    assert moved.returncode == 0, moved.stderr
    told = json.loads(moved.stdout)
    assert told["submitted"] == []
    assert all("partition from closed to gpu" in change for change in told["changed"])

    runs = [decision["run_id"] for decision in told["plan"]]
    assert len(runs) == 6
    lines = cluster.wait_for("completed", *runs)
    for run_id in runs:
        assert lines[run_id]["gpu_hours"] > 0
        assert lines[run_id]["queue_wait_s"] > 0
        assert (lines[run_id]["restarts"], lines[run_id]["lost_s"]) == (0, 0)
    done = run_all(*last[:-2])
    assert done.returncode == 0, done.stderr
    (page,) = cluster.runs.glob("reports/smoke_*.md")
    assert "No best point is named" in page.read_text()
    assert re.search(r"^6 runs used 0\.\d+ GPU hours together\.", page.read_text(), re.MULTILINE)
    told_of = [run_id for run_id in runs if f"`{run_id}`" in page.read_text().partition("## Cost")[2]]
    assert len(told_of) == 6
