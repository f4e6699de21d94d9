"""A run's folder: who owns it, what it remembers, and checkpoints that are sound or not used.

``<runs>/<run_id>/`` holds spec.json, record.json, metrics.jsonl, predictions.npz, owner.json, progress.json and
``checkpoints/epoch-EEEEE-step-SSSSSSS.pt`` with a ``.sha256`` beside each.

One process owns a folder at a time. A kernel lock (flock) keeps out a second process of the same machine and dies
with its owner. A token in owner.json, new with each owner, keeps out an older copy wherever it runs: every write is
preceded by a look at the token, and a copy that finds another one stops without writing. Where the file system shares
no locks between machines, a heartbeat (a new time of owner.json) tells a live owner from a dead one. It is waited for
here, since the clocks of two machines may differ by hours. A Slurm job that was restarted takes the folder from its own
older copy, dead or alive: Slurm has given that one up.
"""

import contextlib
import dataclasses
import datetime
import fcntl
import functools
import hashlib
import json
import os
import re
import socket
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import msgspec

from bench.results.codec import Count, Finite, decode, parse, without_checksum
from bench.results.files import (
    CorruptFile,
    corrupt,
    is_temporary,
    process_runs,
    read,
    read_vouched,
    replace,
    sha256_of,
    write,
    write_atomically,
)
from bench.results.progress import Phase, Progress
from bench.results.record import Metrics, RunRecord
from bench.spec.errors import RequestError
from bench.spec.regular_files import open_regular, regular_file
from bench.spec.run import RunSpec, Weights, is_run_id

HEARTBEAT_S = 15.0
"""an owner touches owner.json this often; one on another machine is dead after three missed beats"""

SETTLE_S = 0.3
"""after which a process that claimed a folder looks whether another one claimed it at the same moment"""

KEPT_CHECKPOINTS = 2
"""sound ones, and as many that were set aside"""


class RunBusy(RequestError):
    """Another process owns the run's folder."""


class Fenced(Exception):
    """A newer owner has taken the run's folder: this copy must not write any more."""


class NoSoundCheckpoint(Exception):
    """Checkpoints are there, and none is sound: starting from zero would hide that."""


def now() -> str:
    """UTC, ISO 8601, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


TRAIN_ANEW = "restore it, or remove the run's folder to train it anew"


def load_record(folder: Path) -> RunRecord | None:
    """A run's record, or None where there is none.

    Raises:
        CorruptFile: it cannot be read, is not a whole record, or was edited.
    """
    try:
        return read(folder / "record.json", RunRecord, remedy=TRAIN_ANEW)
    except FileNotFoundError:
        return None


def recovered_record(folder: Path) -> RunRecord | None:
    """Recover an edited record as far as a run needs it to go on from a checkpoint, or None.

    Images, precision and history are taken as they are, since a run must not go on with others. Nothing that counts
    is: it is made anew, from the checkpoint.
    """
    if not was_saved(folder):
        return None
    try:
        record = read(folder / "record.json", RunRecord, checksum=False, upgrade=without_checksum)
    except (FileNotFoundError, CorruptFile):
        return None
    record.results, record.epoch_images_per_s, record.images_per_s = {}, [], None
    record.unreadable, record.wall_time_s, record.predictions_sha256 = [], 0.0, ""
    return record


def load_own_record(folder: Path) -> RunRecord | None:
    """The record of the run that the folder is named for, or None where there is none.

    Raises:
        CorruptFile: it cannot be read, is not a whole record, was edited, or is another run's.
    """
    record = load_record(folder)
    if record and record.run_id != folder.name:
        raise corrupt(folder / "record.json", f"holds {record.run_id}", TRAIN_ANEW)
    return record


def load_metrics(folder: Path, record: RunRecord) -> Metrics:
    """Load the lines of a run's metrics.jsonl for the epochs that its record counts.

    Raises:
        CorruptFile: the file is not there, not made of lines of numbers, or was edited.
    """
    path = folder / "metrics.jsonl"
    if not record.epoch:
        return Metrics(lines=())
    try:
        with open_regular(path) as file:
            text = file.read().decode().splitlines(keepends=True)[: record.epoch]
        found = _metrics(text)
        if len(text) < record.epoch:
            raise ValueError(f"{len(text)} lines, though {record.epoch} epochs are finished")
        if _sha256_of_lines(text) != record.metrics_sha256:
            raise ValueError("its checksum in record.json does not hold: it was edited")
    except FileNotFoundError:
        raise corrupt(path, f"not there, though {record.epoch} epochs are finished", TRAIN_ANEW) from None
    except OSError as error:
        raise corrupt(path, error.strerror, TRAIN_ANEW) from error
    except ValueError as error:
        raise corrupt(path, error, TRAIN_ANEW) from error
    return found


def _metrics(text: Sequence[str]) -> Metrics:
    with contextlib.suppress(ValueError):  # to be explained below
        whole = _METRICS.decode_lines("".join(text))
        if len(whole) == len(text):
            return Metrics(lines=tuple(whole))
    lines = []
    for number, line in enumerate(text, start=1):
        try:
            lines.append(parse(line))
        except (ValueError, RecursionError) as error:
            why = "nested too deeply" if isinstance(error, RecursionError) else error
            raise ValueError(f"line {number}: {why}") from None
    try:
        return decode({"lines": lines}, Metrics)
    except ValueError as error:
        named = re.sub(r"^lines\[(\d+)\]\.", lambda place: f"line {int(place[1]) + 1}: ", str(error))
        raise ValueError(named) from None


_METRICS = msgspec.json.Decoder(dict[str, Finite])
"""reads the lines of a sound metrics.jsonl in a fifth of the time that ``parse`` and ``decode`` take"""


def _sha256_of_lines(lines: Iterable[str]) -> str:
    return hashlib.sha256("".join(lines).encode()).hexdigest()


PREDICTIONS = "predictions.npz"
"""of a run's last epoch, in its folder"""


