"""The index of the reports: every table with what was measured, how well it agrees, and what is missing."""

from collections import Counter
from collections.abc import Sequence

import pandas as pd

from bench.paper.claims import CLAIMS
from bench.paper.editions import ICCV
from bench.paper.released import RELEASED
from bench.paper.reported import REPORTED
from bench.report.claim_tests import FAILS
from bench.report.contests import AGREES, DISAGREES
from bench.report.evidence import FOLDER, LISTED_SEEDS, link
from bench.report.frame import recorded_for
from bench.report.inputs import IndexInputs, TableInputs
from bench.report.pages.claims import claims_in_words, claims_overview, status, study_in_words
from bench.report.pages.missing import missing_markdown
from bench.report.pages.table import VERDICT_MEANINGS, counts_in_words, verdict_counts
from bench.report.text import escape, pipe, unused
from bench.report.verdict import VERDICTS
from bench.spec.table import ACCURACY_CELLS


def index_markdown(inputs: IndexInputs) -> str:
    """Write the index."""
    edition, frames = inputs.edition, [one.frame for one in inputs.tables]
    lines = [_line(one) for one in inputs.tables]
    total = pd.DataFrame(lines).iloc[:, 1:].sum()
    verdicts = total_counts(frames)
    shown = pd.DataFrame([*lines, {"Table": "all", **total}]).astype(str)
    networks = len(set().union(*(set(zip(f["network"], f["img_size"], strict=True)) for f in frames)))
    beside = [f"- {link(escape(title), file)}" for file, title in inputs.apart.items()]
    sections = [
        "# Reports",
        f"Is what the T2T-ViT paper says true? {_answer(inputs, total)}",
        f"These pages compare the numbers that its {edition.name} edition prints ({edition.citation}) with our own. A "
        "dash means that there is no result here yet.",
        "\n".join(
            [
                f"- **Claims.** The text makes {len(CLAIMS)}. {claims_in_words(CLAIMS, inputs.claims)}.",
                *(
                    "\n".join([f"- **Trained here.** {about}", *(f"  - {sentence}" for sentence in told)])
                    for about, told in study_in_words(inputs.in_study).items()
                ),
                f"- **Params and MACs.** Of {sum(verdicts.values())} measured here, {counts_in_words(verdicts)}.",
                f"- **Accuracies.** {total['printed accuracies']} are printed. {total['trained here']} can be compared "
                f"with networks trained here, {total['evaluated']} with released weights evaluated here, and "
                f"{total['recorded']}, of {_recorded(inputs)} networks, with published predictions of the same "
                f"weights. For {len(REPORTED)} released files of weights, {_by_authors()} of them the authors' own, "
                "others report accuracies; these are cited in the tables and fill no cell.",
                *([f"- **Speed.** {inputs.speed} [The page on speed](speed.md) names them."] if inputs.speed else []),
            ]
        ),
        "![Figure 1: top-1 on ImageNet against MACs and params](figure_1.png)",
        "## Claims",
        claims_overview(CLAIMS, inputs.claims),
        "*By printed numbers*: whether the paper's own tables support its text. *By our numbers*: whether results from "
        "this repository do. *In the study*: whether small networks trained here do. [The page on the claims]"
        "(claims.md) shows the comparisons behind each verdict, with their numbers and errors. [Another](ideas.md) "
        "compares the CNN designs of Tables 6 and 7 with their baselines, and [a third](cost.md) says what deciding "
        f"each claim would cost.{_ALIKE if edition == ICCV else ''}",
        "## Tables",
        pipe(shown, text=("Table",)),
        f"{VERDICT_MEANINGS} The {total['rows']} rows show {networks} different networks. [How multiply-adds are "
        "counted](counting.md) compares the conventions.",
        "## Standard errors",
        _STANDARD_ERRORS,
        "## Figures",
        "\n".join(f"- [Figure {number}](figure_{number}.md): {title}" for number, title in inputs.figures.items()),
        missing_markdown(inputs),
        _evidence(inputs.problems),
        *_reasons(inputs.tables),
        "## Settings",
        "Read from the recipes, with the source of every value:",
        "\n".join(f"- [Table {s.number}](table_{s.number}.md): {s.title}" for s in inputs.recipe_tables),
        *(["## Beyond the paper", "\n".join(beside)] if beside else []),
    ]
    return "\n\n".join(sections) + "\n"


def _answer(inputs: IndexInputs, total: "pd.Series[int]") -> str:
    """Whether what the paper says is true, in two sentences or three."""
    printed, ours = total["printed accuracies"], total["trained here"] + total["evaluated"]
    if ours:
        sentences = [f"**In part:** of its {printed} accuracies, {ours} can be compared with our own."]
    else:
        sentences = [
            f"**At its own scale, that is not known yet:** none of its {printed} accuracies has been reproduced here."
        ]
    failed = sum(status(inputs.claims, claim.number, "published") == FAILS for claim in CLAIMS)
    sentences.append(f"Of its {len(CLAIMS)} claims, {failed} fail{'s' * (failed == 1)} by its own printed numbers.")
    verdicts = Counter(one.verdict for one in inputs.in_study.values())
    if verdicts[AGREES] + verdicts[DISAGREES]:
        counts = f"agree with {verdicts[AGREES]} of them and disagree with {verdicts[DISAGREES]}"
        sentences.append(f"Small networks trained here {counts}.")
    return " ".join(sentences)


