"""How runs are grouped for Slurm, and what a machine of its own lets run at once."""

import dataclasses
import itertools
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from bench.experiments.budgets import SUITES
from bench.launch.local import shares
from bench.launch.slurm.config import SlurmRequest
from bench.launch.slurm.executor import Turn, arrays, script, turns
from bench.results.run_folder import last_owner, load_record
from bench.spec.errors import RequestError
from tests.conftest import ROOT, names_in_pickle

T2T, TUNED, RESNET = SUITES["smoke"].values()


def seeds(spec, count):
    return [spec.with_seed(seed) for seed in range(count)]


def small(_):
    return SlurmRequest(time=60)


def test_runs_that_ask_for_the_same_are_one_array():
    (array,) = arrays([*seeds(T2T, 3), *seeds(RESNET, 2)], {}, small, 1001)
    assert [spec.seed for spec in array.specs] == [0, 1, 2, 0, 1]


def test_another_request_is_another_array():
    def request(spec):
        return SlurmRequest(time=60 if spec.model == T2T.model else 120)

    found = arrays([*seeds(T2T, 3), *seeds(RESNET, 2)], {}, request, 9)
    assert [len(array.specs) for array in found] == [3, 2]
    assert [array.request.time for array in found] == [60, 120]


def test_children_of_one_parent_wait_for_it_together():
    children = [dataclasses.replace(TUNED, dataset=name) for name in ("cifar10", "cifar100")]
    waits = {child.run_id: T2T.run_id for child in children}
    parent, both = arrays([T2T, *children], waits, small, 1001)
    assert (parent.specs, parent.parent) == ((T2T,), "")
    assert (both.specs, both.parent) == (tuple(children), T2T.run_id)


def test_more_than_slurm_takes_are_split():
    found = arrays(seeds(RESNET, 25), {}, small, 10)
    assert [len(array.specs) for array in found] == [10, 10, 5]
    assert [spec.seed for array in found for spec in array.specs] == list(range(25))


def script_with(folder, **options):
    (array,) = arrays([T2T], {}, lambda _: SlurmRequest(time=60, **options), 9)
    return script(array, folder, at_once=1)


def test_a_job_starts_python_as_it_was_told_to(tmp_path):
    """In all places, and after the user's command, which may bring what starts it."""
    python = "apptainer exec --nv 'an image.sif' python"
    lines = script_with(tmp_path, python=python, setup="module load apptainer", nodes=2).splitlines()
    (command,) = [line for line in lines if line.startswith("srun ")]
    assert command.endswith(f" {python} -u -m submitit.core._submit {tmp_path}")
    assert f"export BENCH_PORT=$({python} -m bench.launch.slurm.free_port)" in lines
    (check,) = [line for line in lines if line.startswith("command -v apptainer ")]
    assert lines.index("module load apptainer") < lines.index(check) < lines.index(command)
    assert not [line for line in lines if sys.executable in line]


def test_a_job_whose_node_cannot_start_python_ends_with_a_line(tmp_path):
    bash = ["bash", "-c", script_with(tmp_path, python="none-such exec image.sif python")]
    done = subprocess.run(bash, capture_output=True, text=True)
    assert done.returncode == 127
    said = done.stderr.splitlines()[-1]
    assert re.fullmatch(r"bench: node \S+ has no none-such; the key python .* setup can load it", said)


def under_way(planned, max_parallel):
    """The most runs that the turns let run at once, by trying every moment that they allow."""
    found = turns(planned, max_parallel)
    most = 0
    for ended in itertools.product((False, True), repeat=len(planned)):
        may_run = [
            min(turn.at_once, len(array.specs))
            for turn, array, over in zip(found, planned, ended, strict=True)
            if not over and all(ended[place] for place in turn.after)
        ]
        consistent = all(
            not over or all(ended[place] for place in turn.after) for turn, over in zip(found, ended, strict=True)
        )
        most = max(most, sum(may_run)) if consistent else most
    return most


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 7, 100])
def test_a_limit_holds_over_all_arrays(limit):
    children = [dataclasses.replace(TUNED.with_seed(seed), dataset="cifar10") for seed in range(3)]
    waits = {child.run_id: child.start_from.run_id for child in children}
    todo = [*seeds(T2T, 3), *children, *seeds(RESNET, 6)]  # another request after the children
    planned = arrays(todo, waits, lambda spec: SlurmRequest(time=60 if spec.model == RESNET.model else 120), 4)
    assert [len(array.specs) for array in planned] == [3, 4, 2, 1, 1, 1]
    assert all(place < i for i, turn in enumerate(turns(planned, limit)) for place in turn.after)
    assert under_way(planned, limit) <= limit
    assert all(turn.at_once >= 1 for turn in turns(planned, limit))
    assert turns(planned, None) == [Turn(at_once=n) for n in (3, 4, 2, 1, 1, 1)]


