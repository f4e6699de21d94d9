"""Pictures of tables and sweeps."""

import io
import itertools
from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator
from matplotlib.transforms import Bbox, offset_copy

from bench.report.figures.labels import place_labels
from bench.report.frame import swept_columns, that_count
from bench.report.html.schemes import ON_DARK_PIXELS, ON_LIGHT_PIXELS
from bench.report.pages.claims import accuracy
from bench.spec.table import Edition, Row

BLUE, VERMILLION, GREEN, PURPLE, ORANGE = "#0072B2", "#C84A00", "#00805D", "#B34F8A", "#9A6700"
"""from Okabe and Ito's palette, which colour-blind readers tell apart; all but blue darker, to be read on white"""

_STYLES: dict[str, dict[str, Any]] = {
    "T2T-ViT": {"color": BLUE, "marker": "o", "linestyle": "-"},
    "T2T-ViT_t": {"color": BLUE, "marker": "^", "linestyle": "--"},
    "ResNet*": {"color": VERMILLION, "marker": "s", "linestyle": "-"},
    "ResNet": {"color": VERMILLION, "marker": "D", "linestyle": "--"},
    "T2T-ViT, distilled": {"color": BLUE, "marker": "v", "linestyle": ":"},
    "ViT": {"color": GREEN, "marker": "s", "linestyle": "-"},
    "DeiT": {"color": PURPLE, "marker": "D", "linestyle": "--"},
    "T2T-ViT at 384 px": {"color": BLUE, "marker": "P", "linestyle": ""},
    "MobileNetV1*": {"color": ORANGE, "marker": "X", "linestyle": ""},
    "MobileNetV2*": {"color": ORANGE, "marker": "s", "linestyle": "-"},
    "MobileNetV3": {"color": ORANGE, "marker": "D", "linestyle": ""},
}
"""by curve: family by colour, member by marker and line, so that the picture reads without colour too"""


def _styles(rows: Sequence[Row]) -> dict[str, dict[str, Any]]:
    """Styles of the rows' curves, in their order; unknown curves are black and told apart by markers."""
    curves = dict.fromkeys(row.curve for row in rows if row.curve)
    others = [curve for curve in curves if curve not in _STYLES]
    black = {
        curve: {"color": "black", "marker": marker, "linestyle": "-."}
        for curve, marker in zip(others, itertools.cycle("*hpd<>"), strict=False)
    }
    return {curve: _STYLES.get(curve) or black[curve] for curve in curves}


def saved(figure: Figure) -> dict[str, bytes]:
    """A figure by suffix: PNG at 200 dpi, and SVG."""
    pictures = {}
    _settle(figure)
    # Without the day, and with names that are not drawn by lot, so that the same figures are the same file.
    with rc_context({"svg.hashsalt": "t2t-bench"}):
        for suffix, metadata in {"png": None, "svg": {"Date": None}}.items():
            buffer = io.BytesIO()
            figure.savefig(buffer, format=suffix, dpi=200, metadata=metadata)
            pictures[suffix] = buffer.getvalue()
    return pictures