def lost_file(folder: Path, record: RunRecord) -> str:
    """A line on the first file of a completed run that is no longer what its record vouches for; empty if all are."""
    if record.status != "completed":
        return ""  # its checkpoint restores them
    metrics, predictions = folder / "metrics.jsonl", folder / PREDICTIONS
    try:
        if _checksum_of(metrics, record.epoch) != record.metrics_sha256:
            load_metrics(folder, record)
        if _checksum_of(predictions) != record.predictions_sha256 != "":
            read_vouched(predictions, record.predictions_sha256, TRAIN_ANEW)
    except CorruptFile as error:
        return str(error)
    return ""


def _checksum_of(path: Path, lines: int | None = None) -> str:
    """The sha256 of a file or of its first lines; empty if it cannot be read."""
    try:
        found = path.stat()
        return _checksum_at(path, lines, found.st_mtime_ns, found.st_size)
    except OSError:
        return ""


@functools.lru_cache(maxsize=100_000)
def _checksum_at(path: Path, lines: int | None, mtime_ns: int, size: int) -> str:
    """The checksum of a file, read again only if it has changed, since ``status --follow`` asks each second."""
    with open_regular(path) as file:
        content = file.read()
    counted = content if lines is None else b"".join(content.splitlines(keepends=True)[:lines])
    return hashlib.sha256(counted).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The last owner of a run's folder, as recorded in owner.json."""

    token: str
    attempt: Count
    """counts the owners"""
    host: str
    pid: Count
    since: str
    released: bool
    """whether it signed off"""
    job: str = ""
    """Slurm's id of the job it was part of, "12" or "12_3"; empty outside one"""
    restart: Count = 0
    """how often Slurm had restarted that job"""
    last_beat: float = 0.0
    """seconds since the epoch, by the file's own clock"""

    @property
    def alive(self) -> bool:
        """Whether it may still write, as far as this machine can tell at once; ``own`` makes sure."""
        if self.released or abs(time.time() - self.last_beat) > 3 * HEARTBEAT_S:
            return False
        return self.host != socket.gethostname() or process_runs(self.pid)


