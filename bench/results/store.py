"""Files that remember: atomic writes, and the folders of measurements, outlines, evaluations and feature maps.

Measurements lie in ``<runs>/complexity/<network>-<img_size>px.json``, one file a network and resolution, and outlines
likewise in ``<runs>/outlines``; evaluations of released weights in ``<runs>/evaluations/<evaluation_id>.json``, and
unfinished ones in ``.partial.json``, each with an ``.npz`` of what it said of every image; feature maps in
``<runs>/feature_maps/<feature_maps_id>.json``.
"""

import contextlib
import hashlib
import json
import os
import re
import tempfile
import uuid
from collections.abc import Mapping
from dataclasses import asdict, fields
from dataclasses import replace as replace_fields
from pathlib import Path
from typing import Any, TypeVar

from bench.results.evaluation import Evaluation, EvaluationSpec
from bench.results.feature_maps import FeatureMaps, FeatureSource, LayerMaps
from bench.results.measurement import Complexity, LayerShape, Outline
from bench.results.record import BROKEN_SEAL, NO_SEAL, Fingerprint
from bench.spec.errors import RequestError
from bench.spec.regular_files import regular_file
from bench.spec.run import Network, Weights

M = TypeVar("M", Complexity, Outline)


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write the whole file or leave what was there: a reader never sees a part.

    Raises:
        OSError: the folder cannot be made or written, or the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def replace(temporary: Path, path: Path) -> None:
    """Give a finished file its name, so that the name outlives a power cut too."""
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def sha256_of(path: Path) -> str:
    """Hex digest of a regular file's content.

    Raises:
        OSError: it is not there, not a regular file, or cannot be read; names it.
    """
    with regular_file(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sealed(values: Mapping[str, object]) -> str:
    """JSON that carries a checksum of itself, so that a later edit by hand shows: what ``unsealed`` reads."""
    values = {name: value for name, value in values.items() if name != "seal"}
    return json.dumps({**values, _SEAL: _checksum(values)}, indent=2) + "\n"


def unsealed(text: str) -> tuple[dict[str, Any], str]:
    """What was sealed, and what is wrong with the seal: nothing, ``NO_SEAL`` or ``BROKEN_SEAL``.

    Raises:
        ValueError: not a JSON object.
    """
    values = json.loads(text)
    if not isinstance(values, dict):
        raise ValueError("not a JSON object")
    seal = values.pop(_SEAL, None)
    return values, NO_SEAL if seal is None else "" if seal == _checksum(values) else BROKEN_SEAL


_SEAL = "checksum"


def _checksum(values: Mapping[str, object]) -> str:
    """sha256 of the values, whatever their order and layout in a file."""
    plain = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(plain.encode()).hexdigest()


def require_writable(folder: Path, option: str) -> None:
    """Make the folder and try a file in it, before any work is done for it.

    Raises:
        RequestError: it cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise RequestError(
            f"cannot write to {option} {str(folder)!r} ({error.strerror}); choose a folder that you may write, "
            f"as in {option} DIR"
        ) from error


def complexity_path(runs: Path, network: Network) -> Path:
    """Where the measurement of a network lies."""
    return runs / "complexity" / _file_name(network)


def save_complexity(runs: Path, measured: Complexity) -> None:
    """Keep a measurement, in place of an older one of the same network."""
    write_atomically(complexity_path(runs, measured.network), sealed(asdict(measured)))


def load_complexity(runs: Path, network: Network) -> Complexity | None:
    """The measurement of a network, or None where there is none or one that says less.

    Raises:
        ValueError: the file is not a whole measurement of that network, and why.
    """
    return _load_measured(complexity_path(runs, network), network, Complexity)


def outline_path(runs: Path, network: Network) -> Path:
    """Where the outline of a network lies."""
    return runs / "outlines" / _file_name(network)


def save_outline(runs: Path, outline: Outline) -> None:
    """Keep an outline, in place of an older one of the same network."""
    write_atomically(outline_path(runs, outline.network), sealed(asdict(outline)))


def load_outline(runs: Path, network: Network) -> Outline | None:
    """The outline of a network, or None where there is none or one without a checksum.

    Raises:
        ValueError: the file is not a whole outline of that network, and why.
    """
    return _load_measured(outline_path(runs, network), network, Outline)


def _layer(values: dict[str, Any]) -> LayerShape:
    return LayerShape(**values | {name: tuple(values[name]) for name in ("inputs", "output")})


def _file_name(network: Network) -> str:
    name = re.sub(r"[^\w.=,()-]", "-", str(network))
    return f"{name}-{network.img_size}px.json"


def _load_measured(path: Path, network: Network, kind: type[M]) -> M | None:
    try:
        values, broken = unsealed(path.read_text())
        if broken == NO_SEAL:
            return None  # of the suite before measurements had a checksum, or whose checksum was taken out
        if broken:
            raise ValueError(broken)
        if values.keys() != {f.name for f in fields(kind)}:
            raise ValueError("not the fields of a measurement")
        if "layers" in values:
            values["layers"] = tuple(_layer(layer) for layer in values["layers"])
        measured = kind(**values | {"network": _network(values["network"])})
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from error
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        raise ValueError(f"{path}: {error}") from error
    if measured.network != network:
        raise ValueError(f"{path}: holds {measured.network} at {measured.network.img_size} px")
    return measured


def _network(values: dict[str, Any]) -> Network:
    return Network(**values | {"model_args": tuple((name, value) for name, value in values["model_args"])})


def fingerprint(values: dict[str, Any] | None) -> Fingerprint | None:
    """From what JSON holds of it, if it holds any."""
    return Fingerprint(**values | {"class_names": tuple(values["class_names"])}) if values else None


def evaluation_spec(values: dict[str, Any]) -> EvaluationSpec:
    """From what JSON holds of it."""
    return EvaluationSpec(**values | {"network": _network(values["network"])})


def evaluations_folder(runs: Path) -> Path:
    """Where evaluations lie."""
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
        found = replace_fields(found, predictions_sha256=hashlib.sha256(predictions).hexdigest())
        write_atomically(evaluation_predictions_path(runs, found.spec, found.predictions_sha256), predictions)
    write_atomically(done if found.is_done else partial, sealed(asdict(found)))
    if found.is_done:
        partial.unlink(missing_ok=True)
    if found.predictions_sha256:
        current = evaluation_predictions_path(runs, found.spec, found.predictions_sha256)
        for older in current.parent.glob(f"{found.spec.evaluation_id}.*.npz"):
            if older != current:
                older.unlink(missing_ok=True)
    return found


def load_evaluation(runs: Path, spec: EvaluationSpec) -> Evaluation | None:
    """The evaluation, done or begun; None where there is none to go on from, or only one damaged or edited by hand."""
    for path in (evaluation_path(runs, spec), _partial_path(runs, spec)):
        with contextlib.suppress(FileNotFoundError, ValueError):
            found = _read_evaluation(path)
            if found.seal != BROKEN_SEAL:
                return found
    return None


def load_evaluations(runs: Path) -> tuple[list[Evaluation], list[str]]:
    """All that are done, by file name, and a line on each file that is damaged, which counts as none."""
    done, problems = [], []
    for path in sorted(evaluations_folder(runs).glob("*.json")):
        if path.name.endswith(_PARTIAL):
            continue
        try:
            found = _read_evaluation(path)
            if not found.is_done:
                raise ValueError(f"{path}: not of every image")
            done.append(found)
        except (ValueError, OSError) as error:
            problems.append(f"{path}: {error.strerror}" if isinstance(error, OSError) else str(error))
    return done, problems


_PARTIAL = ".partial.json"


def evaluation_path(runs: Path, spec: EvaluationSpec) -> Path:
    """Where an evaluation lies that is done."""
    return evaluations_folder(runs) / f"{spec.evaluation_id}.json"


def evaluation_predictions_path(runs: Path, spec: EvaluationSpec, sha256: str) -> Path:
    """Where that lies which an evaluation said of every image: by its checksum, so that a part outlives the next."""
    return evaluations_folder(runs) / f"{spec.evaluation_id}.{sha256[:8]}.npz"


def run_predictions_path(runs: Path, run_id: str) -> Path:
    """Where that lies which a run's last epoch said of every image."""
    return runs / run_id / "predictions.npz"


def images_path(runs: Path, images_sha256: str) -> Path:
    """Where ids and labels of a split's images lie."""
    return runs / "images" / f"{images_sha256[:16]}.npz"


def _partial_path(runs: Path, spec: EvaluationSpec) -> Path:
    """Of one that is not."""
    return evaluations_folder(runs) / f"{spec.evaluation_id}{_PARTIAL}"


def _read_evaluation(path: Path) -> Evaluation:
    """Raises ValueError: the file is not a whole evaluation, and why."""
    try:
        values, seal = unsealed(path.read_text())
        spec = evaluation_spec(values["spec"])
        lists = {name: tuple(values[name]) for name in ("resized", "unreadable")}
        found = Evaluation(**values | lists | {"spec": spec, "seal": seal})
        if path.name not in (f"{spec.evaluation_id}.json", f"{spec.evaluation_id}{_PARTIAL}"):
            raise ValueError(f"holds {spec.evaluation_id}")
        return found
    except FileNotFoundError:
        raise
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        raise ValueError(f"{path}: {error}") from error


def feature_maps_path(runs: Path, found: FeatureMaps) -> Path:
    """Where feature maps lie."""
    return runs / "feature_maps" / f"{found.feature_maps_id}.json"


def save_feature_maps(runs: Path, found: FeatureMaps) -> None:
    """Keep feature maps, in place of older ones of the same network, weights and image."""
    write_atomically(feature_maps_path(runs, found), sealed(asdict(found)))


def load_feature_maps(runs: Path) -> tuple[list[FeatureMaps], list[str]]:
    """All that are kept, by file name, and a line on each file that is damaged or edited, which counts as none."""
    found, problems = [], []
    for path in sorted((runs / "feature_maps").glob("*.json")):
        try:
            values, broken = unsealed(path.read_text())
            if broken:
                raise ValueError(broken)
            one = _feature_maps(values)
            if path != feature_maps_path(runs, one):
                raise ValueError(f"holds {one.feature_maps_id}")
            found.append(one)
        except (ValueError, TypeError, AttributeError, KeyError, RecursionError, OSError) as error:
            problems.append(f"{path}: {error.strerror if isinstance(error, OSError) else error}")
    return found, problems


def _feature_maps(values: dict[str, Any]) -> FeatureMaps:
    source = values["source"]
    parts = {
        "source": FeatureSource(
            **source
            | {
                "network": _network(source["network"]),
                "weights": Weights(**source["weights"]) if source["weights"] else None,
            }
        ),
        "layers": tuple(
            LayerMaps(**layer | {name: tuple(layer[name]) for name in ("shown", "shown_dead", "shown_saturated")})
            for layer in values["layers"]
        ),
    }
    lists = {name: tuple(values[name]) for name in ("mean", "std", "resized")}
    return FeatureMaps(**values | lists | parts)
