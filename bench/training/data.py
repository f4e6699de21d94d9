"""Data sets and loaders, whose pixels depend on (seed, epoch, sample) alone.

Legend: B images that are loaded as one batch, S image side in pixels, K classes. An image travels as (3, S, S),
float32, normalised. The order of an epoch is one permutation drawn from (seed, epoch), cut into global batches; each
process takes its part of each. Augmentation seeds every generator from (seed, epoch, sample) before it draws, so
neither the number of workers nor of processes, nor a restart, changes a pixel.
"""

import contextlib
import dataclasses
import functools
import hashlib
import os
import random
import signal
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from timm.data import (
    IMAGENET_DEFAULT_MEAN,
    IMAGENET_DEFAULT_STD,
    ImageNetInfo,
    create_dataset,
    create_transform,
)
from timm.data.random_erasing import RandomErasing
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler
from torchvision import datasets, transforms
from torchvision.datasets import ImageFolder

from bench.results.evaluation import EvaluationSpec
from bench.results.feature_maps import FeatureMaps
from bench.spec.batch_layout import BatchLayout
from bench.spec.class_names import CIFAR_CLASSES
from bench.spec.contents import DATASETS, Contents
from bench.spec.datasets import LAYOUTS, is_annotated, is_test, require_name, require_same_classes, split_folder
from bench.spec.errors import RequestError
from bench.spec.recipe import Recipe
from bench.spec.run import RunSpec
from bench.spec.text import one_line, without_folders
from bench.training import hub_datasets
from bench.training.augmentation import Augmentation, Crop, Levels, Normalisation, to_image
from bench.training.distributed import World
from bench.training.images import AnnotatedImages, ClassFolders, ReaderImages
from bench.training.jpeg import open_jpeg
from bench.training.pixels import no_warnings, to_rgb

# More loading processes than cores: whoever asked for them is told so once, by ``crowding``, and not by each loader.
warnings.filterwarnings("ignore", message="This DataLoader will create")

CIFAR_MEAN, CIFAR_STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
"""yitu-opensource/T2T-ViT, commit 0f63dc9, transfer_learning.py"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known(Contents):
    """The contents of a complete data set, and the normalisation of its pixels."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


_NORMALISATION: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    **dict.fromkeys(
        ("imagenet", "imagenette", "imagewoof", "tiny-imagenet-200"), (IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD)
    ),
    "cifar10": (CIFAR_MEAN, CIFAR_STD),
    "cifar100": (CIFAR_MEAN, CIFAR_STD),
    "synthetic": ((0.5,) * 3, (0.25,) * 3),
}
KNOWN = {
    name: Known(**dataclasses.asdict(contents), mean=_NORMALISATION[name][0], std=_NORMALISATION[name][1])
    for name, contents in DATASETS.items()
}

_TORCHVISION = {"cifar10": datasets.CIFAR10, "cifar100": datasets.CIFAR100}


class Unreadable(Exception):
    """More images failed to load than may be skipped."""


