"""The next stages of a study and their cost, from the study and the folder of runs alone."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.experiments.grid import Point
from bench.experiments.study import Arm, Study, chosen, families, tried
from bench.measure.collect import known_measurements, measure_missing, tell_problems
from bench.measure.study_cost import Cost, Prices
from bench.results.measurement import Complexity
from bench.results.run_folder import RunRecords
from bench.results.step_speeds import NetworkSpeed
from bench.results.store import load_speeds
from bench.spec.run import Network, RunSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Runs that need nothing of each other."""

    name: str
    specs: tuple[RunSpec, ...]


def grids(study: Study, arms: Sequence[Arm], records: RunRecords) -> dict[str, dict[Point, float | None]]:
    """The points tried so far of each grid that the arms need, by family."""
    return {family: tried(study, family, records.get) for family in families(study, arms)}


def next_stage(study: Study, arms: Sequence[Arm], seeds: Sequence[int], records: RunRecords) -> Stage:
    """The grid as far as it is not settled; once it is, all final runs, those of a seed before those of the next.

    Raises:
        ValueError: every point of a grid diverged.
    """
    if study.grid:
        results = grids(study, arms, records)
        missing = [
            study.grid_run(family, point) for family, found in results.items() for point in study.grid.missing(found)
        ]
        if missing:
            return Stage(name="grid", specs=tuple(missing))
        points = chosen(study, results)
    else:
        points = {}
    return Stage(name="final", specs=tuple(study.final_run(arm, points, seed) for seed in seeds for arm in arms))


def stages(study: Study, arms: Sequence[Arm], seeds: Sequence[int], records: RunRecords) -> list[Stage]:
    """All of a study as far as it can be foreseen: the grids, and each seed's runs.

    What a grid has yet to choose is taken to be its middle: it changes no cost.
    """
    found: list[Stage] = []
    points: Mapping[str, Point] = {}
    if study.grid:
        results = grids(study, arms, records)
        for family, tried_ in results.items():
            listed = [*tried_, *study.grid.missing(tried_)]
            specs = tuple(study.grid_run(family, point) for point in listed)
            found.append(Stage(name=f"grid, {family}", specs=specs))
        middle = study.grid.points()[len(study.grid.points()) // 2]
        points = dict.fromkeys(results, middle) | chosen(study, results)
    return [
        *found,
        *(
            Stage(name=f"seed {seed}", specs=tuple(study.final_run(arm, points, seed) for arm in arms))
            for seed in seeds
        ),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The runs that a study would train, and their cost."""

    study: Study
    arms: tuple[Arm, ...]
    seeds: tuple[int, ...]
    stages: tuple[tuple[Stage, Cost], ...]
    total: Cost
    further: tuple[tuple[str, Cost], ...]
    """claims whose arms are not all in this plan, and what they would add"""
    unit: str

    def plain(self) -> dict[str, object]:
        """The plan as JSON values."""
        return {
            "scale": self.study.scale,
            "dataset": self.study.dataset,
            "img_size": self.study.img_size,
            "arms": [arm.key for arm in self.arms],
            "seeds": list(self.seeds),
            "stages": [
                {"stage": stage.name, "runs": [spec.run_id for spec in stage.specs], **_plain(cost)}
                for stage, cost in self.stages
            ],
            "total": _plain(self.total),
            "unit": self.unit,
        }

    def text(self) -> str:
        """The plan as text."""
        from tabulate import tabulate

        study, recipe = self.study, self.study.recipe
        rows = [(stage.name, *_cells(cost)) for stage, cost in self.stages]
        heads = ("stage", "runs", "completed", "images left", "hours left")
        align = ("left", "right", "right", "right", "right")
        table = tabulate(
            [*rows, ("all", *_cells(self.total))], heads, tablefmt="plain", colalign=align, disable_numparse=True
        )
        bases = "; ".join(self.total.bases) or "speeds are not known"
        lines = [
            f"Study at the {study.scale} scale: {study.title}, {recipe.epochs} epochs, batch {recipe.global_batch}",
            f"arms: {'; '.join(arm.name for arm in self.arms)}",
            f"seeds: {' '.join(map(str, self.seeds))}",
            "",
            table,
            "",
            f"hours are {self.unit} (estimated: {bases})",
        ]
        if study.grid:
            lines.append("a grid whose best learning rate lies at an edge gets two more runs")
            lines.append(
                "final runs follow the grid: --run local starts them by itself; after --run slurm, repeat the command"
            )
        if self.further:
            more = ", ".join(
                f"--claims {key} ({_cells(cost)[0]} runs, {_cells(cost)[3]} h)" for key, cost in self.further
            )
            lines.append(f"not in this plan: {more}")
        return "\n".join(lines)


def _cells(cost: Cost) -> tuple[str, ...]:
    hours = "-" if cost.hours is None else f"{cost.hours:,.1f}"
    return str(cost.runs), str(cost.completed), f"{cost.images:,.0f}", hours


def _plain(cost: Cost) -> dict[str, object]:
    return {
        "count": cost.runs,
        "completed": cost.completed,
        "images_left": round(cost.images),
        "hours_left": cost.hours,
        "estimated_from": list(cost.bases),
    }


def make_plan(study: Study, arms: Sequence[Arm], seeds: Sequence[int], runs: Path, *, gpu: str | None) -> Plan:
    """Plan a study; measures networks that GPU hours are estimated from, where nobody has.

    Args:
        study: at a scale.
        arms: of it.
        seeds: of the final runs.
        runs: the folder of all runs.
        gpu: price in hours of this GPU, one of ``PEAK_TFLOPS``; None for hours of this machine's CPU.
    """
    records = RunRecords(runs)
    measured: Mapping[Network, Complexity] = {}
    steps: Sequence[NetworkSpeed] = ()
    if gpu:
        wanted = list(dict.fromkeys(study.network(arm) for arm in arms))
        tell_problems(measure_missing(wanted, runs))
        measured = known_measurements(wanted, runs)[0]
        steps, problems = load_speeds(runs)
        tell_problems(problems)
    threads = None if gpu else int(os.environ.get("OMP_NUM_THREADS", len(os.sched_getaffinity(0))))
    prices = Prices(study=study, records=records, measured=measured, threads=threads, gpu=gpu or "v100", steps=steps)
    found = stages(study, arms, seeds, records)
    planned = {spec.run_id for stage in found for spec in stage.specs}
    further = []
    for question in study.questions:
        of_question = [
            spec for stage in stages(study, study.arms_of([question]), seeds, records) for spec in stage.specs
        ]
        if beyond := [spec for spec in of_question if spec.run_id not in planned]:
            further.append((question.key, prices.left(beyond)))
    return Plan(
        study=study,
        arms=tuple(arms),
        seeds=tuple(seeds),
        stages=tuple((stage, prices.left(stage.specs)) for stage in found),
        total=prices.left(spec for stage in found for spec in stage.specs),
        further=tuple(further),
        unit="GPU hours" if gpu else "hours of this machine's CPU",
    )


def has_gpu() -> bool:
    """Whether this machine trains on a GPU."""
    import torch

    return torch.cuda.is_available()
