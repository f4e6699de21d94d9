"""All results in a folder of runs as one DataFrame, a row a fact; docs/results.md lists its names and units."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd

from bench.measure.collect import metrics_of, tell_problems
from bench.measure.complexity import is_current
from bench.results.dead_channels import DeadChannels
from bench.results.evaluation import Evaluation
from bench.results.measurement import Complexity
from bench.results.record import Metrics, RunRecord
from bench.results.recorded import RecordedNetwork, Recording
from bench.results.run_folder import RunRecords
from bench.results.store import (
    complexity_path,
    dead_channels_path,
    evaluation_path,
    load_all_dead_channels,
    load_complexities,
    load_evaluations,
    load_recordings,
    recording_path,
)
from bench.spec.run import Network

FACT_COLUMNS = {
    **dict.fromkeys(("kind", "id", "model", "model_args"), "string"),
    "img_size": "Int64",
    **dict.fromkeys(("dataset", "recipe"), "string"),
    "seed": "Int64",
    **dict.fromkeys(("status", "weights", "released", "split"), "string"),
    "epoch": "Int64",
    "metric": "string",
    "value": "Float64",
    "images": "Int64",
    **dict.fromkeys(("sha256", "commit", "at", "evidence"), "string"),
}
"""in the order of an exported file, with pandas types that know a missing value"""

KINDS = ("run", "evaluation", "recorded", "measurement", "dead_channels")
"""sources of a fact, in the order in which they are listed"""

METRICS = {
    "lr": "learning rate of the epoch",
    "train_loss": "mean loss over the epoch's steps",
    "val_loss": "mean cross-entropy",
    "top1_pct": "top-1 accuracy, %",
    "top5_pct": "top-5 accuracy, %",
    "images_per_s": "training images per second in the epoch, over all processes",
    "last_top1_pct": "top-1 accuracy of the last epoch, %",
    "last_top5_pct": "top-5 accuracy of the last epoch, %",
    "best_top1_pct": "top-1 accuracy of the epoch with the highest, %",
    "best_top5_pct": "top-5 accuracy of that epoch, %",
    "best_epoch": "that epoch",
    "wall_time_s": "seconds, over all attempts",
    "classes": "classes found in the data",
    "train_images": "training images found",
    "trained_images": "training images in use, without those held out or left out by train_fraction",
    "val_images": "validation images found",
    "unreadable_images": "images that failed to load",
    "top1_std_err": "binomial standard error of top1_pct, points",
    "real_pct": "accuracy on reassessed labels (ReaL), %",
    "params_m": "parameters, millions",
    "trainable_params_m": "trainable parameters, millions",
    "macs_g": "multiply-adds of one image, billions",
    "linear_macs_g": "those in linear layers and convolutions, billions",
    "torch_macs_g": "multiply-adds by torch's own counter, billions",
    "dead_pct": "dead channels, mean over the images, %",
    "dead_std_err": "standard error of dead_pct over the images, points",
    "always_dead_pct": "channels that are dead on every image, %",
}
"""names of metrics, with their meaning and unit"""

Line = dict[str, object]


def facts_frame(records: RunRecords) -> pd.DataFrame:
    """Every fact in the folder of the records: one row a value, with ``FACT_COLUMNS``, indexed from 0.

    Corrupt files are named on standard error and left out, and so are measurements that no longer hold.
    """
    runs = records.runs
    found = sorted(records.all(), key=lambda record: record.run_id)
    metrics, damaged = metrics_of(found, runs)
    evaluations, unevaluated = load_evaluations(runs)
    recordings, unrecorded = load_recordings(runs)
    measured, unmeasured = load_complexities(runs)
    dead, uncounted = load_all_dead_channels(runs)
    tell_problems([*records.problems, *damaged, *unevaluated, *unrecorded, *unmeasured, *uncounted])
    lines = [
        *(fact for record in found for fact in _of_run(record, metrics.get(record.run_id, Metrics(lines=())))),
        *(fact for one in evaluations for fact in _of_evaluation(one)),
        *(fact for one in recordings for network in one.networks for fact in _of_recorded(one, network)),
        *(fact for one in measured if is_current(one) for fact in _of_measurement(one)),
        *(fact for one in dead for fact in _of_dead_channels(one)),
    ]
    return pd.DataFrame(lines, columns=list(FACT_COLUMNS)).astype(FACT_COLUMNS)


def of_network(network: Network) -> Line:
    """Columns that name a network."""
    arguments = str(network).removeprefix(network.model).strip("()")
    return {"model": network.model, "model_args": arguments or None, "img_size": network.img_size}


def network_of(record: RunRecord) -> Network:
    """The network that a run trains."""
    spec = record.spec
    arguments = tuple((name, value) for name, value in spec.get("model_args", []))  # type: ignore[attr-defined]
    return Network(str(spec.get("model", "")), model_args=arguments, img_size=int(str(spec.get("img_size", 0))))


def recipe_of(record: RunRecord) -> Mapping[str, object]:
    """The values of a run's recipe, without the fields that are younger than the run."""
    recipe = record.spec.get("recipe", {})
    assert isinstance(recipe, dict)
    return recipe


def ended_at(record: RunRecord) -> str | None:
    """Time of a run's newest event, UTC, ISO 8601."""
    return record.events[-1].when if record.history else None