def _settle(figure: Figure) -> None:
    """Lay the figure out once for both files, and round where its parts lie: the solver's last digits vary."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for part in figure.subfigs:
        part.bbox_relative.set_points(part.bbox_relative.get_points().round(6))
    for axes in figure.axes:  # those of its parts too
        axes.set_position(Bbox(axes.get_position(original=True).get_points().round(6)))


_STARRED = "* retrained by the paper's authors with the T2T-ViT scheme"


def tradeoff_figure(
    rows: Sequence[Row], edition: Edition, frame: pd.DataFrame, title: str, *, log: bool = False
) -> Figure:
    """Top-1 against measured MACs (left) and params (right), one line a curve.

    Published accuracies are hollow marks on the line, ours filled ones with two standard errors. A row that is not
    measured has no mark.

    Args:
        rows: with their curves and points.
        edition: whose printed accuracies to show.
        frame: from ``table_frame``, a line a row.
        title: above the panels.
        log: whether MACs and params are on logarithmic axes.
    """
    figure = Figure(figsize=(9, 4.7), layout="constrained")
    panels = dict(zip(("macs_g", "params_m"), figure.subplots(1, 2, sharey=True), strict=True))
    for column, axes in panels.items():
        _curves(axes, rows, frame, column)
        if log:
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.xaxis.set_major_formatter("{x:g}")
            axes.xaxis.set_minor_locator(NullLocator())
    panels["macs_g"].set_xlabel("MACs measured here (G)")
    panels["params_m"].set_xlabel("params measured here (M)")
    has_ours = frame["top1_pct"].notna().any()
    panels["macs_g"].set_ylabel("top-1 (%)" if has_ours else f"top-1 as published, {edition.name} (%)")
    lines = [line for line in panels["macs_g"].lines if not str(line.get_label()).startswith("_")]
    figure.legend(
        handles=lines,
        loc="outside lower center",
        ncols=next(n for n in (5, 4, 3) if len(lines) % n != 1 or n == 3),
        handlelength=3,
        frameon=False,
        title=_STARRED if any(row.curve.endswith("*") for row in rows) else None,
        title_fontsize=9,
    )
    kinds = dict.fromkeys(accuracy("top1_pct", line)[2] for line in frame.to_dict("records"))
    ours = f"filled marks: {' or '.join(filter(None, kinds))}, bars: 2 s.e."
    ours = f"\n(hollow marks: published, {edition.name}; {ours})" if has_ours else ""
    figure.suptitle(title + ours, fontsize=11)
    figure.draw_without_rendering()  # labels are placed on the finished layout
    for column, axes in panels.items():
        _label(axes, rows, frame, column, figure.dpi)
    return figure


def _curves(axes: Axes, rows: Sequence[Row], frame: pd.DataFrame, x: str) -> None:
    for curve, style in _styles(rows).items():
        line = _marks(rows, frame, x, curve).sort_values(x)
        axes.plot(
            line[x].astype(float),
            line["published_top1_pct"].astype(float),
            label=curve,
            markerfacecolor="white",
            markersize=6.5,
            linewidth=1.4,
            **style,
        )
        for each in line.to_dict("records"):
            value, error, source = accuracy("top1_pct", each)
            if source:
                # A little aside: a reproduced figure lies on the one that was published.
                beside = offset_copy(axes.transData, axes.get_figure(root=True), x=4, units="points")
                axes.errorbar(
                    float(each[x]), float(value), 2 * float(error), transform=beside,
                    fmt=style["marker"], color=style["color"], ms=6.5, capsize=3, linewidth=1.2,
                )  # fmt: skip
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(0.1, 0.1)


def _marks(rows: Sequence[Row], frame: pd.DataFrame, x: str, curve: str) -> pd.DataFrame:
    """The rows of a curve that have both coordinates."""
    on_curve = pd.Series([row.curve == curve for row in rows], dtype="boolean")
    return frame[frame[x].notna() & frame["published_top1_pct"].notna() & on_curve]


def _label(axes: Axes, rows: Sequence[Row], frame: pd.DataFrame, x: str, figure_dpi: float) -> None:
    """A label at every mark."""
    labels = [
        (rows[int(str(i))].point, (float(line[x]), float(line["published_top1_pct"])), style["color"])
        for curve, style in _styles(rows).items()
        for i, line in _marks(rows, frame, x, curve).iterrows()
    ]
    place_labels(axes, labels, figure_dpi)


def sweep_figure(sweep: Sequence[str], by_entry: pd.DataFrame) -> Figure:
    """Accuracy over the swept fields: a curve for one field, a heat map for two.

    A panel a model, and with more fields one for each combination of their values. The protocol is the paper's: best
    epoch of the averaged weights, or of the raw ones where the recipe averages none; where it holds images out to
    choose by, the last epoch on these. A point that is not trained is left blank.

    Args:
        sweep: names of the swept fields.
        by_entry: from ``seeds_frame``.
    """
    frame = by_entry.assign(top1=_first(by_entry, _TO_CHOOSE, "pct"), error=_first(by_entry, _TO_CHOOSE, "std_err"))
    held_out = by_entry["held_out_last_top1_pct"].notna().any()
    what = "top-1 (%) on held-out images" if held_out else "top-1 (%)"
    fields = swept_columns(sweep)
    across, *up = fields[:2]
    rest = ["model", *fields[2:]]
    panels = list(frame.groupby(rest, sort=False))
    columns = min(3, len(panels))
    lines = -(-len(panels) // columns)
    figure = Figure(figsize=(1.2 + 3.6 * columns, 0.9 + 3.2 * lines), layout="constrained")
    grid = figure.subplots(lines, columns, squeeze=False)
    for axes in grid.flat[len(panels) :]:
        axes.set_axis_off()
    shades = Normalize(frame["top1"].min(), frame["top1"].max())  # one scale, so that panels compare
    for axes, (values, panel) in zip(grid.flat, panels, strict=False):
        model, *fixed = values
        settings = [f"{name} {value}" for name, value in zip(sweep[2:], fixed, strict=True)]
        axes.set_title(", ".join([str(model), *settings]), fontsize=10)
        axes.set_xlabel(sweep[0])
        if up:
            _heat_map(axes, panel, across, up[0], shades)
        else:
            _sweep_curve(axes, panel, across)
    for axes in grid[:, 0]:
        axes.set_ylabel(sweep[1] if up else f"{what}, mean ± s.e.")
    if up:
        bar = figure.colorbar(ScalarMappable(shades, _SHADES), ax=grid, shrink=0.8)
        bar.set_label(what)
    return figure


_TO_CHOOSE = ("held_out_last", "ema_best", "raw_best")
_TO_REPORT = ("ema_last", "raw_last")
"""protocols, the preferred first"""


def _first(frame: pd.DataFrame, protocols: Sequence[str], kind: str) -> "pd.Series[float]":
    """The accuracy of the first protocol that a line has."""
    columns = frame[[f"{protocol}_top1_{kind}" for protocol in protocols]]
    return columns.bfill(axis=1).iloc[:, 0].astype(float)


def seeds_figure(runs: pd.DataFrame, by_entry: pd.DataFrame) -> Figure:
    """Accuracy after the last epoch by entry: mean and standard error, and each seed.

    The averaged weights', or the raw ones' where the recipe averages none; an entry without a seed is left out.

    Args:
        runs: from ``runs_frame``.
        by_entry: from ``seeds_frame``.
    """
    by_entry = by_entry[by_entry["seeds"] > 0]
    names = list(by_entry["model"])
    figure = Figure(figsize=(7.2, 1.1 + 0.6 * len(names)), layout="constrained")
    axes = figure.subplots()
    completed = that_count(runs)
    places = [names.index(name) + 0.2 for name in completed["model"]]  # below the mean, which would hide some
    axes.plot(_first(completed, _TO_REPORT, "pct"), places, "o", color=BLUE, mfc="none", ms=5, label="a seed")
    means, errors = _first(by_entry, _TO_REPORT, "pct"), _first(by_entry, _TO_REPORT, "std_err")
    axes.errorbar(
        means, range(len(names)), xerr=errors, fmt="D", color=VERMILLION, capsize=4, ms=5, label="mean ± s.e."
    )
    weights = ["EMA" if averaged else "raw" for averaged in by_entry["ema_last_top1_pct"].notna()]
    labels = zip(names, weights, by_entry["seeds"], strict=True)
    axes.set_yticks(range(len(names)), [f"{name}\n{kind} weights, n={n}" for name, kind, n in labels])
    axes.invert_yaxis()  # the first on top, as in the table
    axes.set_xlabel("top-1 (%) after the last epoch")
    axes.grid(axis="x", alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(0.06, 0.2)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False, borderaxespad=0.2)
    return figure


_SHADES = "cividis"
"""made for colour-blind readers"""


def _sweep_curve(axes: Axes, panel: pd.DataFrame, across: str) -> None:
    values = list(dict.fromkeys(panel[across]))
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    if numbers:
        panel = panel.sort_values(across)
        values = sorted(values)
    places = panel[across].astype(float) if numbers else [values.index(value) for value in panel[across]]
    axes.errorbar(places, panel["top1"], panel["error"], color=BLUE, marker="o", capsize=4, linewidth=1.4)
    if numbers and min(values) > 0 and max(values) >= 8 * min(values):
        axes.set_xscale("log")
    axes.set_xticks(values if numbers else range(len(values)), [_tick(value) for value in values])
    axes.minorticks_off()
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(0.12, 0.15)


def _heat_map(axes: Axes, panel: pd.DataFrame, across: str, up: str, shades: Normalize) -> None:
    rows, columns = (list(dict.fromkeys(panel[name])) for name in (up, across))
    every = pd.MultiIndex.from_product([rows, columns], names=[up, across])
    cells = panel.set_index([up, across]).reindex(every)  # a point that nobody asked for is blank
    top1 = [[cells["top1"][row, column] for column in columns] for row in rows]
    axes.imshow(top1, norm=shades, cmap=_SHADES, origin="lower", aspect="auto")
    for y, row in enumerate(rows):
        for x, column in enumerate(columns):
            mean, error, n = (cells[name][row, column] for name in ("top1", "error", "seeds"))
            if pd.isna(mean):
                continue
            text = f"{mean:.1f}" if pd.isna(error) else f"{mean:.1f}\n± {error:.1f}\nn={n}"
            axes.text(
                x,
                y,
                text,
                ha="center",
                va="center",
                fontsize=9,
                color=ON_LIGHT_PIXELS if shades(mean) > 0.5 else ON_DARK_PIXELS,
            )
    axes.set_xticks(range(len(columns)), [_tick(value) for value in columns])
    axes.set_yticks(range(len(rows)), [_tick(value) for value in rows])


def _tick(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
