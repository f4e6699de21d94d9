"""Dead channels of trained networks, counted over many test images.

Legend: B images, C channels, H x W a layer's map. Which layers are looked at, and when a channel is dead on an image,
is as in ``bench/measure/feature_maps.py``. Counts are a result of weights that were trained: another version of the
code or of a library does not make them invalid.
"""

import dataclasses
import datetime
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.measure.feature_maps import DEAD_BELOW, dead_channels, observe
from bench.measure.feature_sources import run_folder
from bench.results.dead_channels import DeadChannels, LayerCounts, dead_channels_id
from bench.results.feature_maps import FeatureMaps, FeatureSource
from bench.results.files import CorruptFile, require_writable, sha256_of
from bench.results.provenance import machine, versions_of
from bench.results.record import RunRecord
from bench.results.run_folder import RunRecords, last_checkpoint, last_checksum
from bench.results.store import load_dead_channels, save_dead_channels
from bench.spec.errors import RequestError
from bench.spec.run import Resources, RunSpec, Weights
from bench.spec.text import at_words

if TYPE_CHECKING:  # torch takes seconds to import, and counts that are there need none of it
    from torch import Tensor

    from models.checkpoints import Checkpoint

IMAGES = 256
"""looked at of each test set, evenly spaced over it"""
_BATCH = 32
_LIBRARIES = ("torch", "torchvision", "timm", "pillow")


def count_missing(specs: Sequence[RunSpec], records: RunRecords, resources: Resources) -> list[str]:
    """Count the dead channels of finished runs where nobody has, and keep the counts beside the runs.

    Args:
        specs: of runs.
        records: of the folder that they are in.
        resources: where the test images are.

    Returns:
        A line for each run whose channels could not be counted.
    """
    from models.checkpoints import CheckpointError

    todo = [(spec, record) for spec in specs if (record := _uncounted_run(spec, records))]
    opened: dict[str, Any] = {}
    failures = []
    for number, (spec, record) in enumerate(todo, start=1):
        try:
            require_writable(records.runs, "--runs")
            images = _opened(opened, spec.dataset, resources)
            found = count_of_run(spec, record, records.runs / spec.run_id, images)
        except (RequestError, CheckpointError) as error:
            failures.append(f"{spec.run_id}: dead channels are not counted: {error}")
            continue
        _keep(found, records.runs, f"[{number}/{len(todo)}]")
    return failures


def count_shown(shown: Sequence[FeatureMaps], weights: Sequence[Path], runs: Path, resources: Resources) -> list[str]:
    """Count the dead channels of Figure 2's trained networks over test images where nobody has, and keep the counts.

    Args:
        shown: in Figure 2.
        weights: files, or folders or ids of finished runs, that the networks are from.
        runs: the folder of measurements and runs.
        resources: where the test images are.

    Returns:
        A line for each network whose channels could not be counted.

    Raises:
        RequestError: the test images are not there.
    """
    from bench.training import data
    from models.checkpoints import CheckpointError, read_checkpoint

    todo = [one for one in shown if one.source.weights and _is_uncounted(runs, dead_channels_id(one.source))]
    files = _files_by_sha256([*weights, *(Path(one.source.run_id) for one in todo if one.source.run_id)], runs)
    if not todo:
        return []
    require_writable(runs, "--runs")
    opened: dict[str, Any] = {}
    failures = []
    for number, one in enumerate(todo, start=1):
        assert one.source.weights
        images = _opened(opened, one.dataset, resources)
        known = data.KNOWN.get(one.dataset, data.KNOWN["imagenet"])
        known = dataclasses.replace(known, mean=one.mean, std=one.std)
        transform = data.eval_transform(one, one.source.network.img_size, known)
        try:
            if one.source.weights.sha256 not in files:
                raise RequestError(f"{one.source.weights.file} is needed for that; give it with --weights")
            checkpoint = read_checkpoint(files[one.source.weights.sha256])
            found = count(one.source, checkpoint, transform, one.dataset, images)
        except (RequestError, CheckpointError) as error:
            failures.append(f"{one.source.network}: dead channels are not counted: {error}")
            continue
        _keep(found, runs, f"[{number}/{len(todo)}]")
    return failures


def _files_by_sha256(weights: Sequence[Path], runs: Path) -> Mapping[str, Path]:
    """Files of weights, and the last checkpoints of finished runs, by their checksums."""
    found: dict[str, Path] = {}
    for path in weights:
        folder = run_folder(path, runs)
        if folder is None:
            if path.exists():
                found[sha256_of(path)] = path
        elif checkpoint := last_checkpoint(folder)[0]:
            found[last_checksum(folder)] = checkpoint
    return found


