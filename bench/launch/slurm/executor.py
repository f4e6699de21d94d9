"""Runs as job arrays on Slurm, through submitit."""

import dataclasses
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.entry import Job
from bench.launch import failure
from bench.launch.job import prepare
from bench.launch.slurm import client as slurm
from bench.launch.slurm import submissions
from bench.launch.slurm.ask import Refused
from bench.launch.slurm.config import SlurmRequest
from bench.launch.slurm.submissions import Submission
from bench.spec.errors import RequestError
from bench.spec.run import Resources, RunSpec

ROOT = Path(__file__).resolve().parents[3]

_SIGNAL_S = 300
"""ahead of the time limit: a signal waits for the end of a validation"""


_MAX_TIMEOUTS = 10_000
"""submitit counts requeues after a time limit, and a run of weeks may need many"""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Array:
    """Runs with the same request to Slurm that wait for the same run."""

    specs: tuple[RunSpec, ...]
    request: SlurmRequest
    """with a time limit"""
    parent: str = ""
    """id of the run that all of them start from, and wait for"""
    level: int = 0
    """0 if they wait for nothing that is submitted with them, else one more than what they wait for"""


def arrays(
    todo: Sequence[RunSpec], waits_for: Mapping[str, str], request: Callable[[RunSpec], SlurmRequest], most: int
) -> list[Array]:
    """Group runs into as few arrays as their requests, parents and Slurm's limit allow; parents come first.

    Args:
        todo: the runs, parents first.
        waits_for: by run id, the id of the run that it must wait for; others need not wait.
        request: a run's request to Slurm.
        most: tasks that one array may have.
    """
    levels: dict[str, int] = {}
    groups: dict[Array, list[RunSpec]] = {}
    for spec in todo:
        parent = waits_for.get(spec.run_id, "")
        levels[spec.run_id] = levels.get(parent, -1) + 1
        array = Array(specs=(), request=request(spec), parent=parent, level=levels[spec.run_id])
        groups.setdefault(array, []).append(spec)
    return [
        dataclasses.replace(array, specs=tuple(groups[array][i : i + most]))
        for array in sorted(groups, key=lambda array: array.level)
        for i in range(0, len(groups[array]), most)
    ]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """The time when an array may run, and how much of it at once."""

    at_once: int
    after: tuple[int, ...] = ()
    """places of the arrays that must have ended before, however they did"""


def turns(planned: Sequence[Array], max_parallel: int | None) -> list[Turn]:
    """Turns such that never more than ``max_parallel`` runs are under way.

    Arrays that may run side by side share the limit by their size; where there are more arrays than that, some wait for
    others. Runs that start from others' weights come after all of those.
    """
    if max_parallel is None:
        return [Turn(at_once=len(array.specs)) for array in planned]
    found: dict[int, Turn] = {}
    before: tuple[int, ...] = ()
    for level in sorted({array.level for array in planned}):
        places = [place for place, array in enumerate(planned) if array.level == level]
        total = sum(len(planned[place].specs) for place in places)
        spare = max_parallel - len(places)
        for i, place in enumerate(places):
            more = spare * len(planned[place].specs) // total if spare > 0 else 0
            lane = (places[i - max_parallel],) if i >= max_parallel else before
            found[place] = Turn(at_once=1 + more, after=lane)
        before = tuple(places)
    return [found[place] for place in range(len(planned))]


def submit(
    planned: Sequence[Array],
    *,
    runs: Path,
    resources: Resources,
    cluster: slurm.Cluster,
    max_parallel: int | None,
    tasks: dict[str, str],
    gpu_hours: Mapping[str, float],
    after: Sequence[str] = (),
) -> Iterator[tuple[Array, Submission]]:
    """Hand arrays to Slurm, one after another; each is on disk before the next is tried.

    Many parameters: the plan, and the command's settings and surroundings; nothing else needs them together.

    Args:
        planned: from ``arrays``.
        runs: the folder of all runs.
        resources: of each.
        cluster: where.
        max_parallel: most of these runs at once.
        tasks: Slurm's ids by run id, of runs that are alive already; those submitted here are added.
        gpu_hours: what each run is expected to need, by id, where anything is known.
        after: ids of jobs that must have ended before any of these runs begins.

    Raises:
        RequestError: Slurm refuses, with its reason and the remedy; what was submitted before stays.
        Unreachable: it does not answer; what may still reach it is taken up by ``mend``.
    """
    jobs: list[str] = []
    for array, turn in zip(planned, turns(planned, max_parallel), strict=True):
        ids = tuple(spec.run_id for spec in array.specs)
        options, values = array.request.options(), dataclasses.asdict(resources)
        expected = {run_id: gpu_hours[run_id] for run_id in ids if run_id in gpu_hours}
        submission = submissions.begin(cluster.name, ids, options, values, slurm.user_name(), turn.at_once, expected)
        for spec in array.specs:
            prepare(runs, spec)
        submissions.save(runs, submission)
        waits = [f"afterok:{tasks[array.parent]}"] if array.parent else []
        earlier = [jobs[place] for place in turn.after] or after
        waits += [f"afterany:{':'.join(earlier)}"] if earlier else []
        path = _folder(runs, submission) / "submission.sh"
        path.write_text(script(array, path.parent, at_once=turn.at_once, dependency=",".join(waits)))
        try:
            job = slurm.submit(path, submission.name)
        except Refused as refused:
            submissions.drop(runs, submission)
            raise explained(str(refused), array.request, cluster) from None
        submission = _adopt(runs, submission, job)
        jobs.append(submission.job)
        tasks |= {run_id: submission.task(run_id) for run_id in ids}
        yield array, submission


