"""Pictures of training curves: loss, accuracies, learning rate and throughput over the epochs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from bench.report.curves import Curve, by_name, curves_frame
from bench.report.figures.plots import BLUE, GREEN, ORANGE, PURPLE, VERMILLION

ALONE = 8
"""most runs that are a line each in a comparison; of more, the seeds of an entry are a mean and a range"""

NAMED = 60
"""most lines that the comparison's legend names"""

_EPOCHS = "epochs finished"
_RESTART = "_restart"
"""label of what marks one; the underscore keeps it out of the legend"""


def run_figure(curve: Curve) -> Figure:
    """One run: loss, top-1, learning rate and throughput over the epochs; a dotted line where an attempt began."""
    frame = curves_frame([curve])
    figure = Figure(figsize=(9, 5.8), layout="constrained")
    (loss, top1), (lr, speed) = figure.subplots(2, 2)
    _lines(
        loss,
        frame,
        {"train_loss": _TRAIN, "raw_val_loss": _RAW | _VALIDATION[0], "ema_val_loss": _EMA | _VALIDATION[1]},
    )
    _lines(top1, frame, {"raw_top1_pct": _RAW, "ema_top1_pct": _EMA})
    _lines(lr, frame, {"lr": {"color": "black"}})
    _lines(speed, frame, {"images_per_s": {"color": GREEN}})
    images = ", held-out images" if curve.holds_out else ""
    loss.set_ylabel(f"loss{' (validation: held-out images)' if images else ''}")
    top1.set_ylabel(f"top-1{images} (%)")
    lr.set_ylabel("learning rate")
    speed.set_ylabel("throughput (images/s)")
    for axes in (loss, top1, lr, speed):
        _dress(axes, int(curve.record.epochs or curve.record.epoch), 8)
        for place in curve.restarts:
            axes.axvline(place, color=PURPLE, linestyle=":", linewidth=1.6, label=_RESTART, zorder=1)
    for axes in (loss, top1):
        axes.legend(
            loc="lower left", bbox_to_anchor=(-0.03, 1), ncols=3, frameon=False, fontsize=9, borderaxespad=0.2,
            columnspacing=1.2, handletextpad=0.5,
        )  # fmt: skip
    for axes in (lr, speed):
        axes.set_xlabel(_EPOCHS)
        _from_zero(axes)
    if curve.restarts:
        dotted = Line2D([], [], color=PURPLE, linestyle=":", linewidth=1.6, label=f"restart ({len(curve.restarts)})")
        figure.legend(handles=[dotted], loc="outside lower center", frameon=False, fontsize=9)
    figure.suptitle("\n".join(filter(None, [curve.record.run_id, curve.state])), fontsize=11)
    return figure


_TRAIN: dict[str, Any] = {"color": ORANGE, "linestyle": ":", "marker": "s", "label": "training"}
_RAW: dict[str, Any] = {"color": VERMILLION, "linestyle": "--", "marker": "o", "mfc": "white", "label": "raw weights"}
_EMA: dict[str, Any] = {"color": BLUE, "linestyle": "-", "marker": "o", "label": "averaged weights (EMA)"}
_VALIDATION = {"label": "validation, raw"}, {"label": "validation, EMA"}


def _lines(axes: Axes, frame: pd.DataFrame, styles: Mapping[str, Mapping[str, Any]]) -> None:
    """Draw a line for each column over the finished epochs; an empty column has none."""
    for column, style in styles.items():
        if frame[column].notna().any():
            _line(axes, frame["epoch"] + 1, frame[column], style)


def _line(axes: Axes, epochs: "pd.Series[Any]", values: "pd.Series[Any]", style: Mapping[str, Any]) -> None:
    every = max(1, len(values) // 12)  # marks tell lines apart, and many would hide them
    if values.notna().sum() <= every:
        every = 1  # or there would be none
    usual = {"marker": "o", "markersize": 4, "linewidth": 1.4, "markevery": every}
    axes.plot(epochs.astype(float), values.astype(float), **{**usual, **style})


def _dress(axes: Axes, epochs: int, ticks: int) -> None:
    axes.set_xlim(0, 1.02 * max(1, epochs))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=ticks, integer=True))
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def _from_zero(axes: Axes) -> None:
    data = [np.asarray(line.get_ydata(), float) for line in axes.lines if line.get_label() != _RESTART]
    most = np.nanmax(np.concatenate([*data, [0.0]]))
    if most > 0:
        axes.set_ylim(0, 1.08 * most)


