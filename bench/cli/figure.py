"""``--figure``: the paper's figures. What they show is measured where it is missing, then drawn and written.

A figure's module in ``bench/report/`` draws from what was measured; without torch where that is in ``runs/``.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cli.output import finish, tell, texts, write_report
from bench.measure.collect import collect, measure_missing, outline_of
from bench.measure.feature_sources import open_photograph, require_feature_maps
from bench.paper import TABLES
from bench.report import evidence_files
from bench.results.run_folder import RunRecords
from bench.results.store import feature_maps_path, outline_path, require_writable
from bench.spec.errors import RequestError, matching, unknown
from bench.spec.run import Network
from bench.spec.table import Edition, Row, networks

if TYPE_CHECKING:
    import pandas as pd

Frames = Mapping[int, "pd.DataFrame"]
"""of the paper's tables, by number"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A figure's files by suffix, the files below the runs that it was made of, and what could not be measured."""

    contents: Mapping[str, str | bytes]
    evidence: Sequence[Path] = ()
    failures: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Rows of the tables by whose name or network --only chooses what a figure shows."""

    what: str
    """that their networks have in common, for the reader"""
    rows: Sequence[Row]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One of the paper's figures."""

    title: str
    draw: Callable[[Edition, argparse.Namespace, Frames | None], Drawn]
    """from the edition, the command line, and the frames of all tables where a command has them already"""
    options: tuple[str, ...] = ()
    """of the command line that change what it shows"""
    choice: Choice | None = None
    """of which it shows the network that --only names"""


def _figure_1(edition: Edition, args: argparse.Namespace, frames: Frames | None) -> Drawn:
    from bench.report.figures.figure_1 import TABLES_SHOWN, figure_1_files
    from bench.report.frame import table_frame

    failures: list[str] = []
    files: list[Path] = []
    if frames is None:
        rows = [row for number in TABLES_SHOWN for row in TABLES[number].rows_in(edition)]
        failures = measure_missing(networks(rows), args.runs)
        found = collect(rows, RunRecords(args.runs))
        files = evidence_files.behind(found)
        frames = {
            number: table_frame(TABLES[number], edition, found.measurements, found.records, found.evaluations)
            for number in TABLES_SHOWN
        }
    return Drawn(contents=figure_1_files(edition, frames), evidence=files, failures=failures)


def _figure_2(edition: Edition, args: argparse.Namespace, frames: Frames | None) -> Drawn:
    import numpy as np

    from bench.report.figures.figure_2 import figure_2_files

    photograph = open_photograph(args.image)
    found, failures = require_feature_maps(photograph, args)
    photograph.image.thumbnail((LARGEST_PX, LARGEST_PX))
    return Drawn(
        contents=figure_2_files(found, np.asarray(photograph.image)),
        evidence=[feature_maps_path(Path(), one) for one in found],
        failures=failures,
    )


LARGEST_PX = 600
"""of the photograph in Figure 2, which may be one of a camera"""


def _figure_3(_: Edition, args: argparse.Namespace, __: Frames | None) -> Drawn:
    from bench.report.figures.figure_3 import figure_3_files

    return _of_outlines(figure_3_files, [_shown(args, _WITH_T2T)], args)


def _figure_4(_: Edition, args: argparse.Namespace, __: Frames | None) -> Drawn:
    from bench.report.figures.figure_4 import figure_4_files

    return _of_outlines(figure_4_files, [_shown(args, _OF_ONE_WIDTH)], args)


def _figure_5(_: Edition, args: argparse.Namespace, __: Frames | None) -> Drawn:
    from bench.report.figures.figure_5 import figure_5_files

    pair = [Network(name, img_size=args.img_size or _IMG_SIZE) for name in ("t2t_vit_14", "t2t_vit_16_ghost")]
    return _of_outlines(figure_5_files, pair, args)


def _of_outlines(
    files: Callable[..., Mapping[str, str | bytes]], shown: Sequence[Network], args: argparse.Namespace
) -> Drawn:
    outlines = [outline_of(network, args.runs) for network in shown]
    return Drawn(contents=files(*outlines), evidence=[outline_path(Path(), network) for network in shown])


_IMG_SIZE = 224
"""unless --img-size or the row that is shown says otherwise"""