class Synthetic(Dataset[tuple[Image.Image, int]]):
    """Images that need no disk and can be learned: a smooth pattern a class, under noise a sample.

    Args:
        split: "train" or "val"; the patterns are the same, the noise is not.
        side: S of the generated image, in pixels.
    """

    def __init__(self, split: str, side: int = 32) -> None:
        known = KNOWN["synthetic"]
        self.split, self.side = split, side
        self.size = known.train_images if split == "train" else known.val_images
        self.classes = [str(k) for k in range(known.num_classes)]
        coarse = np.random.RandomState(0).uniform(0.2, 0.8, (known.num_classes, 4, 4, 3))
        self.patterns = coarse.repeat(side // 4, axis=1).repeat(side // 4, axis=2)  # (K, S, S, 3)

    def __len__(self) -> int:
        return self.size

    @property
    def targets(self) -> list[int]:
        """The label of each image."""
        return [index % len(self.classes) for index in range(self.size)]

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        label = index % len(self.classes)
        noise = np.random.RandomState(_seed(self.split, index) % 2**32).normal(0, 0.25, (self.side, self.side, 3))
        pixels = np.clip(self.patterns[label] + noise, 0, 1) * 255
        return Image.fromarray(pixels.astype(np.uint8)), label


def open_images(name: str, split: str, data: str, *, download: bool = False) -> Any:
    """A map-style data set of (PIL image, label).

    Args:
        name: one of ``DATASETS``, or timm's with its prefix: "hfds/..." or "torch/...".
        split: "train" or "val".
        data: the folder in which ``bench.spec.datasets.LAYOUTS`` says where the images lie; CIFAR may be there as
            torchvision's own files instead, and the hub's data sets are kept there.
        download: fetch what torchvision can where it is missing.

    Raises:
        RequestError: unknown name, or the images are not there; names the folder and what it should hold.
    """
    require_name(name)
    if name == "synthetic":
        return Synthetic(split)
    if name in LAYOUTS:
        folder = split_folder(name, split, Path(data), download=download)
        if folder is None:
            fetched = _torchvision_files(name, split, data, download)
            if name != "imagenette":
                return fetched
            folder = Path(data) / "imagenette2" / split
        return AnnotatedImages(name, folder) if is_annotated(name, folder) else ClassFolders(name, folder)
    if name.startswith("hfds/"):
        found = hub_datasets.look_up(name, data)
        of_hub = found.split(split)
        images = create_dataset(name, root=data, split=of_hub, input_key=found.image, target_key=found.label)
        hub_datasets.require_labels(found, of_hub, images.reader)
        return ReaderImages(images.reader, of_hub)
    try:
        return create_dataset(name, root=data, split={"train": "train", "val": "validation"}[split], download=download)
    except (RuntimeError, OSError) as error:
        reason = " ".join(str(error).split())
        raise RequestError(
            f"no {name} in {data!r} ({reason}); fetch it with --download, or choose --data DIR"
        ) from error


def _torchvision_files(name: str, split: str, data: str, download: bool) -> Any:
    """Open torchvision's data set of that name, and download it first if requested."""
    try:
        if name == "imagenette":
            return datasets.Imagenette(data, split, download=download)
        return _TORCHVISION[name](str(Path(data) / name), train=split == "train", download=download)
    except (RuntimeError, OSError) as error:  # not there, not whole, not to be fetched
        reason = " ".join(str(error).split())
        raise RequestError(f"{name} in {data!r} cannot be read ({reason}); fetch it with --download") from error


class Part(Dataset[Any]):
    """Some of a data set's images.

    Args:
        images: a map-style data set.
        indices: of those that it has.
    """

    def __init__(self, images: Any, indices: Sequence[int]) -> None:
        self.images, self.indices = images, indices
        if hasattr(images, "samples"):
            self.samples = [images.samples[index] for index in indices]

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Any:
        return self.images[self.indices[index]]


def hold_out(images: Any, part: float) -> tuple[Part, Part]:
    """Split training images at random, the same way for every seed, so that what is chosen compares like with like.

    Returns:
        What is left to train on, and what is held out.
    """
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0)).tolist()
    count = round(part * len(images))
    return Part(images, sorted(order[count:])), Part(images, sorted(order[:count]))


def take_fraction(images: Any, fraction: float) -> Part:
    """Take the same fraction of each class of the training images, to within one image, identically for every seed.

    A smaller fraction takes a part of what a larger one takes.

    Raises:
        RequestError: nothing would be left of a class.
    """
    by_label: dict[Any, list[int]] = {}
    labels = labels_of(images)
    for index in torch.randperm(len(images), generator=torch.Generator().manual_seed(0)).tolist():
        by_label.setdefault(labels[index], []).append(index)
    fewest = min((len(indices) for label, indices in by_label.items() if label is not None), default=0)
    if not round(fraction * fewest):
        raise RequestError(
            f"train_fraction={fraction} takes none of the {fewest} training images of the smallest class; choose "
            f"train_fraction={1 / max(fewest, 1):.2g} or more, or more data"
        )
    return Part(images, sorted(i for indices in by_label.values() for i in indices[: round(fraction * len(indices))]))


