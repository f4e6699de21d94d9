"""The only training loop.

Legend: a step is one optimizer step over the global batch, which consists of local batches
(``bench.spec.batch_layout``); each of W processes takes its share of them in micro-batches of B images. K classes.

A run is a function of its spec: for each local batch every generator is seeded from (seed, epoch, step, place in the
global batch), so a checkpoint's position stands for all random states, and a run that was killed and resumed ends, on
CPU, with the same bits as one that was not.
"""

import contextlib
import io
import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from operator import length_hint
from pathlib import Path
from typing import Any, Protocol

import torch
import torch.distributed as dist
from timm.utils import ModelEmaV3
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from bench.results import fingerprints, predictions
from bench.results.event import Event
from bench.results.files import sha256_of
from bench.results.progress import Phase, Progress, Teller
from bench.results.record import Fingerprint, RunRecord
from bench.results.run_folder import OwnedRun, given_file, now
from bench.spec.batch_layout import Part, lay_out, require_whole_local_batches
from bench.spec.errors import RequestError
from bench.spec.run import Resources, RunSpec
from bench.training import cifar_in_memory, data, identity
from bench.training.batch_statistics import SharedStatistics, batch_statistics
from bench.training.build import (
    automatic_precision,
    build_erasing,
    build_mixup,
    build_network,
    build_scheduler,
    build_teacher,
)
from bench.training.compilation import compiled, require_compiler
from bench.training.data import Unreadable
from bench.training.distributed import World, automatic_workers, crowding, device_name
from bench.training.formulation import (
    LITERAL,
    choose_formulation,
    use_fastest_formulation,
    use_formulation,
)
from bench.training.local_draws import LocalDraws
from bench.training.metrics import Tally
from bench.training.signals import Interrupted, Stop
from bench.training.training_step import TrainingStep
from models.checkpoints import CheckpointError, Fit, load_into, read_checkpoint

SYNC_STEPS_GPU = 10
"""steps between two looks at the loss and at signals on a GPU, where each look waits for the device"""


class Diverged(Exception):
    """The loss is not finite; the message names epoch and step."""


class Watch(Protocol):
    """Receives the events of the loop; called on rank 0."""

    def progress(self, progress: Progress) -> None:
        """Whenever there is news: in each phase, and after each look at the loss."""

    def epoch(self, line: dict[str, float], *, images_per_s: float, epochs: int) -> None:
        """After an epoch and its validation."""

    def note(self, text: str) -> None:
        """One line on something worth knowing."""


