"""Estimate the cost of a study on this machine or on GPUs: images, and hours at measured speeds."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bench.experiments.speeds import CPU, IMAGES_PER_S, PX
from bench.experiments.study import Arm, Study, families
from bench.measure import cost
from bench.results.measurement import Complexity
from bench.results.run_folder import RunRecords
from bench.results.step_speeds import NetworkSpeed
from bench.spec.contents import DATASETS
from bench.spec.run import Network, RunSpec

EVALUATED = 1 / 3
"""of a training step, what an image costs that is only evaluated"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """The cost of some runs, or what remains of it."""

    runs: int
    """all of them"""
    completed: int
    images: float
    """to be trained on, over all epochs"""
    hours: float | None
    """of this machine's CPU, of one thread or of one GPU; None where a speed is not known"""
    bases: tuple[str, ...]
    """where the speeds come from"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """Images and hours of runs."""

    study: Study
    records: RunRecords
    """on this machine"""
    measured: Mapping[Network, Complexity]
    """networks, to price by where no run on a GPU says how fast it was"""
    threads: int | None
    """that a run has on this machine's CPU; None to price in GPU hours"""
    gpu: str = "v100"
    """one of ``PEAK_TFLOPS``, for networks of which no speed on a GPU was measured"""
    steps: Sequence[NetworkSpeed] = ()
    """speeds of training steps"""

    def left(self, specs: Iterable[RunSpec]) -> Cost:
        """The remaining cost of some runs."""
        found = [self._left(spec) for spec in specs]
        hours = [hours for _, hours, _ in found]
        known = [one for one in hours if one is not None]
        return Cost(
            runs=len(found),
            completed=sum(not images for images, _, _ in found),
            images=sum(images for images, _, _ in found),
            hours=sum(known) if len(known) == len(found) else None,
            bases=tuple(dict.fromkeys(basis for images, _, basis in found if basis and images)),
        )

    def _left(self, spec: RunSpec) -> tuple[float, float | None, str]:
        record = self.records.get(spec.run_id)
        epochs = spec.recipe.total_epochs
        part = 0.0 if record and record.status == "completed" else 1 - (record.epoch if record else 0) / epochs
        trained, _ = images(spec)
        if self.threads is None:
            gpu = cost.estimates([spec], self.measured, self.records.all(), self.gpu, self.steps)[spec.run_id]
            return part * trained, gpu.gpu_hours if gpu else None, gpu.basis if gpu else ""
        speed, basis = self._images_per_s(spec)
        hours = part * _hours(spec, speed) if speed else None
        return part * trained, hours if part else 0.0, basis

    def _images_per_s(self, spec: RunSpec) -> tuple[float | None, str]:
        """The speed on this machine's CPU, and its source."""
        assert self.threads
        what = cost.what(spec.identity())
        for record in self.records.all():
            measured = record.device == "cpu" and record.images_per_s
            if measured and cost.what(record.spec) == what:
                return record.images_per_s, "speeds of earlier runs here"
        speed = a_thread(self.study, spec)
        if speed is None:
            return None, ""
        basis = f"speeds measured on {CPU}, {self.threads} thread{'s' * (self.threads > 1)} here"
        return speed * self.threads, basis


def a_thread(study: Study, spec: RunSpec) -> float | None:
    """Images per second that a thread of ``CPU`` trains; None for a network whose speed was not measured there.

    The speed at another resolution than ``PX`` is estimated from the number of pixels.
    """
    alike = [arm.key for arm in study.arms if (arm.model, arm.model_args) == (spec.model, spec.model_args)]
    key = next((key for key in alike if key in IMAGES_PER_S), None)
    return None if key is None else IMAGES_PER_S[key] * (PX / spec.img_size) ** 2


def _hours(spec: RunSpec, images_per_s: float) -> float:
    """The hours of a whole run, with what it evaluates."""
    trained, evaluated = images(spec)
    return (trained + EVALUATED * evaluated) / images_per_s / 3600


def whole_cost(study: Study, arms: Sequence[Arm]) -> Cost:
    """The cost of a study in hours of one thread of ``CPU``, from nothing to the last seed.

    What an extended grid would add is not in it.

    Args:
        study: at a scale.
        arms: of it, with those that others start from.
    """
    grids, points = families(study, arms), study.grid.points() if study.grid else []
    specs = [study.grid_run(family, point) for family in grids for point in points]
    any_point = dict.fromkeys(grids, points[0]) if points else {}  # which one is chosen changes no cost
    specs += [study.final_run(arm, any_point, seed) for seed in study.seeds for arm in arms]
    hours = [_hours(spec, speed) for spec in specs if (speed := a_thread(study, spec))]
    return Cost(
        runs=len(specs),
        completed=0,
        images=sum(images(spec)[0] for spec in specs),
        hours=sum(hours) if len(hours) == len(specs) else None,
        bases=(f"speeds measured on {CPU}",),
    )


def images(spec: RunSpec) -> tuple[float, float]:
    """Images that a run trains on, and those that it only evaluates, over all epochs."""
    contents, recipe = DATASETS[spec.dataset], spec.recipe
    trained = contents.train_images * (1 - recipe.held_out) * recipe.train_fraction * recipe.total_epochs
    held_out = recipe.held_out * contents.train_images * recipe.total_epochs
    return trained, held_out + contents.val_images * (1 if recipe.held_out else recipe.total_epochs)
