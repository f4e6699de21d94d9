"""CIFAR as bytes in memory, cropped, resized, flipped and normalised in batches on the training device.

Legend: N images of H x W source pixels, B of a batch, S image side in pixels. The same random numbers are drawn as
by the per-image transforms of ``bench.training.data``, and the pixels are theirs within one grey level.

A resize is two matrix products with PIL's filter weights, out = Wy X Wx^T: one code for every crop, and a handful of
kernels a batch on a GPU. torchvision's resize takes one box a call, so random resized crops would loop over the images.
"""

import hashlib
import math
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from operator import length_hint
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from timm.data.transforms import RandomResizedCropAndInterpolation
from torch import Tensor
from torch.utils.data import Dataset
from torchvision import transforms

from bench.spec.recipe import Recipe
from bench.training import data
from bench.training.buffers import Buffers

DATASETS = ("cifar10", "cifar100")
"""small enough for a GPU's memory: 150 MB"""

CHUNK = 8
"""images that a thread resamples at once on a CPU: 5 MB at 224 px, which its caches hold"""


def obstacle(recipe: Recipe) -> str:
    """The part of a recipe's augmentation that needs images one by one; empty if there are only crops and flips."""
    if recipe.interpolation == "random":
        return "interpolation=random"
    for name in ("auto_augment", "color_jitter", "random_erasing"):
        later = name == "random_erasing" and recipe.erase_after_mixing
        if getattr(recipe, name) and not later:
            return f"{name}={getattr(recipe, name)}"
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pixels:
    """A whole data set."""

    images: Tensor
    """(N, 3, H, W), uint8, on the training device; black where an image did not load"""
    labels: Tensor
    """(N,), on the CPU"""
    unreadable: dict[int, str]
    """a line on each image that did not load, by index"""


class Held(Dataset[Any]):
    """A data set whose images were decoded once, in the order of their content.

    Class folders and torchvision's files list the same images in different orders. Sorted by the sha256 of their
    pixels, and by label where two are the same, they make the same batches, and an index means the same image. Those
    that do not load come last, by name.

    Args:
        images: a map-style data set, whose images all fit into memory.
    """

    def __init__(self, images: Any) -> None:
        arrays = [_pixels(images, index) for index in range(len(images))]
        labels, names = data.labels_of(images), [data.relative_name(images, index) for index in range(len(images))]
        digests = [b"" if array is None else _digest(array) for array in arrays]
        self.order = sorted(
            range(len(arrays)),
            key=lambda i: (arrays[i] is None, digests[i], labels[i], names[i] if arrays[i] is None else ""),
        )
        self.images = images
        self.arrays = [arrays[index] for index in self.order]
        self.targets = [labels[index] for index in self.order]
        self.ids = [digests[index].hex() or names[index] for index in self.order]
        """of each image: the sha256 of its pixels, or its name if it does not load"""
        self.classes = images.classes
        self.root = images.root
        self.passed_over = getattr(images, "passed_over", {})
        if hasattr(images, "samples"):
            self.samples = [images.samples[index] for index in self.order]

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        pixels = self.arrays[index]
        if pixels is None:
            return self.images[self.order[index]]  # raises once more what is wrong with it
        return Image.fromarray(pixels), self.targets[index]


def _pixels(images: Any, index: int) -> np.ndarray[Any, Any] | None:
    """The pixels of an image, (H, W, 3), uint8; None if it does not load."""
    image, _, _ = data.read_image(images, index)
    return None if image is None else np.asarray(image)


def _digest(pixels: np.ndarray[Any, Any]) -> bytes:
    """The digest of an image (H, W, 3), uint8."""
    return hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).digest()


def read(images: Any, device: torch.device) -> Pixels | str:
    """Every image of a map-style data set, or why they cannot lie in one tensor: they are not of one size."""
    found = np.zeros((0, 3, 0, 0), np.uint8)
    labels = torch.zeros(len(images), dtype=torch.long)
    unreadable: dict[int, str] = {}
    for index in range(len(images)):
        image, label, problem = data.read_image(images, index)
        if image is None:
            unreadable[index] = problem
            continue
        pixels = np.asarray(image).transpose(2, 0, 1)
        if not len(found):
            found = np.zeros((len(images), *pixels.shape), np.uint8)
        if pixels.shape != found.shape[1:]:
            height, width = found.shape[2:]
            return f"{data.image_name(images, index)} is {image.width} x {image.height} px, others {width} x {height}"
        found[index], labels[index] = pixels, label
    if not len(found):
        return "no image could be read"
    return Pixels(images=torch.from_numpy(found).to(device), labels=labels, unreadable=unreadable)


