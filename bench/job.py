"""One attempt at a run: its folder in, its record out. Whatever starts it again, it resumes from the folder.

``python -m bench.job FOLDER RESOURCES`` is what torchrun starts on each GPU.
"""

import contextlib
import dataclasses
import importlib.metadata
import json
import os
import platform
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

from bench.run_folder import Fenced, NoSoundCheckpoint, OwnedRun, load_record, now, own
from bench.specs import RequestError, Resources, RunRecord, RunSpec
from bench.stop import Stop
from bench.store import write_atomically

_LIBRARIES = ("torch", "torchvision", "timm", "numpy")


class RunFailed(Exception):
    """The run ended otherwise than completed; one line says how. Its folder is ready for another attempt."""


class RunInterrupted(RunFailed):
    """A signal stopped it; whoever runs several runs stops too."""


def prepare(runs: Path, spec: RunSpec) -> Path:
    """The run's folder, with its spec in it."""
    path = runs / spec.run_id / "spec.json"
    if not path.exists() or path.read_text() != spec.to_json():  # damaged, or a source in other words
        write_atomically(path, spec.to_json())
    return path.parent


def run(folder: Path, resources: Resources) -> None:
    """Train the run of a folder to its end, on every GPU of this machine.

    Raises:
        RequestError: the folder is owned by a live process, or the data do not fit.
        RunFailed: it diverged, was interrupted or failed; the record says so.
    """
    import torch

    gpus = torch.cuda.device_count()
    if gpus > 1:
        run_processes(folder, resources, gpus)
    else:
        attempt(folder, resources)


def run_processes(folder: Path, resources: Resources, processes: int) -> None:
    """Train in several processes of this machine, started by torchrun; a signal here stops them, saved.

    Raises:
        RunFailed: as ``run``.
    """
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    job = ["-m", "bench.job", str(folder), json.dumps(dataclasses.asdict(resources))]
    # In a session of its own: Ctrl-C reaches it once, through us.
    with Stop().listening() as stop, subprocess.Popen([*torchrun, *job], start_new_session=True) as children:
        told = False
        while children.poll() is None:
            if stop.signal and not told:
                children.terminate()  # torchrun hands it on as SIGTERM, at which each process saves and leaves
                told = True
            time.sleep(0.1)
    record = load_record(folder)
    if record and record.status == "interrupted":
        raise RunInterrupted(f"{folder.name}: interrupted; the same command resumes it")
    if children.returncode or record is None or record.status != "completed":
        why = record.error if record and record.error else f"torchrun ended with {children.returncode}"
        raise RunFailed(f"{folder.name}: {why}")


def attempt(folder: Path, resources: Resources) -> None:
    """This process's part in training the run of a folder; joins the others if there are any."""
    try:
        spec = RunSpec.from_json((folder / "spec.json").read_text())
    except (OSError, ValueError) as error:
        raise RunFailed(f"{folder / 'spec.json'}: {' '.join(str(error).split())}") from error

    from bench import trainer
    from bench.watch import watch

    with Stop().listening() as stop, trainer.world() as here:
        if not here.leads:
            # The first process says why a run ends.
            with contextlib.suppress(trainer.Diverged, trainer.Interrupted, trainer.Unreadable):
                trainer.Training(spec, resources, here, None, None, _Nothing(), stop).train()
            return
        with _fenced_is_failed(), own(folder) as owned:
            record = _begin(owned, spec)
            seen = watch(spec.run_id)
            try:
                trainer.Training(spec, resources, here, owned, record, seen, stop).train()
            except Fenced:
                raise
            except trainer.Interrupted as error:
                why = RunInterrupted(f"{record.run_id}: interrupted: {error}; the same command resumes it")
                _end(owned, record, "interrupted", str(error), raises=why)
            except trainer.Diverged as error:
                _end(owned, record, "diverged", str(error))
            except (RequestError, trainer.Unreadable, NoSoundCheckpoint) as error:
                _end(owned, record, "failed", str(error), raises=error if isinstance(error, RequestError) else None)
            except OSError as error:
                _end(owned, record, "failed", f"{error.filename or 'writing'}: {error.strerror or error}")
            except Exception as error:  # a GPU out of memory, a dead loader: one line here, the rest in a file
                write_atomically(folder / "traceback.txt", traceback.format_exc())
                first = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
                _end(owned, record, "failed", f"{first} (see {folder / 'traceback.txt'})")
            else:
                _end(owned, record, "completed", "")
            finally:
                seen.close()


@contextlib.contextmanager
def _fenced_is_failed() -> Iterator[None]:
    """Whenever a newer owner shows up, in training or while the record is written, the attempt is over."""
    try:
        yield
    except Fenced as error:
        raise RunFailed(str(error)) from error


class _Nothing:
    """Watches for a process that does not talk."""

    def step(self, *, epoch: int, step: int, steps: int, loss: float, images_per_s: float) -> None: ...

    def epoch(self, line: dict[str, float], *, images_per_s: float, epochs: int) -> None: ...

    def note(self, text: str) -> None: ...


def _begin(owned: OwnedRun, spec: RunSpec) -> RunRecord:
    try:
        record = load_record(owned.folder)
    except ValueError as error:
        raise RequestError(f"{error}; restore the record, or remove the run's folder to train it anew") from error
    if record is None:
        record = RunRecord(run_id=spec.run_id, spec=spec.identity(), status="running", history=[], git={}, versions={})
    elif record.status == "running":
        record.history.append({"what": "killed", "when": now(), "note": "found running without a process"})
    record.status, record.error = "running", ""
    record.git = _git()
    record.versions = {"python": platform.python_version()} | {
        name: importlib.metadata.version(name) for name in _LIBRARIES
    }
    _note(owned, record, "running", "")
    return record


def _end(owned: OwnedRun, record: RunRecord, status: str, why: str, raises: Exception | None = None) -> None:
    record.status = status
    record.error = why if status in ("failed", "diverged") else ""
    _note(owned, record, status, why)
    if status != "completed":
        raise raises or RunFailed(f"{record.run_id}: {status}: {why}")


def _note(owned: OwnedRun, record: RunRecord, what: str, why: str) -> None:
    event: dict[str, object] = {"what": what, "when": now(), "host": socket.gethostname(), "pid": os.getpid()}
    record.history.append(event | {"attempt": owned.attempt, "epoch": record.epoch} | ({"note": why} if why else {}))
    owned.save_record(record)


def _git() -> dict[str, object]:
    root = Path(__file__).resolve().parent.parent

    def git(*arguments: str) -> str:
        return subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True).stdout

    try:
        return {"commit": git("rev-parse", "HEAD").strip(), "dirty": bool(git("status", "--porcelain").strip())}
    except (OSError, subprocess.CalledProcessError):
        return {}


if __name__ == "__main__":
    try:
        attempt(Path(sys.argv[1]), Resources(**json.loads(sys.argv[2])))
    except (RunFailed, RequestError, OSError) as error:
        print(f"bench.job: {error}", file=sys.stderr)
        sys.exit(1)
