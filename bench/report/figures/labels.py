"""Labels of the marks in a picture, each beside its mark or joined to it by a line, and none on another."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.patheffects import withStroke
from matplotlib.text import Annotation
from matplotlib.transforms import Affine2D, Bbox, ScaledTranslation

Label = tuple[str, tuple[float, float], str]
"""text, the place of its mark in data coordinates, and colour"""

_Points = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Side:
    """A place about a mark."""

    offset: tuple[float, float]
    """from the mark, points"""
    ha: str
    va: str
    """what of the text lies there"""
    is_far: bool = False
    """whether a line has to join it to its mark"""


_NEAR = (
    _Side(offset=(5, -4), ha="left", va="top"),
    _Side(offset=(-3, 6), ha="right", va="bottom"),
    _Side(offset=(5, 4), ha="left", va="bottom"),
    _Side(offset=(-5, -4), ha="right", va="top"),
    _Side(offset=(8, 0), ha="left", va="center"),
    _Side(offset=(-8, 0), ha="right", va="center"),
    _Side(offset=(0, 8), ha="center", va="bottom"),
    _Side(offset=(0, -8), ha="center", va="top"),
)
"""the preferred first"""

_FAR = tuple(
    _Side(
        offset=(round(distance * np.cos(angle), 1), round(distance * np.sin(angle), 1)),
        ha="left" if np.cos(angle) > 0.3 else "right" if np.cos(angle) < -0.3 else "center",
        va="bottom" if np.sin(angle) > 0.3 else "top" if np.sin(angle) < -0.3 else "center",
        is_far=True,
    )
    for distance in (16, 24, 34)
    for angle in np.deg2rad(np.arange(0, 360, 30))
)

_SIDES = _NEAR + _FAR

_ON_ANOTHER, _AMBIGUOUS, _ON_A_LINE, _JOINED = 10.0, 6.0, 3.0, 2.0
"""what it costs a label to cover a mark, a label or the frame, to be read as another mark's, to cross a line, and to
need a line of its own"""

_SWEEPS = 3
"""times that all labels are placed again, in sight of those that were placed after them"""

_PART = {"left": 0.0, "center": 0.5, "right": 1.0, "bottom": 0.0, "top": 1.0}
"""of a text's width or height that lies before its anchor"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """A place that a label may take, in pixels."""

    side: _Side
    box: Bbox
    apart: Bbox
    """the box with a gap about it, which tells neighbours apart"""
    joint: Path
    """from the mark to the text"""
    cost: float
    """of what does not move: marks, lines, frame"""

    def overlaps(self, other: "_Place") -> bool:
        """Whether the labels, or the lines that join them to their marks, are in each other's way."""
        return (
            self.apart.overlaps(other.box)
            or (other.side.is_far and bool(other.joint.intersects_bbox(self.box, filled=False)))
            or (self.side.is_far and bool(self.joint.intersects_bbox(other.box, filled=False)))
            or (self.side.is_far and other.side.is_far and bool(self.joint.intersects_path(other.joint)))
        )


def place_labels(
    axes: Axes, labels: Sequence[Label], figure_dpi: float, *, fontsize: float = 8, wanted: int | None = None
) -> None:
    """Write labels, each where it covers least, and join those to their marks that are not beside them.

    Args:
        axes: with all its marks, in a figure whose layout is finished.
        labels: the most important first.
        figure_dpi: pixels an inch.
        fontsize: points.
        wanted: labels that are written whatever they cover; a later one that would cover a mark or another label, or
            be read as another mark's, is left out. None for all.
    """
    obstacles = _obstacles(axes, figure_dpi)
    centers = axes.transData.transform(np.array([at for _, at, _ in labels]).reshape(-1, 2))
    texts: list[Annotation] = []
    places: list[Sequence[_Place]] = []
    chosen: list[_Place] = []
    for number, (words, at, color) in enumerate(labels):
        text = axes.annotate(
            words,
            at,
            xytext=(0, 0),
            textcoords="offset points",
            fontsize=fontsize,
            color=color,
            path_effects=[withStroke(linewidth=2, foreground="white")],  # to be read where it crosses a line
        )
        size = np.array(text.get_window_extent().size)
        others = centers[~np.isclose(centers, centers[number], atol=1).all(axis=1)]
        found = [_place(side, centers[number], size, others, obstacles, figure_dpi) for side in _SIDES]
        best, cost = _cheapest(found, chosen)
        if wanted is not None and number >= wanted and cost >= _AMBIGUOUS:
            text.remove()
            continue
        texts.append(text)
        places.append(found)
        chosen.append(best)
    for _ in range(_SWEEPS):
        for i, choices in enumerate(places):
            chosen[i], _ = _cheapest(choices, chosen[:i] + chosen[i + 1 :])
    for text, place in zip(texts, chosen, strict=True):
        text.set(position=place.side.offset, ha=place.side.ha, va=place.side.va)
        if place.side.is_far:
            _join(axes, text, place)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Obstacles:
    """Marks and lines that labels should not cover, in pixels."""

    marks: Sequence[Bbox]
    paths: Sequence[Path]
    inside: Bbox
    """where labels are free to be"""
    mark_extents: _Points
    """(M, 4), of the marks: x0, y0, x1, y1"""
    path_extents: _Points
    """(P, 4)"""


