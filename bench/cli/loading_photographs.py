"""Photographs: decoding and augmenting them for training, by this package and by timm's loader, in one process.

Legend: S image side in pixels. Times are processor times (user and system) of this process, which has one thread.
"""

import contextlib
import dataclasses
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from timm.data import ImageDataset, create_loader
from torch.utils.data import default_collate

from bench.experiments.recipes import T2T_MEDIUM, override
from bench.results.loading_speeds import Circumstances, Compared, PhotographRound, Photographs, Steps
from bench.spec.batch_layout import lay_out
from bench.spec.errors import RequestError
from bench.training import data
from bench.training.augmentation import Levels, Normalisation
from bench.training.images import ClassFolders

RECIPE, SIDE, SEED = T2T_MEDIUM, 224, 0
KNOWN = data.KNOWN["imagenet"]
CPU = torch.device("cpu")


def measure_photographs(
    folder: Path, *, rounds: int, images: int, batch: int, circumstances: Circumstances
) -> Photographs:
    """Load the photographs of class folders by both, in turn.

    Args:
        folder: of class folders of JPEGs.
        rounds: in each of which both load the same number of images.
        images: least number of each round, in whole epochs.
        batch: images of a batch; an incomplete one is dropped.
        circumstances: of the measurement.

    Raises:
        RequestError: there are no class folders, or fewer images than a batch.
    """
    found = ClassFolders("photographs", folder)
    if len(found) < batch:
        raise RequestError(f"{folder.name!r} holds {len(found)} images; choose a folder with {batch} or more")
    samples = data.Samples(found, data.train_transform(RECIPE, SIDE, KNOWN), SEED, training=True)
    of_one_device = override(RECIPE, [f"global_batch={batch}", f"local_batch={batch}"])
    batches = data.TrainBatches(len(found), lay_out(of_one_device, 0, 1, batch), SEED)
    ours = data.TrainLoader(samples, batches, 0, CPU)
    timm, timm_bytes = (_timm_loader(folder, batch, use_prefetcher=on) for on in (False, True))
    epochs = -(-images // (batches.steps * batch))

    def speed(loader: Iterable[Any]) -> float:
        began = time.process_time()
        for _ in range(epochs):
            batches.epoch += 1
            for _ in loader:
                pass
        return epochs * batches.steps * batch / (time.process_time() - began)

    with one_thread():
        for loader in (timm, timm_bytes.loader, ours, ours.loader):  # what happens once is not timed
            next(iter(loader))
        timed = [
            PhotographRound(
                timm=speed(timm), ours=speed(ours), timm_bytes=speed(timm_bytes.loader), ours_bytes=speed(ours.loader)
            )
            for _ in range(rounds)
        ]
        compared = _compare(samples, timm.dataset, batch, repeats=rounds)
    sizes = [_size(path) for path, _ in found.samples]
    return Photographs(
        files=len(found),
        median_width=statistics.median(width for width, _ in sizes),
        median_height=statistics.median(height for _, height in sizes),
        images=epochs * batches.steps * batch,
        rounds=timed,
        compared=compared,
        circumstances=circumstances,
    )


def _size(path: str) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def _timm_loader(folder: Path, batch: int, *, use_prefetcher: bool) -> Any:
    return create_loader(
        ImageDataset(str(folder)),
        (3, SIDE, SIDE),
        batch,
        is_training=True,
        re_prob=RECIPE.random_erasing,
        re_mode=RECIPE.random_erasing_mode,
        scale=(RECIPE.crop_scale_min, RECIPE.crop_scale_max),
        hflip=RECIPE.hflip,
        auto_augment=RECIPE.auto_augment,
        interpolation=RECIPE.interpolation,
        num_workers=0,
        persistent_workers=False,
        use_prefetcher=use_prefetcher,
        device=CPU,
    )


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute in one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _compare(samples: data.Samples, of_timm: ImageDataset, batch: int, *, repeats: int) -> Compared:
    """Take the steps of both with the same images and random numbers; times are medians over the repeats."""
    paths = [path for path, _ in samples.images.samples[:batch]]
    crop, *augment = of_timm.transform.transforms
    augment, last = augment[:-3], augment[-3:]  # to a tensor, normalise, erase
    our_crop, *our_augment = samples.transform.transform.transforms
    our_last = dataclasses.replace(samples.transform, transform=_no_change)
    our_normalise = Normalisation(KNOWN.mean, KNOWN.std, CPU)
    seconds: dict[str, list[float]] = {}

    def timed(name: str, step: Callable[[Any], Any], items: Iterable[Any], seed: int) -> list[Any]:
        data.seed_everything(SEED, seed)
        began = time.process_time()
        results = [step(item) for item in items]
        seconds.setdefault(name, []).append((time.process_time() - began) / batch)
        return results

    differences, scales = [], []
    for seed in range(repeats + 1):
        images = timed("timm decode", _decode, paths, seed)
        levels = timed("our decode", lambda index: data.read_levels(samples.images, index)[0], range(batch), seed)
        crops = timed("timm crop", crop, images, seed)
        our_crops = timed("our crop", our_crop, levels, seed)
        augmented = timed("timm augment", lambda image: _apply(augment, image), crops, seed)
        ours = timed("our augment", lambda image: _apply(our_augment, image), our_crops, seed)
        timed("timm finish", lambda batch: default_collate([_apply(last, one) for one in batch]), [augmented], seed)
        timed("our finish", lambda batch: our_normalise(Levels.stack([our_last(one) for one in batch])), [ours], seed)
        differences += [_difference(*pair) for pair in zip(crops, our_crops, strict=True)]
        boxes = [crop.get_params(image, crop.scale, crop.ratio) for image in images]
        reductions = [max(1, min(height, width) // SIDE) for _, _, height, width in boxes]
        timed("reduced decode", lambda asked: _decode(*asked), list(zip(paths, reductions, strict=True)), seed)
        scales += reductions
    ms = {name: 1000 * statistics.median(values[1:]) for name, values in seconds.items()}  # the first warms up
    timm, of_ours = (
        Steps(**{step.name: ms[f"{whose} {step.name}"] for step in dataclasses.fields(Steps)})
        for whose in ("timm", "our")
    )
    return Compared(
        timm=timm,
        ours=of_ours,
        largest_difference=int(max(each.max() for each in differences)),
        mean_difference=float(np.mean([each.mean() for each in differences])),
        reducible=statistics.mean(scale > 1 for scale in scales),
        reduced_decode=ms["reduced decode"],
    )


def _decode(path: str, reduction: int = 1) -> Image.Image:
    """Decode an image by PIL, a JPEG with its sides divided by up to the reduction."""
    with Image.open(path) as image:
        if reduction > 1:
            image.draft("RGB", (image.width // reduction, image.height // reduction))
        return image.convert("RGB")


def _apply(transforms: Iterable[Callable[[Any], Any]], image: Any) -> Any:
    for transform in transforms:
        image = transform(image)
    return image


def _no_change(image: Image.Image) -> Image.Image:
    return image


def _difference(one: Image.Image, other: Image.Image) -> np.ndarray[Any, Any]:
    return np.abs(np.asarray(one, np.int16) - np.asarray(other, np.int16))
