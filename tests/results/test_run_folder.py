"""A run's folder: one owner at a time, whole files, and checkpoints that are sound or not used."""

import dataclasses
import hashlib
import json
import math
import os
import socket
import subprocess
import sys
import threading
import time

import pytest

import bench.results.files
import bench.results.run_folder
from bench.launch.job import _begin
from bench.paper import TABLES
from bench.results.codec import sealed
from bench.results.files import CorruptFile
from bench.results.progress import Phase, Progress
from bench.results.record import RunRecord
from bench.results.run_folder import (
    Fenced,
    NoSoundCheckpoint,
    Owner,
    RunBusy,
    RunRecords,
    checkpoints,
    final_checkpoint,
    last_owner,
    load_metrics,
    load_progress,
    load_record,
    own,
)
from bench.spec.errors import RequestError
from tests.conftest import ROOT

EVENT = {"what": "running", "when": "2026-01-01"}


def record():
    return RunRecord(run_id="a-run", spec={}, status="running", history=[], git={}, versions={})


def save(owned, step, content=b"weights"):
    return owned.save_checkpoint(0, step, content + str(step).encode())


def test_a_record_survives_json(tmp_path):
    with own(tmp_path) as owned:
        owned.save_record(record())
    assert load_record(tmp_path) == record()
    (tmp_path / "record.json").write_text('{"status": "done"}')
    with pytest.raises(ValueError, match=r"record\.json"):
        load_record(tmp_path)
    assert load_record(tmp_path / "elsewhere") is None


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('"wall_time_s": 60.0', '"wall_time_s": 61.0', "its checksum does not hold: it was edited"),
        ('"checksum"', '"chksum"', "its checksum is missing"),
    ],
)
def test_a_record_that_was_edited_is_corrupt(tmp_path, old, new, problem):
    with own(tmp_path) as owned:
        owned.save_record(dataclasses.replace(record(), wall_time_s=60.0))
    path = tmp_path / "record.json"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(CorruptFile) as caught:
        load_record(tmp_path)
    assert str(caught.value) == f"{path}: {problem}; restore it, or remove the run's folder to train it anew"


def test_an_attempt_after_an_edit_says_so_and_measures_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(bench.results.run_folder, "SETTLE_S", 0)  # nobody else claims it
    run = TABLES[3].rows[2].run
    path = tmp_path / "record.json"
    with own(tmp_path) as owned:
        before = {"epoch": 1, "epoch_images_per_s": [900.0], "wall_time_s": 60.0, "unreadable": ["a.png: no image"]}
        before |= {"predictions_sha256": "1" * 64, "results": {"raw_last_top1_pct": 50.0}, "precision": "bfloat16"}
        owned.save_record(dataclasses.replace(record(), status="interrupted", **before))
        begun = _begin(owned, run, None, "", None)
        assert ([event["what"] for event in begun.history], begun.epoch_images_per_s) == (["running"], [900.0])
        path.write_text(path.read_text().replace("900.0", "990.0"))
        with pytest.raises(RequestError, match=r"its checksum does not hold.*; restore it, or remove the run's folder"):
            _begin(owned, run, None, "", None)  # there is no checkpoint to make anything anew from
        save(owned, 1)
        begun = _begin(owned, run, None, "", None)
    assert [event["what"] for event in begun.history] == ["running", "killed", "edited record", "running"]
    made_anew = (begun.epoch_images_per_s, begun.wall_time_s, begun.unreadable, begun.predictions_sha256, begun.results)
    assert made_anew == ([], 0.0, [], "", {})
    assert begun.precision == "bfloat16"
    assert load_record(tmp_path) == begun  # sealed again, and still said


def test_an_attempt_does_not_go_on_without_what_its_record_says_of_the_images(tmp_path):
    with own(tmp_path) as owned:
        save(owned, 1)
        (tmp_path / "record.json").write_text("{")
        with pytest.raises(RequestError, match=r"record\.json: not JSON: .*; restore it, or remove the run's folder"):
            _begin(owned, TABLES[3].rows[2].run, None, "", None)


