"""Runs on this machine, a few at a time, through submitit."""

import contextlib
import dataclasses
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import submitit

from bench.entry import Job
from bench.launch.job import prepare
from bench.launch.live import LiveView
from bench.launch.log import cause_of_death, oom_kills
from bench.launch.planner import Action, Decision
from bench.results.files import MACHINE, process_runs
from bench.spec.errors import RequestError
from bench.spec.run import Resources, RunSpec
from bench.spec.text import complain

_LOOK_S, _EAGER_S, _LOOK_SELDOM_S = 0.05, 10.0, 0.5
"""time between two looks at the runs, for so long after one began or ended, and later: each look takes some 3 ms, which
training would rather have"""


@dataclasses.dataclass(slots=True, kw_only=True)
class LocalQueue:
    """Trains runs at most ``max_parallel`` at once, each with its share of the machine's GPUs, or of its cores."""

    todo: Sequence[RunSpec]
    """parents first"""
    decide: Callable[[RunSpec], Decision]
    """asked again when a run's turn comes, since another command may have begun it"""
    runs: Path
    """the folder of all runs"""
    resources: Resources
    max_parallel: int
    ended: Callable[[str], None] = lambda run_id: None
    """told the id of each run that ends, however it does"""
    failures: list[str] = dataclasses.field(default_factory=list, init=False)
    """a line for each run that did not complete"""
    _waiting: list[RunSpec] = dataclasses.field(init=False)
    _active: dict[str, "tuple[submitit.Job[Any], dict[str, str | None]]"] = dataclasses.field(init=False)
    """by run id, with its share"""
    _shares: list[dict[str, str | None]] = dataclasses.field(init=False)
    """that nobody uses"""
    _oom_kills: int = dataclasses.field(default_factory=oom_kills, init=False)
    _refusal: str = dataclasses.field(default="", init=False)
    _stopping: float = dataclasses.field(default=0.0, init=False)
    """when the runs were last asked to stop; 0 if they were not"""

    def train(self) -> list[str]:
        """Train them all; returns ``failures``.

        Raises:
            RequestError: runs cannot be trained as asked.
            KeyboardInterrupt: a signal came; what ran has saved itself.
        """
        from bench.training.signals import Stop

        # submitit starts what it is given at once, so it is given no more than may run; and its two minutes are short.
        executor = submitit.LocalExecutor(_folder_of_logs(self.runs / "jobs"))
        executor.update_parameters(timeout_min=60 * 24 * 365)
        self._waiting, self._active, self._shares = list(self.todo), {}, shares(self.max_parallel)
        changed = time.monotonic()
        with (
            Stop().listening() as stop,
            LiveView(self.runs, self.todo, self.max_parallel) as view,
            self._no_orphans(),
        ):
            while self._waiting or self._active:
                if stop.signal or self._refusal:
                    self._waiting.clear()
                if stop.signal:
                    if not self._stopping:
                        view.stop()
                    self._stop()
                before = set(self._active)
                self._begin(executor, view)
                self._collect(view)
                changed = time.monotonic() if before != set(self._active) else changed
                time.sleep(_LOOK_S if time.monotonic() < changed + _EAGER_S else _LOOK_SELDOM_S)
        if self._refusal:
            raise RequestError(self._refusal)
        if stop.signal:
            for line in self.failures:
                complain(line)
            saved = "" if self.failures else "everything is saved, and "
            raise KeyboardInterrupt(f"interrupted; {saved}the same command resumes it")
        return self.failures

    def _stop(self) -> None:
        """Ask all that run to save and stop; again each second, since one that just starts may miss it."""
        if time.monotonic() - self._stopping > 1:
            self._stopping = time.monotonic()
            self._terminate()

    def _terminate(self) -> None:
        for job, _ in self._active.values():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(job.job_id), signal.SIGTERM)  # submitit's controller hands it on

    @contextlib.contextmanager
    def _no_orphans(self) -> Iterator[None]:
        """Whatever goes wrong here, no run goes on that nobody waits for."""
        try:
            yield
        except BaseException:
            while any(not job.done() for job, _ in self._active.values()):
                self._stop()
                time.sleep(_LOOK_S)
            raise

    def _begin(self, executor: submitit.LocalExecutor, view: LiveView) -> None:
        """Start as many runs as there are shares, but none whose parent has not ended yet."""
        for spec in list(self._waiting):
            if not self._shares:
                return
            if spec.start_from and spec.start_from.run_id in {*self._active, *(each.run_id for each in self._waiting)}:
                continue
            self._waiting.remove(spec)
            decision = self.decide(spec)
            if decision.after:
                self.failures.append(
                    f"{spec.run_id}: not begun: it starts from {decision.after}, which is not completed"
                )
            elif decision.action is Action.BLOCKED:
                self.failures.append(f"{spec.run_id}: {decision.reason}")
            elif decision.action is not Action.SKIP:
                share = self._shares.pop()
                resources = dataclasses.asdict(dataclasses.replace(self.resources, beat_s=1))  # someone watches
                folder = str(prepare(self.runs, spec).resolve())
                with _deaf_to_ctrl_c():
                    job = executor.submit(Job(folder=folder, resources=resources, environment=share))
                self._active[spec.run_id] = job, share
                view.begin(spec, job.paths.stderr)

    def _collect(self, view: LiveView) -> None:
        for run_id, (job, share) in list(self._active.items()):
            ended = job.done()
            view.show(run_id)
            if not ended:
                continue
            view.end(run_id)
            del self._active[run_id]
            self._shares.append(share)
            self.ended(run_id)
            code, line = self._ending(run_id, job)
            if code == 2:
                self._refusal = self._refusal or line
            elif code and not (self._stopping and code == 130):
                self.failures.append(line)

    def _ending(self, run_id: str, job: "submitit.Job[Any]") -> tuple[int, str]:
        """The result of a ``Job``, or the reason why there is none."""
        if not job.paths.result_pickle.exists():
            if self._stopping:  # before it listened to signals, and so before it had begun
                return 130, ""
            cause = self._cause(job.paths.stderr)
            return 1, f"{run_id}: {cause}; the same command resumes it (log: {job.paths.stderr})"
        try:
            code, line = job.result()
        except Exception as error:  # before our code ran: an environment that cannot be imported, say
            return 1, f"{run_id}: {str(error).strip().splitlines()[-1]} (log: {job.paths.stderr})"
        return code, line

    def _cause(self, log: Path) -> str:
        before, self._oom_kills = self._oom_kills, oom_kills()
        if cause := cause_of_death(log):
            return f"its process died: {cause}"
        if self._oom_kills > before:
            return "its process was killed by the kernel because memory ran out"
        return "its process was killed"


