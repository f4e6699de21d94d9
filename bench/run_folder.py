"""A run's folder: who owns it, what it remembers, and checkpoints that are sound or not used.

``<runs>/<run_id>/`` holds spec.json, record.json, metrics.jsonl, owner.json and
``checkpoints/epoch-EEEEE-step-SSSSSSS.pt`` with a ``.sha256`` beside each.

One process owns a folder at a time. A kernel lock (flock) keeps out a second process of the same machine and dies
with its owner. A token in owner.json, new with each owner, keeps out an older copy wherever it runs: every write is
preceded by a look at the token, and a copy that finds another one stops without writing. Where the file system shares
no locks between machines, a heartbeat (the age of owner.json) tells a live owner from a dead one.
"""

import contextlib
import dataclasses
import datetime
import fcntl
import hashlib
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.specs import RequestError, RunRecord
from bench.store import replace, write_atomically

HEARTBEAT_S = 15.0
"""an owner touches owner.json this often; one on another machine is dead after three missed beats"""

SETTLE_S = 0.3
"""after which a process that claimed a folder looks whether another one claimed it at the same moment"""

KEPT_CHECKPOINTS = 2


class RunBusy(RequestError):
    """Another process owns the run's folder."""


class Fenced(Exception):
    """A newer owner has taken the run's folder: this copy must not write any more."""


class NoSoundCheckpoint(Exception):
    """Checkpoints are there, and none is sound: starting from zero would hide that."""


def now() -> str:
    """UTC, ISO 8601, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def load_record(folder: Path) -> RunRecord | None:
    """A run's record, or None where there is none.

    Raises:
        ValueError: the file is not a whole record.
    """
    path = folder / "record.json"
    try:
        return RunRecord(**json.loads(path.read_text()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"{path}: {error}") from error


class OwnedRun:
    """A run's folder in the hands of this process; made by ``own``."""

    def __init__(self, folder: Path, attempt: int) -> None:
        self.folder = folder
        self.attempt = attempt
        """counts the owners, as far as owner.json remembers them"""
        self.token = uuid.uuid4().hex

    def check(self) -> None:
        """Before every write.

        Raises:
            Fenced: the token on disk is not ours.
        """
        owner = _read_owner(self.folder)
        if owner.get("token") != self.token:
            raise Fenced(
                f"{self.folder.name}: a newer process owns the run (pid {owner.get('pid', '?')} on "
                f"{owner.get('host', '?')}); this one, pid {os.getpid()}, stops without writing"
            )

    def save_record(self, record: RunRecord) -> None:
        """Write record.json whole."""
        self._write("record.json", json.dumps(dataclasses.asdict(record), indent=2) + "\n")

    def save_lines(self, name: str, lines: list[Mapping[str, object]]) -> None:
        """Write a JSON-lines file whole, so that no line of an abandoned attempt survives."""
        self._write(name, "".join(json.dumps(line) + "\n" for line in lines))

    def _write(self, name: str, text: str) -> None:
        self.check()
        write_atomically(self.folder / name, text)

    def save_checkpoint(self, epoch: int, step: int, content: bytes | memoryview) -> Path:
        """Save a checkpoint with its checksum, and drop all but the newest two.

        The checksum lands before the checkpoint: a process killed in between leaves a checksum without a
        file, never a file without a checksum.

        Raises:
            OSError: no room, for example; the checkpoints that were there stay.
        """
        folder = self.folder / "checkpoints"
        folder.mkdir(exist_ok=True)
        path = folder / f"epoch-{epoch:05d}-step-{step:07d}.pt"
        temporary = folder / f".{path.name}.tmp"
        self.check()
        for stale in folder.glob(".*.tmp"):
            stale.unlink()
        try:
            with temporary.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            self.check()
            write_atomically(_checksum_path(path), f"{hashlib.sha256(content).hexdigest()}  {path.name}\n")
            replace(temporary, path)
            (self.folder / "saved").touch()
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        self.check()
        for old in checkpoints(self.folder)[KEPT_CHECKPOINTS:]:
            old.unlink()
            _checksum_path(old).unlink(missing_ok=True)
        return path

    def newest_sound_checkpoint(self) -> tuple[Path | None, list[str]]:
        """The newest checkpoint whose checksum holds, and a line on each newer one that is not sound.

        The unsound ones are set aside under another name, so that they neither count as kept nor get lost.

        Raises:
            NoSoundCheckpoint: there are checkpoints, and no sound one.
        """
        problems: list[str] = []
        unsound: list[Path] = []
        for path in checkpoints(self.folder):
            problem = _unsound(path)
            if not problem:
                self.check()
                for bad in unsound:
                    bad.replace(bad.with_suffix(".unsound"))
                    _checksum_path(bad).unlink(missing_ok=True)
                return path, problems
            unsound.append(path)
            problems.append(f"{path.name}: {problem}")
        if not problems and (self.folder / "saved").exists():
            problems.append("there were some, and they are gone")
        if problems:
            raise NoSoundCheckpoint(
                f"no sound checkpoint in {self.folder / 'checkpoints'} ({'; '.join(problems)}); restore one, or remove "
                "the run's folder to train it anew"
            )
        return None, problems


