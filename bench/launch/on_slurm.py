"""Runs handed to Slurm: what a command would submit, in which arrays, within which limits, and their submission."""

import contextlib
import dataclasses
import json
import shlex
import sys
from collections import Counter
from collections.abc import Iterator, Sequence, Sized
from pathlib import Path

from bench.launch.dispatch import (
    SHOWN,
    Estimates,
    Launch,
    costs,
    estimated,
    family,
    plan_json,
    print_plan,
    settled_plan,
    taught,
    to_train,
)
from bench.launch.labels import settings as differing
from bench.launch.planner import Action, Decision
from bench.launch.slurm import client as slurm
from bench.launch.slurm import submissions
from bench.launch.slurm.ask import Unreachable
from bench.launch.slurm.changes import apply, changes, kept, waiting
from bench.launch.slurm.config import FILE, Settings, SlurmRequest
from bench.launch.slurm.executor import Array, arrays, explained, mend, script, submit
from bench.launch.slurm.limits import Limits, limits
from bench.launch.slurm.queue import Queue
from bench.launch.slurm.submissions import Submission
from bench.measure import cost
from bench.results.files import CorruptFile, require_writable
from bench.results.fingerprints import DataFolder
from bench.results.progress import duration
from bench.results.spec_file import load_spec
from bench.spec.batch_layout import require_equal_shares
from bench.spec.errors import RequestError
from bench.spec.run import RunSpec
from bench.spec.text import answer, at_words, complain


def submit_to_slurm(specs: Sequence[RunSpec], launch: Launch) -> int:
    """Submit what is missing and fits, print the jobs, and return; 1 if a run is blocked."""
    settings = settings_for(specs, launch)
    require_writable(launch.runs, "--runs")
    cluster = slurm.cluster()
    folder = DataFolder(launch.runs, launch.resources.data)
    submitted: list[Submission] = []
    max_parallel = launch.max_parallel or settings.max_parallel
    with submissions.planning(launch.runs), _nothing_lost(submitted):
        mend(launch.runs, cluster)
        submissions.tidy(launch.runs)
        settled, queue = settled_plan(specs, folder)
        decisions, resources = taught(settled, launch.resources)
        estimates = estimated(decisions, launch)
        planned, left = fitting(decisions, estimates, launch, settings, cluster)
        _require_gpus(planned, launch)
        todo = {spec.run_id for array in planned for spec in array.specs}
        if not launch.as_json:
            print_plan([d for d in decisions if d.spec.run_id not in {*todo, *left}], estimates, most=SHOWN)
        wanted = _with_parents(decisions)
        before, at_once, turn = _shared(max_parallel, wanted, queue, len(todo))
        changed = []
        for change in apply(launch.runs, changes(wanted, queue, lambda s: settings.request(s.model), before)):
            changed.append(change)
            complain(f"changed: {change}")
        for line in kept(wanted, queue, lambda s: settings.request(s.model)):
            complain(line)
        differ = differing({spec.run_id: spec for spec in wanted})
        for array, submission in submit(
            planned,
            runs=launch.runs,
            resources=resources,
            cluster=cluster,
            max_parallel=at_once,
            tasks={d.spec.run_id: d.job for d in decisions if d.job},
            gpu_hours={run_id: estimate.gpu_hours for run_id, estimate in estimates.items() if estimate},
            after=turn,
        ):
            submitted.append(submission)
            if not launch.as_json:
                _print_submission(submission, array, cluster, differ)
    blocked = [f"{d.spec.run_id}: {d.reason}" for d in decisions if d.action is Action.BLOCKED]
    gone = obsolete(specs, queue, launch.runs)
    if launch.as_json:
        jobs = [{"job": s.job, "name": s.name, "runs": {s.task(run): run for run in s.runs}} for s in submitted]
        found = {"plan": plan_json(decisions, estimates), "submitted": jobs, "left": left, "obsolete": gone}
        print(json.dumps({**found, "changed": list(map(str, changed)), "failures": blocked}, indent=2))
    elif submitted:
        print(at_words(costs(estimates), sys.stdout))
        print(f"watch: python run_all.py status{_where(launch.runs)}")
    elif not changed:
        print("nothing to submit")
    for line in (*_left(left), *_obsolete(gone, launch.runs), *blocked):
        complain(line)
    return 1 if blocked else 0


