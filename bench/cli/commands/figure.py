"""``run_all.py figure``: the paper's figures. What they show is measured where it is missing, then drawn and written.

A figure's module in ``bench/report/`` draws from what was measured; without torch where that is in ``runs/``.
"""

import argparse
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cli.output import finish, tell, texts, write_report
from bench.cli.parser import Output, Parser, add_output, as_name, as_path, does_nothing, output_of, whole
from bench.cli.selection import add_edition, edition_named
from bench.measure.collect import collect, measure_missing, outline_of, tell_problems
from bench.measure.dead_channels import count_shown
from bench.measure.feature_sources import known_dead_channels, open_photograph, require_feature_maps
from bench.paper import TABLES
from bench.paper.figures import FIGURE_TITLES
from bench.report import evidence_files
from bench.results.files import require_writable
from bench.results.run_folder import RunRecords
from bench.results.store import dead_channels_path, feature_maps_path, outline_path
from bench.spec.errors import RequestError, matching, unknown
from bench.spec.run import Network, Resources
from bench.spec.table import Edition, Row, networks

if TYPE_CHECKING:
    import pandas as pd

    from bench.report.pictures import Picture

Frames = Mapping[int, "pd.DataFrame"]
"""of the paper's tables, by number"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A figure, its page and CSV by suffix, the files below the runs behind it, and what could not be measured."""

    picture: "Picture"
    contents: Mapping[str, str]
    evidence: Sequence[Path] = ()
    failures: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureRequest:
    """The figures to draw, and the networks to show."""

    numbers: tuple[int, ...]
    edition: Edition
    output: Output
    only: tuple[str, ...] = ()
    """names of networks, of which Figures 3 and 4 show one; T2T-ViT-14 if there are none"""
    img_size: int | None = None
    """in pixels; None for that of the network's row"""
    image: Path | None = None
    """photograph of Figure 2; None for the one that matplotlib ships"""
    weights: tuple[Path, ...] = ()
    """files and runs of Figure 2; none for the paper's networks, trained as far as they are"""
    data: str | None = None
    """folder of the data sets, to count dead channels over test images as well; None for the photograph alone"""
    download: bool = False
    """whether to download a data set of torchvision's that is not there"""


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
    draw: "Callable[[FigureRequest, Frames | None], Drawn]"
    """from the request, and the frames of all tables where a command has them already"""
    options: tuple[str, ...] = ()
    """fields of the request that change what it shows"""
    choice: Choice | None = None
    """of which it shows the network that --only names"""


def _figure_1(asked: FigureRequest, frames: Frames | None) -> Drawn:
    from bench.report.frame import table_frame
    from bench.report.pages.figure_1 import TABLES_SHOWN, figure_1_files
    from bench.report.pictures import Picture

    failures: list[str] = []
    files: list[Path] = []
    if frames is None:
        rows = [row for number in TABLES_SHOWN for row in TABLES[number].rows_in(asked.edition)]
        failures = measure_missing(networks(rows), asked.output.runs)
        found = collect(rows, RunRecords(asked.output.runs))
        found = evidence_files.settled_results(found, asked.output.reports)
        files = evidence_files.behind(found)
        frames = {number: table_frame(TABLES[number], asked.edition, found) for number in TABLES_SHOWN}
    shows = (asked.edition, {number: frames[number] for number in TABLES_SHOWN})
    return Drawn(
        picture=Picture(draw="figures.figure_1:figure_1", shows=shows),
        contents=figure_1_files(*shows),
        evidence=files,
        failures=failures,
    )


