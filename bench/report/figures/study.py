"""Pictures of a study: effects with their intervals, learning curves, accuracy against training speed."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.report.contests import AGREES, CANNOT_TELL, DISAGREES, Outcome
from bench.report.figures.plots import BLUE, GREEN, ORANGE, PURPLE, VERMILLION
from bench.report.study_results import ArmResult, StudyResults

_VERDICTS = {AGREES: (BLUE, "o"), DISAGREES: (VERMILLION, "s"), CANNOT_TELL: ("0.45", "D")}
_FAMILIES = {"T2T-ViT": BLUE, "ViT": VERMILLION, "ResNet": GREEN, "MobileNet": PURPLE}
_DASHES = ("-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)))
_MARKERS = "os^Dv"


def effects_figure(results: StudyResults) -> Figure:
    """Difference and 95 % interval of each contest about accuracy, claim by claim; the paper's side is shaded."""
    names = {one.arm.key: one.arm.name for one in results.arms}
    rows = results.known_effects
    figure = Figure(figsize=(9, 1.4 + 0.42 * len(rows)), layout="constrained")
    axes = figure.subplots()
    ends = [end for _, outcome in rows if outcome.effect for end in outcome.effect.interval()]
    limit = 1.08 * max(abs(end) for end in ends)
    for y, (_, outcome) in enumerate(rows):
        _effect(axes, y, outcome, limit, results.study.margin)
    axes.axvline(0, color="black", linewidth=0.8)
    labels = [
        f"{f'claim {key}' if key.isdecimal() else key}: {names[o.contest.arm]}\nagainst {names[o.contest.against]}"
        for key, o in rows
    ]
    axes.set_yticks(range(len(rows)), labels, fontsize=8)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlim(-limit, limit)
    axes.tick_params(axis="y", length=0)
    hollow = "; hollow: extra, does not count" if any(outcome.contest.beside for _, outcome in rows) else ""
    axes.set_xlabel(f"difference of top-1 in points, with its 95 % interval\nshaded: as the paper has it{hollow}")
    axes.grid(axis="x", alpha=0.25)
    axes.spines[["top", "right", "left"]].set_visible(False)
    handles = [
        Line2D([], [], color=color, marker=marker, label=verdict) for verdict, (color, marker) in _VERDICTS.items()
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=3, frameon=False)
    return figure


def _effect(axes: Axes, y: int, outcome: Outcome, limit: float, margin: float) -> None:
    assert outcome.effect
    low, high = outcome.effect.interval()
    color, marker = _VERDICTS[outcome.verdict]
    expected = {"better": (0, limit), "worse": (-limit, 0), "alike": (-margin, margin)}[outcome.contest.expects]
    axes.fill_betweenx([y - 0.38, y + 0.38], *expected, color=BLUE, alpha=0.08, linewidth=0)
    face = "white" if outcome.contest.beside else color
    axes.plot([low, high], [y, y], color=color, linewidth=1.6)
    axes.plot(outcome.effect.difference_pct, y, color=color, marker=marker, markerfacecolor=face, markersize=7)


def curves_figure(results: StudyResults) -> Figure:
    """Held-out accuracy and training loss over the epochs: the mean over the seeds of each core arm, and each seed."""
    arms = results.with_curves
    figure = Figure(figsize=(9, 5), layout="constrained")
    top1, loss = figure.subplots(1, 2)
    for one in arms:
        runs = [metrics.lines for metrics in one.metrics.values() if metrics.lines]
        frame = pd.DataFrame([{"run": i, **line} for i, lines in enumerate(runs) for line in lines])
        accuracy = "ema_top1_pct" if "ema_top1_pct" in frame else "raw_top1_pct"
        label = f"{one.arm.name}, mean of {len(runs)} seeds" if len(runs) > 1 else one.arm.name
        style = _style(arms, one)
        for axes, column in ((top1, accuracy), (loss, "train_loss")):
            by_epoch = frame.groupby("epoch")[column].mean()
            axes.plot(by_epoch.index + 1, by_epoch, label=label, **style)
            for _, run in frame.groupby("run") if len(runs) > 1 else ():
                axes.plot(run["epoch"] + 1, run[column], **{**style, **_SEED})
    held_out = ", held-out images" if results.study.recipe.held_out else ""
    for axes, label in ((top1, f"top-1{held_out} (%)"), (loss, "training loss")):
        axes.set_xlabel("epochs finished")
        axes.set_ylabel(label)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.xaxis.get_major_locator().set_params(integer=True)
    handles, _ = top1.get_legend_handles_labels()
    if any(len(one.metrics) > 1 for one in arms):
        handles.append(Line2D([], [], color="black", label="a seed", **{**_SEED, "alpha": 1.0}))
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=8, handlelength=3.5)
    return figure


_SEED: dict[str, Any] = {"linewidth": 0.7, "marker": "", "alpha": 0.6, "zorder": 1}
"""beside the mean of its arm, in its colour and dashes"""


def speed_figure(results: StudyResults) -> Figure:
    """Accuracy on the test images against measured training speed, with its standard error."""
    arms = results.with_speeds
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.subplots()
    for one in arms:
        style = {**_style(arms, one), "linestyle": ""}
        x, y = one.images_per_s or np.nan, one.mean or np.nan
        error = None if one.std_err is None else [one.std_err]
        axes.errorbar([x], [y], error, label=one.arm.name, capsize=3, elinewidth=1.2, **style)
    bars = " (bars: standard error over the seeds)" if any(one.std_err is not None for one in arms) else ""
    axes.set_xlabel(f"images a second in training, measured in these runs{bars}")
    axes.set_ylabel("top-1 on the test images (%)")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(0.1)
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    return figure


def _style(arms: Sequence[ArmResult], one: ArmResult) -> dict[str, Any]:
    """A colour a family, dashes and a mark an arm of it."""
    place = [other for other in arms if other.arm.family == one.arm.family].index(one)
    return {
        "color": _FAMILIES.get(one.arm.family, ORANGE),
        "linestyle": _DASHES[place % len(_DASHES)],
        "marker": _MARKERS[place % len(_MARKERS)],
        "markersize": 6,
        "linewidth": 1.4,
    }