def records_of(runs, **days):
    """The records of a folder of runs, each heard of last on a day of January."""
    for run_id, day in days.items():
        (runs / run_id).mkdir(parents=True)
        history = [EVENT | {"when": f"2026-01-{when:02}T00:00:00+00:00"} for when in (1, day)]
        values = dataclasses.asdict(dataclasses.replace(record(), run_id=run_id, history=history))
        (runs / run_id / "record.json").write_text(sealed(values))
    return RunRecords(runs)


def test_all_records_begin_with_the_one_that_was_heard_of_last(tmp_path):
    found = records_of(tmp_path, **{"a-s1-00000000": 3, "a-s2-00000000": 9, "b-s1-00000000": 5}).all()
    assert [one.run_id for one in found] == ["a-s2-00000000", "b-s1-00000000", "a-s1-00000000"]


def test_a_damaged_record_counts_as_none_and_is_named_once(tmp_path):
    records = records_of(tmp_path, **{"a-s1-00000000": 3, "b-s1-00000000": 5})
    (tmp_path / "a-s1-00000000" / "record.json").write_text('{"status": ')
    assert [records.get("a-s1-00000000"), records.get("a-s1-00000000")] == [None, None]
    assert [one.run_id for one in records.all()] == ["b-s1-00000000"]
    (problem,) = records.problems
    assert problem.startswith(f"{tmp_path / 'a-s1-00000000' / 'record.json'}: ")


def test_a_file_among_the_runs_is_no_run(tmp_path):
    (tmp_path / "notes-s1").write_text("a file\n")
    records = records_of(tmp_path, **{"a-s1-00000000": 3})
    assert [one.run_id for one in records.all()] == ["a-s1-00000000"]
    assert records.problems == []


LINES = [{"epoch": i, "lr": 0.1, "raw_top1_pct": 10.0 + i} for i in range(4)]


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """A folder after two of four epochs; (folder, its record)."""
    monkeypatch.setattr(bench.results.run_folder, "SETTLE_S", 0)  # nobody else claims it
    with own(tmp_path) as owned:
        owned.save_metrics(dataclasses.replace(record(), epochs=4), LINES[:2])
    return tmp_path, load_record(tmp_path)


def test_metrics_are_those_of_the_epochs_that_the_record_speaks_of(trained):
    folder, found = trained
    assert found.epoch == 2
    metrics = load_metrics(folder, found)
    assert list(metrics.lines) == LINES[:2]
    assert load_metrics(folder / "elsewhere", record()).lines == ()


@pytest.mark.parametrize("epochs", [1, 3], ids=["back", "on"])
def test_a_kill_between_metrics_and_record_is_no_edit(trained, monkeypatch, epochs):
    folder, found = trained
    written = []

    def write(path, content):
        if written:
            raise OSError("killed")
        written.append(path.name)
        path.write_text(content)

    with own(folder) as owned:
        with monkeypatch.context() as patch:
            for module in (bench.results.run_folder, bench.results.files):
                patch.setattr(module, "write_atomically", write)
            with pytest.raises(OSError, match="killed"):
                owned.save_metrics(found, LINES[:epochs])
        metrics = load_metrics(folder, load_record(folder))
        assert list(metrics.lines) == LINES[: min(epochs, 2)]


