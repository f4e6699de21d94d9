"""Rows and measurements joined into one DataFrame: the only source of every table and picture."""

from collections.abc import Container, Hashable, Mapping, Sequence

import pandas as pd

from bench.experiments.suites import Entry
from bench.measure.collect import Collected
from bench.paper.recorded import names_of, weights_of
from bench.paper.reported import REPORTED
from bench.report.evidence import evaluation_file, measurement_file, record_file, recording_file
from bench.report.verdict import DIFFERS, EQUAL, equal_by, relative_difference_pct, verdict, worst
from bench.results.evaluation import Evaluation
from bench.results.measurement import Complexity
from bench.results.record import RunRecord
from bench.results.recorded import RecordedNetwork, Recording
from bench.spec.run import Network, RunSpec
from bench.spec.table import ACCURACY_CELLS, FINE_TUNED_CELLS, STRUCTURE, Edition, Published, Reported, Row, Table
from bench.spec.text import one_line, without_folders

_EVALUATED = {
    **dict.fromkeys(("top1_pct", "std_err"), "Float64"),
    "images": "Int64",
    **dict.fromkeys(("file", "sha256", "found_by", "evidence"), "string"),
}
"""of the evaluation of released weights, where it is of the whole validation set: what it found, and in which file"""

_RECORDED = {
    **dict.fromkeys(("top1_pct", "std_err", "top5_pct", "real_pct"), "Float64"),
    "images": "Int64",
    **dict.fromkeys(("weights", "source", "source_sha256", "sha256", "evidence"), "string"),
}
"""from predictions that others published for the row's weights"""

_TRAINED = {
    **dict.fromkeys(("top1_pct", "top1_std", "top1_std_err"), "Float64"),
    "seeds": "Int64",
    "run_ids": "string",
}
"""of fine-tuned runs"""

COLUMNS = {
    "group": "string",
    "model": "string",
    "network": "string",
    "img_size": "Int64",
    **{f"{kind}{column}": "string" for column in STRUCTURE for kind in ("published_", "")},
    "recipe": "string",
    "edition": "string",
    "published_top1_pct": "Float64",
    "top1_pct": "Float64",
    "top1_std": "Float64",
    "top1_std_err": "Float64",
    "top1_last_pct": "Float64",
    "seeds": "Int64",
    "run_ids": "string",
    "real_pct": "Float64",
    **{f"evaluated_{column}": kind for column, kind in _EVALUATED.items()},
    "evaluated_real_pct": "Float64",
    **{f"recorded_{column}": kind for column, kind in _RECORDED.items()},
    **dict.fromkeys(("reported_low_pct", "reported_high_pct"), "Float64"),
    "reported_elsewhere": "string",
    "baseline": "boolean",
    "published_change_pct": "Float64",
    "change_pct": "Float64",
    **{cell.trained(column): kind for cell in FINE_TUNED_CELLS for column, kind in _TRAINED.items()},
    **{cell.evaluated(column): kind for cell in FINE_TUNED_CELLS for column, kind in _EVALUATED.items()},
    **{f"published_{cell.accuracy}": "Float64" for cell in FINE_TUNED_CELLS},
    "published_params_m": "Float64",
    "params_m": "Float64",
    "params_difference_pct": "Float64",
    "params_verdict": "string",
    "params_equal_by": "string",
    "params_reason": "string",
    "trainable_params_m": "Float64",
    "published_macs_g": "Float64",
    "macs_g": "Float64",
    "macs_difference_pct": "Float64",
    "macs_verdict": "string",
    "macs_equal_by": "string",
    "macs_reason": "string",
    "linear_macs_g": "Float64",
    "torch_macs_g": "Float64",
    "source": "string",
    "verdict": "string",
    "measured_on": "string",
    "measured_in": "string",
}
"""of a ``table_frame``, with pandas types that know a missing value from a number; units are in the names, ``std`` and
``std_err`` are in points, and files of evidence are relative to the report: a trained accuracy's are those of its
``run_ids``"""

