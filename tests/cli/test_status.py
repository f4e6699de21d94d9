"""How runs stand: folders and Slurm's word put together, and the line that ``status`` makes of it."""

import dataclasses
import datetime
import json
import os
import socket
import time

import pytest

from bench.cli.commands.status import duration, spec_of, status, table
from bench.experiments.budgets import SUITES
from bench.launch.job import prepare
from bench.launch.planner import Action, plan
from bench.launch.run_state import run_state
from bench.launch.slurm.client import Task, tasks
from bench.launch.slurm.queue import Queue, look
from bench.launch.slurm.submissions import Submission, load_all, save
from bench.results.codec import sealed, unsealed
from bench.results.progress import Phase, Progress
from bench.results.record import RunRecord
from bench.results.run_folder import RunRecords, own, run_ids
from bench.results.spec_file import load_spec

PARENT, CHILD, OTHER = SUITES["smoke"].values()
NOTHING = Queue({}, {})


def status_of(runs, spec, queue):
    return status(runs, spec.run_id, queue, spec_of(runs, spec.run_id))


def record(spec, status, **kwargs):
    history = [{"what": "running", "when": "2026-01-01T00:00:00+00:00", "host": "login", "node": "n7", "log": "a.err"}]
    values = {"epoch": 2, "epochs": 4, "images_per_s": 64.0, "data": {"train_images": 512}, "history": history}
    return RunRecord(run_id=spec.run_id, spec=spec.identity(), status=status, git={}, versions={}, **values | kwargs)


@pytest.fixture
def folder(tmp_path):
    """Writes what is known of a run; returns the folder of all runs."""

    def write(spec, found=None):
        path = prepare(tmp_path, spec)
        if found:
            with own(path) as owned:
                owned.save_record(found)
        return tmp_path

    return write


def submission(*specs, **kwargs):
    values = {"name": "t2t-a", "cluster": "here", "created": "2026-01-02T00:00:00+00:00", "job": "12"}
    return Submission(runs=tuple(spec.run_id for spec in specs), **values | kwargs)


def queue(submitted, state="", cluster="here", **kwargs):
    tasks = {submitted.task(run): Task(name="t2t-a", state=state, **kwargs) for run in submitted.runs} if state else {}
    return Queue(dict.fromkeys(submitted.runs, submitted), tasks, cluster)


def test_a_run_of_this_machine(folder):
    runs = folder(OTHER, record(OTHER, "interrupted", results={"raw_best_top1_pct": 41.5}))
    line = status_of(runs, OTHER, NOTHING)
    assert (line.state, line.epoch, line.epochs, line.best_top1_pct, line.images_per_s) == (
        "interrupted",
        2,
        4,
        41.5,
        64,
    )
    assert line.left_s == 2 * 512 / 64
    assert (line.node, line.log, line.restarts, line.model) == ("n7", "", 0, "test_resnet")
    (runs / "a.err").touch()  # a log is shown as long as it is there
    assert status_of(runs, OTHER, NOTHING).log == str(runs / "a.err")


def test_a_run_that_is_under_way_tells_how_far_it_is(folder):
    runs = folder(OTHER)
    with own(runs / OTHER.run_id, beat_s=0.02) as owned:
        owned.save_record(record(OTHER, "running"))
        owned.tell(Progress(phase=Phase.READING, epoch=2, epochs=4))
        line = status_of(runs, OTHER, NOTHING)
        assert (line.state, line.why, line.epoch, line.images_per_s) == ("running", "reading data", 2, 64)
        owned.tell(Progress(phase=Phase.TRAINING, epoch=2, epochs=4, step=2, steps=8, images_per_s=128.0))
        deadline = time.monotonic() + 10
        while (line := status_of(runs, OTHER, NOTHING)).epoch == 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        owned.save_record(record(OTHER, "running", epoch=3))  # the epoch ended, and the next beat is to come
        assert status_of(runs, OTHER, NOTHING).epoch == 3
    assert (line.state, line.epoch, line.images_per_s) == ("running", 2.25, 128)
    assert line.left_s == 1.75 * 512 / 128
    assert status_of(runs, OTHER, NOTHING).state == "killed"  # signed off without a word in the record


@pytest.mark.parametrize(
    ("said", "found", "state", "why"),
    [
        ({"state": "PENDING", "reason": "Priority"}, None, "queued", "pending Priority"),
        ({"state": "PENDING", "reason": "BeginTime"}, "interrupted", "queued", "pending BeginTime"),
        ({"state": "RUNNING", "node": "n3"}, None, "running", "starting"),
        ({"state": "COMPLETED"}, "completed", "completed", ""),
        ({"state": "NODE_FAIL"}, "running", "killed", "its job ended as node_fail"),
        ({"state": "CANCELLED"}, None, "interrupted", "job 12 was cancelled before the run began"),
        ({"state": "FAILED"}, None, "failed", "job 12 ended as failed before the run began: no log at "),
        ({}, None, "not begun", ""),
    ],
)
def test_slurm_and_the_record_together(folder, said, found, state, why):
    runs = folder(OTHER, record(OTHER, found) if found else None)
    line = status_of(runs, OTHER, queue(submission(OTHER), **said))
    assert line.state == state
    assert line.why.startswith(why)
    assert bool(line.why) == bool(why)
    assert line.job == "12"