def require_all_classes(name: str, images: Any) -> None:
    """Refuse images whose labels may mean other classes than a trained head's.

    Raises:
        RequestError: folders of ImageNet that are no WordNet ids of its classes, or of CIFAR that are not named as its
            classes are.
    """
    classes = class_names(images)
    if name == "imagenet":
        known = set(ImageNetInfo().label_names())
        if strange := [label for label in classes if label not in known]:
            more = f" and {len(strange) - 1} more" if strange[1:] else ""
            raise RequestError(
                f"imagenet: class folder {strange[0]!r}{more} in {images.root!r} is no WordNet id of ImageNet-1k, "
                "and a trained head knows its classes by number; name the folders as n01440764"
            )
    elif name in CIFAR_CLASSES and classes != CIFAR_CLASSES[name]:
        official = CIFAR_CLASSES[name]
        other = next((label for label in classes if label not in official), "")
        missing = next((label for label in official if label not in classes), "")
        found = f"class folder {other!r} is none of its classes" if other else f"class folder {missing!r} is missing"
        raise RequestError(
            f"{name}: {found}, and a trained head knows its classes by number; name all {len(official)} folders as the "
            f"data set does, from {official[0]} to {official[-1]}"
        )


def class_count(images: Any) -> int:
    """Classes that a data set names."""
    return len(class_names(images))


def listed_files(images: Any) -> list[tuple[str, int]]:
    """Path and label of each image, in order, where every image is a file of its own; else nothing."""
    reader = getattr(images, "reader", None)
    return getattr(images, "samples", None) or getattr(reader, "samples", None) or []


def labels_of(images: Any) -> list[Any]:
    """The label of each image, in order; images are read for it only where the data set lists no labels.

    Returns:
        A label an image, None for one that would have to be read and does not load.
    """
    if isinstance(images, Part):
        labels = labels_of(images.images)
        return [labels[index] for index in images.indices]
    if files := listed_files(images):
        return [label for _, label in files]
    targets = getattr(images, "targets", None)
    if targets is not None:
        labels = targets.tolist() if hasattr(targets, "tolist") else list(targets)
        if not any(isinstance(label, list) for label in labels):  # QMNIST's have eight columns
            return labels
    listing = getattr(getattr(images, "reader", None), "iter_targets", None)
    if listing:
        return list(listing())
    labels = []
    for index in range(len(images)):
        try:
            labels.append(images[index][1])
        except Exception:  # whatever a decoder raises: training names the image and counts it
            labels.append(None)
    return labels


def num_classes(name: str, train: Any, val: Any) -> int:
    """Classes that a data set names or, where it names none, that the labels of both splits count."""
    return len(class_names(train)) or _count_classes(name, train, val)


@functools.lru_cache(maxsize=1)  # both the survey and the description ask, and images may have to be read for it
def _count_classes(name: str, train: Any, val: Any) -> int:
    labels = {label for images in (train, val) for label in labels_of(images)} - {None}
    whole = {int(label) for label in labels if isinstance(label, int | np.integer) and not isinstance(label, bool)}
    if not labels or len(whole) < len(labels) or whole != set(range(len(whole))):
        found = ", ".join(map(repr, sorted(labels, key=repr)[:5])) or "none"
        raise RequestError(
            f"{name}: it names no classes, and its labels ({found}{', ...' if labels and len(labels) > 5 else ''}) are "
            "not the integers from 0 on, each at least once; choose a data set that names its classes, or number them"
        )
    return len(whole)


def survey(spec: RunSpec, train: Any, val: Any) -> dict[str, object]:
    """Classes and images found, beside what a complete data set holds; "complete" only if all agree."""
    classes = num_classes(spec.dataset, train, val)
    found = {"classes": classes, "train_images": len(train), "val_images": len(val)}
    known = KNOWN.get(spec.dataset)
    expected = known and {
        "classes": known.num_classes,
        "train_images": known.train_images,
        "val_images": known.val_images,
    }
    if known and classes > known.num_classes:
        raise RequestError(
            f"{spec.dataset}: {classes} class folders, and it has {known.num_classes} classes; remove what is no class"
        )
    require_same_classes(spec.dataset, class_names(train), class_names(val))
    survey: dict[str, object] = {**found, "expected": expected, "complete": found == expected}
    if spec.dataset not in KNOWN and is_test(getattr(val, "split", "")):
        survey["val_split"] = val.split
    return survey


def notes(images: Any) -> list[str]:
    """A line on files that count neither as images nor as classes, where there are some that look so."""
    passed_over = getattr(images, "passed_over", {})
    kinds = [kind if kind.startswith("folder ") else f"{kind} ({n:,})" for kind, n in sorted(passed_over.items())]
    return [f"passed over in {images.root}: {', '.join(kinds)}"] if kinds else []