_WITH_VALUES: Sequence[Sequence[str]] = (
    ("group",),
    ("published_top1_pct", "top1_pct"),
    ("top1_std", "top1_std_err", "top1_last_pct", "seeds", "run_ids"),
    ("real_pct",),
    tuple(f"evaluated_{column}" for column in _EVALUATED),
    ("evaluated_real_pct",),
    tuple(f"recorded_{column}" for column in _RECORDED),
    ("reported_low_pct", "reported_high_pct", "reported_elsewhere"),
    ("baseline", "published_change_pct", "change_pct"),
    *((f"published_{cell.accuracy}", cell.accuracy) for cell in FINE_TUNED_CELLS),
    *(tuple(cell.trained(column) for column in _TRAINED if column != "top1_pct") for cell in FINE_TUNED_CELLS),
    *(tuple(cell.evaluated(column) for column in _EVALUATED) for cell in FINE_TUNED_CELLS),
    *(
        (published, *(f"{count}_{column}" for column in ("difference_pct", "verdict", "equal_by", "reason")))
        for count, published in (("params", "published_params_m"), ("macs", "published_macs_g"))
    ),
)
"""columns of COLUMNS that belong to one kind of result: a CSV has all of them once a row has a value in one, so that it
shows what there is of a kind and what is missing"""

Records = Mapping[str, Sequence[RunRecord]]
"""of every seed, by the id of the run that a row or an entry names"""

Evaluations = Mapping[str, Sequence[Evaluation]]
"""of released weights, by the id of the run that a row names"""

Measurements = Mapping[Network, Complexity]


def table_frame(table: Table, edition: Edition, found: Collected) -> pd.DataFrame:
    """One line a row of the table, published numbers beside the measured ones; missing is NA.

    Args:
        table: the paper's table.
        edition: whose printed numbers to show.
        found: the results. A row without a measurement keeps NA. A run that is unfinished, or that saw other than the
            complete data set, fills no accuracy. An evaluation of the whole validation set fills an accuracy that no
            run fills, and then the row's source is "evaluated" unless a run fills another. Published predictions of
            the row's weights fill an accuracy that nothing else fills ("recorded"). Accuracy on reassessed labels
            (ReaL) is that of the evaluation, else that of the published predictions, which are of the same weights.
            Accuracies that others reported fill none.

    Returns:
        A frame with ``COLUMNS``, indexed from 0 in the order of the rows that the edition prints.
    """
    lines = [
        _line(row, edition, found.measurements.get(row.network))
        | _recorded(row, found.recordings)
        | _reported(row)
        | _evaluated(row, found.evaluations)
        | (_accuracies(found.records.get(row.run.run_id, ())) if row.run else {})
        | _fine_tuned(row, found)
        for row in table.rows_in(edition)
    ]
    frame = pd.DataFrame(lines, columns=list(COLUMNS)).astype(COLUMNS)
    changes = [row.printed(edition)[0].change_pct for row in table.rows_in(edition)]
    printed = pd.Series(changes, index=frame.index, dtype="Float64")
    return frame.assign(
        published_change_pct=printed.fillna(_change(frame, "published_top1_pct")), change_pct=_own_change(frame)
    )


def without_unused(frame: pd.DataFrame) -> pd.DataFrame:
    """Leave out of a ``table_frame`` the columns of kinds of results that none of its rows has; the order stays.

    The structure of the networks is left out where the table prints none of it.
    """
    numbers_and_text = frame.select_dtypes(exclude="boolean")  # that no row is the baseline says nothing
    used = set(numbers_and_text.columns[numbers_and_text.notna().any()])
    unused = [column for kind in _WITH_VALUES if used.isdisjoint(kind) for column in kind]
    unprinted = [column for column in STRUCTURE if f"published_{column}" not in used]
    return frame.drop(columns=[*unused, *unprinted, *(f"published_{column}" for column in unprinted)])


def plain_rows(frame: pd.DataFrame) -> list[dict[Hashable, object]]:
    """Rows for JSON, None where a value is missing."""
    return frame.astype(object).where(frame.notna(), None).to_dict("records")