def test_the_last_words_of_a_job_that_never_began(folder):
    submitted = submission(OTHER)
    runs = folder(OTHER)
    log = submitted.log(runs, OTHER.run_id)
    log.parent.mkdir(parents=True)
    log.write_text("bench: node n1 has no Python at /env\nsrun: error: n1: task 0: Exited with exit code 127\n")
    line = status_of(runs, OTHER, queue(submitted, "FAILED"))
    assert line.why.endswith("before the run began: node n1 has no Python at /env")
    log.write_text("Traceback\nModuleNotFoundError: No module named 'timm'\nsrun: error: n1: task 0: Exited\n")
    assert status_of(runs, OTHER, queue(submitted, "FAILED")).why.endswith("No module named 'timm'")


@pytest.mark.parametrize(
    ("log", "why"),
    [
        ("  epoch    3/4  loss  2.3\n", "its process is gone"),
        (
            "  UserWarning: of no account\nFatal Python error: Segmentation fault\n\nCurrent thread\n",
            "its process is gone: Fatal Python error: Segmentation fault",
        ),
        (
            "Traceback\nModuleNotFoundError: No module named 'timm'\n",
            "its process is gone: ModuleNotFoundError: No module",
        ),
        ("srun: error: n3: task 0: Killed\n", "its process is gone: srun: error: n3: task 0: Killed"),
    ],
)
def test_a_run_whose_process_died_says_what_of(folder, log, why):
    runs = folder(OTHER, record(OTHER, "running"))
    (runs / "a.err").write_text(log)
    line = status_of(runs, OTHER, NOTHING)
    assert line.state == "killed"
    assert line.why.startswith(why)
    assert ":" in why or line.why == why


@pytest.mark.parametrize("damage", ["emptied", "gone", "edited", "folder"])
def test_what_a_completed_run_has_lost_is_named(folder, damage):
    runs = folder(OTHER)
    path = runs / OTHER.run_id / "metrics.jsonl"
    with own(runs / OTHER.run_id) as owned:
        owned.save_metrics(record(OTHER, "completed"), [{"epoch": i, "lr": 0.1} for i in range(2)])
    assert status_of(runs, OTHER, NOTHING).why == ""
    if damage in ("emptied", "edited"):
        path.write_text("" if damage == "emptied" else path.read_text().replace("0.1", "0.2"))
    else:
        path.unlink()
        if damage == "folder":
            path.mkdir()
    line = status_of(runs, OTHER, NOTHING)
    assert line.state == "completed"
    assert line.why.startswith(f"{path}: ")
    (decision,) = plan([OTHER], lambda spec: run_state(runs, spec.run_id, NOTHING))
    assert (decision.action, decision.completed) == (Action.SKIP, True)
    assert decision.reason == f"completed, but {line.why}"
    known = RunRecords(runs)
    assert known.get(OTHER.run_id).status == "completed"
    assert known.problems == [line.why]


def test_what_is_no_file_in_a_run_folder_is_waited_for_by_nobody(folder):
    runs = folder(OTHER, record(OTHER, "interrupted"))
    for name in ("spec.json", "progress.json", "metrics.jsonl", "predictions.npz"):
        (runs / OTHER.run_id / name).unlink(missing_ok=True)
        os.mkfifo(runs / OTHER.run_id / name)
    assert status_of(runs, OTHER, NOTHING).state == "interrupted"
    assert load_spec(prepare(runs, OTHER)) == OTHER


def test_folders_that_are_no_runs_are_ignored(folder):
    runs = folder(OTHER)
    for name in ("notes", "backup of runs", f"{OTHER.run_id}\n", "\x1b[31m-s1-00000000"):
        (runs / name).mkdir()
        (runs / name / "spec.json").write_text("{}")
        (runs / name / "record.json").write_text("{}")
    (runs / f"a-{OTHER.run_id}").symlink_to(runs / f"a-{OTHER.run_id}")
    assert run_ids(runs) == [OTHER.run_id]
    known = RunRecords(runs)
    assert (known.all(), known.problems) == ([], [])


def test_a_child_of_a_failed_parent_is_blocked(folder):
    runs = folder(PARENT, record(PARENT, "failed", error="no space left"))
    folder(CHILD)
    line = status_of(runs, CHILD, queue(submission(CHILD), "CANCELLED"))
    assert (line.state, line.why) == ("blocked", f"starts from {PARENT.run_id}, failed: no space left")