class RunRecords:
    """The records below a folder of runs, each read at most once; a corrupt one counts as none.

    Args:
        runs: the folder.
    """

    def __init__(self, runs: Path) -> None:
        self.runs = runs
        self.problems: list[str] = []
        """a line on each corrupt record that was read, and on each completed run that has lost a file"""
        self.corrupt: dict[str, str] = {}
        """those on records, by run id"""
        self.lost: dict[str, str] = {}
        """the others, likewise"""
        self._found: dict[str, RunRecord | None] = {}
        self._of: dict[str, list[RunRecord]] = {}
        self._alike: dict[str, list[str]] = defaultdict(list)  # ids by all but seed and digits
        for run_id in run_ids(runs):
            self._alike[_without_seed(run_id)].append(run_id)

    def get(self, run_id: str) -> RunRecord | None:
        """One run's."""
        if run_id not in self._found:
            self._found[run_id] = None
            folder = self.runs / run_id
            try:
                self._found[run_id] = record = load_own_record(folder)
            except CorruptFile as error:
                self.problems.append(str(error))
                self.corrupt[run_id] = str(error)
            else:
                if record and (lost := lost_file(folder, record)):
                    self.problems.append(lost)
                    self.lost[run_id] = lost
        return self._found[run_id]

    def of(self, spec: RunSpec) -> list[RunRecord]:
        """A run's with all seeds that were begun."""
        if spec.run_id not in self._of:  # of ten thousand seeds the ids alone take a while
            seeds = spec.seeds_in(self._alike.get(_without_seed(spec.run_id), ()))
            self._of[spec.run_id] = [record for seed in seeds if (record := self.get(seed.run_id))]
        return list(self._of[spec.run_id])

    def from_files(self, spec: RunSpec) -> list[RunRecord]:
        """Records of a fine-tuning that started from a file instead of another run."""
        alike = map(self.get, self._alike.get(_without_seed(spec.run_id), ()))
        return [record for record in alike if record and record.is_from_a_file(spec)]

    def all(self) -> list[RunRecord]:
        """Every run's, the one that was heard of last first: an estimate takes the first that fits."""
        every = [record for ids in self._alike.values() for record in map(self.get, ids) if record]
        return sorted(every, key=lambda r: r.events[-1].when if r.history else "", reverse=True)


def run_ids(runs: Path) -> list[str]:
    """All runs that have a folder, whatever it holds."""
    try:
        with os.scandir(runs) as entries:
            found = [entry for entry in entries if is_run_id(entry.name)]
        return sorted(entry.name for entry in found if os.path.isdir(entry.path))  # noqa: PTH112  # False for a loop
    except (FileNotFoundError, NotADirectoryError):
        return []


def _without_seed(run_id: str) -> str:
    return run_id.rpartition("-s")[0]