class View(NamedTuple):
    """The view of one image: a window of S x S pixels in a resized box of it."""

    top: int
    """of the box, in source pixels, like the next three"""
    left: int
    height: int
    width: int
    row: int
    """of the window in the resized box; pixels of the window outside it are black"""
    column: int
    flip: int
    """1 if mirrored"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Views:
    """Chooses views of images of one size, by the transform of ``bench.training.data`` that it stands for.

    Attributes:
        source: (H, W).
        resized: height and width of the resized box, in pixels.
        recipe: draws by it; None for the centre, as in evaluation.
        side: S.
        interpolation: "bilinear" or "bicubic".
    """

    source: tuple[int, int]
    resized: tuple[int, int]
    recipe: Recipe | None
    side: int
    interpolation: str

    def choose(self) -> View:
        """One view, drawn in the order in which the per-image transform draws."""
        height, width = self.resized
        if not self.recipe:  # torchvision's CenterCrop
            return View(0, 0, *self.source, round((height - self.side) / 2), round((width - self.side) / 2), 0)
        if self.recipe.crop_padding:
            padding = int(self.side * self.recipe.crop_padding)
            padded = _blank(height + 2 * padding, width + 2 * padding)
            row, column, _, _ = transforms.RandomCrop.get_params(padded, (self.side, self.side))
            return View(0, 0, *self.source, row - padding, column - padding, _flip(self.recipe.hflip))
        top, left, height, width = RandomResizedCropAndInterpolation.get_params(
            _blank(*self.source), (self.recipe.crop_scale_min, self.recipe.crop_scale_max), (3 / 4, 4 / 3)
        )
        return View(top, left, height, width, 0, 0, _flip(self.recipe.hflip))


def _blank(height: int, width: int) -> Tensor:
    """A blank image, which only gives ``get_params`` its size."""
    return torch.empty(()).expand(1, height, width)


def _flip(probability: float) -> int:
    return int(torch.rand(1) < probability)


class Loader:
    """Iterates over batches of keys, as the loaders of ``bench.training.data`` do, with images on the device."""

    def __init__(
        self,
        pixels: Pixels,
        batches: Iterable[Sequence[data.Key]],
        views: Views,
        known: data.Known,
        seed: int,
    ) -> None:
        self.pixels, self.batches, self.views, self.seed = pixels, batches, views, seed
        self.device = pixels.images.device
        self.buffers = Buffers(self.device)
        mean, std = (255 * torch.tensor(each, device=self.device)[:, None, None] for each in (known.mean, known.std))
        self.scale, self.shift = 1 / std, -mean / std  # (3, 1, 1), of grey levels

    def __iter__(self) -> Iterator[data.Batch]:
        # Threads of Python, each with a part of the batch, rather than torch's own: these wait for each other after
        # every operation, which on cores that others use too takes ten times as long.
        threads = max(1, torch.get_num_threads())
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            for keys in self.batches:
                yield self._load(keys, pool)

    def __length_hint__(self) -> int:
        return length_hint(self.batches)

    def _load(self, keys: Sequence[data.Key], pool: ThreadPoolExecutor) -> data.Batch:
        indices: list[int] = []
        unreadable: list[str] = []
        side = self.views.side
        out = self.buffers.empty((len(keys), 3, side, side))
        at_once = CHUNK if self.device.type == "cpu" else len(keys)
        pending = []
        with data.preserved_generators():
            for at in range(0, len(keys), at_once):
                first, views = len(indices), []
                for occasion, asked in keys[at : at + at_once]:
                    index = self._readable(asked, unreadable)
                    if index is not None:
                        if self.views.recipe:
                            data.seed_cpu(self.seed, occasion, index)
                        indices.append(index)
                        views.append(self.views.choose())
                if views:
                    part = (indices[first:], views, out[first : len(indices)])
                    if self.device.type == "cpu":
                        pending.append(pool.submit(self._fill, *part))
                    else:
                        self._fill(*part)
        for future in pending:
            future.result()
        return data.Batch(
            images=out[: len(indices)],
            labels=self.pixels.labels[indices],
            indices=torch.tensor(indices, dtype=torch.long),
            unreadable=unreadable,
        )

    def _readable(self, index: int, unreadable: list[str]) -> int | None:
        """The image itself, or in training the one that takes its place, as in ``data.Samples``."""
        for _ in range(data.TRIES if self.views.recipe else 1):
            if index not in self.pixels.unreadable:
                return index
            unreadable.append(self.pixels.unreadable[index])
            index = (index + 1) % len(self.pixels.labels)
        return None

    def _fill(self, indices: list[int], views: list[View], out: Tensor) -> None:
        """Write views of images into ``out`` (B, 3, S, S), normalised."""
        images = self.pixels.images[torch.tensor(indices, device=self.device)].double()  # (B, 3, H, W)
        count, _, height, width = images.shape
        top, left, rows, columns, row, column, flip = torch.tensor(views, device=self.device).T[:, :, None]  # (B, 1)
        places = torch.arange(self.views.side, device=self.device)
        across = column + torch.where(flip == 1, places.flip(0), places)  # (B, S)
        # Horizontally first, and then to whole grey levels, as PIL does; exact in float64, so that ties round as its.
        weights = filter_weights(across, self.views.resized[1], left, columns, width, self.views.interpolation)
        levels = (images.view(count, 3 * height, width) @ weights.mT).add_(0.5).floor_().clamp_(0, 255)
        levels = levels.view(count, 3, height, -1).float() * self.scale
        # Normalised by the product too, by a row of the shift: each pass over the whole image would take a tenth as
        # long again. PIL rounds after the second pass as well, and so lies within half a level of this.
        levels = torch.cat([levels, self.shift.expand(count, 3, 1, levels.shape[-1])], dim=2)  # (B, 3, H + 1, S)
        weights = filter_weights(row + places, self.views.resized[0], top, rows, height, self.views.interpolation)
        weights = torch.cat([weights.float(), torch.ones_like(weights[..., :1], dtype=torch.float32)], dim=2)
        torch.matmul(weights[:, None], levels, out=out)
        if self.views.interpolation != "bilinear":  # the weights of which overshoot nothing
            torch.clamp(out, self.shift, self.shift + 255 * self.scale, out=out)


def filter_weights(
    places: Tensor, resized: int, start: Tensor, size: Tensor, length: int, interpolation: str
) -> Tensor:
    """The weight of each source pixel in each output pixel along one axis, by PIL's resize of a box.

    Many parameters: the geometry of one axis, in tensors that have no use together elsewhere.

    Args:
        places: (B, S) of output pixels on the resized grid; those outside it get nothing.
        resized: pixels of that grid.
        start: (B, 1), of the box, in source pixels.
        size: (B, 1), of the box.
        length: of the source.
        interpolation: "bilinear" or "bicubic".

    Returns:
        (B, S, length), float64, in PIL's steps of 2^-22.
    """
    scale = size.double() / resized
    stretch = scale.clamp(min=1)[..., None]  # when shrinking, the filter covers more of the source
    pixels = torch.arange(length, device=places.device)
    centres = start + (places.double() + 0.5) * scale - 0.5
    distances = (pixels - centres[..., None]).div_(stretch).abs_()
    weights = _FILTERS[interpolation](distances)
    weights *= ((pixels >= start) & (pixels < start + size))[:, None]
    inside = (places >= 0) & (places < resized)
    weights *= (inside / weights.sum(-1).clamp_(min=0.1))[..., None]
    return weights.mul_(2**22).round_().div_(2**22)


def _triangle(distances: Tensor) -> Tensor:
    return distances.neg_().add_(1).clamp_(min=0)


def _cubic(distances: Tensor) -> Tensor:
    """Keys' cubic convolution with a = -0.5."""
    near = (1.5 * distances - 2.5) * distances * distances + 1
    far = ((-0.5 * distances + 2.5) * distances - 4) * distances + 2
    return torch.where(distances < 1, near, torch.where(distances < 2, far, 0))


