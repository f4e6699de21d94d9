"""Pictures and pages are made again if, and only if, their data, the code or a library has changed."""

import dataclasses
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from bench.cli.output import write_report
from bench.measure.collect import collect, of_rows
from bench.paper import TABLES
from bench.paper.editions import ICCV
from bench.report import remembered as memory
from bench.report.pictures import Picture
from bench.report.remembered import MEMORY, remembered
from bench.results.run_folder import RunRecords
from bench.results.store import load_complexity, save_complexity
from bench.spec.run import Network
from tests.cli.test_main import IMPORTED
from tests.conftest import ROOT


def made(folder, of, content=b"a picture", name="one", libraries=("numpy",)):
    """Make and write a file if need be; returns whether it was made, and what is there."""
    calls = []

    def make():
        calls.append(of)
        return {f"{name}.txt": content}

    files = remembered(folder, name, make, of=of, libraries=libraries)
    return bool(calls), files[f"{name}.txt"]


def test_what_has_not_changed_is_not_made_again(tmp_path):
    assert made(tmp_path, [1, "a"]) == (True, b"a picture")
    assert made(tmp_path, [1, "a"], b"another") == (False, b"a picture")
    assert made(tmp_path, [1, "a"], name="two") == (True, b"a picture")
    assert made(tmp_path, [1, "a"]) == (False, b"a picture")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([1.0], [1.0 + 2**-52]),
        ([None], [float("nan")]),
        (["1"], [1]),
        ({"a": 1, "b": 2}, {"a": 2, "b": 1}),
        (pd.DataFrame({"a": [1.0]}), pd.DataFrame({"a": [1.0 + 2**-52]})),
        (pd.DataFrame({"a": ["1"]}), pd.DataFrame({"a": [1]})),
        (pd.DataFrame({"a": [""]}), pd.DataFrame({"a": [None]})),
        (pd.DataFrame({"a": [1]}), pd.DataFrame({"b": [1]})),
        (np.zeros((2, 2), np.uint8), np.eye(2, dtype=np.uint8)),
        (np.zeros((1, 4)), np.zeros((2, 2))),
        (np.float64(1), np.float64(2)),
    ],
)
def test_other_data_are_made_anew(tmp_path, before, after):
    assert made(tmp_path, before)[0]
    assert not made(tmp_path, before)[0]
    assert made(tmp_path, after, b"another") == (True, b"another")


def test_data_of_which_it_has_no_fingerprint_are_an_error(tmp_path):
    with pytest.raises(NotImplementedError, match="no fingerprint of Picture"):
        memory._encodable(Picture(draw="", shows=()))


@pytest.mark.parametrize("content", [None, b"", b"an edited picture"])
def test_a_file_that_was_edited_or_removed_is_made_anew(tmp_path, content):
    made(tmp_path, 1)
    path = tmp_path / "one.txt"
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    assert made(tmp_path, 1)[0]
    assert path.read_bytes() == b"a picture"


@pytest.mark.parametrize("content", ["", "[]", '{"made": {"one": 1}}', None])
def test_without_a_memory_all_is_made_anew(tmp_path, content):
    made(tmp_path, 1)
    (tmp_path / MEMORY).unlink()
    if content is not None:
        (tmp_path / MEMORY).write_text(content)
    assert made(tmp_path, 1)[0]
    assert not made(tmp_path, 1)[0]


def test_the_memory_forgets_what_is_gone(tmp_path):
    for name in ("one", "two", "three"):
        made(tmp_path, 1, name=name)
    (tmp_path / "two.txt").unlink()
    made(tmp_path, 2)
    assert memory._load(tmp_path).made.keys() == {"one", "three"}


def test_another_version_of_a_library_makes_anew(tmp_path, monkeypatch):
    made(tmp_path, 1)
    monkeypatch.setattr(memory, "version", lambda name: "0.0")
    assert made(tmp_path, 1)[0]


