"""Where runs go: to Slurm as job arrays, or to this machine, a few at a time; both through submitit."""

import contextlib
import dataclasses
import io
import json
import os
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import slurm, submissions
from bench.job import Job, prepare
from bench.planner import Action, Decision
from bench.specs import RequestError, Resources, RunSpec
from bench.stop import Stop
from bench.submissions import Submission

if TYPE_CHECKING:
    from bench.progress import Progress

ROOT = Path(__file__).resolve().parent.parent

_SIGNAL_S = 300
"""ahead of the time limit: a signal waits for the end of a validation"""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Array:
    """Runs that ask Slurm for the same, and wait for the same run."""

    specs: tuple[RunSpec, ...]
    shape: Mapping[str, object]
    """as ``Settings.shape`` has it, with a time"""
    parent: str = ""
    """id of the run that all of them start from, and wait for"""


def arrays(
    todo: Sequence[RunSpec], waits_for: Mapping[str, str], shape: Callable[[RunSpec], Mapping[str, object]], most: int
) -> list[Array]:
    """Runs grouped into as few arrays as their shapes, parents and Slurm's limit allow; parents come first.

    Args:
        todo: the runs, parents first.
        waits_for: by run id, the id of the run that it must wait for; others need not wait.
        shape: what a run asks for.
        most: tasks that one array may have.
    """
    groups: dict[str, list[RunSpec]] = {}
    shapes: dict[str, tuple[Mapping[str, object], str]] = {}
    for spec in todo:
        parent = waits_for.get(spec.run_id, "")
        key = json.dumps([shape(spec), parent], sort_keys=True)
        groups.setdefault(key, []).append(spec)
        shapes[key] = shape(spec), parent
    return [
        Array(specs=tuple(specs[i : i + most]), shape=shapes[key][0], parent=shapes[key][1])
        for key, specs in groups.items()
        for i in range(0, len(specs), most)
    ]


