"""Plan runs, and hand them to an executor."""

import contextlib
import dataclasses
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from bench.launch.planner import Action, Decision, plan
from bench.launch.run_state import RunState, run_state
from bench.launch.slurm import client as slurm
from bench.launch.slurm import submissions
from bench.launch.slurm.ask import Unreachable
from bench.launch.slurm.config import Settings, SlurmRequest
from bench.launch.slurm.queue import Queue, look
from bench.launch.slurm.submissions import Submission
from bench.launch.teachers import find_teachers
from bench.measure import cost
from bench.results.files import require_writable
from bench.results.fingerprints import DataFolder
from bench.results.progress import duration
from bench.results.run_folder import RunRecords
from bench.results.store import load_complexity
from bench.spec.batch_layout import require_equal_shares
from bench.spec.datasets import LAYOUTS, require_folders
from bench.spec.errors import RequestError
from bench.spec.run import Resources, RunSpec


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """How a command wants its runs trained."""

    runs: Path
    """the folder of all runs"""
    resources: Resources
    """of each"""
    max_parallel: int | None = None
    """most at once; None for one on this machine, and on Slurm for what slurm.toml says"""
    slurm: tuple[str, ...] = ()
    """KEY=VALUE pairs, which outrank slurm.toml"""
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
    todo = _todo(plan(specs, lambda spec: run_state(launch.runs, spec.run_id, Queue({}, {}))))
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
    decisions = _plan(specs, folder, look(launch.runs, _family(specs)))
    decisions, resources = _taught(decisions, launch.resources)
    failures = [f"{d.spec.run_id}: {d.reason}" for d in decisions if d.action is Action.BLOCKED]
    failures += [f"{d.spec.run_id} is {d.reason}" for d in decisions if d.action is Action.SKIP and not d.completed]
    if not _todo(decisions):
        return failures
    from bench.launch.local import LocalQueue

    queue = LocalQueue(
        todo=_todo(decisions),
        decide=lambda spec: _plan([spec], folder, look(launch.runs, _family([spec])))[-1],
        runs=launch.runs,
        resources=resources,
        max_parallel=launch.max_parallel or 1,
        ended=launch.ended,
    )
    return failures + queue.train()


def dry_run(specs: Sequence[RunSpec], launch: Launch, *, on_slurm: bool) -> int:
    """Print what a run of the same command would do, and what it would cost."""
    settings = _settings(specs, launch)  # what is wrong with it is better known now
    queue = look(launch.runs, _family(specs))
    decisions = _plan(specs, DataFolder(launch.runs, launch.resources.data), queue)
    if on_slurm:
        _require_equal_shares(_todo(decisions), settings)
    estimates = _estimates(decisions, launch.runs)
    if launch.as_json:
        print(json.dumps({"plan": _plain(decisions, estimates), "slurm": queue.silence or None}, indent=2))
        return 0
    _print_plan(decisions, estimates)
    print(_costs(estimates))
    if queue.silence:
        print(f"run_all.py: Slurm's queue is not known: {queue.silence}", file=sys.stderr)
    return 0


def submit_to_slurm(specs: Sequence[RunSpec], launch: Launch) -> int:
    """Submit what is missing, print the jobs, and return; 1 if a run is blocked."""
    from bench.launch.slurm.executor import arrays, mend, submit

    settings = _settings(specs, launch)
    require_writable(launch.runs, "--runs")
    cluster = slurm.cluster()
    folder = DataFolder(launch.runs, launch.resources.data)
    submitted: list[Submission] = []
    with submissions.planning(launch.runs), _nothing_lost(submitted):
        mend(launch.runs, cluster)
        decisions, resources = _taught(_settled_plan(specs, folder), launch.resources)
        estimates = _estimates(decisions, launch.runs)
        todo = _todo(decisions)
        _require_equal_shares(todo, settings)
        too_little = {d.spec.run_id: d.too_little_memory_gb for d in decisions}
        planned = arrays(
            todo,
            {d.spec.run_id: d.after for d in decisions if d.after},
            lambda spec: _timed(
                _with_memory(settings.request(spec.model), too_little.get(spec.run_id), launch.retry_mem),
                estimates[spec.run_id],
                cluster,
            ),
            cluster.max_array_size,
        )
        if not launch.as_json:
            _print_plan([d for d in decisions if d.spec not in todo], estimates, most=SHOWN)
        for array, submission in submit(
            planned,
            runs=launch.runs,
            resources=resources,
            cluster=cluster,
            max_parallel=launch.max_parallel or settings.max_parallel,
            tasks={d.spec.run_id: d.job for d in decisions if d.job},
        ):
            submitted.append(submission)
            if not launch.as_json:
                _print_submission(submission, array.parent)
    blocked = [f"{d.spec.run_id}: {d.reason}" for d in decisions if d.action is Action.BLOCKED]
    if launch.as_json:
        jobs = [{"job": s.job, "name": s.name, "runs": {s.task(run): run for run in s.runs}} for s in submitted]
        print(json.dumps({"plan": _plain(decisions, estimates), "submitted": jobs, "failures": blocked}, indent=2))
    elif submitted:
        where = "" if launch.runs == Path("runs") else f" --runs {launch.runs}"
        print(f"{_costs(estimates)}\nwatch: python run_all.py status{where}")
    else:
        print("nothing to submit")
    for line in blocked:
        print(f"run_all.py: {line}", file=sys.stderr)
    return 1 if blocked else 0


