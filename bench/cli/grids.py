"""Tables on the terminal."""

import io
import itertools
import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from bench.spec.table import Edition, RecipeTable, Table
from bench.spec.text import beneath, printable

if TYPE_CHECKING:
    import pandas as pd


def show_table(table: Table, edition: Edition, columns: Sequence[str], lines: Sequence[Sequence[str]]) -> None:
    """Print rows of a table in aligned columns.

    Args:
        table: the paper's table.
        edition: whose numbers are printed beside ours.
        columns: their heads.
        lines: the cells of each row.
    """
    _print_grid(f"Table {table.number}: {table.title} ({edition.name} edition)", columns, lines)
    print(_MEANINGS)
    if any("±" in cell for line in lines for cell in line):
        print(_ERRORS)


_MEANINGS = "equal: the printed number, if rounded or cut off; else the difference in %"
_ERRORS = "±: standard error, of a mean over n seeds or else over the images"


def show_recipes(table: RecipeTable) -> None:
    """Print the settings in aligned columns."""
    from bench.report.pages.recipes import recipes_comparison

    _print_frame(f"Table {table.number}: {table.title}", recipes_comparison(table))


def show_runs(title: str, frame: "pd.DataFrame", by_entry: "pd.DataFrame", sweep: Sequence[str]) -> None:
    """Print runs in aligned columns, or their means if there are several of an entry."""
    from bench.report.pages.runs import runs_comparison, seeds_comparison

    if sweep or (by_entry["runs"] > 1).any():
        _print_frame(title, seeds_comparison(by_entry, sweep))
    else:
        left_out = ["where", "run", "starts from"]
        _print_frame(title, runs_comparison(frame, sweep).drop(columns=left_out, errors="ignore"))


_NAMES = ("Model", "Setting")
_NARROWEST = 10
"""characters of names that are folded"""


def _print_frame(title: str, shown: "pd.DataFrame") -> None:
    _print_grid(title, [*map(str, shown)], shown.to_numpy().tolist())


def _print_grid(title: str, columns: Sequence[str], lines: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table as Grid

    terminal = sys.stdout is not None and sys.stdout.isatty()
    text = io.StringIO()
    width = shutil.get_terminal_size().columns if terminal else 200
    console = Console(file=text, width=width, force_terminal=terminal, markup=False, emoji=False, highlight=False)
    console.print(printable(title), style="bold")
    cells = {name: [printable(line[place]) for line in lines] for place, name in enumerate(columns)}
    widths = {name: _widths(name, texts) for name, texts in cells.items()}
    off = [any(cell.endswith(" %") for cell in line) for line in lines]
    for names in _abreast({name: least for name, (least, _) in widths.items()}, width):
        grid = Grid(box=None, padding=(0, 1, 0, 0), pad_edge=False)
        spare = width - sum(widths[name][0] + 1 for name in names)
        for name in names:
            least, most = widths[name]
            # Where not even one column fits beside the names, the names are folded.
            given = min(most, max(least + spare, _NARROWEST)) if spare > 0 or name in _NAMES else least
            spare -= given - least
            is_text = name in ("Group", "status", *_NAMES) or name.startswith("T2T") or name.endswith("verdict")
            justify: Literal["left", "right"] = "left" if is_text else "right"
            grid.add_column(name.replace(": ", "\n"), justify=justify, overflow="fold", width=given)
        for row, is_off in zip(zip(*(cells[name] for name in names), strict=True), off, strict=True):
            grid.add_row(*row, style="yellow" if is_off else None)
        console.print(grid)
    print(text.getvalue(), end="", file=beneath(sys.stdout))


def _widths(name: str, texts: Sequence[str]) -> tuple[int, int]:
    """Characters of a column if it is broken at words, and if it is not; some columns are never broken."""
    from rich.cells import cell_len

    heads = name.split(": ")
    most = max(map(cell_len, [*heads, *texts]))
    if _is_whole(name):
        return most, most
    parts = heads if len(heads) > 1 else name.split()
    return max(map(cell_len, [*parts, *(word for text in texts for word in text.split())])), most


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