def test_the_same_number_from_another_life_of_the_cluster_is_somebody_elses_job(folder):
    runs = folder(OTHER)
    found = run_state(runs, OTHER.run_id, queue(submission(OTHER, name="t2t-b"), "RUNNING"))
    assert not found.job_alive
    assert plan([OTHER], lambda _: found)[0].action is Action.SUBMIT


@pytest.mark.parametrize(
    ("found", "action"),
    [(None, Action.BLOCKED), ("interrupted", Action.BLOCKED), ("completed", Action.SKIP), ("failed", Action.RESUME)],
)
def test_what_another_cluster_may_have_is_not_submitted_here(folder, found, action):
    later = [{"what": found, "when": "2026-01-03T00:00:00+00:00"}]
    runs = folder(OTHER, record(OTHER, found, history=later) if found else None)
    elsewhere = queue(submission(OTHER, cluster="there"))
    (decision,) = plan([OTHER], lambda spec: run_state(runs, spec.run_id, elsewhere))
    assert decision.action is action
    if action is Action.BLOCKED:
        assert "job 12 of cluster there may still have it" in decision.reason
        assert f"remove {runs / 'jobs' / 't2t-a'} once that job is gone" in decision.reason


def test_what_failed_before_it_was_submitted_there_is_not_settled(folder):
    earlier = [{"what": "failed", "when": "2026-01-01T00:00:00+00:00"}]
    runs = folder(OTHER, record(OTHER, "failed", history=earlier))
    elsewhere = queue(submission(OTHER, cluster="there"))
    assert run_state(runs, OTHER.run_id, elsewhere).unsure


def test_an_owner_ends_with_its_job_though_its_last_beat_is_fresh(folder):
    """Killed on another node seconds ago."""
    runs = folder(OTHER, record(OTHER, "running"))
    path = runs / OTHER.run_id / "owner.json"
    owner = json.loads(path.read_text()) | {"host": "n7", "released": False, "job": "12"}
    path.write_text(json.dumps(owner))
    assert run_state(runs, OTHER.run_id, NOTHING).trained_by == f"pid {os.getpid()} on n7"
    assert run_state(runs, OTHER.run_id, queue(submission(OTHER), "FAILED")).trained_by == ""
    path.write_text(json.dumps(owner | {"job": "11", "host": socket.gethostname()}))
    assert run_state(runs, OTHER.run_id, queue(submission(OTHER), "FAILED")).trained_by  # of another job: it may live


def test_array_tasks_follow_the_order_of_the_runs():
    pair = submission(PARENT, OTHER)
    assert (pair.task(PARENT.run_id), pair.task(OTHER.run_id)) == ("12_0", "12_1")
    assert submission(OTHER).task(OTHER.run_id) == "12"


def test_submissions_survive_json_and_a_damaged_one_is_named(tmp_path):
    first, second = submission(PARENT), submission(OTHER, name="t2t-b", created="2026-01-01T00:00:00+00:00")
    save(tmp_path, first)
    save(tmp_path, second)
    assert load_all(tmp_path) == [second, first]
    (tmp_path / "jobs" / "t2t-a" / "submission.json").write_text("{}")
    with pytest.raises(Exception, match=r"t2t-a.submission\.json: .*nobody knows what is in the queue"):
        load_all(tmp_path)


def test_a_submission_that_never_reached_slurm_holds_a_run_back_for_a_minute(folder, monkeypatch):
    runs = folder(OTHER)
    monkeypatch.setattr("bench.launch.slurm.client.cluster_name", lambda: "here")
    monkeypatch.setattr("bench.launch.slurm.client.find", lambda name: None)
    just_now = datetime.datetime.now(datetime.UTC).isoformat()
    save(runs, submission(OTHER, job="", created=just_now))
    (decision,) = plan([OTHER], lambda spec: run_state(runs, spec.run_id, look(runs)))
    assert decision.action is Action.BLOCKED
    assert decision.reason.endswith("run the command again in a minute")
    save(runs, submission(OTHER, job=""))  # begun long ago
    (decision,) = plan([OTHER], lambda spec: run_state(runs, spec.run_id, look(runs)))
    assert decision.action is Action.SUBMIT
    monkeypatch.setattr("bench.launch.slurm.client.cluster_name", lambda: "elsewhere")
    assert run_state(runs, OTHER.run_id, look(runs)).unsure  # this Slurm cannot know


def test_without_slurm_the_folders_still_tell(folder, monkeypatch):
    runs = folder(OTHER, record(OTHER, "interrupted"))
    save(runs, submission(OTHER))
    monkeypatch.setenv("PATH", "/nowhere")
    found = look(runs)
    assert "no sbatch on this machine" in found.silence
    assert status_of(runs, OTHER, found).state == "interrupted"


