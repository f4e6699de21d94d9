"""Images as they lie on disk: class folders, Tiny ImageNet's annotations, timm's readers."""

import os
from collections import Counter
from pathlib import Path
from typing import Any

from PIL import Image
from timm.data import ImageNetInfo
from torch.utils.data import Dataset
from torchvision.datasets import ImageFolder

from bench.spec.class_names import WORDNET_IDS
from bench.spec.datasets import annotations, is_image, is_passed_over, split_classes
from bench.training.pixels import decode, open_image


class ClassFolders(ImageFolder):  # type: ignore[misc]  # torchvision has no types
    """The images of a split that has a folder a class.

    Classes are numbered as the data set numbers them though some may be missing. Folders of ImageNet that are not all
    named by its WordNet ids are folders like any, numbered from 0.

    Args:
        name: of the data set.
        folder: of the split, by whose name the data set calls it.

    Raises:
        RequestError: there are no class folders, or one is empty.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.split = name, folder.name
        self.passed_over: Counter[str] = Counter()
        """how many files and folders look like images or classes and count as neither, by kind"""
        super().__init__(str(folder), loader=open_image, is_valid_file=self._is_image)

    def find_classes(self, directory: str) -> tuple[list[str], dict[str, int]]:
        """Names of the class folders, and the number of each."""
        classes = split_classes(self.name, Path(directory))
        for entry in os.scandir(directory):
            if entry.is_dir() and is_passed_over(entry.name):
                self.passed_over[f"folder {entry.name}"] += 1
            elif is_image(entry.name):
                self.passed_over["images in no class folder"] += 1
        official = _class_numbers(self.name)
        if not official.keys() >= set(classes):
            official = {label: number for number, label in enumerate(classes)}
        return classes, {label: official[label] for label in classes}

    def _is_image(self, path: str) -> bool:
        file = Path(path[len(self.root) + 1 :])
        if not any(map(is_passed_over, file.parts)):
            if file.suffix.lower() in UNREAD_SUFFIXES:
                self.passed_over[f"{file.suffix.lower()} files"] += 1
            return is_image(file.name)
        if is_image(file.name.lstrip("._")):
            self.passed_over["hidden images"] += 1
        return False


UNREAD_SUFFIXES = (".gif", ".jfif", ".avif", ".heic", ".jp2", ".tga", ".ico", ".svg", ".npy", ".dcm")
"""of images that count as none, which a user may miss"""


class AnnotatedImages(Dataset[tuple[Image.Image, int]]):
    """The validation images of Tiny ImageNet as it comes: in one folder, with a file that has their classes.

    Args:
        name: of the data set.
        folder: of the split.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self.root, self.split = str(folder), folder.name
        self.classes, official = split_classes(name, folder), _class_numbers(name)
        self.samples = [
            (str(folder / "images" / file), official[label]) for file, label in sorted(annotations(folder).items())
        ]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        path, label = self.samples[index]
        return open_image(path), label


class ReaderImages(Dataset[tuple[Image.Image, int]]):
    """The images of one of timm's readers.

    timm's own data set puts the next image into the place of one that does not load, and cuts 16 bits off at 255.

    Args:
        reader: yields files and labels.
        split: as the data set calls it.
    """

    def __init__(self, reader: Any, split: str) -> None:
        self.reader, self.split = reader, split

    def __len__(self) -> int:
        return len(self.reader)

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        file, label = self.reader[index]
        with file:
            return decode(file), label


def _class_numbers(name: str) -> dict[str, int]:
    """The number of each class that a data set names by WordNet id."""
    names = ImageNetInfo().label_names() if name == "imagenet" else WORDNET_IDS.get(name, [])
    return {label: number for number, label in enumerate(names)}
