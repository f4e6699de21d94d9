"""A small grid over learning rate and weight decay, and what is chosen from it."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One combination that is tried."""

    lr: float
    weight_decay: float


Tried = Mapping[Point, float | None]
"""held-out top-1 in % of the points that were trained, in the last epoch; None of one that diverged"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Every combination of some learning rates and weight decays; if the best learning rate lies at an edge, one more.

    The grid grows once, by the next learning rate in the same ratio, with all weight decays. It does not grow in weight
    decay, where each of two values is an edge.
    """

    lrs: tuple[float, ...]
    """ascending"""
    weight_decays: tuple[float, ...]

    def points(self) -> list[Point]:
        """Combinations that are tried in any case."""
        return self._at(*self.lrs)

    def missing(self, tried: Tried) -> list[Point]:
        """Points that are still to be tried; of the extension once all others are known."""
        if missing := [point for point in self.points() if point not in tried]:
            return missing
        return [point for point in self._extension(tried) if point not in tried]

    def best(self, tried: Tried) -> Point | None:
        """The point with the highest held-out accuracy, of equal ones the first; None while points are missing.

        Raises:
            ValueError: all points diverged.
        """
        if self.missing(tried):
            return None
        best = _best([*self.points(), *self._extension(tried)], tried)
        if best is None:
            raise ValueError(f"all {len(self.points())} points of the grid diverged")
        return best

    def _extension(self, tried: Tried) -> list[Point]:
        best = _best(self.points(), tried)
        if best is None:
            return []
        if best.lr == self.lrs[0]:
            return self._at(self.lrs[0] * self.lrs[0] / self.lrs[1])
        return self._at(self.lrs[-1] * self.lrs[-1] / self.lrs[-2]) if best.lr == self.lrs[-1] else []

    def _at(self, *lrs: float) -> list[Point]:
        # To nine digits, so that a ratio leaves no trace of rounding in a run's identity.
        return [Point(lr=float(f"{lr:.9g}"), weight_decay=decay) for lr in lrs for decay in self.weight_decays]


def _best(points: list[Point], tried: Tried) -> Point | None:
    found = [(top1, -place) for place, point in enumerate(points) if (top1 := tried[point]) is not None]
    return points[-max(found)[1]] if found else None
