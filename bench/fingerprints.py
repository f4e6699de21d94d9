"""Fingerprints of data folders, kept in ``<runs>/fingerprints/`` so that a plan need not read a million images.

A fingerprint is kept with a signature of the folder, which is quick to take: size and time of every file or, of a
large data set, the time of every class folder, which changes as files come and go. Where no such folder is to be seen,
as on a login node, what is kept is taken as it is.
"""

import contextlib
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench.datasets import root_folder
from bench.findings import Fingerprint, RunRecord
from bench.specs import RequestError
from bench.store import fingerprint, sealed, unsealed, write_atomically

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


def keep(runs: Path, dataset: str, data: str, found: Fingerprint) -> None:
    """Remember the fingerprint of a data set in a folder."""
    values = {"dataset": dataset, "data": data, "signature": _signature(dataset, data, found)}
    write_atomically(_path(runs, dataset, data), sealed(values | {"fingerprint": asdict(found)}))


def kept(runs: Path, dataset: str, data: str) -> Fingerprint | None:
    """What is remembered of a data set in a folder; None if nothing is, it is damaged, or the folder has changed."""
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        values, broken = unsealed(_path(runs, dataset, data).read_text())
        found = fingerprint(values["fingerprint"])
        if found and not broken and (values["dataset"], values["data"]) == (dataset, data):
            signature = _signature(dataset, data, found)
            if signature in ("", values["signature"]):
                return found
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
    if not root_folder(dataset, Path(data)).is_dir():
        return None
    done = subprocess.run([sys.executable, "-m", "bench.identity", dataset, data], capture_output=True, text=True)
    if done.returncode == 2:
        raise RequestError(done.stderr.strip())
    if done.returncode:  # a package that is missing here, a server that does not answer
        return None
    found = fingerprint(json.loads(done.stdout.splitlines()[-1]))
    if found:
        with contextlib.suppress(OSError):  # a folder of runs that one may only read
            keep(runs, dataset, data, found)
    return found


def _path(runs: Path, dataset: str, data: str) -> Path:
    name = hashlib.sha256(f"{dataset}\n{data}".encode()).hexdigest()[:16]
    return runs / "fingerprints" / f"{name}.json"


def _signature(dataset: str, data: str, found: Fingerprint) -> str:
    """Changes when a folder's images do; empty where they lie in no folder that can be seen."""
    folder = root_folder(dataset, Path(data))
    if found.basis == "labels" or not folder.is_dir():
        return ""
    listed = _folders(folder) if found.train_images + found.val_images > MANY else _files(folder)
    return hashlib.sha256(repr(sorted(listed)).encode()).hexdigest()


def _files(folder: Path) -> Iterator[tuple[str, int, int, int]]:
    for parent, _, names in os.walk(folder, followlinks=True):
        for name in names:
            with contextlib.suppress(OSError):
                stat = os.stat(path := os.path.join(parent, name))  # noqa: PTH116, PTH118  # pathlib takes thrice as long
                yield os.path.relpath(path, folder), stat.st_size, stat.st_mtime_ns, stat.st_ino


def _folders(folder: Path) -> Iterator[tuple[str, int, int, int]]:
    """Those of the splits and of their classes."""
    for pattern in ("*/", "*/*/"):
        for path in folder.glob(pattern):
            with contextlib.suppress(OSError):
                stat = path.stat()
                yield path.relative_to(folder).as_posix(), 0, stat.st_mtime_ns, stat.st_ino