KEPT_COMMANDS = 20
"""whose logs stay when another command trains on this machine"""


def _folder_of_logs(jobs: Path) -> Path:
    """A folder for what submitit writes of this command; the oldest ones of commands that are over are removed."""
    found = sorted(jobs.glob("local-*-*"), reverse=True)
    for old in found[KEPT_COMMANDS - 1 :]:
        machine, _, pid = old.name.rpartition("-")
        if machine.endswith(f"-{MACHINE}") and not (pid.isdecimal() and process_runs(int(pid))):
            shutil.rmtree(old, ignore_errors=True)
    return jobs / f"local-{datetime.now():%Y%m%d-%H%M%S}-{MACHINE}-{os.getpid()}"


def shares(count: int) -> list[dict[str, str | None]]:
    """Environments that split this machine's GPUs, or its cores where it has none, into equal shares.

    Submitit would hide all GPUs from a job that asks it for none.

    Raises:
        RequestError: there are fewer of them than shares.
    """
    if count == 1:
        return [{"CUDA_VISIBLE_DEVICES": os.environ.get("CUDA_VISIBLE_DEVICES")}]
    import torch

    gpus = torch.cuda.device_count()
    cores = len(os.sched_getaffinity(0))
    if count > (gpus or cores):
        what = f"{gpus} GPUs" if gpus else f"{cores} cores"
        raise RequestError(f"--max-parallel {count} is more than the {what} of this machine; choose fewer")
    if gpus:
        names = os.environ.get("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(gpus)))).split(",")[:gpus]
        each = gpus // count
        return [{"CUDA_VISIBLE_DEVICES": ",".join(names[i * each : (i + 1) * each])} for i in range(count)]
    if "OMP_NUM_THREADS" in os.environ:
        return [{} for _ in range(count)]
    return [{"OMP_NUM_THREADS": str(cores // count)} for _ in range(count)]


@contextlib.contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """Children started inside ignore Ctrl-C: submitit's controller would kill what has not saved in a second."""
    old = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, old)
