"""Reports on disk, and where the terminal says they are."""

from collections.abc import Mapping
from pathlib import Path

from bench.report.evidence import FOLDER
from bench.store import write_atomically


def write_report(folder: Path, name: str, contents: Mapping[str, str | bytes]) -> dict[str, Path]:
    """Write a report's files; returns their paths by suffix."""
    paths = {suffix: folder / f"{name}.{suffix}" for suffix in contents}
    for suffix, content in contents.items():
        write_atomically(paths[suffix], content)
    return paths


def read_reports(folder: Path) -> dict[str, bytes]:
    """The files of a reports folder that one page is made of, by path relative to it: reports, pictures, evidence."""
    suffixes = (".md", ".csv", ".png", ".svg")
    paths = [path for path in folder.glob("*.*") if path.suffix in suffixes and not path.name.startswith(".")]
    paths += [path for path in (folder / FOLDER).rglob("*.json*") if not path.name.startswith(".")]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(paths)}


def texts(paths: Mapping[str, Path]) -> dict[str, str]:
    return {suffix: str(path) for suffix, path in paths.items()}


def tell(paths: Mapping[str, Path]) -> None:
    print("wrote " + ", ".join(str(path) for path in paths.values()))
