"""Pixels of image files of any kind, and how they become 8 bits of red, green and blue."""

import contextlib
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image

from bench.spec.regular_files import regular_file

logging.getLogger("PIL").addHandler(logging.NullHandler())  # or Python prints what it logs between our lines


@contextlib.contextmanager
def no_warnings() -> Iterator[None]:
    """Prints nothing that decoders warn of, an image's size or metadata: it loads, or an error says why not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def open_image(path: str | Path) -> Image.Image:
    """The image of a regular file, decoded, with the pixels as they are in it."""
    with regular_file(path) as file:
        return decode(file)


def decode(file: IO[bytes]) -> Image.Image:
    """The image in an open file; of several in it the first."""
    image = Image.open(file)
    image.load()
    return image


class UnknownRange(Exception):
    """A file does not tell which of its values is white."""


def to_rgb(image: Image.Image) -> Image.Image:
    """An image with 8 bits a channel, as timm has it: transparency is dropped, and the orientation in EXIF not applied.

    16-bit pixels are scaled, where PIL's own conversion cuts them off at 255.

    Raises:
        UnknownRange: its pixels are floats or 32-bit integers, and the file does not tell their range.
    """
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        image = _to_8_bits(image)
    if image.mode == "P":  # with its transparency PIL warns of a direct way
        image = image.convert("RGBA")
    return image.convert("RGB")


def _to_8_bits(image: Image.Image) -> Image.Image:
    """Grey levels of 0 to 255; the most that a file can hold becomes 255."""
    pixels = np.asarray(image)
    bits = 16 if image.mode.startswith("I;16") or image.format in _SIXTEEN_BITS else 0
    if image.format == "TIFF" and bits:
        bits = image.tag_v2.get(_BITS_PER_SAMPLE, (bits,))[0]  # type: ignore[attr-defined]  # 12 of some cameras
    if not bits:
        kind = "32-bit integers" if image.mode == "I" else "floats"
        raise UnknownRange(
            f"pixels are {kind} from {pixels.min():g} to {pixels.max():g}, and which of them is white is not known; "
            "save it with 8 or 16 bits"
        )
    return Image.fromarray(np.rint(pixels * (255 / (2**bits - 1))).astype(np.uint8))


_SIXTEEN_BITS = ("PPM", "PNG")
"""formats whose 16-bit pixels PIL may hold as 32-bit integers"""
_BITS_PER_SAMPLE = 258
"""TIFF's tag"""
