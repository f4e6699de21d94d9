"""Slurm as sites have it: variables, wrappers of its commands, setup commands, jobs of other names."""

import json
import os
import re
import shutil

import pytest

from tests.conftest import ROOT
from tests.slurm.test_submission import CLOSED, CPU, QUICK, RESNET, refused


def wrap(tmp_path, patch, **commands):
    """Put shell scripts before Slurm's commands; in each, REAL is the command itself."""
    folder = tmp_path / "wrappers"
    folder.mkdir(exist_ok=True)
    for name, lines in commands.items():
        path = folder / name
        path.write_text(f"#!/bin/sh\nREAL={shutil.which(name)}\n{lines}\n")
        path.chmod(0o755)
    patch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def job(cluster, task):
    """What Slurm knows of a job, by name."""
    return dict(re.findall(r"(\S+?)=(.*?)(?=\s+\S+?=|$)", cluster.ask("scontrol", "--oneliner", "show", "job", task)))


VARIABLES = {
    "SBATCH_PARTITION": "low",
    "SBATCH_TIMELIMIT": "1",
    "SBATCH_MEM_PER_CPU": "100",
    "SBATCH_NO_REQUEUE": "1",
    "SBATCH_JOB_NAME": "mine",
    "SBATCH_ARRAY_INX": "0-7",
    "SBATCH_WAIT": "1",
    "SBATCH_CLUSTERS": "elsewhere",
    "SBATCH_OPEN_MODE": "truncate",
    "SQUEUE_STATES": "COMPLETED",
    "SQUEUE_USERS": "nobody",
    "SQUEUE_PARTITION": "low",
    "SQUEUE_FORMAT": "%i",
    "SINFO_PARTITION": "low",
    "SCANCEL_STATE": "RUNNING",
    "SCANCEL_INTERACTIVE": "1",
    "SACCT_FORMAT": "JobID",
    "SLURM_CLUSTERS": "elsewhere",
    "SLURM_EXPORT_ENV": "NONE",
}


def test_variables_neither_change_what_is_asked_for_nor_hide_what_is_there(cluster, run_all, monkeypatch):
    command = (*RESNET, "--slurm", "partition=closed", "time=10", "mem_gb=1")
    with monkeypatch.context() as patch:
        for name, value in (VARIABLES | {"SBATCH_QOS": "few"}).items():
            patch.setenv(name, value)
        done = run_all(*cluster.smoke, "--run", "slurm", *command)
        assert done.returncode == 0, done.stderr
        assert "qos=few, from SBATCH_QOS" in done.stderr
        assert "SBATCH_PARTITION" not in done.stderr
        assert "partition=closed" in done.stdout
        assert "qos=few" in done.stdout
        assert cluster.submit(*command)["submitted"] == []
        (line,) = cluster.status().values()
        assert line["state"] == "queued"
    known = job(cluster, line["job"])
    with monkeypatch.context() as patch:
        for name, value in VARIABLES.items():
            patch.setenv(name, value)
        assert run_all("cancel", "test_resnet", "--yes", "--runs", cluster.runs).returncode == 0
    assert (known["Partition"], known["TimeLimit"], known["Requeue"]) == ("closed", "00:10:00", "1")
    assert (known["MinMemoryNode"], known["QOS"], known["JobName"]) == ("1G", "few", "test_resnet")
    assert line["run_id"] in known["Comment"].split()
    assert cluster.status()[line["run_id"]]["state"] == "interrupted"


