"""Slurm as sites have it: variables, wrappers of its commands, setup commands, jobs of other names."""

import contextlib
import fcntl
import json
import os
import re
import shlex
import shutil
import socket
import sys
import threading

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
        (one,) = cluster.submit(*RESNET, *QUICK, *CPU)["submitted"]
        ((task, run_id),) = one["runs"].items()
        again = cluster.submit(*RESNET, *QUICK, *CPU)
        assert again["submitted"] == []
        assert again["plan"][0]["job"] == task
        assert cluster.wait_for("completed", run_id)[run_id]["job"] == task


def test_a_job_that_cannot_be_told_apart_is_unsure_and_never_doubled(cluster, run_all, tmp_path, monkeypatch):
    nothing = 'sed "/^#SBATCH --\\(comment\\|output\\|error\\|job-name\\)/d" "$2" | "$REAL" -o /dev/null'
    with monkeypatch.context() as patch:
        wrap(tmp_path, patch, sbatch=nothing)
        line = refused(run_all, cluster, *RESNET, *CLOSED, code=1)
        assert re.search(r"sbatch printed '.*', which names no job of t2t-\w+", line)
        assert "run the command again in a minute" in refused(run_all, cluster, *RESNET, *CLOSED, code=1)
    cluster.ask("scancel", "--me", "--name=sbatch")
    with monkeypatch.context() as patch:
        wrap(tmp_path, patch, squeue="echo the queue is hidden here", sbatch='exec "$REAL" "$@"')
        line = refused(run_all, cluster, *RESNET, *CLOSED, code=1)
        assert "squeue on this machine printed 'the queue is hidden here' instead of the requested fields" in line
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


APPTAINER = """#!/bin/sh
# exec --nv IMAGE python ...: as Apptainer would, with another root; here this environment, and the host has none.
shift 3
echo "inside $MOUNTED" >&2
exec unshare --mount sh -c 'mount --bind "$0" "$MOUNTED" && mount -t tmpfs none "$0" && exec "$MOUNTED/bin/$@"' \
    "$ENVIRONMENT" "$@"
"""


def test_jobs_run_in_a_container(cluster, tmp_path):
    """Once setup has loaded what starts it; two processes find each other in it."""
    mounted = tmp_path / "environment"
    for folder in (mounted, tmp_path / "bin"):
        folder.mkdir()
    apptainer = tmp_path / "bin" / "apptainer"
    apptainer.write_text(APPTAINER)
    apptainer.chmod(0o755)
    command = ("--only", "tiny T2T-ViT", *QUICK, "--slurm", "nodes=2", "time=10")
    python = "python=apptainer exec --nv image.sif python"
    (one,) = cluster.submit(*command, python)["submitted"]
    (run_id,) = one["runs"].values()
    line = cluster.wait_for("failed", run_id)[run_id]
    assert re.search(r"node \S+ has no apptainer; the key python", line["why"])
    variables = f"MOUNTED={mounted} ENVIRONMENT={sys.prefix}"
    setup = f"setup=export PATH={apptainer.parent}:$PATH {variables}"
    cluster.wait_until_ended(one["job"])
    cluster.submit(*command, python, setup)
    line = cluster.wait_for("completed", run_id)[run_id]
    assert f"inside {mounted}" in (ROOT / line["log"]).read_text()


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
    assert re.search(r"out of memory: .*requested mem_gb=0.2, used [\d.]+ [MG]B; .*--retry-mem 1.5", line["why"])
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
        (["time=10", "signal_delay_s=600"], "signal_delay_s=600 is not shorter than the time limit of 10 minutes"),
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


def test_limits_of_a_qos_take_what_fits_and_leave_the_rest(cluster, run_all):
    """Until some of it has ended; likewise with a limit of the command's own, where Slurm tells none."""
    few = (*RESNET, "--seeds", *map(str, range(40)), "--slurm", "partition=closed", "time=10", "qos=few")
    first = cluster.submit(*few)
    assert [len(each["runs"]) for each in first["submitted"]] == [30]
    assert len(first["left"]) == 10
    assert set(first["left"].values()) == {"MaxSubmitJobs=30 of QOS few"}
    again = run_all(*cluster.smoke, "--run", "slurm", *few)
    assert again.returncode == 0
    assert "10 runs are not submitted yet (MaxSubmitJobs=30 of QOS few); run the same command again" in again.stderr
    assert all(run_id in again.stderr for run_id in first["left"])
    assert run_all("cancel", *[f"seed={n}" for n in range(4)], "--yes", "--runs", cluster.runs).returncode == 0
    more = cluster.submit(*few)
    assert sum(len(each["runs"]) for each in more["submitted"]) == 4
    cluster.ask("scancel", *(each["job"] for each in first["submitted"] + more["submitted"]))
    some = (*RESNET, "--seeds", *map(str, range(50, 55)), *CLOSED, "--max-submit")
    assert [len(each["runs"]) for each in cluster.submit(*some, "2")["submitted"]] == [2]
    assert cluster.submit(*some, "2")["submitted"] == []
    assert [len(each["runs"]) for each in cluster.submit(*some, "3")["submitted"]] == [1]
    assert "time=300 minutes is more than MaxWall=02:00:00 of QOS few allows; choose at most 120" in refused(
        run_all, cluster, *RESNET, "--slurm", "qos=few", "time=300"
    )
    assert run_all("cancel", "*", "--yes", "--runs", cluster.runs).returncode == 0


