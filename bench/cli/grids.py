"""Tables on the terminal."""

import io
import itertools
import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

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
        _print_grid(title, runs_comparison(frame, sweep).drop(columns=["where", "run", "starts from"], errors="ignore"))


_NAMES = ("Model", "Setting")


def _print_grid(title: str, shown: "pd.DataFrame") -> None:
    from rich.console import Console
    from rich.table import Table as Grid

    terminal = sys.stdout is not None and sys.stdout.isatty()
    text = io.StringIO()
    width = shutil.get_terminal_size().columns if terminal else 200
    console = Console(file=text, width=width, force_terminal=terminal, markup=False, emoji=False, highlight=False)
    console.print(printable(title), style="bold")
    measured = {name: _widths(name, shown[name]) for name in map(str, shown.columns)}
    for columns in _abreast({name: least for name, (least, _) in measured.items()}, width):
        grid = Grid(box=None, padding=(0, 1, 0, 0), pad_edge=False)
        spare = width - sum(measured[name][0] + 1 for name in columns)
        for name in columns:
            least, most = measured[name]
            given = max(least, min(most, least + spare))
            spare -= given - least
            is_text = name in ("Group", "status", *_NAMES) or name.startswith("T2T") or name.endswith("verdict")
            justify: Literal["left", "right"] = "left" if is_text else "right"
            grid.add_column(name.replace(": ", "\n"), justify=justify, overflow="fold", width=given)
        for line, cells in zip(shown.itertuples(index=False), shown[columns].itertuples(index=False), strict=True):
            is_off = any(str(cell).endswith(" %") for cell in line)
            grid.add_row(*map(printable, cells), style="yellow" if is_off else None)
        console.print(grid)
    print(text.getvalue(), end="", file=beneath(sys.stdout))


def _widths(name: str, cells: "pd.Series[Any]") -> tuple[int, int]:
    """Characters of a column if it is broken at words, and if it is not; some columns are never broken."""
    from rich.cells import cell_len

    heads, texts = name.split(": "), [printable(cell) for cell in cells]
    most = max(map(cell_len, heads + texts))
    if _is_whole(name):
        return most, most
    words = [word for text in ([] if len(heads) > 1 else heads) + texts for word in text.split()]
    return max(map(cell_len, words + (heads if len(heads) > 1 else [])), default=0), most


def _is_whole(name: str) -> bool:
    """Whether the cells of a column stay on one line: names, and differences with their sign for percent."""
    return name in _NAMES or name.endswith("verdict")


def _abreast(least: Mapping[str, int], width: int) -> list[list[str]]:
    """Divide columns among grids that fit on the terminal, each of which begins with the names.

    What a row says of one quantity ("MACs: paper", "MACs: ours") stays together.

    Args:
        least: the least width of each column in characters.
        width: of the terminal.
    """
    (name,) = (each for each in least if each in _NAMES)
    grids: list[list[str]] = [[]]
    for _, group in itertools.groupby(least, key=lambda column: column.split()[0].rstrip(":")):
        columns = list(group)
        beside = [*grids[-1], *columns]
        if sum(least[each] + 1 for each in {name, *beside}) > width and set(grids[-1]) > {name}:
            grids.append([name, *columns])
        else:
            grids[-1] = beside
    return grids
