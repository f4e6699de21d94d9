"""Dead channels of finished runs' networks, counted over many test images.

Legend: B images, C channels, H x W a layer's map. Which layers are looked at, and when a channel is dead on an image,
is as in ``bench/measure/feature_maps.py``. Counts are a result of the run that was trained: another version of the
code or of a library does not make them invalid.
"""

import datetime
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.measure.feature_maps import DEAD_BELOW, dead_channels, observe
from bench.results.dead_channels import DeadChannels, LayerCounts
from bench.results.files import CorruptFile, require_writable
from bench.results.provenance import machine, versions_of
from bench.results.record import RunRecord
from bench.results.run_folder import RunRecords, last_checkpoint, last_checksum
from bench.results.store import load_dead_channels, save_dead_channels
from bench.spec.errors import RequestError
from bench.spec.run import Resources, RunSpec

if TYPE_CHECKING:  # torch takes seconds to import, and counts that are there need none of it
    from torch import Tensor

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

    todo = [(spec, record) for spec in specs if (record := _uncounted(spec, records))]
    opened: dict[str, Any] = {}
    failures = []
    for number, (spec, record) in enumerate(todo, start=1):
        path, problem = last_checkpoint(records.runs / spec.run_id)
        try:
            if path is None:
                raise RequestError(f"its last checkpoint cannot be used: {problem}")
            if spec.dataset not in opened:
                from bench.training.evaluation import open_val

                opened[spec.dataset] = open_val(spec.dataset, resources)
            require_writable(records.runs, "--runs")
            found = count(spec, record, path, opened[spec.dataset])
        except (RequestError, CheckpointError) as error:
            failures.append(f"{spec.run_id}: dead channels are not counted: {error}")
            continue
        save_dead_channels(records.runs, found)
        print(
            f"[{number}/{len(todo)}] {spec.run_id}: {found.dead_pct:.1f} % of {found.channels} channels dead on an "
            f"image, {found.always_dead_pct:.1f} % on all {len(found.images)}",
            file=sys.stderr,
            flush=True,
        )
    return failures


def _uncounted(spec: RunSpec, records: RunRecords) -> RunRecord | None:
    """The record of a run that is finished and whose channels are not counted."""
    record = records.get(spec.run_id)
    if record is None or not record.is_whole:
        return None
    try:
        return None if load_dead_channels(records.runs, spec.run_id) else record
    except CorruptFile:  # reported by whoever shows the counts
        return record


def count(spec: RunSpec, record: RunRecord, checkpoint: Path, images: Any) -> DeadChannels:
    """Count the dead channels of a finished run's network on its test images.

    Args:
        spec: of the run.
        record: of the run.
        checkpoint: with the run's final weights.
        images: all its test images.

    Raises:
        RequestError: the images are not those that the run was tested on, or the network's layers are not known.
        CheckpointError: the weights do not fit.
    """
    import torch

    from bench.training import data, identity
    from bench.training.build import create_network
    from bench.training.formulation import LITERAL, use_formulation
    from models.checkpoints import load_into, read_checkpoint

    images_sha256 = identity.identify(images).sha256
    if record.fingerprint and record.fingerprint.val_sha256 != images_sha256:
        raise RequestError(f"{spec.dataset} here has other test images than those of the run; give its own with --data")
    network = create_network(spec.network, num_classes=0).eval()
    use_formulation(network, LITERAL)  # as in Figure 2
    weights = read_checkpoint(checkpoint)
    load_into(network, weights)
    known = data.KNOWN.get(spec.dataset, data.KNOWN["imagenet"])
    transform = data.eval_transform(spec.recipe, spec.img_size, known)
    chosen = evenly_spaced(len(images))
    dead: dict[str, list[Tensor]] = {}  # by layer, (B, C) of each batch
    for start in range(0, len(chosen), _BATCH):
        pixels = torch.stack([transform(images[i][0]) for i in chosen[start : start + _BATCH]])
        observe(network, pixels, lambda name, maps: dead.setdefault(name, []).append(dead_channels(maps)))
    return DeadChannels(
        run_id=spec.run_id,
        network=spec.network,
        dataset=spec.dataset,
        images_sha256=images_sha256,
        images=chosen,
        weights_sha256=last_checksum(checkpoint.parent),
        key=weights.key,
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