def _line(row: Row, edition: Edition, measured: Complexity | None) -> dict[str, object]:
    published, printed_in = row.printed(edition)
    line: dict[str, object] = {
        "group": row.group or None,
        "model": row.name,
        "network": str(row.network),
        "img_size": row.network.img_size,
        "recipe": row.run.recipe.name if row.run else None,
        "edition": printed_in.name,
        "baseline": row.baseline,
        "source": "published",
        **{f"published_{cell}": getattr(published, cell) for cell in PRINTED},
        **{f"published_{column}": text for column, text in published.structure.items()},
    }
    if measured is None:
        return line
    params_m, macs_g = measured.params / 1e6, measured.macs / 1e9
    cells = (verdict(published.params_m, params_m), verdict(published.macs_g, macs_g))
    return line | {
        **measured.structure,
        "params_m": params_m,
        "params_difference_pct": relative_difference_pct(published.params_m, params_m),
        "params_verdict": cells[0],
        "params_equal_by": equal_by(published.params_m, params_m),
        "params_reason": _reason(published, "params_m", cells[0]),
        "trainable_params_m": measured.trainable_params / 1e6,
        "macs_g": macs_g,
        "macs_difference_pct": relative_difference_pct(published.macs_g, macs_g),
        "macs_verdict": cells[1],
        "macs_equal_by": equal_by(published.macs_g, macs_g),
        "macs_reason": _reason(published, "macs_g", cells[1]),
        "linear_macs_g": measured.linear_macs / 1e9,
        "torch_macs_g": measured.torch_macs / 1e9,
        "source": "measured",
        "verdict": worst(cells),
        "measured_on": measured.measured_at[:10],
        "measured_in": measurement_file(measured.network),
    }


NO_REASON = "no reason known"

PRINTED = (*(cell.accuracy for cell in ACCURACY_CELLS), "params_m", "macs_g")
"""numbers that a table may print for a row"""


def _change(frame: pd.DataFrame, column: str) -> "pd.Series[float]":
    """The change of a number from the group's baseline; NA for the baseline itself, and where a number is missing."""
    baselines = frame[frame["baseline"]].drop_duplicates("group").set_index("group")[column]
    change = frame[column] - frame["group"].map(baselines).astype("Float64")
    return change.round(9).mask(frame["baseline"])


def _own_change(frame: pd.DataFrame) -> "pd.Series[float]":
    """The change of a trained network from a trained baseline, or of released weights from released weights."""
    trained = frame["top1_pct"].where(frame["seeds"].notna())
    found = _change(frame.assign(top1_pct=trained), "top1_pct").fillna(_change(frame, "evaluated_top1_pct"))
    return found.fillna(_change(frame, "recorded_top1_pct"))


def that_fills(run: RunSpec, evaluations: Evaluations) -> Evaluation | None:
    """The evaluation that may fill the run's cell: of several, that of an official name, in float32, and the newest."""
    filling = [found for found in evaluations.get(run.run_id, ()) if found.fills_a_cell]
    return max(
        filling, key=lambda f: (f.found_by != "content", f.spec.precision == "float32", f.evaluated_at), default=None
    )


def _evaluated(row: Row, evaluations: Evaluations) -> dict[str, object]:
    """The accuracies of released weights, for each of the row's data sets."""
    line: dict[str, object] = {}
    for run in row.runs:
        found = that_fills(run, evaluations)
        if found is None:
            continue
        cell = row.cell(run)
        how = (found.file, found.spec.sha256, found.found_by, evaluation_file(found))
        values = (found.top1_pct, found.top1_se, found.images, *how)
        line |= {cell.evaluated(name): value for name, value in zip(_EVALUATED, values, strict=True)}
        line |= {cell.accuracy: found.top1_pct, "source": "evaluated"}
        if found.real_pct is not None:
            line |= dict.fromkeys(("evaluated_real_pct", "real_pct"), found.real_pct)
    return line