def describe(spec: RunSpec, train: Any, val: Any) -> Known:
    """The known contents of a data set or, for one of timm's, those found, with ImageNet's normalisation."""
    return KNOWN.get(spec.dataset) or Known(
        num_classes=num_classes(spec.dataset, train, val),
        train_images=len(train),
        val_images=len(val),
        mean=IMAGENET_DEFAULT_MEAN,
        std=IMAGENET_DEFAULT_STD,
    )


def class_names(images: Any) -> list[str]:
    """Classes by name, in the order of their labels; empty where a data set names none."""
    reader = getattr(images, "reader", None)
    return list(getattr(images, "classes", None) or getattr(reader, "class_to_idx", None) or [])


def train_transform(recipe: Recipe, img_size: int, known: Known) -> Augmentation:
    """timm's training transform, every value from the recipe; torchvision's where the crop pads.

    It erases, unless the recipe erases from mixed images.
    """
    erases = bool(recipe.random_erasing) and not recipe.erase_after_mixing
    return Augmentation(
        transform=_levels_transform(recipe, img_size, known),
        erasing=RandomErasing(recipe.random_erasing, mode=recipe.random_erasing_mode, device="cpu") if erases else None,
        side=img_size,
        mean=known.mean,
        std=known.std,
    )


def _levels_transform(recipe: Recipe, img_size: int, known: Known) -> Any:
    """All of it that works on bytes."""
    if recipe.crop_padding:
        return transforms.Compose(
            [
                to_image,
                transforms.Resize(img_size, transforms.InterpolationMode(recipe.interpolation)),
                transforms.RandomCrop(img_size, padding=int(img_size * recipe.crop_padding)),
                transforms.RandomHorizontalFlip(recipe.hflip),
            ]
        )
    transform = create_transform(
        img_size,
        is_training=True,
        no_aug=False,
        train_crop_mode=None,
        hflip=recipe.hflip,
        vflip=0.0,
        color_jitter=recipe.color_jitter,
        color_jitter_prob=None,
        grayscale_prob=0.0,
        gaussian_blur_prob=0.0,
        auto_augment=recipe.auto_augment or None,
        interpolation=recipe.interpolation,
        mean=known.mean,
        use_prefetcher=True,
    )
    scale = recipe.crop_scale_min, recipe.crop_scale_max
    crop = Crop(img_size, scale=scale, ratio=(3 / 4, 4 / 3), interpolation=recipe.interpolation)
    return transforms.Compose([crop, *transform.transforms[1:-1]])  # between timm's crop and its making a tensor


def eval_transform(protocol: Recipe | EvaluationSpec | FeatureMaps, img_size: int, known: Known) -> Any:
    """timm's evaluation transform: resize, centre crop, normalise."""
    return create_transform(
        img_size,
        is_training=False,
        interpolation=protocol.eval_interpolation,
        crop_pct=protocol.crop_pct,
        crop_mode="center",
        crop_border_pixels=None,
        mean=known.mean,
        std=known.std,
        use_prefetcher=False,
    )


@dataclass(slots=True, kw_only=True)
class Batch:
    """A loader's batch: images (B, 3, S, S), labels (B,), and a line on each image that failed to load."""

    images: Tensor
    labels: Tensor
    indices: Tensor
    """(B,), of the images in their data set"""
    unreadable: list[str]

    def pin_memory(self) -> "Batch":
        """Called by DataLoader."""
        images, labels, indices = (part.pin_memory() for part in (self.images, self.labels, self.indices))
        return Batch(images=images, labels=labels, indices=indices, unreadable=self.unreadable)


TRIES = 100
"""images in a row that may fail to load before a place in a batch stays empty, which ends training"""


Key = tuple[int | tuple[int, int], int]
"""of a sample: the epoch, or (epoch, n) where an image comes the nth time more in it; and the image's index"""


Sample = tuple[Any, int, int, list[str]]
"""an image behind its transform, in training before it is normalised, None if none was found that loads, with its label
and its index; and a line on each that failed to load"""


