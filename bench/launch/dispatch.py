"""Plan runs, and hand them to an executor."""

import contextlib
import dataclasses
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench.launch.labels import settings
from bench.launch.planner import Action, Decision, plan
from bench.launch.run_state import RunState, run_state
from bench.launch.slurm.ask import Unreachable
from bench.launch.slurm.queue import Queue, look
from bench.launch.teachers import find_teachers
from bench.measure import cost
from bench.measure.collect import measure_missing, tell_problems
from bench.results.fingerprints import DataFolder
from bench.results.run_folder import RunRecords
from bench.results.store import load_complexity, load_speeds
from bench.spec.datasets import LAYOUTS, require_folders
from bench.spec.errors import RequestError
from bench.spec.run import Resources, RunSpec
from bench.spec.text import at_words, complain


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """The way in which a command trains its runs."""

    runs: Path
    """the folder of all runs"""
    resources: Resources
    """of each"""
    max_parallel: int | None = None
    """most at once; None for one on this machine, and on Slurm for what slurm.toml says"""
    slurm: tuple[str, ...] = ()
    """KEY=VALUE pairs, which outrank slurm.toml"""
    max_submit: int | None = None
    """most of the command's runs in Slurm's queue at a time"""
    confirm_cpu: bool = False
    """whether its runs are so large that one without a GPU is probably a mistake"""
    gpu: str | None = None
    """for which the cost is estimated where no speed was measured, a key of ``PEAK_TFLOPS``; networks are then measured
    where their MACs are not known. None for a V100, and for networks with known MACs alone"""
    retry_mem: float | None = None
    """times the memory of a job that had too little; None to ask for what the options say"""
    networks: frozenset[str] = frozenset()
    """names of all that can be trained, for which slurm.toml may have tables"""
    as_json: bool = False
    ended: Callable[[str], None] = lambda run_id: None
    """told the id of each run that ends on this machine"""


Estimates = Mapping[str, cost.Estimate | None]
"""by run id, of the runs that a plan starts"""

SHOWN = 20
"""lines of a plan that starts something; a dry run shows all"""


def require_data(specs: Sequence[RunSpec], launch: Launch, *, on_slurm: bool) -> None:
    """Check that this machine sees the data of all runs that are not completed, before anything is planned or written.

    Raises:
        RequestError: images are missing, or do not lie as those of their data set do.
    """
    todo = to_train(plan(specs, lambda spec: run_state(launch.runs, spec.run_id, Queue({}, {}))))
    for name in dict.fromkeys(spec.dataset for spec in todo):
        try:
            _require_images(name, launch.resources.data, launch.resources.download)
        except RequestError as error:
            nodes = "; or add --data-on-nodes, if only the compute nodes see it" if on_slurm else ""
            raise RequestError(f"{error}{nodes}") from error


def _require_images(name: str, data: str, download: bool) -> None:
    if name in LAYOUTS:
        require_folders(name, Path(data), download=download)
    elif name.startswith("hfds/"):
        from bench.training import hub_datasets

        found = hub_datasets.look_up(name, data)
        for split in ("train", "val"):
            found.split(split)
    elif name.startswith("torch/") and not download:
        from bench.training.data import open_images

        for split in ("train", "val"):
            open_images(name, split, data)


def train_here(specs: Sequence[RunSpec], launch: Launch) -> list[str]:
    """Train what is missing on this machine; returns a line for each run that did not complete."""
    folder = DataFolder(launch.runs, launch.resources.data)
    decisions = _plan(specs, folder, look(launch.runs, family(specs)))
    decisions, resources = taught(decisions, launch.resources)
    failures = [f"{d.spec.run_id}: {d.reason}" for d in decisions if d.action is Action.BLOCKED]
    failures += [f"{d.spec.run_id} is {d.reason}" for d in decisions if d.action is Action.SKIP and not d.completed]
    if not to_train(decisions):
        return failures
    from bench.launch.local import LocalQueue

    queue = LocalQueue(
        todo=to_train(decisions),
        decide=lambda spec: _plan([spec], folder, look(launch.runs, family([spec])))[-1],
        runs=launch.runs,
        resources=resources,
        max_parallel=launch.max_parallel or 1,
        ended=launch.ended,
    )
    return failures + queue.train()


def family(specs: Sequence[RunSpec]) -> list[str]:
    """Ids of the runs and of those that they start from."""
    return list(dict.fromkeys(one.run_id for spec in specs for one in spec.family))


def _plan(specs: Sequence[RunSpec], folder: DataFolder, queue: Queue) -> list[Decision]:
    """Raises RequestError: one of the runs was begun on other images than the folder holds."""

    def known_on_these_images(spec: RunSpec) -> RunState:
        found = run_state(folder.runs, spec.run_id, queue)
        if found.record:
            folder.require_same(found.record, spec.dataset)
        return found

    return plan(specs, known_on_these_images)


def settled_plan(specs: Sequence[RunSpec], folder: DataFolder) -> tuple[list[Decision], Queue]:
    """The plan, once jobs that are just ending have ended, if that is soon; and the queue of all runs in the folder.

    Raises:
        Unreachable: Slurm does not answer.
    """
    deadline = time.monotonic() + PATIENCE_S
    while True:
        queue = look(folder.runs)
        if queue.silence:
            raise Unreachable(queue.silence)
        ids = (s.task(run) for run in family(specs) if (s := queue.by_run.get(run)) and s.job)
        ending = any((task := queue.tasks.get(one)) and task.state == "COMPLETING" for one in ids)
        if not ending or time.monotonic() > deadline:
            return _plan(specs, folder, queue), queue
        time.sleep(0.5)