@pytest.mark.parametrize(
    ("file", "is_made"),
    [
        ("report/figures/plots.py", True),
        ("report/html/page.css", True),
        ("spec/table.py", True),
        ("launch/planner.py", False),
    ],
)
def test_an_edit_of_the_code_behind_reports_makes_anew(tmp_path, monkeypatch, file, is_made):
    copy = tmp_path / "bench"
    shutil.copytree(ROOT / "bench", copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(memory, "__file__", str(copy / "report/remembered.py"))
    memory._code_sha256.cache_clear()
    try:
        made(tmp_path, 1)
        with (copy / file).open("a") as edited:
            edited.write(" ")
        memory._code_sha256.cache_clear()
        assert made(tmp_path, 1)[0] == is_made
    finally:
        memory._code_sha256.cache_clear()


def test_a_report_that_has_not_changed_is_not_written(tmp_path):
    contents = {"md": "# A page\n", "csv": "a,b\n"}
    write_report(tmp_path, "page", contents)
    before = {path.name: path.stat().st_ino for path in tmp_path.iterdir()}
    write_report(tmp_path, "page", contents | {"csv": "a,c\n"})
    after = {path.name: path.stat().st_ino for path in tmp_path.iterdir()}
    assert [name for name in after if after[name] != before[name]] == ["page.csv"]


def test_a_link_in_the_place_of_a_report_is_replaced(tmp_path):
    elsewhere = tmp_path / "elsewhere.md"
    elsewhere.write_text("# A page\n")
    (tmp_path / "page.md").symlink_to(elsewhere)
    write_report(tmp_path, "page", {"md": "# A page\n"})
    assert not (tmp_path / "page.md").is_symlink()


def test_a_changed_measurement_draws_its_picture_and_no_other(run_all, tmp_path):
    runs, reports = tmp_path / "runs", tmp_path / "reports"
    shutil.copytree(ROOT / "reports" / "evidence" / "complexity", runs / "complexity")
    options = ("--table", 3, 4, "--runs", runs, "--reports", reports)
    first = run_all(*options)
    assert first.returncode == 0, first.stderr

    def report(**kwargs):
        """Report again; returns what was written, what was printed, and what was imported where code is given."""
        before = {path: path.stat().st_mtime_ns for path in reports.iterdir()}
        done = run_all(*options, **kwargs)
        assert done.returncode == 0, done.stderr
        written = {path.name for path in reports.iterdir() if path.stat().st_mtime_ns != before.get(path)}
        return written, done.stdout, done.stderr.splitlines()[-1:]

    written, printed, (imported,) = report(code=IMPORTED)
    assert not written
    assert printed == first.stdout
    assert "rich" in imported.split()
    assert not {"pandas", "numpy", "matplotlib", "torch"} & set(imported.split())
    measured = load_complexity(runs, Network("mobilenetv2_100"))
    save_complexity(runs, dataclasses.replace(measured, params=measured.params + 100_000))
    assert report()[0] == {MEMORY, ".table_4.json", *(f"table_4.{suffix}" for suffix in ("csv", "md", "png", "svg"))}
    (reports / "table_3.png").write_bytes(b"edited")
    assert report()[0] == {MEMORY, "table_3.png"}
    (reports / "table_3.md").write_text("edited")
    assert report()[0] == {MEMORY, "table_3.md"}


def test_results_of_a_tables_rows_are_the_same_whatever_else_was_collected():
    evidence = RunRecords(ROOT / "reports" / "evidence")
    rows = TABLES[3].rows_in(ICCV)
    alone = collect(rows, evidence)
    beside = collect([row for table in TABLES.values() for row in table.rows_in(ICCV)], evidence)
    assert len(alone.measurements) < len(beside.measurements)
    for name in ("measurements", "records", "evaluations"):
        own, same = (list(getattr(of_rows(rows, found), name).items()) for found in (alone, beside))
        assert own == same


def test_no_page_imports_what_draws_its_picture():
    code = """
import importlib, pkgutil, sys
import bench.report, bench.report.pages
for package in (bench.report, bench.report.pages):
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        importlib.import_module(module.name)
assert "bench.report.pages.figure_1" in sys.modules
assert "matplotlib" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