def test_an_environment_that_is_not_exported_and_wrappers_that_talk_and_rename(cluster, run_all, tmp_path, monkeypatch):
    """The run trains, and the job is known by its number through all of it."""
    said = 'echo "Welcome; 7 jobs"; echo 20261125; "$REAL" "$@"; code=$?; echo "bye|now"; exit $code'
    with monkeypatch.context() as patch:
        patch.setenv("SBATCH_EXPORT", "NONE")
        patch.setenv("SLURM_EXPORT_ENV", "NONE")
        copy = 'sed "s/^#SBATCH --comment.*/#SBATCH --comment=site/" "$2" >"$2.copy.$$"\n'
        other = f'echo 12 jobs\n{copy}exec "$REAL" --parsable --job-name=site "$2.copy.$$"'
        wrap(tmp_path, patch, squeue=said, sinfo=said, sacct=said, scontrol=said, sbatch=other)
        (array,) = cluster.submit(*RESNET, *QUICK, *CPU, "--seeds", "0", "1")["submitted"]
        runs = list(array["runs"].values())
        again = cluster.submit(*RESNET, *QUICK, *CPU, "--seeds", "0", "1")
        assert again["submitted"] == []
        assert {decision["job"] for decision in again["plan"]} == {*array["runs"]}
        lines = cluster.wait_for("completed", *runs)
    assert [lines[run]["job"] for run in runs] == [*array["runs"]]


def test_a_job_that_cannot_be_told_apart_is_unsure_and_never_doubled(cluster, run_all, tmp_path, monkeypatch):
    nothing = 'sed "/^#SBATCH --\\(comment\\|output\\|error\\|job-name\\)/d" "$2" | "$REAL" -o /dev/null'
    with monkeypatch.context() as patch:
        wrap(tmp_path, patch, sbatch=nothing)
        line = refused(run_all, cluster, *RESNET, *CLOSED, code=1)
        assert re.search(r"sbatch printed '.*', which names no job of t2t-\w+", line)
        assert "give the command again in a minute" in refused(run_all, cluster, *RESNET, *CLOSED, code=1)
    cluster.ask("scancel", "--me", "--name=sbatch")
    with monkeypatch.context() as patch:
        wrap(tmp_path, patch, squeue="echo the queue is hidden here", sbatch='exec "$REAL" "$@"')
        line = refused(run_all, cluster, *RESNET, *CLOSED, code=1)
        assert "squeue on this machine does not print what it is asked for, but 'the queue is hidden here'" in line
    assert len(list(cluster.runs.glob("jobs/*/submission.json"))) == 1


def test_refusals_that_pass_are_tried_again(cluster, run_all, tmp_path, monkeypatch):
    error = 'echo "sbatch: error: Batch job submission failed: Resource temporarily unavailable" >&2; exit 1'
    with monkeypatch.context() as patch:
        once = f"[ -e {tmp_path}/tried ] || {{ touch {tmp_path}/tried; {error}; }}"
        wrap(tmp_path, patch, sbatch=f'{once}\nexec "$REAL" "$@"')
        (one,) = cluster.submit(*RESNET, *CLOSED)["submitted"]
    assert cluster.ask("squeue", "-h", "-o", "%i", "-j", one["job"]).strip() == one["job"]
    cluster.ask("scancel", one["job"])


def test_setup_that_fails_ends_the_job_with_its_words(cluster, run_all):
    setup = "setup=echo the licence server is down; false; true"
    (one,) = cluster.submit(*RESNET, "--slurm", "time=10", setup)["submitted"]
    (run_id,) = one["runs"].values()
    line = cluster.wait_for("failed", run_id)[run_id]
    assert line["why"].endswith("setup ended the job with exit code 1: the licence server is down")
    dry = run_all(*cluster.smoke, *RESNET, "--run", "slurm", "--dry-run")
    assert "setup ended the job with exit code 1: the licence server is down" in dry.stdout
    code = "setup=echo no such module >&2; exit 0"
    (one,) = cluster.submit(*RESNET, "--seeds", "5", "--slurm", "time=10", code)["submitted"]
    (run_id,) = one["runs"].values()
    line = cluster.wait_for("failed", run_id)[run_id]
    assert line["why"].endswith("setup ended the job with exit code 0: no such module")


FAILS_ON_RANK_1 = """
import os, sys, threading, time

def wait_for_the_trainer():
    while not hasattr(sys.modules.get("bench.training.trainer"), "Training"):
        time.sleep(0.001)
    def train(self):
        raise LookupError("the sensor of rank 1 is gone")
    sys.modules["bench.training.trainer"].Training.train = train

if os.environ.get("SLURM_PROCID") == "1":
    threading.Thread(target=wait_for_the_trainer, daemon=True).start()
"""


