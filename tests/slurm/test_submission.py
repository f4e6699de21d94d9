"""Submitting through ``run_all.py`` to a real Slurm: arrays, seeds, chains, several nodes, errors."""

import contextlib
import csv
import datetime
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, names_in_pickle

RESNET = ("--only", "tiny ResNet")
QUICK = ("--set", "epochs=1", "warmup_epochs=0")
CPU = ("--slurm", "time=10")
CLOSED = ("--slurm", "partition=closed", "time=10")
"""where jobs wait"""


def test_seeds_are_one_array_and_are_collected_with_mean_and_deviation(cluster, run_all):
    command = (*RESNET, *QUICK, "--seeds", "0", "1", "2", "--max-parallel", "2", *CPU, "mem_gb=1.5", "cpus_per_task=2")
    first = cluster.submit(*command)
    (array,) = first["submitted"]
    runs = list(array["runs"].values())
    assert [decision["action"] for decision in first["plan"]] == ["submit"] * 3
    assert [*array["runs"]] == [f"{array['job']}_{i}" for i in range(3)]
    told = cluster.ask("scontrol", "show", "job", array["job"])
    assert "ArrayTaskThrottle=2" in told
    assert "MinMemoryNode=1.50G" in told
    assert "CPUs/Task=2" in told
    again = cluster.submit(*command)
    assert again["submitted"] == []
    assert {decision["action"] for decision in again["plan"]} == {"skip"}

    lines = cluster.wait_for("completed", *runs)
    for task, run_id in array["runs"].items():
        line = lines[run_id]
        assert (line["epoch"], line["epochs"], line["restarts"], line["job"]) == (1, 1, 0, task)
        assert line["node"] in ("n1", "n2")
        assert line["best_top1_pct"] >= 0
        assert run_id in (ROOT / line["log"]).read_text()
    done = run_all(*cluster.smoke, *RESNET, *QUICK)
    assert done.returncode == 0, done.stderr
    with (cluster.runs / "reports" / "smoke_epochs=1_warmup_epochs=0.csv").open() as file:
        trained = [row for row in csv.DictReader(file) if row["model"] == "tiny ResNet"]
    assert [(row["seed"], row["status"]) for row in trained] == [
        ("0", "completed"),
        ("1", "completed"),
        ("2", "completed"),
    ]
    top1 = [float(row["ema_best_top1_pct"]) for row in trained]
    mean = sum(top1) / 3
    std = (sum((value - mean) ** 2 for value in top1) / 2) ** 0.5
    text = (cluster.runs / "reports" / "smoke_epochs=1_warmup_epochs=0.md").read_text()
    assert re.search(rf"\| tiny ResNet +\| +3 \| +{mean:.2f} ± {std / 3**0.5:.2f} \|", text)
    assert cluster.submit(*command)["submitted"] == []


ENTRY = frozenset({"submitit.core.utils.DelayedSubmission", "bench.entry.Job"})


def named_in_pickles(cluster):
    return {frozenset(names_in_pickle(path)) for path in cluster.runs.glob("jobs/*/*_submitted.pkl")}


def test_a_job_of_a_version_before_the_entry_says_that_it_is_too_old(cluster):
    (job,) = cluster.submit(*RESNET, *QUICK, *CLOSED)["submitted"]
    assert named_in_pickles(cluster) == {ENTRY}
    ((task, run_id),) = job["runs"].items()
    (path,) = cluster.runs.glob(f"jobs/*/{task}_submitted.pkl")
    path.write_bytes((ROOT / "tests" / "golden" / "queued_job.pkl").read_bytes())
    cluster.ask("scontrol", "update", "job", task, "partition=gpu")
    line = cluster.wait_for("failed", run_id)[run_id]
    assert "queued by an older version of t2t-bench; submit the run again" in (ROOT / line["log"]).read_text()


def test_a_run_waits_for_the_one_that_it_starts_from(cluster):
    first = cluster.submit("--only", "tiny T2T-ViT, tuned", *CPU)
    parent, child = first["submitted"]
    (parent_run,), (child_run,) = parent["runs"].values(), child["runs"].values()
    assert first["plan"][0]["reason"] == f"not begun, for {child_run}"
    told = cluster.ask("scontrol", "show", "job", child["job"])
    assert f"Dependency=afterok:{parent['job']}" in told
    assert "KillOInInvalidDependent=Yes" in told
    assert cluster.status()[child_run]["state"] == "queued"
    lines = cluster.wait_for("completed", parent_run, child_run)
    assert f"starts from the weights of {parent_run}" in (ROOT / lines[child_run]["log"]).read_text()
    events = json.loads((cluster.runs / child_run / "record.json").read_text())["history"]
    (origin,) = [event["note"] for event in events if event["what"] == "starts from"]
    assert origin == f"{parent_run}/checkpoints/epoch-00004-step-0000000.pt"


