"""The class that a network predicted for every image, kept so that two networks can be compared image by image.

A run keeps those of its last epoch in ``predictions.npz`` beside its record, an evaluation its own beside its file: a
class an image, in the order of the split. Which image stands at which place, and its label, lie once a data set in
``<runs>/images/``. Both files name the images by the sha256 of their split, as a ``Fingerprint`` has it.
"""

import hashlib
import io
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.results.evaluation import Evaluation
from bench.results.files import read_vouched, write_atomically
from bench.results.record import RunRecord
from bench.results.run_folder import PREDICTIONS, TRAIN_ANEW
from bench.results.store import EVALUATE_AGAIN, evaluation_predictions_path, images_path
from bench.spec.regular_files import open_regular

Classes = np.ndarray[tuple[int], np.dtype[np.int64]]

UNREAD = -1
"""in place of a class, for an image that did not load"""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Predictions:
    """One network's predictions for the N images of a split."""

    images_sha256: str
    ids: tuple[str, ...]
    """(N,), of each image: the sha256 of its pixels, the path below its split, or its place"""
    labels: Classes
    """(N,)"""
    predicted: Mapping[str, Classes]
    """(N,) by the kind of weights, "raw", "ema" or "released"; ``UNREAD`` where an image did not load"""

    def is_hit(self, kind: str) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Whether the label of each image was predicted, (N,); False where it did not load."""
        return self.predicted[kind] == self.labels

    def top1_pct(self, kind: str) -> float:
        """Top-1 accuracy on the images that loaded, in %."""
        return 100 * float(self.is_hit(kind)[self.predicted[kind] != UNREAD].mean())

    def require_same_images(self, other: "Predictions") -> None:
        """Before the one is compared with the other.

        Raises:
            ValueError: they are of other images, or in another order.
        """
        if self.images_sha256 != other.images_sha256 or self.ids != other.ids:
            raise ValueError(
                f"predictions on other images ({len(self.ids):,} of {self.images_sha256[:8]}... and {len(other.ids):,} "
                f"of {other.images_sha256[:8]}...) cannot be compared image by image"
            )


def packed(images_sha256: str, predicted: Mapping[str, Sequence[int] | Classes]) -> bytes:
    """The content of a file of predictions: a byte an image, or two where there are more than 256 classes."""
    arrays: dict[str, Any] = {"images_sha256": np.array(images_sha256)}
    for kind, classes in predicted.items():
        found = np.asarray(classes, np.int64)
        arrays[kind] = _narrow(found.clip(min=0))
        if (unread := np.flatnonzero(found == UNREAD)).size:
            arrays[f"{kind}{_UNREAD}"] = unread.astype(np.uint32)
    return _npz(arrays)


_UNREAD = "_unread"


def save_images(runs: Path, images_sha256: str, ids: Iterable[str], labels: Iterable[int]) -> None:
    """Keep which images a split holds; once, since nothing else has this sha256."""
    path = images_path(runs, images_sha256)
    if not path.exists():
        names, numbers = "\0".join(ids).encode(errors="surrogateescape"), _narrow(np.fromiter(labels, np.int64))
        checksum = _checksum(names, numbers)
        arrays = {"ids": np.frombuffer(names, np.uint8), "labels": numbers, "checksum": np.array(checksum)}
        write_atomically(path, _npz({"images_sha256": np.array(images_sha256), **arrays}))


def load_predictions(runs: Path, found: RunRecord | Evaluation) -> Predictions | None:
    """Load the predictions of a run or an evaluation; None for one that is older than predictions.

    Raises:
        ValueError: a file is not there or corrupt; one line that names it.
    """
    if not found.predictions_sha256:
        return None
    if isinstance(found, RunRecord):
        path, remedy = runs / found.run_id / PREDICTIONS, TRAIN_ANEW
    else:
        path, remedy = evaluation_predictions_path(runs, found.spec, found.predictions_sha256), EVALUATE_AGAIN
    arrays = _arrays(path, read_vouched(path, found.predictions_sha256, remedy))
    images_sha256 = str(arrays.pop("images_sha256", ""))
    ids, labels = _load_images(images_path(runs, images_sha256), images_sha256)
    predicted = {kind: array.astype(np.int64) for kind, array in arrays.items() if not kind.endswith(_UNREAD)}
    for kind, classes in predicted.items():
        if classes.shape != labels.shape:
            raise ValueError(f"{path}: {classes.size} predictions of {labels.size} images")
        classes[arrays.get(f"{kind}{_UNREAD}", np.zeros(0, np.uint32))] = UNREAD
    return Predictions(images_sha256=images_sha256, ids=ids, labels=labels, predicted=predicted)


def _load_images(path: Path, images_sha256: str) -> tuple[tuple[str, ...], Classes]:
    """Ids and labels of a split's images."""
    arrays = _arrays(path, _read(path))
    try:
        names, labels = arrays["ids"].tobytes(), arrays["labels"]
        if (str(arrays["images_sha256"]), str(arrays["checksum"])) != (images_sha256, _checksum(names, labels)):
            raise ValueError("its checksum does not hold")
        ids = tuple(names.decode(errors="surrogateescape").split("\0"))
        if (len(ids),) != labels.shape:
            raise ValueError(f"{len(ids)} ids of {labels.size} labels")
    except (KeyError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error
    return ids, labels.astype(np.int64)


def _read(path: Path) -> bytes:
    try:
        with open_regular(path) as file:
            content: bytes = file.read()
            return content
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from error


def _npz(arrays: Mapping[str, Any]) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def _arrays(path: Path, content: bytes) -> dict[str, np.ndarray[Any, Any]]:
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            return dict(archive)
    except (ValueError, TypeError, OSError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path}: no whole file of arrays ({' '.join(str(error).split())})") from error


def _narrow(classes: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return classes.astype(np.uint8 if classes.max(initial=0) < 256 else np.uint16)


def _checksum(names: bytes, labels: np.ndarray[Any, Any]) -> str:
    return hashlib.sha256(names + b"\n" + labels.astype("<i8").tobytes()).hexdigest()