def test_metrics_that_were_edited_are_corrupt(trained):
    folder, found = trained
    path = folder / "metrics.jsonl"
    path.write_text(path.read_text().replace("11.0", "12.0"))
    with pytest.raises(
        CorruptFile, match=r"metrics\.jsonl: its checksum in record\.json does not hold: it was edited; "
    ):
        load_metrics(folder, found)
    with pytest.raises(CorruptFile, match="does not hold"):
        load_metrics(folder, dataclasses.replace(found, metrics_sha256=""))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"epoch": 1.5}, "epoch = 1.5: expected int, got float"),
        ({"epoch": -1}, "epoch = -1: expected int >= 0"),
        ({"epoch": True}, "epoch = True: expected int, got bool"),
        ({"epoch": 10**400}, "epoch = 1000"),
        ({"epoch": 5, "epochs": 4}, "epoch 5 is beyond its 4 epochs"),
        ({"epochs": math.nan}, "NaN in it is not a number"),
        ({"run_id": 5}, "run_id = 5: expected str, got int"),
        (
            {"results": {"raw_best_top1_pct": 1.0, "raw_last_top1_pct": "high", "raw_last_top5_pct": "low"}},
            "results.raw_last_top1_pct = 'high': expected int | float, got str",
        ),
        ({"images_per_s": -5.0}, "images_per_s = -5.0: expected float >= 0"),
        ({"images_per_s": 1e31}, r"images_per_s = 1e\+31: expected float <= 1e\+30"),
        ({"images_per_s": math.inf}, "Infinity in it is not a number"),
        ({"data": {"train_images": "many"}}, "data.train_images = 'many': expected a whole number from 0"),
        ({"data": {"val_images": 1.5}}, "data.val_images = 1.5: expected a whole number from 0"),
        ({"spec": {"seed": "x"}}, "spec.seed = 'x': expected a whole number from 0"),
        ({"data": []}, r"data = \[\]: expected object, got array"),
        ({"status": "done"}, r"unknown status 'done' \(choose from running, "),
        ({"epoch_images_per_s": [1.0, "fast"]}, r"epoch_images_per_s\[1\] = 'fast': expected int | float | null"),
        ({"epoch_images_per_s": 3}, "epoch_images_per_s = 3: expected array, got int"),
        ({"metrics_sha256": 1}, "metrics_sha256 = 1: expected str, got int"),
        ({"history": [EVENT | {"epoch": "first"}]}, r"history\[0\]: epoch = 'first': expected int"),
        ({"history": [EVENT | {"steps": 0}]}, r"history\[0\]: steps = 0: expected int"),
        ({"history": [{"what": "running"}]}, r"history\[0\].*required field `when`"),
        ({"fingerprint": {"basis": "files"}}, "fingerprint: Object missing required field"),
        ({"younger": 1}, "unknown key younger, which a newer version may have written"),
    ],
)
def test_a_record_with_odd_values_is_corrupt_and_its_line_names_them(tmp_path, change, words):
    (tmp_path / "record.json").write_text(sealed(dataclasses.asdict(record()) | change))
    with pytest.raises(
        CorruptFile, match=rf"record\.json: {words}.*; restore it, or remove the run's folder"
    ) as caught:
        load_record(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_record_of_another_run_is_none_of_this_one(tmp_path):
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        values = dataclasses.asdict(dataclasses.replace(record(), run_id="one"))
        (tmp_path / name / "record.json").write_text(sealed(values))
    found = RunRecords(tmp_path)
    assert found.get("one").run_id == "one"
    assert found.get("other") is None
    remedy = "restore it, or remove the run's folder to train it anew"
    assert found.problems == [f"{tmp_path / 'other' / 'record.json'}: holds one; {remedy}"]


@pytest.mark.parametrize(
    ("make", "problem"), [(os.mkdir, "Is a directory"), (os.mkfifo, "not a regular file")], ids=["folder", "pipe"]
)
def test_a_file_that_cannot_be_read_is_a_line(tmp_path, make, problem):
    make(tmp_path / "record.json")
    with pytest.raises(CorruptFile, match=rf"record\.json: {problem}; restore it"):
        load_record(tmp_path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "not there, though 2 epochs are finished"),
        ('{"epoch": 0}\n{"epoch": 1', "line 2: not JSON"),
        ("[1, 2]\n", "line 1: not a JSON object"),
        ('{"epoch": 0, "lr": NaN}\n', "line 1: NaN in it is not a number"),
        ('{"lr": 0.1}\n', "line 1: it is not of epoch 0"),
        ('{"epoch": 0}\n{"epoch": 0}\n', "line 2: it is not of epoch 1"),
        ('{"epoch": 0, "lr": "low"}\n', "line 1: lr = 'low': expected int | float, got str"),
        ("[" * 100_000, "line 1: nested too deeply"),
        (b"\xff\n", "utf-8"),
    ],
)
def test_damaged_metrics_are_named(trained, content, words):
    folder, found = trained
    path = folder / "metrics.jsonl"
    path.unlink() if content is None else path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=rf"metrics\.jsonl: .*{words}"):
        load_metrics(folder, found)


