"""The page of Figure 1: top-1 against MACs and params, for all networks of Tables 2 to 4."""

from collections.abc import Mapping

import pandas as pd

from bench.paper import TABLES
from bench.report.evidence import link
from bench.report.pages.table import comparison
from bench.report.text import DASH, STANDARD_ERROR, escape, pipe
from bench.spec.table import Edition, Row

TABLES_SHOWN = (2, 3, 4)
"""numbers of the tables whose networks it shows"""


TITLE = "Figure 1: top-1 on ImageNet against MACs and params"


def figure_1_files(edition: Edition, frames: Mapping[int, pd.DataFrame]) -> dict[str, str]:
    """The page and its CSV, by suffix."""
    rows, frame = marked_rows(edition, frames)
    columns = ["model", "network", "img_size", "published_top1_pct", "top1_pct", "top1_std", "top1_std_err", "seeds"]
    columns += ["run_ids", "evaluated_std_err", "evaluated_evidence", "params_m", "macs_g", "measured_in"]
    numbered = frame[["table", *columns]].assign(curve=[row.curve for row in rows])
    cells = comparison(frame)
    shown = pd.DataFrame(
        {
            "Curve": [escape(row.curve) for row in rows],
            "Model": cells["Model"].map(escape),
            "Table": [f"[{number}](table_{number}.md)" for number in frame["table"]],
            "Top-1 %: paper": cells["Top-1 %: paper"],
            "Top-1 %: ours": cells["Top-1 %: ours"],
            "Params M: ours": cells["Params M: ours"],
            "MACs G: ours": cells["MACs G: ours"],
            "evidence": [DASH if pd.isna(file) else link("measurement", file) for file in frame["measured_in"]],
        }
    )
    sections = [
        f"# {TITLE}",
        f"![{TITLE}](figure_1.png)",
        "Each network of Tables 2 to 4 that belongs to a curve, once. Hollow marks show the accuracies printed in the "
        f"{edition.name} edition, filled ones show ours, if there are any, with bars of twice the {STANDARD_ERROR}. "
        "Params and MACs were measured here; a row without a measurement has no mark.",
        pipe(shown, text=("Curve", "Model", "evidence")),
        "The same data as CSV: [figure_1.csv](figure_1.csv); the picture as SVG: [figure_1.svg](figure_1.svg).",
    ]
    return {"md": "\n\n".join(sections) + "\n", "csv": numbered.to_csv(index=False, lineterminator="\n")}


def marked_rows(edition: Edition, frames: Mapping[int, pd.DataFrame]) -> tuple[list[Row], pd.DataFrame]:
    """The rows with a mark, and their lines, with the number of the first table that has them."""
    lines: dict[tuple[str, str], tuple[Row, int, int]] = {}  # a network that several tables print has one mark
    for number in TABLES_SHOWN:
        for i, row in enumerate(TABLES[number].rows_in(edition)):
            if row.curve:
                lines.setdefault((row.curve, row.point), (row, number, i))
    rows = [row for row, _, _ in lines.values()]
    frame = pd.concat([frames[number].iloc[[i]].assign(table=number) for _, number, i in lines.values()])
    return rows, frame.reset_index(drop=True)