def test_the_rank_that_raised_first_is_named(cluster, run_all, tmp_path):
    """With its node, its log and its words; the first rank only loses its connection."""
    (tmp_path / "sitecustomize.py").write_text(FAILS_ON_RANK_1)
    setup = f"setup=export PYTHONPATH={tmp_path}:$PYTHONPATH"
    command = ("--only", "tiny T2T-ViT", "--slurm", "nodes=2", "time=10", setup)
    (one,) = cluster.submit(*command)["submitted"]
    (run_id,) = one["runs"].values()
    line = cluster.wait_for("failed", run_id)[run_id]
    assert re.match(r"rank 1 of 2 on n2: LookupError: the sensor of rank 1 is gone", line["why"])
    (log,) = re.findall(r"\(log: (.*)\)", line["why"])
    assert "the sensor of rank 1 is gone" in (ROOT / log).read_text()
    cluster.wait_until_ended(one["job"])
    plan = json.loads(run_all(*cluster.smoke, *command, "--run", "slurm", "--dry-run", "--json").stdout)["plan"]
    assert "rank 1 of 2 on n2: LookupError: the sensor of rank 1 is gone" in plan[0]["reason"]


def test_out_of_memory_is_said_and_may_be_retried_with_more(cluster, run_all, tmp_path, monkeypatch):
    command = (*RESNET, *QUICK, "--slurm", "time=10", "mem_gb=0.2")
    (one,) = cluster.submit(*command)["submitted"]
    (run_id,) = one["runs"].values()
    line = cluster.wait_for("failed", run_id)[run_id]
    assert re.search(r"out of memory: .*asked for mem_gb=0.2, used [\d.]+ [MG]B; .*--retry-mem 1.5", line["why"])
    with monkeypatch.context() as patch:  # the queue has forgotten it, and there is no accounting
        gone = 'echo "slurm_load_jobs error: Invalid job id specified" >&2; exit 1'
        wrap(tmp_path, patch, squeue=gone, sacct='echo "sacct: error: Unable to connect to database" >&2; exit 1')
        forgotten = cluster.status()[run_id]
        assert forgotten["state"] == "failed"
        assert "out of memory" in forgotten["why"]
    (again,) = cluster.submit(*command, "--retry-mem", "10")["submitted"]
    assert job(cluster, again["job"])["MinMemoryNode"] == "2G"
    cluster.wait_for("completed", run_id)


def test_a_job_of_another_user_says_whose_it_is(cluster, run_all, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        wrap(tmp_path, patch, sbatch='exec "$REAL" --uid=daemon "$@"')
        (one,) = cluster.submit(*RESNET, *CLOSED)["submitted"]
    (line,) = cluster.status().values()
    assert line["state"] == "queued"
    assert "daemon's" in line["why"]
    (decision,) = cluster.submit(*RESNET, *CLOSED)["plan"]
    assert f"job {one['job']} of daemon" in decision["reason"]
    cluster.ask("scancel", one["job"])


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (["time=10", "signal_delay_s=600"], "signal_delay_s=600 is as long as the time limit of 10 minutes"),
        (["gpus_per_node=4", "tasks_per_node=2"], "tasks_per_node=2 with 4 GPUs per node"),
        (["gres=gpu:a100:4", "tasks_per_node=2"], "tasks_per_node=2 with 4 GPUs per node"),
        (["gpus_per_node=a100:2", "gres=gpu:1"], "both ask for GPUs"),
        (["mem=0", "mem_gb=1"], "exclude each other"),
        (["licence=x"], "unknown key of --slurm 'licence'"),
        (["output=x"], "unknown key of --slurm 'output'"),
    ],
)
def test_what_cannot_be_meant_is_refused(cluster, run_all, asked, words):
    assert words in refused(run_all, cluster, *RESNET, "--slurm", *asked)
    assert words in refused(run_all, cluster, *RESNET, "--dry-run", "--slurm", *asked)