def test_the_newest_two_checkpoints_are_kept_with_checksums(tmp_path):
    with own(tmp_path) as owned:
        for step in (1, 2, 3):
            save(owned, step)
        names = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
        assert names == [f"epoch-00000-step-000000{step}.pt{suffix}" for step in (2, 3) for suffix in ("", ".sha256")]
        path, problems = owned.newest_sound_checkpoint()
        assert (path.name, problems) == ("epoch-00000-step-0000003.pt", [])
    digest, name = (tmp_path / "checkpoints" / f"{path.name}.sha256").read_text().split()
    assert (digest, name) == (hashlib.sha256(path.read_bytes()).hexdigest(), path.name)  # as sha256sum -c reads it


@pytest.mark.parametrize("damage", ["truncated", "flipped", "no checksum", "empty checksum"])
def test_a_damaged_newest_checkpoint_gives_way_to_the_one_before(tmp_path, damage):
    with own(tmp_path) as owned:
        first, second = save(owned, 1), save(owned, 2)
        checksum = second.with_suffix(".pt.sha256")
        content = second.read_bytes()
        if damage == "truncated":
            second.write_bytes(content[:-1])
        elif damage == "flipped":
            second.write_bytes(bytes([content[0] ^ 1]) + content[1:])
        elif damage == "no checksum":
            checksum.unlink()
        else:
            checksum.write_text("")
        path, problems = owned.newest_sound_checkpoint()
        assert path == first
        assert len(problems) == 1
        assert second.name in problems[0]
        assert "checksum" in problems[0]
        assert owned.newest_sound_checkpoint() == (first, [])  # set aside, not lost
        assert second.with_suffix(".unsound").exists()


def put(kind, path):
    """Something that is no checkpoint, where one should lie."""
    path.unlink()
    if kind == "folder":
        path.mkdir()
        (path / "data.pkl").touch()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(path if kind == "loop" else path.with_name("nowhere"))


@pytest.mark.parametrize("kind", ["folder", "pipe", "dangling", "loop"])
def test_what_is_no_file_gives_way_to_the_checkpoint_before(tmp_path, kind):
    with own(tmp_path) as owned:
        first, second = save(owned, 1), save(owned, 2)
        put(kind, second)
        path, problems = owned.newest_sound_checkpoint()
        assert (path, len(problems)) == (first, 1)
        assert owned.newest_sound_checkpoint() == (first, [])  # set aside
        save(owned, 3)
        put(kind, first)  # which is to be dropped
        newest = save(owned, 4)
        assert owned.newest_sound_checkpoint() == (newest, [])


def test_what_has_been_set_aside_does_not_grow_without_bound(tmp_path):
    with own(tmp_path) as owned:
        save(owned, 1)
        for step in range(2, 8):
            save(owned, step).write_bytes(b"")
            owned.newest_sound_checkpoint()
        kept = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert kept == [
        "epoch-00000-step-0000001.pt",
        "epoch-00000-step-0000001.pt.sha256",
        "epoch-00000-step-0000006.unsound",
        "epoch-00000-step-0000007.unsound",
    ]


FOREIGN = ("epoch-x-step-y.pt", "epoch-1-step-2-3.pt", "epoch-00000-step-0000009 (copy).pt", "best.pt", ".notes.tmp")


def test_files_that_are_not_ours_are_ignored_and_stay(tmp_path):
    (tmp_path / ".mine.tmp").mkdir()
    (tmp_path / "saved").symlink_to(tmp_path.parent / "elsewhere")
    with own(tmp_path) as owned:
        first = save(owned, 1)
        for name in FOREIGN:
            (first.parent / name).write_text("mine")
        assert checkpoints(tmp_path) == [first]
        for step in (2, 3, 4):
            save(owned, step)
        assert {name: (first.parent / name).read_text() for name in FOREIGN} == dict.fromkeys(FOREIGN, "mine")
    assert (tmp_path / ".mine.tmp").is_dir()
    assert not (tmp_path.parent / "elsewhere").exists()


def test_no_sound_checkpoint_is_a_stop(tmp_path):
    with own(tmp_path) as owned:
        assert owned.newest_sound_checkpoint() == (None, [])
        for step in (1, 2):
            save(owned, step).write_bytes(b"")
        with pytest.raises(NoSoundCheckpoint, match=r"step-0000002\.pt.*step-0000001\.pt.*restore one, or remove"):
            owned.newest_sound_checkpoint()
        assert len(checkpoints(tmp_path)) == 2


