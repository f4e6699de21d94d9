"""The page of training curves, of one run or of several."""

from collections.abc import Sequence
from urllib.parse import quote

import pandas as pd

from bench.report.curves import Curve, by_name
from bench.report.evidence import LISTED_SEEDS, link, record_file
from bench.report.pictures import Picture
from bench.report.text import DASH, code, escape, pipe

PICTURED = 12
"""most runs that have a picture each beside the comparison"""


def curves_markdown(curves: Sequence[Curve], waiting: Sequence[str], problems: Sequence[str]) -> str:
    """The page of a set of runs: the comparison, a line a run, and of a few runs each one's picture.

    Args:
        curves: those without a finished epoch are left out.
        waiting: ids of the runs without a finished epoch.
        problems: a line on each run whose files are corrupt.
    """
    drawn = [curve for curve in curves if curve.metrics.lines]
    sections = ["# Training curves", _ABOUT]
    if drawn:
        sections.append("![Loss, top-1, learning rate and throughput over the epochs](curves.png)")
        few = [curve for seeds in by_name(drawn).values() for curve in seeds[:LISTED_SEEDS]]
        sections.append(_runs_table(few))
        if rest := len(drawn) - len(few):
            sections.append(f"{rest:,} more: only {LISTED_SEEDS} seeds of each are listed. The pictures show all.")
    if waiting:
        sections.append(f"No epoch finished yet: {', '.join(code(run_id) for run_id in waiting)}.")
    if problems:
        listed = "\n".join(f"- {escape(line)}" for line in problems)
        sections.append(f"Not shown because their files are corrupt:\n\n{listed}")
    for curve in pictured(curves):
        run_id = curve.record.run_id
        name = escape(run_id)
        sections.append(f"## {name}\n\n![Training curves of {name}]({PICTURES}/{quote(run_id)}.png)")
    files = "The same data as CSV: [curves.csv](curves.csv)"
    sections.append(f"{files}; the picture as SVG: [curves.svg](curves.svg)." if drawn else f"{files}.")
    return "\n\n".join(sections) + "\n"


PICTURES = "curves"
"""folder of the runs' own pictures, beside the page"""


def pictured(curves: Sequence[Curve]) -> list[Curve]:
    """Select the curves that get a picture of their own beside the comparison."""
    drawn = [curve for curve in curves if curve.metrics.lines]
    return drawn if 1 < len(drawn) <= PICTURED else []


def curves_picture(curves: Sequence[Curve]) -> Picture | None:
    """The comparison of several runs, or the figure of one; None if no epoch is finished."""
    drawn = [curve for curve in curves if curve.metrics.lines]
    if len(drawn) > 1:
        return Picture(draw="figures.curves:comparison_figure", shows=(drawn,))
    return run_picture(drawn[0]) if drawn else None


def run_picture(curve: Curve) -> Picture:
    """The figure of a run."""
    return Picture(draw="figures.curves:run_figure", shows=(curve,))


_ABOUT = (
    "These curves come from the runs' own folders: `metrics.jsonl` has one line per epoch, and `record.json` has the "
    "throughput and the start of each attempt. The pictures show the number of finished epochs; the CSV counts epochs "
    "from 0, as the folders do. *Restarts* are attempts after the first. If an epoch was resumed halfway, its "
    "throughput is that of the part after the last restart. Older runs recorded the throughput of their last epoch "
    "only."
)


def _runs_table(curves: Sequence[Curve]) -> str:
    last = [curve.metrics.lines[-1] for curve in curves]
    shown = pd.DataFrame(
        {
            "Run": [link(code(curve.record.run_id), record_file(curve.record.run_id)) for curve in curves],
            "status": [curve.state or f"completed, {curve.record.epochs} epochs" for curve in curves],
            "last raw top-1 %": [_number(line.get("raw_top1_pct")) for line in last],
            "last EMA": [_number(line.get("ema_top1_pct")) for line in last],
            "of images": ["held out" if curve.holds_out else "for validation" for curve in curves],
            "restarts, after epochs": [", ".join(f"{place:g}" for place in curve.restarts) or DASH for curve in curves],
        }
    )
    return pipe(shown, text=("Run", "status", "of images"))


def _number(value: float | None) -> str:
    return DASH if value is None else f"{value:.2f}"
