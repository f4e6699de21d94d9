"""The provenance of a result: machine, versions of libraries, commit of this repository."""

import functools
import importlib.metadata
import os
import platform
import re
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

TRAINING_LIBRARIES = ("torch", "torchvision", "timm", "numpy")
"""those that a run's result depends on"""


def versions_of(libraries: Iterable[str]) -> dict[str, str]:
    """Versions of Python and of installed libraries."""
    return {"python": platform.python_version(), **{name: importlib.metadata.version(name) for name in libraries}}


def other_versions(versions: Mapping[str, str], libraries: Iterable[str]) -> bool:
    """Whether a library here has another version than was measured with; one that is not installed has none."""
    return any(_installed(name) not in (None, versions.get(name)) for name in libraries)


@functools.cache
def _installed(library: str) -> str | None:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return None


@functools.cache
def machine() -> str:
    """System, processor and number of cores, in words."""
    cpu = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        named = re.search(r"^model name\s*: (.+)$", cpuinfo.read_text(), re.MULTILINE)
        cpu = named[1].strip() if named else cpu
    return f"{platform.system()} {platform.machine()}, {cpu}, {os.cpu_count()} cores"


def checkout() -> dict[str, object]:
    """Commit of the checkout and whether the tree is dirty; empty outside one."""
    root = Path(__file__).resolve().parents[2]

    def git(*arguments: str) -> str:
        return subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True).stdout

    try:
        return {"commit": git("rev-parse", "HEAD").strip(), "dirty": bool(git("status", "--porcelain").strip())}
    except (OSError, subprocess.CalledProcessError):
        return {}