_COLORS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, "black", "#56B4E9")
_DASHES = ("-", "--", ":", "-.")
_MARKERS = "osD^vPX<>"
_CROWD = 12
"""more entries than this have thinner lines"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Drawn:
    """One line of a comparison: a run, or the seeds of an entry."""

    label: str
    curves: Sequence[Curve]
    style: Mapping[str, Any]


def comparison_figure(curves: Sequence[Curve]) -> Figure:
    """Several runs, over the epochs: losses, top-1 of raw and of averaged weights, learning rate and throughput.

    Up to ``ALONE`` runs are a line each: an entry has a colour, and its seeds differ in marks and dashes, and in colour
    too if the entry is alone. Of more, an entry is the mean over those of its seeds that reached the epoch, with a thin
    line for each seed while dashes tell these apart, and their range otherwise. Triangles on the axis are restarts.

    Args:
        curves: those without a finished epoch are left out.
    """
    curves = [curve for curve in curves if curve.metrics.lines]
    grouped = len(curves) > ALONE
    drawn = _drawn(curves, grouped)
    frames = [curves_frame(one.curves) for one in drawn]
    every = pd.concat(frames)
    restarts = any(curve.restarts for curve in curves)
    named = drawn if len(drawn) <= NAMED else []
    by_seed = _dashes_of_seeds(curves) if grouped and len(drawn) < len(curves) else {}
    count = len(named) + restarts + len(by_seed)
    longest = max((len(one.label) for one in named), default=0)
    columns = max(1, min(count, 170 // (longest + 12)))
    rows = -(-count // columns)
    figure = Figure(figsize=(9, 5.6 + 0.19 * rows), layout="constrained")
    panels = dict(zip(_panels(every), figure.subplots(2, 3).flat, strict=True))
    for (columns_, label), axes in panels.items():
        axes.set_ylabel(label, fontsize=9)
        axes.tick_params(labelsize=8)
        for one, frame in zip(drawn, frames, strict=True):
            preferred, *others = (frame[column] for column in columns_)
            for other in others:
                preferred = preferred.fillna(other)
            _seeds(axes, frame.assign(value=preferred), one.style, by_seed)
            for curve in filter(lambda curve: curve.restarts, one.curves):
                axes.plot(
                    curve.restarts, [0] * len(curve.restarts), marker="^", ls="", ms=6, mfc="white", label=_RESTART,
                    color=one.style["color"], transform=axes.get_xaxis_transform(), clip_on=False, zorder=3,
                )  # fmt: skip
        _dress(axes, int(every["epoch"].max()) + 1, 6)
        if not every[list(columns_)].notna().any(axis=None):
            axes.text(0.5, 0.5, _NOTHING, transform=axes.transAxes, ha="center", va="center", fontsize=9)
            axes.set_yticks([])
    lr, speed = (axes for (columns_, _), axes in panels.items() if columns_ in (("lr",), ("images_per_s",)))
    _from_zero(speed)
    peaks = every.groupby("run_id")["lr"].max()
    if peaks.max() >= 10 * peaks.min() and every["lr"].min() > 0:
        lr.set_yscale("log")
    else:
        _from_zero(lr)
    for axes in list(panels.values())[3:]:
        axes.set_xlabel(_EPOCHS, fontsize=9)
    handles = [Line2D([], [], **{"linewidth": 1.4, "markersize": 4, "label": one.label, **one.style}) for one in named]
    for seed, dashes in by_seed.items():
        handles.append(Line2D([], [], **{**_THIN, "color": "black", "linestyle": dashes, "label": f"seed {seed}"}))
    if restarts:
        handles.append(Line2D([], [], color="black", marker="^", mfc="white", ls="", ms=6, label="restart"))
    if handles:
        figure.legend(
            handles=handles, loc="outside lower center", ncols=columns, frameon=False, fontsize=8, handlelength=3.4
        )
    runs = f"{len(curves)} run{'s' if len(curves) > 1 else ''}"
    spread = "seeds (thin lines)" if by_seed else "range"
    means = f", mean and {spread} of each" if grouped and len(drawn) < len(curves) else ""
    notes = [] if named else [f"(no legend: {len(drawn)} lines)"]
    figure.suptitle("\n".join([f"Training curves of {runs}{means}", *notes]), fontsize=11)
    return figure


_NOTHING = "nothing recorded"


def _panels(frame: pd.DataFrame) -> list[tuple[tuple[str, ...], str]]:
    """Columns of each panel, the preferred first, and its label."""
    averaged = frame["ema_val_loss"].notna()
    whose = "EMA" if averaged.all() else "EMA or else raw" if averaged.any() else "raw"
    images = ", held-out" if frame["held_out"].all() else ""
    return [
        (("train_loss",), "training loss"),
        (("ema_val_loss", "raw_val_loss"), f"validation loss{images} ({whose})"),
        (("lr",), "learning rate"),
        (("raw_top1_pct",), f"top-1, raw weights{images} (%)"),
        (("ema_top1_pct",), f"top-1, EMA{images} (%)"),
        (("images_per_s",), "throughput (images/s)"),
    ]


def _drawn(curves: Sequence[Curve], grouped: bool) -> list[_Drawn]:
    alike = by_name(curves)
    mixed = len({curve.holds_out for curve in curves}) > 1
    found = []
    for i, (name, seeds) in enumerate(alike.items()):
        style: dict[str, Any] = {"color": _COLORS[i % len(_COLORS)], "marker": _MARKERS[i % len(_MARKERS)]}
        style |= {"linewidth": 0.9, "markersize": 3} if len(alike) > _CROWD else {}
        images = ["validated on held-out images"] if mixed and seeds[0].holds_out else []
        if grouped:
            unfinished = sum(bool(curve.state) for curve in seeds)
            notes = [f"{unfinished} not finished"] * bool(unfinished)
            if len(seeds) == 1:
                notes = [seeds[0].state] * bool(unfinished)
            label = ", ".join([f"{name} (n={len(seeds)})" if len(seeds) > 1 else name, *images, *notes])
            style |= {"linestyle": _DASHES[i // len(_COLORS) % len(_DASHES)]}
            found.append(_Drawn(label=label, curves=seeds, style=style))
            continue
        for k, curve in enumerate(seeds):
            seed = [f"seed {curve.record.spec.get('seed')}"] if len(seeds) > 1 else []
            label = ", ".join([name, *seed, *images, *filter(None, [curve.state])])
            own = {"linestyle": _DASHES[k % len(_DASHES)], "marker": _MARKERS[len(found) % len(_MARKERS)]}
            own |= {"color": _COLORS[k % len(_COLORS)]} if len(alike) == 1 else {}
            found.append(_Drawn(label=label, curves=[curve], style=style | own))
    return found


def _dashes_of_seeds(curves: Sequence[Curve]) -> dict[object, str]:
    """Dashes by seed; none if there are too many seeds to tell apart, or too many entries to see them."""
    seeds = sorted({curve.record.spec.get("seed") for curve in curves}, key=str)
    are_few = len(seeds) <= len(_DASHES) and len(by_name(curves)) <= _CROWD
    return dict(zip(seeds, _DASHES, strict=False)) if are_few else {}


_THIN: dict[str, Any] = {"linewidth": 0.8, "alpha": 0.7}
"""a seed beside its mean"""


def _seeds(axes: Axes, frame: pd.DataFrame, style: Mapping[str, Any], by_seed: Mapping[object, str]) -> None:
    """The mean of a value over the runs of a frame, and each of them, or their range.

    Args:
        axes: of the value.
        frame: from ``curves_frame``, with the value.
        style: of the mean.
        by_seed: dashes of each seed; if empty, the range is drawn.
    """
    if frame["epoch"].is_unique:  # one run, which needs no mean
        if frame["value"].notna().any():
            _line(axes, frame["epoch"] + 1, frame["value"], style)
        return
    by_epoch = frame.groupby("epoch")["value"].agg(["mean", "min", "max", "count"]).reset_index()
    if not by_epoch["count"].any():
        return
    epochs = by_epoch["epoch"] + 1
    _line(axes, epochs, by_epoch["mean"], style)
    for seed, one in frame.groupby("seed") if by_seed else ():
        thin = {**_THIN, "color": style["color"], "linestyle": by_seed[seed]}
        axes.plot((one["epoch"] + 1).astype(float), one["value"].astype(float), zorder=1, **thin)
    if by_seed:
        return
    axes.fill_between(
        epochs.astype(float), by_epoch["min"].astype(float), by_epoch["max"].astype(float),
        color=style["color"], alpha=0.18, linewidth=0,
    )  # fmt: skip