def test_a_run_whose_parent_fails_is_blocked_until_that_one_is_mended(cluster, run_all):
    command = ("--only", "tiny T2T-ViT, tuned", *CPU)
    plan = json.loads(run_all(*cluster.smoke, *command[:2], "--run", "slurm", "--dry-run", "--json").stdout)["plan"]
    parent_run, child_run = (decision["run_id"] for decision in plan)
    damaged = cluster.runs / parent_run / "checkpoints" / "epoch-00001-step-0000000.pt"
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(b"no checkpoint")
    damaged.with_suffix(".pt.sha256").write_text("0" * 64)
    cluster.submit(*command)
    lines = cluster.wait_for("blocked", child_run)
    assert lines[parent_run]["state"] == "failed"
    assert "no sound checkpoint" in lines[parent_run]["why"]
    assert lines[child_run]["why"].startswith(f"starts from {parent_run}, failed: no sound checkpoint")
    assert not (cluster.runs / child_run / "record.json").exists()
    shutil.rmtree(damaged.parent)
    shutil.rmtree(cluster.runs / parent_run)
    mended = cluster.submit(*command)
    assert [decision["action"] for decision in mended["plan"]] == ["submit", "submit"]
    cluster.wait_for("completed", parent_run, child_run)


def task_pid(job, rank):
    """The process of one of a job's tasks."""
    wanted = {f"SLURM_JOB_ID={job}", f"SLURM_PROCID={rank}", "SUBMITIT_EXECUTOR=slurm"}
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if wanted <= set(path.read_text(errors="replace").split("\0")) and b"submitit" in (
                path.with_name("cmdline").read_bytes()
            ):
                return int(path.parent.name)
    raise LookupError(f"no rank {rank} of job {job}")


@pytest.mark.extended
def test_two_nodes_of_two_tasks_follow_one_process(cluster, run_all):
    """Through submitit's distributed environment, with gloo; and a signal to one of them requeues them all.

    (A convolution net's batch norm would see other batches.)
    """
    settings = ("--only", "tiny T2T-ViT", "--set", "epochs=6", "lr=5e-4", "--precision", "float32")
    asked = ("--slurm", "nodes=2", "tasks_per_node=2", "time=10")
    (job,) = cluster.submit(*settings, *asked)["submitted"]
    (run_id,) = job["runs"].values()
    cluster.wait_for_epoch(run_id, 1)
    os.kill(task_pid(job["job"], 3), signal.SIGUSR2)
    alone = cluster.runs.parent / "alone"
    done = run_all("--budget", "smoke", *settings, "--run", "local", "--runs", alone, "--reports", alone)
    assert done.returncode == 0, done.stderr
    line = cluster.wait_for("completed", run_id)[run_id]
    assert line["restarts"] == 1
    record = json.loads((cluster.runs / run_id / "record.json").read_text())
    assert record["world_size"] == 4
    hosts = cluster.ask("sacct", "-n", "-X", "-P", "-j", job["job"], "-o", "NodeList").strip()
    assert hosts == "n[1-2]"
    together, by_itself = (
        [json.loads(line) for line in (runs / run_id / "metrics.jsonl").read_text().splitlines()]
        for runs in (cluster.runs, alone)
    )
    assert [line["raw_val_images"] for line in together] == [256] * 6
    for ours, its in zip(together[:2], by_itself[:2], strict=True):  # then rounding grows
        assert ours["train_loss"] == pytest.approx(its["train_loss"], rel=1e-4)
        assert ours["raw_val_loss"] == pytest.approx(its["raw_val_loss"], rel=1e-4)


