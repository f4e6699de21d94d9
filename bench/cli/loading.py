"""Speed of loading training images, per core-second: ``python -m bench.cli.loading``.

Of CIFAR, from memory and image by image; of photographs, by this package and by timm's loader. Everything runs in one
thread of one process, in turn, and processor time is measured, so that other programs on the machine matter little.
"""

import argparse
import os
import statistics
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bench.cli.loading_photographs import CPU, SEED, measure_photographs, one_thread
from bench.experiments.recipes import CIFAR_TRANSFER
from bench.report.evidence import FOLDER, link
from bench.results.files import CorruptFile, read, write, write_atomically
from bench.results.loading_speeds import Cifar, CifarRound, Circumstances, LoadingSpeeds, Photographs
from bench.results.provenance import machine
from bench.results.run_folder import now
from bench.spec.batch_layout import lay_out
from bench.spec.errors import RequestError
from bench.training import cifar_in_memory, data

IMG_SIZE, BATCH = 224, 64


class Generated:
    """Noise of CIFAR's size, held as arrays, so that no time goes into files."""

    def __init__(self, size: int) -> None:
        self.arrays = np.random.default_rng(SEED).integers(0, 256, (size, 32, 32, 3), np.uint8)

    def __len__(self) -> int:
        return len(self.arrays)

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        return Image.fromarray(self.arrays[index]), index % 10


class First:
    """The first images of a data set."""

    def __init__(self, images: Any, size: int) -> None:
        self.images, self.size = images, size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        return self.images[index]


def measure_cifar(images: Any, rounds: int) -> list[CifarRound]:
    """Load all images image by image and from memory, in turn.

    Raises:
        RequestError: the images cannot be held in memory.
    """
    known = data.KNOWN["cifar10"]
    batches = data.TrainBatches(len(images), lay_out(CIFAR_TRANSFER, 0, 1, BATCH), SEED)
    samples = data.Samples(images, data.train_transform(CIFAR_TRANSFER, IMG_SIZE, known), SEED, training=True)
    pixels = cifar_in_memory.read(images, CPU)
    if isinstance(pixels, str):
        raise RequestError(f"the images cannot be held in memory: {pixels}")
    one_by_one = data.TrainLoader(samples, batches, 0, CPU)
    memory = cifar_in_memory.train_loader(pixels, batches, CIFAR_TRANSFER, IMG_SIZE, known)
    with one_thread():
        for loader in (one_by_one, memory):  # what happens once is not timed
            next(iter(loader))
        return [
            CifarRound(one_by_one=_images_per_core_s(one_by_one), in_memory=_images_per_core_s(memory))
            for _ in range(rounds)
        ]


def _images_per_core_s(loader: Iterable[data.Batch]) -> float:
    began = time.process_time()
    count = sum(len(batch.labels) for batch in loader)
    return count / (time.process_time() - began)


def report(speeds: LoadingSpeeds) -> str:
    """Markdown: what was measured, and on what."""
    lines = [
        "# Loading images",
        "",
        "Training images per second of one core's time (user and system), in one thread of one process.",
        *(["", *_photographs_section(speeds.photographs)] if speeds.photographs else []),
        *(["", *_cifar_section(speeds.cifar)] if speeds.cifar else []),
        "",
        f"Evidence: {link(_EVIDENCE, f'{FOLDER}/{_EVIDENCE}')}.",
    ]
    return "\n".join(lines) + "\n"


def _cifar_section(found: Cifar) -> list[str]:
    return [
        "## CIFAR",
        "",
        f"Loading from memory is {_median([each.ratio for each in found.rounds])} as fast as loading image by image.",
        "",
        f"These are the training images of the authors' fine-tuning, {IMG_SIZE} px in batches of {BATCH}: resized, "
        f"padded, randomly cropped, flipped and normalised. Each round loads {found.images} images in both ways, one "
        f"after the other ({found.source}).",
        "",
        "| Round | Image by image | From memory | Ratio |",
        "|---:|---:|---:|---:|",
        *(
            f"| {number} | {each.one_by_one:.0f} | {each.in_memory:.0f} | {each.ratio:.2f} |"
            for number, each in enumerate(found.rounds, 1)
        ),
        "",
        *_lines(found.circumstances),
        "- image by image: torchvision's transforms on PIL images (`bench/training/data.py`)",
        "- from memory: matrix products with PIL's filter weights, in batches (`bench/training/cifar_in_memory.py`)",
        "",
        "`python -m bench.cli.loading` measures again.",
    ]