def test_checkpoints_are_ordered_by_number(tmp_path):
    with own(tmp_path) as owned:
        for epoch, step in ((9, 0), (99_998, 10_000_000), (99_999, 0), (100_000, 3), (100_000, 20)):
            owned.save_checkpoint(epoch, step, b"weights")
    assert [path.stem for path in checkpoints(tmp_path)] == [
        "epoch-100000-step-0000020",
        "epoch-100000-step-0000003",
    ]


def test_a_failed_save_keeps_what_was_there(tmp_path, monkeypatch):
    def full_disk(fd):
        raise OSError(28, "No space left on device")

    with own(tmp_path) as owned:
        first = save(owned, 1)
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full_disk)
            with pytest.raises(OSError, match="No space left") as error:
                save(owned, 2)
            assert error.value.filename.endswith("epoch-00000-step-0000002.pt")
        assert owned.newest_sound_checkpoint() == (first, [])
        assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == [
            first.name,
            f"{first.name}.sha256",
        ]


HOLD = """
import sys, time
from pathlib import Path
from bench.results.run_folder import own
with own(Path(sys.argv[1])):
    print("owned", flush=True)
    time.sleep(60)
"""


def test_a_second_process_is_refused_and_a_dead_owners_lock_taken_over(tmp_path):
    holder = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "owned\n"
    with pytest.raises(RunBusy, match=rf"pid {holder.pid} on {socket.gethostname()}"), own(tmp_path):
        pass
    holder.kill()
    holder.communicate()
    with own(tmp_path) as owned:
        assert owned.attempt == 2


def test_an_owner_on_another_machine_lives_as_long_as_its_heart_beats(tmp_path, monkeypatch):
    owner = {"token": "abc", "attempt": 4, "host": "node17", "pid": 99, "since": "today", "released": False}
    path = tmp_path / "owner.json"
    path.write_text(json.dumps(owner))
    monkeypatch.setattr(bench.results.run_folder, "HEARTBEAT_S", 0.5)
    beat = threading.Timer(0.3, path.touch)
    beat.start()
    with pytest.raises(RunBusy, match="pid 99 on node17"), own(tmp_path):
        pass
    beat.join()
    with own(tmp_path) as owned:  # no beat in 1.5 s: dead; a rerun waits that long rather than give up
        assert owned.attempt == 5
    path.write_text(json.dumps(owner))
    (tmp_path / "owner.json").write_text(json.dumps({**owner, "released": True}))
    with own(tmp_path) as owned:
        assert owned.attempt == 5


@pytest.mark.parametrize("off_s", [-7200, 7200], ids=["behind", "ahead"])
def test_a_clock_that_is_off_neither_steals_a_run_nor_makes_anyone_wait(tmp_path, monkeypatch, off_s):
    owner = {"token": "abc", "attempt": 4, "host": "node17", "pid": 99, "since": "today", "released": False}
    path = tmp_path / "owner.json"
    path.write_text(json.dumps(owner))
    monkeypatch.setattr(bench.results.run_folder, "HEARTBEAT_S", 0.3)
    beats = time.time() + off_s
    os.utime(path, (beats, beats))
    beat = threading.Timer(0.3, os.utime, (path, (beats + 15, beats + 15)))
    beat.start()
    with pytest.raises(RunBusy, match="pid 99 on node17"), own(tmp_path):
        pass
    beat.join()
    begun = time.monotonic()
    with own(tmp_path) as owned:
        assert owned.attempt == 5
    assert time.monotonic() - begun < 60  # of its two hours


def test_an_older_copy_never_writes_after_its_successor_began(tmp_path):
    """As after a node failure: Slurm's daemon is dead, the first copy lives, and locks do not cross machines."""
    with own(tmp_path) as first:
        first.save_record(record())
        kept = save(first, 1)
        (tmp_path / "lock").unlink()  # a lock that the second machine cannot see
        with own(tmp_path) as second:
            assert second.attempt == first.attempt + 1
            for write in (
                lambda: first.save_record(record()),
                lambda: first.save_metrics(record(), [{"epoch": 0}]),
                lambda: save(first, 2),
            ):
                with pytest.raises(Fenced, match="newer process owns the run"):
                    write()
            save(second, 3)
        assert [path.name for path in checkpoints(tmp_path)] == ["epoch-00000-step-0000003.pt", kept.name]
    assert not (tmp_path / "metrics.jsonl").exists()
    assert json.loads((tmp_path / "owner.json").read_text())["token"] == second.token  # the first did not sign off


