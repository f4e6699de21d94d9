"""The picture of the speed page: top-1 against measured throughput, by family and by where the accuracy is from."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullLocator

from bench.report.figures.labels import Label, place_labels
from bench.report.figures.plots import BLUE, GREEN, ORANGE, PURPLE, VERMILLION
from bench.report.speed_front import family, fastest, machines, unbeaten
from bench.spec.table import Edition

_STYLES: dict[str, dict[str, Any]] = {
    "T2T-ViT": {"color": BLUE, "marker": "o"},
    "ViT": {"color": GREEN, "marker": "s"},
    "DeiT": {"color": PURPLE, "marker": "D"},
    "ResNet and its kin": {"color": VERMILLION, "marker": "^"},
    "MobileNet": {"color": ORANGE, "marker": "v"},
    "other CNNs": {"color": "black", "marker": "X"},
}
"""how each of ``speed_front.FAMILIES`` is marked"""

_MODES = {"train": "images/s in training", "infer": "images/s in inference"}


def speed_figure(frame: pd.DataFrame, edition: Edition) -> Figure:
    """A panel for training and one for inference, for each machine.

    Hollow marks are printed accuracies, filled ones ours, and bars what others reported of the released weights. The
    line joins the rows that no other row beats by its printed accuracy: these are named, and others where room is.

    Args:
        frame: from ``speed_frame``.
        edition: whose accuracies are printed.
    """
    found = [
        (name, mode, marks)
        for name, lines in machines(frame)
        for mode in _MODES
        if not (marks := fastest(lines, mode)).empty
    ]
    figure = Figure(figsize=(9, 0.9 + 5.2 * len(found)), layout="constrained")
    panels = figure.subplots(len(found), 1, squeeze=False)[:, 0]
    for axes, (name, mode, marks) in zip(panels, found, strict=True):
        _panel(axes, marks, mode)
        axes.set_title(name, fontsize=9)
        axes.set_xlabel(f"{_MODES[mode]}, measured here")
        axes.set_ylabel("top-1 on ImageNet (%)")
    families = {name for _, _, marks in found for name in marks["network"].map(family)}
    kinds = {kind for _, _, marks in found for kind in marks["top1_kind"].dropna()}
    figure.legend(
        handles=_legend(families, kinds, edition), loc="outside lower center", ncols=5, frameon=False, fontsize=8
    )
    figure.suptitle("Top-1 against measured images per second", fontsize=11)
    figure.draw_without_rendering()  # labels are placed on the finished layout
    for axes, (_, mode, marks) in zip(panels, found, strict=True):
        front = unbeaten(marks, mode)
        first = pd.concat([front, marks]).drop_duplicates(["model", "network", "img_size"])
        labels: list[Label] = [
            (
                line["model"],
                (line[f"{mode}_images_per_s"], line["published_top1_pct"]),
                _STYLES[family(line["network"])]["color"],
            )
            for line in first.to_dict("records")
        ]
        place_labels(axes, labels, figure.dpi, fontsize=6.5, wanted=len(front))
    return figure


def _panel(axes: Axes, marks: pd.DataFrame, mode: str) -> None:
    speed = f"{mode}_images_per_s"
    front = unbeaten(marks, mode)
    axes.plot(
        front[speed].astype(float), front["published_top1_pct"].astype(float), color="0.75", linewidth=3, zorder=0
    )
    for line in marks.to_dict("records"):
        style: dict[str, Any] = {**_STYLES[family(line["network"])], "linestyle": "", "markersize": 6}
        at = float(line[speed])
        if not pd.isna(line["reported_low_pct"]):
            ends = [float(line["reported_low_pct"]), float(line["reported_high_pct"])]
            axes.vlines(at, min(ends), max(ends), color=style["color"], linewidth=1)
            axes.scatter([at, at], ends, color=style["color"], marker="_", s=80, linewidth=1)
        axes.plot([at], [float(line["published_top1_pct"])], markerfacecolor="white", **style)
        if not pd.isna(line["top1_kind"]):
            axes.scatter([at], [float(line["top1_pct"])], color=style["color"], marker=style["marker"], s=14, zorder=3)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(0.08, 0.06)


def _legend(families: set[str], kinds: set[str], edition: Edition) -> list[Line2D]:
    marks = [Line2D([], [], label=name, linestyle="", **style) for name, style in _STYLES.items() if name in families]
    grey: dict[str, Any] = {"color": "0.3", "marker": "o", "linestyle": ""}
    marks.append(Line2D([], [], label=f"published, {edition.name}", markerfacecolor="white", **grey))
    if kinds:
        marks.append(Line2D([], [], label=" or ".join(sorted(kinds)), markersize=4, **grey))
    marks.append(Line2D([], [], label="reported elsewhere", color="0.3", marker="_", linestyle=""))
    marks.append(Line2D([], [], label="no row is faster and more accurate", color="0.75", linewidth=3))
    return marks
