"""Data sets of the Hugging Face hub, and folders in its layouts, through the package ``datasets``.

The package takes seconds to import and is an extra of this one, so it is imported where it is used.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.spec.datasets import TRAIN_NAMES, VAL_NAMES, first_named
from bench.spec.errors import RequestError
from bench.spec.extras import install, missing


@dataclass(frozen=True, slots=True, kw_only=True)
class HubDataset:
    """The properties of a data set on the hub that a run needs."""

    name: str
    """with its prefix"""
    splits: tuple[str, ...]
    image: str
    """its column of images"""
    label: str
    """its column of classes"""

    def split(self, split: str) -> str:
        """The name that the data set has for "train" or "val".

        Raises:
            RequestError: it has no such split.
        """
        names = TRAIN_NAMES if split == "train" else VAL_NAMES
        if found := first_named(names, self.splits):
            return found
        what = {"train": "training", "val": "validation or test"}[split]
        raise RequestError(
            f"{self.name} has no {what} split, only {', '.join(self.splits)}; choose a data set that has one of "
            f"{', '.join(names)}"
        )


def look_up(name: str, data: str) -> HubDataset:
    """Ask for the splits and columns of a data set; its images are not downloaded.

    Args:
        name: hfds/NAME.
        data: the folder of ``--data``, where the hub's files are kept.

    Raises:
        RequestError: the package is missing, there is no such data set, it cannot be reached, or it has no column of
            images or of classes.
    """
    if missing(["datasets"]):
        raise RequestError(f"--dataset {name!r} needs the package datasets, which is not installed: {install('hfds')}")
    import datasets
    import huggingface_hub

    datasets.disable_progress_bars()
    datasets.logging.set_verbosity_error()
    huggingface_hub.utils.disable_progress_bars()
    huggingface_hub.utils.logging.set_verbosity_error()
    try:
        info = datasets.inspect.get_dataset_config_info(name.partition("/")[2], cache_dir=data)
    except Exception as error:  # whatever its readers and the network raise: it cannot be had
        reason = " ".join(str(error.__cause__ or error).split())
        raise RequestError(
            f"--dataset {name!r} cannot be read: {reason[:300]}; give its name as on https://huggingface.co/datasets, "
            "or a folder, as in hfds//path/to/folder"
        ) from error
    features = info.features or {}
    found = HubDataset(
        name=name,
        splits=tuple(info.splits),
        image=_column(name, ("image", "img"), features, datasets.Image),
        label=_column(name, ("label", "labels"), features, datasets.ClassLabel),
    )
    kind = features.get(found.label)
    if kind and not (isinstance(kind, datasets.ClassLabel) or str(getattr(kind, "dtype", "")).startswith(_WHOLE)):
        raise RequestError(
            f"--dataset {name!r}: its column {found.label!r} holds {getattr(kind, 'dtype', kind)}, and a class is a "
            "whole number; choose a data set whose labels are"
        )
    return found


_WHOLE = ("int", "uint", "bool")


def _column(name: str, usual: tuple[str, ...], features: Mapping[str, object], kind: type) -> str:
    """The column of a usual name, or the only one of a kind."""
    if named := next((column for column in usual if column in features or not features), None):
        return named
    alike = [column for column, feature in features.items() if isinstance(feature, kind)]
    if len(alike) == 1:
        return alike[0]
    raise RequestError(
        f"--dataset {name!r}: of its columns {', '.join(features)} none is named {usual[0]!r}, and "
        f"{', '.join(alike) or 'none'} may be meant; choose a data set with a column {usual[0]!r}"
    )


def require_labels(found: HubDataset, split: str, reader: Any) -> None:
    """Check that each image of a split has a class, which those of many test splits have not.

    Args:
        found: the data set.
        split: its name for the split.
        reader: timm's, of the split.

    Raises:
        RequestError: one has none.
    """
    labels = reader.dataset.data.column(found.label).to_pylist()
    if missing := sum(label is None or label < 0 for label in labels):
        raise RequestError(
            f"{found.name}: {missing:,} of {len(labels):,} images of its split {split!r} have no class; choose a data "
            "set whose images have one"
        )