_ALIKE = (
    " The text says that the networks of claim 2 were trained alike; they [may not have been](claims.md"
    "#were-the-networks-trained-alike)."
)

_STANDARD_ERRORS = (
    "± is one standard error, on every page: the standard deviation that a number would have if it were determined "
    "many times.\n\n"
    "- For a mean over n trained seeds: each time with other seeds, on the same images. It is the sample standard "
    "deviation between the seeds divided by √n. A single seed has none.\n"
    "- For the accuracy of released weights, evaluated or recorded: each time on other images, with the same weights. "
    "It is √(p (100 - p) / images) for an accuracy of p %.\n"
    "- For a difference of two accuracies: both, as the page on [the claims](claims.md) says.\n\n"
    "CSV files have it in columns that end in `std_err`, in points; standard deviations between seeds are in those "
    "that end in `std`. Pictures say how many standard errors their bars span."
)


def _recorded(inputs: IndexInputs) -> int:
    """The number of networks that have an accuracy from published predictions."""
    return len(
        {
            row.network
            for one in inputs.tables
            for row in one.table.rows_in(inputs.edition)
            if recorded_for(row, one.found.recordings)
        }
    )


def _by_authors() -> int:
    """The number of files evaluated by others that are the authors'."""
    return len({found.name for found in RELEASED.values() if not found.tag} & REPORTED.keys())


def _evidence(problems: Sequence[str]) -> str:
    """The way from a number to the file behind it, and the files that are not used."""
    text = (
        f"`{FOLDER}/` holds a copy of everything that was measured, trained or evaluated for these reports (at most "
        f"{LISTED_SEEDS} seeds of each run); `python run_all.py --all --runs reports/{FOLDER}` rebuilds them from it. "
        "Each page links to the measurement, the runs and the evaluations behind a row, with machine, versions and "
        "date, and its CSV names their files. Each file carries its own checksum; one that does not match it is not "
        "used, and is listed here. The paper's printed numbers are in `bench/paper/`, by table and "
        "edition."
    )
    return "\n\n".join(["## Evidence", text, *unused(problems)])


def total_counts(frames: Sequence[pd.DataFrame]) -> dict[str, int]:
    """The number of params and MACs cells in all tables with each verdict."""
    counts = [verdict_counts(frame) for frame in frames]
    return {name: sum(count[name] for count in counts) for name in VERDICTS}


def _reasons(tables: Sequence[TableInputs]) -> list[str]:
    """The reasons for numbers that are not equal to the printed ones, the most frequent first, with their cells."""
    cells: dict[str, list[str]] = {}
    for one in tables:
        for line in one.frame.to_dict("records"):
            for cell, label in (("params", "params"), ("macs", "MACs")):
                if not pd.isna(line[f"{cell}_reason"]):
                    where = f"{one.table.number} {escape(line['model'])} ({label})"
                    cells.setdefault(line[f"{cell}_reason"], []).append(where)
    if not cells:
        return []
    most_first = sorted(cells.items(), key=lambda item: -len(item[1]))
    shown = pd.DataFrame(
        {
            "Reason": [escape(reason) for reason, _ in most_first],
            "cells": [str(len(where)) for _, where in most_first],
            "Table, row and cell": [", ".join(where) for _, where in most_first],
        }
    )
    return ["## Why cells differ", pipe(shown, text=("Reason", "Table, row and cell"))]


def _line(inputs: TableInputs) -> dict[str, object]:
    table, frame = inputs.table, inputs.frame
    return {
        "Table": f"[{table.number}](table_{table.number}.md): {table.title}",
        "rows": len(frame),
        "measured": int(frame["macs_g"].notna().sum()),
        **verdict_counts(frame),
        "printed accuracies": sum(int(frame[f"published_{cell.accuracy}"].notna().sum()) for cell in ACCURACY_CELLS),
        **_filled(frame),
    }


def _filled(frame: pd.DataFrame) -> dict[str, int]:
    """The number of printed accuracies with one beside them of each kind: trained, evaluated, or else recorded."""
    counts = {"trained here": 0, "evaluated": 0, "recorded": 0}
    for cell in ACCURACY_CELLS:
        found = frame[frame[f"published_{cell.accuracy}"].notna() & frame[cell.accuracy].notna()]
        trained, evaluated = found[cell.seeds].notna(), found[cell.evaluated("std_err")].notna()
        counts["trained here"] += int(trained.sum())
        counts["evaluated"] += int((evaluated & ~trained).sum())
        counts["recorded"] += int((~evaluated & ~trained).sum())
    return counts
