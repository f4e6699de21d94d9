"""Accuracy on ImageNet's reassessed labels (ReaL), which list every right class of an image, or none.

Source: Beyer et al., "Are we done with ImageNet?", arXiv 2006.07159.
"""

import gzip
import json
import re
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from bench.results.evaluation import Evaluation
from bench.results.predictions import UNREAD, load_predictions
from bench.results.store import evaluation_path
from bench.spec.contents import DATASETS
from bench.spec.errors import RequestError
from bench.spec.regular_files import regular_file

RealLabels = Sequence[frozenset[int]]
"""(50000,), the right classes of each validation image, possibly none, in the order of the image files"""

DATASET = "imagenet"
"""which the labels are of"""

VAL_FILE_NAME = re.compile(r"ILSVRC2012_val_(\d{8})(?:\.\w+)?$")
"""of a validation image, with its number, counted from 1"""

_N, _CLASSES = DATASETS[DATASET].val_images, DATASETS[DATASET].num_classes


def read_real_labels(path: Path) -> RealLabels:
    """Read the reassessed labels of all validation images.

    Args:
        path: of a list of classes for each image in JSON, gzipped or not.

    Raises:
        RequestError: the file does not hold that.
    """
    remedy = "give the real.json of google-research/reassessed-imagenet, gzipped or not"
    try:
        with regular_file(path) as file:
            content = file.read()
        values = json.loads(gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content)
    except OSError as error:
        raise RequestError(f"--real-labels {path}: {error.strerror or error}; {remedy}") from error
    except (ValueError, EOFError, zlib.error, RecursionError) as error:
        raise RequestError(f"--real-labels {path}: not JSON; {remedy}") from error
    if not isinstance(values, list) or len(values) != _N:
        size = f"{len(values):,}" if isinstance(values, list) else "no list of"
        raise RequestError(f"--real-labels {path}: {size} images, where {_N:,} are needed; {remedy}")
    for place, classes in enumerate(values):
        is_list = isinstance(classes, list) and all(type(c) is int and 0 <= c < _CLASSES for c in classes)
        if not is_list:
            raise RequestError(f"--real-labels {path}: image {place + 1} has no list of classes; {remedy}")
    if not any(values):
        raise RequestError(f"--real-labels {path}: no image has a label; {remedy}")
    return [frozenset(classes) for classes in values]


def real_hits(predicted: Iterable[int], labels: RealLabels) -> tuple[int, int]:
    """Count the predictions that are right, and the images that have any label.

    Args:
        predicted: (N,), the first class of each image; ``UNREAD`` images count for neither.
        labels: (N,), of the same images in the same order.
    """
    counted = [(c, right) for c, right in zip(predicted, labels, strict=True) if right and c != UNREAD]
    return sum(c in right for c, right in counted), len(counted)


def with_real_hits(runs: Path, found: Evaluation, labels: RealLabels) -> Evaluation:
    """Count an evaluation's hits on the reassessed labels, from the predictions that it kept.

    Args:
        runs: the folder of all runs.
        found: a finished evaluation on ImageNet.
        labels: the reassessed labels.

    Raises:
        ValueError: its predictions are missing or corrupt, or its images are not ImageNet's by their names.
    """
    kept = load_predictions(runs, found)
    if kept is None:
        path = evaluation_path(runs, found.spec)
        raise ValueError(f"{path}: from a version that kept no predictions; delete it and give the same command again")
    named = [VAL_FILE_NAME.search(name) for name in kept.ids]
    places = [int(name[1]) - 1 for name in named if name and 1 <= int(name[1]) <= _N]
    if len(places) < len(kept.ids) or len(set(places)) < len(places):
        other = next((i for i, name in zip(kept.ids, named, strict=True) if not name), "")
        reason = f"{other!r} is not" if other else "not each of them has a number of its own"
        raise ValueError(
            f"{found.file}: --real-labels needs images named ILSVRC2012_val_00000001.JPEG to "
            f"ILSVRC2012_val_{_N:08}.JPEG, and {reason}"
        )
    hits, images = real_hits(kept.predicted["released"].tolist(), [labels[place] for place in places])
    if not images:
        raise ValueError(f"{found.file}: none of the evaluated images has a reassessed label")
    return replace(found, real_hits=hits, real_images=images)
