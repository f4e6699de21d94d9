"""Accuracies from files of predictions that others published for ImageNet's validation images.

Legend: N images, k classes predicted for each, best first. Classes are numbered from 0 in the order of their WordNet
ids, images are in the order of their files, ILSVRC2012_val_00000001 and so on.

A file holds one network as ``.npy`` (N,) or (N, k) or as ``.csv``, a line an image: file name, then k classes; or
several as ``.npz``, an array each, among which ``labels`` (N,) are the labels. A sidecar of the same name, ``.json``,
says of each array where it comes from: ``{array: {"weights": ..., "source": ..., "sha256": ...}}``.
"""

import datetime
import hashlib
import itertools
import json
import re
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.measure.real_labels import DATASET, VAL_FILE_NAME, RealLabels, read_real_labels, real_hits
from bench.paper.recorded import PUBLISHED_PREDICTIONS, VAL_LABELS_SHA256
from bench.results.recorded import RecordedNetwork, RecordedPair, Recording
from bench.spec.contents import DATASETS
from bench.spec.errors import RequestError
from bench.spec.regular_files import regular_file

Array = np.ndarray[Any, np.dtype[np.int16]]

_N, _CLASSES = DATASETS[DATASET].val_images, DATASETS[DATASET].num_classes
_FORMATS = (".npz", ".npy", ".csv")
_LABELS = "labels"
_LARGEST_BYTES = _N * _CLASSES * 8
"""of one array: every class of every image, in 64 bits"""
_STATED = ("top1", "top5", "real_top1")
"""accuracies in % that a sidecar may state; they must be those of the array"""
_STATED_WITHIN = 0.002
"""points, for accuracies that were rounded to three digits"""


def record(path: Path, labels: Path | None, real_labels: Path | None) -> Recording:
    """Count what a file of published predictions says.

    Args:
        path: of the predictions.
        labels: of the images, where the file does not hold them.
        real_labels: reassessed labels (ReaL), as JSON, a list of classes an image, gzipped or not.

    Raises:
        RequestError: a file is not what it should be; names it, the problem and the remedy.
    """
    arrays = _read(path, "--predictions")
    if labels is not None:
        found = _read(labels, "--labels")
        if len(found) > 1 and _LABELS not in found:
            raise RequestError(f"--labels {labels}: holds {', '.join(found)}; name the array of labels {_LABELS!r}")
        truth = found[_LABELS if len(found) > 1 else next(iter(found))]
        arrays.pop(_LABELS, None)
    elif _LABELS in arrays and len(arrays) > 1:
        truth = arrays.pop(_LABELS)
    else:
        raise RequestError(f"--predictions {path}: holds no labels; give those of the images with --labels FILE")
    if truth.shape[1] != 1:
        raise RequestError(f"labels of {labels or path}: {truth.shape[1]} for each image; give one")
    right = _Right(labels=truth[:, 0], real=None if real_labels is None else read_real_labels(real_labels))
    sidecar = _sidecar(path, arrays)
    try:
        networks = tuple(_network(name, array, right, sidecar.get(name, {})) for name, array in arrays.items())
    except ValueError as error:
        beside = path.with_suffix(".json")
        raise RequestError(f"{beside}: {error}; give the sidecar and the labels of these predictions") from error
    hits = {name: array[:, 0] == right.labels for name, array in arrays.items()}
    labels_sha256 = _sha256(right.labels)
    return Recording(
        file=path.name,
        dataset=DATASET,
        images=_N,
        labels_sha256=labels_sha256,
        are_official_labels=labels_sha256 == VAL_LABELS_SHA256,
        networks=networks,
        pairs=tuple(_pair(a, hits[a], b, hits[b]) for a, b in itertools.combinations(hits, 2)),
        recorded_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Right:
    """The classes that count as right on each image."""

    labels: Array
    """(N,)"""
    real: RealLabels | None
    """the reassessed labels, if they are given"""


def _network(name: str, array: Array, right: _Right, stated: Mapping[str, Any]) -> RecordedNetwork:
    """Count the hits of one network.

    Args:
        name: of its array.
        array: its predictions, (N, k).
        right: what they are held against.
        stated: what the sidecar says of it.

    Raises:
        ValueError: the sidecar states another accuracy.
    """
    sha256 = _sha256(array)
    first = array[:, 0]
    hits, images = (None, None) if right.real is None else real_hits(first.tolist(), right.real)
    found = RecordedNetwork(
        name=name,
        weights=stated.get("weights", "") or PUBLISHED_PREDICTIONS.get(sha256, ""),
        source=stated.get("source", ""),
        source_sha256=stated.get("sha256", ""),
        sha256=sha256,
        predicted=array.shape[1],
        images=_N,
        top1_hits=int((first == right.labels).sum()),
        top5_hits=int((array[:, :5] == right.labels[:, None]).any(1).sum()) if array.shape[1] >= 5 else None,
        real_hits=hits,
        real_images=images,
    )
    for key, value in zip(_STATED, (found.top1_pct, found.top5_pct, found.real_pct), strict=True):
        if value is not None and isinstance(stated.get(key), int | float) and abs(stated[key] - value) > _STATED_WITHIN:
            raise ValueError(f"says {key} {stated[key]:g} of {name}, and its predictions have {value:.3f}")
    return found


def _pair(first: str, first_hits: np.ndarray[Any, Any], second: str, second_hits: np.ndarray[Any, Any]) -> RecordedPair:
    return RecordedPair(
        first=first,
        second=second,
        both=int((first_hits & second_hits).sum()),
        only_first=int((first_hits & ~second_hits).sum()),
        only_second=int((~first_hits & second_hits).sum()),
        neither=int((~first_hits & ~second_hits).sum()),
    )


def _sha256(array: Array) -> str:
    return hashlib.sha256(np.ascontiguousarray(array.astype("<i2")).tobytes()).hexdigest()


def _read(path: Path, option: str) -> dict[str, Array]:
    """The arrays of a file, each (N, k), by name.

    Raises:
        RequestError: it is of another format, damaged, or an array is not of N images.
    """
    if path.suffix not in _FORMATS:
        raise RequestError(f"{option} {path}: unknown format {path.suffix!r}; give a file of {', '.join(_FORMATS)}")
    try:
        with regular_file(path) as file:
            if path.suffix == ".csv":
                arrays = {path.stem: _of_csv(file.read().decode())}
            elif path.suffix == ".npy":
                arrays = {path.stem: np.load(file, allow_pickle=False)}
            else:
                arrays = _of_npz(file)
            return {name: _checked(name, array) for name, array in arrays.items()}
    except OSError as error:
        raise RequestError(f"{option} {path}: {error.strerror or error}; give a file of predictions") from error
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error, MemoryError, NotImplementedError) as error:
        reason = " ".join(str(error).split())[:200] or "damaged"
        raise RequestError(f"{option} {path}: {reason}; give an intact {path.suffix} file") from error


