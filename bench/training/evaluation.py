"""One evaluation of released weights: every validation image once, from where it stopped.

Legend: W processes take B images each a step, in the order of the images, so that one number says how far it is,
whatever W. Hits are whole numbers: an evaluation that was interrupted ends with the same ones.

``python -m bench.training.evaluation PATH FILE FOUND_BY RUNS SPEC RESOURCES`` is what torchrun starts on each GPU.
"""

import contextlib
import dataclasses
import json
import math
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import nn

from bench.results import predictions
from bench.results.codec import decode, parse
from bench.results.evaluation import Evaluation, EvaluationSpec
from bench.results.provenance import TRAINING_LIBRARIES, checkout, versions_of
from bench.results.run_folder import now
from bench.results.store import load_evaluation, save_evaluation
from bench.spec.errors import RequestError
from bench.spec.run import Network, Resources, RunSpec
from bench.training import data, identity
from bench.training.build import create_network
from bench.training.distributed import World, automatic_workers, device_name, world
from bench.training.formulation import use_fastest_formulation
from bench.training.metrics import Tally
from bench.training.signals import Interrupted, Stop
from bench.training.torchrun import torchrun
from models.checkpoints import Checkpoint, CheckpointError, Fit, load_into, read_checkpoint


class EvaluationFailed(Exception):
    """It ended otherwise than done; one line says how."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """A file's weights in a network that they fit."""

    file: str
    """its name in the record"""
    found_by: str
    """name, content, or hub"""
    checkpoint: Checkpoint
    network: nn.Module
    fit: Fit

    @property
    def path(self) -> str:
        """The path of the file."""
        return self.checkpoint.path


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """An evaluation to carry out."""

    spec: EvaluationSpec
    weights: Weights
    """those of the spec, in its network"""
    images: Any
    """those of the spec"""
    runs: Path
    """the folder of all runs, where the evaluation is kept and continued"""
    resources: Resources


def open_val(dataset: str, resources: Resources) -> Any:
    """The validation images of a data set, with the labels that a trained head means.

    Raises:
        RequestError: they are not there, or their labels may be others.
    """
    images = identity.open_split(dataset, "val", resources.data, download=resources.download)
    data.require_all_classes(dataset, images)
    return images


def spec_of(run: RunSpec, released: str, sha256: str, images: Any, precision: str) -> EvaluationSpec:
    """The specification for evaluating a file as the released weights of a run."""
    return EvaluationSpec(
        released=released,
        sha256=sha256,
        network=run.network,
        dataset=run.dataset,
        crop_pct=run.recipe.crop_pct,
        eval_interpolation=run.recipe.eval_interpolation,
        precision=precision,
        images=len(images),
        classes=data.class_count(images),
        images_sha256=identity.identify(images).sha256,
    )


def load_weights(checkpoint: Checkpoint, file: str, found_by: str, network: Network, dataset: str) -> Weights:
    """Put a file's weights into the network that they are to be evaluated as.

    Args:
        checkpoint: the weights.
        file: name of the file in the record.
        found_by: name, content, or hub.
        network: to put them into.
        dataset: to evaluate them on.

    Raises:
        CheckpointError: they do not fit, or their head is for other classes; says which parameters.
    """
    classes = data.KNOWN[dataset].num_classes
    module = create_network(network, num_classes=classes)
    fit = load_into(module, checkpoint)
    if fit.left_out:
        raise CheckpointError(
            f"{checkpoint.path}: its head is not for the {classes} classes of {dataset} "
            f"({', '.join(fit.left_out)} do not fit)"
        )
    return Weights(file=file, found_by=found_by, checkpoint=checkpoint, network=module, fit=fit)


