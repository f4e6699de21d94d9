"""Contradictions within the paper's tables, between them, and with its text, found from the printed numbers alone."""

from collections.abc import Iterable, Mapping

from bench.report.claim_tests import is_margin
from bench.report.text import escape
from bench.spec.claim import Claim, Comparison
from bench.spec.table import Edition, Table

_UNITS = {"params_m": ("params", "M"), "macs_g": ("MACs", "G"), "top1_pct": ("top-1", "%")}


def printed_changes(table: Table, edition: Edition) -> list[str]:
    """A sentence on each printed change that the accuracies printed beside it do not give."""
    sentences = []
    rows = table.rows_in(edition)
    baselines = {row.group: row.printed(edition)[0].top1_pct for row in reversed(rows) if row.baseline}
    for row in rows:
        printed, against = row.printed(edition)[0], baselines.get(row.group)
        if printed.change_pct is None or printed.top1_pct is None or against is None:
            continue
        own = round(printed.top1_pct - against, 9)
        if own != printed.change_pct:
            sentences.append(
                f"The change of {escape(row.name)} is printed as {printed.change_pct:+.1f}, but the printed accuracies "
                f"give {own:+.1f}."
            )
    return sentences


def other_ranges(claims: Iterable[Claim], tables: Mapping[int, Table], edition: Edition) -> list[str]:
    """A sentence on each range of a claim's text that is another than that of the differences it is of."""
    found: dict[tuple[int, float, float], list[float]] = {}
    for claim in claims:
        for one in claim.comparisons:
            if one.of != "difference" or one.low is None or one.high is None or is_margin(one):
                continue
            values = _printed(one, tables[one.table], edition)
            if one.low < one.high and values:
                found.setdefault((claim.number, one.low, one.high), []).append(round(values[0] - values[1], 9))
    return [
        f"Claim {number}: the text says {low:.1f} to {high:.1f} points, the printed accuracies give "
        f"{min(differences):.1f} to {max(differences):.1f}."
        for (number, low, high), differences in found.items()
        if (min(differences), max(differences)) != (low, high)
    ]


def wrong_premises(premises: Iterable[Comparison], tables: Mapping[int, Table], edition: Edition) -> list[str]:
    """A sentence on each network that the text places above another, and a table below it."""
    sentences = []
    for one in premises:
        values = _printed(one, tables[one.table], edition)
        if values and values[0] < values[1]:
            row, against = escape(one.row), escape(one.against)
            sentences.append(
                f"The text says that {one.row.strip('*')} beats {one.against.strip('*')}, but "
                f"[Table {one.table}](table_{one.table}.md) prints {values[0]} % for {row} and {values[1]} % for "
                f"{against}; {one.note}."
            )
    return sentences


def _printed(one: Comparison, table: Table, edition: Edition) -> tuple[float, float] | None:
    """The numbers that the table prints of both rows, if it does."""
    rows = {row.name: row.printed(edition)[0] for row in reversed(table.rows_in(edition))}
    row, against = (getattr(rows.get(name), one.cell, None) for name in (one.row, one.against))
    return None if row is None or against is None else (row, against)


def between_tables(tables: Iterable[Table], edition: Edition) -> list[str]:
    """A sentence on each number of a network that two tables print differently."""
    found: dict[tuple[str, str], dict[float, list[str]]] = {}
    for table in tables:
        for row in table.rows_in(edition):
            for cell in _UNITS:
                value = getattr(row.printed(edition)[0], cell)
                if value is not None:
                    # A star tells how a network was trained, and changes its size by nothing.
                    name = row.name if cell == "top1_pct" else row.name.removesuffix("*")
                    places = found.setdefault((name, cell), {}).setdefault(value, [])
                    place = f"[Table {table.number}](table_{table.number}.md)"
                    if place not in places:
                        places.append(place)
    return [
        f"{escape(name)}: {what} of "
        + ", but ".join(f"{value} {unit} in {' and '.join(places)}" for value, places in values.items())
        + "."
        for (name, cell), values in found.items()
        if len(values) > 1
        for what, unit in [_UNITS[cell]]
    ]