def recorded_for(row: Row, recordings: Sequence[Recording]) -> tuple[RecordedNetwork, Recording] | None:
    """The published predictions that may fill the row's cell: of the row's own weights, on the official labels.

    Of several, the newest recording counts.
    """
    weights = weights_of(row)
    if weights is None:
        return None
    found = [
        (one, recording)
        for recording in recordings
        if recording.are_official_labels
        for one in recording.of_weights(names_of(weights))
    ]
    return max(found, key=lambda pair: (pair[1].recorded_at, pair[0].name), default=None)


def _recorded(row: Row, recordings: Sequence[Recording]) -> dict[str, object]:
    """Columns of the row's published predictions."""
    if (found := recorded_for(row, recordings)) is None:
        return {}
    one, recording = found
    values = {name: getattr(one, name, None) for name in _RECORDED}
    values |= {"std_err": one.top1_se, "evidence": recording_file(recording)}
    values |= {name: values[name] or None for name in ("source", "source_sha256")}
    return {
        **{f"recorded_{name}": value for name, value in values.items()},
        "top1_pct": one.top1_pct,
        "real_pct": one.real_pct,
        "source": "recorded",
    }


def reported_for(row: Row) -> Sequence[Reported]:
    """Accuracies that others reported of the row's weights, and of the same network that they retrained."""
    weights = weights_of(row)
    return REPORTED.get(weights.name, ()) if weights else ()


def _reported(row: Row) -> dict[str, object]:
    """Columns of what others reported; the range is that of the released weights."""
    listed = reported_for(row)
    if not listed:
        return {}
    values = [one.top1_pct for one in listed if not one.retrained]
    cited = [f"{one.top1_pct:g} ({one.by}{', retrained' if one.retrained else ''})" for one in listed]
    return {
        "reported_low_pct": min(values),
        "reported_high_pct": max(values),
        "reported_elsewhere": "; ".join(cited),
    }


def evaluations_frame(table: Table, edition: Edition, evaluations: Evaluations) -> pd.DataFrame:
    """One line for each evaluation of released weights, whole or not, with the printed number beside it."""
    lines: list[dict[str, object]] = []
    for row in table.rows_in(edition):
        for run in row.runs:
            cell = row.cell(run).accuracy
            printed = getattr(row.printed(edition)[0], cell)
            others = {other.name: getattr(figures, cell) for other, figures in row.published.items()}
            elsewhere = [
                f"{value} in the {name} edition" for name, value in others.items() if value not in (None, printed)
            ]
            published = {"published_top1_pct": printed, "published_elsewhere": ", ".join(elsewhere) or None}
            lines += [_evaluation(row, one) | published for one in evaluations.get(run.run_id, ())]
    frame = pd.DataFrame(lines, columns=list(EVALUATION_COLUMNS)).astype(EVALUATION_COLUMNS)
    return frame.assign(difference_pct=frame["top1_pct"] - frame["published_top1_pct"])


def _evaluation(row: Row, found: Evaluation) -> dict[str, object]:
    spec = found.spec
    return {
        "model": row.name,
        "network": str(spec.network),
        "img_size": spec.network.img_size,
        "dataset": spec.dataset,
        "released": spec.released,
        "file": found.file,
        "found_by": found.found_by,
        "sha256": spec.sha256,
        "key": found.key or None,
        "images": found.images,
        "expected_images": found.expected_images,
        "unreadable": len(found.unreadable),
        "top1_pct": found.top1_pct,
        "top1_std_err": found.top1_se,
        "top5_pct": found.top5_pct,
        "real_pct": found.real_pct,
        "crop_pct": spec.crop_pct,
        "eval_interpolation": spec.eval_interpolation,
        "precision": spec.precision,
        "resized": " ".join(found.resized) or None,
        "fills_a_cell": found.fills_a_cell,
        "device": found.device,
        "commit": _commit(found.git),
        "evaluated_at": found.evaluated_at,
        "evidence": evaluation_file(found),
    }