class Samples(Dataset[Sample]):
    """Images behind their transform, addressed by (epoch, index).

    An image that does not load gives its place to the next one in training, and no image in evaluation.
    """

    def __init__(self, images: Any, transform: Any, seed: int, *, training: bool) -> None:
        self.images, self.transform, self.seed, self.training = images, transform, seed, training

    def __getitem__(self, key: Key) -> Sample:
        return self.__getitems__([key])[0]

    def __getitems__(self, keys: Sequence[Key]) -> list[Sample]:
        """Called by DataLoader; the generators' states, which take as long to keep as to seed, are kept once."""
        with preserved_generators():
            return [self._load(*key) for key in keys]

    def _load(self, occasion: int | tuple[int, int], index: int) -> Sample:
        unreadable: list[str] = []
        for _ in range(TRIES if self.training else 1):
            image, label, problem = (read_levels if self.training else read_image)(self.images, index)
            if image is None:
                unreadable.append(problem)
                index = (index + 1) % len(self.images)
                continue
            seed_cpu(self.seed, occasion, index)
            return self.transform(image), label, index, unreadable
        return None, -1, -1, unreadable


def read_image(images: Any, index: int) -> tuple[Image.Image | None, int, str]:
    """An image in RGB with its label, and a line on what is wrong with it where it does not load."""
    try:
        with no_warnings():
            image, label = images[index]
            return to_rgb(image), label, ""
    except Exception as error:  # whatever a decoder raises: the image is named and counted
        return None, -1, f"{image_name(images, index)}: {type(error).__name__}: {without_folders(one_line(str(error)))}"


def read_levels(images: Any, index: int) -> tuple[Image.Image | Tensor | None, int, str]:
    """Read an image as ``read_image`` does, but a JPEG of a class folder as levels (3, H, W), uint8."""
    path, label = _file_of(images, index)
    if path.lower().endswith((".jpg", ".jpeg")):
        with contextlib.suppress(Exception), no_warnings():  # whatever it is, ``read_image`` says so
            levels = open_jpeg(path)
            if levels is not None:
                return levels, label, ""
    return read_image(images, index)


def _file_of(images: Any, index: int) -> tuple[str, int]:
    """Path and label of an image of class folders, and else an empty path."""
    if isinstance(images, Part):
        return _file_of(images.images, images.indices[index])
    return images.samples[index] if isinstance(images, ImageFolder | AnnotatedImages) else ("", -1)


def image_name(images: Any, index: int) -> str:
    """Its path from its split on where it has one, else its index: nothing of how this machine is laid out."""
    samples = getattr(images, "samples", None)
    if not samples:
        return f"image {index}"
    return without_folders(str(samples[index][0]), [root_of(images).parent])


def relative_name(images: Any, index: int) -> str:
    """Its path below the split's folder where it has one, the same wherever that folder lies; else its index."""
    files = listed_files(images)
    return Path(files[index][0]).relative_to(root_of(images)).as_posix() if files else str(index)


def root_of(images: Any) -> Path:
    """The folder that the images of a split lie in."""
    return Path(getattr(images, "root", None) or images.reader.root)


_Loaded = tuple[Levels, Batch]
"""images before they are normalised, and a batch without images"""


def _collate_levels(items: list[Sample]) -> _Loaded:
    return Levels.stack([image for image, *_ in items if image is not None]), _batch(items, torch.empty(0))


def _collate(items: list[Sample]) -> Batch:
    loaded = [image for image, *_ in items if image is not None]
    return _batch(items, torch.stack(loaded) if loaded else torch.empty(0))


def _batch(items: list[Sample], images: Tensor) -> Batch:
    loaded = [(label, index) for image, label, index, _ in items if image is not None]
    return Batch(
        images=images,
        labels=torch.tensor([label for label, _ in loaded], dtype=torch.long),
        indices=torch.tensor([index for _, index in loaded], dtype=torch.long),
        unreadable=[line for *_, lines in items for line in lines],
    )


class TrainBatches(Sampler[list[Key]]):
    """The indices that one process loads of each local batch, starting at any step of any epoch.

    Set ``epoch`` and ``start_step`` before iterating. The global batch of a step holds the same samples whatever
    the number of processes and the size of the micro-batches; the incomplete batch at an epoch's end is dropped.
    With repeats an epoch keeps its length, and each of its images comes that many times in a batch (Hoffer et al.
    2020, "Augment your batch"): a third of the batch apart if it comes three times, so that on several GPUs its
    copies go to different ones, as DeiT's do.
    """

    def __init__(self, size: int, layout: BatchLayout, seed: int, repeats: int = 1) -> None:
        self.size, self.layout, self.seed, self.repeats = size, layout, seed, repeats
        self.global_batch = layout.global_batch
        self.epoch = self.start_step = 0

    @property
    def steps(self) -> int:
        """Optimizer steps an epoch."""
        return self.size // self.global_batch

    def __iter__(self) -> Iterator[list[Key]]:
        generator = torch.Generator().manual_seed(_seed(self.seed, "order", self.epoch))
        order = torch.randperm(self.size, generator=generator).tolist()
        for step in range(self.start_step, self.steps):
            places = range(step * self.global_batch, (step + 1) * self.global_batch)
            batch = [place for n in range(self.repeats) for place in places if place % self.repeats == n]
            for part in self.layout.parts:
                yield [self._key(batch[part.place + row], order) for row in part.loaded]

    def _key(self, place: int, order: Sequence[int]) -> Key:
        image, repeat = divmod(place, self.repeats)
        return (self.epoch, repeat) if repeat else self.epoch, order[image]