def test_a_job_that_will_never_start_is_not_called_queued(cluster, run_all):
    (one,) = cluster.submit(*RESNET, "--slurm", "partition=closed", "time=300")["submitted"]
    (two,) = cluster.submit(*RESNET, "--seeds", "1", *CLOSED)["submitted"]
    ((task, run_id),) = one["runs"].items()
    cluster.ask("scontrol", "update", f"JobId={task}", "QOS=few", "Partition=gpu")
    cluster.ask("scontrol", "uhold", two["job"])
    line = cluster.wait_for("blocked", run_id)[run_id]
    assert f"job {task} will never start: it asks for more time than its account or QOS allows" in line["why"]
    ((_, held),) = two["runs"].items()
    line = cluster.wait_for("blocked", held)[held]
    assert line["why"] == f"job {two['job']} does not start: a user holds it; scontrol release {two['job']} lets it go"
    done = refused(run_all, cluster, *RESNET, "--slurm", "partition=closed", "time=300", code=1)
    assert f"cancel it with run_all.py cancel {run_id}" in done
    assert run_all("cancel", "blocked", "--yes", "--runs", cluster.runs).returncode == 0
    assert {each["state"] for each in cluster.status().values()} == {"interrupted"}


def test_a_sweep_can_be_read_before_and_after_it_is_submitted(cluster, run_all, tmp_path):
    sweep = ("--sweep", "lr=1e-3,3e-3", "--seeds", "2", "10", *CLOSED, "gres=gpu:2")
    dry = run_all(*cluster.smoke, *RESNET, "--run", "slurm", "--dry-run", *sweep)
    assert dry.returncode == 0, dry.stderr
    lines = dry.stdout.splitlines()
    assert [re.search(r"lr=\S+", line)[0] for line in lines[:4]] == ["lr=1e-3", "lr=1e-3", "lr=3e-3", "lr=3e-3"]
    assert "options: no slurm.toml in " in dry.stdout
    array = "array of 4: partition closed, time limit 10 min, 1 node with 2 GPUs, gres=gpu:2; Slurm would accept it"
    assert array in lines
    much = run_all(*cluster.smoke, *RESNET, "--run", "slurm", "--dry-run", *sweep[:-1], "gres=gpu:8", "--json")
    assert much.returncode == 2
    assert "a node of partition 'closed' has 4 GPUs, but gres=gpu:8 was requested" in much.stderr
    assert json.loads(much.stdout)["refusals"]

    done = run_all(*cluster.smoke, *RESNET, "--run", "slurm", *sweep)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^  \d+_3 +test_resnet-\S+ +lr=3e-3$", done.stdout, re.MULTILINE)
    assert "gpu:2" in done.stdout
    lines = run_all("status", "--runs", cluster.runs).stdout.splitlines()[1:5]
    shown = [(re.search(r"lr=\S+", line)[0], re.search(r"-s(\d+)-", line)[1]) for line in lines]
    assert shown == [("lr=1e-3", "2"), ("lr=1e-3", "10"), ("lr=3e-3", "2"), ("lr=3e-3", "10")]
    job_id = re.search(r"^job (\d+):", done.stdout, re.MULTILINE)[1]

    def chosen(*patterns):
        found = run_all("status", *patterns, "--runs", cluster.runs, "--json")
        assert found.returncode == 0, found.stderr
        return len(json.loads(found.stdout)["runs"])

    assert (chosen("lr=0.001"), chosen("lr=1e-3", "seed=10"), chosen("seed=2", "seed=10")) == (2, 1, 4)
    assert (chosen(job_id), chosen(f"{job_id}_1"), chosen("queued"), chosen("failed")) == (4, 1, 4, 0)
    assert (chosen("test_resnet", "lr=3e-3", "queued"), chosen("recipe=smoke*")) == (2, 4)
    for pattern, words in (("lr=7", "unknown value of lr '7'"), ("lrr=1", "unknown field"), ("4711", "no run has job")):
        wrong = run_all("status", pattern, "--runs", cluster.runs)
        assert (wrong.returncode, len(wrong.stderr.splitlines())) == (2, 1)
        assert words in wrong.stderr

    other = run_all(*cluster.smoke, *RESNET, "--run", "slurm", "--sweep", "lr=1e-3,5e-3", *sweep[2:])
    assert other.returncode == 0, other.stderr
    (line,) = [line for line in other.stderr.splitlines() if "not part of this command" in line]
    assert line.startswith("run_all.py: 2 runs of these networks are in the queue")
    command = line.partition("python run_all.py ")[2].split()
    assert run_all(*command, "--yes").returncode == 0
    assert (chosen("queued", "lr=3e-3"), chosen("queued", "lr=1e-3"), chosen("queued")) == (0, 2, 4)
    assert run_all("cancel", "*", "--yes", "--runs", cluster.runs).returncode == 0


