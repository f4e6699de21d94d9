"""Runs are deleted by name: those alone, and none that anything may still have."""

import pytest

import bench.results.run_folder
from bench.cli import main
from bench.experiments.budgets import SUITES
from bench.launch.job import prepare
from bench.launch.slurm.submissions import Submission, save
from bench.results.record import RunRecord
from bench.results.run_folder import own

RUN, _, OTHER = SUITES["smoke"].values()


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """A folder with two runs that are over, and what is no run's."""
    monkeypatch.setattr(bench.results.run_folder, "SETTLE_S", 0)
    runs = tmp_path / "runs"
    for spec in (RUN, OTHER):
        with own(prepare(runs, spec)) as owned:
            values = {"run_id": spec.run_id, "spec": spec.identity(), "history": [], "git": {}, "versions": {}}
            owned.save_record(RunRecord(status="interrupted", **values))
    (runs / "notes").mkdir()
    return runs


def left(runs):
    return {path.name for path in runs.iterdir()}


def remove(runs, *arguments):
    return main.main(["remove", *arguments, "--runs", str(runs)])


def test_the_runs_that_are_named_are_removed(runs, capsys):
    assert remove(runs, RUN.run_id, "--yes") == 0
    assert capsys.readouterr().out == f"{RUN.run_id}\nremoved 1\n"
    assert left(runs) == {OTHER.run_id, "notes"}
    assert remove(runs, "*", "--yes", "--json") == 0
    assert left(runs) == {"notes"}


def test_nothing_is_removed_unasked(runs, capsys):
    assert remove(runs, "*") == 2
    assert "nothing was removed: nobody can be asked to confirm here; add --yes" in capsys.readouterr().err
    assert left(runs) == {RUN.run_id, OTHER.run_id, "notes"}


def test_a_run_that_is_trained_or_may_be_queued_stays_and_so_do_the_others(runs, capsys):
    with own(runs / RUN.run_id):
        assert remove(runs, "*", "--yes") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"run_all.py: nothing was removed: queued or being trained: {RUN.run_id} (pid ")
    assert left(runs) == {RUN.run_id, OTHER.run_id, "notes"}
    made = {"name": "t2t-a", "cluster": "elsewhere", "created": "2026-01-02T00:00:00+00:00", "job": "12"}
    save(runs, Submission(runs=(OTHER.run_id,), **made))
    assert remove(runs, OTHER.run_id, "--yes") == 2
    assert "job 12 of cluster elsewhere may still have it" in capsys.readouterr().err
    assert (runs / OTHER.run_id / "record.json").exists()


def test_of_a_link_the_link_is_removed(runs, tmp_path):
    (runs / OTHER.run_id).rename(tmp_path / "elsewhere")
    (runs / OTHER.run_id).symlink_to(tmp_path / "elsewhere")
    assert remove(runs, OTHER.run_id, "--yes") == 0
    assert left(runs) == {RUN.run_id, "notes"}
    assert (tmp_path / "elsewhere" / "record.json").exists()
