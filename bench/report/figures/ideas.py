"""The picture of the paper's designs, each against its baseline."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.report.figures.plots import BLUE, GREEN, VERMILLION
from bench.spec.table import Edition

_FAMILIES = {"T2T-ViT": (BLUE, "o"), "ViT": (GREEN, "^"), "CNN": (VERMILLION, "s")}
"""colour and marker, so that the picture reads without colour too"""


def ideas_figure(edition: Edition, frame: pd.DataFrame) -> Figure:
    """The picture: a line a network, hollow marks printed, filled ones ours."""
    places, at = [], 0.0
    for idea, previous in zip(frame["idea"], [None, *frame["idea"][:-1]], strict=True):
        at += 1.0 if idea == previous else 1.9  # room for the heading
        places.append(at)
    figure = Figure(figsize=(7.6, 0.8 + 0.27 * at), layout="constrained")
    axes = figure.subplots()
    for line, place in zip(frame.to_dict("records"), places, strict=True):
        _marks(axes, line, place)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_yticks(places, frame["model"])
    axes.tick_params(axis="y", length=0)
    for idea, place in zip(frame["idea"], places, strict=True):
        if place - 1 not in places:
            axes.annotate(
                idea, (0, place - 0.85), xycoords=("axes fraction", "data"), xytext=(4, 0), textcoords="offset points",
                va="center", fontsize=9, fontweight="bold",
            )  # fmt: skip
    axes.set_ylim(places[-1] + 0.8, 0.4)  # the first on top
    axes.set_xlabel("change of top-1 against the baseline (points)")
    axes.grid(axis="x", alpha=0.25)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.legend(handles=_legend(edition), loc="lower left", bbox_to_anchor=(0, 1), ncols=5, frameon=False, fontsize=9)
    return figure


def _marks(axes: Axes, line: Mapping[Any, Any], place: float) -> None:
    """Draw the printed change, and ours below it, each with two standard errors."""
    color, marker = _FAMILIES[_family(line["model"])]
    for whose, offset, fill in (("published", -0.14, "white"), ("ours", 0.2, color)):
        if not pd.isna(line[whose]):
            axes.errorbar(
                line[whose], place + offset, xerr=2 * line[f"{whose}_std_err"], fmt=marker, color=color, mfc=fill,
                ms=6, capsize=2.5, linewidth=1,
            )  # fmt: skip


def _family(model: str) -> str:
    return next((family for family in ("T2T-ViT", "ViT") if model.startswith(family)), "CNN")


def _legend(edition: Edition) -> list[Line2D]:
    families = [
        Line2D([], [], color=color, marker=marker, linestyle="", label=family)
        for family, (color, marker) in _FAMILIES.items()
    ]
    kinds = {f"printed ({edition.name}), bars: 2 s.e.": "white", "ours": "black"}
    return families + [
        Line2D([], [], color="black", marker="o", mfc=fill, linestyle="", label=label) for label, fill in kinds.items()
    ]
