"""Count what published predictions say, and report the tables whose rows they fill."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.cli.output import finish
from bench.cli.parser import Output
from bench.cli.selection import Selection
from bench.cli.table_report import report_tables, require_reports
from bench.measure.collect import measure_missing
from bench.paper.recorded import names_of, weights_of
from bench.results.files import require_writable
from bench.results.recorded import RecordedNetwork, Recording
from bench.results.store import save_recording
from bench.spec.table import Row, Table, networks


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionsRequest:
    """The published predictions to count."""

    predictions: Path
    labels: Path | None
    """None where the file of predictions holds them"""
    real_labels: Path | None
    selection: Selection
    """tables to report; of all of them only those that are filled, unless they were named"""
    are_tables_named: bool
    output: Output


def record_predictions(asked: PredictionsRequest) -> int:
    """Count, keep and report; returns the exit code."""
    from bench.measure.recorded_predictions import record

    require_reports(asked.output)
    require_writable(asked.output.runs / "recorded", "--runs")
    found = record(asked.predictions, asked.labels, asked.real_labels)
    save_recording(asked.output.runs, found)
    selection = asked.selection if asked.are_tables_named else _filled(asked.selection, found)
    if not asked.output.as_json:
        for line in _lines(asked.selection.tables, found):
            print(line)
    if not selection.tables:
        return finish({"tables": []} if asked.output.as_json else None, [])
    failures = measure_missing(networks(selection.rows), asked.output.runs)
    return report_tables(selection, asked.output, failures)


def _filled(selection: Selection, found: Recording) -> Selection:
    """The selection without the tables of which no row is filled."""
    tables = tuple(table for table in selection.tables if any(_of_row(row, found) for row in table.rows))
    rows = tuple(row for row in selection.rows if any(row in table.rows for table in tables))
    return Selection(tables=tables, recipe_tables=(), rows=rows, edition=selection.edition)


def _of_row(row: Row, found: Recording) -> list[RecordedNetwork]:
    weights = weights_of(row)
    return list(found.of_weights(names_of(weights))) if weights and found.are_official_labels else []


def _lines(tables: Sequence[Table], found: Recording) -> Iterator[str]:
    """A line for each network, with what it fills."""
    if not found.are_official_labels:
        yield "the labels are not ImageNet's, so nothing here fills a cell"
    for one in found.networks:
        top5 = "" if one.top5_pct is None else f", top-5 {one.top5_pct:.2f} %"
        real = "" if one.real_pct is None else f", {one.real_pct:.2f} % on the {one.real_images:,} with ReaL labels"
        rows = [(row, table) for table in tables for row in table.rows if one in _of_row(row, found)]
        fills = " and ".join(f"{row.name} in Table {table.number}" for row, table in rows)
        yield (
            f"{one.name}: top-1 {one.top1_pct:.3f} ± {one.top1_se:.2f} %{top5} of {one.images:,} images{real}; "
            f"{f'fills {fills}' if fills else _why_not(one)}{_DISORDERED if one.top1_pct < _CHANCE_PCT else ''}"
        )


_CHANCE_PCT = 1.0
"""ten times what a guess gets right"""

_DISORDERED = "; are its images in the order of their files, and its classes in that of their WordNet ids?"


def _why_not(one: RecordedNetwork) -> str:
    if not one.weights:
        return (
            "fills nothing: the weights behind these predictions are not known; name them in a .json file beside them"
        )
    return f"fills nothing: {one.weights} are not the weights of any row"