def test_damaged_files_are_a_line_and_no_end(folder):
    runs = folder(OTHER)
    (runs / OTHER.run_id / "record.json").write_text("{")
    line = status_of(runs, OTHER, NOTHING)
    assert line.state == "failed"
    assert line.why.endswith("; restore it, or remove the run's folder to train it anew")
    (runs / OTHER.run_id / "record.json").unlink()
    (runs / OTHER.run_id / "spec.json").write_text("{")
    line = status_of(runs, OTHER, NOTHING)
    assert (line.state, line.epochs) == ("not begun", None)


@pytest.mark.parametrize(
    "odd",
    [
        {"history": []},
        {"history": None},
        {"history": ["running"]},
        {"history": [{"when": "today"}]},
        {"history": [{"what": "running", "when": "2026-01-01T00:00:00+00:00"}]},
        {"data": None},
        {"results": None},
        {"results": {"raw_best_top1_pct": "high"}},
        {"epoch": "a"},
        {"images_per_s": "fast"},
    ],
)
def test_an_odd_record_is_a_line_too(folder, odd):
    runs = folder(OTHER, record(OTHER, "failed"))
    path = runs / OTHER.run_id / "record.json"
    path.write_text(sealed(unsealed(path.read_text()) | odd))
    line = status_of(runs, OTHER, NOTHING)
    assert line.state == "failed"
    assert len(table([line]).splitlines()) == 2


def test_a_spec_that_is_nested_beyond_reading_is_none(folder):
    runs = folder(OTHER)
    (runs / OTHER.run_id / "spec.json").write_text("[" * 100_000)
    assert status_of(runs, OTHER, NOTHING).state == "not begun"
    (runs / OTHER.run_id / "spec.json").write_bytes(b"\xff")
    assert status_of(runs, OTHER, NOTHING).state == "not begun"
    assert prepare(runs, OTHER).name == OTHER.run_id  # written anew


def test_what_only_the_accounting_remembers_has_ended(monkeypatch):
    """Or was lost with the controller's state; and tasks that were cancelled in the queue stand together."""
    said = {
        "squeue": "t2t|ARRAY_JOB_ID|...|STATE|USER|NODELIST|REASON|COMMAND\nt2t|12|0|RUNNING|me|n1|None|t2t-a\n",
        "sacct": "JobID|State|User|NodeList|ConsumedEnergyRaw|JobName|SubmitLine\n"
        "12_0|RUNNING|me|n1||t2t-a|sbatch\n12_1|RUNNING|me|n1||t2t-a|sbatch\n"
        "12_[2-6:2,7,9-...%2]|CANCELLED by 0|me|None assigned|0|t2t-a|sbatch\n"
        "13|FAILED|me|n2|72|t2t-b|sbatch a.sh | tee\n",
    }
    monkeypatch.setattr("bench.launch.slurm.client.ask", lambda command, *_: said[command])
    found = tasks(["12", "13"])
    assert {task: found[task].state for task in found} == {
        "12_0": "RUNNING",
        **{f"12_{i}": "CANCELLED" for i in (2, 4, 6, 7)},
        "13": "FAILED",
    }
    assert found["13"].energy_j == 72


def test_the_table_has_a_dash_for_what_is_not_known(folder):
    runs = folder(OTHER, record(OTHER, "interrupted"))
    folder(PARENT)
    lines = [status_of(runs, spec, NOTHING) for spec in (OTHER, PARENT)]
    text = table([dataclasses.replace(lines[0], left_s=93_784.0), lines[1]]).splitlines()
    assert text[0].split()[:4] == ["run", "state", "epoch", "top-1"]
    assert text[1].split()[:9] == [OTHER.run_id, "interrupted", "2/4", "-", "64", "1", "d", "2", "h"]
    assert text[2].split() == [PARENT.run_id, "not", "begun", "-/4", "-", "-", "-", "0", "-", "-", "-"]


def test_text_is_aligned_to_the_left_and_numbers_to_the_right(folder):
    runs = folder(OTHER, record(OTHER, "interrupted"))
    folder(PARENT)
    head, *rows = table([status_of(runs, spec, NOTHING) for spec in (OTHER, PARENT)]).splitlines()
    assert [row.index(word) for row, word in zip(rows, ("interrupted", "not begun"), strict=True)] == [
        head.index("state")
    ] * 2
    assert [row.index("/4") + 2 for row in rows] == [head.index("epoch") + 5] * 2


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, "-"), (7, "7 s"), (3599, "59 min"), (7260, "2 h 1 min"), (266_400, "3 d 2 h")]
)
def test_durations(seconds, text):
    assert duration(seconds) == text