def test_a_limit_is_used():
    planned = arrays(seeds(RESNET, 25), {}, small, 10)
    assert [turn.at_once for turn in turns(planned, 12)] == [4, 4, 2]
    assert turns(planned, 2) == [Turn(at_once=1), Turn(at_once=1), Turn(at_once=1, after=(0,))]


def local(runs, *options):
    return [
        *(sys.executable, str(ROOT / "run_all.py"), "--budget", "smoke", "--only", "tiny ResNet", "--run", "local"),
        *("--runs", str(runs), "--reports", str(runs), *options),
    ]


@pytest.fixture
def start():
    """Start a command; it and what it started are gone when the test ends, whatever the ending."""
    processes = []

    def popen(command, **kwargs):
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
        processes.append(subprocess.Popen(command, cwd=ROOT, **streams | kwargs))
        return processes[-1]

    yield popen
    for process in processes:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


@pytest.mark.extended
def test_no_more_run_at_once_than_asked_for(start, tmp_path):
    command = local(tmp_path, "--seeds", "0", "1", "2", "--max-parallel", "2", "--set", "epochs=1", "warmup_epochs=0")
    process = start(command, stderr=subprocess.STDOUT)
    most = 0
    while process.poll() is None:
        owners = [last_owner(path.parent) for path in tmp_path.glob("*/owner.json")]
        most = max(most, sum(owner is not None and owner.alive for owner in owners))
        time.sleep(0.1)
    out = process.communicate()[0]
    assert process.returncode == 0, out
    assert most == 2
    records = [load_record(path.parent) for path in tmp_path.glob("*/record.json")]
    assert [record.status for record in records] == ["completed"] * 3
    assert out.count("  epoch    1/1") == 3
    pickles = list(tmp_path.glob("jobs/*/*_submitted.pkl"))
    assert len(pickles) == 3
    assert {name for path in pickles for name in names_in_pickle(path)} == {
        "submitit.core.utils.DelayedSubmission",
        "bench.entry.Job",
    }


def test_each_has_its_share_of_the_machine(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(12)))
    assert shares(3) == [{"OMP_NUM_THREADS": "4"}] * 3
    with pytest.raises(RequestError, match="--max-parallel 13 is more than the 12 cores of this machine; choose fewer"):
        shares(13)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 5)
    assert shares(2) == [{"CUDA_VISIBLE_DEVICES": "0,1"}, {"CUDA_VISIBLE_DEVICES": "2,3"}]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-a,GPU-b,GPU-c,GPU-d,GPU-e")
    assert shares(5)[4] == {"CUDA_VISIBLE_DEVICES": "GPU-e"}
    assert shares(1) == [{"CUDA_VISIBLE_DEVICES": "GPU-a,GPU-b,GPU-c,GPU-d,GPU-e"}]
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert shares(1) == [{"CUDA_VISIBLE_DEVICES": None}]  # as it was, and not as submitit would have it
    with pytest.raises(RequestError, match="more than the 5 GPUs"):
        shares(6)


def test_a_killed_process_is_one_line_and_the_others_go_on(start, tmp_path):
    command = local(tmp_path, "--seeds", "0", "1", "--set", "epochs=5")
    process = start(command)
    while not process.stderr.readline().startswith("  epoch    1/5"):
        assert process.poll() is None
    (path,) = tmp_path.glob("*/owner.json")
    os.kill(last_owner(path.parent).pid, signal.SIGKILL)
    _, err = process.communicate()
    assert process.returncode == 1
    last = err.splitlines()[-1]
    assert last.startswith(
        f"run_all.py: {path.parent.name}: its process was killed; the same command resumes it (log: "
    )
    assert err.count("  epoch    5/5") == 1
    assert sorted(load_record(path.parent).status for path in tmp_path.glob("*/record.json")) == [
        "completed",
        "running",
    ]


def test_ctrl_c_stops_all_that_run_and_begins_no_other(start, tmp_path):
    command = local(tmp_path, "--seeds", "0", "1", "2", "--max-parallel", "2", "--set", "epochs=200")
    process = start(command)
    while len(list(tmp_path.glob("*/metrics.jsonl"))) < 2 or not all(
        path.read_text() for path in tmp_path.glob("*/metrics.jsonl")
    ):
        assert process.poll() is None
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the same command resumes it" in err.splitlines()[-1]
    assert "Traceback" not in err
    records = [load_record(path.parent) for path in tmp_path.glob("*/record.json")]
    assert [record.status for record in records] == ["interrupted"] * 2


def test_a_run_whose_parent_fails_is_not_begun(tmp_path):
    damaged = tmp_path / T2T.run_id / "checkpoints" / "epoch-00001-step-0000000.pt"
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(b"no checkpoint")
    command = [word if word != "tiny ResNet" else "tiny T2T-ViT, tuned" for word in local(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    first, second = done.stderr.splitlines()[-2:]
    assert "no sound checkpoint" in first
    assert second == f"run_all.py: {TUNED.run_id}: not begun: it starts from {T2T.run_id}, which is not completed"
    assert not (tmp_path / TUNED.run_id).exists()