def test_changes_to_waiting_runs_are_made_or_refused(cluster, run_all):
    command = (*RESNET, "--seeds", *map(str, range(4)), "--slurm", "partition=closed")
    (array,) = cluster.submit(*command, "time=10")["submitted"]
    changed = cluster.submit(*command, "time=20", "mem_gb=1", "--max-parallel", "2")
    assert changed["submitted"] == []
    assert len(changed["changed"]) == 1
    known = cluster.ask("scontrol", "show", "job", array["job"])
    assert "ArrayTaskThrottle=2" in known
    assert "TimeLimit=00:20:00" in known
    assert "MinMemoryNode=1G" in known
    assert cluster.submit(*command, "time=20", "mem_gb=1", "--max-parallel", "2")["changed"] == []
    line = refused(run_all, cluster, *command, "time=20", "mem_gb=1", "nodes=2")
    assert "nodes=2: " in line
    assert "cannot be changed in the queue" in line
    line = refused(run_all, cluster, *command, "time=20", "mem_gb=1", "qos=nowhere")
    assert "qos from nothing to nowhere: Slurm refuses" in line
    cluster.ask("scancel", array["job"])


def test_resources_as_sites_have_them(cluster, run_all):
    """GPUs of a type, all of a node's memory, and options of sbatch that the program knows nothing of."""
    asked = ("gpus_per_node=a100:2", "mem=0", "nice=7", "comment=project 42", "licenses=matlab:1", "wait-all-nodes=1")
    command = (*RESNET, "--slurm", "partition=spare", "time=10", "begin=now+1hour", *asked)
    (one,) = cluster.submit(*command)["submitted"]
    known = job(cluster, one["job"])
    cluster.ask("scancel", one["job"])
    assert known["TresPerNode"].strip() == "gres:gpu:a100:2"
    assert (known["Comment"], known["Licenses"], known["Nice"]) == ("project 42", "matlab:1", "7")
    assert (known["MinMemoryNode"], known["NtasksPerN:B:S:C"].split(":")[0]) == ("0", "2")
    with (cluster.runs / "jobs" / one["name"] / "submission.sh").open() as script:
        assert "#SBATCH --wait-all-nodes=1\n" in script.readlines()


def test_a_large_run_without_a_gpu_has_to_be_confirmed(cluster, run_all):
    command = ("--table", "3", "--only", "t2t_vit_14", "--runs", cluster.runs, "--run", "slurm", "--data-on-nodes")
    done = run_all(*command, *CLOSED)
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if "requests no GPU" in line]
    assert "add --slurm gpus_per_node=N, or confirm with gpus_per_node=0" in line
    assert not list(cluster.runs.glob("jobs/*/submission.json"))
    dry = run_all(*command, *CLOSED, "--dry-run", "--gpu", "a100")
    assert "these runs request no GPU; submitting them will need confirmation" in dry.stdout
    assert re.search(r"^submit +t2t_vit_14-\S+ +~[\d.]+ GPU h +not begun$", dry.stdout, re.MULTILINE)
    assert "by peak speed on A100" in dry.stdout
    done = run_all(*command, *CLOSED, "gpus_per_node=0", "--json")
    assert done.returncode == 0, done.stderr
    cluster.ask("scancel", json.loads(done.stdout)["submitted"][0]["job"])


def test_a_port_that_is_taken_is_another_port(cluster, run_all, tmp_path):
    """Two tasks meet nevertheless, on the node of the first."""
    (one,) = cluster.submit(*RESNET, *CLOSED)["submitted"]
    cluster.ask("scancel", one["job"])
    with contextlib.ExitStack() as stack:
        for number in range(int(one["job"]) + 1, int(one["job"]) + 10):
            listener = stack.enter_context(socket.socket())
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", 10_000 + number % 20_000))
            listener.listen()
        command = ("--only", "tiny T2T-ViT", *QUICK, "--slurm", "tasks_per_node=2", "time=10")
        (two,) = cluster.submit(*command)["submitted"]
        cluster.wait_for("completed", *two["runs"].values())


def test_two_commands_wait_for_each_other(cluster, run_all):
    (cluster.runs / "jobs").mkdir(parents=True)
    with (cluster.runs / "jobs" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        release = threading.Timer(2, lambda: fcntl.flock(lock, fcntl.LOCK_UN))
        release.start()
        (one,) = cluster.submit(*RESNET, *CLOSED)["submitted"]
        release.join()
    cluster.ask("scancel", one["job"])


def test_a_folder_with_a_space_is_quoted_in_the_commands_that_are_shown(cluster, run_all):
    runs = cluster.runs.with_name("my runs")
    done = run_all(*RESNET, "--budget", "smoke", "--run", "slurm", "--runs", runs, *CLOSED)
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("watch: python run_all.py ")]
    shown = shlex.split(line.removeprefix("watch: python run_all.py "))
    assert shown == ["status", "--runs", str(runs)]
    assert run_all("cancel", "*", "--yes", *shown[1:]).returncode == 0