def slurm(monkeypatch, restart, job="12", task="3"):
    monkeypatch.setenv("SLURM_JOB_ID", "15")
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", job)
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", task)
    monkeypatch.setenv("SLURM_RESTART_COUNT", str(restart))


def test_a_restarted_job_takes_the_folder_from_its_older_copy(tmp_path, monkeypatch):
    """Which lives, and holds the lock: Slurm has given it up."""
    slurm(monkeypatch, restart=0)
    with own(tmp_path) as first:
        assert last_owner(tmp_path).job == "12_3"
        with pytest.raises(RunBusy), own(tmp_path):  # the same job, not restarted
            pass
        slurm(monkeypatch, restart=1, task="4")
        with pytest.raises(RunBusy), own(tmp_path):  # another task
            pass
        slurm(monkeypatch, restart=1)
        with own(tmp_path) as second:
            with pytest.raises(Fenced, match="newer process owns the run"):
                save(first, 1)
            save(second, 2)
            slurm(monkeypatch, restart=0)
            with pytest.raises(RunBusy), own(tmp_path):  # the older one does not come back
                pass
        assert last_owner(tmp_path).restart == 1


def test_an_owner_is_alive_as_long_as_it_beats_and_its_process_is_there(tmp_path):
    holder = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "owned\n"
    assert last_owner(tmp_path).alive
    holder.kill()
    holder.communicate()
    assert not last_owner(tmp_path).alive  # at once: it was on this machine
    with own(tmp_path):
        assert last_owner(tmp_path).alive
    assert not last_owner(tmp_path).alive  # it signed off
    (tmp_path / "owner.json").write_text("damaged")
    assert last_owner(tmp_path) is None


FAR = Progress(phase=Phase.TRAINING, epoch=3, epochs=16, step=5, steps=8, loss=2.5, images_per_s=64.0, left_s=90.0)


def test_progress_is_told_at_once_in_a_new_phase_and_else_with_the_beat(tmp_path):
    with own(tmp_path, beat_s=0.5) as owned:
        assert load_progress(tmp_path, last_owner(tmp_path)) is None
        time.sleep(0.7)  # a beat that has nothing to tell
        assert load_progress(tmp_path, last_owner(tmp_path)) is None
        owned.tell(Progress(phase=Phase.READING))
        assert load_progress(tmp_path, last_owner(tmp_path)) == Progress(phase=Phase.READING)
        owned.tell(dataclasses.replace(FAR, step=0))
        owned.tell(FAR)
        assert load_progress(tmp_path, last_owner(tmp_path)) == dataclasses.replace(FAR, step=0)
        deadline = time.monotonic() + 10
        while load_progress(tmp_path, last_owner(tmp_path)) != FAR and time.monotonic() < deadline:
            time.sleep(0.01)
        assert load_progress(tmp_path, last_owner(tmp_path)) == FAR
    with own(tmp_path):
        assert load_progress(tmp_path, last_owner(tmp_path)) is None  # it is its last owner's


OWNER = Owner(token="0", attempt=1, host="here", pid=1, since="", released=False)


def test_a_killed_owner_that_nobody_has_reaped_is_dead():
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    owner = dataclasses.replace(OWNER, host=socket.gethostname(), pid=child.pid, last_beat=time.time())
    assert owner.alive
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # a zombie until it is waited for
    assert not owner.alive
    child.wait()


def test_progress_from_before_phases_is_of_training(tmp_path):
    older = {"attempt": 1, "epoch": 3, "step": 5, "steps": 8, "loss": 2.5, "images_per_s": 64.0}
    (tmp_path / "progress.json").write_text(json.dumps(older))
    assert load_progress(tmp_path, OWNER) == dataclasses.replace(FAR, epochs=None, left_s=None)


