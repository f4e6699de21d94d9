"""Measurements, outlines, evaluations and feature maps in the folder of runs.

Measurements lie in ``<runs>/complexity/<network>-<img_size>px.json``, one file a network and resolution, and outlines
likewise in ``<runs>/outlines``; evaluations of released weights in ``<runs>/evaluations/<evaluation_id>.json``, and
unfinished ones in ``.partial.json``, each with an ``.npz`` of what it said of every image; feature maps in
``<runs>/feature_maps/<feature_maps_id>.json``; counts of dead channels in
``<runs>/dead_channels/<dead_channels_id>.json``; results of published predictions in
``<runs>/recorded/<recording_id>.json``; speeds of networks in ``<runs>/speed/<speed_id>.json``.
"""

import contextlib
import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from bench.results.dead_channels import DeadChannels
from bench.results.evaluation import Evaluation, EvaluationSpec
from bench.results.feature_maps import FeatureMaps
from bench.results.files import CorruptFile, corrupt, read, write, write_atomically
from bench.results.measurement import Complexity, Outline
from bench.results.recorded import Recording
from bench.results.step_speeds import NetworkSpeed
from bench.spec.run import Network

K = TypeVar("K")
M = TypeVar("M", Complexity, Outline)

RECORD_AGAIN = "restore it, or give evaluate the same --predictions again"
MEASURE_AGAIN = "restore it, or remove it to measure again"
EVALUATE_AGAIN = "restore it, or give evaluate the same weights again"


def complexity_path(runs: Path, network: Network) -> Path:
    """The path of a network's measurement."""
    return runs / "complexity" / _file_name(network)


def save_complexity(runs: Path, measured: Complexity) -> None:
    """Keep a measurement, in place of an older one of the same network."""
    write(complexity_path(runs, measured.network), measured)


def load_complexity(runs: Path, network: Network) -> Complexity | None:
    """The measurement of a network, or None where there is none.

    Raises:
        CorruptFile: the file is not a whole measurement of that network.
    """
    return _load_measured(complexity_path(runs, network), network, Complexity)


def load_complexities(runs: Path) -> tuple[list[Complexity], list[str]]:
    """All measurements, by file name, and a line on each corrupt file, which counts as none."""
    return _load_folder(
        runs / "complexity", Complexity, lambda found: complexity_path(runs, found.network), MEASURE_AGAIN
    )


def outline_path(runs: Path, network: Network) -> Path:
    """The path of a network's outline."""
    return runs / "outlines" / _file_name(network)


def save_outline(runs: Path, outline: Outline) -> None:
    """Keep an outline, in place of an older one of the same network."""
    write(outline_path(runs, outline.network), outline)


def load_outline(runs: Path, network: Network) -> Outline | None:
    """The outline of a network, or None where there is none.

    Raises:
        CorruptFile: the file is not a whole outline of that network.
    """
    return _load_measured(outline_path(runs, network), network, Outline)


def _file_name(network: Network) -> str:
    name = re.sub(r"[^\w.=,()-]", "-", str(network))
    return f"{name}-{network.img_size}px.json"


def _load_measured(path: Path, network: Network, kind: type[M]) -> M | None:
    try:
        measured = read(path, kind, remedy=MEASURE_AGAIN)
    except FileNotFoundError:
        return None
    if measured.network != network:
        raise corrupt(path, f"holds {measured.network} at {measured.network.img_size} px", MEASURE_AGAIN)
    return measured


def evaluations_folder(runs: Path) -> Path:
    """The folder of evaluations."""
    return runs / "evaluations"


def save_evaluation(runs: Path, found: Evaluation, predictions: bytes | None = None) -> Evaluation:
    """Keep an evaluation: as a part to go on from until it has seen every image.

    Args:
        runs: the folder of all runs.
        found: what came out so far.
        predictions: what it said of every image so far; None if that is kept already.

    Returns:
        The evaluation as it was kept, which vouches for the predictions.
    """
    done, partial = evaluation_path(runs, found.spec), _partial_path(runs, found.spec)
    if predictions is not None:
        found = replace(found, predictions_sha256=hashlib.sha256(predictions).hexdigest())
        write_atomically(evaluation_predictions_path(runs, found.spec, found.predictions_sha256), predictions)
    write(done if found.is_done else partial, found)
    if found.is_done:
        partial.unlink(missing_ok=True)
    if found.predictions_sha256:
        current = evaluation_predictions_path(runs, found.spec, found.predictions_sha256)
        for older in current.parent.glob(f"{found.spec.evaluation_id}.*.npz"):
            if older != current:
                older.unlink(missing_ok=True)
    return found


def load_evaluation(runs: Path, spec: EvaluationSpec) -> Evaluation | None:
    """The evaluation, done or begun; None where there is none to go on from, or only a corrupt one."""
    for path in (evaluation_path(runs, spec), _partial_path(runs, spec)):
        with contextlib.suppress(FileNotFoundError, CorruptFile):
            return _read_evaluation(path)
    return None


def load_evaluations(runs: Path) -> tuple[list[Evaluation], list[str]]:
    """All that are done, by file name, and a line on each corrupt file, which counts as none."""

    def read_done(path: Path) -> Evaluation:
        found = _read_evaluation(path)
        if not found.is_done:
            raise corrupt(path, "not of every image", EVALUATE_AGAIN)
        return found

    paths = evaluations_folder(runs).glob("*.json")
    return _load_all((path for path in paths if not path.name.endswith(_PARTIAL)), read_done)