def _settings(specs: Sequence[RunSpec], launch: Launch) -> Settings:
    """The options for Slurm, once they are known to make sense for each network; says which come from variables."""
    settings = Settings(launch.slurm)
    settings.require_networks(launch.networks | {spec.model for spec in specs})
    models = list(dict.fromkeys(spec.model for spec in specs))
    for model in models:
        settings.request(model)
    for line in settings.from_variables(models):
        print(f"run_all.py: {line}", file=sys.stderr)
    return settings


def _family(specs: Sequence[RunSpec]) -> list[str]:
    """Ids of the runs and of those that they start from."""
    ids: dict[str, None] = {}
    for spec in specs:
        one: RunSpec | None = spec
        while one is not None:
            ids[one.run_id] = None
            one = one.start_from
    return list(ids)


def _plan(specs: Sequence[RunSpec], folder: DataFolder, queue: Queue) -> list[Decision]:
    """Raises RequestError: one of the runs was begun on other images than the folder holds."""

    def known_on_these_images(spec: RunSpec) -> RunState:
        found = run_state(folder.runs, spec.run_id, queue)
        if found.record:
            folder.require_same(found.record, spec.dataset)
        return found

    return plan(specs, known_on_these_images)


def _settled_plan(specs: Sequence[RunSpec], folder: DataFolder) -> list[Decision]:
    """The plan, once jobs that are just ending have ended, if that is soon."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        queue = look(folder.runs, _family(specs))
        if queue.silence:
            raise Unreachable(queue.silence)
        ending = any(task.state == "COMPLETING" for task in queue.tasks.values())
        if not ending or time.monotonic() > deadline:
            return _plan(specs, folder, queue)
        time.sleep(0.5)


PATIENCE_S = 40
"""with jobs that were cancelled: Slurm gives their processes 30 s unless it is told otherwise"""


def _todo(decisions: Sequence[Decision]) -> list[RunSpec]:
    return [d.spec for d in decisions if d.action in (Action.SUBMIT, Action.RESUME)]


def _taught(decisions: Sequence[Decision], resources: Resources) -> tuple[list[Decision], Resources]:
    """Block decisions whose teacher is not to be had; also returns the resources, with where the other teachers lie."""
    found, missing = find_teachers(_todo(decisions))
    blocked = [
        dataclasses.replace(d, action=Action.BLOCKED, reason=missing[d.spec.run_id]) if d.spec.run_id in missing else d
        for d in decisions
    ]
    return blocked, dataclasses.replace(resources, files={**resources.files, **found})


def _require_equal_shares(todo: Sequence[RunSpec], settings: Settings) -> None:
    """Refuse nodes and GPUs that cannot share a run's global batch, which the job would find out after its wait.

    Raises:
        RequestError: names the run, and the numbers of processes that can.
    """
    for spec in todo:
        try:
            require_equal_shares(spec.recipe, settings.request(spec.model).processes)
        except RequestError as error:
            raise RequestError(f"{spec.run_id}: {error}, with --slurm gpus_per_node=N nodes=N") from error


def _estimates(decisions: Sequence[Decision], runs: Path) -> Estimates:
    todo = _todo(decisions)
    measured = {}
    for network in {network for spec in todo for network in (spec.network, spec.teacher_network) if network}:
        with contextlib.suppress(ValueError):  # a damaged measurement: the next --table names it
            if found := load_complexity(runs, network):
                measured[network] = found
    return cost.estimates(todo, measured, RunRecords(runs).all() if todo else [])


def _with_memory(request: SlurmRequest, too_little_gb: float | None, factor: float | None) -> SlurmRequest:
    """Ask for more memory than the last job had, if that was too little and the command says so."""
    if too_little_gb is None or factor is None:
        return request
    others = tuple((key, value) for key, value in request.passed_on if not key.startswith("mem_per_"))
    return dataclasses.replace(request, mem=None, mem_gb=round(too_little_gb * factor, 3), passed_on=others)


def _timed(request: SlurmRequest, estimate: cost.Estimate | None, cluster: slurm.Cluster) -> SlurmRequest:
    """Add a time limit to a request that has none.

    Raises:
        RequestError: its time is more than the partition allows; such a job might wait for ever.
    """
    names = (request.partition or cluster.default_partition).split(",")
    most = min((cluster.time_limits[name] for name in names if name in cluster.time_limits), default=float("inf"))
    if request.time is None:
        hours = estimate.gpu_hours / request.gpus if estimate and request.gpus else None
        timed = dataclasses.replace(request, time=cost.time_limit(hours, most))
        timed.require_sense()
        return timed
    if request.time > most:
        raise RequestError(
            f"time={request.time} minutes is more than partition {','.join(names)} allows; choose at most {most:.0f}"
        )
    return request


@contextlib.contextmanager
def _nothing_lost(submitted: Sequence[Submission]) -> Iterator[None]:
    """An error that comes after some submissions says that they stand."""
    try:
        yield
    except (RequestError, Unreachable) as error:
        if not submitted:
            raise
        jobs = ", ".join(submission.job for submission in submitted)
        raise type(error)(f"{error}; submitted before that, and kept: {jobs}") from error


def _print_plan(decisions: Sequence[Decision], estimates: Estimates, most: int | None = None) -> None:
    from tabulate import tabulate

    rows = []
    for decision in decisions[:most]:
        estimate = estimates.get(decision.spec.run_id)
        hours = f"~{estimate.gpu_hours:,.1f} GPU h" if estimate else ""
        rows.append((decision.action, decision.spec.run_id, hours, decision.reason))
    if rows:
        print(tabulate(rows, tablefmt="plain", colalign=("left", "left", "right", "left"), disable_numparse=True))
    if len(decisions) > len(rows):
        print(f"and {len(decisions) - len(rows)} more; --dry-run shows all")


def _print_submission(submission: Submission, parent: str) -> None:
    asked = " ".join(f"{key}={value}" for key, value in submission.settings.items() if key != "time")
    limit = duration(60 * int(str(submission.settings["time"])))
    many = f"array of {len(submission.runs)}" if len(submission.runs) > 1 else "one run"
    after = f", after {parent}" if parent else ""
    print(f"job {submission.job}: {many}{after}; time limit {limit}; {asked or 'no further resources'}")
    for run_id in submission.runs[:SHOWN]:
        print(f"  {submission.task(run_id)}  {run_id}")
    if len(submission.runs) > SHOWN:
        print(f"  and {len(submission.runs) - SHOWN} more, to {submission.task(submission.runs[-1])}")


def _costs(estimates: Estimates) -> str:
    known_costs = [e for e in estimates.values() if e]
    if not estimates:
        return "nothing to train"
    if not known_costs:
        return "GPU hours: not known; python run_all.py --table N measures the MACs that an estimate starts from"
    total = sum(e.gpu_hours for e in known_costs)
    bases = ", ".join(dict.fromkeys(e.basis for e in known_costs))
    rest = f"; {len(estimates) - len(known_costs)} runs not counted" if len(known_costs) < len(estimates) else ""
    return f"an estimate: {total:,.0f} GPU hours for {len(known_costs)} runs ({bases}){rest}"


def _plain(decisions: Sequence[Decision], estimates: Estimates) -> list[dict[str, object]]:
    lines: list[dict[str, object]] = []
    for decision in decisions:
        estimate = estimates.get(decision.spec.run_id)
        lines.append(
            {
                "run_id": decision.spec.run_id,
                "action": decision.action,
                "reason": decision.reason,
                "job": decision.job or None,
                "estimated_gpu_hours": estimate.gpu_hours if estimate else None,
                "estimated_from": estimate.basis if estimate else None,
            }
        )
    return lines
