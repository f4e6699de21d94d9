"""Loggers: what they write is read back by the trackers' own libraries, and no failure of theirs stops a run."""

import contextlib
import json
import os
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import time

import pytest

import bench.launch.loggers.wandb
from bench.cli import main
from bench.experiments.budgets import SUITES
from bench.launch import follow
from bench.launch.job import prepare
from bench.results.record import RunRecord
from bench.results.run_folder import load_record, own
from tests.conftest import mostly_extended

SPEC = SUITES["smoke"]["tiny ResNet"]


def metrics(epochs):
    return [{"epoch": epoch, "lr": 0.1 / (epoch + 1), "train_loss": 2.5 - epoch} for epoch in range(epochs)]


def begin(runs):
    """A run's folder with a record, and no epoch."""
    folder = prepare(runs, SPEC)
    event = {"what": "running", "when": "2026-01-02T03:04:05+00:00", "host": "here", "pid": 1, "attempt": 1}
    record = RunRecord(
        run_id=SPEC.run_id, spec=SPEC.identity(), status="running", history=[event], git={}, versions={}, epochs=4
    )
    with own(folder) as run:
        run.save_metrics(record, [])
    return folder


def train(run, epochs, speeds):
    """As a training process leaves the folder after so many epochs."""
    record = load_record(run.folder)
    record.epoch_images_per_s = speeds
    run.save_metrics(record, metrics(epochs))


def from_tensorboard(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder / "tensorboard"))
    found.Reload()
    return {tag: [(event.step, event.value) for event in found.Scalars(tag)] for tag in found.Tags()["scalars"]}


def from_mlflow(folder):
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{folder.parent / 'mlflow.db'}")
    (run,) = client.search_runs([client.get_experiment_by_name("t2t-bench").experiment_id])
    assert (run.info.run_name, run.data.params["recipe"]) == (SPEC.run_id, "smoke")
    histories = {name: client.get_metric_history(run.info.run_id, name) for name in run.data.metrics}
    return {name: [(each.step, each.value) for each in history] for name, history in histories.items()}


def from_wandb(folder):
    from wandb.proto.wandb_internal_pb2 import Record

    (path,) = folder.glob("wandb/offline-run-*/*.wandb")
    found = {}
    for content in wandb_records(path.read_bytes()):
        row = Record.FromString(content).history
        values = {item.key or item.nested_key[0]: json.loads(item.value_json) for item in row.item}
        for name in values.keys() - {"_step", "_runtime", "_timestamp"}:
            found.setdefault(name, []).append((values["_step"], values[name]))
    return found


def wandb_records(content):
    """The records of LevelDB's log format: blocks of 32 KiB, after a header of W&B's."""
    at, part = 7, b""
    while at + 7 <= len(content):
        if (left := 32768 - at % 32768) < 7:
            at += left
            continue
        _, size, kind = struct.unpack("<IHB", content[at : at + 7])
        part += content[at + 7 : at + 7 + size]
        at += 7 + size
        if kind in (1, 4):  # whole, or the last part
            yield part
            part = b""


READERS = {"tensorboard": from_tensorboard, "wandb": from_wandb, "mlflow": from_mlflow}


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")


def start(run, name):
    command = [sys.executable, "-m", "bench.launch.follow", str(run.folder), run.token, name]
    return subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)


def has_begun(folder, name):
    """Whether both epochs are written, or for W&B, whose writing cannot be watched, its file is there."""
    if name == "tensorboard":
        return (folder / name).exists() and len(from_tensorboard(folder).get("lr", ())) == 2
    if name == "wandb":
        return any((folder / name).glob("offline-run-*/*.wandb"))
    database = contextlib.closing(sqlite3.connect(folder.parent / "mlflow.db"))
    with contextlib.suppress(sqlite3.OperationalError), database as connection:  # it has no tables yet
        return connection.execute("select count(*) from metrics where key = 'lr'").fetchone() == (2,)
    return False


@pytest.mark.parametrize("name", mostly_extended(READERS, "tensorboard"))
@pytest.mark.filterwarnings("ignore")  # of the libraries that read
def test_a_run_that_was_killed_and_resumed_has_every_epoch_once(name, tmp_path):
    folder, notes = begin(tmp_path / "runs"), []
    with own(folder) as run:
        train(run, 2, [50.0, None])
        with start(run, name) as process:
            while process.poll() is None and not has_begun(folder, name):
                time.sleep(0.2)
            assert process.poll() is None
            os.killpg(process.pid, signal.SIGKILL)
    with own(folder) as run, follow.following(run, [name], notes.append):
        train(run, 4, [50.0, 60.0, 70.0, 80.0])  # the speed of epoch 1 is one that the tracker lacks
    expected = {key: [line[key] for line in metrics(4)] for key in ("lr", "train_loss")}
    expected["images_per_s"] = [50.0, 60.0, 70.0, 80.0]
    found = READERS[name](folder)
    assert found.keys() == expected.keys()
    for key, values in expected.items():
        assert [step for step, _ in found[key]] == [0, 1, 2, 3]
        assert [value for _, value in found[key]] == pytest.approx(values)
    assert notes == []


def test_a_logger_that_fails_is_one_line(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    notes = []
    with own(begin(tmp_path / "runs")) as run, follow.following(run, ["wandb"], notes.append):
        train(run, 4, [50.0] * 4)
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("  wandb: ")
    assert "key" in line
    assert line.endswith("; the run goes on without it")
    assert notes == []


def test_a_server_that_does_not_answer_is_one_line(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(follow, "PATIENCE_S", 3.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(300)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{server.getsockname()[1]}")
        notes = []
        with own(begin(tmp_path / "runs")) as run, follow.following(run, ["mlflow"], notes.append):
            train(run, 4, [50.0] * 4)
            connection, _ = server.accept()  # the logger asks, and waits
        connection.close()
    assert notes == ["mlflow: no answer within 3 s after the run's end; epochs may be missing there"]
    assert capfd.readouterr().err == ""


def test_a_logger_of_an_older_owner_writes_nothing(tmp_path):
    folder = begin(tmp_path / "runs")
    with own(folder) as older:
        pass
    with own(folder) as run:
        train(run, 4, [50.0] * 4)
        with start(older, "tensorboard") as process:
            assert process.wait(120) == 0
    assert not (folder / "tensorboard").exists()


def test_a_logger_whose_library_is_missing_names_the_command(monkeypatch, capsys):
    monkeypatch.setattr(bench.launch.loggers.wandb, "LIBRARIES", ("not_there",))
    assert main.main(["--budget", "smoke", "--run", "local", "--dry-run", "--log", "wandb"]) == 2
    assert capsys.readouterr().err == (
        "run_all.py: --log wandb needs the package not_there, which is not installed: pip install -c constraints.txt "
        "-e '.[wandb]'\n"
    )


def test_a_misspelled_logger_names_the_right_one(capsys):
    assert main.main(["--budget", "smoke", "--run", "local", "--dry-run", "--log", "tensorbord"]) == 2
    assert "did you mean tensorboard?" in capsys.readouterr().err