_WITHOUT_T2T = ("t2t_vit_14_no_t2t", "t2t_vit_c_14")
_T2T_ROWS = [
    row
    for table in TABLES.values()
    for row in table.rows
    if row.network.model.startswith("t2t_vit") and row.network.model not in _WITHOUT_T2T
]
_WITH_T2T = Choice(what="with a T2T module", rows=_T2T_ROWS)
_OF_ONE_WIDTH = Choice(
    what="with a T2T module and blocks of one width",
    rows=[row for row in _T2T_ROWS if row.network.model != "t2t_vit_dense"],
)


def _shown(args: argparse.Namespace, choice: Choice) -> Network:
    """The network that a figure shows: T2T-ViT-14, or the one that --only names, at its resolution or --img-size.

    Raises:
        RequestError: --only names none of the choice, or several networks.
    """
    patterns = args.only or ["t2t_vit_14"]
    asked = f"--only {' '.join(patterns)}"
    try:
        rows = matching([((row.name, row.network.model), row) for row in choice.rows], patterns)
    except RequestError:
        models = dict.fromkeys(row.network.model for row in choice.rows)
        raise RequestError(f"{asked}: no T2T-ViT {choice.what}; choose from {', '.join(models)}") from None
    models = dict.fromkeys(row.network.model for row in rows)
    if len(models) > 1:
        raise RequestError(f"{asked}: the figure shows one network, and these are {', '.join(models)}; choose one")
    return replace(rows[0].network, img_size=args.img_size or min(row.network.img_size for row in rows))


_CHOOSING = ("img_size", "only")

FIGURES: Mapping[int, Figure] = {
    1: Figure(title="Top-1 on ImageNet against MACs and params", draw=_figure_1),
    2: Figure(
        title="Feature maps of ResNet50, ViT-L/16 and T2T-ViT-24 from early to late layers",
        draw=_figure_2,
        options=("image", "weights"),
    ),
    3: Figure(title="The Tokens-to-Token process", draw=_figure_3, options=_CHOOSING, choice=_WITH_T2T),
    4: Figure(title="The architecture of T2T-ViT", draw=_figure_4, options=_CHOOSING, choice=_OF_ONE_WIDTH),
    5: Figure(title="The Ghost block", draw=_figure_5, options=("img_size",)),
}


def require_figures(numbers: Sequence[str], args: argparse.Namespace) -> list[int]:
    """The figures' numbers, each once.

    Raises:
        RequestError: there is no such figure, or an option does not go with one of them.
    """
    for number in numbers:
        if number not in map(str, FIGURES):
            listed = "; ".join(f"{n}: {figure.title}" for n, figure in FIGURES.items())
            raise unknown("figure", number, FIGURES, listed)
    chosen = [int(number) for number in dict.fromkeys(numbers)]
    for option in dict.fromkeys(option for figure in FIGURES.values() for option in figure.options):
        without = [str(n) for n in chosen if option not in FIGURES[n].options]
        if getattr(args, option) not in (None, []) and without:
            takers = " ".join(str(n) for n, figure in FIGURES.items() if option in figure.options)
            flag = f"--{option.replace('_', '-')}"
            raise RequestError(
                f"{flag} does nothing for figure {' and '.join(without)}; leave it out, or choose --figure "
                f"{takers} alone"
            )
    _require_size(args.img_size)
    for choice in (FIGURES[n].choice for n in chosen):
        if choice:
            _shown(args, choice)
    return chosen


_SIDES, _STEP = (16, 4096), 16


def _require_size(img_size: int | None) -> None:
    least, most = _SIDES
    if img_size is not None and (img_size % _STEP or not least <= img_size <= most):
        near = min(max(img_size // _STEP * _STEP, least), most - _STEP)
        raise RequestError(
            f"--img-size {img_size}: T2T-ViT takes sides divisible by {_STEP}, here from {least} to {most}; choose "
            f"{near} or {near + _STEP}"
        )


def report_figures(numbers: Sequence[int], edition: Edition, args: argparse.Namespace) -> int:
    """Draw the figures into ``args.reports``; returns the exit code."""
    require_writable(args.reports, "--reports")
    require_writable(args.runs, "--runs")
    written: list[dict[str, object]] = []
    failures: list[str] = []
    for number in numbers:
        drawn = FIGURES[number].draw(edition, args, None)
        paths = write_report(args.reports, f"figure_{number}", drawn.contents)
        evidence_files.keep(args.runs, args.reports, drawn.evidence)
        failures += drawn.failures
        written.append({"figure": number, "title": FIGURES[number].title, "reports": texts(paths)})
        if not args.json:
            tell(paths)
    return finish({"figures": written} if args.json else None, failures)