class TrainLoader:
    """Loads what ``batches`` says, in its order, onto the training device.

    Args:
        samples: with an augmentation as their transform.
        batches: of this process.
        workers: processes that load images; 0 for this one.
        device: of the batches.
    """

    def __init__(self, samples: Samples, batches: TrainBatches, workers: int, device: torch.device) -> None:
        self.loader: DataLoader[_Loaded] = DataLoader(
            samples,  # type: ignore[arg-type]  # indexed by (epoch, index)
            batch_sampler=batches,
            num_workers=workers,
            collate_fn=_collate_levels,
            pin_memory=device.type == "cuda",
            persistent_workers=workers > 0,
            generator=torch.Generator(),  # its own, or each epoch would draw from the training's
            worker_init_fn=_begin_worker,
        )
        self.normalise = Normalisation(samples.transform.mean, samples.transform.std, device)

    def __iter__(self) -> Iterator[Batch]:
        for levels, batch in self.loader:
            batch.images = self.normalise(levels)
            yield batch


def eval_loader(samples: Samples, batch: int, workers: int, here: World) -> "DataLoader[Batch]":
    """Load every image exactly once over all processes: no padding, the shares may differ by one."""
    batches = eval_batches(len(samples.images), batch, here.rank, here.size)
    return _eval_loader(samples, batches, workers, here.device)


def ordered_loader(samples: Samples, batch: int, workers: int, here: World, *, start: int) -> "DataLoader[Batch]":
    """Load one process's part of the images from ``start`` on: in each step, all processes take the next that come.

    Every process has as many steps; its batch is empty where the images end.
    """
    steps = range(start, len(samples.images), batch * here.size)
    return _eval_loader(
        samples,
        [
            [(0, index) for index in range(begin, min(begin + batch, len(samples.images)))]
            for begin in (step + here.rank * batch for step in steps)
        ],
        workers,
        here.device,
    )


def _eval_loader(samples: Samples, batches: list[list[Key]], workers: int, device: torch.device) -> "DataLoader[Batch]":
    return DataLoader(
        samples,  # type: ignore[arg-type]
        batch_sampler=batches,
        num_workers=workers,
        collate_fn=_collate,
        pin_memory=device.type == "cuda",
        generator=torch.Generator(),
        worker_init_fn=_begin_worker,
    )


def eval_batches(size: int, batch: int, rank: int, world_size: int) -> list[list[Key]]:
    """One process's share of the images, every world_size-th."""
    mine: list[Key] = [(0, index) for index in range(rank, size, world_size)]
    return [mine[at : at + batch] for at in range(0, len(mine), batch)]


def _begin_worker(worker: int) -> None:
    torch.set_num_threads(1)
    # torchvision's libjpeg prints there what it finds odd in an image, among our lines; errors reach us in other ways.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    # A signal to the whole process group must not take the loaders from a run that is about to save itself.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)


def seed_everything(*parts: object) -> None:
    """Seed python, numpy and torch (all devices) from anything that has a repr."""
    seed_cpu(*parts)
    torch.manual_seed(_seed(*parts))


def seed_cpu(*parts: object) -> None:
    """The same without the devices."""
    seed = _seed(*parts)
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.random.default_generator.manual_seed(seed)


@contextlib.contextmanager
def preserved_generators() -> Iterator[None]:
    """Generators that are after the block as they were before it (CPU only)."""
    states = random.getstate(), np.random.get_state(), torch.random.get_rng_state()
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.random.set_rng_state(states[2])


def _seed(*parts: object) -> int:
    return int.from_bytes(hashlib.blake2b(repr(parts).encode(), digest_size=8).digest(), "big") % 2**63