class OwnedRun:
    """A run's folder in the hands of this process; made by ``own``."""

    def __init__(self, folder: Path, attempt: int) -> None:
        self.folder = folder
        self.attempt = attempt
        """counts the owners, as far as owner.json remembers them"""
        self.token = uuid.uuid4().hex
        self.job, self.restart = slurm_job()
        self._progress: Progress | None = None
        self._told: Progress | None = None  # the newest on disk
        self._telling = threading.Lock()

    def check(self) -> None:
        """Before every write.

        Raises:
            Fenced: the token on disk is not ours.
        """
        owner = last_owner(self.folder)
        if owner is None or owner.token != self.token:
            newer = f"pid {owner.pid} on {owner.host}" if owner else "it signed off"
            raise Fenced(
                f"{self.folder.name}: a newer process owns the run ({newer}); this one, pid {os.getpid()}, stops "
                "without writing"
            )

    def tell(self, progress: Progress) -> None:
        """Say how far the run is to whoever watches: at once in a new phase, else with the next beat."""
        new_phase = self._progress is None or self._progress.phase is not progress.phase
        self._progress = progress
        if new_phase:
            with contextlib.suppress(Fenced, OSError):  # the next write that matters says so
                self.check()
                self.write_progress()

    def write_progress(self) -> None:
        """Write progress.json, if there is news."""
        with self._telling:
            progress = self._progress
            if progress is not None and progress is not self._told:
                text = json.dumps({"attempt": self.attempt, **dataclasses.asdict(progress)}) + "\n"
                write_atomically(self.folder / "progress.json", text)
                self._told = progress

    def save_record(self, record: RunRecord) -> None:
        """Write record.json whole."""
        self.check()
        write(self.folder / "record.json", record)

    def save_metrics(self, record: RunRecord, lines: Sequence[Mapping[str, float]]) -> None:
        """Write metrics.jsonl whole, so that no line of an abandoned attempt survives, and the record with its sha256.

        Whoever reads in between, or after a kill in between, finds at least the lines that the record speaks of.

        Args:
            record: gets the number of lines as its finished epochs, and their checksum.
            lines: one an epoch.
        """
        text = [json.dumps(line) + "\n" for line in lines]
        goes_back = len(text) < record.epoch  # to an older checkpoint
        record.epoch, record.metrics_sha256 = len(text), _sha256_of_lines(text)
        if goes_back:
            self.save_record(record)
        self.check()
        write_atomically(self.folder / "metrics.jsonl", "".join(text))
        if not goes_back:
            self.save_record(record)

    def save_predictions(self, record: RunRecord, content: bytes) -> None:
        """Write what the last epoch said of every image, and its checksum into the record, which the caller saves."""
        self.check()
        write_atomically(self.folder / PREDICTIONS, content)
        record.predictions_sha256 = hashlib.sha256(content).hexdigest()

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
        _remove_temporaries(folder)
        try:
            with temporary.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            self.check()
            write_atomically(_checksum_path(path), f"{hashlib.sha256(content).hexdigest()}  {path.name}\n")
            replace(temporary, path)
            _mark_saved(self.folder)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise OSError(error.errno, error.strerror, error.filename or str(path)) from error
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        self.check()
        for old in checkpoints(self.folder)[KEPT_CHECKPOINTS:]:
            _remove_file(old)
            _remove_file(_checksum_path(old))
        return path

    def newest_sound_checkpoint(self) -> tuple[Path | None, list[str]]:
        """The newest checkpoint whose checksum holds, and a line on each newer one that is not sound.

        The unsound ones are set aside under another name, so that they do not count as kept. The newest of those stay,
        for whoever wants to know what happened to them.

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
                    _set_aside(bad)
                return path, problems
            unsound.append(path)
            problems.append(f"{path.name}: {problem}")
        if not problems and was_saved(self.folder):
            problems.append("there were some, and they are gone")
        if problems:
            raise NoSoundCheckpoint(
                f"no sound checkpoint in {self.folder / 'checkpoints'} ({'; '.join(problems)}); restore one, or remove "
                "the run's folder to train it anew"
            )
        return None, problems


def final_checkpoint(folder: Path) -> Path:
    """The checkpoint at the end of a completed run, for another that starts from its weights.

    Raises:
        RequestError: it is not completed, or its checkpoint is not there, or not sound.
    """
    try:
        record = load_record(folder)
    except CorruptFile as error:
        raise RequestError(f"it starts from the weights of {folder.name}: {error}") from error
    if record is None or record.status != "completed":
        state = record.status if record else "not begun"
        raise RequestError(f"it starts from the weights of {folder.name}, which is {state}; train that one first")
    newest, problem = last_checkpoint(folder)
    if newest is None:
        raise RequestError(
            f"it starts from the weights of {folder.name}, and its last checkpoint cannot be used ({problem}); restore "
            "it, or remove that run's folder to train it anew"
        )
    return newest


def last_checkpoint(folder: Path) -> tuple[Path | None, str]:
    """A run's newest checkpoint if it is sound, and else why there is none to use."""
    newest = next(iter(checkpoints(folder)), None)
    problem = _unsound(newest) if newest else "it is gone"
    return (None, problem) if problem else (newest, "")


def last_checksum(folder: Path) -> str:
    """The recorded checksum of a run's newest checkpoint; empty if there is no checkpoint, or no record of one."""
    newest = next(iter(checkpoints(folder)), None)
    return (_recorded_checksum(newest) or "") if newest else ""


def given_file(weights: Weights, files: Mapping[str, str], option: str) -> Path:
    """The path of a file of weights.

    Args:
        weights: what is in it.
        files: by sha256.
        option: that gives such a file.

    Raises:
        RequestError: it is not given, not there, or holds something else by now.
    """
    path = files.get(weights.sha256)
    name = f"{weights.file or 'a file of weights'} (sha256 {weights.sha256[:8]}...)"
    if path is None:
        raise RequestError(f"the run needs {name}; give it with {option}")
    try:
        found = sha256_of(Path(path))
    except OSError as error:
        raise RequestError(f"the run needs {name}, and {path}: {error.strerror}; give it with {option}") from error
    if found != weights.sha256:
        raise RequestError(
            f"the run needs {name}, and {path} holds another by now (sha256 {found[:8]}...); restore it, or give the "
            "command again"
        )
    return Path(path)


