"""Speeds of loading training images: the evidence behind ``loading.md``.

Times are processor times, user and system, of one process with one thread.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """Time, load, machine and versions of a measurement."""

    load: float
    """load average before the first round"""
    machine: str
    versions: dict[str, str]
    measured_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CifarRound:
    """Images per core-second, one after the other."""

    one_by_one: float
    in_memory: float

    @property
    def ratio(self) -> float:
        """The speed from memory over the speed image by image."""
        return self.in_memory / self.one_by_one


@dataclass(frozen=True, slots=True, kw_only=True)
class Cifar:
    """Loading CIFAR from memory and image by image."""

    rounds: list[CifarRound]
    source: str
    images: int
    """in each round"""
    circumstances: Circumstances


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotographRound:
    """Images per core-second of timm's loader and of ours, one after the other."""

    timm: float
    ours: float
    timm_bytes: float
    """of batches that have yet to be normalised and erased from, which timm's prefetcher does on a GPU"""
    ours_bytes: float

    @property
    def ratio(self) -> float:
        """Our speed over timm's."""
        return self.ours / self.timm

    @property
    def bytes_ratio(self) -> float:
        """Our speed over timm's, of batches of bytes."""
        return self.ours_bytes / self.timm_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """Processor time of an image in milliseconds, step by step."""

    decode: float
    crop: float
    augment: float
    finish: float
    """from the augmented image to a normalised batch"""

    @property
    def total(self) -> float:
        """Sum of all steps."""
        return self.decode + self.crop + self.augment + self.finish


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Steps of timm's loader and of ours with the same images and random numbers."""

    timm: Steps
    ours: Steps
    largest_difference: int
    """between their crops, in gray levels (0 to 255)"""
    mean_difference: float
    reducible: float
    """part of the crops that are at least twice as large as needed on both sides, so that half the size or
    less would do"""
    reduced_decode: float
    """processor time of decoding by PIL, these images at reduced size, in milliseconds"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Photographs:
    """Loading photographs by timm's loader and by ours."""

    files: int
    median_width: float
    """in pixels"""
    median_height: float
    images: int
    """in each round"""
    rounds: list[PhotographRound]
    compared: Compared
    circumstances: Circumstances


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadingSpeeds:
    """All cases, None for one that has not been measured."""

    cifar: Cifar | None = None
    photographs: Photographs | None = None