def _figure_2(asked: FigureRequest, _: Frames | None) -> Drawn:
    from bench.report.pages.figure_2 import figure_2_files
    from bench.report.pictures import Picture

    photograph = open_photograph(asked.image)
    found, failures = require_feature_maps(photograph, asked.weights, asked.output.runs)
    if asked.data:
        failures += count_shown(
            found, asked.weights, asked.output.runs, Resources(data=asked.data, download=asked.download)
        )
    found = [evidence_files.settled(one, asked.output.reports) for one in found]
    counts, problems = known_dead_channels(found, asked.output.runs)
    tell_problems(problems)
    return Drawn(
        picture=Picture(draw="figures.figure_2:figure_2", shows=(found, photograph.pixels)),
        contents=figure_2_files(found, counts),
        evidence=[
            *(feature_maps_path(Path(), one) for one in found),
            *(dead_channels_path(Path(), one.dead_channels_id) for one in counts.values()),
        ],
        failures=failures,
    )


def _figure_3(asked: FigureRequest, _: Frames | None) -> Drawn:
    from bench.report.pages.figure_3 import figure_3_files

    return _of_outlines("figures.figure_3:figure_3", figure_3_files, [_shown(asked, _WITH_T2T)], asked)


def _figure_4(asked: FigureRequest, _: Frames | None) -> Drawn:
    from bench.report.pages.figure_4 import figure_4_files

    return _of_outlines("figures.figure_4:figure_4", figure_4_files, [_shown(asked, _OF_ONE_WIDTH)], asked)


def _figure_5(asked: FigureRequest, _: Frames | None) -> Drawn:
    from bench.report.pages.figure_5 import figure_5_files

    pair = [Network(name, img_size=asked.img_size or _IMG_SIZE) for name in ("t2t_vit_14", "t2t_vit_16_ghost")]
    return _of_outlines("figures.figure_5:figure_5", figure_5_files, pair, asked)


def _of_outlines(
    draw: str, files: Callable[..., Mapping[str, str]], shown: Sequence[Network], asked: FigureRequest
) -> Drawn:
    from bench.report.pictures import Picture

    output = asked.output
    outlines = [evidence_files.settled(outline_of(network, output.runs), output.reports) for network in shown]
    return Drawn(
        picture=Picture(draw=draw, shows=tuple(outlines)),
        contents=files(*outlines),
        evidence=[outline_path(Path(), network) for network in shown],
    )


_IMG_SIZE = 224
"""unless --img-size or the row that is shown says otherwise"""

_WITHOUT_T2T = ("t2t_vit_14_no_t2t", "t2t_vit_14_wide_no_t2t", "t2t_vit_c_14")
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


def _shown(asked: FigureRequest, choice: Choice) -> Network:
    """The network that a figure shows: T2T-ViT-14, or the one that --only names, at its resolution or --img-size.

    Raises:
        RequestError: --only names none of the choice, or several networks.
    """
    patterns = list(asked.only) or ["t2t_vit_14"]
    option = f"--only {' '.join(patterns)}"
    try:
        rows = matching([((row.name, row.network.model), row) for row in choice.rows], patterns)
    except RequestError:
        models = dict.fromkeys(row.network.model for row in choice.rows)
        raise RequestError(f"{option}: no T2T-ViT {choice.what}; choose from {', '.join(models)}") from None
    models = dict.fromkeys(row.network.model for row in rows)
    if len(models) > 1:
        raise RequestError(f"{option}: the figure shows one network, and these are {', '.join(models)}; choose one")
    return replace(rows[0].network, img_size=asked.img_size or min(row.network.img_size for row in rows))


_CHOOSING = ("img_size", "only")

FIGURES: Mapping[int, Figure] = {
    1: Figure(title=FIGURE_TITLES[1], draw=_figure_1, options=("edition",)),
    2: Figure(
        title=FIGURE_TITLES[2],
        draw=_figure_2,
        options=("image", "weights", "data", "download"),
    ),
    3: Figure(title=FIGURE_TITLES[3], draw=_figure_3, options=_CHOOSING, choice=_WITH_T2T),
    4: Figure(title=FIGURE_TITLES[4], draw=_figure_4, options=_CHOOSING, choice=_OF_ONE_WIDTH),
    5: Figure(title=FIGURE_TITLES[5], draw=_figure_5, options=("img_size",)),
}


