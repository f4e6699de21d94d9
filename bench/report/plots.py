"""Pictures of a table."""

import io
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.specs import Edition, Table

_BLUE, _VERMILLION = "#0072B2", "#D55E00"
"""from Okabe and Ito's palette, which colour-blind readers tell apart"""

_STYLES: dict[str, dict[str, Any]] = {
    "T2T-ViT": {"color": _BLUE, "marker": "o", "linestyle": "-"},
    "T2T-ViT_t": {"color": _BLUE, "marker": "^", "linestyle": "--"},
    "ResNet*": {"color": _VERMILLION, "marker": "s", "linestyle": "-"},
    "ResNet": {"color": _VERMILLION, "marker": "D", "linestyle": "--"},
}
"""by curve: family by colour, member by marker and line, so that the picture reads without colour too"""

_ABOVE, _BELOW = (-3, 7), (5, -11)
_LABEL_OFFSETS = {"T2T-ViT": _BELOW, "T2T-ViT_t": _ABOVE, "ResNet*": _ABOVE, "ResNet": _BELOW}
"""in points, from a mark to its label"""


def table_picture(table: Table, edition: Edition, frame: pd.DataFrame) -> bytes:
    """Published top-1 against measured MACs (left) and params (right), one line a curve, as PNG at 200 dpi.

    Marks are hollow because the accuracies are published ones. A row that is not measured has no mark.
    """
    figure = tradeoff_figure(table, edition, frame)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=200)
    return buffer.getvalue()


def tradeoff_figure(table: Table, edition: Edition, frame: pd.DataFrame) -> Figure:
    """The figure that ``table_picture`` saves."""
    figure = Figure(figsize=(9, 4.7), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    _curves(left, table, frame, "macs_g")
    _curves(right, table, frame, "params_m")
    left.set_xlabel("MACs measured here (G)")
    right.set_xlabel("params measured here (M)")
    left.set_ylabel(f"top-1 as published, {edition.name} (%)")
    figure.legend(
        handles=left.lines,
        loc="outside lower center",
        ncols=len(left.lines),
        handlelength=3,
        frameon=False,
        title="* retrained by the paper's authors with the T2T-ViT scheme",
        title_fontsize=9,
    )
    figure.suptitle(f"Table {table.number}: {table.title}", fontsize=11)
    return figure


def _curves(axes: Axes, table: Table, frame: pd.DataFrame, x: str) -> None:
    known = frame[frame[x].notna() & frame["published_top1_pct"].notna()]
    curves = pd.Series([table.rows[i].curve for i in known.index], index=known.index, dtype="string")
    for curve in dict.fromkeys(row.curve for row in table.rows):
        line = known[curves == curve].sort_values(x)
        xs, ys = line[x].astype(float), line["published_top1_pct"].astype(float)
        axes.plot(xs, ys, label=curve, markerfacecolor="white", markersize=6.5, linewidth=1.4, **_STYLES[curve])
        for i, x_, y in zip(line.index, xs, ys, strict=True):
            axes.annotate(
                table.rows[i].point,
                (x_, y),
                xytext=_LABEL_OFFSETS[curve],
                textcoords="offset points",
                fontsize=8,
                color=_STYLES[curve]["color"],
            )
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(0.08, 0.1)