def _load_all(paths: Iterable[Path], read_one: Callable[[Path], K]) -> tuple[list[K], list[str]]:
    """All that is kept in some files, by file name, and a line on each corrupt one, which counts as none."""
    found, problems = [], []
    for path in sorted(paths):
        try:
            found.append(read_one(path))
        except CorruptFile as error:
            problems.append(str(error))
    return found, problems


def _load_folder(folder: Path, kind: type[K], path_of: Callable[[K], Path], remedy: str) -> tuple[list[K], list[str]]:
    """Load a folder as ``_load_all`` does; its files must lie where ``path_of`` puts what they hold."""

    def read_one(path: Path) -> K:
        found = read(path, kind, remedy=remedy)
        if path != (own := path_of(found)):
            raise corrupt(path, f"holds {own.stem}", remedy)
        return found

    return _load_all(folder.glob("*.json"), read_one)


_PARTIAL = ".partial.json"


def evaluation_path(runs: Path, spec: EvaluationSpec) -> Path:
    """The path of a finished evaluation."""
    return evaluations_folder(runs) / f"{spec.evaluation_id}.json"


def evaluation_predictions_path(runs: Path, spec: EvaluationSpec, sha256: str) -> Path:
    """The path of an evaluation's predictions, named by their checksum, so that one part outlives the next."""
    return evaluations_folder(runs) / f"{spec.evaluation_id}.{sha256[:8]}.npz"


def images_path(runs: Path, images_sha256: str) -> Path:
    """The path of the ids and labels of a split's images."""
    return runs / "images" / f"{images_sha256[:16]}.npz"


def _partial_path(runs: Path, spec: EvaluationSpec) -> Path:
    """The path of an unfinished evaluation."""
    return evaluations_folder(runs) / f"{spec.evaluation_id}{_PARTIAL}"


def _read_evaluation(path: Path) -> Evaluation:
    found = read(path, Evaluation, remedy=EVALUATE_AGAIN)
    if path.name not in (f"{found.spec.evaluation_id}.json", f"{found.spec.evaluation_id}{_PARTIAL}"):
        raise corrupt(path, f"holds {found.spec.evaluation_id}", EVALUATE_AGAIN)
    return found


def feature_maps_path(runs: Path, found: FeatureMaps) -> Path:
    """The path of feature maps."""
    return runs / "feature_maps" / f"{found.feature_maps_id}.json"


def save_feature_maps(runs: Path, found: FeatureMaps) -> None:
    """Keep feature maps, in place of older ones of the same network, weights and image."""
    write(feature_maps_path(runs, found), found)


def load_feature_maps(runs: Path) -> tuple[list[FeatureMaps], list[str]]:
    """All that are kept, by file name, and a line on each corrupt file, which counts as none."""
    return _load_folder(runs / "feature_maps", FeatureMaps, partial(feature_maps_path, runs), MEASURE_AGAIN)


def dead_channels_path(runs: Path, identifier: str) -> Path:
    """The path of counts of dead channels, by ``DeadChannels.dead_channels_id``."""
    return runs / "dead_channels" / f"{identifier}.json"


def save_dead_channels(runs: Path, found: DeadChannels) -> None:
    """Keep counts of dead channels, in place of older ones of the same weights."""
    write(dead_channels_path(runs, found.dead_channels_id), found)


def load_dead_channels(runs: Path, identifier: str) -> DeadChannels | None:
    """The counts of dead channels of that id, or None where there are none.

    Raises:
        CorruptFile: the file does not hold them.
    """
    path = dead_channels_path(runs, identifier)
    try:
        found = read(path, DeadChannels, remedy=MEASURE_AGAIN)
    except FileNotFoundError:
        return None
    if found.dead_channels_id != identifier:
        raise corrupt(path, f"holds {found.dead_channels_id}", MEASURE_AGAIN)
    return found


def load_all_dead_channels(runs: Path) -> tuple[list[DeadChannels], list[str]]:
    """All counts of dead channels, by file name, and a line on each corrupt file, which counts as none."""
    return _load_folder(
        runs / "dead_channels",
        DeadChannels,
        lambda found: dead_channels_path(runs, found.dead_channels_id),
        MEASURE_AGAIN,
    )


def recording_path(runs: Path, found: Recording) -> Path:
    """The path of the results of published predictions."""
    return runs / "recorded" / f"{found.recording_id}.json"


def save_recording(runs: Path, found: Recording) -> None:
    """Keep the results of published predictions, in place of older ones of the same predictions."""
    write(recording_path(runs, found), found)


def load_recordings(runs: Path) -> tuple[list[Recording], list[str]]:
    """All results of published predictions, by file name, and a line on each corrupt file, which counts as none."""
    return _load_folder(runs / "recorded", Recording, partial(recording_path, runs), RECORD_AGAIN)


def speed_path(runs: Path, found: NetworkSpeed) -> Path:
    """The path of a network's speed in one case."""
    return runs / "speed" / f"{found.speed_id}.json"


def save_speed(runs: Path, found: NetworkSpeed) -> None:
    """Keep a speed, in place of an older one of the same case on the same machine."""
    write(speed_path(runs, found), found)


def load_speeds(runs: Path) -> tuple[list[NetworkSpeed], list[str]]:
    """All speeds that are kept, by file name, and a line on each corrupt file, which counts as none."""
    return _load_folder(runs / "speed", NetworkSpeed, partial(speed_path, runs), MEASURE_AGAIN)