EVALUATION_COLUMNS = {
    **dict.fromkeys(("model", "network"), "string"),
    "img_size": "Int64",
    **dict.fromkeys(("dataset", "released", "file", "found_by", "sha256", "key"), "string"),
    **dict.fromkeys(("images", "expected_images", "unreadable"), "Int64"),
    **dict.fromkeys(("top1_pct", "top1_std_err", "top5_pct", "real_pct"), "Float64"),
    **dict.fromkeys(("published_top1_pct", "crop_pct"), "Float64"),
    **dict.fromkeys(("published_elsewhere", "eval_interpolation", "precision", "resized"), "string"),
    "fills_a_cell": "boolean",
    **dict.fromkeys(("device", "commit", "evaluated_at", "evidence"), "string"),
}
"""of an ``evaluations_frame``"""


def _accuracies(records: Sequence[RunRecord]) -> dict[str, object]:
    """Over the seeds that were trained to their end on the complete data set; none is left out for its figure."""
    whole = [record for record in records if record.is_whole]
    if not whole:
        return {}
    best = pd.Series([record.top1_pct("best") for record in whole], dtype="Float64")
    last = pd.Series([record.top1_pct("last") for record in whole], dtype="Float64")
    return {
        "top1_pct": best.mean(),
        "top1_std": best.std(),  # of the sample; NA for one seed
        "top1_std_err": best.sem(),
        "top1_last_pct": last.mean(),
        "seeds": len(whole),
        "run_ids": " ".join(record.run_id for record in whole),
        "real_pct": None,  # what predictions of released weights say is not of these
        "source": "trained",
    }


def _fine_tuned(row: Row, found: Collected) -> dict[str, object]:
    """Accuracies after fine-tuning on each data set, as in the paper: the best epoch, over seeds."""
    line: dict[str, object] = {}
    for spec in row.transfers:
        accuracies = _accuracies(that_start_whole(row, spec, found))
        if accuracies:
            line |= {row.cell(spec).trained(name): accuracies[name] for name in _TRAINED}
            line |= {"source": "trained"}
    return line


def that_start_whole(row: Row, spec: RunSpec, found: Collected) -> list[RunRecord]:
    """The records of a row's fine-tuning that began with weights that may fill the row's own cell.

    Those are of a run that was trained to its end on the complete data set; where none was fine-tuned, those of the
    file whose evaluation fills the row's cell.
    """
    assert row.run
    listed = found.records.get(spec.run_id, ())
    parents = [parent.run_id for parent in found.records.get(row.run.run_id, ()) if parent.is_whole]
    file = that_fills(row.run, found.evaluations)
    return [record for record in listed if record.is_whole and record.spec.get("start_from") in parents] or [
        record for record in listed if file and record.spec.get("weights") == file.spec.sha256
    ]


RUN_COLUMNS = {
    "model": "string",
    "network": "string",
    "seed": "Int64",
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
    "held_out_last_top1_pct": "Float64",
    "starts_from": "string",
    "teacher": "string",
    "device": "string",
    "precision": "string",
    "images_per_s": "Float64",
    "wall_time_s": "Float64",
    "commit": "string",
    "error": "string",
    "evidence": "string",
}
"""of the CSV of a set of runs"""


def runs_frame(
    entries: Sequence[Entry],
    records: Records,
    sweep: Sequence[str] = (),
    seeds: Sequence[int] = (),
    corrupt: Container[str] = (),
) -> pd.DataFrame:
    """One line a run, in the order of the entries and their seeds; what is missing is NA.

    Args:
        entries: what was to be trained.
        records: what was.
        seeds: that were asked for, and have a line though they are not begun.
        sweep: the swept fields; each becomes a column after the model's, ``recipe_<field>``.
        corrupt: ids of the runs whose record counts as none because it is corrupt.
    """
    columns = swept_columns(sweep)
    lines: list[dict[str, object]] = []
    for entry in entries:
        swept = dict(zip(columns, entry.swept, strict=True))
        name = {"model": entry.row, **swept, "network": entry.spec.model}
        found = {record.run_id: record for record in records.get(entry.spec.run_id, ())}
        lines += [name | run_values(record) for record in found.values()]
        for seed in seeds or ([] if found else [entry.spec.seed]):
            spec = entry.spec.with_seed(seed)
            if spec.run_id not in found:
                status = "corrupt record" if spec.run_id in corrupt else "not begun"
                lines.append(name | {"seed": seed, "run_id": spec.run_id, "status": status})
    frame = pd.DataFrame(lines, columns=["model", *columns, *list(RUN_COLUMNS)[1:]])
    return frame.astype(RUN_COLUMNS)


