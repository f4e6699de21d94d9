"""Reports on disk, and where the terminal says they are."""

from collections.abc import Mapping
from pathlib import Path

from bench.store import write_atomically


def write_report(folder: Path, name: str, contents: Mapping[str, str | bytes]) -> dict[str, Path]:
    """Write a report's files; returns their paths by suffix."""
    paths = {suffix: folder / f"{name}.{suffix}" for suffix in contents}
    for suffix, content in contents.items():
        write_atomically(paths[suffix], content)
    return paths


def texts(paths: Mapping[str, Path]) -> dict[str, str]:
    return {suffix: str(path) for suffix, path in paths.items()}


def tell(paths: Mapping[str, Path]) -> None:
    print("wrote " + ", ".join(str(path) for path in paths.values()))
