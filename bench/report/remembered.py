"""Files that are made again only if they would come out otherwise: tables, pictures, and the HTML page.

Beside them ``.made.json`` remembers a fingerprint of all that each was made from, and the checksums of what was made.
It is part of no report: without it, or where a file was edited or removed, the file is made again, with the same bytes
if nothing else has changed.
"""

import csv
import functools
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

from bench.results.codec import plain
from bench.results.files import CorruptFile, read, require_inside, write_atomically, write_changed
from bench.spec.regular_files import open_regular

MEMORY = ".made.json"

_PACKAGES = ("report", "spec", "results", "experiments", "paper", "measure")
"""the packages whose code a report runs: ``tests/test_imports.py`` forbids it all others"""

_CODE = (".py", ".jinja", ".css", ".js")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Made:
    fingerprint: str
    """of all that the files were made from"""
    sha256: dict[str, str]
    """of each file, by its path in the folder"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Memory:
    made: dict[str, _Made] = field(default_factory=dict)
    """by what was made"""


def remembered(
    folder: Path, name: str, make: Callable[[], Mapping[str, bytes]], *, of: object, libraries: Sequence[str]
) -> Mapping[str, bytes]:
    """Files of a report: as they are on disk if making them again would change nothing, and else made and written anew.

    Args:
        folder: the folder of reports.
        name: of what is made.
        make: makes the files, from nothing but ``of``; returns their contents by their paths in the folder.
        of: their data: dataclasses, mappings, sequences, DataFrames, arrays, plain values.
        libraries: packages that make them, whose versions count.

    Returns:
        What ``make`` returned, now or before.

    Raises:
        RequestError: a link leads from the folder to where a file would be written.
    """
    fingerprint = _fingerprint(of, libraries)
    known = _load(folder).made
    if name in known and known[name].fingerprint == fingerprint:
        found = {file: _content(folder / file) for file in known[name].sha256}
        if {file: _sha256(content) for file, content in found.items()} == known[name].sha256:
            return found
    made = make()
    for file, content in made.items():
        require_inside(folder, folder / file)
        write_changed(folder / file, content)
    known = {other: one for other, one in _load(folder).made.items() if _are_there(folder, one)}
    known[name] = _Made(fingerprint=fingerprint, sha256={file: _sha256(content) for file, content in made.items()})
    write_atomically(folder / MEMORY, plain(_Memory(made=known)), flushed=False)
    return made


def _load(folder: Path) -> _Memory:
    try:
        return read(folder / MEMORY, _Memory, checksum=False)
    except (FileNotFoundError, CorruptFile):
        return _Memory()


def _are_there(folder: Path, made: _Made) -> bool:
    return all((folder / file).is_file() for file in made.sha256)


def _content(path: Path) -> bytes:
    """The content of a file; empty if it cannot be read, or is a link."""
    try:
        with open_regular(path, follow=False) as file:
            content: bytes = file.read()
    except OSError:
        return b""
    return content


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _fingerprint(of: object, libraries: Sequence[str]) -> str:
    """A hash of data, code and versions: another one whenever one of them could change what is made."""
    versions = [f"{name} {version(name)}" for name in libraries]
    found = msgspec.msgpack.encode([versions, of], enc_hook=_encodable)
    return _sha256(_code_sha256() + found)


def _encodable(value: Any) -> object:
    """A value that msgspec does not know as values that it does."""
    import numpy as np  # what has no such value needs neither, and is there before they are imported
    import pandas as pd

    if isinstance(value, pd.DataFrame):
        return value.to_csv(na_rep="\0", quoting=csv.QUOTE_NONNUMERIC)
    if isinstance(value, np.ndarray):
        return [value.dtype.str, value.shape, value.tobytes()]
    if isinstance(value, np.generic):
        return value.item()
    raise NotImplementedError(f"no fingerprint of {type(value).__name__}")


@functools.cache
def _code_sha256() -> bytes:
    """A hash of the code that makes reports, of all of it: nobody can tell which line a picture does not depend on."""
    root = Path(__file__).parent.parent
    files = sorted(path for package in _PACKAGES for path in (root / package).rglob("*") if path.suffix in _CODE)
    found = hashlib.sha256()
    for path in files:
        found.update(f"{path.relative_to(root).as_posix()}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return found.digest()
