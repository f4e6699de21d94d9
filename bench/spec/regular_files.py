"""Files that are opened only if they are regular: no pipe that waits for a writer, no device without an end."""

import contextlib
import errno
import io
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any


def open_regular(path: str | Path, mode: str = "rb", *, follow: bool = True) -> IO[Any]:
    """Open a file that a user names, or that others may have put where one of ours should lie.

    ``models.checkpoint_files`` opens weights in the same way, since the networks do not need this package.

    Args:
        path: of the file.
        mode: as of ``open``.
        follow: whether a symbolic link counts as what it leads to; else it is no regular file.

    Raises:
        OSError: it is not there, not a regular file, or cannot be opened.
    """
    return open(path, mode, opener=_follow if follow else _no_follow)


@contextlib.contextmanager
def regular_file(path: str | Path) -> Iterator[io.BufferedReader]:
    """Read a file as ``open_regular`` opens it.

    Raises:
        OSError: as ``open_regular``, or it cannot be read to its end; names it either way.
    """
    try:
        with open_regular(path) as file:
            assert isinstance(file, io.BufferedReader)
            yield file
    except OSError as error:
        if error.errno is None or error.filename is not None:  # of a decoder, or named
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def _follow(path: str, flags: int) -> int:
    try:
        descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY, 0o666)
    except OSError as error:
        is_link = flags & os.O_NOFOLLOW and error.errno == errno.ELOOP
        if is_link or error.errno == errno.ENXIO:  # which sockets end in
            raise _not_regular(path) from error
        raise
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return descriptor
    os.close(descriptor)
    raise OSError(errno.EISDIR, os.strerror(errno.EISDIR), path) if stat.S_ISDIR(mode) else _not_regular(path)


def _no_follow(path: str, flags: int) -> int:
    return _follow(path, flags | os.O_NOFOLLOW)


def _not_regular(path: str) -> OSError:
    return OSError(errno.EINVAL, "not a regular file", path)