def swept_columns(sweep: Sequence[str]) -> list[str]:
    """Names of the columns of swept fields; a record has an ``epochs`` of its own."""
    return [f"recipe_{name}" for name in sweep]


def run_values(record: RunRecord) -> dict[str, object]:
    """Values of ``RUN_COLUMNS`` that a run's record knows."""
    known = {column: getattr(record, column, None) for column in RUN_COLUMNS} | dict(record.results)
    known |= {name: record.data.get(name) for name in ("train_images", "val_images")}
    known |= {"commit": _commit(record.git), "seed": record.spec.get("seed")}
    known["held_out_last_top1_pct"] = record.top1_pct("last", "held_out_")
    known["starts_from"] = record.spec.get("start_from")
    if weights := record.spec.get("weights"):
        known["starts_from"] = f"sha256 {weights}"
    taught = record.last("teacher")
    known["teacher"] = taught.note if taught else record.spec.get("teacher")
    known["evidence"] = record_file(record.run_id)
    known["error"] = one_line(without_folders(record.error))  # as older versions recorded it
    return {column: value for column, value in known.items() if column in RUN_COLUMNS and value not in (None, "")}


def that_count(runs: pd.DataFrame) -> pd.DataFrame:
    """Select the completed runs of a ``runs_frame``."""
    return runs[runs["status"] == "completed"]


PROTOCOLS = ("ema_best", "ema_last", "raw_best", "raw_last", "held_out_last")


def seeds_frame(frame: pd.DataFrame, sweep: Sequence[str] = ()) -> pd.DataFrame:
    """Mean, standard deviation and standard error over the seeds of each entry of a ``runs_frame`` that count.

    Returns:
        A line an entry, with ``model``, the swept columns, ``seeds`` (that count), ``runs`` (begun or asked for) and,
        for each protocol P, ``P_top1_pct``, ``P_top1_std`` (of the sample) and ``P_top1_std_err``, NA for one seed.
    """
    keys = ["model", *swept_columns(sweep)]
    lines = []
    for values, runs in frame.groupby(keys, sort=False, dropna=False):
        completed = that_count(runs)
        line: dict[str, object] = dict(zip(keys, values, strict=True))
        line |= {"seeds": len(completed), "runs": len(runs)}
        for protocol in PROTOCOLS:
            top1 = completed[f"{protocol}_top1_pct"]
            found = {"pct": top1.mean(), "std": top1.std(), "std_err": top1.sem()}
            line |= {f"{protocol}_top1_{kind}": value for kind, value in found.items()}
        lines.append(line)
    kinds = {f"{protocol}_top1_{kind}": "Float64" for protocol in PROTOCOLS for kind in ("pct", "std", "std_err")}
    return pd.DataFrame(lines, columns=[*keys, "seeds", "runs", *kinds]).astype(kinds)


def compares_seeds(by_entry: pd.DataFrame) -> bool:
    """Whether a ``seeds_frame`` has more than one entry with a deviation, so that a picture of them says something."""
    return int((by_entry["seeds"] > 1).sum()) > 1


def _commit(git: Mapping[str, object]) -> str:
    return f"{str(git.get('commit', ''))[:10]}{' (dirty)' if git.get('dirty') else ''}"


def _reason(published: Published, cell: str, grade: str | None) -> str | None:
    """The reason why a cell is not equal to the printed one, if it is known; a cell that differs always has one."""
    if grade in (None, EQUAL):
        return None
    return published.why.get(cell, NO_REASON if grade == DIFFERS else None)
