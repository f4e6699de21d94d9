"""Contradictions within the paper's tables and between them, found from the printed numbers alone."""

from collections.abc import Iterable

from bench.report.text import escape
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
