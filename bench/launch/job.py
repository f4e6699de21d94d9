"""One attempt at a run: its folder in, its record out. Whatever starts it again, it resumes from the folder.

``execute`` is a job's whole work. ``python -m bench.launch.job FOLDER RESOURCES`` is what torchrun starts on each GPU.
"""

import contextlib
import dataclasses
import datetime
import faulthandler
import json
import os
import signal
import socket
import sys
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.launch import failure
from bench.launch.slurm import own_job
from bench.launch.slurm.free_port import first_choice
from bench.results.event import Event
from bench.results.files import CorruptFile, write_atomically
from bench.results.progress import Progress
from bench.results.provenance import TRAINING_LIBRARIES, checkout, versions_of
from bench.results.record import RunRecord
from bench.results.run_folder import (
    Fenced,
    NoSoundCheckpoint,
    OwnedRun,
    Owner,
    RunBusy,
    checkpoints,
    final_checkpoint,
    given_file,
    last_owner,
    load_record,
    now,
    own,
    recovered_record,
    was_saved,
)
from bench.results.spec_file import load_spec, save_spec
from bench.spec.errors import RequestError
from bench.spec.run import Resources, RunSpec
from bench.spec.text import one_line, without_folders

if TYPE_CHECKING:
    from bench.training.signals import Stop


class RunFailed(Exception):
    """The run ended otherwise than completed; one line says how. Its folder is ready for another attempt."""


class RunInterrupted(RunFailed):
    """A signal stopped it, after it had saved itself."""

    def __init__(self, line: str, received: signal.Signals) -> None:
        super().__init__(line)
        self.signal = received


def execute(
    folder: Path,
    resources: Mapping[str, Any],
    environment: Mapping[str, str | None],
    estimated_gpu_hours: float | None = None,
) -> tuple[int, str]:
    """Train as a job; on Slurm as one of its tasks, and back into the queue if Slurm took the node away.

    Args:
        folder: of the run.
        resources: ``Resources`` as JSON has them, perhaps those of another version.
        environment: variables to set, or with None to remove, before torch is imported.
        estimated_gpu_hours: expected of the run, for its record.

    Returns:
        The exit code, as ``run_all.py`` has them, and a line on what went wrong; 0 and nothing once completed.

    Raises:
        SystemExit: what it would return were not 0, on Slurm, where other jobs may wait for this one's success.
    """
    for name, value in environment.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    faulthandler.enable()  # a crash in a library of C is a line of the log
    from bench.training.signals import Stop

    on_slurm = os.environ.get("SUBMITIT_EXECUTOR") == "slurm"
    received = None
    with Stop().listening() as stop:  # before torch is imported, which takes seconds
        try:
            if on_slurm:
                _join_tasks()
                with failure.noted(folder, RunFailed, RunBusy):  # before training begins, too
                    attempt(folder, _resources(resources), stop, estimated_gpu_hours)
            else:
                run(folder, _resources(resources), stop)
            return 0, ""
        except RunInterrupted as error:
            ending, received = (130, str(error)), error.signal
        except (RunFailed, RunBusy) as error:
            ending = 1, str(error)
        except RequestError as error:
            ending = 2, str(error)
        except OSError as error:
            ending = 1, f"{error.filename or 'writing'}: {error.strerror or error}"
        _say(ending[1])
        if on_slurm:
            if received and own_job.wants_requeue(received):
                _say(_stands_still(folder, received) or own_job.requeue())
            sys.exit(ending[0])
        return ending


def _resources(values: Mapping[str, Any]) -> Resources:
    try:
        return Resources(**values)
    except TypeError as error:
        why = str(error).partition("() ")[2].removeprefix("got an ")
        raise RequestError(
            f"this job was submitted by another version of t2t-bench ({why}); submit the run again"
        ) from error


def _stands_still(folder: Path, received: signal.Signals) -> str:
    """A line, if the job met its time limit in the same place for the third time: it would for ever."""
    record = _sound_record(folder)
    if record is None or received != signal.SIGUSR2 or own_job.is_preempted():
        return ""
    places: list[str] = []  # of the interruptions, since this job began
    for event in record.events:
        if event.what == "running" and event.job != _job(folder.parent).get("job", ""):
            places.clear()
        elif event.what == "interrupted":
            places.append(event.note)
    if len(places) < 3 or len(set(places[-3:])) > 1:
        return ""
    return f"the run made no progress between three time limits ({places[-1]}); give it more time with --slurm time="


