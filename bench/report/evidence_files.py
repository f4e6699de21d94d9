"""The evidence behind the reports: what they were made of, copied beside them, so that it travels with them.

``<reports>/evidence/`` is laid out as ``runs/`` is, without checkpoints and logs: with ``--runs`` pointed there, the
same command writes the same reports again.
"""

import contextlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from bench.measure.collect import Collected
from bench.report.evidence import FOLDER, LISTED_SEEDS
from bench.results.evaluation import Evaluation
from bench.results.record import RunRecord
from bench.results.store import (
    complexity_path,
    evaluation_path,
    evaluation_predictions_path,
    images_path,
    run_predictions_path,
)


def behind(found: Collected) -> list[Path]:
    """Files that tables are made of, below a folder of runs."""
    here = Path()
    return [
        *(complexity_path(here, network) for network in found.measurements),
        *(evaluation_path(here, one.spec) for each in found.evaluations.values() for one in each),
        *(path for each in found.evaluations.values() for one in each for path in _predictions(one)),
        *of_runs(found.records.values()),
    ]


def of_runs(by_seed: Iterable[Sequence[RunRecord]]) -> list[Path]:
    """Files that tell what came of runs, below their folder: of the seeds of each that pages list."""
    listed = [record for seeds in by_seed for record in seeds[:LISTED_SEEDS]]
    names = ("spec.json", "record.json", "metrics.jsonl")
    return [
        path for record in listed for path in (*(Path(record.run_id, name) for name in names), *_predictions(record))
    ]


def _predictions(found: RunRecord | Evaluation) -> list[Path]:
    """What was said of every image, and which images these are."""
    here = Path()
    if not found.predictions_sha256:
        return []
    if isinstance(found, Evaluation):
        path = evaluation_predictions_path(here, found.spec, found.predictions_sha256)
        return [path, images_path(here, found.spec.images_sha256)]
    images = found.fingerprint and images_path(here, found.fingerprint.val_sha256)
    return [run_predictions_path(here, found.run_id), *([images] if images else [])]


def keep(runs: Path, reports: Path, files: Iterable[Path]) -> None:
    """Copy files to the reports' evidence; one that lies there with the same content stays untouched.

    Args:
        runs: the folder that they lie in.
        reports: beside which the copies go.
        files: below ``runs``; one that is not there, as the metrics of a run without an epoch, is left out.
    """
    folder = reports / FOLDER
    for file in dict.fromkeys(files):
        copy = folder / file
        try:
            content = (runs / file).read_bytes()
        except FileNotFoundError:
            continue
        with contextlib.suppress(FileNotFoundError):
            if copy.read_bytes() == content:
                continue
        copy.parent.mkdir(parents=True, exist_ok=True)
        # Not flushed as what is earned is: the original stays where it was.
        temporary = copy.with_name(f".{copy.name}.{os.getpid()}.tmp")  # another command may write the same
        temporary.write_bytes(content)
        temporary.replace(copy)
