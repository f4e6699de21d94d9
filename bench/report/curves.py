"""Training curves: a run's metrics over the epochs, and what its record says of each."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pandas as pd

from bench.results.event import Event
from bench.results.record import Metrics, RunRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A run's curves, and whose they are."""

    name: str
    """of what it is a seed of: runs of one name differ in their seed only"""
    record: RunRecord
    metrics: Metrics

    @property
    def holds_out(self) -> bool:
        """Whether the epochs were validated on training images that the recipe holds out."""
        recipe = self.record.spec.get("recipe")
        return isinstance(recipe, Mapping) and bool(recipe.get("held_out"))

    @property
    def state(self) -> str:
        """The progress of a run that is not completed; empty for one that is."""
        record = self.record
        if record.status == "completed":
            return ""
        what = "not finished" if record.status == "running" else record.status
        return f"{what}, {record.epoch} of {record.epochs} epochs"

    @property
    def restarts(self) -> list[float]:
        """The starts of all attempts but the first, in finished epochs and fractions of them."""
        attempts = [event for event in self.record.events if event.what == "running"]
        return [_place(event) for event in attempts[1:]]


def _place(event: Event) -> float:
    return (event.epoch or 0) + (event.step or 0) / (event.steps or 1)


CURVE_COLUMNS = {
    **dict.fromkeys(("model", "run_id"), "string"),
    **dict.fromkeys(("seed", "epoch"), "Int64"),
    **dict.fromkeys(("lr", "train_loss", "raw_val_loss", "ema_val_loss"), "Float64"),
    **dict.fromkeys(("raw_top1_pct", "ema_top1_pct", "raw_top5_pct", "ema_top5_pct", "images_per_s"), "Float64"),
    "held_out": "boolean",
}
"""of the CSV of training curves"""


def curves_frame(curves: Iterable[Curve]) -> pd.DataFrame:
    """One line a run and epoch; what is missing is NA.

    Returns:
        A frame with ``CURVE_COLUMNS``: epochs count from 0 as in metrics.jsonl, ``images_per_s`` is of training, and
        ``held_out`` says on which images losses and accuracies of validation are.
    """
    lines = [
        {
            **line,
            "model": curve.name,
            "run_id": curve.record.run_id,
            "seed": curve.record.spec.get("seed"),
            "images_per_s": _images_per_s(curve.record, int(line["epoch"])),
            "held_out": curve.holds_out,
        }
        for curve in curves
        for line in curve.metrics.lines
    ]
    return pd.DataFrame(lines, columns=list(CURVE_COLUMNS)).astype(CURVE_COLUMNS)


def _images_per_s(record: RunRecord, epoch: int) -> float | None:
    speeds = record.epoch_images_per_s
    if not speeds and epoch + 1 == record.epoch:  # of a run of before each epoch's was noted
        return record.images_per_s
    return speeds[epoch] if epoch < len(speeds) else None


def by_name(curves: Iterable[Curve]) -> dict[str, list[Curve]]:
    """Runs that differ in their seed alone, together."""
    alike: dict[str, list[Curve]] = {}
    for curve in curves:
        alike.setdefault(curve.name, []).append(curve)
    return alike
