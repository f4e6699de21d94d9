"""Figure 1: top-1 against MACs and params, for all networks of Tables 2 to 4."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from bench.report.figures.plots import tradeoff_figure
from bench.report.pages.figure_1 import TITLE, marked_rows
from bench.spec.table import Edition


def figure_1(edition: Edition, frames: Mapping[int, pd.DataFrame]) -> Figure:
    """The figure: published accuracies hollow, ours filled with their errors, on logarithmic axes.

    Args:
        edition: whose printed accuracies to show.
        frames: from ``table_frame``, by table.
    """
    rows, frame = marked_rows(edition, frames)
    return tradeoff_figure(rows, edition, frame, TITLE, log=True)
