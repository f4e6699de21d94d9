"""The files of evidence in the HTML page: their kind, their text if there is room, and whether they are intact."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from bench.report.html.reports import EVIDENCE
from bench.results.codec import parse, unsealed

_FILE_BYTES, _ALL_BYTES = 100_000, 3_000_000
"""what is larger is left out, and what comes after so much: the page is to be mailed"""

_MEASUREMENTS = {
    "complexity": "Params and MACs",
    "outlines": "Layers and their shapes",
    "speed": "Speed",
    "evaluations": "Released weights, evaluated",
    "recorded": "Published predictions",
    "feature_maps": "Feature maps",
    "dead_channels": "Dead channels",
}
"""names of the kinds of measurements, by folder, in the order of the page"""

_RUN = re.compile(r"[^-]+-(.+)-s\d+-[0-9a-f]{8}")
"""the folder of a run: its id, with data set and recipe in the middle"""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceGroup:
    """Files of one kind."""

    title: str
    files: list[EvidenceFile]


def evidence_groups(files: Mapping[str, bytes]) -> list[EvidenceGroup]:
    """All files by kind: measurements, then the runs of each data set and recipe, then what is neither.

    Args:
        files: by path; those that come first have the room.
    """
    left = _ALL_BYTES
    groups: dict[tuple[int, str], list[EvidenceFile]] = {}
    for path, content in files.items():
        fits = len(content) <= min(_FILE_BYTES, left)
        left -= len(content) if fits else 0
        checksum, is_corrupt = _sealing(content) if path.endswith(".json") else (None, False)
        file = EvidenceFile(
            path=path,
            size=len(content),
            text=content.decode(errors="replace") if fits else None,
            checksum=checksum,
            is_corrupt=is_corrupt,
        )
        groups.setdefault(_kind(path), []).append(file)
    return [EvidenceGroup(title=title, files=groups[place, title]) for place, title in sorted(groups)]


def _kind(path: str) -> tuple[int, str]:
    """Place and title of the file's group."""
    folder = PurePosixPath(path.removeprefix(EVIDENCE)).parts[0]
    if folder in _MEASUREMENTS:
        return list(_MEASUREMENTS).index(folder), _MEASUREMENTS[folder]
    if run := _RUN.fullmatch(folder):
        return len(_MEASUREMENTS), f"Training runs: {run[1]}"
    return len(_MEASUREMENTS) + 1, "Other files"


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
