"""Exported files, read back by the programs that they are for."""

import json

import pandas as pd
import pytest

import bench
from bench.cli import main
from bench.report.data import LOADED_RUN_COLUMNS
from bench.report.facts import FACT_COLUMNS
from tests.conftest import ROOT

EVIDENCE = ROOT / "reports/evidence"


def export(*arguments):
    return main.main(["export", *map(str, arguments)])


def test_data_come_back_from_csv_and_parquet(tmp_path, capsys):
    assert export("data", "--runs", EVIDENCE, "--to", tmp_path, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    expected = {"facts": bench.load_facts(EVIDENCE), "runs": bench.load_runs(EVIDENCE)}
    assert told["rows"] == {name: len(frame) for name, frame in expected.items()}
    for (name, frame), columns in zip(expected.items(), (FACT_COLUMNS, LOADED_RUN_COLUMNS), strict=True):
        pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / f"{name}.parquet"), frame)
        pd.testing.assert_frame_equal(pd.read_csv(tmp_path / f"{name}.csv", dtype=columns), frame)
    assert set(told["files"]) == {path.name for path in tmp_path.iterdir()}


def test_data_replace_an_earlier_export_and_no_other_file(tmp_path, capsys):
    runs = tmp_path / "runs"
    runs.mkdir()
    for _ in range(2):
        assert export("data", "--runs", runs, "--to", tmp_path / "to") == 0
    for name in ("facts.csv", "runs.parquet"):
        (tmp_path / "own").mkdir(exist_ok=True)
        (tmp_path / "own" / name).write_text("mine")
        assert export("data", "--runs", runs, "--to", tmp_path / "own") == 2
        assert f"/own/{name} is no earlier export; move it away, or choose" in capsys.readouterr().err
        assert [path.read_text() for path in (tmp_path / "own").iterdir()] == ["mine"]
        (tmp_path / "own" / name).unlink()


def without(module):
    return f"import sys; sys.modules[{module!r}] = None; import run_all; sys.exit(run_all.main())"


def test_data_without_pyarrow_are_csv(run_all, tmp_path):
    command = ("export", "data", "--runs", EVIDENCE, "--to", tmp_path)
    done = run_all(*command, code=without("pyarrow"))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "run_all.py: export data needs pyarrow: pip install -c constraints.txt -e '.[parquet]', or leave Parquet out "
        "with --format csv\n"
    )
    done = run_all(*command, "--format", "csv", code=without("pyarrow"))
    assert (done.returncode, done.stderr) == (0, "")
    assert {path.name for path in tmp_path.iterdir()} == {"facts.csv", "runs.csv"}


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], "the following arguments are required: FORMAT; run_all.py export --help shows"),
        (["onyx"], "argument FORMAT: invalid choice: 'onyx'"),
        (["data", "--runs", "nowhere"], "no folder of runs 'nowhere'; choose one"),
    ],
)
def test_a_wrong_request_is_one_line(arguments, line, capsys):
    assert export(*arguments) == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith(f"run_all.py: {line}")
