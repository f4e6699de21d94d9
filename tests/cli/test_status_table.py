"""``status`` on a terminal: fits it, failures first, what is alike counted; nothing is lost that ``--json`` has."""

import dataclasses
import io

import pytest
from rich.console import Console

from bench.cli.commands.status import Look, Status
from bench.cli.status_table import Counted, StatusTable, fitting, shortened
from bench.experiments.budgets import SUITES
from bench.experiments.recipes import override
from bench.launch.job import prepare
from bench.launch.run_state import State
from bench.results.files import write_atomically
from bench.results.record import RunRecord
from bench.results.run_folder import own
from tests.terminal import Terminal

LOG = "/scratch/of/a/cluster/with/long/names/t2t-bench/runs/jobs/local-20260101-120000-12345/23456_0_log.err"


def line(number=0, state="completed", **values):
    run_id = f"t2t_vit_7-cifar10-pilot-s{number % 3}-{number:08x}"
    known = {"epoch": 16, "epochs": 16, "best_top1_pct": 40.0 + number, "images_per_s": 560.0, "node": "n7", "log": LOG}
    return Status(run_id=run_id, model="t2t_vit_7", state=state, **known | values)


def failed(number, why="no space left on device"):
    return line(number, "failed", why=why, epoch=3, left_s=7260.0, job=f"12_{number}", restarts=2)


def shown(lines, width, *, height=24, grouped=True, silence=""):
    """What is printed on a terminal of that size."""
    file = io.StringIO()
    console = Console(file=file, width=width, height=height, force_terminal=True, color_system=None, highlight=False)
    look = Look(lines=lines, silence=silence, at="12:00:00", pause_s=1)
    console.print(StatusTable(look, "runs", grouped=grouped))
    return file.getvalue()


SWEPT = [line(n, settings=f"lr={lr} weight_decay=0.05") for n, lr in enumerate(("5e-4", "1e-3", "2e-3"))]


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
@pytest.mark.parametrize(
    "lines",
    [SWEPT, [*SWEPT, failed(3)], [line(0)], [failed(n, f"reason {n} " + "and so on " * 20) for n in range(40)]],
    ids=["sweep", "failure", "one", "many"],
)
def test_no_line_is_wider_than_the_terminal(lines, width):
    assert max(map(len, shown(lines, width).splitlines())) <= width


def test_columns_that_matter_are_whole_at_80():
    text = shown([*SWEPT, failed(3)], 80, height=40)
    assert "lr=1e-3 weight_decay=0.05" in text
    rows = {row.split()[0]: row.split() for row in text.splitlines() if row.strip()}
    assert rows["run"] == ["run", "settings", "state", "epoch", "top-1", "%", "left"]
    assert rows["…s1-00000001"] == ["…s1-00000001", "lr=1e-3", "weight_decay=0.05", "completed", "16/16", "41.00", "-"]
    assert rows["…s0-00000003"][:4] == ["…s0-00000003", "failed", "3/16", "43.00"]
    assert "ids begin with t2t_vit_7-cifar10-pilot-\n" in text


def test_it_widens_with_the_terminal():
    heads = {width: shown([*SWEPT, failed(3)], width).splitlines()[0].split("  ") for width in (80, 110, 140)}
    assert "images/s" not in heads[80]
    assert {"images/s"} <= set(map(str.strip, heads[110]))
    assert {"images/s", "restarts", "node", "job"} <= set(map(str.strip, heads[140]))
    assert SWEPT[0].run_id in shown(SWEPT, 110)


def test_failures_come_first_and_say_why():
    lines = [*SWEPT, failed(3), line(4, "running", why="validating"), line(5, "diverged", why="loss is nan")]
    text = shown(lines, 80, height=60)
    places = [
        text.index(word)
        for word in ("  failed ", "no space left on device", "  diverged ", "  running ", "  completed ")
    ]
    assert places == sorted(places)
    assert "validating" in text
    assert text.splitlines()[-1] == "12:00:00 1 failed, 1 diverged, 1 running, 3 completed"


@pytest.mark.parametrize("width", [60, 80, 200])
def test_all_that_json_has_is_shown_of_runs_that_were_chosen(width):
    one = failed(3)
    text = "".join(shown([dataclasses.replace(one, settings="lr=1e-3")], width, grouped=False).split())
    values = ["failed", one.why, "3/16", "43.00", "560", "2h1min", "n7", "12_3", LOG, "lr=1e-3", one.run_id[-8:]]
    assert [value for value in values if value.replace(" ", "") not in text] == []