def _obstacles(axes: Axes, dpi: float) -> _Obstacles:
    radius = 5 * dpi / 72
    lines = [path for path, _ in _drawn(axes)]
    marks = [
        Bbox.from_extents(x - radius, y - radius, x + radius, y + radius)
        for path, has_marks in _drawn(axes)
        for x, y in (np.asarray(path.vertices) if has_marks else ())
    ]
    return _Obstacles(
        marks=marks,
        paths=lines,
        inside=axes.bbox.padded(radius),
        mark_extents=np.array([mark.extents for mark in marks]).reshape(-1, 4),
        path_extents=np.array([path.get_extents().extents for path in lines]).reshape(-1, 4),
    )


def _drawn(axes: Axes) -> Iterator[tuple[Path, bool]]:
    """Lines of the axes and bars of errors, in pixels, and whether they have marks."""
    for line in axes.lines:
        yield line.get_transform().transform_path(line.get_path()), line.get_marker() not in ("None", "", None)
    for bars in axes.collections:
        if isinstance(bars, LineCollection):
            for path in bars.get_paths():
                yield bars.get_transform().transform_path(path), False


def _cheapest(places: Sequence[_Place], others: Sequence[_Place]) -> tuple[_Place, float]:
    """The place that costs least in sight of others, the first of several."""
    best = np.inf, 0
    for i in sorted(range(len(places)), key=lambda i: places[i].cost):
        if places[i].cost > best[0]:
            break  # others only add to the cost
        best = min(best, (places[i].cost + _ON_ANOTHER * sum(map(places[i].overlaps, others)), i))
    return places[best[1]], best[0]


def _place(side: _Side, mark: _Points, size: _Points, others: _Points, obstacles: _Obstacles, dpi: float) -> _Place:
    """A label on one side of its mark, and what it covers there.

    Many parameters: the label, and all that is in its way.

    Args:
        side: of the mark.
        mark: (2,), the label's own, in pixels.
        size: (2,), of the text, in pixels.
        others: (N, 2), the other marks with labels.
        obstacles: of the axes.
        dpi: pixels an inch.
    """
    end = mark + np.array(side.offset) * dpi / 72
    corner = end - size * [_PART[side.ha], _PART[side.va]]
    box, joint = Bbox([corner, corner + size]), Path([mark, end])
    inside = obstacles.inside
    cost = _ON_ANOTHER * box.count_overlaps(obstacles.marks)
    cost += _ON_ANOTHER * (not (inside.containsx(box.x0) and inside.containsx(box.x1)))
    near = _near(box, obstacles.path_extents)
    cost += _ON_A_LINE * sum(obstacles.paths[i].intersects_bbox(box, filled=False) for i in near)
    if side.is_far:
        near = _near(Bbox.from_extents(*np.minimum(mark, end), *np.maximum(mark, end)), obstacles.mark_extents)
        beyond = [obstacles.marks[i] for i in near if not obstacles.marks[i].contains(*mark)]
        cost += _ON_ANOTHER * sum(joint.intersects_bbox(other, filled=False) for other in beyond)
        cost += _JOINED + np.hypot(*side.offset) / 20
    elif _nearer_another(box, mark, others, dpi):
        cost += _AMBIGUOUS
    return _Place(side=side, box=box, apart=box.padded(2 * dpi / 72), joint=joint, cost=float(cost))


def _near(box: Bbox, extents: _Points) -> Iterable[int]:
    """Find the extents, of (N, 4), that a box meets; all others are ruled out at once."""
    return np.flatnonzero((extents[:, :2] <= box.max).all(axis=1) & (extents[:, 2:] >= box.min).all(axis=1))


def _nearer_another(box: Bbox, mark: _Points, others: _Points, dpi: float) -> bool:
    """Whether a label would be read as another mark's: that lies about as near to it as its own.

    Args:
        box: of the label, in pixels.
        mark: (2,), the label's own.
        others: (N, 2).
        dpi: pixels an inch.
    """
    beyond = np.maximum(0, np.maximum(box.min - np.vstack([mark, others]), np.vstack([mark, others]) - box.max))
    own, *rest = np.hypot(*beyond.T)
    return bool(np.less(rest, own + 4 * dpi / 72).any())


def _join(axes: Axes, text: Annotation, place: _Place) -> None:
    """Draw the line from a mark to its label, in points from the mark at any resolution."""
    figure = axes.get_figure(root=True)
    assert figure
    points = Affine2D().scale(1 / 72) + figure.dpi_scale_trans + ScaledTranslation(*text.xy, axes.transData)  # type: ignore[arg-type]  # any transform will do
    offset = np.array(place.side.offset)
    length = np.hypot(*offset)
    joint = Path([offset * 4 / length, offset * (length - 1) / length])  # from the edge of the mark
    axes.add_artist(
        PathPatch(joint, transform=points, fill=False, edgecolor=text.get_color(), linewidth=0.6, clip_on=False)
    )
