"""Tables on the terminal show what their cells hold, however narrow it is."""

import shutil

import pytest

from bench.cli.grids import _print_grid, show_table
from bench.paper import TABLES
from bench.paper.editions import ICCV
from bench.report.frame import table_frame
from bench.report.pages.table import terminal_cells
from tests.conftest import ROOT, collected
from tests.report.test_frame import over_seeds
from tests.terminal import Terminal


def test_a_cell_is_no_markup_and_commands_no_terminal(capsys):
    _print_grid("Runs of [/title]", ["Model", "n"], [["[/red] [bold]x :bug: \x1b[31m\u202e", "1"]])
    title, _, line = capsys.readouterr().out.splitlines()
    assert title.strip() == "Runs of [/title]"
    assert line.split() == ["[/red]", "[bold]x", ":bug:", r"\x1b[31m\u202e", "1"]


def test_the_terminal_says_what_is_after_a_mean(capsys):
    run = TABLES[3].rows[2].run
    for found, is_said in (
        (collected(), False),
        (collected(None, {run.run_id: over_seeds(run.run_id, 81.0, 81.2)}), True),
    ):
        frame = table_frame(TABLES[3], ICCV, found)
        cells = terminal_cells(frame, table=frame)
        show_table(TABLES[3], ICCV, list(cells), cells.to_numpy().tolist())
        out = capsys.readouterr().out
        assert ("81.10 ± 0.10 (n=2)" in out) == is_said
        assert ("\n±: standard error, of a mean over n seeds or else over the images\n" in out) == is_said


@pytest.mark.parametrize(("number", "grids"), [(1, 2), (3, 1), (6, 3)])
def test_columns_that_do_not_fit_stand_below_and_no_word_is_broken(number, grids, tmp_path):
    for kept in ("complexity", "recorded"):
        shutil.copytree(ROOT / "reports/evidence" / kept, tmp_path / "runs" / kept)
    seen = {}
    for columns in (80, 200):
        folders = ("--runs", tmp_path / "runs", "--reports", tmp_path / "reports")
        with Terminal("--table", number, *folders, columns=columns) as terminal:
            assert terminal.end() == 0
            assert not [line for line in terminal.screen.broken if not line.startswith("  /")]
            seen[columns] = terminal.all[terminal.all.index(f"Table {number}:") :].split("\nwrote")[0]
    heads = [line for line in seen[80].splitlines() if "Model " in line]
    assert len(heads) == grids
    assert set(seen[80].split()) == set(seen[200].split())


def test_a_name_that_leaves_no_room_is_folded(capsys):
    _print_grid("Runs", ["Model", "seed", "last top-1 %"], [["m" * 230, "1", "54.00 ± 0.50"]])
    told = capsys.readouterr().out
    assert told.count("m") in (230, 460)  # once a grid
    assert {"seed", "1", "54.00", "±", "0.50"} <= set(told.split())
    assert max(map(len, told.splitlines())) <= 200
