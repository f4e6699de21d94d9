"""The evidence behind the reports: what they were made of, copied beside them, so that it travels with them.

``<reports>/evidence/`` is laid out as ``runs/`` is, without checkpoints and logs: with ``--runs`` pointed there, the
same command writes the same reports again. A network that is measured once more with the same result keeps its older
evidence, and the pages that show it, byte for byte.
"""

import contextlib
import dataclasses
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from bench.measure.collect import Collected
from bench.report.evidence import FOLDER, LISTED_SEEDS
from bench.results.codec import sealed, unsealed
from bench.results.evaluation import Evaluation
from bench.results.feature_maps import FeatureMaps
from bench.results.files import require_inside, sweep, write_atomically
from bench.results.measurement import Complexity, Outline
from bench.results.record import RunRecord
from bench.results.run_folder import PREDICTIONS
from bench.results.store import (
    complexity_path,
    evaluation_path,
    evaluation_predictions_path,
    images_path,
    load_complexity,
    load_feature_maps,
    load_outline,
    load_recordings,
    recording_path,
)
from bench.spec.regular_files import open_regular
from bench.spec.text import without_folders

M = TypeVar("M", Complexity, Outline, FeatureMaps)

_MEASURED = ("complexity", "outlines", "feature_maps", "dead_channels", "recorded")
"""folders of measurements"""

_WHEN_AND_WHERE = ("machine", "measured_at", "recorded_at", "versions", "checksum")
"""what two measurements with the same result differ in"""


def settled(found: M, reports: Path) -> M:
    """The measurement that the reports' evidence holds, if it has the same result; else the one that was found.

    Args:
        found: of a network.
        reports: the folder of reports.
    """
    try:
        kept: Any = _kept(found, reports / FOLDER)
    except ValueError:  # damaged, and so written anew
        return found
    return kept if kept and _result(dataclasses.asdict(kept)) == _result(dataclasses.asdict(found)) else found


def settled_results(found: Collected, reports: Path) -> Collected:
    """The same, with each measurement as ``settled`` has it, and with the recordings that only the evidence holds.

    Nobody can make a recording again without the predictions, which are not kept; so the evidence alone must do.
    """
    measurements = {network: settled(one, reports) for network, one in found.measurements.items()}
    kept, _ = load_recordings(reports / FOLDER)
    recordings = {one.recording_id: one for one in (*found.recordings, *kept)}  # the kept one, where both are there
    return dataclasses.replace(found, measurements=measurements, recordings=list(recordings.values()))


def _kept(found: Complexity | Outline | FeatureMaps, folder: Path) -> Complexity | Outline | FeatureMaps | None:
    if isinstance(found, Complexity):
        return load_complexity(folder, found.network)
    if isinstance(found, Outline):
        return load_outline(folder, found.network)
    alike = (one for one in load_feature_maps(folder)[0] if one.feature_maps_id == found.feature_maps_id)
    return next(alike, None)


def _result(measured: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in measured.items() if name not in _WHEN_AND_WHERE}


def _has_same_result(file: Path, content: bytes, kept: bytes) -> bool:
    """Whether a measurement was kept already with another date, machine or version of a library."""
    if file.parts[0] not in _MEASURED:
        return False
    try:
        return _result(json.loads(content)) == _result(json.loads(kept))
    except (ValueError, AttributeError, RecursionError):
        return False


def behind(found: Collected) -> list[Path]:
    """Files that tables are made of, below a folder of runs."""
    here = Path()
    return [
        *(complexity_path(here, network) for network in found.measurements),
        *(evaluation_path(here, one.spec) for each in found.evaluations.values() for one in each),
        *(path for each in found.evaluations.values() for one in each for path in _predictions(one)),
        *(recording_path(here, one) for one in found.recordings),
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
    """The files of the predictions, and of the images that they are for."""
    here = Path()
    if not found.predictions_sha256:
        return []
    if isinstance(found, Evaluation):
        path = evaluation_predictions_path(here, found.spec, found.predictions_sha256)
        return [path, images_path(here, found.spec.images_sha256)]
    images = found.fingerprint and images_path(here, found.fingerprint.val_sha256)
    return [here / found.run_id / PREDICTIONS, *([images] if images else [])]


_TOLD = ("error", "note", "unreadable")
"""keys of a record or an evaluation whose text comes from errors"""


def _without_folders(file: Path, content: bytes) -> bytes:
    """A record or an evaluation, sealed anew where its errors told of folders; other files as they are."""

    def told(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {name: told(inner, name) for name, inner in value.items()}
        if isinstance(value, list):
            return [told(inner, key) for inner in value]
        return without_folders(value) if isinstance(value, str) and key in _TOLD else value

    if file.name != "record.json" and (file.parts[0], file.suffix) != ("evaluations", ".json"):
        return content
    values = unsealed(content.decode())
    return content if (shared := told(values)) == values else sealed(shared).encode()


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
        require_inside(reports, copy)
        try:
            with open_regular(runs / file) as opened:
                content = _without_folders(file, opened.read())
        except OSError:  # it is not there, or damaged, which the page says
            continue
        with contextlib.suppress(OSError), open_regular(copy, follow=False) as opened:
            sweep(copy.parent)
            kept = opened.read()
            if kept == content or _has_same_result(file, content, kept):
                continue
        write_atomically(copy, content, flushed=False)  # the original stays where it was