def checkpoints(folder: Path) -> list[Path]:
    """Files named like a run's checkpoints, intact or not, newest first."""
    return _named(folder / "checkpoints", "pt")


def _named(folder: Path, suffix: str) -> list[Path]:
    """Files named like a checkpoint with that suffix, newest first; other files are not ours."""
    found = {path: _CHECKPOINT.fullmatch(path.name) for path in folder.glob(f"epoch-*-step-*.{suffix}")}
    places = {path: (int(match[1]), int(match[2])) for path, match in found.items() if match}
    return sorted(places, key=lambda path: places[path], reverse=True)


_CHECKPOINT = re.compile(r"epoch-([0-9]{5,18})-step-([0-9]{7,18})\.[a-z]+")


def _set_aside(checkpoint: Path) -> None:
    aside = checkpoint.with_suffix(".unsound")
    with contextlib.suppress(OSError):  # a folder with something in it has the name: then this one stays where it is
        checkpoint.replace(aside)
    _remove_file(_checksum_path(checkpoint))
    for older in _named(checkpoint.parent, "unsound")[KEPT_CHECKPOINTS:]:
        _remove_file(older)


def _remove_file(path: Path) -> None:
    """Remove a file of ours; what others put in its place, such as a folder, stays."""
    with contextlib.suppress(FileNotFoundError, IsADirectoryError, PermissionError):
        path.unlink()


def _remove_temporaries(folder: Path) -> None:
    """Remove what owners of the folder that were killed left half written."""
    for path in folder.glob(".*.tmp"):
        if is_temporary(path.name) or _CHECKPOINT.fullmatch(path.name[1:].removesuffix(".tmp")):
            _remove_file(path)


def was_saved(folder: Path) -> bool:
    """Whether the run has ever had a checkpoint, and so has begun."""
    return os.path.lexists(f"{folder}/saved")


def _mark_saved(folder: Path) -> None:
    if not was_saved(folder):
        (folder / "saved").touch()


def _checksum_path(checkpoint: Path) -> Path:
    return checkpoint.with_suffix(".pt.sha256")


def _recorded_checksum(checkpoint: Path) -> str | None:
    try:
        with regular_file(_checksum_path(checkpoint)) as file:
            return file.read().decode().split()[0]
    except (OSError, IndexError, UnicodeDecodeError):
        return None


def _unsound(path: Path) -> str:
    """The reason why a checkpoint cannot be used; empty if it can."""
    expected = _recorded_checksum(path)
    if expected is None:
        return "its checksum is missing"
    try:
        found = sha256_of(path)
    except OSError as error:
        return error.strerror or str(error)
    return "" if found == expected else f"checksum {found[:8]} is not the recorded {expected[:8]}"


def open_lock(folder: Path) -> IO[str]:
    """The file in a folder that whoever works in it locks, made if need be; a link in its place is not followed.

    Raises:
        RequestError: it cannot be opened, or is no regular file.
    """
    path = folder / "lock"
    try:
        return open_regular(path, "a", follow=False)
    except OSError as error:
        raise RequestError(
            f"{path}: {error.strerror}; move it away, or choose another folder with --runs DIR"
        ) from error