def test_a_thousand_runs_are_one_array_and_more_than_slurm_takes_are_split(cluster, run_all):
    seeds = [str(seed) for seed in range(1000)]
    (array,) = cluster.submit(*RESNET, "--seeds", *seeds, *CLOSED)["submitted"]
    assert len(array["runs"]) == 1000
    listed = cluster.ask("squeue", "-h", "-r", "-j", array["job"], "-o", "%i").split()
    assert sorted(listed) == sorted(array["runs"])
    more = [str(seed) for seed in range(2100)]
    split = cluster.submit(*RESNET, "--seeds", *more, *CLOSED)["submitted"]
    assert [len(array["runs"]) for array in split] == [1001, 99]  # MaxArraySize of the cluster is 1001
    code = (
        f"import sys; sys.argv = ['', 'status', '--runs', {str(cluster.runs)!r}]; from run_all import main\n"
        "code = main(); assert not {'torch', 'pandas', 'submitit'} & set(sys.modules); sys.exit(code)"
    )
    done = run_all(code=code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].endswith("2,100 queued")

    unasked = run_all("cancel", "test_resnet", "--runs", cluster.runs, stdin=subprocess.DEVNULL)
    assert unasked.returncode == 2
    assert "add --yes" in unasked.stderr
    assert len(cluster.ask("squeue", "-h", "-r", "-j", array["job"], "-o", "%i").split()) == 1000
    (one,) = (run_id for task, run_id in array["runs"].items() if task.endswith("_7"))
    assert run_all("cancel", one, "--yes", "--runs", cluster.runs).returncode == 0
    assert len(cluster.ask("squeue", "-h", "-r", "-j", array["job"], "-o", "%i").split()) == 999
    again = cluster.submit(*RESNET, "--seeds", *seeds, *CLOSED)
    assert [list(job["runs"].values()) for job in again["submitted"]] == [[one]]
    assert run_all("cancel", "*", "--yes", "--runs", cluster.runs).returncode == 0
    assert cluster.ask("squeue", "-h", "-u", "root", "-p", "closed", "-j", array["job"]) == ""


def refused(run_all, cluster, *options, code=2, **kwargs):
    """The one line that a command of ours ends with."""
    done = run_all(*cluster.smoke, "--run", "slurm", *options, **kwargs)
    assert done.returncode == code, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    (line,) = done.stderr.splitlines()
    return line


def test_what_slurm_refuses_is_said_in_a_line_and_leaves_nothing(cluster, run_all):
    line = refused(run_all, cluster, *RESNET, "--slurm", "partition=gpus")
    assert "no partition 'gpus'" in line
    assert "closed, gpu, high, low, spare" in line
    line = refused(run_all, cluster, *RESNET, "--slurm", "gpus_per_node=16")
    assert "gpus_per_node=16" in line
    assert "has 4 GPUs" in line
    line = refused(run_all, cluster, *RESNET, "--slurm", "gpus=1")
    assert "unknown key of --slurm 'gpus' (choose from partition, account" in line
    line = refused(run_all, cluster, *RESNET, "--slurm", "time=soon")
    assert "time=soon is not possible" in line
    assert "D-HH:MM:SS" in line
    line = refused(run_all, cluster, *RESNET, "--slurm", "partition")
    assert "KEY=VALUE" in line
    assert not list(cluster.runs.glob("jobs/*/submission.json"))
    dry = run_all(*cluster.smoke, *RESNET, "--run", "slurm", "--dry-run")
    assert dry.stdout.startswith("submit ")


