"""Pictures before they are drawn: what they show, and what draws it. matplotlib is imported to draw, and not before."""

import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.report.remembered import remembered

LIBRARIES = ("matplotlib", "numpy", "pillow")
"""which draw"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture, which need not be drawn if its files show the same already."""

    draw: str
    """``module:function`` of what returns the figure, below ``bench.report``"""
    shows: tuple[object, ...]
    """the arguments of that function, on which alone the figure depends"""


def picture_files(folder: Path, name: str, picture: Picture) -> Mapping[str, bytes]:
    """The PNG and SVG of a picture, by file name, drawn only if those in the folder of reports show something else.

    Args:
        folder: the folder of reports.
        name: of the files, without suffix.
        picture: that they show.
    """
    shown = [picture.draw, *picture.shows]
    return remembered(folder, name, partial(_drawn, name, picture), of=shown, libraries=LIBRARIES)


def _drawn(name: str, picture: Picture) -> dict[str, bytes]:
    from matplotlib import style

    from bench.report.figures.plots import saved

    with style.context("default"):  # whatever a matplotlibrc of the reader's says
        files = saved(pkgutil.resolve_name(f"bench.report.{picture.draw}")(*picture.shows))
    return {f"{name}.{suffix}": content for suffix, content in files.items()}