def test_a_long_list_is_counted_and_fits_the_terminal():
    lines = [line(n) for n in range(300)] + [line(900 + n, "not begun", best_top1_pct=None) for n in range(50)]
    lines += [failed(400 + n) for n in range(20)] + [failed(500, "CUDA out of memory")] + [line(600, "running")]
    text = shown(lines, 80).splitlines()
    assert len(text) < 24
    assert "… and 19 more failed for the same reason" in text
    assert any("CUDA out of memory" in row for row in text)
    assert "300 completed, top-1 from 40.00 to 339.00 %" in text
    assert "50 not begun" in text
    assert any(" running " in row for row in text)
    assert "run_all.py status RUN... shows each in full" in text
    assert len(shown(lines, 80, grouped=False).splitlines()) > 372  # whoever chooses runs sees each


@pytest.mark.parametrize("most", [1, 5, 12, 40])
def test_no_run_is_lost_in_counting(most):
    lines = [failed(n, f"reason {n // 5}") for n in range(30)] + [line(n, "running") for n in range(30, 60)]
    lines += [line(n) for n in range(60, 99)]
    items = fitting(lines, most, lambda _: 2)
    assert sum(item.runs if isinstance(item, Counted) else 1 for item in items) == len(lines)
    height = sum(1 if isinstance(item, Counted) else 2 for item in items)
    assert height <= max(most, 7)  # a line of each state, and how many more there are


def test_what_has_room_is_not_counted():
    lines = [failed(1), *SWEPT]
    assert fitting(lines, 8, lambda _: 2) == lines


def test_ids_are_shortened_by_what_they_share():
    ids = ["a-cifar10-pilot-s1-0000000a", "a-cifar10-pilot-s2-0000000b"]
    assert shortened(ids, 0) == (ids, "")
    assert shortened(ids, 1) == (["…s1-0000000a", "…s2-0000000b"], "a-cifar10-pilot-")
    other = [*ids, "b-hfds_x-y-pilot-s1-0000000c"]
    assert shortened(other, 1) == (other, "")
    assert shortened(other, 2) == (["…a-s1-0000000a", "…a-s2-0000000b", "…b-s1-0000000c"], "")
    assert shortened(other, 3)[0] == ["…0000000a", "…0000000b", "…0000000c"]
    assert shortened([*ids, "a folder"], 1) == ([*ids, "a folder"], "")
    assert shortened(ids[:1], 1) == (ids[:1], "")


def test_every_state_has_a_place():
    text = shown([line(n, state) for n, state in enumerate(State)], 80, height=60)
    assert all(state in text for state in State)


def test_nothing_to_show_and_a_silent_slurm():
    text = shown([], 80, silence="no sbatch on this machine")
    assert "no runs in runs" in text
    silence = "Slurm does not answer, so these are the states that the runs recorded: no sbatch on this machine"
    assert silence in " ".join(text.split())


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """A sweep of three on disk, of which one failed."""
    monkeypatch.setattr("bench.results.run_folder.SETTLE_S", 0)
    base = SUITES["smoke"]["tiny ResNet"]
    for lr, state in (("5e-4", "completed"), ("1e-3", "failed"), ("2e-3", None)):
        spec = dataclasses.replace(base, recipe=override(base.recipe, [f"lr={lr}"]))
        path = prepare(tmp_path, spec)
        values = {"run_id": spec.run_id, "spec": spec.identity(), "git": {}, "versions": {}, "history": []}
        if state:
            with own(path) as owned:
                owned.save_record(RunRecord(status=state, epoch=2, epochs=4, error="too hot", **values))
    return tmp_path


def test_a_sweep_on_a_terminal_and_piped(runs, run_all):
    with Terminal("status", "--runs", runs) as terminal:
        assert terminal.end() == 0
    rows = terminal.now.splitlines()
    assert [row.split()[1:3] for row in rows if "lr=" in row] == [
        ["lr=1e-3", "failed"],
        ["lr=5e-4", "completed"],
        ["lr=2e-3", "not"],
    ]
    assert rows[2].strip() == "too hot"
    assert terminal.screen.broken == []
    piped = run_all("status", "--runs", runs).stdout
    ids = {path.parent.name for path in runs.glob("*/spec.json")}
    listed = [row.split() for row in piped.splitlines()[1:-1]]
    assert {row[0] for row in listed} == ids  # whole, a line each
    assert [row[1] for row in listed] == ["failed", "completed", "not"]  # failures first, as on a terminal
    assert "\x1b" not in piped


@pytest.mark.parametrize("odd", [b"{", b"[" * 9_000, b'{"attempt": 1}', b'{"attempt": 1, "epoch": "two"}', b"\xff"])
def test_a_damaged_progress_file_is_no_end_of_status(runs, run_all, odd):
    folder = next(path.parent for path in runs.glob("*/owner.json"))
    write_atomically(folder / "progress.json", odd)
    done = run_all("status", "--runs", runs)
    assert (done.returncode, done.stderr) == (0, "")
