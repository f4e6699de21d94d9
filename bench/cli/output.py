"""Reports on disk, where the terminal says they are, and how a command ends."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.spec.errors import RequestError
from bench.spec.text import answer, at_words, complain

if TYPE_CHECKING:
    from bench.report.pictures import Picture


def write_report(
    folder: Path, name: str, contents: Mapping[str, str | bytes], picture: "Picture | None" = None
) -> dict[str, Path]:
    """Write a report's files, but none that holds the same already; returns the paths of all, by suffix."""
    from bench.results.files import require_inside, write_changed

    pictures: Iterable[str] = ()
    if picture:
        from bench.report.pictures import picture_files

        pictures = picture_files(folder, name, picture)
    paths = {suffix: folder / f"{name}.{suffix}" for suffix in contents}
    for suffix, content in contents.items():
        require_inside(folder, paths[suffix])
        write_changed(paths[suffix], content)
    return paths | by_suffix(folder, pictures)


def by_suffix(folder: Path, files: Iterable[str]) -> dict[str, Path]:
    """The paths of a report's files in a folder, by suffix."""
    return {file.rpartition(".")[2]: folder / file for file in files}


def read_reports(folder: Path) -> dict[str, bytes]:
    """The files of a reports folder that one page is made of, by path relative to it: reports, pictures, evidence.

    What a link puts in the folder from elsewhere is none of them.
    """
    from bench.report.evidence import FOLDER

    suffixes = (".md", ".csv", ".png", ".svg")
    paths = [path for path in (*folder.glob("*.*"), *folder.glob("curves/*.*")) if path.suffix in suffixes]
    paths += (folder / FOLDER).rglob("*.json*")
    root = folder.resolve()
    there = (path for path in paths if path.is_file() and not path.name.startswith("."))
    files = sorted(path for path in there if path.resolve().is_relative_to(root))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def texts(paths: Mapping[str, Path]) -> dict[str, str]:
    """Paths as text, for JSON."""
    return {suffix: str(path) for suffix, path in paths.items()}


def confirmed(question: str, done: str, *, as_json: bool) -> bool:
    """Ask on the terminal before something is done that cannot be undone; a line says if it is not.

    Args:
        question: for yes or no, without its question mark.
        done: what is not done without a yes, as in "cancelled".
        as_json: whether a program reads what is printed.

    Raises:
        RequestError: there is nobody to ask.
    """
    is_yes = answer(question, as_json=as_json)
    if is_yes is None:
        raise RequestError(f"nothing was {done}: nobody can be asked to confirm here; add --yes")
    if not is_yes:
        print(f"nothing was {done}")
    return is_yes


def tell(paths: Mapping[str, Path]) -> None:
    """A line on what was written."""
    print(at_words("wrote " + ", ".join(str(path) for path in paths.values()), sys.stdout))


def finish(document: Mapping[str, object] | None, failures: Sequence[str]) -> int:
    """Print the JSON, if it was asked for, and a line on what failed; returns the exit code."""
    if document is not None:
        print(json.dumps({**document, "failures": failures}, indent=2))
    for failure in failures:
        complain(failure)
    return 1 if failures else 0