def test_what_was_submitted_before_an_error_is_kept(cluster, run_all, tmp_path):
    (tmp_path / "slurm.toml").write_text('partition = "closed"\n[networks."test_*"]\npartition = "nowhere"\n')
    command = [sys.executable, str(ROOT / "run_all.py"), *map(str, cluster.smoke), "--run", "slurm"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "no partition 'nowhere'" in line
    kept = re.search(r"submitted before this error, and still in the queue: (\d+)$", line)[1]
    assert cluster.ask("squeue", "-h", "-j", kept, "-o", "%T").strip() == "PENDING"
    (tmp_path / "slurm.toml").write_text('partition = "closed"\n')
    done = subprocess.run([*command, "--json"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert [d["action"] for d in told["plan"]] == ["skip", "submit", "submit"]
    assert len(told["submitted"]) == 2
    cluster.ask("scancel", kept, *(job["job"] for job in told["submitted"]))


def wrapped(tmp_path, patch, *lines):
    """An sbatch that does these lines of shell, where SBATCH is the real one."""
    path = tmp_path / "bin" / "sbatch"
    path.parent.mkdir()
    path.write_text("\n".join(["#!/bin/sh", f"SBATCH={shutil.which('sbatch')}", *lines, ""]))
    path.chmod(0o755)
    patch.setenv("PATH", f"{path.parent}:{os.environ['PATH']}")


LATE = 'echo "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation" >&2; exit 1'


def test_a_command_that_is_killed_in_sbatch_is_taken_up_again(cluster, run_all, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        wrapped(tmp_path, patch, '"$SBATCH" "$@" >/dev/null', "kill -9 $PPID")
        done = run_all(*cluster.smoke, "--run", "slurm", *RESNET, *QUICK, *CPU)
        assert done.returncode == -signal.SIGKILL
    again = cluster.submit(*RESNET, *QUICK, *CPU)
    assert again["submitted"] == []
    cluster.wait_for("completed", again["plan"][0]["run_id"])


def test_an_sbatch_whose_job_comes_late_is_waited_for(cluster, run_all, tmp_path, monkeypatch):
    """The controller handles the request after sbatch has given up."""
    with monkeypatch.context() as patch:
        wrapped(tmp_path, patch, '(sleep 3; exec "$SBATCH" "$@") >/dev/null 2>&1 &', LATE)
        line = refused(run_all, cluster, *RESNET, *QUICK, *CPU, code=1)
        assert "Socket timed out" in line
        assert "may still reach it" in line
    line = refused(run_all, cluster, *RESNET, *QUICK, *CPU, code=1)
    assert "run the command again in a minute" in line
    (name,) = (path.parent.name for path in cluster.runs.glob("jobs/*/submission.json"))
    cluster.wait(lambda: name in cluster.ask("squeue", "-h", "-o", "%k"), "late job")
    again = cluster.submit(*RESNET, *QUICK, *CPU)
    assert again["submitted"] == []
    cluster.wait_for("completed", again["plan"][0]["run_id"])


def test_a_submission_that_was_cut_short_is_found_again(cluster, run_all):
    (job,) = cluster.submit(*RESNET, *CLOSED)["submitted"]
    (path,) = cluster.runs.glob("jobs/*/submission.json")
    whole = json.loads(path.read_text())
    path.write_text(json.dumps(whole | {"job": ""}))  # killed between sbatch's answer and this file
    again = cluster.submit(*RESNET, *CLOSED)
    assert again["submitted"] == []
    assert again["plan"][0]["job"] == job["job"]
    assert json.loads(path.read_text()) == whole
    cluster.ask("scancel", job["job"])
    cluster.wait_until_ended(job["job"])
    path.unlink()
    never = path.parent.with_name("t2t-never") / path.name
    never.parent.mkdir()
    cut = whole | {"job": "", "name": "t2t-never"}  # killed before sbatch
    never.write_text(json.dumps(cut | {"created": datetime.datetime.now(datetime.UTC).isoformat()}))
    line = refused(run_all, cluster, *RESNET, *CLOSED, code=1)  # it may be on its way
    assert "t2t-never" in line
    assert "in a minute" in line
    never.write_text(json.dumps(cut | {"created": "2026-01-01T00:00:00+00:00"}))
    (fresh,) = cluster.submit(*RESNET, *CLOSED)["submitted"]
    assert not never.exists()
    cluster.ask("scancel", fresh["job"])


def test_an_sbatch_that_gives_up_on_a_job_that_slurm_took(cluster, tmp_path, monkeypatch):
    """As under load, when its answer is late: the job is there, and complete."""
    with monkeypatch.context() as patch:
        wrapped(tmp_path, patch, '"$SBATCH" "$@" >/dev/null', LATE)
        (job,) = cluster.submit(*RESNET, *QUICK, "--seeds", "0", "1", *CPU)["submitted"]
    assert named_in_pickles(cluster) == {ENTRY}
    assert cluster.submit(*RESNET, *QUICK, "--seeds", "0", "1", *CPU)["submitted"] == []
    cluster.wait_for("completed", *job["runs"].values())


def test_a_child_of_a_cancelled_parent_is_not_left_to_die(cluster, run_all):
    command = ("--only", "tiny T2T-ViT, tuned", *CLOSED)
    parent, child = cluster.submit(*command)["submitted"]
    (child_run,) = child["runs"].values()
    (parent_run,) = parent["runs"].values()
    done = run_all("cancel", parent_run, "--yes", "--runs", cluster.runs)
    assert done.returncode == 2
    assert f"{child_run} would start from what you cancel; name them too" in done.stderr
    cluster.ask("scancel", parent["job"])
    cluster.wait_until_ended(parent["job"])
    done = run_all(*cluster.smoke, "--run", "slurm", "--json", *command)
    if done.returncode:  # Slurm has not looked at the child yet
        assert f"job {child['job']} waits for" in done.stderr
        assert run_all("cancel", child_run, "--yes", "--runs", cluster.runs).returncode == 0
        done = run_all(*cluster.smoke, "--run", "slurm", "--json", *command)
    fresh = json.loads(done.stdout)["submitted"]
    assert [list(job["runs"].values()) for job in fresh] == [list(job["runs"].values()) for job in (parent, child)]
    cluster.ask("scancel", *(job["job"] for job in fresh))


def test_a_job_may_submit_others(cluster, run_all):
    """From inside an allocation, whose variables must not reach the new job."""
    env = {"SLURM_JOB_ID": "1", "SLURM_NTASKS": "7", "SLURM_PROCID": "3", "SLURM_JOB_NODELIST": "n9"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in env.items():
            patch.setenv(name, value)
        (job,) = cluster.submit(*RESNET, *QUICK, *CPU)["submitted"]
    cluster.wait_for("completed", *job["runs"].values())


def test_data_that_the_node_cannot_see(cluster, run_all):
    command = (*RESNET, "--dataset", "cifar10", "--data", "/nowhere", "--data-on-nodes", *CPU)
    (job,) = cluster.submit(*command)["submitted"]
    (run_id,) = job["runs"].values()
    line = cluster.wait_for("failed", run_id)[run_id]
    assert line["why"].startswith("no cifar10 in ")
    assert "--data DIR" in line["why"]
    assert "Traceback" not in (ROOT / line["log"]).read_text()
    cluster.wait_until_ended(job["job"])
    assert cluster.submit(*command)["plan"][0]["action"] == "resume"


def test_an_environment_that_the_node_lacks(cluster, tmp_path, monkeypatch):
    environment = tmp_path / "environment"
    environment.mkdir()
    for name in ("bin", "lib", "include", "pyvenv.cfg"):
        (environment / name).symlink_to(f"{sys.prefix}/{name}")
    python = environment / "bin" / "python"
    command = [str(python), str(ROOT / "run_all.py"), *map(str, cluster.smoke), *RESNET, "--run", "slurm", "--json"]
    done = subprocess.run(
        [*command, "--slurm", "time=10", "partition=closed"], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    (job,) = json.loads(done.stdout)["submitted"]
    environment.rename(tmp_path / "elsewhere")
    cluster.ask("scontrol", "update", "job", job["job"], "partition=gpu")
    (run_id,) = job["runs"].values()
    line = cluster.wait_for("failed", run_id)[run_id]
    assert re.search(rf"node \S+ has no Python at {re.escape(str(python))}; install the environment", line["why"])


def test_no_slurm_on_this_machine(cluster, run_all, monkeypatch):
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    line = refused(run_all, cluster, *RESNET)
    assert "no sbatch on this machine; choose --run local" in line


def test_a_controller_that_is_down_loses_and_doubles_nothing(cluster_alone, run_all):
    cluster = cluster_alone
    (job,) = cluster.submit(*RESNET, *CLOSED)["submitted"]
    (run_id,) = job["runs"].values()
    cluster.daemon("stop", "slurmctld")
    try:
        line = refused(run_all, cluster, *RESNET, "--seeds", "1", *CLOSED, code=1)
        assert "Slurm does not answer: its controller is down" in line
        status = run_all("status", "--runs", cluster.runs)
        assert status.returncode == 0
        assert "Slurm does not answer, so these are the states" in status.stderr
        assert run_id in status.stdout
        dry = run_all(*cluster.smoke, *RESNET, "--run", "slurm", "--dry-run", "--json")
        (decision,) = json.loads(dry.stdout)["plan"]
        assert decision["action"] == "blocked"
        assert f"job {job['job']} of cluster t2t-tests may still have it" in decision["reason"]
    finally:
        cluster.daemon("start", "slurmctld")
    assert cluster.submit(*RESNET, *CLOSED)["submitted"] == []
    assert len(list(cluster.runs.glob("jobs/*/submission.json"))) == 1
    cluster.ask("scancel", job["job"])