def mend(runs: Path, cluster: slurm.Cluster) -> None:
    """Find the jobs of submissions that were cut short between sbatch and its answer; forget those without one.

    Only while nobody else submits (``submissions.planning``).

    Raises:
        Unreachable: the controller does not answer.
    """
    for submission in submissions.load_all(runs):
        if submission.cluster == cluster.name and not submission.job:
            found = slurm.find(submission.name)
            if found:
                _adopt(runs, submission, found)
            elif submission.is_overdue:
                submissions.drop(runs, submission)


def _adopt(runs: Path, submission: Submission, job: str) -> Submission:
    """Give a submission its job, and the job what each task will run, as submitit does once sbatch has answered."""
    from submitit.core.utils import DelayedSubmission, JobPaths

    submission = dataclasses.replace(submission, job=job)
    folder = _folder(runs, submission)
    for run_id, call in zip(submission.runs, _calls(runs, submission), strict=True):
        path = JobPaths(folder, submission.task(run_id)).submitted_pickle
        if not path.exists():
            delayed = DelayedSubmission(call)
            delayed.set_timeout(int(str(submission.settings["time"])), _MAX_TIMEOUTS)
            delayed.dump(path)
    submissions.save(runs, submission)
    return submission


def _calls(runs: Path, submission: Submission) -> list[Job]:
    return [
        Job(
            folder=str((runs / run_id).resolve()),
            resources=submission.resources,
            estimated_gpu_hours=submission.estimated_gpu_hours.get(run_id),
        )
        for run_id in submission.runs
    ]


def _folder(runs: Path, submission: Submission) -> Path:
    return (runs / "jobs" / submission.name).resolve()


def script(array: Array, folder: Path, *, at_once: int, dependency: str = "") -> str:
    """The script that sbatch gets for an array.

    Args:
        array: one run, or several.
        folder: of the submission, where logs and pickles go.
        at_once: most of the runs at a time.
        dependency: as sbatch has it.
    """
    import submitit

    executor = submitit.SlurmExecutor(folder, max_num_timeout=_MAX_TIMEOUTS, python=_python(array.request))
    executor.update_parameters(**_parameters(array, folder.name, at_once, dependency))
    if len(array.specs) > 1:
        executor.parameters["map_count"] = len(array.specs)
    return executor._make_submission_file_text(executor._submitit_command_str, "")


def _parameters(array: Array, name: str, at_once: int, dependency: str) -> dict[str, Any]:
    """The parameters of submitit's SlurmExecutor."""
    request = array.request
    assert request.time is not None
    own: dict[str, object] = {
        "nodes": request.nodes,
        "gpus_per_node": request.gpus_per_node or None,
        "cpus_per_task": request.cpus_per_task,
    }
    extra: dict[str, object] = {"requeue": True, "kill-on-invalid-dep": "yes", "comment": _comment(name, array)}
    extra |= {key: value for key, value in request.passed_on if value is not False}  # sbatch has no --exclusive=False
    if request.mem_gb:  # submitit would pass on a number with a point, which sbatch refuses
        extra["mem"] = f"{round(request.mem_gb * 1024)}M"
    elif request.mem is not None:
        extra["mem"] = request.mem
    # The tasks need what the script has set, even where a site's rule is to export nothing.
    srun = ["--export=ALL", "--kill-on-bad-exit=1"]
    if request.cpus_per_task:  # srun does not ask sbatch's environment for it since Slurm 22.05
        srun.append(f"--cpus-per-task={request.cpus_per_task}")
    setup = [*_SETUP, *(_checked(request.setup) if request.setup else []), _require_python(request)]
    if request.processes > 1:
        setup.append(f"export BENCH_PORT=$({_python(request)} -m bench.launch.slurm.free_port)")
    return {
        **{key: value for key, value in own.items() if value is not None},
        "time": request.time,
        "job_name": job_name(array.specs),
        "ntasks_per_node": request.tasks,
        "signal_delay_s": request.signal_delay_s or min(_SIGNAL_S, request.time * 15),
        "array_parallelism": at_once,
        "dependency": dependency or None,
        "additional_parameters": extra,
        "srun_args": srun,
        "setup": setup,
        "teardown": _TEARDOWN,
        "wckey": None,
    }


