"""Figure 1: top-1 against MACs and params, for all networks of Tables 2 to 4."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from bench.paper import TABLES
from bench.report.plots import tradeoff_figure
from bench.specs import Edition, Row

TABLES_SHOWN = (2, 3, 4)
"""numbers of the tables whose networks it shows"""


def figure_1(edition: Edition, frames: Mapping[int, pd.DataFrame]) -> Figure:
    """The figure: published accuracies hollow, ours filled with their errors, on logarithmic axes.

    Args:
        edition: whose printed accuracies to show.
        frames: from ``table_frame``, by table.
    """
    lines: dict[tuple[str, str], tuple[Row, int, int]] = {}  # a network that several tables print has one mark
    for number in TABLES_SHOWN:
        for i, row in enumerate(TABLES[number].rows_in(edition)):
            if row.curve:
                lines.setdefault((row.curve, row.point), (row, number, i))
    rows = [row for row, _, _ in lines.values()]
    frame = pd.concat([frames[number].iloc[[i]] for _, number, i in lines.values()], ignore_index=True)
    return tradeoff_figure(rows, edition, frame, "Figure 1: top-1 on ImageNet against MACs and params", log=True)