def submit(
    planned: Sequence[Array],
    *,
    runs: Path,
    resources: Resources,
    cluster: slurm.Cluster,
    max_parallel: int | None,
    tasks: dict[str, str],
) -> Iterator[tuple[Array, Submission]]:
    """Hand arrays to Slurm, one after another; each is on disk before the next is tried.

    Args:
        planned: from ``arrays``.
        runs: the folder of all runs.
        resources: of each.
        cluster: where.
        max_parallel: runs at once, shared between the arrays by their size, at least one each.
        tasks: Slurm's ids by run id, of runs that are alive already; those submitted here are added.

    Raises:
        RequestError: Slurm refuses, with its reason and the remedy; what was submitted before stays.
    """
    total = sum(len(array.specs) for array in planned)
    for array in planned:
        share = max(1, max_parallel * len(array.specs) // total) if max_parallel else len(array.specs)
        ids = tuple(spec.run_id for spec in array.specs)
        submission = submissions.begin(cluster.name, ids, dict(array.shape))
        submissions.save(runs, submission)
        jobs = [Job(str(prepare(runs, spec).resolve()), resources) for spec in array.specs]
        folder = (runs / "jobs" / submission.name).resolve()
        parameters = _parameters(array, submission.name, share, tasks.get(array.parent, ""))
        try:
            with _outside_of_any_job():
                job = _sbatch(folder, parameters, jobs)
        except RequestError as refused:
            submissions.drop(runs, submission)
            raise _explained(refused, array.shape, cluster) from None
        submission = dataclasses.replace(submission, job=job)
        submissions.save(runs, submission)
        tasks |= {run_id: submission.task(run_id) for run_id in ids}
        yield array, submission


def _parameters(array: Array, name: str, share: int, parent_task: str) -> dict[str, Any]:
    """As submitit's SlurmExecutor takes them."""
    shape = dict(array.shape)
    limit = int(str(shape["time"]))
    # torch counts one process a GPU; the extra options are those that submitit has no name for.
    tasks = shape.pop("tasks_per_node", shape.get("gpus_per_node") or 1)
    extra: dict[str, object] = {"requeue": True, "kill-on-invalid-dep": "yes"}
    extra |= {key: shape.pop(key) for key in ("reservation",) if key in shape}
    setup = [str(shape.pop("setup"))] if "setup" in shape else []
    srun = ["--kill-on-bad-exit=1"]
    if "cpus_per_task" in shape:  # srun does not ask sbatch's environment for it since Slurm 22.05
        srun.append(f"--cpus-per-task={shape['cpus_per_task']}")
    if "mem_gb" in shape:
        shape["mem"] = shape.pop("mem_gb")
    return {
        **shape,
        "job_name": name,
        "ntasks_per_node": tasks,
        "signal_delay_s": shape.get("signal_delay_s", min(_SIGNAL_S, limit * 15)),
        "array_parallelism": share,
        "dependency": f"afterok:{parent_task}" if parent_task else None,
        "additional_parameters": extra,
        "srun_args": srun,
        "setup": [*setup, *_SETUP],
        "wckey": None,
    }


_PYTHON = shlex.quote(sys.executable)
_SETUP = [
    f"export PYTHONPATH={shlex.quote(str(ROOT))}${{PYTHONPATH:+:$PYTHONPATH}}",
    f'[ -x {_PYTHON} ] || {{ echo "bench: node $(hostname) has no Python at "{_PYTHON}"; install the environment where '
    'every node sees it, and submit from there" >&2; exit 127; }',
]


def _sbatch(folder: Path, parameters: Mapping[str, Any], jobs: Sequence[Job]) -> str:
    import submitit
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    try:
        # Requeues after a time limit are counted by submitit, and a run of weeks may need many.
        executor = submitit.SlurmExecutor(folder, max_num_timeout=10_000)
        executor.update_parameters(**parameters)
        with contextlib.redirect_stderr(io.StringIO()), executor.batch():  # submitit repeats what sbatch says
            submitted = [executor.submit(job) for job in jobs]
    except (FailedJobError, FailedSubmissionError) as error:
        said = str(error).partition("stderr:")[2] or str(error)
        raise RequestError(slurm.plain(said)) from None
    return str(submitted[0].job_id).partition("_")[0]


@contextlib.contextmanager
def _outside_of_any_job() -> Iterator[None]:
    """Where a job of Slurm's submits, the new one must not inherit what the old one was given."""
    if "SLURM_JOB_ID" not in os.environ:
        yield
        return
    from submitit.helpers import clean_env

    where = {name: os.environ[name] for name in ("SLURM_CONF",) if name in os.environ}
    with clean_env():
        os.environ.update(where)
        yield


def _explained(refused: RequestError, shape: Mapping[str, object], cluster: slurm.Cluster) -> RequestError:
    """Slurm's words, with the choices that it keeps to itself."""
    said = str(refused)
    partition = str(shape.get("partition", cluster.default_partition))
    if "partition" in said.lower() and partition not in cluster.time_limits:
        names = ", ".join(sorted(cluster.time_limits))
        return RequestError(f"no partition {partition!r} on {cluster.name} (choose from {names})")
    if "node configuration" in said.lower():
        asked = ", ".join(f"{key}={value}" for key, value in shape.items())
        return RequestError(
            f"no node of partition {partition!r} can give {asked} (a node has at most {cluster.gpus.get(partition, 0)} "
            f"GPUs): {said}; ask for less with --slurm, as in gpus_per_node={max(1, cluster.gpus.get(partition, 0))}"
        )
    return RequestError(f"Slurm refused: {said}; see --slurm in README.md, or slurm.toml")


def run_here(
    todo: Sequence[RunSpec],
    decide: Callable[[RunSpec], Decision],
    progress: "Progress",
    *,
    runs: Path,
    resources: Resources,
    max_parallel: int,
) -> list[str]:
    """Train on this machine, at most ``max_parallel`` runs at once, each with its share of GPUs or cores.

    Args:
        todo: the runs, parents first.
        decide: asked again when a run's turn comes, since another command may have begun it.
        progress: shows how the runs stand.
        runs: the folder of all runs.
        resources: of each.
        max_parallel: runs at once.

    Returns:
        A line for each run that did not complete.

    Raises:
        RequestError: no run can be trained as asked.
        KeyboardInterrupt: a signal came; all runs have saved themselves.
    """
    import submitit

    resources = dataclasses.replace(resources, beat_s=1)  # someone watches
    shares = _shares(max_parallel)
    folder = runs / "jobs" / f"local-{datetime.now():%Y%m%d-%H%M%S}-{os.getpid()}"
    executor = submitit.LocalExecutor(folder)
    executor.update_parameters(timeout_min=60 * 24 * 365)  # submitit's two minutes are for tests

    waiting = list(todo)
    active: dict[str, tuple[submitit.Job[Any], dict[str, str]]] = {}
    failures: list[str] = []
    refusal = interrupted = ""
    with Stop().listening() as stop, progress:
        while waiting or active:
            if (stop.signal or refusal) and waiting:
                waiting.clear()
            if stop.signal and not interrupted:
                interrupted = "interrupted; the same command resumes what was begun"
                for job, _ in active.values():
                    os.kill(int(job.job_id), signal.SIGTERM)  # submitit's controller hands it on
            for spec in list(waiting):
                if not shares:
                    break
                if spec.start_from and spec.start_from.run_id in {*active, *(s.run_id for s in waiting)}:
                    continue
                waiting.remove(spec)
                parent = spec.start_from
                if parent and not decide(parent).completed:
                    failures.append(f"{spec.run_id}: not begun: it starts from {parent.run_id}, which is not completed")
                    continue
                decision = decide(spec)
                if decision.action is Action.BLOCKED:
                    failures.append(f"{spec.run_id}: blocked: {decision.reason}")
                elif decision.action is not Action.SKIP:
                    share = shares.pop()
                    task = Job(str(prepare(runs, spec).resolve()), resources, share)
                    with _deaf_to_ctrl_c():
                        active[spec.run_id] = executor.submit(task), share
                    progress.begin(spec, active[spec.run_id][0].paths.stderr)
            for run_id, (job, share) in list(active.items()):
                ended = job.done()
                progress.show(run_id)
                if not ended:
                    continue
                del active[run_id]
                shares.append(share)
                progress.end(run_id)
                code, line = _ending(run_id, job)
                if code == 2:
                    refusal = refusal or line
                elif code == 130:
                    interrupted = line
                elif code:
                    failures.append(line)
            time.sleep(0.05)
    if refusal:
        raise RequestError(refusal)
    if interrupted:
        raise KeyboardInterrupt(interrupted)
    return failures


def _ending(run_id: str, job: Any) -> tuple[int, str]:
    if not job.paths.result_pickle.exists():
        return 1, f"{run_id}: its process was killed; the same command resumes it (log: {job.paths.stderr})"
    try:
        code, line = job.result()
    except Exception as error:  # before our code ran: an environment that cannot be imported, say
        last = str(error).strip().splitlines()[-1]
        return 1, f"{run_id}: {last} (log: {job.paths.stderr})"
    return code, line


def _shares(max_parallel: int) -> list[dict[str, str]]:
    """Environments that split this machine's GPUs, or its cores where it has none, between ``max_parallel`` runs."""
    import torch

    gpus = torch.cuda.device_count()
    cores = len(os.sched_getaffinity(0))
    if max_parallel > (gpus or cores):
        what = f"{gpus} GPUs" if gpus else f"{cores} cores"
        raise RequestError(f"--max-parallel {max_parallel} is more than the {what} of this machine; choose fewer")
    if gpus:
        names = os.environ.get("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(gpus)))).split(",")[:gpus]
        each = gpus // max_parallel
        return [{"CUDA_VISIBLE_DEVICES": ",".join(names[i * each : (i + 1) * each])} for i in range(max_parallel)]
    if "OMP_NUM_THREADS" in os.environ:
        return [{} for _ in range(max_parallel)]
    return [{"OMP_NUM_THREADS": str(cores // max_parallel)} for _ in range(max_parallel)]


@contextlib.contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """Children started inside ignore Ctrl-C: it reaches them through us, once, as a request to save."""
    old = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, old)