@dataclass(slots=True)
class State:
    """All that training changes, and so all that a checkpoint holds."""

    network: nn.Module
    ema: ModelEmaV3 | None
    optimizer: torch.optim.Optimizer
    scheduler: Any
    scaler: torch.amp.GradScaler
    epoch: int = 0
    step: int = 0
    """steps done in ``epoch``"""
    loss_sum: float = 0.0
    """over the steps done in ``epoch``"""
    metrics: list[dict[str, float]] = field(default_factory=list)
    """a line an epoch"""
    predicted: dict[str, Tensor] = field(default_factory=dict)
    """class of each of the N validation images by the kind of weights, (N,); empty before the last epoch"""

    def to_bytes(self) -> memoryview:
        """Everything, as torch.save has it: in memory first, since its writer hides why a disk refused."""
        buffer = io.BytesIO()
        torch.save(
            {
                "network": self.network.state_dict(),
                "ema": self.ema.module.state_dict() if self.ema else None,
                "optimizer": self.optimizer.state_dict(),
                "scheduler": self.scheduler.state_dict(),
                "scaler": self.scaler.state_dict(),
                "epoch": self.epoch,
                "step": self.step,
                "loss_sum": self.loss_sum,
                "metrics": self.metrics,
                "predicted": self.predicted,
            },
            buffer,
        )
        return buffer.getbuffer()

    def load_weights(self, path: str) -> Fit:
        """Begin with a file's weights, another run's final checkpoint say: the averaged ones, where it has them.

        Raises:
            RequestError: it cannot be read, or its weights are another network's.
        """
        try:
            checkpoint = read_checkpoint(path)
            if self.ema:
                load_into(self.ema.module, checkpoint)
            return load_into(self.network, checkpoint)
        except CheckpointError as error:
            raise RequestError(str(error)) from error
        except OSError as error:
            raise RequestError(f"{path}: {error.strerror}; restore the file") from error

    def load(self, path: str, device: torch.device) -> None:
        """Read everything back."""
        saved = torch.load(path, map_location=device, weights_only=True)
        self.network.load_state_dict(saved["network"])
        if self.ema:
            self.ema.module.load_state_dict(saved["ema"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.scheduler.load_state_dict(saved["scheduler"])
        if saved["scaler"] and self.scaler.is_enabled():  # a GPU of another kind may want none, or a fresh one
            self.scaler.load_state_dict(saved["scaler"])
        self.epoch, self.step, self.loss_sum = saved["epoch"], saved["step"], saved["loss_sum"]
        self.metrics = saved["metrics"]
        self.predicted = {kind: classes.cpu() for kind, classes in saved.get("predicted", {}).items()}


class Training:
    """One process's part in one attempt at a run, from its newest intact checkpoint if it has one.

    Many parameters: everything that the loop meets; it is created in one place.

    Args:
        spec: the run to train.
        resources: with what.
        here: this process.
        weights: the checkpoint to start from where the run has none of its own, on rank 0.
        run: the owned folder, on rank 0; None elsewhere.
        record: on rank 0, filled and saved as training goes on; its status is the caller's.
        watch: told of progress, on rank 0.
        stop: asked, while it listens, whether a signal came.

    Raises:
        RequestError: the data are not there or do not fit the run.
        NoSoundCheckpoint: there were checkpoints, and none is sound.
    """

    def __init__(
        self,
        spec: RunSpec,
        resources: Resources,
        here: World,
        weights: Path | None,
        run: OwnedRun | None,
        record: RunRecord | None,
        watch: Watch,
        stop: Stop,
    ) -> None:
        self.spec, self.recipe, self.resources = spec, spec.recipe, resources
        self.here, self.weights, self.run, self.record, self.watch, self.stop = here, weights, run, record, watch, stop
        self.started = self.saved = time.monotonic()
        self.unreadable: dict[str, None] = {}  # ordered, each once
        self.test: dict[str, float] = {}  # of the last epoch, where a recipe holds out images to choose by
        self.tell = Teller(*([run.tell] if run else []), watch.progress)
        self.tell(Phase.READING, epoch=record.epoch if record else 0, epochs=self.recipe.total_epochs)

        self.layout = lay_out(self.recipe, here.rank, here.size, resources.micro_batch)
        if resources.compile:
            if self.layout.splits_local_batches:
                why = f"--compile takes whole local batches, here of {self.layout.local_batch} images"
                require_whole_local_batches(self.layout, why, here.size, resources.micro_batch)
            require_compiler(here.device)
        if here.size > 1 and not here.leads:
            dist.barrier()  # the first process may download
        train_images, val_images = (
            identity.open_split(spec.dataset, split, resources.data, download=resources.download and here.leads)
            for split in ("train", "val")
        )
        if here.size > 1 and here.leads:
            dist.barrier()
        self.known = data.describe(spec, train_images, val_images)
        if spec.teacher and spec.dataset == "imagenet":
            data.require_all_classes(spec.dataset, train_images)
        self.survey = data.survey(spec, train_images, val_images)
        if here.leads:
            for line in (*data.notes(train_images), *data.notes(val_images)):
                watch.note(line)
        if here.leads and "val_split" in self.survey:
            watch.note(f"validated on the split {self.survey['val_split']!r}: there is none for validation")
        if here.leads and self.survey["expected"] and not self.survey["complete"]:
            watch.note(
                f"{spec.dataset} is not complete: {len(train_images):,} training and {len(val_images):,} validation "
                f"images of {self.known.train_images:,} and {self.known.val_images:,}; the record says so"
            )
        self.fingerprint = self._fingerprint(train_images, val_images)
        choosing = val_images
        if self.recipe.held_out:
            train_images, choosing = data.hold_out(train_images, self.recipe.held_out)
            if not len(choosing):
                raise RequestError(
                    f"held_out={self.recipe.held_out} of {len(train_images)} training images is none; choose more "
                    "data, or --set held_out=0"
                )
            watch.note(f"{len(choosing):,} of the training images are held out: each epoch is validated on them")
        if self.recipe.train_fraction < 1:
            train_images = data.take_fraction(train_images, self.recipe.train_fraction)
            watch.note(
                f"{len(train_images):,} training images are trained on: train_fraction={self.recipe.train_fraction}"
            )
        self.survey["trained_images"] = len(train_images)
        self.batches = data.TrainBatches(len(train_images), self.layout, spec.seed, self.recipe.augmentation_repeats)
        if not self.batches.steps:
            raise RequestError(
                f"{len(train_images)} training images are less than one global batch of {self.recipe.global_batch}; "
                "choose more data, or a smaller batch with --set global_batch=N lr=..."
            )
        workers = automatic_workers(here) if resources.workers is None else resources.workers
        if here.leads and (crowded := crowding(workers)):
            watch.note(crowded)
        self.train_loader = self._train_loader(train_images, workers)
        self.eval_loader = self._eval_loader(choosing, workers)
        self.test_loader = self._eval_loader(val_images, workers) if self.recipe.held_out else None
        self.choosing, self.val_images = choosing, val_images

        self.precision = automatic_precision(here.device) if resources.precision == "auto" else resources.precision
        self.tell(Phase.BUILDING)
        data.seed_everything(spec.seed, "weights")
        network = build_network(spec, self.known.num_classes).to(here.device)
        if batch_statistics(network):
            why = (
                f"{spec.network} has batch norm, whose local batches of {self.layout.local_batch} images must be whole"
            )
            require_whole_local_batches(self.layout, why, here.size, resources.micro_batch)
        teacher = self._teacher() if spec.teacher else None
        self.step = TrainingStep(self.recipe, network, here.device, self.precision, teacher)
        self.state = State(
            network=network,
            ema=self.step.ema,
            optimizer=self.step.optimizer,
            scheduler=build_scheduler(self.recipe, self.step.optimizer),
            scaler=self.step.scaler,
        )
        self.mixup = build_mixup(self.recipe, self.known.num_classes)
        self.erasing = build_erasing(self.recipe, here.device)
        self._resume()
        self.model, self.statistics = network, None
        if here.size > 1:
            self.model = DistributedDataParallel(network, broadcast_buffers=False)
            self.statistics = SharedStatistics(network, len(self.layout.parts), here.rank, here.size)
        self.step.forward = compiled(self.model) if resources.compile else self.model

    def _fingerprint(self, train: Any, val: Any) -> Fingerprint | None:
        """The fingerprint of the images that are here; on rank 0, where the record is."""
        if not self.run:
            return None
        place = self.run.folder.parent, self.spec.dataset, self.resources.data
        found = fingerprints.kept(*place)
        if found and found.basis == "files" and (found.train_images, found.val_images) == (len(train), len(val)):
            return found
        found, shared = identity.fingerprint(self.spec.dataset, train, val)
        if shared:
            self.watch.note(shared)
        if found.basis != "generated":
            fingerprints.keep(*place, found, identity.folders(train, val))
        return found

    def _train_loader(self, images: Any, workers: int) -> Iterable[data.Batch]:
        spec, recipe, device = self.spec, self.recipe, self.here.device
        if spec.dataset in cifar_in_memory.DATASETS:
            pixels = cifar_in_memory.obstacle(recipe) or cifar_in_memory.read(images, device)
            if not isinstance(pixels, str):
                return cifar_in_memory.train_loader(pixels, self.batches, recipe, spec.img_size, self.known)
            self._note_one_by_one("training", pixels)
        transform = data.train_transform(recipe, spec.img_size, self.known)
        samples = data.Samples(images, transform, spec.seed, training=True)
        return data.TrainLoader(samples, self.batches, workers, device)

    def _eval_loader(self, images: Any, workers: int) -> Iterable[data.Batch]:
        spec, recipe, here, batch = self.spec, self.recipe, self.here, self.resources.micro_batch
        if spec.dataset in cifar_in_memory.DATASETS:
            pixels = cifar_in_memory.read(images, here.device)
            if not isinstance(pixels, str):
                batches = data.eval_batches(len(images), batch, here.rank, here.size)
                return cifar_in_memory.eval_loader(pixels, batches, recipe, spec.img_size, self.known)
            self._note_one_by_one("validation", pixels)
        transform = data.eval_transform(recipe, spec.img_size, self.known)
        samples = data.Samples(images, transform, spec.seed, training=False)
        return data.eval_loader(samples, batch, workers, here)

    def _note_one_by_one(self, what: str, why: str) -> None:
        if self.here.leads:
            self.watch.note(f"{what} images are loaded one by one, not from memory: {why}")

    def train(self) -> None:
        """All epochs that are left.

        Raises:
            Diverged: the loss is not finite.
            Interrupted: a signal came; all is saved.
            Unreadable: too many images failed to load.
            OSError: a write failed; the checkpoints that were there stay.
        """
        try:
            self._train()
        finally:
            if self.record:  # whatever the ending, the caller saves it
                self.record.unreadable = list(dict.fromkeys([*self.record.unreadable, *self.unreadable]))
                self.record.wall_time_s = self._wall_time()

    def _train(self) -> None:
        state, epochs = self.state, self.recipe.total_epochs
        while state.epoch < epochs:
            images_per_s = self._train_epoch()
            line: dict[str, float] = {"epoch": state.epoch, "lr": self.lr, "train_loss": state.loss_sum / state.step}
            validation, predicted = self._validate(self.eval_loader, self.choosing)
            line |= validation
            for name in ("raw_val_loss", "ema_val_loss"):
                if not math.isfinite(line.get(name, 0.0)):
                    raise Diverged(f"{name} is {line[name]} after epoch {state.epoch}, step {state.step}")
            state.metrics.append(line)
            state.epoch, state.step, state.loss_sum = state.epoch + 1, 0, 0.0
            if state.epoch == epochs and self.test_loader is None:
                state.predicted = predicted
            self._save()
            self._remember(images_per_s)
            if self.here.leads:
                self.watch.epoch(line, images_per_s=images_per_s, epochs=epochs)
            self._heed_signal()
        if self.test_loader is not None:
            self.test, state.predicted = self._validate(self.test_loader, self.val_images)
        self._keep_predictions()
        self._remember(None)

    def _validate(self, loader: Iterable[data.Batch], images: Any) -> tuple[dict[str, float], dict[str, Tensor]]:
        """Evaluate the raw weights and, where there are any, the averaged ones.

        Returns:
            Loss and accuracies; and the class of each of the N images by the kind of weights, (N,).
        """
        networks = {"raw": self.state.network} | ({"ema": self.state.ema.module} if self.state.ema else {})
        line: dict[str, float] = {}
        predicted: dict[str, Tensor] = {}
        for kind, network in networks.items():
            found, predicted[kind] = self._evaluate(network, loader, len(images))
            line |= {f"{kind}_{name}": value for name, value in found.items()}
        return line, predicted

    def _keep_predictions(self) -> None:
        if self.run and self.record and self.fingerprint and self.state.predicted:
            digest = self.fingerprint.val_sha256
            predictions.save_images(self.run.folder.parent, digest, *identity.listing(self.val_images))
            classes = {kind: predicted.numpy() for kind, predicted in self.state.predicted.items()}
            self.run.save_predictions(self.record, predictions.packed(digest, classes))

    @property
    def lr(self) -> float:
        """Learning rate of the epoch, before any scale of a parameter group."""
        return max(group["lr"] for group in self.state.optimizer.param_groups)

    def _train_epoch(self) -> float:
        """The steps of the epoch that are left; returns images a second over all processes."""
        state, device = self.state, self.here.device
        state.scheduler.step(state.epoch)
        self.batches.epoch, self.batches.start_step = state.epoch, state.step
        self.model.train()
        first, began = state.step, time.monotonic()
        self.tell(Phase.TRAINING, epoch=state.epoch, step=first, steps=self.batches.steps)
        losses: list[Tensor] = []  # of the steps since the last look, on the device
        loader = iter(self.train_loader)
        for step in range(state.step, self.batches.steps):
            if self.statistics:
                self.statistics.begin_step()
            loss = torch.zeros((), device=device)
            for part in self.layout.parts:
                images, targets = self._next(loader, part, step)
                for at in range(part.rows.start, part.rows.stop, self.layout.micro_batch):
                    rows = range(at, at + self.layout.micro_batch)
                    mine = slice(rows.start - part.loaded.start, rows.stop - part.loaded.start)
                    last = rows.stop == part.rows.stop and part is self.layout.parts[-1]
                    with contextlib.nullcontext() if last else self._no_sync():
                        with self._draws(part, rows, step):
                            share = self.step.loss(images[mine], targets[mine]) / self.layout.micro_batches
                        self.step.backward(share)
                    loss += share.detach()
            if self.statistics:
                self.statistics.end_step()
            self.step.update()
            losses.append(loss)
            at_end = step + 1 == self.batches.steps
            if device.type == "cpu" or at_end or len(losses) == SYNC_STEPS_GPU:
                self._look(losses, step)
                losses.clear()
                images_per_s = (step + 1 - first) * self.recipe.global_batch / max(time.monotonic() - began, 1e-9)
                self.tell(Phase.TRAINING, step=state.step, loss=state.loss_sum / state.step, images_per_s=images_per_s)
        return (self.batches.steps - first) * self.recipe.global_batch / max(time.monotonic() - began, 1e-9)

    def _next(self, loader: Iterator[data.Batch], part: Part, step: int) -> tuple[Tensor, Tensor]:
        """A local batch as far as it is loaded, mixed and erased, with its targets; generators are seeded for it."""
        batch = next(loader)
        self._count_unreadable(batch.unreadable)
        if len(batch.labels) < len(part.loaded):
            raise Unreadable(f"{data.TRIES} images in a row could not be read; the last: {batch.unreadable[-1]}")
        images = batch.images.to(self.here.device, non_blocking=True)
        targets = batch.labels.to(self.here.device, non_blocking=True)
        place = self.spec.seed, self.state.epoch, step, part.place
        data.seed_everything(*place)
        if self.mixup:
            images, targets = self.mixup(images, targets)
        if self.erasing:
            for row, image in zip(part.loaded, images, strict=True):
                data.seed_everything(*place, "erasing", row)  # whichever process has the image
                self.erasing(image)
            data.seed_everything(*place)
        return images, targets

    def _draws(self, part: Part, rows: range, step: int) -> contextlib.AbstractContextManager[object]:
        """Random numbers of the forward pass for a micro-batch: those that the whole local batch would get."""
        if not self.layout.splits_local_batches:
            return contextlib.nullcontext()
        data.seed_everything(self.spec.seed, self.state.epoch, step, part.place)
        return LocalDraws(rows, self.layout.local_batch)

    def _teacher(self) -> nn.Module:
        """The trained network that this one learns from."""
        teacher, files = self.spec.teacher, self.resources.files
        assert teacher
        if teacher.weights:
            path = given_file(teacher.weights, files, "--teacher")
        elif teacher.model in files:
            path = Path(files[teacher.model])
        else:
            raise RequestError(f"timm's weights {teacher.model} of the teacher were not found when the run was begun")
        known = self.known
        network = build_teacher(teacher, path, known.num_classes, self.spec.img_size, (known.mean, known.std))
        if self.record:
            digest = teacher.weights.sha256 if teacher.weights else sha256_of(path)
            note = f"{teacher.model}: {path.name}, sha256 {digest}"
            before = next((event.note for event in self.record.events if event.what == "teacher"), None)
            if before is not None and before != note:
                raise RequestError(f"{self.record.run_id} has learned from {before}, and this is {note}; restore it")
            if before is None:
                self.watch.note(f"learns from {note}")
                self.record.add(Event(what="teacher", when=now(), note=note))
        use_fastest_formulation(network, self.here.device.type, self.precision)
        return network.to(self.here.device)

    def _no_sync(self) -> contextlib.AbstractContextManager[None]:
        return self.model.no_sync() if isinstance(self.model, DistributedDataParallel) else contextlib.nullcontext()

    def _look(self, losses: list[Tensor], step: int) -> None:
        """Account for the steps since the last look; stop or save if there is reason to."""
        state = self.state
        values = torch.stack(losses).double()
        due = time.monotonic() - self.saved > self.resources.save_every_s
        signs = torch.tensor([self.stop.signal, due], dtype=torch.double, device=values.device)
        unreadable = torch.tensor(len(self.unreadable), device=values.device)
        if self.here.size > 1:
            # All must agree on the step at which they stop or save.
            dist.all_reduce(values)
            values /= self.here.size
            dist.all_reduce(signs, op=dist.ReduceOp.MAX)
            dist.all_reduce(unreadable)
        self._limit_unreadable(int(unreadable.item()))
        finite = values.isfinite()
        if not finite.all():
            at = step + 1 - len(losses) + int((~finite).nonzero()[0])
            raise Diverged(f"loss is {values[~finite][0].item()} in epoch {state.epoch}, step {at}")
        for value in values.tolist():
            state.loss_sum += value
        state.step = step + 1
        number, due = int(signs[0].item()), bool(signs[1].item())
        # The last step of an epoch is followed by validation and a save of its own.
        if number or (due and state.step < self.batches.steps):
            self._save()
        self._stop_for(number)

    def _heed_signal(self) -> None:
        """Between epochs, where everything is saved already."""
        number = torch.tensor(self.stop.signal, device=self.here.device)
        if self.here.size > 1:
            dist.all_reduce(number, op=dist.ReduceOp.MAX)
        if self.state.epoch < self.recipe.total_epochs:
            self._stop_for(int(number.item()))

    def _stop_for(self, number: int) -> None:
        if number:
            raise Interrupted(number, f"epoch {self.state.epoch}, step {self.state.step}")

    @torch.no_grad()
    def _evaluate(
        self, network: nn.Module, loader: Iterable[data.Batch], count: int
    ) -> tuple[dict[str, float], Tensor]:
        """Loss, accuracies and predicted classes of every one of ``count`` images, on any number of processes."""
        network.eval()
        tally = Tally(count, self.here)
        steps = length_hint(loader) or None
        for step, batch in enumerate(loader):
            self.tell(Phase.VALIDATING, step=step, steps=steps)
            if self.stop.signal and self.here.size == 1:  # several processes stop together, after the epoch
                self._save()
                self._stop_for(self.stop.signal)
            self._count_unreadable(batch.unreadable)
            tally.add(network, batch, self.precision)
        totals = tally.totals(len(self.unreadable))
        self._limit_unreadable(totals.unreadable)
        if not totals.images:
            raise Unreadable("no validation image could be read")
        line = {
            "val_images": float(totals.images),
            "val_loss": totals.loss / totals.images,
            "top1_pct": 100 * totals.top1_hits / totals.images,
            "top5_pct": 100 * totals.top5_hits / totals.images,
        }
        return line, totals.predicted

    def _count_unreadable(self, lines: list[str]) -> None:
        for line in lines:
            if line not in self.unreadable:
                self.unreadable[line] = None
                self.watch.note(f"unreadable, skipped: {line}")

    def _limit_unreadable(self, count: int) -> None:
        """``count`` is over all processes, so that all stop together."""
        if count > self.resources.max_unreadable:
            last = next(reversed(self.unreadable), "in another process")
            raise Unreadable(
                f"{count} images failed to load, and a run may skip {self.resources.max_unreadable}; the last: {last}"
            )

    def _resume(self) -> None:
        if self.run:
            assert self.record
            found = dict(self.survey)
            fingerprints.require_same(self.record, self.fingerprint)
            if any(found.get(name) != value for name, value in self.record.data.items()):
                raise RequestError(
                    f"{self.record.run_id} was begun on {self.record.data['train_images']} training images, and "
                    f"{self.resources.data!r} holds {found['train_images']}; give it the same data, or another --runs"
                )
            held_out_others = bool(self.recipe.held_out and self.record.data and not self.record.fingerprint)
            self.record.data, self.record.fingerprint = found, self.fingerprint
            self.record.epochs = self.recipe.total_epochs
            self.unreadable = dict.fromkeys(self.record.unreadable)
            self.wall_time_before = self.record.wall_time_s
        paths: list[str | None] = [None, None]  # of this run's newest checkpoint; of the one that it starts from
        if self.run:
            assert self.record
            path, problems = self.run.newest_sound_checkpoint()
            for problem in problems:
                self.watch.note(f"not used: {problem}")
                self.record.add(Event(what="unsound checkpoint", when=now(), note=problem))
            if path and held_out_others and self.spec.dataset in data.CIFAR_CLASSES:
                raise RequestError(
                    f"{self.record.run_id} was begun when CIFAR's images had another order, and would be validated on "
                    "images that it was trained on; remove its folder to train it anew"
                )
            if path:
                paths[0] = str(path)
                self._require_precision(self.record)
            elif self.weights:
                paths[1] = str(self.weights)
                whose = self.spec.start_from.run_id if self.spec.start_from else self.weights.name
                self.watch.note(f"starts from the weights of {whose}")
                self.record.add(Event(what="starts from", when=now(), note=self._origin(self.weights)))
        if self.here.size > 1:
            dist.broadcast_object_list(paths, src=0)
        if paths[0]:
            self.state.load(paths[0], self.here.device)
            if self.here.leads:
                self.watch.note(f"resumes at epoch {self.state.epoch}, step {self.state.step}")
        elif paths[1]:
            fit = self.state.load_weights(paths[1])
            classes = f"a new head for {self.known.num_classes} classes: {', '.join(fit.left_out)}"
            grid = f", from those of {' x '.join(map(str, fit.grid))} tokens" if fit.grid else ""
            positions = f"positions for {self.spec.img_size} px: {', '.join(fit.resized)}{grid}"
            kept = f"the head for {self.known.num_classes} classes is the file's: it is for as many"
            events = (
                ("new head", classes, fit.left_out),
                ("kept head", kept, not fit.left_out),
                ("resized", positions, fit.resized),
            )
            for what, note, there in events:
                if there and self.record:
                    self.watch.note(note)
                    self.record.add(Event(what=what, when=now(), note=note))
        self._use_formulation(resumes=paths[0] is not None)
        if self.run and self.record:
            if paths[0]:
                self._tell_compilation(self.record)
            self.record.device = device_name(self.here.device)
            self.record.precision, self.record.world_size = self.precision, self.here.size
            self._describe_attempt(self.record)
            # A checkpoint may be of another epoch than the record: what the record has no speed of stays unknown.
            known = self.record.epoch_images_per_s[: self.state.epoch]
            self.record.epoch_images_per_s = [*known, *[None] * (self.state.epoch - len(known))]
            self.run.save_metrics(self.record, self.state.metrics)

    def _require_precision(self, record: RunRecord) -> None:
        """Go on at the precision of the last attempt, or at another that was asked for by name.

        Raises:
            RequestError: the last attempt was at another than this machine's automatic choice.
        """
        if record.precision in ("", self.precision):
            return
        if self.resources.precision == "auto":
            raise RequestError(
                f"{record.run_id} was trained in {record.precision} so far, and this machine's automatic choice is "
                f"{self.precision}; choose --precision {record.precision} to go on so, or --precision {self.precision} "
                "to change it"
            )
        note = f"from {record.precision} to {self.precision}, as asked for"
        self.watch.note(f"changes precision {note}")
        record.add(Event(what="precision", when=now(), note=note))

    def _use_formulation(self, *, resumes: bool) -> None:
        """Compute the networks in the fastest formulation, or in the one that a run has been trained in."""
        chosen = [choose_formulation(self.state.network, self.here.device.type, self.precision)]
        if self.record and resumes:
            chosen = [self.record.formulation or LITERAL]
        if self.here.size > 1:
            dist.broadcast_object_list(chosen, src=0)
        for network in (self.state.network, *([self.state.ema.module] if self.state.ema else [])):
            use_formulation(network, chosen[0])
        if self.record:
            self.record.formulation = chosen[0]

    def _describe_attempt(self, record: RunRecord) -> None:
        """Note in the event that began this attempt where it goes on, and how it trains."""
        began = next(values for values in reversed(record.history) if values["what"] == "running")
        began |= {"epoch": self.state.epoch, "step": self.state.step, "steps": self.batches.steps}
        began |= {name: getattr(record, name) for name in ("device", "precision", "formulation", "world_size")}
        began["compile"] = self.resources.compile

    def _tell_compilation(self, record: RunRecord) -> None:
        """Say so if the last attempt was compiled and this one is not, or the other way round."""
        before = next((event.compile for event in reversed(record.events) if event.compile is not None), False)
        if before != self.resources.compile:
            note = "goes on with --compile" if self.resources.compile else "goes on without --compile"
            self.watch.note(note)
            record.add(Event(what="compile", when=now(), note=note))

    def _origin(self, weights: Path) -> str:
        """The origin of the weights, for a record that others may read, without this machine's paths."""
        return weights.relative_to(weights.parents[2]).as_posix() if self.spec.start_from else weights.name

    def _save(self) -> None:
        self.tell(Phase.SAVING, epoch=self.state.epoch, step=self.state.step, steps=self.batches.steps)
        if self.run:
            self.run.save_checkpoint(self.state.epoch, self.state.step, self.state.to_bytes())
        self.saved = time.monotonic()

    def _wall_time(self) -> float:
        return round(self.wall_time_before + time.monotonic() - self.started, 1)

    def _remember(self, images_per_s: float | None) -> None:
        unreadable = [list(self.unreadable)]
        if self.here.size > 1:
            unreadable = [[] for _ in range(self.here.size)]
            dist.all_gather_object(unreadable, list(self.unreadable))
        if not (self.run and self.record):
            return
        record = self.record
        if images_per_s is not None:
            record.epoch_images_per_s.append(images_per_s or None)  # 0 where only its validation was left
        record.images_per_s = images_per_s or record.images_per_s
        record.wall_time_s = self._wall_time()
        record.unreadable = list(dict.fromkeys(line for lines in unreadable for line in lines))
        record.results = summarize(self.state.metrics, self.test if self.recipe.held_out else None)
        self.run.save_metrics(record, self.state.metrics)


def summarize(metrics: list[dict[str, float]], test: dict[str, float] | None = None) -> dict[str, float]:
    """Accuracies of the last and of the best epoch, of raw and of averaged weights.

    The paper's protocol is the best epoch of the averaged weights, chosen on the validation set
    (``ema_best_top1_pct``); the honest one is the last epoch.

    Args:
        metrics: a line an epoch.
        test: of a recipe that holds images out, and whose epochs saw these alone: what the last epoch reached on the
            data set's own validation images, empty until then. Epochs count as ``held_out_...``, and no best one is
            known of the latter.
    """
    if test is not None:
        tops = ("top1_pct", "top5_pct")
        last = {f"{k}_last_{t}": test[f"{k}_{t}"] for k in ("raw", "ema") for t in tops if f"{k}_{t}" in test}
        return {f"held_out_{name}": value for name, value in summarize(metrics).items()} | last
    results: dict[str, float] = {}
    for kind in ("raw", "ema"):
        lines = [line for line in metrics if f"{kind}_top1_pct" in line]
        if not lines:
            continue
        best = max(lines, key=lambda line: line[f"{kind}_top1_pct"])
        results[f"{kind}_best_epoch"] = best["epoch"]
        for name, line in (("last", lines[-1]), ("best", best)):
            for top in ("top1_pct", "top5_pct"):
                results[f"{kind}_{name}_{top}"] = line[f"{kind}_{top}"]
    return results