@pytest.mark.parametrize(
    "odd",
    [
        *({"epoch": odd} for odd in (-1, 2.0, "3", None, True, 17, [], 10**400)),
        *({"epochs": odd} for odd in (0, -1, 2.5, "16")),
        *({"step": odd} for odd in (-1, 9, None, {})),
        *({"steps": odd} for odd in (0, 4, "8", [8])),
        *({"loss": odd} for odd in (float("nan"), float("inf"), -1.0, "low", 10**400, True)),
        *({"images_per_s": odd} for odd in (0, -64.0, float("nan"), "fast")),
        *({"left_s": odd} for odd in (-1, float("inf"), 1e300, "soon")),
        *({"phase": odd} for odd in ("dancing", None, 3, ["training"], {})),
        *({"attempt": odd} for odd in (2, None, "1", [])),
    ],
    ids=str,
)
def test_a_file_that_cannot_be_progress_is_none(tmp_path, odd):
    values = {"attempt": 1, **dataclasses.asdict(FAR), "younger": "unknown"}
    path = tmp_path / "progress.json"
    path.write_text(json.dumps(values))
    assert load_progress(tmp_path, OWNER) == FAR
    path.write_text(json.dumps(values | odd))
    assert load_progress(tmp_path, OWNER) is None


@pytest.mark.parametrize(
    "odd",
    [
        b"",
        b"{",
        b"{}",
        b"null",
        b"[1]",
        b"3",
        b"\xff\xfe",
        b'{"attempt": 1}',  # by the beats before a first step, once
        b'{"attempt": 1}x',
        b"[" * 9_000,
        b'"',
        b"1" * 9_000,
        b" " * 99_999,
    ],
    ids=lambda odd: repr(odd[:12]),
)
def test_a_file_that_is_no_progress_is_none(tmp_path, odd):
    (tmp_path / "progress.json").write_bytes(odd)
    assert load_progress(tmp_path, OWNER) is None


def test_progress_that_is_a_folder_is_none(tmp_path):
    (tmp_path / "progress.json").mkdir()
    assert load_progress(tmp_path, OWNER) is None


@pytest.mark.parametrize("odd", [{"attempt": "1"}, {"released": None}, {"pid": 1.5}, {"job": 12}, {"host": ["n1"]}])
def test_an_owner_of_wrong_types_is_none(tmp_path, odd):
    path = tmp_path / "owner.json"
    values = dataclasses.asdict(OWNER)
    del values["last_beat"]
    path.write_text(json.dumps(values))
    assert last_owner(tmp_path) is not None
    path.write_text(json.dumps(values | odd))
    assert last_owner(tmp_path) is None
    path.write_text("[" * 100_000)
    assert last_owner(tmp_path) is None


def test_the_weights_to_start_from_are_those_of_a_completed_run(tmp_path):
    with pytest.raises(RequestError, match=f"starts from the weights of {tmp_path.name}, which is not begun"):
        final_checkpoint(tmp_path)
    with own(tmp_path) as owned:
        owned.save_record(record())
        with pytest.raises(RequestError, match="which is running; train that one first"):
            final_checkpoint(tmp_path)
        owned.save_record(dataclasses.replace(record(), status="completed"))
        with pytest.raises(RequestError, match="it is gone"):
            final_checkpoint(tmp_path)
        save(owned, 1)
        newest = save(owned, 2)
        assert final_checkpoint(tmp_path) == newest
        newest.write_bytes(b"")
        with pytest.raises(RequestError, match="cannot be used"):
            final_checkpoint(tmp_path)


def test_of_two_that_claim_at_once_one_gives_way(tmp_path, monkeypatch):
    """On two machines, whose locks do not meet and whose clocks agree to the millisecond."""
    monkeypatch.setattr(bench.results.run_folder.fcntl, "flock", lambda *_: None)
    monkeypatch.setattr(bench.results.run_folder, "SETTLE_S", 0.5)
    outcomes = []

    def claim():
        try:
            with own(tmp_path) as owned:
                time.sleep(1)
                owned.check()
                outcomes.append("owned")
        except RunBusy:
            outcomes.append("busy")

    takers = [threading.Thread(target=claim) for _ in range(2)]
    for taker in takers:
        taker.start()
    for taker in takers:
        taker.join()
    assert sorted(outcomes) == ["busy", "owned"]


def test_leftovers_of_a_killed_owner_are_swept(tmp_path):
    (tmp_path / ".record.json.0123.tmp").write_text("half")
    with own(tmp_path):
        assert not list(tmp_path.glob(".*.tmp"))
