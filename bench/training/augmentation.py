"""Augment training images as bytes, and normalise and erase them in batches on the training device.

Legend: B images of a batch, S image side in pixels, H x W source pixels. timm's transforms draw every random number, in
timm's order, so that an image gets the same view and the same noise as from ``create_transform`` with the same seed.
Two steps are computed differently:

- A JPEG is resized by torch, which takes a fifth of PIL's time. Its levels (0 to 255) lie within 2 of PIL's: each of
  the two passes over an image rounds to whole levels. Images of other formats are resized by PIL.
- Images stay bytes until they are on the device: a quarter of the memory to copy. The normalised values are those of
  torchvision's ``ToTensor`` and ``Normalize``, bit for bit.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from timm.data.random_erasing import RandomErasing
from timm.data.transforms import RandomResizedCropAndInterpolation
from torch import Tensor
from torch.nn import functional

from bench.training.buffers import Buffers


class Crop(RandomResizedCropAndInterpolation):
    """timm's random resized crop, of PIL images by PIL and of tensors by torch."""

    def __call__(self, image: Image.Image | Tensor) -> Image.Image:
        """Crop and resize an image, or a tensor of levels (3, H, W), uint8."""
        if isinstance(image, Image.Image):
            resized: Image.Image = super().__call__(image)
            return resized
        top, left, height, width = self.get_params(image, self.scale, self.ratio)
        interpolation = self.interpolation
        if isinstance(interpolation, Sequence):
            interpolation = random.choice(interpolation)
        # torch's quick resampling of bytes needs a batch in memory pixel by pixel, without gaps.
        part = image[None, :, top : top + height, left : left + width].contiguous(memory_format=torch.channels_last)
        return to_image(functional.interpolate(part, self.size, mode=interpolation.value, antialias=True)[0])


def to_image(levels: Tensor | Image.Image) -> Image.Image:
    """A PIL image of levels (3, H, W), uint8."""
    return levels if isinstance(levels, Image.Image) else Image.fromarray(levels.permute(1, 2, 0).numpy())


class Erased(NamedTuple):
    """A part of a normalised image, and what replaces it."""

    where: tuple[slice, ...]
    """channels, rows, columns"""
    values: Tensor
    """(3, h, w), or (3, 1, 1)"""


class _Canvas:
    """Stands for a normalised image (3, S, S), and keeps what timm's random erasing writes into it."""

    dtype = torch.float32

    def __init__(self, side: int) -> None:
        self.side = side
        self.erased: Erased | None = None

    def size(self) -> tuple[int, int, int]:
        return 3, self.side, self.side

    def __setitem__(self, where: tuple[slice, ...], values: Tensor) -> None:
        self.erased = Erased(where, values)


class Augmented(NamedTuple):
    """An augmented image before it is normalised."""

    levels: np.ndarray[Any, np.dtype[np.uint8]]
    """(3, S, S)"""
    erased: Erased | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """Augments one image at a time.

    Attributes:
        transform: of an image or its levels (3, H, W), into an image.
        erasing: timm's, of one area at most; None for none.
        side: S.
        mean: of each channel, where white is 1.
        std: likewise.
    """

    transform: Any
    erasing: RandomErasing | None
    side: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __call__(self, image: Image.Image | Tensor) -> Augmented:
        """Augment an image, or levels (3, H, W), uint8; draws from Python's, NumPy's and torch's generators."""
        channels = b"".join(channel.tobytes() for channel in self.transform(image).split())
        canvas = _Canvas(self.side)
        if self.erasing:
            self.erasing(canvas)
        return Augmented(np.frombuffer(channels, np.uint8).reshape(3, self.side, self.side), canvas.erased)


@dataclass(slots=True, kw_only=True)
class Levels:
    """A batch of augmented images on its way to the device."""

    levels: Tensor
    """(B, 3, S, S), uint8"""
    erased: list[tuple[int, tuple[slice, ...], torch.Size]]
    """image, place in it and shape of each replacement"""
    noise: Tensor
    """all replacements' values, one after the other"""

    @classmethod
    def stack(cls, images: Sequence[Augmented]) -> "Levels":
        """Make a batch of images."""
        erased = [(row, image.erased) for row, image in enumerate(images) if image.erased]
        return cls(
            levels=torch.from_numpy(np.stack([image.levels for image in images])) if images else torch.empty(0),
            erased=[(row, each.where, each.values.shape) for row, each in erased],
            noise=torch.cat([each.values.flatten() for _, each in erased]) if erased else torch.empty(0),
        )

    def pin_memory(self) -> "Levels":
        """Called where the loader's batch is pinned."""
        return Levels(levels=self.levels.pin_memory(), erased=self.erased, noise=self.noise.pin_memory())


class Normalisation:
    """Normalises batches on a device, and erases from them.

    Args:
        mean: of each channel, where white is 1.
        std: likewise.
        device: of the batches.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float], device: torch.device) -> None:
        self.device, self.buffers = device, Buffers(device)
        # On the device: a GPU would multiply by the reciprocal of a number, which rounds differently.
        self.white = torch.tensor(255.0, device=device)
        self.mean, self.std = (torch.tensor(each, device=device)[:, None, None] for each in (mean, std))

    def __call__(self, batch: Levels) -> Tensor:
        """The images of a batch, (B, 3, S, S), float32, on the device."""
        if not len(batch.levels):
            return torch.empty(0)
        levels = batch.levels.to(self.device, non_blocking=True)
        images = self.buffers.empty(tuple(levels.shape))
        at_once = 1 if self.device.type == "cpu" else len(levels)  # one image stays in a processor's cache
        for part, source in zip(images.split(at_once), levels.split(at_once), strict=True):
            torch.div(source, self.white, out=part).sub_(self.mean).div_(self.std)
        noise = batch.noise.to(self.device, non_blocking=True).split([shape.numel() for *_, shape in batch.erased])
        for (row, where, shape), values in zip(batch.erased, noise, strict=False):
            images[row][where] = values.view(shape)
        return images