def _join_tasks() -> None:
    """Tell torch of the job's other tasks."""
    from submitit.helpers import TorchDistributedEnvironment

    # Submitit would draw a port among those that the kernel hands to anyone. Scripts from before BENCH_PORT lack it.
    os.environ["MASTER_PORT"] = os.environ.get("BENCH_PORT") or str(first_choice())
    TorchDistributedEnvironment().export(set_cuda_visible_devices=False, overwrite=True)


def _say(line: str) -> None:
    print(f"bench: {line}", file=sys.stderr, flush=True)


def prepare(runs: Path, spec: RunSpec) -> Path:
    """The run's folder, with its spec in it."""
    save_spec(runs / spec.run_id, spec)
    return runs / spec.run_id


def run(folder: Path, resources: Resources, stop: "Stop") -> None:
    """Train the run of a folder to its end, on every GPU of this machine.

    Raises:
        RequestError: the folder is owned by a live process, or the data do not fit.
        RunFailed: it diverged, was interrupted or failed; the record says so.
    """
    import torch

    gpus = torch.cuda.device_count()
    if gpus > 1:
        run_processes(folder, resources, gpus, stop)
    else:
        attempt(folder, resources, stop)


def run_processes(folder: Path, resources: Resources, processes: int, stop: "Stop") -> None:
    """Train in several processes of this machine, started by torchrun; a signal here stops them, saved.

    Raises:
        RequestError: as ``run``.
        RunFailed: likewise.
    """
    from bench.training.torchrun import torchrun

    before = _sound_record(folder)
    code = torchrun(["bench.launch.job", str(folder), json.dumps(dataclasses.asdict(resources))], processes, stop)
    record = _sound_record(folder)
    if record and record.status == "interrupted":
        received = signal.Signals(stop.signal or signal.SIGTERM)
        raise RunInterrupted(f"{folder.name}: interrupted; the same command resumes it", received)
    if record and record.events[-1].refused and (before is None or record.history != before.history):
        raise RequestError(record.error)
    if code or record is None or record.status != "completed":
        why = record.error if record and record.error else f"torchrun exited with code {code}"
        raise RunFailed(f"{folder.name}: {why}")


def _sound_record(folder: Path) -> RunRecord | None:
    try:
        return load_record(folder)
    except CorruptFile:
        return None


def attempt(folder: Path, resources: Resources, stop: "Stop", estimated_gpu_hours: float | None = None) -> None:
    """This process's part in training the run of a folder; joins the others if there are any.

    Raises:
        RequestError: the folder is owned by a live process, the data do not fit, or what it starts from is not there.
        RunFailed: as ``run``.
    """
    try:
        spec = load_spec(folder)
    except FileNotFoundError as error:
        raise RunFailed(f"{folder / 'spec.json'}: {error.strerror}") from error
    except CorruptFile as error:
        raise RunFailed(str(error)) from error

    from bench.launch.follow import following
    from bench.launch.watch import Lines
    from bench.training import trainer
    from bench.training.distributed import world

    with world() as here:
        if not here.leads:
            # The first process says why a run ends.
            expected = trainer.Diverged, trainer.Interrupted, trainer.Unreadable
            with contextlib.suppress(*expected), failure.noted(folder, *expected):
                trainer.Training(spec, resources, here, None, None, None, _Nothing(), stop).train()
            return
        weights = None
        if not was_saved(folder):  # without what it starts from the run has not even begun
            if spec.start_from:
                weights = final_checkpoint(folder.parent / spec.start_from.run_id)
            elif spec.weights:
                weights = given_file(spec.weights, resources.files, "--weights")
        previous = last_owner(folder)
        with (
            _fenced_is_failed(),
            own(folder, resources.beat_s) as owned,
            Lines(spec.run_id) as lines,
            following(owned, resources.log, lines.note),
        ):
            record = _begin(owned, spec, previous, resources.command, estimated_gpu_hours)
            try:
                with failure.noted(folder, trainer.Diverged, trainer.Interrupted, Fenced):
                    trainer.Training(spec, resources, here, weights, owned, record, lines, stop).train()
            except Fenced:
                raise
            except trainer.Interrupted as error:
                line = f"{record.run_id}: interrupted: {error}; the same command resumes it"
                _end(owned, record, "interrupted", str(error), raises=RunInterrupted(line, error.signal))
            except trainer.Diverged as error:
                _end(owned, record, "diverged", str(error))
            except (RequestError, trainer.Unreadable, NoSoundCheckpoint) as error:
                _end(owned, record, "failed", str(error), raises=error if isinstance(error, RequestError) else None)
            except OSError as error:
                _end(owned, record, "failed", f"{error.filename or 'writing'}: {error.strerror or error}")
            except Exception as error:  # a GPU out of memory, a dead loader: one line here, the rest in a file
                write_atomically(folder / "traceback.txt", traceback.format_exc())
                _end(owned, record, "failed", f"{failure.one_line(error)} (see {folder / 'traceback.txt'})")
            else:
                _end(owned, record, "completed", "")


