"""Fingerprints of data folders, kept in ``<runs>/fingerprints/`` so that a plan need not read a million images.

A fingerprint is kept with a signature of the folder, which is quick to take: size and time of every file or, of a
large data set, the time of every class folder, which changes as files come and go. Where the folder of data is not to
be seen, as on a login node, what is kept is taken as it is.
"""

import contextlib
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.results.codec import decode, parse
from bench.results.files import read, write
from bench.results.record import Fingerprint, RunRecord
from bench.spec.errors import RequestError

MANY = 100_000
"""images of a data set whose signature is of folders alone"""


def require_same(record: RunRecord, here: Fingerprint | None) -> None:
    """Refuse to take the images that are here for those of a run.

    Raises:
        RequestError: they are others, as far as both are known; says in what they differ.
    """
    difference = record.fingerprint.difference(here) if record.fingerprint and here else ""
    if difference:
        raise RequestError(
            f"{record.run_id} was begun on other images ({difference}); give it the same data with --data DIR, or keep "
            "its runs apart with another --runs DIR"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """A fingerprint's file."""

    dataset: str
    data: str
    """the folder of data"""
    folders: tuple[str, ...]
    """of its images"""
    signature: str
    """of these folders"""
    fingerprint: Fingerprint


def keep(runs: Path, dataset: str, data: str, found: Fingerprint, folders: Sequence[str]) -> None:
    """Remember the fingerprint of a data set in a folder.

    Args:
        runs: the folder of all runs.
        dataset: its name.
        data: the folder of data, as ``Resources`` has it.
        found: the fingerprint.
        folders: that the images of its splits lie in; none where they lie in no files of their own.
    """
    kept = _Kept(
        dataset=dataset,
        data=data,
        folders=tuple(folders),
        signature=_signature(folders, found),
        fingerprint=found,
    )
    write(_path(runs, dataset, data), kept)


def kept(runs: Path, dataset: str, data: str) -> Fingerprint | None:
    """Load a data set's fingerprint; None if there is none, it is corrupt, or the images have changed."""
    with contextlib.suppress(OSError, ValueError):
        found = read(_path(runs, dataset, data), _Kept)
        if (found.dataset, found.data) == (dataset, data):
            unseen = not Path(data).is_dir()
            if unseen or _signature(found.folders, found.fingerprint) == found.signature:
                return found.fingerprint
    return None


@dataclass(slots=True)
class DataFolder:
    """The fingerprints of what a command's --data holds, each found once."""

    runs: Path
    data: str
    """the folder, as ``Resources`` has it"""
    _kept: dict[str, Fingerprint | None] = field(default_factory=dict, init=False)
    _read: dict[str, Fingerprint | None] = field(default_factory=dict, init=False)

    def require_same(self, record: RunRecord, dataset: str) -> None:
        """Refuse a run of other images.

        Images whose fingerprint is not kept are read for a run that is completed, since nothing else would compare
        them. A run that is not does so itself.

        Raises:
            RequestError: the run was begun on other images.
        """
        if record.fingerprint is None or record.fingerprint.basis == "generated":
            return
        if dataset not in self._kept:
            self._kept[dataset] = kept(self.runs, dataset, self.data)
        here = self._kept[dataset]
        if here is None and record.status == "completed":
            if dataset not in self._read:
                self._read[dataset] = _read(self.runs, dataset, self.data)
            here = self._read[dataset]
        require_same(record, here)


def _read(runs: Path, dataset: str, data: str) -> Fingerprint | None:
    """Have a process of its own look at the images, since planning imports no torch; None if they are not there."""
    if not Path(data).is_dir():
        return None
    done = subprocess.run(
        [sys.executable, "-m", "bench.training.identity", dataset, data], capture_output=True, text=True
    )
    if done.returncode == 2:
        raise RequestError(done.stderr.strip())
    if done.returncode:  # no such images, a package that is missing here, a server that does not answer
        return None
    told = decode(parse(done.stdout.splitlines()[-1]), _Told)
    with contextlib.suppress(OSError):  # a folder of runs that one may only read
        keep(runs, dataset, data, told.fingerprint, told.folders)
    return told.fingerprint


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """The output of the other process."""

    fingerprint: Fingerprint
    folders: tuple[str, ...]


def _path(runs: Path, dataset: str, data: str) -> Path:
    name = hashlib.sha256(f"{dataset}\n{data}".encode()).hexdigest()[:16]
    return runs / "fingerprints" / f"{name}.json"


def _signature(folders: Sequence[str], found: Fingerprint) -> str:
    """Changes when what lies in the folders does."""
    by_folder = found.train_images + found.val_images > MANY
    listed = [entry for folder in folders for entry in (_classes if by_folder else _files)(folder)]
    return hashlib.sha256(repr(sorted(listed)).encode()).hexdigest()


_Entry = tuple[str, int, int, int]
"""path, size in bytes, time in ns, inode"""


def _files(folder: str) -> Iterator[_Entry]:
    for parent, _, names in os.walk(folder, followlinks=True):
        yield from (_entry(os.path.join(parent, name)) for name in names)  # noqa: PTH118  # pathlib takes thrice as long


def _classes(folder: str) -> Iterator[_Entry]:
    yield _entry(folder)
    for entry in os.scandir(folder):
        if entry.is_dir():
            yield _entry(entry.path)
            yield _entry(os.path.join(entry.path, "images"))  # noqa: PTH118  # where Tiny ImageNet's classes have theirs


def _entry(path: str) -> _Entry:
    try:
        stat = os.stat(path)  # noqa: PTH116
    except OSError:  # a link that leads nowhere
        return path, 0, 0, 0
    return path, stat.st_size, stat.st_mtime_ns, stat.st_ino
