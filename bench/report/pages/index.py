"""The index of the reports: every table with what was measured, how well it agrees, and what is missing."""

from collections.abc import Mapping, Sequence

import pandas as pd

from bench.report.evidence import FOLDER, LISTED_SEEDS, link
from bench.report.pages.table import VERDICT_MEANINGS, verdict_counts
from bench.report.text import escape, pipe, unused
from bench.report.verdict import VERDICTS
from bench.spec.table import ACCURACY_CELLS, Edition, RecipeTable, Table


def index_markdown(
    tables: Sequence[Table],
    recipe_tables: Sequence[RecipeTable],
    edition: Edition,
    frames: Sequence[pd.DataFrame],
    claims: str,
    figures: Mapping[int, str],
    missing: str,
    apart: Mapping[str, str],
    problems: Sequence[str],
) -> str:
    """The index.

    Args:
        tables: of networks.
        recipe_tables: those of settings.
        edition: whose printed figures the frames show.
        frames: from ``table_frame``, one a table.
        claims: from ``claims_overview``.
        figures: titles, by number.
        missing: from ``missing_markdown``.
        apart: titles of reports that fill none of the paper's cells, by file.
        problems: a line on each file of evidence that is not used.
    """
    lines = [_line(table, frame) for table, frame in zip(tables, frames, strict=True)]
    total = pd.DataFrame(lines).iloc[:, 1:].sum()
    verdicts = total_counts(frames)
    counts = ", ".join(f"{count} {name}" for name, count in verdicts.items())
    shown = pd.DataFrame([*lines, {"Table": "all", **total}]).astype(str)
    networks = len(set().union(*(set(zip(f["network"], f["img_size"], strict=True)) for f in frames)))
    beside = [f"- {link(escape(title), file)}" for file, title in apart.items()]
    sections = [
        "# Reports",
        f"What this suite found on the tables of the T2T-ViT paper, {edition.name} edition ({edition.citation}). "
        "Written by `python run_all.py --all`; a dash is a figure that nobody has measured here.",
        f"Of {sum(verdicts.values())} cells of params and MACs that were measured: {counts}. Tables share networks: "
        f"the {total['rows']} rows are of {networks} networks. Of {total['printed accuracies']} printed accuracies "
        f"{total['trained here']} are reproduced by training here, and {total['evaluated']} are beside those of "
        "released weights, evaluated here.",
        "![Figure 1: top-1 on ImageNet against MACs and params](figure_1.png)",
        "## Claims",
        claims,
        "[The claims](claims.md), each with the comparisons that it stands on, their numbers and errors; "
        "[the designs](ideas.md) of Tables 6 and 7 against their baselines.",
        "## Tables",
        pipe(shown, text=("Table",)),
        f"{VERDICT_MEANINGS} [How multiply-adds are counted](counting.md) compares the conventions.",
        "## Figures",
        "\n".join(f"- [Figure {number}](figure_{number}.md): {title}" for number, title in figures.items()),
        missing,
        _evidence(problems),
        *_reasons(tables, frames),
        "## Settings\n\nRead off the recipes, with the source of every value:\n\n"
        + "\n".join(f"- [Table {s.number}](table_{s.number}.md): {s.title}" for s in recipe_tables),
        *(["## Beside the paper\n\n" + "\n".join(beside)] if beside else []),
    ]
    return "\n\n".join(sections) + "\n"


def _evidence(problems: Sequence[str]) -> str:
    """How to get from a number to what it was made of, and what was not used."""
    text = (
        f"What was measured, trained or evaluated lies in `{FOLDER}/`, a copy of what these reports were made of: "
        f"`python run_all.py --all --runs reports/{FOLDER}` makes them from it again (of a run's seeds at most "
        f"{LISTED_SEEDS} are copied). Each page links a row's measurement, runs and evaluations, with machine, "
        "versions and day, and its CSV names their files. They carry a checksum of themselves: a file that "
        "does not fit its checksum counts as none, and is listed here. "
        "What the paper prints is held in `bench/paper/`, by table and edition."
    )
    return "\n\n".join(["## Evidence", text, *unused(problems)])


def total_counts(frames: Sequence[pd.DataFrame]) -> dict[str, int]:
    """How many params and MACs cells of all tables got each verdict."""
    counts = [verdict_counts(frame) for frame in frames]
    return {name: sum(count[name] for count in counts) for name in VERDICTS}


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
        "printed accuracies": sum(int(frame[f"published_{cell.accuracy}"].notna().sum()) for cell in ACCURACY_CELLS),
        **_filled(frame),
    }


def _filled(frame: pd.DataFrame) -> dict[str, int]:
    """How many printed accuracies stand beside one of training, and how many beside one of released weights."""
    counts = {"trained here": 0, "evaluated": 0}
    for cell in ACCURACY_CELLS:
        found = frame[frame[f"published_{cell.accuracy}"].notna() & frame[cell.accuracy].notna()]
        counts["trained here"] += int(found[cell.seeds].notna().sum())
        counts["evaluated"] += int(found[cell.seeds].isna().sum())
    return counts