PATIENCE_S = 40
"""with jobs that were cancelled: Slurm gives their processes 30 s unless it is told otherwise"""


def to_train(decisions: Sequence[Decision]) -> list[RunSpec]:
    """The runs that a plan starts."""
    return [d.spec for d in decisions if d.action in (Action.SUBMIT, Action.RESUME)]


def taught(decisions: Sequence[Decision], resources: Resources) -> tuple[list[Decision], Resources]:
    """Block decisions whose teacher is not to be had; also returns the resources, with where the other teachers lie."""
    found, missing = find_teachers(to_train(decisions))
    blocked = [
        dataclasses.replace(d, action=Action.BLOCKED, reason=missing[d.spec.run_id]) if d.spec.run_id in missing else d
        for d in decisions
    ]
    return blocked, dataclasses.replace(resources, files={**resources.files, **found})


def estimated(decisions: Sequence[Decision], launch: Launch) -> Estimates:
    """Estimate what is left of the runs that a plan starts."""
    todo = to_train(decisions)
    measured = {}
    networks = dict.fromkeys(network for spec in todo for network in (spec.network, spec.teacher_network) if network)
    if launch.gpu and networks:
        measure_missing(list(networks), launch.runs)
    for network in networks:
        with contextlib.suppress(ValueError):  # a damaged measurement: the next --table names it
            if found := load_complexity(launch.runs, network):
                measured[network] = found
    if not todo:
        return {}
    steps, problems = load_speeds(launch.runs)
    tell_problems(problems)
    return cost.estimates(todo, measured, RunRecords(launch.runs).all(), launch.gpu or "v100", steps)


def dry_run(specs: Sequence[RunSpec], launch: Launch, *, on_slurm: bool) -> int:
    """Print what a run of the same command would do, and what it would cost; returns the exit code."""
    from bench.launch.on_slurm import Preview, preview, settings_for

    settings = settings_for(specs, launch) if on_slurm else None  # what is wrong with it is better known now
    queue = look(launch.runs, None if on_slurm else family(specs))
    decisions = _plan(specs, DataFolder(launch.runs, launch.resources.data), queue)
    estimates = estimated(decisions, launch)
    shown = preview(decisions, estimates, launch, settings, queue) if settings else Preview()
    if launch.as_json:
        found = {"plan": plan_json(decisions, estimates), "slurm": queue.silence or None, **shown.as_json()}
        print(json.dumps(found, indent=2))
    else:
        print_plan(decisions, estimates)
        for line in shown.lines():
            print(line)
        print(at_words(costs(estimates), sys.stdout))
    for line in (f"Slurm's queue is unknown: {queue.silence}" if queue.silence else "", *shown.refusals):
        if line:
            complain(line)
    return 2 if shown.refusals else 0


def print_plan(decisions: Sequence[Decision], estimates: Estimates, most: int | None = None) -> None:
    """Print a line for each run: what becomes of it, in what it differs from the others, its cost and the reason."""
    from tabulate import tabulate

    differ = settings({decision.spec.run_id: decision.spec for decision in decisions})
    rows = []
    for decision in decisions[:most]:
        estimate = estimates.get(decision.spec.run_id)
        hours = f"~{estimate.gpu_hours:,.1f} GPU h" if estimate else ""
        rows.append([decision.action, decision.spec.run_id, differ[decision.spec.run_id], hours, decision.reason])
    align = ["left", "left", "left", "right", "left"]
    if not any(row[2] for row in rows):
        rows, align = [row[:2] + row[3:] for row in rows], align[:2] + align[3:]
    if rows:
        print(tabulate(rows, tablefmt="plain", colalign=align, disable_numparse=True))
    if len(decisions) > len(rows):
        print(f"and {len(decisions) - len(rows)} more; --dry-run shows all")


def costs(estimates: Estimates) -> str:
    """The cost of all of them together, in a line."""
    known_costs = [e for e in estimates.values() if e]
    if not estimates:
        return "nothing to train"
    if not known_costs:
        return "GPU hours unknown; python run_all.py --table N measures the MACs that an estimate needs"
    total = sum(e.gpu_hours for e in known_costs)
    bases = ", ".join(dict.fromkeys(e.basis for e in known_costs))
    rest = f"; {len(estimates) - len(known_costs)} runs not counted" if len(known_costs) < len(estimates) else ""
    return f"estimated GPU hours: {total:,.0f} for {len(known_costs)} runs ({bases}){rest}"


def plan_json(decisions: Sequence[Decision], estimates: Estimates) -> list[dict[str, object]]:
    """The same as ``print_plan``, for programs."""
    differ = settings({decision.spec.run_id: decision.spec for decision in decisions})
    lines: list[dict[str, object]] = []
    for decision in decisions:
        estimate = estimates.get(decision.spec.run_id)
        lines.append(
            {
                "run_id": decision.spec.run_id,
                "action": decision.action,
                "settings": differ[decision.spec.run_id],
                "reason": decision.reason,
                "job": decision.job or None,
                "estimated_gpu_hours": estimate.gpu_hours if estimate else None,
                "estimated_from": estimate.basis if estimate else None,
            }
        )
    return lines
