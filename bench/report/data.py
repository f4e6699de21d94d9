"""The public functions that return results as DataFrames; ``import bench`` has them as well, and stays quick.

Missing values are NA. Corrupt files are named on standard error and left out.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from bench.measure.collect import collect, tell_problems
from bench.paper import TABLES
from bench.paper.editions import EDITIONS
from bench.report.facts import ended_at, facts_frame, network_of, of_network, recipe_of
from bench.report.frame import COLUMNS, RUN_COLUMNS, run_values, table_frame
from bench.results.record import RunRecord
from bench.results.run_folder import RunRecords
from bench.spec.errors import RequestError, unknown
from bench.spec.recipe import YOUNGER_FIELDS, Recipe

_RECIPE = [field for field in dataclasses.fields(Recipe) if field.compare and field.name != "name"]
_TYPES: Mapping[object, str] = {int: "Int64", bool: "boolean", str: "string"}

LOADED_RUN_COLUMNS = {
    "run_id": "string",
    **dict.fromkeys(("model", "model_args"), "string"),
    "img_size": "Int64",
    **dict.fromkeys(("dataset", "recipe"), "string"),
    **{name: kind for name, kind in RUN_COLUMNS.items() if name not in ("model", "network", "run_id")},
    "complete": "boolean",
    **dict.fromkeys(("formulation", "started_at", "ended_at"), "string"),
    **{f"recipe_{field.name}": _TYPES.get(field.type, "Float64") for field in _RECIPE},
}
"""of ``load_runs``"""


def load_runs(runs: str | Path = "runs") -> pd.DataFrame:
    """Load all runs, finished or not.

    Args:
        runs: the folder of runs, or ``reports/evidence``.

    Returns:
        One row a run, by id, with pandas' nullable types:

        - ``run_id``, ``model``, ``model_args``, ``img_size`` (pixels), ``dataset``, ``recipe``, ``seed``, and each
          field of the recipe as ``recipe_<field>``
        - ``status`` (running, interrupted, failed, diverged or completed), ``epoch`` (finished ones), ``epochs``,
          ``started_at``, ``ended_at`` (UTC, ISO 8601), ``error``
        - accuracies in %: ``{ema,raw}_{best,last}_top1_pct``, ``{ema,raw}_last_top5_pct``, and
          ``held_out_last_top1_pct`` of a recipe that holds images out
        - ``train_images``, ``val_images`` (counts), ``complete`` (whether that is the whole data set)
        - ``images_per_s`` (of training, last epoch), ``wall_time_s`` (seconds, all attempts)
        - ``starts_from``, ``teacher``, ``device``, ``precision``, ``formulation``, ``commit``
        - ``evidence``: the record, below ``runs``

    Raises:
        RequestError: there is no such folder.
    """
    records = _records(runs)
    found = sorted(records.all(), key=lambda record: record.run_id)
    tell_problems(records.problems)
    return pd.DataFrame(map(_run, found), columns=list(LOADED_RUN_COLUMNS)).astype(LOADED_RUN_COLUMNS)


def load_facts(runs: str | Path = "runs") -> pd.DataFrame:
    """Load every value of all runs, evaluations and measurements, in long form.

    Args:
        runs: the folder of runs, or ``reports/evidence``.

    Returns:
        One row a value: ``metric``, whose unit is in its name (``bench.report.facts.METRICS`` has them all), and
        ``value``; what it is of: ``kind``, ``id``, ``model``, ``model_args``, ``img_size`` (pixels), ``dataset``,
        ``recipe``, ``seed``, ``status``, ``weights`` (raw, ema or released), ``released``, ``split`` (train, val or
        held_out), ``epoch`` (from 0; NA for what is of no epoch); and its origin: ``images`` (number of images behind
        the value), ``sha256`` (of the weights, or of published predictions), ``commit``, ``at`` (UTC, ISO 8601),
        ``evidence`` (file below ``runs``).

    Raises:
        RequestError: there is no such folder.
    """
    return facts_frame(_records(runs))


def load_tables(runs: str | Path = "runs", edition: str = EDITIONS[0].key) -> pd.DataFrame:
    """Load the rows of the paper's Tables 1 to 7, printed numbers beside our own.

    Args:
        runs: the folder of runs, or ``reports/evidence``. Nothing is measured: what is not there is NA.
        edition: of the paper: ``iccv``, ``arxiv-v1`` or ``readme``.

    Returns:
        One row a row of a table: ``table`` (its number), then the columns of ``bench.report.frame.COLUMNS``:
        ``published_*`` as printed, and ours under the same name without the prefix. ``_pct`` is %, ``_m`` millions,
        ``_g`` billions; ``_std`` and ``_std_err`` are in points.

    Raises:
        RequestError: there is no such folder or edition.
    """
    editions = {one.key: one for one in EDITIONS}
    if edition not in editions:
        raise unknown("edition", edition, editions)
    chosen = editions[edition]
    found = collect([row for table in TABLES.values() for row in table.rows_in(chosen)], _records(runs))
    frames = [table_frame(table, chosen, found).assign(table=table.number) for table in TABLES.values()]
    return pd.concat(frames, ignore_index=True)[["table", *COLUMNS]].astype({"table": "Int64", **COLUMNS})


def _records(runs: str | Path) -> RunRecords:
    if not Path(runs).is_dir():
        raise RequestError(f"no folder of runs {str(runs)!r}; choose one that holds runs, or reports/evidence")
    return RunRecords(Path(runs))


def _run(record: RunRecord) -> dict[str, object]:
    recipe = {**YOUNGER_FIELDS, **recipe_of(record)}
    return {
        **run_values(record),
        **of_network(network_of(record)),
        "dataset": record.spec.get("dataset"),
        "recipe": recipe.get("name"),
        "complete": record.data.get("complete"),
        "formulation": record.formulation or None,
        "started_at": record.events[0].when if record.history else None,
        "ended_at": ended_at(record),
        "evidence": f"{record.run_id}/record.json",
        **{f"recipe_{field.name}": None if (value := recipe.get(field.name)) == "" else value for field in _RECIPE},
    }