_FILTERS = {"bilinear": _triangle, "bicubic": _cubic}


def train_loader(
    pixels: Pixels, batches: data.TrainBatches, recipe: Recipe, img_size: int, known: data.Known
) -> Loader:
    """Load the batches of ``data.TrainLoader`` from memory, for a recipe without an obstacle."""
    source = _size(pixels)
    resized = _shorter_to(img_size, source) if recipe.crop_padding else (img_size, img_size)
    views = Views(source=source, resized=resized, recipe=recipe, side=img_size, interpolation=recipe.interpolation)
    return Loader(pixels, batches, views, known, batches.seed)


def eval_loader(
    pixels: Pixels, batches: Sequence[Sequence[data.Key]], recipe: Recipe, img_size: int, known: data.Known
) -> Loader:
    """Load the batches of ``data.eval_loader`` from memory."""
    source = _size(pixels)
    resized = _shorter_to(math.floor(img_size / recipe.crop_pct), source)
    views = Views(source=source, resized=resized, recipe=None, side=img_size, interpolation=recipe.eval_interpolation)
    return Loader(pixels, batches, views, known, seed=0)


def _size(pixels: Pixels) -> tuple[int, int]:
    return pixels.images.shape[2], pixels.images.shape[3]


def _shorter_to(side: int, source: tuple[int, int]) -> tuple[int, int]:
    """(height, width) after torchvision's Resize(side)."""
    height, width = source
    return (side, int(side * width / height)) if height <= width else (int(side * height / width), side)