@contextlib.contextmanager
def own(folder: Path, beat_s: float = HEARTBEAT_S) -> Iterator[OwnedRun]:
    """Own a run's folder, made if need be, until the block ends.

    Args:
        folder: the run's.
        beat_s: seconds between two signs of life, at most ``HEARTBEAT_S``.

    Raises:
        RunBusy: a live process owns it, named by host and pid.
    """
    folder.mkdir(parents=True, exist_ok=True)
    overtaken = _is_older_copy(last_owner(folder))
    if overtaken:
        (folder / "lock").unlink(missing_ok=True)  # it may hold that one for ever; the token keeps it from writing
    with open_lock(folder) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _busy(folder, last_owner(folder)) from None
        owner = last_owner(folder)
        if not overtaken and _alive_elsewhere(folder, owner):
            raise _busy(folder, owner)
        run = OwnedRun(folder, (owner.attempt if owner else 0) + 1)
        _write_owner(run, released=False)
        time.sleep(SETTLE_S)
        owner = last_owner(folder)
        if owner is None or owner.token != run.token:
            raise _busy(folder, owner)
        _remove_temporaries(folder)
        stop = threading.Event()
        heart = threading.Thread(target=_beat, args=(run, beat_s, stop), daemon=True)
        heart.start()
        try:
            yield run
        finally:
            stop.set()
            heart.join()
            with contextlib.suppress(Fenced, OSError):  # a full disk: the lock's end says enough on this machine
                run.check()
                _write_owner(run, released=True)


def last_owner(folder: Path) -> Owner | None:
    """Load the last owner of the folder; None if there was none, or the file is corrupt."""
    path = folder / "owner.json"
    try:
        return dataclasses.replace(read(path, Owner, checksum=False), last_beat=path.stat().st_mtime)
    except (OSError, CorruptFile):
        return None


def load_progress(folder: Path, owner: Owner) -> Progress | None:
    """Load the progress that the owner reported; None if there is none yet, or the file is corrupt or another's."""
    try:
        with open_regular(folder / "progress.json") as file:
            values = parse(file.read(10_000).decode())
        if values.pop("attempt") != owner.attempt:
            return None
        # Whoever watches may be older than the run, or younger: a run from before there were phases was training.
        known = {f.name: values[f.name] for f in dataclasses.fields(Progress) if f.name in values}
        return decode({"phase": Phase.TRAINING, "epoch": values["epoch"]} | known, Progress)
    except (OSError, ValueError, KeyError, RecursionError):
        return None


def slurm_job() -> tuple[str, int]:
    """Slurm's id of the job that this process is in, and how often it was restarted; empty outside of one."""
    env = os.environ
    array = f"{env.get('SLURM_ARRAY_JOB_ID')}_{env.get('SLURM_ARRAY_TASK_ID')}" if "SLURM_ARRAY_JOB_ID" in env else ""
    return array or env.get("SLURM_JOB_ID", ""), int(env.get("SLURM_RESTART_COUNT", 0))


def _is_older_copy(owner: Owner | None) -> bool:
    """Whether Slurm has restarted the owner's job as ours: then the owner is lost, whatever it still does."""
    job, restart = slurm_job()
    return owner is not None and not owner.released and owner.job == job != "" and owner.restart < restart


def _busy(folder: Path, owner: Owner | None) -> RunBusy:
    who = f"pid {owner.pid} on {owner.host} since {owner.since}" if owner else "another process"
    return RunBusy(
        f"run {folder.name} is being trained by {who}; wait for it, or stop that process and give the same command "
        "again"
    )


def _alive_elsewhere(folder: Path, owner: Owner | None) -> bool:
    """Whether the last owner is on another machine and its heart beats; waits for three beats to see one.

    The time of its last beat tells nothing: it is by another machine's clock.
    """
    if owner is None or owner.released or owner.host == socket.gethostname():
        return False  # on this machine the kernel's lock has answered already
    begun = time.monotonic()
    while time.monotonic() - begun < 3 * HEARTBEAT_S:
        time.sleep(HEARTBEAT_S / 15)
        newer = last_owner(folder)
        if newer not in (owner, None):
            return not newer.released
    return False


def _write_owner(run: OwnedRun, *, released: bool) -> None:
    owner = {
        "token": run.token,
        "attempt": run.attempt,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "since": now(),
        "released": released,
        "job": run.job,
        "restart": run.restart,
    }
    write_atomically(run.folder / "owner.json", json.dumps(owner) + "\n")


def _beat(run: OwnedRun, beat_s: float, stop: threading.Event) -> None:
    while not stop.wait(beat_s):
        with contextlib.suppress(OSError):
            owner = last_owner(run.folder)
            if owner is None or owner.token != run.token:
                return
            os.utime(run.folder / "owner.json")
            run.write_progress()
