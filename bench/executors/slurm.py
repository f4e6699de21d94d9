"""Runs as job arrays on Slurm, through submitit."""

import contextlib
import dataclasses
import io
import json
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench import slurm, submissions
from bench.job import Job, prepare
from bench.specs import RequestError, Resources, RunSpec
from bench.submissions import Submission

ROOT = Path(__file__).resolve().parents[2]

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
