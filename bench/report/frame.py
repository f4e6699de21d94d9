"""Rows and measurements joined into one DataFrame: the only source of every table and picture."""

from collections.abc import Mapping

import pandas as pd

from bench.report.verdict import verdict, worst
from bench.specs import Complexity, Edition, Row, RunRecord, RunSpec, Table

COLUMNS = {
    "model": "string",
    "network": "string",
    "img_size": "Int64",
    "recipe": "string",
    "edition": "string",
    "published_top1_pct": "Float64",
    "top1_pct": "Float64",
    "top1_std": "Float64",
    "top1_last_pct": "Float64",
    "seeds": "Int64",
    "run_id": "string",
    "published_params_m": "Float64",
    "params_m": "Float64",
    "params_difference_m": "Float64",
    "params_verdict": "string",
    "trainable_params_m": "Float64",
    "published_macs_g": "Float64",
    "macs_g": "Float64",
    "macs_difference_g": "Float64",
    "macs_verdict": "string",
    "linear_macs_g": "Float64",
    "torch_macs_g": "Float64",
    "source": "string",
    "verdict": "string",
    "measured_on": "string",
}
"""of a report's CSV, with pandas types that know a missing value from a number; units are in the names"""

Records = Mapping[str, RunRecord]
"""by run id"""

Measurements = Mapping[tuple[str, int], Complexity]
"""by model and img_size"""


def table_frame(table: Table, edition: Edition, measurements: Measurements, records: Records) -> pd.DataFrame:
    """One line a row of the table, published figures beside what was measured; missing is NA.

    Args:
        table: the paper's table.
        edition: whose printed figures to show.
        measurements: what is known; rows without one keep NA.
        records: runs that fill accuracies; one that is unfinished, or that saw other than the complete data
            set, fills none.

    Returns:
        A frame with ``COLUMNS``, indexed from 0 in the order of the table.
    """
    lines = [
        _line(row, edition, measurements.get((row.run.model, row.run.img_size)))
        | _accuracies(records.get(row.run.run_id))
        for row in table.rows
    ]
    return pd.DataFrame(lines, columns=list(COLUMNS)).astype(COLUMNS)


def _line(row: Row, edition: Edition, measured: Complexity | None) -> dict[str, object]:
    published, printed_in = row.figures(edition)
    line: dict[str, object] = {
        "model": row.name,
        "network": row.run.model,
        "img_size": row.run.img_size,
        "recipe": row.run.recipe.name,
        "edition": printed_in.name,
        "published_top1_pct": published.top1_pct,
        "published_params_m": published.params_m,
        "published_macs_g": published.macs_g,
        "source": "published",
    }
    if measured is None:
        return line
    params_m, macs_g = measured.params / 1e6, measured.macs / 1e9
    cells = (verdict(published.params_m, params_m), verdict(published.macs_g, macs_g))
    return line | {
        "params_m": params_m,
        "params_difference_m": _difference(params_m, published.params_m),
        "params_verdict": cells[0],
        "trainable_params_m": measured.trainable_params / 1e6,
        "macs_g": macs_g,
        "macs_difference_g": _difference(macs_g, published.macs_g),
        "macs_verdict": cells[1],
        "linear_macs_g": measured.linear_macs / 1e9,
        "torch_macs_g": measured.torch_macs / 1e9,
        "source": "measured",
        "verdict": worst(cells),
        "measured_on": measured.measured_at[:10],
    }


def _accuracies(record: RunRecord | None) -> dict[str, object]:
    if record is None or not record.is_whole:
        return {}
    return {
        "top1_pct": record.top1_pct("best"),
        "top1_last_pct": record.top1_pct("last"),
        "seeds": 1,
        "run_id": record.run_id,
        "source": "trained",
    }


RUN_COLUMNS = {
    "model": "string",
    "network": "string",
    "run_id": "string",
    "status": "string",
    "epoch": "Int64",
    "epochs": "Int64",
    "train_images": "Int64",
    "val_images": "Int64",
    "ema_best_top1_pct": "Float64",
    "ema_last_top1_pct": "Float64",
    "raw_best_top1_pct": "Float64",
    "raw_last_top1_pct": "Float64",
    "ema_last_top5_pct": "Float64",
    "raw_last_top5_pct": "Float64",
    "device": "string",
    "precision": "string",
    "images_per_s": "Float64",
    "wall_time_s": "Float64",
    "commit": "string",
    "error": "string",
}
"""of the CSV of a set of runs"""


def runs_frame(runs: Mapping[str, RunSpec], records: Records) -> pd.DataFrame:
    """One line a run, by row name; what is missing is NA."""
    lines: list[dict[str, object]] = []
    for name, spec in runs.items():
        record = records.get(spec.run_id)
        line: dict[str, object] = {"model": name, "network": spec.model, "run_id": spec.run_id, "status": "not begun"}
        if record:
            known = {column: getattr(record, column, None) for column in RUN_COLUMNS} | dict(record.results)
            known |= {name: record.data.get(name) for name in ("train_images", "val_images")}
            known["commit"] = _commit(record)
            line |= {
                column: value for column, value in known.items() if column in RUN_COLUMNS and value not in (None, "")
            }
        lines.append(line)
    return pd.DataFrame(lines, columns=list(RUN_COLUMNS)).astype(RUN_COLUMNS)


def _commit(record: RunRecord) -> str:
    return f"{str(record.git.get('commit', ''))[:10]}{' (dirty)' if record.git.get('dirty') else ''}"


def _difference(measured: float, published: float | None) -> float | None:
    # Nine digits: single MACs in G; beyond them lies float noise.
    return None if published is None else round(measured - published, 9)