def job_name(specs: Sequence[RunSpec]) -> str:
    """The networks of a job."""
    networks = list(dict.fromkeys(spec.model for spec in specs))
    return "+".join(networks if len(networks) <= 3 else [*networks[:2], str(len(networks) - 2)])


_LONGEST_COMMENT = 1000
"""characters; Slurm takes 1024"""


def _comment(name: str, array: Array) -> str:
    """The submission and its runs, as far as there is room; a task that begins says which of them it is."""
    comment = name
    for spec in array.specs:
        if len(comment) + len(spec.run_id) + 5 > _LONGEST_COMMENT:
            return f"{comment} ..."
        comment += f" {spec.run_id}"
    return comment


_SETUP = [
    f'echo "{failure.BEGINS} on $(hostname)" >&2',
    f"export PYTHONPATH={shlex.quote(str(ROOT))}${{PYTHONPATH:+:$PYTHONPATH}}",
]
_TEARDOWN = [f'code=$?; [ "$code" = 0 ] || echo "{failure.ENDED} $code" >&2; exit "$code"']


def _python(request: SlurmRequest) -> str:
    """The command, as a shell has it, that starts Python on a node."""
    return request.python or shlex.quote(sys.executable)


def _require_python(request: SlurmRequest) -> str:
    """A line that ends the job if the node lacks what starts Python; the user's command may have brought it."""
    program, missing = sys.executable, "Python at "
    remedy = "install the environment where every node sees it, and submit from there"
    if request.python:
        program, missing = shlex.split(request.python)[0], ""
        remedy = "the key python of slurm.toml or --slurm names it, and setup can load it"
    name = shlex.quote(program)
    said = f'"bench: node $(hostname) has no {missing}"{name}"; {remedy}"'
    return f"command -v {name} >/dev/null || {{ echo {said} >&2; exit 127; }}"


def _checked(setup: str) -> list[str]:
    """The user's command, whose failure ends the job, and whose output goes to the log of errors."""
    return [
        "exec 3>&1 1>&2",
        f"trap 'code=$?; trap - EXIT; echo \"{failure.SETUP_ENDED} $code\" >&2; exit $((code ? code : 1))' EXIT",
        "set -e",
        setup,
        "set +e",
        "trap - EXIT",
        "exec 1>&3 3>&-",
    ]


def explained(said: str, request: SlurmRequest, cluster: slurm.Cluster) -> RequestError:
    """Slurm's words, with the choices that it leaves out."""
    partition = request.partition or cluster.default_partition
    if "partition" in said.lower() and partition not in cluster.time_limits:
        names = ", ".join(sorted(cluster.time_limits))
        return RequestError(f"no partition {partition!r} on {cluster.name} (choose from {names})")
    most = cluster.gpus.get(partition, 0)
    if request.gpus_on_each_node > most:
        remedy = f"request at most {most} with gpus_per_node=" if most else "choose a partition with GPUs"
        return RequestError(
            f"a node of partition {partition!r} has {most} GPUs, but {_asked_gpus(request)} was requested; {remedy}"
        )
    if "policy" in said.lower() or "SubmitJob" in said:
        return RequestError(f"Slurm refused: {said}; submit fewer runs at a time with --max-submit N, or request less")
    if "node configuration" in said.lower():
        asked = " ".join(f"{key}={value}" for key, value in request.options().items())
        return RequestError(
            f"no node of partition {partition!r} can provide {asked}: {said}; request less with --slurm"
        )
    return RequestError(f"Slurm refused: {said}; docs/slurm.md explains the options")


def _asked_gpus(request: SlurmRequest) -> str:
    if request.gpus_per_node is None:
        return f"gres={dict(request.passed_on)['gres']}"
    return f"gpus_per_node={request.gpus_per_node}"
