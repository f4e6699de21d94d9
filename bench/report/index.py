"""The index of the reports: every table with what was measured, how well it agrees, and what is missing."""

from collections.abc import Sequence

import pandas as pd

from bench.report.markdown import VERDICT_MEANINGS, escape, pipe, verdict_counts
from bench.report.verdict import VERDICTS
from bench.specs import Edition, RecipeTable, Table


def index_markdown(
    tables: Sequence[Table], recipe_tables: Sequence[RecipeTable], edition: Edition, frames: Sequence[pd.DataFrame]
) -> str:
    """The index.

    Args:
        tables: of networks.
        recipe_tables: those of settings.
        edition: whose printed figures the frames show.
        frames: from ``table_frame``, one a table.
    """
    lines = [_line(table, frame) for table, frame in zip(tables, frames, strict=True)]
    total = pd.DataFrame(lines).iloc[:, 1:].sum()
    counts = ", ".join(f"{total[name]} {name}" for name in VERDICTS)
    shown = pd.DataFrame([*lines, {"Table": "all", **total}]).astype(str)
    sections = [
        "# Reports",
        f"What this suite found on the tables of the T2T-ViT paper, {edition.name} edition ({edition.citation}). "
        "Written by `python run_all.py --all`; a dash is a figure that nobody has measured here.",
        f"Of {sum(total[name] for name in VERDICTS)} cells of params and MACs that were measured: {counts}. Of "
        f"{total['printed top-1']} printed top-1 accuracies {total['reproduced']} are reproduced.",
        pipe(shown, text=("Table",)),
        f"{VERDICT_MEANINGS} [How multiply-adds are counted](counting.md) compares the conventions.",
        *_reasons(tables, frames),
        "## Settings\n\nRead off the recipes, with the source of every value:\n\n"
        + "\n".join(f"- [Table {s.number}](table_{s.number}.md): {s.title}" for s in recipe_tables),
    ]
    return "\n\n".join(sections) + "\n"


def _reasons(tables: Sequence[Table], frames: Sequence[pd.DataFrame]) -> list[str]:
    """Each reason that is held for a cell that differs, with its cells."""
    cells: dict[str, list[str]] = {}
    for table, frame in zip(tables, frames, strict=True):
        for line in frame.to_dict("records"):
            for cell, label in (("params", "params"), ("macs", "MACs")):
                if line[f"{cell}_verdict"] == "differs":
                    where = f"{table.number} {escape(line['model'])} ({label})"
                    cells.setdefault(line[f"{cell}_reason"], []).append(where)
    if not cells:
        return []
    most_first = sorted(cells.items(), key=lambda item: -len(item[1]))
    shown = pd.DataFrame(
        {
            "Reason held": [escape(reason) for reason, _ in most_first],
            "cells": [str(len(where)) for _, where in most_first],
            "Table, row and cell": [", ".join(where) for _, where in most_first],
        }
    )
    return ["## Why cells differ", pipe(shown, text=("Reason held", "Table, row and cell"))]


def _line(table: Table, frame: pd.DataFrame) -> dict[str, object]:
    return {
        "Table": f"[{table.number}](table_{table.number}.md): {table.title}",
        "rows": len(frame),
        "measured": int(frame["macs_g"].notna().sum()),
        **verdict_counts(frame),
        "printed top-1": int(frame["published_top1_pct"].notna().sum()),
        "reproduced": int(frame["top1_pct"].notna().sum()),
    }