def checkpoints(folder: Path) -> list[Path]:
    """A run's checkpoints, newest first."""
    found = (folder / "checkpoints").glob("epoch-*-step-*.pt")
    return sorted(found, key=lambda path: [int(part) for part in path.stem.split("-")[1::2]], reverse=True)


def _checksum_path(checkpoint: Path) -> Path:
    return checkpoint.with_suffix(".pt.sha256")


def _unsound(path: Path) -> str:
    """Why a checkpoint is not sound; empty if it is."""
    try:
        expected = _checksum_path(path).read_text().split()[0]
    except (OSError, IndexError, UnicodeDecodeError):
        return "its checksum is missing"
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    return "" if found == expected else f"checksum {found[:8]} is not the recorded {expected[:8]}"


@contextlib.contextmanager
def own(folder: Path) -> Iterator[OwnedRun]:
    """Own a run's folder, made if need be, until the block ends.

    Raises:
        RunBusy: a live process owns it, named by host and pid.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _busy(folder, _read_owner(folder)) from None
        owner = _read_owner(folder)
        if _alive_elsewhere(folder, owner):
            raise _busy(folder, owner)
        run = OwnedRun(folder, int(owner.get("attempt", 0)) + 1)
        _write_owner(run, released=False)
        time.sleep(SETTLE_S)
        owner = _read_owner(folder)
        if owner.get("token") != run.token:
            raise _busy(folder, owner)
        for stale in folder.glob(".*.tmp"):  # of an owner that was killed
            stale.unlink(missing_ok=True)
        stop = threading.Event()
        heart = threading.Thread(target=_beat, args=(run, stop), daemon=True)
        heart.start()
        try:
            yield run
        finally:
            stop.set()
            heart.join()
            with contextlib.suppress(Fenced, OSError):  # a full disk: the lock's end says enough on this machine
                run.check()
                _write_owner(run, released=True)


def _busy(folder: Path, owner: Mapping[str, Any]) -> RunBusy:
    return RunBusy(
        f"run {folder.name} is being trained by pid {owner.get('pid', '?')} on {owner.get('host', '?')} since "
        f"{owner.get('since', '?')}; wait for it, or stop that process and give the same command again"
    )


def _alive_elsewhere(folder: Path, owner: Mapping[str, Any]) -> bool:
    """Whether the last owner is on another machine and its heart beats; waits for a beat if need be.

    A job that Slurm reruns on another node comes seconds after its predecessor died.
    """
    if not owner or owner.get("released") or owner.get("host") == socket.gethostname():
        return False  # on this machine the kernel's lock has answered already
    path = folder / "owner.json"
    last = path.stat().st_mtime
    while time.time() - last < 3 * HEARTBEAT_S:
        time.sleep(HEARTBEAT_S / 15)
        if path.stat().st_mtime != last:
            return True
    return False


def _read_owner(folder: Path) -> dict[str, Any]:
    try:
        owner = json.loads((folder / "owner.json").read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return owner if isinstance(owner, dict) else {}


def _write_owner(run: OwnedRun, *, released: bool) -> None:
    owner = {
        "token": run.token,
        "attempt": run.attempt,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "since": now(),
        "released": released,
    }
    write_atomically(run.folder / "owner.json", json.dumps(owner) + "\n")


def _beat(run: OwnedRun, stop: threading.Event) -> None:
    while not stop.wait(HEARTBEAT_S):
        with contextlib.suppress(OSError):
            if _read_owner(run.folder).get("token") != run.token:
                return
            os.utime(run.folder / "owner.json")
