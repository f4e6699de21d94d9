"""Files that are written whole, and read into a type or named as corrupt.

A file that cannot be read, does not fit its type or does not fit its checksum is corrupt. ``CorruptFile`` says so in
one line with the file, the field, its value, what would be right and the remedy; the file counts as none.
"""

import contextlib
import functools
import hashlib
import os
import re
import socket
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from bench.results.codec import Values, decode, parse, plain, sealed, unsealed
from bench.spec.errors import RequestError
from bench.spec.regular_files import open_regular, regular_file

T = TypeVar("T")

RESTORE = "restore it, or remove it"


class CorruptFile(ValueError):
    """A file counts as none: one line with the file, the problem and the remedy."""


def corrupt(path: Path, problem: object, remedy: str = RESTORE) -> CorruptFile:
    """The error for a file, with whatever is wrong with it in one line."""
    return CorruptFile(f"{path}: {' '.join(str(problem).split())}; {remedy}")


def read(
    path: Path,
    kind: type[T],
    *,
    checksum: bool = True,
    upgrade: Callable[[Values], Values] = lambda values: values,
    remedy: str = RESTORE,
) -> T:
    """Read a file of JSON into a type.

    Args:
        path: the file.
        kind: a dataclass, whose ``__post_init__`` may raise ValueError for values that contradict each other.
        checksum: whether the file carries a checksum of its values, which must hold.
        upgrade: makes the values of an older file complete.
        remedy: closes the line of the error.

    Raises:
        FileNotFoundError: there is no such file.
        CorruptFile: it cannot be read, or is not what it should be.
    """
    try:
        with open_regular(path) as file:
            text = file.read().decode()
        return decode(upgrade(unsealed(text) if checksum else parse(text)), kind)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise corrupt(path, error.strerror, remedy) from error
    except RecursionError as error:
        raise corrupt(path, "nested too deeply", remedy) from error
    except ValueError as error:
        raise corrupt(path, error, remedy) from error


def read_vouched(path: Path, sha256: str, remedy: str = RESTORE) -> bytes:
    """Read a file whose checksum is recorded elsewhere.

    Raises:
        CorruptFile: it is not there, cannot be read, or has another checksum.
    """
    try:
        with open_regular(path) as file:
            content: bytes = file.read()
    except OSError as error:
        raise corrupt(path, error.strerror, remedy) from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise corrupt(path, "its checksum does not hold", remedy)
    return content


def write(path: Path, value: object, *, checksum: bool = True) -> None:
    """Write a dataclass or a mapping as JSON, whole or not at all.

    Raises:
        OSError: the folder cannot be made or written, or the disk is full.
    """
    write_atomically(path, sealed(value) if checksum else plain(value))


def write_atomically(path: Path, content: str | bytes, *, flushed: bool = True) -> None:
    """Write the whole file or leave what was there: a reader never sees a part.

    Args:
        path: of the file.
        content: of the file.
        flushed: whether it must outlive a power cut, which takes a while.

    Raises:
        OSError: the folder cannot be made or written, or the disk is full.
    """
    temporary = temporary_beside(path)
    try:
        with temporary.open("xb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            if flushed:
                file.flush()
                os.fsync(file.fileno())
        if flushed:
            replace(temporary, path)
        else:
            temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_changed(path: Path, content: str | bytes, *, flushed: bool = True) -> None:
    """Write the whole file as ``write_atomically`` does, unless a regular file of that content is there already."""
    content = content.encode() if isinstance(content, str) else content
    with contextlib.suppress(OSError), open_regular(path, follow=False) as file:  # it is not there, or cannot be read
        if file.read() == content:
            return
    write_atomically(path, content, flushed=flushed)


def temporary_beside(path: Path) -> Path:
    """A name for a file that is to become another, in the same folder, which is made.

    It tells whose it is: what a process that was killed left behind in the folder is swept up.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path.parent)
    return path.with_name(f".{path.name}.{MACHINE}-{os.getpid()}-{uuid.uuid4().hex[:8]}.tmp")


MACHINE = hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]
"""tells whether a file was named on this machine, and no more about it"""
_TEMPORARY = re.compile(r"\..+\.(?:(?P<host>[0-9a-f]{8})-(?P<pid>\d+)-[0-9a-f]{8}|[0-9a-f]{32}|\d+)\.tmp")
"""of this version, and of older ones, which did not say whose"""
_ABANDONED_S = 24 * 3600
"""age at which a temporary file is of nobody, wherever its process ran"""


def is_temporary(name: str) -> bool:
    """Whether a file of this name was to become another, whoever began to write it."""
    return bool(_TEMPORARY.fullmatch(name))


@functools.cache
def sweep(folder: Path) -> None:
    """Remove temporary files of processes that are gone; once a process and folder."""
    for entry in os.scandir(folder):
        found = _TEMPORARY.fullmatch(entry.name)
        if not found:
            continue
        with contextlib.suppress(OSError):  # another command sweeps, too
            is_ours = found["host"] == MACHINE
            if (is_ours and not process_runs(int(found["pid"]))) or time.time() - entry.stat().st_mtime > _ABANDONED_S:
                Path(entry.path).unlink()


def process_runs(pid: int) -> bool:
    """Whether a process of this machine runs: one that was killed and that its parent has yet to reap does not."""
    with contextlib.suppress(OSError):  # it is gone, or this system does not show it there
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # another user's
        return True
    return True


def replace(temporary: Path, path: Path) -> None:
    """Give a finished file its name, so that the name outlives a power cut too."""
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def sha256_of(path: Path) -> str:
    """Hex digest of a regular file's content.

    Raises:
        OSError: it is not there, not a regular file, or cannot be read; names it.
    """
    with regular_file(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def require_inside(folder: Path, path: Path) -> None:
    """Check that no link leads from a folder to where a file below it would be written.

    Raises:
        RequestError: one does.
    """
    place, root = os.path.realpath(path.parent), os.path.realpath(folder)
    if os.path.commonpath([place, root]) != root:
        raise RequestError(
            f"{path.parent} is a link that leads out of {folder}; remove it, and a folder takes its place"
        )


def require_writable(folder: Path, option: str) -> None:
    """Check that the folder can be written, or made if it is not there, before any work is done for it.

    Raises:
        RequestError: it cannot.
    """
    try:
        place = next(place for place in (folder, *folder.absolute().parents) if os.path.lexists(place))
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        raise RequestError(
            f"cannot write to {option} {str(folder)!r} ({error.strerror}); choose a folder that you may write, "
            f"as in {option} DIR"
        ) from error