def _photographs_section(found: Photographs) -> list[str]:
    timm, ours, compared = found.compared.timm, found.compared.ours, found.compared
    alike = (ours.decode + ours.augment) / ours.total
    return [
        "## Photographs",
        "",
        f"Decoding and augmenting photographs is {_median([each.ratio for each in found.rounds])} as fast as with "
        "timm's loader, up to a normalised batch. On a GPU machine timm's prefetcher normalises on the GPU, as we do; "
        f"up to the batch of bytes that it gets, ours is {_median([each.bytes_ratio for each in found.rounds])} as "
        "fast.",
        "",
        f"These are {found.files} JPEGs (medians: {found.median_width:g} px wide, {found.median_height:g} px high) "
        f"under the recipe of T2T-ViT-14, {IMG_SIZE} px in batches of {BATCH}: randomly cropped and resized, flipped, "
        f"augmented by RandAugment, normalised and erased from. Each round loads {found.images} images in all four "
        "ways, one after the other.",
        "",
        "| Round | timm | Ours | Ratio | timm, bytes | Ours, bytes | Ratio, bytes |",
        "|---:|---:|---:|---:|---:|---:|---:|",
        *(
            f"| {number} | {each.timm:.0f} | {each.ours:.0f} | {each.ratio:.2f} "
            f"| {each.timm_bytes:.0f} | {each.ours_bytes:.0f} | {each.bytes_ratio:.2f} |"
            for number, each in enumerate(found.rounds, 1)
        ),
        "",
        "Step by step, with the same images and random numbers:",
        "",
        "| Step | timm (ms an image) | Ours (ms an image) |",
        "|---|---:|---:|",
        *(f"| {name} | {getattr(timm, step):.2f} | {getattr(ours, step):.2f} |" for step, name in _STEPS.items()),
        "",
        f"Decoding and RandAugment take {100 * alike:.0f} % of our time, and the same libraries do them for timm: "
        f"libjpeg-turbo and PIL. Our crops differ from timm's by {compared.mean_difference:.3f} of 255 gray levels on "
        f"average, and by {compared.largest_difference} at most. Decoding JPEGs at a reduced size is no option: only "
        f"{100 * compared.reducible:.1f} % of the crops are at least twice {IMG_SIZE} px on both sides, which leaves "
        f"room for it, and with it PIL decodes an image in {compared.reduced_decode:.2f} ms instead of "
        f"{timm.decode:.2f} ms.",
        "",
        *_lines(found.circumstances),
        "- timm: `timm.data.create_loader`, without its prefetcher; up to bytes: with it, without its own work",
        "- ours: `bench/training/data.py` and `bench/training/augmentation.py`",
        "",
        "`python -m bench.cli.loading photographs --data DIR` measures again, with the class folders in `DIR`.",
    ]


_STEPS = {
    "decode": "read and decode",
    "crop": "crop and resize",
    "augment": "flip and RandAugment",
    "finish": "normalise, erase and make a batch",
    "total": "sum",
}
_EVIDENCE = "loading.json"


def _median(ratios: Sequence[float]) -> str:
    first, _, third = statistics.quantiles(ratios, n=4, method="inclusive")
    median = statistics.median(ratios)
    return f"{median:.2f} times (median of {len(ratios)} rounds, quartiles {first:.2f} and {third:.2f})"


def _lines(measured: Circumstances) -> list[str]:
    versions = ", ".join(f"{name} {number}" for name, number in measured.versions.items())
    return [
        f"- machine: {measured.machine}; load average before the first round: {measured.load:.1f}",
        f"- versions: {versions}",
    ]


def _versions() -> dict[str, str]:
    return {name: version(name) for name in ("torch", "torchvision", "timm", "pillow", "numpy")}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and write ``loading.md``."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.cli.loading",
        description="Measure how many training images a core loads in a second, at 224 px.",
    )
    parser.add_argument(
        "case",
        nargs="?",
        choices=("cifar", "photographs"),
        default="cifar",
        help="cifar: from memory and image by image; photographs: by us and by timm's loader (default: %(default)s)",
    )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="folder that holds cifar10 (default: generated images), or the class folders of JPEGs",
    )
    parser.add_argument(
        "--images", type=int, default=1024, metavar="N", help="least images in each round (default: %(default)s)"
    )
    parser.add_argument("--rounds", type=int, default=7, metavar="N", help="default: %(default)s")
    parser.add_argument("--reports", type=Path, default=Path("reports"), metavar="DIR", help="default: %(default)s")
    given = parser.parse_args(arguments)
    if given.images < BATCH or given.rounds < 2:
        parser.error(f"choose --images {BATCH} or more, and --rounds 2 or more")
    if given.case == "photographs" and not given.data:
        parser.error("photographs: choose --data DIR, a folder of class folders of JPEGs")
    file = given.reports / FOLDER / _EVIDENCE
    circumstances = Circumstances(load=os.getloadavg()[0], machine=machine(), versions=_versions(), measured_at=now())
    try:
        speeds = read(file, LoadingSpeeds) if file.exists() else LoadingSpeeds()
        if given.case == "cifar":
            speeds = replace(speeds, cifar=_cifar(given, circumstances))
        else:
            photographs = measure_photographs(
                given.data, rounds=given.rounds, images=given.images, batch=BATCH, circumstances=circumstances
            )
            speeds = replace(speeds, photographs=photographs)
    except (RequestError, CorruptFile) as error:
        parser.error(str(error))
    write(file, asdict(speeds))
    text = report(speeds)
    write_atomically(given.reports / "loading.md", text)
    print(text, end="")


def _cifar(given: argparse.Namespace, circumstances: Circumstances) -> Cifar:
    found = data.open_images("cifar10", "train", str(given.data)) if given.data else Generated(given.images)
    images = First(found, min(given.images, len(found)))
    return Cifar(
        rounds=measure_cifar(images, given.rounds),
        source="CIFAR-10" if given.data else "generated images of CIFAR's size, held as arrays",
        images=len(images) // BATCH * BATCH,
        circumstances=circumstances,
    )


if __name__ == "__main__":
    main()
