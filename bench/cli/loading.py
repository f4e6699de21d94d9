"""Speed of loading CIFAR at 224 px, from memory and image by image: ``python -m bench.cli.loading``.

Both feed the authors' fine-tuning on the same cores: image by image with one loading process per core, from memory
with one thread per core, on any device, since this measures the processor.
"""

import argparse
import os
import statistics
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from bench.experiments.recipes import CIFAR_TRANSFER
from bench.report.evidence import FOLDER, link
from bench.results.files import write, write_atomically
from bench.results.provenance import machine
from bench.results.run_folder import now
from bench.spec.batch_layout import lay_out
from bench.spec.errors import RequestError
from bench.training import cifar_in_memory, data

IMG_SIZE, BATCH, SEED = 224, 64, 0
CPU = torch.device("cpu")


class Generated:
    """Noise of CIFAR's size, held as arrays, so that no time goes into files."""

    def __init__(self, size: int) -> None:
        self.arrays = np.random.default_rng(SEED).integers(0, 256, (size, 32, 32, 3), np.uint8)

    def __len__(self) -> int:
        return len(self.arrays)

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        return Image.fromarray(self.arrays[index]), index % 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """Images a second of both, one after the other."""

    one_by_one: float
    in_memory: float

    @property
    def ratio(self) -> float:
        """The speed from memory over the speed image by image."""
        return self.in_memory / self.one_by_one


class First:
    """The first images of a data set."""

    def __init__(self, images: Any, size: int) -> None:
        self.images, self.size = images, size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        return self.images[index]


def measure(images: Any, *, rounds: int, cores: int) -> list[Round]:
    """Load all images by both, in turn; what happens once, as starting processes, is not timed.

    Raises:
        RequestError: the images cannot be held in memory.
    """
    known = data.KNOWN["cifar10"]
    batches = data.TrainBatches(len(images), lay_out(CIFAR_TRANSFER, 0, 1, BATCH), SEED)
    samples = data.Samples(images, data.train_transform(CIFAR_TRANSFER, IMG_SIZE, known), SEED, training=True)
    one_by_one = data.TrainLoader(samples, batches, cores, CPU)
    pixels = cifar_in_memory.read(images, CPU)
    if isinstance(pixels, str):
        raise RequestError(f"the images cannot be held in memory: {pixels}")
    memory = cifar_in_memory.train_loader(pixels, batches, CIFAR_TRANSFER, IMG_SIZE, known)
    threads = torch.get_num_threads()
    torch.set_num_threads(cores)
    try:
        _images_per_s(one_by_one)
        _images_per_s(memory)
        return [Round(one_by_one=_images_per_s(one_by_one), in_memory=_images_per_s(memory)) for _ in range(rounds)]
    finally:
        torch.set_num_threads(threads)


def _images_per_s(loader: Iterable[data.Batch]) -> float:
    began = time.perf_counter()
    count = sum(len(batch.labels) for batch in loader)
    return count / (time.perf_counter() - began)


def report(rounds: Sequence[Round], *, source: str, images: int, cores: int, load: float) -> str:
    """Markdown: what was measured, and on what."""
    ratios = [each.ratio for each in rounds]
    versions = ", ".join(f"{name} {number}" for name, number in _versions().items())
    lines = [
        "# Loading CIFAR",
        "",
        f"Loading from memory is {statistics.median(ratios):.1f} times as fast as loading image by image "
        f"(median of {len(ratios)} rounds, {min(ratios):.1f} to {max(ratios):.1f}), on the same {cores} cores.",
        "",
        f"These are the training images of the authors' fine-tuning, {IMG_SIZE} px in batches of {BATCH}: resized, "
        f"padded, randomly cropped, flipped and normalised. Each round loads {images} images in both ways, one after "
        f"the other ({source}).",
        "",
        f"| Round | Image by image, {cores} processes (images/s) | From memory, {cores} threads (images/s) | Ratio |",
        "|---:|---:|---:|---:|",
        *(
            f"| {number} | {each.one_by_one:.0f} | {each.in_memory:.0f} | {each.ratio:.2f} |"
            for number, each in enumerate(rounds, 1)
        ),
        "",
        f"- machine: {machine()}; load average before the first round: {load:.1f}",
        f"- versions: {versions}",
        "- image by image: torchvision's transforms on PIL images, in loading processes (`bench/training/data.py`)",
        "- from memory: matrix products with PIL's filter weights, in batches (`bench/training/cifar_in_memory.py`)",
        "",
        f"`python -m bench.cli.loading` measures again. Evidence: {link(_EVIDENCE, f'{FOLDER}/{_EVIDENCE}')}.",
    ]
    return "\n".join(lines) + "\n"


_EVIDENCE = "loading.json"


def _versions() -> dict[str, str]:
    return {name: version(name) for name in ("torch", "torchvision", "timm", "pillow", "numpy")}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and write ``loading.md``."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.cli.loading",
        description="Measure how fast CIFAR is loaded at 224 px, from memory and image by image.",
    )
    parser.add_argument("--data", metavar="DIR", help="folder that holds cifar10 (default: generated images)")
    parser.add_argument(
        "--images", type=int, default=4096, metavar="N", help="images in each round (default: %(default)s)"
    )
    parser.add_argument("--rounds", type=int, default=7, metavar="N", help="default: %(default)s")
    parser.add_argument("--cores", type=int, default=2, metavar="N", help="cores for either way (default: %(default)s)")
    parser.add_argument("--reports", type=Path, default=Path("reports"), metavar="DIR", help="default: %(default)s")
    given = parser.parse_args(arguments)
    if given.images < BATCH or given.rounds < 1 or given.cores < 1:
        parser.error(f"choose --images {BATCH} or more, --rounds 1 or more and --cores 1 or more")
    load = os.getloadavg()[0]
    try:
        found = data.open_images("cifar10", "train", given.data) if given.data else Generated(given.images)
        images = First(found, min(given.images, len(found)))
        rounds = measure(images, rounds=given.rounds, cores=given.cores)
    except RequestError as error:
        parser.error(str(error))
    source = "CIFAR-10" if given.data else "generated images of CIFAR's size, held as arrays"
    measured = {"source": source, "images": len(images) // BATCH * BATCH, "cores": given.cores, "load": load}
    found = {"rounds": [asdict(each) for each in rounds], **measured, "machine": machine(), "versions": _versions()}
    write(given.reports / FOLDER / _EVIDENCE, found | {"measured_at": now()})
    text = report(rounds, **measured)
    write_atomically(given.reports / "loading.md", text)
    print(text, end="")


if __name__ == "__main__":
    main()