def _of_npz(file: Any) -> dict[str, Any]:
    with zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            if member.file_size > _LARGEST_BYTES:
                raise ValueError(f"{member.filename} takes {member.file_size:,} bytes, more than {_CLASSES} classes do")
    file.seek(0)
    with np.load(file, allow_pickle=False) as arrays:
        found = {name: arrays[name] for name in arrays.files}
    if not found:
        raise ValueError("holds no array")
    return found


def _checked(name: str, array: Any) -> Array:
    """The array as (N, k) of int16.

    Raises:
        ValueError: it is of other images, or holds something else than classes.
    """
    if not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"{name} holds {array.dtype}, where classes are whole numbers")
    if array.ndim not in (1, 2) or len(array) != _N or (array.ndim == 2 and not 1 <= array.shape[1] <= _CLASSES):
        raise ValueError(f"{name} has the shape {array.shape}, where ({_N},) or ({_N}, k) is needed")
    if array.min() < 0 or array.max() >= _CLASSES:
        wrong = array[(array < 0) | (array >= _CLASSES)][0]
        raise ValueError(f"{name} holds class {wrong}, where classes are 0 to {_CLASSES - 1}")
    return array.astype(np.int16).reshape(_N, -1)


_WORDNET_ID = re.compile(r"n\d{8}$")


def _of_csv(text: str) -> Any:
    """Classes of each image, in the order of their files, from lines of a file name and k classes."""
    import csv

    places: dict[int, list[int]] = {}
    numbers: dict[str, int] = {}
    lines = csv.reader(text.splitlines())
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        named = VAL_FILE_NAME.search(line[0].strip())
        if named is None and number == 1:  # its heading
            continue
        if named is None or not 1 <= int(named[1]) <= _N:
            raise ValueError(f"line {number} begins with {line[0][:40]!r}, where ILSVRC2012_val_00000001 or so is due")
        place = int(named[1]) - 1
        if place in places:
            raise ValueError(f"line {number} repeats {named[0]}")
        places[place] = [_class(cell.strip(), number, numbers) for cell in line[1:]]
    if len(places) != _N:
        raise ValueError(f"{len(places):,} images, where {_N:,} are needed")
    counts = {len(classes) for classes in places.values()}
    if len(counts) > 1 or not counts - {0}:
        raise ValueError(f"{' and '.join(map(str, sorted(counts)))} classes an image, where all need as many")
    return np.array([places[i] for i in range(_N)], dtype=np.int64)


def _class(cell: str, line: int, numbers: dict[str, int]) -> int:
    if cell.isdecimal() and cell.isascii() and len(cell) <= 4:
        return int(cell)
    if _WORDNET_ID.match(cell):
        if not numbers:
            from timm.data import ImageNetInfo

            numbers |= {name: i for i, name in enumerate(ImageNetInfo("imagenet-1k").label_names())}
        if cell in numbers:
            return numbers[cell]
    raise ValueError(f"line {line} has {cell[:40]!r}, where a class from 0 to {_CLASSES - 1} or a WordNet id is due")


def _sidecar(path: Path, arrays: Mapping[str, Array]) -> dict[str, Mapping[str, Any]]:
    """The sidecar's statements on each array; empty if there is none.

    Raises:
        RequestError: it is damaged, or speaks of an array that is not there.
    """
    beside = path.with_suffix(".json")
    try:
        with regular_file(beside) as file:
            values = json.loads(file.read())
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise RequestError(f"{beside}: {error.strerror or error}; fix or remove the sidecar") from error
    except (ValueError, RecursionError) as error:
        raise RequestError(f"{beside}: not JSON; fix or remove the sidecar") from error
    if not isinstance(values, dict) or not all(isinstance(value, dict) for value in values.values()):
        raise RequestError(f'{beside}: needs {{array: {{"weights": ..., "source": ..., "sha256": ...}}}}; fix it')
    if strangers := [name for name in values if name not in arrays]:
        raise RequestError(
            f"{beside}: names {', '.join(strangers[:3])}, and {path.name} holds {', '.join(arrays)}; fix the sidecar"
        )
    for name, stated in values.items():
        for key in ("weights", "source", "sha256"):
            if not isinstance(stated.get(key, ""), str):
                raise RequestError(f"{beside}: {key} of {name} is {stated[key]!r}, where text is needed; fix it")
        if stated.get("sha256") and not re.fullmatch(r"[0-9a-f]{64}", stated["sha256"]):
            raise RequestError(f"{beside}: sha256 of {name} is no sha256 ({stated['sha256'][:20]!r}); fix it")
    return values
