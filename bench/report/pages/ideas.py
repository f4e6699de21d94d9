"""The paper's designs, each against its baseline."""

from collections.abc import Mapping, Sequence

import pandas as pd

from bench.report.pages.claims import compare, figure_text, rows_by_name
from bench.report.text import STANDARD_ERROR, escape, pipe
from bench.spec.claim import Idea
from bench.spec.table import Edition

_COLUMNS = {
    **dict.fromkeys(("idea", "model", "against"), "string"),
    "table": "Int64",
    **dict.fromkeys(("published", "published_std_err", "ours", "ours_std_err"), "Float64"),
    "ours_from": "string",
}
"""of the CSV: a line a network that a design was tried on"""


def ideas_frame(ideas: Sequence[Idea], frames: Mapping[int, pd.DataFrame]) -> pd.DataFrame:
    """A line a network that a design was tried on, with the change of top-1 that it brought, in points.

    Args:
        ideas: the paper's.
        frames: from ``table_frame``, by table.
    """
    rows = {number: rows_by_name(frame) for number, frame in frames.items()}
    lines = [
        {"idea": idea.name, "model": pair.row, "against": pair.against, "table": pair.table}
        | compare(pair, rows[pair.table]).columns()
        for idea in ideas
        for pair in idea.pairs
    ]
    return pd.DataFrame(lines, columns=list(_COLUMNS)).astype(_COLUMNS)


def ideas_markdown(edition: Edition, frame: pd.DataFrame) -> str:
    """The page.

    Args:
        edition: whose printed numbers the frame shows.
        frame: from ``ideas_frame``.
    """
    lines = frame.assign(of="difference").to_dict("records")
    shown = pd.DataFrame(
        {
            "Design": frame["idea"].mask(frame["idea"].duplicated(), ""),
            "Network": frame["model"].map(escape),
            "against": frame["against"].map(escape),
            "Table": [f"[{table}](table_{table}.md)" for table in frame["table"]],
            "printed": [figure_text(line, "published", 1) for line in lines],
            "ours": [figure_text(line, "ours", 2) for line in lines],
        }
    )
    sections = [
        "# Designs against their baselines",
        f"The change in top-1 that each design of Tables 6 and 7 brings, in points: as printed in the {edition.name} "
        "edition, and ours.",
        "![Change of top-1 by design](ideas.png)",
        pipe(shown, text=("Design", "Network", "against")),
        f"± is the {STANDARD_ERROR}, computed as for [the claims](claims.md). The same data as CSV: "
        "[ideas.csv](ideas.csv); the picture as SVG: [ideas.svg](ideas.svg).",
    ]
    return "\n\n".join(sections) + "\n"
