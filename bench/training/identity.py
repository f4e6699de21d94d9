"""The identity of data sets: images opened in an order that is the same everywhere, and fingerprints of them.

``python -m bench.training.identity DATASET FOLDER`` prints the fingerprint of a data set as JSON, for a plan,
which imports no torch. Exit code 1: no such images are there. 2: they cannot be trained on.
"""

import dataclasses
import hashlib
import json
import os
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from bench.results.record import NAMED_CLASSES, Fingerprint
from bench.spec.errors import RequestError
from bench.training import cifar_in_memory, data

STATS_AT_ONCE = 16
"""files asked about together: each answer takes a while where they lie on a server"""


def open_split(name: str, split: str, folder: str, *, download: bool = False) -> Any:
    """The images of a split as ``data.open_images`` opens them, CIFAR's decoded and in the order of their content.

    Raises:
        RequestError: as ``data.open_images``.
    """
    images = data.open_images(name, split, folder, download=download)
    return cifar_in_memory.Held(images) if name in data.CIFAR_CLASSES else images


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """One split's part of a fingerprint."""

    basis: str
    sha256: str
    members: Sequence[object]
    """what tells each image from all others, whatever its name: its pixels, or device and inode of its file; empty
    where nothing does"""


def identify(images: Any) -> Split:
    """Tell the images of a split from any others, without reading those that are files."""
    if isinstance(images, cifar_in_memory.Held):
        pixels = zip(images.ids, images.targets, strict=True)
        return Split(basis="pixels", sha256=_sha256(pixels), members=images.ids)
    if isinstance(images, data.Synthetic):
        made = [images.split, images.side, images.size, len(images.classes)]
        return Split(basis="generated", sha256=_sha256(made), members=())
    if files := data.listed_files(images):
        found = _stats([path for path, _ in files])
        names = (data.relative_name(images, index) for index in range(len(files)))
        described = zip(names, (size for size, _ in found), (label for _, label in files), strict=True)
        return Split(basis="files", sha256=_sha256(described), members=[place for _, place in found])
    labels = data.labels_of(images)
    if hasattr(images, "data"):  # torchvision's, in memory as one array
        whole = hashlib.sha256(np.asarray(images.data).tobytes()).hexdigest()
        return Split(basis="pixels", sha256=_sha256([whole, *labels]), members=[whole])
    stored = getattr(getattr(images, "reader", None), "split_info", None)  # of Hugging Face's
    return Split(basis="labels", sha256=_sha256([getattr(stored, "num_bytes", None), *labels]), members=())


def fingerprint(dataset: str, train: Any, val: Any) -> tuple[Fingerprint, str]:
    """Tell the images of both splits from any others.

    Returns:
        Their fingerprint, and a line on validation images that are training images as well, if there are some.

    Raises:
        RequestError: all validation images are training images.
    """
    splits = identify(train), identify(val)
    trained = set(splits[0].members)
    shared = sum(member in trained for member in splits[1].members)
    if shared and shared == len(splits[1].members):
        raise RequestError(
            f"{dataset}: all {len(val):,} validation images are training images as well; give each split images of "
            "its own"
        )
    found = Fingerprint(
        basis=splits[0].basis,
        classes=data.num_classes(dataset, train, val),
        class_names=tuple(data.class_names(train)[:NAMED_CLASSES]),
        train_images=len(train),
        val_images=len(val),
        train_sha256=splits[0].sha256,
        val_sha256=splits[1].sha256,
    )
    return found, f"{shared:,} of {len(val):,} validation images are training images as well" if shared else ""


def folders(train: Any, val: Any) -> list[str]:
    """The folders of both splits' images; empty if they are in no files that are known here."""
    splits = [
        images for images in (train, val) if isinstance(images, cifar_in_memory.Held) or data.listed_files(images)
    ]
    return list(dict.fromkeys(str(data.root_of(images)) for images in splits))


def listing(images: Any) -> tuple[list[str], list[int]]:
    """An id and a label for each image of a split, in order.

    The id is the sha256 of its pixels, its path below the split's folder, or else its place. A label that nobody knows,
    of an image that does not load, is 0.
    """
    labels = [0 if label is None else int(label) for label in data.labels_of(images)]
    if isinstance(images, cifar_in_memory.Held):
        return images.ids, labels
    return [data.relative_name(images, index) for index in range(len(images))], labels


def _sha256(parts: Iterable[object]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(f"{part!r}\n".encode())
    return digest.hexdigest()


def _stats(paths: Sequence[str]) -> list[tuple[int, object]]:
    """Size and place (device, inode) of each file; of one that is not there, -1 and its path."""

    def ask(some: Sequence[str]) -> list[tuple[int, object]]:
        found: list[tuple[int, object]] = []
        for path in some:
            try:
                stat = os.stat(path)  # noqa: PTH116  # a million times
                found.append((stat.st_size, (stat.st_dev, stat.st_ino)))
            except OSError:
                found.append((-1, path))
        return found

    parts = [paths[at : at + 1000] for at in range(0, len(paths), 1000)]
    with ThreadPoolExecutor(STATS_AT_ONCE) as pool:
        return [one for part in pool.map(ask, parts) for one in part]


def _main(dataset: str, folder: str) -> int:
    try:
        splits = [open_split(dataset, split, folder) for split in ("train", "val")]
    except RequestError as error:
        print(error, file=sys.stderr)
        return 1
    try:
        found, _ = fingerprint(dataset, *splits)
    except RequestError as error:
        print(error, file=sys.stderr)
        return 2
    print(json.dumps({"fingerprint": dataclasses.asdict(found), "folders": folders(*splits)}))
    return 0


if __name__ == "__main__":
    sys.exit(_main(*sys.argv[1:]))
