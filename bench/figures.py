"""``--figure``: the paper's figures. What they show is measured where it is missing, then drawn and written.

A figure's module in ``bench/report/`` draws from what was measured; without torch where that is in ``runs/``.
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench import evidence
from bench.collect import collect, measure_missing
from bench.feature_sources import open_photograph, require_feature_maps
from bench.output import tell, texts, write_report
from bench.paper import TABLES
from bench.run_folder import RunRecords
from bench.specs import Edition, networks, unknown
from bench.store import require_writable

if TYPE_CHECKING:
    import pandas as pd

Frames = Mapping[int, "pd.DataFrame"]
"""of the paper's tables, by number"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A figure's files by suffix, and what could not be measured for it."""

    contents: Mapping[str, str | bytes]
    failures: Sequence[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One of the paper's figures."""

    title: str
    draw: Callable[[Edition, argparse.Namespace, Frames | None], Drawn]
    """from the edition, the command line, and the frames of all tables where a command has them already"""


def _figure_1(edition: Edition, args: argparse.Namespace, frames: Frames | None) -> Drawn:
    from bench.report.figure_1 import TABLES_SHOWN, figure_1_files
    from bench.report.frame import table_frame

    failures: list[str] = []
    if frames is None:
        rows = [row for number in TABLES_SHOWN for row in TABLES[number].rows_in(edition)]
        failures = measure_missing(networks(rows), args.runs)
        found = collect(rows, RunRecords(args.runs))
        frames = {
            number: table_frame(TABLES[number], edition, found.measurements, found.records, found.evaluations)
            for number in TABLES_SHOWN
        }
    return Drawn(contents=figure_1_files(edition, frames), failures=failures)


def _figure_2(edition: Edition, args: argparse.Namespace, frames: Frames | None) -> Drawn:
    import numpy as np

    from bench.report.figure_2 import figure_2_files

    photograph = open_photograph(args.image)
    found, failures = require_feature_maps(photograph, args)
    evidence.keep(args.runs, args.reports, evidence.of_feature_maps(found))
    photograph.image.thumbnail((LARGEST_PX, LARGEST_PX))
    return Drawn(contents=figure_2_files(found, np.asarray(photograph.image)), failures=failures)


LARGEST_PX = 600
"""of the photograph in Figure 2, which may be one of a camera"""

FIGURES: Mapping[int, Figure] = {
    1: Figure(title="Top-1 on ImageNet against MACs and params", draw=_figure_1),
    2: Figure(title="Feature maps of ResNet50, ViT-L/16 and T2T-ViT-24 from early to late layers", draw=_figure_2),
}


def require_figures(numbers: Sequence[str]) -> list[int]:
    """The figures' numbers, each once.

    Raises:
        RequestError: there is no such figure.
    """
    for number in numbers:
        if number not in map(str, FIGURES):
            listed = "; ".join(f"{n}: {figure.title}" for n, figure in FIGURES.items())
            raise unknown("figure", number, FIGURES, listed)
    return [int(number) for number in dict.fromkeys(numbers)]


def report_figures(numbers: Sequence[int], edition: Edition, args: argparse.Namespace) -> int:
    """Draw the figures into ``args.reports``; returns the exit code."""
    require_writable(args.reports, "--reports")
    require_writable(args.runs, "--runs")
    written: list[dict[str, object]] = []
    failures: list[str] = []
    for number in numbers:
        drawn = FIGURES[number].draw(edition, args, None)
        paths = write_report(args.reports, f"figure_{number}", drawn.contents)
        failures += drawn.failures
        written.append({"figure": number, "title": FIGURES[number].title, "reports": texts(paths)})
        if not args.json:
            tell(paths)
    if args.json:
        print(json.dumps({"figures": written, "failures": failures}, indent=2))
    for failure in failures:
        print(f"run_all.py: {failure}", file=sys.stderr)
    return 1 if failures else 0