def evaluate(job: Job, here: World, stop: Stop, progress: Callable[[int], None] = lambda seen: None) -> Evaluation:
    """Do this process's part of an evaluation, together with the others if there are any.

    Args:
        job: the evaluation.
        here: this process.
        stop: asked, after each step, whether a signal came.
        progress: told, on rank 0, how many images were seen.

    Raises:
        Interrupted: a signal came; all is saved.
        EvaluationFailed: an output is not finite.
        Unreadable: too many images failed to load.
    """
    spec, weights, resources = job.spec, job.weights, job.resources
    began = time.monotonic()
    begun, predicted = _begun(job.runs, spec)
    done = begun or Evaluation(
        spec=spec,
        file=weights.file,
        found_by=weights.found_by,
        key=weights.checkpoint.key,
        resized=weights.fit.resized,
        images=0,
        top1_hits=0,
        top5_hits=0,
        unreadable=(),
        device="",
        world_size=here.size,
        versions=versions_of(TRAINING_LIBRARIES),
        git=checkout(),
        evaluated_at=now(),
        wall_time_s=0.0,
    )
    done = dataclasses.replace(done, device=device_name(here.device), world_size=here.size)
    before_s, saved = done.wall_time_s, began
    transform = data.eval_transform(spec, spec.network.img_size, data.KNOWN[spec.dataset])
    samples = data.Samples(job.images, transform, 0, training=False)
    workers = automatic_workers(here) if resources.workers is None else resources.workers
    seen = done.images + len(done.unreadable)
    loader = data.ordered_loader(samples, resources.micro_batch, workers, here, start=seen)
    listed = identity.listing(job.images)
    network = weights.network.to(here.device).eval()
    use_fastest_formulation(network, here.device.type, spec.precision)
    torch.backends.cudnn.allow_tf32 = False  # or convolutions in float32 keep 10 bits of each number
    for batch in loader:
        tally = Tally(resources.micro_batch * here.size, here, first=seen)
        tally.add(network, batch, spec.precision)
        totals = tally.totals(len(batch.unreadable))
        number, unreadable = torch.tensor(stop.signal, device=here.device), [batch.unreadable]
        if here.size > 1:
            dist.all_reduce(number, op=dist.ReduceOp.MAX)
            if totals.unreadable:
                unreadable = [[] for _ in range(here.size)]
                dist.all_gather_object(unreadable, batch.unreadable)
        done = dataclasses.replace(
            done,
            images=done.images + totals.images,
            top1_hits=done.top1_hits + totals.top1_hits,
            top5_hits=done.top5_hits + totals.top5_hits,
            unreadable=(*done.unreadable, *(line for lines in unreadable for line in lines)),
            evaluated_at=now(),
            wall_time_s=round(before_s + time.monotonic() - began, 1),
        )
        predicted[seen : seen + len(totals.predicted)] = totals.predicted[: spec.images - seen].numpy()
        seen = done.images + len(done.unreadable)
        if not math.isfinite(totals.loss):
            raise EvaluationFailed(f"{weights.path}: an output is not finite in {spec.precision}, before image {seen}")
        if len(done.unreadable) > resources.max_unreadable:
            raise data.Unreadable(
                f"{len(done.unreadable)} images failed to load, and an evaluation may skip {resources.max_unreadable}; "
                f"the last: {done.unreadable[-1]}"
            )
        if not done.images and seen == spec.images:
            raise data.Unreadable(f"not one of {seen} images could be read; the last: {done.unreadable[-1]}")
        if here.leads:
            progress(seen)
            if number or done.is_done or time.monotonic() - saved > resources.save_every_s:
                predictions.save_images(job.runs, spec.images_sha256, *listed)
                done = save_evaluation(job.runs, done, predictions.packed(spec.images_sha256, {"released": predicted}))
                saved = time.monotonic()
        if number and not done.is_done:
            raise Interrupted(int(number), f"image {seen:,} of {spec.images:,}")
    return done


def _begun(runs: Path, spec: EvaluationSpec) -> tuple[Evaluation | None, predictions.Classes]:
    """Load an unfinished evaluation, if there is one, with its predictions so far."""
    begun = load_evaluation(runs, spec)
    if begun and not begun.unreadable:  # they may be readable by now
        with contextlib.suppress(ValueError):  # damaged: all is said anew
            if said := predictions.load_predictions(runs, begun):
                return begun, said.predicted["released"]
    return None, np.full(spec.images, predictions.UNREAD)


def evaluate_on(
    processes: int, job: Job, stop: Stop, progress: Callable[[int], None] = lambda seen: None
) -> Evaluation:
    """Evaluate in this process, or in several of this machine, a GPU each if there are some.

    Raises:
        Interrupted: as ``evaluate``.
        EvaluationFailed: as ``evaluate``, or a process died, which has said why.
        Unreadable: as ``evaluate``.
    """
    if processes == 1:
        with world() as here:
            return evaluate(job, here, stop, progress)

    spec, weights, runs = job.spec, job.weights, job.runs

    def look() -> None:
        if part := load_evaluation(runs, spec):
            progress(part.images + len(part.unreadable))

    part = json.dumps(dataclasses.asdict(spec)), json.dumps(dataclasses.asdict(job.resources))
    code = torchrun(
        ["bench.training.evaluation", weights.path, weights.file, weights.found_by, str(runs), *part],
        processes,
        stop,
        look,
    )
    done = load_evaluation(runs, spec)
    if done and done.is_done:
        return done
    if stop.signal:
        seen = done.images + len(done.unreadable) if done else 0
        raise Interrupted(stop.signal, f"image {seen:,} of {spec.images:,}")
    raise EvaluationFailed(f"{weights.path}: torchrun exited with code {code}; the cause is above")


def _main(arguments: Sequence[str]) -> int:
    """Do a process's part, by the command line that ``evaluate_on`` gave it."""
    path, file, found_by, runs, spec, resources = arguments
    asked, given = decode(parse(spec), EvaluationSpec), Resources(**json.loads(resources))
    with Stop().listening() as stop, world() as here:
        try:
            checkpoint = read_checkpoint(path)
            if checkpoint.sha256 != asked.sha256:
                raise CheckpointError(f"{path}: it has changed; run the same command again")
            weights = load_weights(checkpoint, file, found_by, asked.network, asked.dataset)
            images = open_val(asked.dataset, dataclasses.replace(given, download=False))
            if identity.identify(images).sha256 != asked.images_sha256:
                raise EvaluationFailed(f"the images of {asked.dataset} have changed; run the same command again")
            job = Job(spec=asked, weights=weights, images=images, runs=Path(runs), resources=given)
            evaluate(job, here, stop)
        except Interrupted:
            return 0
        except (CheckpointError, EvaluationFailed, data.Unreadable, RequestError, OSError) as error:
            if here.leads:
                print(f"bench: {error}", file=sys.stderr, flush=True)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