def _with_parents(decisions: Sequence[Decision]) -> list[RunSpec]:
    """The runs of a plan, and those that they start from, which may wait in the queue for them."""
    found: dict[str, RunSpec] = {}
    for decision in decisions:
        spec: RunSpec | None = decision.spec
        while spec is not None:
            found.setdefault(spec.run_id, spec)
            spec = spec.start_from
    return list(found.values())


def _where(runs: Path) -> str:
    """The option with which a further command finds these runs."""
    return "" if runs == Path("runs") else f" --runs {shlex.quote(str(runs))}"


def fitting(
    decisions: Sequence[Decision], estimates: Estimates, launch: Launch, settings: Settings, cluster: slurm.Cluster
) -> tuple[list[Array], dict[str, str]]:
    """The arrays that may be submitted now, and by run id why other runs must wait until some of these have ended."""
    todo = to_train(decisions)
    _require_equal_shares(todo, settings)
    too_little = {d.spec.run_id: d.too_little_memory_gb for d in decisions}
    found = limits(cluster)

    def request(spec: RunSpec) -> SlurmRequest:
        asked = _with_memory(settings.request(spec.model), too_little[spec.run_id], launch.retry_mem)
        return _timed(asked, estimates[spec.run_id], cluster, found)

    waits_for = {d.spec.run_id: d.after for d in decisions if d.after}
    planned = arrays(todo, waits_for, request, cluster.max_array_size)
    alive = sum(bool(d.job) for d in decisions)
    return _cut(planned, found, cluster, launch.max_submit, alive)


def _cut(
    planned: Sequence[Array], found: Limits, cluster: slurm.Cluster, max_submit: int | None, alive: int
) -> tuple[list[Array], dict[str, str]]:
    taken: Counter[str] = Counter()
    fits: list[Array] = []
    left: dict[str, str] = {}
    for array in planned:
        partition = array.request.partition or cluster.default_partition
        rooms = {room.name: room.left - taken[room.name] for room in found.room(array.request, partition)}
        if max_submit is not None:
            rooms[f"--max-submit {max_submit}"] = max_submit - alive - taken[f"--max-submit {max_submit}"]
        narrowest = min(rooms, key=lambda name: rooms[name], default="")
        count = len(array.specs) if array.parent not in left else 0
        if rooms:
            count = min(count, max(0, rooms[narrowest]))
        why = f"starts from {array.parent}, which is not submitted yet" if array.parent in left else narrowest
        left |= {spec.run_id: why for spec in array.specs[count:]}
        taken.update(dict.fromkeys(rooms, count))
        if count:
            fits.append(dataclasses.replace(array, specs=array.specs[:count]))
    return fits, left


def _left(left: dict[str, str]) -> list[str]:
    """A line on the runs that are not submitted yet, if there are any."""
    if not left:
        return []
    why = "; ".join(dict.fromkeys(left.values()))
    more = f" and {len(left) - SHOWN} more" if len(left) > SHOWN else ""
    names = ", ".join(list(left)[:SHOWN])
    return [
        f"{_those(left)} not submitted yet ({why}); run the same command again once others have ended: {names}{more}"
    ]


def _those(runs: Sized, of: str = "") -> str:
    return f"1 run{of} is" if len(runs) == 1 else f"{len(runs)} runs{of} are"


def _require_gpus(planned: Sequence[Array], launch: Launch) -> None:
    """Ask whether large runs are really meant to be trained without a GPU.

    Raises:
        RequestError: nobody can be asked, or the answer is no.
    """
    slow = _to_confirm(planned, launch)
    if not slow:
        return
    why = f"{slow[0].specs[0].run_id} requests no GPU, and would take years on CPUs"
    remedy = "add --slurm gpus_per_node=N, or confirm with gpus_per_node=0"
    is_yes = answer(f"{why}; submit it anyway", as_json=launch.as_json)
    if is_yes is None:
        raise RequestError(f"{why}; {remedy}")
    if not is_yes:
        raise RequestError(f"nothing was submitted; {remedy}")


def _to_confirm(planned: Sequence[Array], launch: Launch) -> list[Array]:
    """Arrays of large runs that ask for no GPU without saying so."""
    if not launch.confirm_cpu:
        return []
    return [array for array in planned if not array.request.gpus and array.request.gpus_per_node != 0]


def _alive_jobs(wanted: Sequence[RunSpec], queue: Queue) -> list[str]:
    """Ids of the jobs of these runs that wait or run."""
    known = [found for spec in wanted if (found := queue.task(spec.run_id))]
    return list(dict.fromkeys(submission.job for submission, task in known if not task.ended))