HELP = "draw the paper's figures"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the subcommand."""
    listed = "; ".join(f"{number}: {figure.title}" for number, figure in FIGURES.items())
    parser.add_argument("numbers", nargs="+", metavar="N", help=listed)
    parser.add_argument(
        "--only",
        nargs="+",
        type=as_name,
        default=[],
        metavar="NETWORK",
        help="figures 3 and 4: show this network (default: T2T-ViT-14)",
    )
    parser.add_argument(
        "--img-size", type=whole(1), metavar="PX", help="figures 3 to 5: for images of this many pixels (default: 224)"
    )
    parser.add_argument("--image", type=as_path, metavar="FILE", help="figure 2: show the features on this photograph")
    parser.add_argument(
        "--weights",
        nargs="+",
        type=as_path,
        default=[],
        metavar="FILE",
        help="figure 2: show the features of these weights: files, or finished runs by folder or id",
    )
    parser.add_argument(
        "--data",
        type=as_path,
        metavar="DIR",
        help="figure 2: also count dead channels over 256 test images, for claim 11; the folder of the data sets",
    )
    parser.add_argument("--download", action="store_true", help="figure 2, with --data: download what is not there")
    add_edition(parser)
    add_output(parser)


def request(arguments: Sequence[str]) -> FigureRequest:
    """Read the command line.

    Raises:
        RequestError: there is no such figure, or an option does not go with one of them.
    """
    parser = Parser("figure", description="Draw the paper's figures, from measurements made here.")
    add_options(parser)
    args = parser.parse_args(arguments)
    for number in args.numbers:
        if number not in map(str, FIGURES):
            listed = "; ".join(f"{n}: {figure.title}" for n, figure in FIGURES.items())
            raise unknown("figure", number, FIGURES, listed)
    asked = FigureRequest(
        numbers=tuple(int(number) for number in dict.fromkeys(args.numbers)),
        edition=edition_named(args.edition),
        only=tuple(args.only),
        img_size=args.img_size,
        image=args.image,
        weights=tuple(args.weights),
        data=os.path.realpath(args.data) if args.data else None,
        download=args.download,
        output=output_of(args),
    )
    for option in dict.fromkeys(option for figure in FIGURES.values() for option in figure.options):
        without = [str(n) for n in asked.numbers if option not in FIGURES[n].options]
        if getattr(args, option) not in (None, [], parser.get_default(option)) and without:
            takers = " ".join(str(n) for n, figure in FIGURES.items() if option in figure.options)
            raise RequestError(
                f"--{option.replace('_', '-')} does nothing for figure {' and '.join(without)}; leave it out, or "
                f"choose figure {takers} alone"
            )
    if asked.download and not asked.data:
        raise does_nothing("--download", "--data DIR")
    _require_size(asked.img_size)
    for choice in (FIGURES[n].choice for n in asked.numbers):
        if choice:
            _shown(asked, choice)
    return asked


_SIDES, _STEP = (16, 4096), 16


def _require_size(img_size: int | None) -> None:
    least, most = _SIDES
    if img_size is not None and (img_size % _STEP or not least <= img_size <= most):
        near = min(max(img_size // _STEP * _STEP, least), most - _STEP)
        raise RequestError(
            f"--img-size {img_size}: T2T-ViT takes sides divisible by {_STEP}, here from {least} to {most}; choose "
            f"{near} or {near + _STEP}"
        )


def run(asked: FigureRequest) -> int:
    """Draw the figures; returns the exit code."""
    output = asked.output
    require_writable(output.reports, "--reports")
    written: list[dict[str, object]] = []
    failures: list[str] = []
    for number in asked.numbers:
        drawn = FIGURES[number].draw(asked, None)
        paths = write_report(output.reports, f"figure_{number}", drawn.contents, drawn.picture)
        evidence_files.keep(output.runs, output.reports, drawn.evidence)
        failures += drawn.failures
        written.append({"figure": number, "title": FIGURES[number].title, "reports": texts(paths)})
        if not output.as_json:
            tell(paths)
    return finish({"figures": written} if output.as_json else None, failures)