def _of_run(record: RunRecord, metrics: Metrics) -> Iterator[Line]:
    base: Line = {
        "kind": "run",
        "id": record.run_id,
        **of_network(network_of(record)),
        "dataset": record.spec.get("dataset"),
        "recipe": recipe_of(record).get("name"),
        "seed": record.spec.get("seed"),
        "status": record.status,
        "commit": record.git.get("commit"),
        "at": ended_at(record),
    }
    own = base | {"evidence": f"{record.run_id}/record.json"}
    yield from _by_epoch(base | {"evidence": f"{record.run_id}/metrics.jsonl"}, record, metrics)
    last = {record.epoch - 1: record.images_per_s}  # all that older records have
    for epoch, speed in enumerate(record.epoch_images_per_s) if record.epoch_images_per_s else last.items():
        if speed is not None:
            yield own | {"split": "train", "epoch": epoch, "metric": "images_per_s", "value": speed}
    validated = _seen(metrics)
    for name, value in record.results.items():
        if result := _RESULT.fullmatch(name):
            held_out, weights, metric = result.groups()
            split = "held_out" if held_out else "val"
            images = validated if (split == _split(record)) else record.data.get("val_images")
            where = {"weights": weights, "split": split, "images": None if record.unreadable else images}
            yield own | where | {"metric": metric, "value": value}
    for metric in ("classes", "train_images", "trained_images", "val_images"):
        if metric in record.data:
            yield own | {"metric": metric, "value": record.data[metric]}
    yield own | {"metric": "unreadable_images", "value": len(record.unreadable)}
    yield own | {"metric": "wall_time_s", "value": record.wall_time_s}


_RESULT = re.compile(r"(held_out_)?(raw|ema)_((?:last|best)_(?:top[15]_pct|epoch))")
_OF_WEIGHTS = re.compile(r"(raw|ema)_(val_loss|top[15]_pct)")


def _split(record: RunRecord) -> str:
    """The images that each epoch was validated on."""
    return "held_out" if recipe_of(record).get("held_out") else "val"


def _seen(metrics: Metrics) -> object:
    """The number of images that the last epoch was validated on; None if it is not known."""
    return metrics.lines[-1].get("raw_val_images") if metrics.lines else None


def _by_epoch(base: Line, record: RunRecord, metrics: Metrics) -> Iterator[Line]:
    for line in metrics.lines:
        at = base | {"epoch": line["epoch"]}
        for name, value in line.items():
            if name in ("lr", "train_loss"):
                yield at | {"split": "train", "metric": name, "value": value}
            elif found := _OF_WEIGHTS.fullmatch(name):
                weights, metric = found.groups()
                where = {"weights": weights, "split": _split(record), "images": line.get(f"{weights}_val_images")}
                yield at | where | {"metric": metric, "value": value}


def _of_evaluation(found: Evaluation) -> Iterator[Line]:
    spec = found.spec
    base: Line = {
        "kind": "evaluation",
        "id": spec.evaluation_id,
        **of_network(spec.network),
        "dataset": spec.dataset,
        "weights": "released",
        "released": spec.released,
        "split": "val",
        "images": found.images,
        "sha256": spec.sha256,
        "commit": found.git.get("commit"),
        "at": found.evaluated_at,
        "evidence": evaluation_path(Path(), spec).as_posix(),
    }
    values = {"top1_pct": found.top1_pct, "top1_std_err": found.top1_se, "top5_pct": found.top5_pct}
    yield from _each(base, values)
    if found.real_pct is not None:
        yield base | {"metric": "real_pct", "value": found.real_pct, "images": found.real_images}
    counted = {"unreadable_images": len(found.unreadable), "wall_time_s": found.wall_time_s}
    yield from _each(base | {"images": None}, counted)


def _of_recorded(recording: Recording, one: RecordedNetwork) -> Iterator[Line]:
    base: Line = {
        "kind": "recorded",
        "id": recording.recording_id,
        "model": one.name,
        "dataset": recording.dataset,
        "weights": "released",
        "released": one.weights or None,
        "split": "val",
        "images": one.images,
        "sha256": one.sha256,
        "at": recording.recorded_at,
        "evidence": recording_path(Path(), recording).as_posix(),
    }
    values = {"top1_pct": one.top1_pct, "top1_std_err": one.top1_se, "top5_pct": one.top5_pct}
    yield from _each(base, values)
    yield from _each(base | {"images": one.real_images}, {"real_pct": one.real_pct})


def _of_measurement(found: Complexity) -> Iterator[Line]:
    path = complexity_path(Path(), found.network)
    base: Line = {
        "kind": "measurement",
        "id": path.stem,
        **of_network(found.network),
        "at": found.measured_at,
        "evidence": path.as_posix(),
    }
    params = {"params_m": found.params / 1e6, "trainable_params_m": found.trainable_params / 1e6}
    macs = {f"{name}_g": getattr(found, name) / 1e9 for name in ("macs", "linear_macs", "torch_macs")}
    yield from _each(base, params | macs)


def _of_dead_channels(found: DeadChannels) -> Iterator[Line]:
    source = found.source
    base: Line = {
        "kind": "dead_channels",
        "id": found.dead_channels_id,
        **of_network(source.network),
        "dataset": found.dataset,
        "weights": ("ema" if found.key == "ema" else "raw") if source.run_id else "released",
        "split": "val",
        "images": len(found.images),
        "sha256": source.weights.sha256 if source.weights else None,
        "at": found.measured_at,
        "evidence": dead_channels_path(Path(), found.dead_channels_id).as_posix(),
    }
    shares = {"dead_pct": found.dead_pct, "dead_std_err": found.std_err_pct, "always_dead_pct": found.always_dead_pct}
    yield from _each(base, shares)


def _each(base: Line, values: Mapping[str, object]) -> Iterator[Line]:
    """A line for each value that is known."""
    return (base | {"metric": metric, "value": value} for metric, value in values.items() if value is not None)