def _shared(
    max_parallel: int | None, wanted: Sequence[RunSpec], queue: Queue, new: int
) -> tuple[int | None, int | None, list[str]]:
    """Share ``max_parallel`` among the runs in the queue and new ones.

    Returns:
        How many of the runs that wait already may run at once, and how many new ones, None for any number; and the jobs
        that must have ended before any new one begins, where there is no room beside them.
    """
    alive = _alive_jobs(wanted, queue)
    if max_parallel is None or not alive or not new:
        return max_parallel, max_parallel, []
    old = waiting(wanted, queue)
    jobs = len({submission.name for _, submission in old})
    share = min(max(jobs, max_parallel * len(old) // (len(old) + new)), max(jobs, max_parallel - 1))
    rest = max_parallel - (share if old else len(alive))
    return (share if old else None), (rest if rest > 0 else max_parallel), (alive if rest <= 0 else [])


def obsolete(specs: Sequence[RunSpec], queue: Queue, runs: Path) -> dict[str, str]:
    """Jobs, by run id, of the same networks, data and recipe that these specs do not ask for, whatever their seed.

    Such as those of a sweep whose values have changed since.
    """
    wanted = set(family(specs))
    kinds = {run_id.rpartition("-s")[0] for run_id in wanted}
    seeds = {spec.seed for spec in specs}
    found: dict[str, str] = {}
    for run_id in queue.by_run:
        submission, task = queue.task(run_id) or (None, None)
        if not submission or not task or task.ended:
            continue
        if run_id in wanted or run_id.rpartition("-s")[0] not in kinds:
            continue
        with contextlib.suppress(FileNotFoundError, CorruptFile):
            spec = load_spec(runs / run_id)
            if not any(spec.with_seed(seed).run_id in wanted for seed in seeds):
                found[run_id] = submission.task(run_id)
    return found


def _obsolete(gone: dict[str, str], runs: Path) -> list[str]:
    if not gone:
        return []
    ids = " ".join(map(shlex.quote, gone))
    return [
        f"{_those(gone, ' of these networks')} in the queue but not part of this command; to cancel: "
        f"python run_all.py cancel {ids}{_where(runs)}"
    ]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """The submissions that a command would make, checked with Slurm without submitting."""

    options: str = ""
    arrays: tuple[str, ...] = ()
    """a line for each"""
    left: dict[str, str] = dataclasses.field(default_factory=dict)
    gone: dict[str, str] = dataclasses.field(default_factory=dict)
    changes: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()
    """what Slurm would not take, and why"""
    runs: Path = Path("runs")

    def lines(self) -> list[str]:
        """The preview as lines of text."""
        changed = [f"would change: {change}" for change in self.changes]
        return [
            *filter(None, [self.options]),
            *self.arrays,
            *changed,
            *_left(self.left),
            *_obsolete(self.gone, self.runs),
        ]

    def as_json(self) -> dict[str, object]:
        """The preview as JSON values."""
        if not self.options:
            return {}
        found = {"options": self.options, "arrays": self.arrays, "left": self.left, "obsolete": self.gone}
        return {**found, "changes": self.changes, "refusals": self.refusals}


def preview(
    decisions: Sequence[Decision], estimates: Estimates, launch: Launch, settings: Settings, queue: Queue
) -> Preview:
    """Work out the command's submissions, and whether Slurm would accept them."""
    options = f"options: {_sources(settings, launch)}"
    todo = to_train(decisions)
    _require_equal_shares(todo, settings)
    wanted = _with_parents(decisions)
    gone = obsolete(wanted, queue, launch.runs)
    try:
        cluster = slurm.cluster()
        planned, left = fitting(decisions, estimates, launch, settings, cluster)
    except Unreachable as error:
        return Preview(options=f"{options}; Slurm cannot be reached: {error}", runs=launch.runs)
    except RequestError as error:
        if slurm.is_here():
            raise
        return Preview(options=f"{options}; Slurm cannot be reached: {error}", runs=launch.runs)
    lines, refusals = [], []
    for array in planned:
        text = script(array, Path("jobs").resolve() / "t2t-preview", at_once=len(array.specs))
        try:
            said = slurm.refusal(text)
            answer = "Slurm would accept it"
        except Unreachable as error:
            said, answer = "", f"Slurm cannot be reached: {error}"
        if said:
            answer = "Slurm would refuse it"
            refusals.append(str(explained(said, array.request, cluster)))
        lines.append(f"{_described(array, cluster)}; {answer}")
    if _to_confirm(planned, launch):
        lines.append("these runs request no GPU; submitting them will need confirmation")
    changed = changes(wanted, queue, lambda spec: settings.request(spec.model), launch.max_parallel)
    return Preview(
        options=options,
        arrays=tuple(lines),
        left=left,
        gone=gone,
        changes=tuple(map(str, changed)),
        refusals=tuple(dict.fromkeys(refusals)),
        runs=launch.runs,
    )


def _sources(settings: Settings, launch: Launch) -> str:
    file = f"{settings.file.resolve()}" if settings.file else f"no {FILE} in {Path.cwd()}"
    given = f", --slurm {' '.join(map(shlex.quote, launch.slurm))}" if launch.slurm else ""
    return file + given


def _described(array: Array, cluster: slurm.Cluster) -> str:
    """One array in a line: how many runs, and what each asks for."""
    request = array.request
    many = f"array of {len(array.specs)}" if len(array.specs) > 1 else "one run"
    after = f", after {array.parent}" if array.parent else ""
    partition = f"partition {request.partition or f'{cluster.default_partition} (the default)'}"
    nodes = f"{request.nodes or 1} node" + ("s" if (request.nodes or 1) > 1 else "")
    on_each = request.gpus_per_node if request.gpus_per_node is not None else request.gpus_on_each_node
    plural = "s" if request.gpus_on_each_node > 1 else ""
    gpus = f"{nodes} with {on_each} GPU{plural}" if request.gpus else f"{nodes} without a GPU"
    others = {k: v for k, v in request.options().items() if k not in ("partition", "time", "nodes", "gpus_per_node")}
    asked = "".join(f", {key}={value}" for key, value in others.items())
    return f"{many}{after}: {partition}, time limit {duration(60 * (request.time or 0))}, {gpus}{asked}"


def settings_for(specs: Sequence[RunSpec], launch: Launch) -> Settings:
    """The options for Slurm, once they are known to make sense for each network; says which come from variables."""
    settings = Settings(launch.slurm)
    settings.require_networks(launch.networks | {spec.model for spec in specs})
    models = list(dict.fromkeys(spec.model for spec in specs))
    for model in models:
        settings.request(model)
    for line in settings.from_variables(models):
        complain(line)
    return settings


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


def _with_memory(request: SlurmRequest, too_little_gb: float | None, factor: float | None) -> SlurmRequest:
    """Ask for more memory than the last job had, if that was too little and the command says so."""
    if too_little_gb is None or factor is None:
        return request
    others = tuple((key, value) for key, value in request.passed_on if not key.startswith("mem_per_"))
    return dataclasses.replace(request, mem=None, mem_gb=round(too_little_gb * factor, 3), passed_on=others)


def _timed(
    request: SlurmRequest, estimate: cost.Estimate | None, cluster: slurm.Cluster, found: Limits
) -> SlurmRequest:
    """Add a time limit to a request that has none.

    Raises:
        RequestError: its time is more than the partition allows; such a job might wait for ever.
    """
    names = (request.partition or cluster.default_partition).split(",")
    most = min((cluster.time_limits[name] for name in names if name in cluster.time_limits), default=float("inf"))
    wall, most_of_account = found.most_minutes(request, names[0])
    if request.time is not None and request.time > most_of_account:
        raise RequestError(
            f"time={request.time} minutes is more than {wall} allows; choose at most {most_of_account:.0f}"
        )
    most = min(most, most_of_account)
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
        raise type(error)(f"{error}; submitted before this error, and still in the queue: {jobs}") from error


def _print_submission(submission: Submission, array: Array, cluster: slurm.Cluster, differ: dict[str, str]) -> None:
    asked = " ".join(f"{key}={value}" for key, value in submission.settings.items() if key != "time")
    print(f"job {submission.job}: {_described(array, cluster)}; {asked or 'no further options'}")
    for run_id in submission.runs[:SHOWN]:
        print(f"  {submission.task(run_id)}  {run_id}  {differ.get(run_id, '')}".rstrip())
    if len(submission.runs) > SHOWN:
        print(f"  and {len(submission.runs) - SHOWN} more, to {submission.task(submission.runs[-1])}")
