"""Rows and measurements joined into one DataFrame: the only source of every table and picture."""

from collections.abc import Mapping

import pandas as pd

from bench.report.verdict import verdict, worst
from bench.specs import Complexity, Edition, Row, Table

COLUMNS = {
    "model": "string",
    "network": "string",
    "img_size": "Int64",
    "recipe": "string",
    "edition": "string",
    "published_top1_pct": "Float64",
    "top1_pct": "Float64",
    "top1_std": "Float64",
    "seeds": "Int64",
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

Measurements = Mapping[tuple[str, int], Complexity]
"""by model and img_size"""


def table_frame(table: Table, edition: Edition, measurements: Measurements) -> pd.DataFrame:
    """One line a row of the table, published figures beside what was measured; missing is NA.

    Args:
        table: the paper's table.
        edition: whose printed figures to show.
        measurements: what is known; rows without one keep NA.

    Returns:
        A frame with ``COLUMNS``, indexed from 0 in the order of the table.
    """
    lines = [_line(row, edition, measurements.get((row.run.model, row.run.img_size))) for row in table.rows]
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


def _difference(measured: float, published: float | None) -> float | None:
    # Nine digits: single MACs in G; beyond them lies float noise.
    return None if published is None else round(measured - published, 9)
