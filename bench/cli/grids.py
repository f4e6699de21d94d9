"""Tables on the terminal."""

import io
import shutil
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench.spec.table import Edition, RecipeTable, Table
from bench.spec.text import beneath, printable

if TYPE_CHECKING:
    import pandas as pd


def show_table(table: Table, edition: Edition, frame: "pd.DataFrame", shown: "pd.DataFrame") -> None:
    """Print rows of a table in aligned columns.

    Args:
        table: the paper's table.
        edition: whose numbers are printed beside ours.
        frame: all rows of the table.
        shown: those to print.
    """
    from bench.report.pages.table import REAL, comparison
    from bench.report.text import DASH
    from bench.report.verdict import EQUAL

    cells = comparison(shown, table=frame)
    for label in ("Params", "MACs"):
        if (verdict := f"{label}: verdict") in cells:
            cells[verdict] = cells[verdict].where(cells[verdict].isin([EQUAL, DASH]), cells[f"{label}: difference"])
    # The page has the rest: with it Table 3 outgrows a terminal of 80.
    left_out = [name for name in cells if str(name).startswith(REAL) or str(name).endswith(("elsewhere", "difference"))]
    cells = cells.drop(columns=left_out)
    _print_grid(f"Table {table.number}: {table.title} ({edition.name} edition)", cells)
    print(_MEANINGS)
    if cells.map(lambda cell: "±" in cell).any(axis=None):
        print(_ERRORS)


_MEANINGS = "equal: the printed number, if rounded or cut off; else the difference in %"
_ERRORS = "±: standard error, of a mean over n seeds or else over the images"


def show_recipes(table: RecipeTable) -> None:
    """Print the settings in aligned columns."""
    from bench.report.pages.recipes import recipes_comparison

    _print_grid(f"Table {table.number}: {table.title}", recipes_comparison(table))


def show_runs(title: str, frame: "pd.DataFrame", by_entry: "pd.DataFrame", sweep: Sequence[str]) -> None:
    """Print runs in aligned columns, or their means if there are several of an entry."""
    from bench.report.pages.runs import runs_comparison, seeds_comparison

    if sweep or (by_entry["runs"] > 1).any():
        _print_grid(title, seeds_comparison(by_entry, sweep))
    else:
        _print_grid(title, runs_comparison(frame, sweep).drop(columns=["where", "run"]))


def _print_grid(title: str, shown: "pd.DataFrame") -> None:
    from rich.console import Console
    from rich.table import Table as Grid

    terminal = sys.stdout is not None and sys.stdout.isatty()
    text = io.StringIO()
    # On a narrow terminal cells fold, so that columns stay columns and no name or number is cut.
    width = shutil.get_terminal_size().columns if terminal else 200
    console = Console(file=text, width=width, force_terminal=terminal, markup=False, emoji=False, highlight=False)
    grid = Grid(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    for name in map(str, shown.columns):
        is_text = name in ("Group", "Model", "Setting", "status") or name.startswith("T2T") or name.endswith("verdict")
        header = name.replace(": ", "\n")
        is_name = name in ("Model", "Setting")
        grid.add_column(header, justify="left" if is_text else "right", overflow="fold", no_wrap=is_name)
    for line in shown.itertuples(index=False):
        is_off = any(str(cell).endswith(" %") for cell in line)
        grid.add_row(*map(printable, line), style="yellow" if is_off else None)
    console.print(printable(title), style="bold")
    console.print(grid)
    print(text.getvalue(), end="", file=beneath(sys.stdout))