@contextlib.contextmanager
def _fenced_is_failed() -> Iterator[None]:
    """Whenever a newer owner shows up, in training or while the record is written, the attempt is over."""
    try:
        yield
    except Fenced as error:
        raise RunFailed(str(error)) from error


class _Nothing:
    """Watches for a process that does not talk."""

    def progress(self, progress: Progress) -> None: ...

    def epoch(self, line: dict[str, float], *, images_per_s: float, epochs: int) -> None: ...

    def note(self, text: str) -> None: ...


def _begin(
    owned: OwnedRun, spec: RunSpec, previous: Owner | None, command: str, estimated_gpu_hours: float | None
) -> RunRecord:
    try:
        record, is_edited = load_record(owned.folder), False
    except CorruptFile as error:
        record, is_edited = recovered_record(owned.folder), True
        if record is None:
            raise RequestError(str(error)) from error
    if record is None:
        record = RunRecord(run_id=spec.run_id, spec=spec.identity(), status="running", history=[], git={}, versions={})
    elif record.status == "running":
        until, lost_s = _lost(owned, previous)
        note = "its record said running, but its process was gone"
        record.add(Event(what="killed", when=now(), note=note, until=until, lost_s=lost_s))
    if is_edited:
        record.add(Event(what="edited record", when=now(), note="its checksum did not match"))
    record.run_id, record.spec = spec.run_id, spec.identity()
    record.status, record.error = "running", ""
    record.command = command or record.command
    record.git = checkout()
    record.versions = versions_of(TRAINING_LIBRARIES)
    failure.forget_others(owned.folder)
    facts = own_job.introduce(spec.model, spec.run_id) if os.environ.get("SUBMITIT_EXECUTOR") == "slurm" else {}
    facts |= {} if estimated_gpu_hours is None else {"estimated_gpu_hours": estimated_gpu_hours}
    _note(owned, record, "running", "", **facts)
    return record


def _lost(owned: OwnedRun, previous: Owner | None) -> tuple[str, float | None]:
    """The last sign of life of the attempt before this one, and how much of its time has to be trained again."""
    if previous is None:
        return "", None
    until = datetime.datetime.fromtimestamp(previous.last_beat, datetime.UTC).isoformat(timespec="seconds")
    newest = next(iter(checkpoints(owned.folder)), None)
    try:
        saved = newest.stat().st_mtime if newest else datetime.datetime.fromisoformat(previous.since).timestamp()
    except (OSError, ValueError):
        return until, None
    return until, round(max(0.0, previous.last_beat - saved), 1)


def _end(owned: OwnedRun, record: RunRecord, status: str, why: str, raises: Exception | None = None) -> None:
    if status == "failed":
        why = failure.of_another_process(owned.folder) or why
    told = one_line(without_folders(why, [owned.folder.parent]))  # others read the record, and the line here alone
    record.status = status
    record.error = told if status in ("failed", "diverged") else ""
    _note(owned, record, status, told, **({"refused": True} if isinstance(raises, RequestError) else {}))
    if status != "completed":
        try:
            raise raises or RunFailed(f"{record.run_id}: {status}: {why}")
        finally:
            # Its traceback has this frame, and in such a cycle it would keep the loading processes, which heed no
            # signal, until the interpreter ends and waits for them.
            del raises


def _note(owned: OwnedRun, record: RunRecord, what: str, why: str, **more: object) -> None:
    event: dict[str, object] = {"what": what, "when": now(), "host": socket.gethostname(), "pid": os.getpid()}
    event |= {"attempt": owned.attempt, "epoch": record.epoch} | ({"note": why} if why else {}) | more
    if what == "running":
        event |= _job(owned.folder.parent)
    record.history.append(event)
    owned.save_record(record)


def _job(runs: Path) -> dict[str, object]:
    """The job's id, node and log (below the folder of runs) if submitit started it; empty otherwise."""
    if "SUBMITIT_EXECUTOR" not in os.environ:
        return {}
    from submitit import JobEnvironment

    here = JobEnvironment()
    log = os.path.relpath(here.paths.stderr, runs)
    return {"job": here.job_id, "node": os.environ.get("SLURMD_NODENAME", here.hostname), "log": log}


if __name__ == "__main__":
    from bench.training.signals import Stop

    faulthandler.enable()
    try:
        with Stop().listening() as stop:
            attempt(Path(sys.argv[1]), Resources(**json.loads(sys.argv[2])), stop)
    except (RunFailed, RequestError, OSError) as error:
        _say(str(error))
        sys.exit(1)
