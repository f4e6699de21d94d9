"""Estimate the GPU hours of runs from throughput that was measured or stated."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bench.results.measurement import Complexity
from bench.results.record import RunRecord
from bench.results.step_speeds import NetworkSpeed
from bench.spec.contents import DATASETS
from bench.spec.gpus import PEAK_TFLOPS
from bench.spec.run import Network, RunSpec

STATED_MACS_PER_S = 13.3e12
"""multiply-adds a second in training (three times the forward pass), on one V100: DeiT-B, of 17.58 G MACs, takes 53
hours on 8 GPUs for 300 epochs of 1,281,167 images (Touvron et al. 2021, arXiv 2012.12877, section 5.6)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """The estimated cost of the rest of a run."""

    gpu_hours: float
    basis: str
    """where the throughput comes from"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """The throughput of a network in training, on a GPU."""

    images_per_s: float
    """of one GPU"""
    basis: str
    """where it comes from"""


Speeds = Mapping[str, Speed]
"""by ``what`` was trained"""

STEPS_ALONE = "training steps alone"
"""how the basis of an estimate ends whose throughput was measured without loading images"""


def speeds(records: Iterable[RunRecord], steps: Sequence[NetworkSpeed] = ()) -> Speeds:
    """Throughput on GPUs: of several runs alike the first's; where there is none, that of training steps alone.

    Of several measurements of a network's training step, the fastest counts, out of those that train as runs do: in
    half precision and without torch.compile.
    """
    found: dict[str, Speed] = {}
    for record in records:
        if record.images_per_s and record.device not in ("", "cpu"):
            per_gpu = record.images_per_s / max(1, record.world_size)
            speed = Speed(images_per_s=per_gpu, basis=f"measured on {record.device}")
            found.setdefault(what(record.spec), speed)
    return _of_steps(steps) | found


def _of_steps(steps: Iterable[NetworkSpeed]) -> dict[str, Speed]:
    found: dict[str, Speed] = {}
    for step in steps:
        one, case = step.measured, step.measured.case
        if (case.device, case.mode, case.compile) != ("cuda", "train", False) or case.precision == "float32":
            continue
        network = what({"model": case.model, "model_args": case.model_args, "img_size": case.img_size})
        basis = f"measured on {step.setting.gpu}, {STEPS_ALONE}"
        speed = Speed(images_per_s=one.images_per_s(one.ours), basis=basis)
        if network not in found or speed.images_per_s > found[network].images_per_s:
            found[network] = speed
    return found


def what(identity: Mapping[str, object]) -> str:
    """The same for runs whose throughput compares: of the same network, at the same resolution, with the same teacher.

    A teacher costs as well: the speed of a run without it says nothing of one with it.
    """
    return json.dumps([identity.get(name) for name in ("model", "model_args", "img_size", "teacher")], sort_keys=True)


def estimates(
    specs: Iterable[RunSpec],
    measured: Mapping[Network, Complexity],
    newest_first: Sequence[RunRecord],
    gpu: str = "v100",
    steps: Sequence[NetworkSpeed] = (),
) -> dict[str, Estimate | None]:
    """Estimate the rest of each run, by its id.

    Args:
        specs: the runs.
        measured: networks.
        newest_first: all records that there are: how far a run is, and how fast others were.
        gpu: one of ``PEAK_TFLOPS``, for networks of which no speed was measured.
        steps: speeds of training steps, for networks of which no run says how fast it was.
    """
    epochs = {record.run_id: record.epoch for record in newest_first}
    known = speeds(newest_first, steps)
    return {spec.run_id: estimate(spec, epochs.get(spec.run_id, 0), measured, known, gpu) for spec in specs}


def estimate(
    spec: RunSpec, epochs_done: int, measured: Mapping[Network, Complexity], known: Speeds, gpu: str = "v100"
) -> Estimate | None:
    """GPU hours for the epochs that are left; None where neither throughput nor data set is known.

    Args:
        spec: the run.
        epochs_done: of it.
        measured: networks, of which its own and its teacher's count.
        known: how fast others were.
        gpu: one of ``PEAK_TFLOPS``, for a network of which no speed was measured.
    """
    contents = DATASETS.get(spec.dataset)
    if contents is None:
        return None
    recipe = spec.recipe
    an_epoch = contents.train_images * (1 - recipe.held_out) * recipe.train_fraction
    images = max(0, recipe.total_epochs - epochs_done) * an_epoch
    if found := known.get(what(spec.identity())):
        return Estimate(gpu_hours=images / found.images_per_s / 3600, basis=found.basis)
    student, teacher = measured.get(spec.network), spec.teacher_network
    if student is None:
        return None
    basis = "scaled by MACs from DeiT-B's stated speed on a V100"
    if gpu != "v100":
        basis += f", and by peak speed on {gpu.upper()}"
    macs = 3 * student.macs
    macs_per_s = STATED_MACS_PER_S * PEAK_TFLOPS[gpu] / PEAK_TFLOPS["v100"]
    if teacher and teacher in measured:
        macs += measured[teacher].macs  # it decides in one forward pass
    elif teacher:
        basis += ", its teacher not counted"
    return Estimate(gpu_hours=images * macs / macs_per_s / 3600, basis=basis)


def time_limit(hours: float | None, most_minutes: float) -> int:
    """Minutes to ask Slurm for: half as long again as the run should take, in steps that schedulers fill gaps with.

    A run that needs longer saves itself ahead of the limit and goes back into the queue, so a day is enough to ask for
    a run of unknown length, and three days are for any.
    """
    wanted = 24 * 60 if hours is None else hours * 1.5 * 60
    steps = [60, 120, 240, 480, 720, 1440, 2880, 4320]
    return int(min(next((step for step in steps if step >= wanted), steps[-1]), most_minutes))