def _opened(opened: dict[str, Any], dataset: str, resources: Resources) -> Any:
    """The test images of a data set, opened once."""
    if dataset not in opened:
        from bench.training.evaluation import open_val

        opened[dataset] = open_val(dataset, resources)
    return opened[dataset]


def _keep(found: DeadChannels, runs: Path, place: str) -> None:
    save_dead_channels(runs, found)
    line = (
        f"{place} {found.dead_channels_id}: {found.dead_pct:.1f} % of {found.channels} channels dead on an image, "
        f"{found.always_dead_pct:.1f} % on all {len(found.images)}"
    )
    print(at_words(line, sys.stderr), file=sys.stderr, flush=True)


def _uncounted_run(spec: RunSpec, records: RunRecords) -> RunRecord | None:
    """The record of a run that is finished and whose channels are not counted."""
    record = records.get(spec.run_id)
    if record is None or not record.is_whole:
        return None
    return record if _is_uncounted(records.runs, spec.run_id) else None


def _is_uncounted(runs: Path, identifier: str) -> bool:
    try:
        return load_dead_channels(runs, identifier) is None
    except CorruptFile:  # reported by whoever shows the counts
        return True


def count_of_run(spec: RunSpec, record: RunRecord, folder: Path, images: Any) -> DeadChannels:
    """Count the dead channels of a finished run's network on its test images.

    Args:
        spec: of the run.
        record: of the run.
        folder: of the run, with its last checkpoint.
        images: all its test images.

    Raises:
        RequestError: the images are not those that the run was tested on, its last checkpoint cannot be used, or the
            network's layers are not known.
        CheckpointError: the weights do not fit.
    """
    from bench.training import data, identity
    from models.checkpoints import read_checkpoint

    if record.fingerprint and record.fingerprint.val_sha256 != identity.identify(images).sha256:
        raise RequestError(f"{spec.dataset} here has other test images than those of the run; give its own with --data")
    path, problem = last_checkpoint(folder)
    if path is None:
        raise RequestError(f"its last checkpoint cannot be used: {problem}")
    weights = Weights(file=path.name, sha256=last_checksum(folder))
    source = FeatureSource(network=spec.network, weights=weights, run_id=spec.run_id)
    known = data.KNOWN.get(spec.dataset, data.KNOWN["imagenet"])
    transform = data.eval_transform(spec.recipe, spec.img_size, known)
    return count(source, read_checkpoint(path), transform, spec.dataset, images)


def count(
    source: FeatureSource,
    checkpoint: "Checkpoint",
    transform: Callable[[Any], "Tensor"],
    dataset: str,
    images: Any,
) -> DeadChannels:
    """Count the dead channels of a network on evenly spaced test images.

    Args:
        source: the network, and whose weights are in it.
        checkpoint: the weights.
        transform: makes a normalised (3, S, S) of an image.
        dataset: that the images are of.
        images: all its test images.

    Raises:
        RequestError: the network's layers are not known.
        CheckpointError: the weights do not fit.
    """
    import torch

    from bench.training import identity
    from bench.training.build import create_network
    from bench.training.formulation import LITERAL, use_formulation
    from models.checkpoints import load_into

    network = create_network(source.network, num_classes=0).eval()
    use_formulation(network, LITERAL)  # as in Figure 2
    load_into(network, checkpoint)
    chosen = evenly_spaced(len(images))
    dead: dict[str, list[Tensor]] = {}  # by layer, (B, C) of each batch
    for start in range(0, len(chosen), _BATCH):
        pixels = torch.stack([transform(images[i][0]) for i in chosen[start : start + _BATCH]])
        observe(network, pixels, lambda name, maps: dead.setdefault(name, []).append(dead_channels(maps)))
    return DeadChannels(
        source=source,
        dataset=dataset,
        images_sha256=identity.identify(images).sha256,
        images=chosen,
        key=checkpoint.key,
        dead_below=DEAD_BELOW,
        layers=tuple(_layer(name, torch.cat(batches)) for name, batches in dead.items()),
        versions=versions_of(_LIBRARIES),
        machine=machine(),
        measured_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    )


def evenly_spaced(size: int) -> tuple[int, ...]:
    """Indices of ``IMAGES`` of so many images, or of all where there are fewer."""
    number = min(IMAGES, size)
    return tuple((2 * i + 1) * size // (2 * number) for i in range(number))


def _layer(name: str, dead: "Tensor") -> LayerCounts:
    """Counts of one layer, from whether each channel is dead on each image, (n, C)."""
    return LayerCounts(
        name=name,
        channels=dead.shape[1],
        dead=tuple(dead.sum(1).tolist()),
        always_dead=int(dead.all(0).sum()),
    )
