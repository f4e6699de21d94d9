"""The files of evidence in the HTML page: their text, if there is room for it, and whether they are intact."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bench.results.codec import parse, unsealed

_FILE_BYTES, _ALL_BYTES = 100_000, 3_000_000
"""what is larger is left out, and what comes after so much: the page is to be mailed"""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceFile:
    """A file of evidence, as the page shows it."""

    path: str
    size: int
    """in bytes"""
    text: str | None
    """None if it is too large for the page"""
    checksum: str | None
    """None if it carries none"""
    is_corrupt: bool
    """whether it does not match its checksum"""


def evidence_files(files: Mapping[str, bytes]) -> Iterator[EvidenceFile]:
    """Each file, by path; those that come first have the room."""
    left = _ALL_BYTES
    for path, content in files.items():
        fits = len(content) <= min(_FILE_BYTES, left)
        left -= len(content) if fits else 0
        checksum, is_corrupt = _sealing(content) if path.endswith(".json") else (None, False)
        yield EvidenceFile(
            path=path,
            size=len(content),
            text=content.decode(errors="replace") if fits else None,
            checksum=checksum,
            is_corrupt=is_corrupt,
        )


def _sealing(content: bytes) -> tuple[str | None, bool]:
    """The checksum that a file carries, if any, and whether the file does not match it."""
    try:
        checksum = parse(content.decode()).get("checksum")
    except (ValueError, RecursionError):
        return None, False
    if checksum is None:
        return None, False
    try:
        unsealed(content.decode())
    except ValueError:
        return str(checksum), True
    return str(checksum), False
