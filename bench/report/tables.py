"""The report of a table of the paper: its page, its CSV and its picture, and what a command prints of it.

While nothing that they are made of has changed, they are as they were, and pandas is not even imported.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bench.measure.collect import Collected, of_rows
from bench.report.pictures import LIBRARIES, Picture, picture_files
from bench.report.remembered import remembered
from bench.results.codec import decode, parse, plain
from bench.spec.table import Edition, Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Printed:
    """The lines of a table, and what else a command prints of it."""

    columns: tuple[str, ...]
    """heads of the columns on a terminal"""
    lines: tuple[tuple[str, ...], ...]
    """cells on a terminal, a line a row"""
    rows: tuple[dict[str, Any], ...]
    """for programs: lines of the ``table_frame``, None where a value is missing"""
    evaluations: tuple[dict[str, Any], ...]
    """likewise, of the ``evaluations_frame``"""
    unmeasured: int
    """rows of the whole table that have no measurement"""


def table_report(
    table: Table, edition: Edition, found: Collected, *, shown: Sequence[bool], reports: Path
) -> tuple[list[str], Printed]:
    """Write the report of a table, unless it is there.

    Args:
        table: the paper's table.
        edition: whose printed numbers are shown.
        found: results collected for its rows, and perhaps for others.
        shown: of each row that the edition prints, whether the command prints it.
        reports: the folder of reports.

    Returns:
        The names of the files, and what to print.
    """
    own = of_rows(table.rows_in(edition), found)
    files = dict(
        remembered(
            reports,
            f"table {table.number}",
            partial(_made, table, edition, own, shown, reports),
            of=(table, edition, _plain(own), shown),
            libraries=("pandas", "tabulate", *LIBRARIES),
        )
    )
    printed = decode(parse(files.pop(_printed_file(table)).decode()), Printed)
    return list(files), printed


def _printed_file(table: Table) -> str:
    return f".table_{table.number}.json"


def _plain(found: Collected) -> tuple[object, ...]:
    """The results without the networks that they are listed by, which each of them names as well."""
    return (
        [*found.measurements.values()],
        found.records,
        found.evaluations,
        found.recordings,
        found.problems,
    )


def _made(
    table: Table, edition: Edition, found: Collected, shown: Sequence[bool], reports: Path
) -> Mapping[str, bytes]:
    from bench.report.frame import evaluations_frame, plain_rows, without_unused
    from bench.report.inputs import table_inputs
    from bench.report.pages.table import table_markdown, terminal_cells

    name, inputs = f"table_{table.number}", table_inputs(table, edition, found)
    frame = inputs.frame
    files = {
        f"{name}.md": table_markdown(inputs).encode(),
        f"{name}.csv": without_unused(frame).to_csv(index=False, lineterminator="\n").encode(),
    }
    if table.has_picture:
        shows = (table.rows_in(edition), edition, frame, f"Table {table.number}: {table.title}")
        files |= picture_files(reports, name, Picture(draw="figures.plots:tradeoff_figure", shows=shows))
    rows = frame[list(shown)]
    cells = terminal_cells(rows, table=frame)
    printed = {
        "columns": list(cells),
        "lines": cells.to_numpy().tolist(),
        "rows": plain_rows(rows),
        "evaluations": plain_rows(evaluations_frame(table, edition, found.evaluations)),
        "unmeasured": int(frame["macs_g"].isna().sum()),
    }
    return {**files, _printed_file(table): plain(printed).encode()}
