"""JPEGs as tensors, decoded by torchvision where that gives PIL's pixels."""

import contextlib
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.io import ImageReadMode, decode_jpeg

from bench.spec.regular_files import regular_file
from bench.training.pixels import to_rgb


def open_jpeg(path: str | Path) -> Tensor | None:
    """The pixels of a JPEG, in memory pixel by pixel: those of ``to_rgb(open_image(path))``, bit for bit.

    PIL and torchvision both decode with libjpeg-turbo; torchvision is done sooner, and its pixels need no copy to
    become a tensor. It has other ideas than PIL of CMYK and of files that end too early, so these are left to PIL.

    Returns:
        (3, H, W), uint8; None if the file is no JPEG.

    Raises:
        OSError: the image cannot be decoded, as PIL says it.
    """
    with regular_file(path) as file:
        image = Image.open(file)
        if image.format not in ("JPEG", "MPO"):  # MPO: JPEGs of some cameras, with more images behind the first
            return None
        if image.mode in ("L", "RGB"):
            file.seek(0)
            with contextlib.suppress(RuntimeError, AttributeError):  # the latter if torchvision was built without it
                content = torch.frombuffer(bytearray(file.read()), dtype=torch.uint8)
                return decode_jpeg(content, ImageReadMode.RGB)
        return torch.from_numpy(np.array(to_rgb(image))).permute(2, 0, 1)
