"""Effects of one row's networks against another's, image by image, from the predictions that their runs kept."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from bench.report.statistics import Effect, Hits, compare
from bench.results.predictions import Predictions, load_predictions
from bench.results.run_folder import RunRecords


class PairedRuns:
    """Called with a cell and two rows of a ``table_frame``.

    Args:
        records: of the folder of runs; a file of predictions that is damaged is named among its problems.
    """

    def __init__(self, records: RunRecords) -> None:
        self._records = records

    def __call__(self, cell: str, row: Mapping[Any, Any], against: Mapping[Any, Any]) -> Effect | None:
        """Compare the rows' runs; None where one has no predictions, or on other images."""
        name = "run_ids" if cell == "top1_pct" else f"{cell.removesuffix('_pct')}_run_ids"
        first, second = self._hits(row[name]), self._hits(against[name])
        if first is None or second is None or first.shape[1] != second.shape[1]:
            return None
        return compare(first, second)

    def _hits(self, run_ids: str) -> Hits | None:
        """Hits of all runs of a row, (S, n), on the same images."""
        kept: list[Predictions] = []
        for run_id in run_ids.split() if not pd.isna(run_ids) else ():
            record = self._records.get(run_id)
            try:
                predictions = load_predictions(self._records.runs, record) if record else None
                if predictions is None:
                    return None
                if kept:
                    kept[0].require_same_images(predictions)
            except ValueError as error:
                self._records.problems.append(str(error))
                return None
            kept.append(predictions)
        if not kept:
            return None
        return np.array([one.is_hit("ema" if "ema" in one.predicted else "raw") for one in kept])
