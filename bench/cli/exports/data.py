"""``run_all.py export data``: all results as CSV and Parquet, which docs/results.md describes."""

import argparse
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cli.extras import require_extra
from bench.cli.output import finish, tell, texts
from bench.cli.parser import add_runs, add_to
from bench.results.files import require_writable, write_atomically
from bench.spec.errors import RequestError

if TYPE_CHECKING:
    import pandas as pd

HELP = "write all runs, evaluations and measurements as CSV and Parquet"

FORMATS = ("csv", "parquet")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The results to write, and the files to write them to."""

    runs: Path
    to: Path
    """folder of the files"""
    formats: tuple[str, ...]
    as_json: bool


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the format."""
    add_to(add_runs(parser), "exports")
    parser.add_argument(
        "--format",
        nargs="+",
        choices=FORMATS,
        default=list(FORMATS),
        help="write these files (default: both; Parquet needs the extra parquet)",
    )


def request(args: argparse.Namespace) -> Request:
    """The request that the options make."""
    return Request(runs=args.runs, to=args.to, formats=tuple(dict.fromkeys(args.format)), as_json=args.json)


def run(asked: Request) -> int:
    """Write the files; returns the exit code.

    Raises:
        RequestError: there are no results, a package is missing, or a file of the name is not an earlier export.
    """
    if "parquet" in asked.formats:
        require_extra("export data", "parquet", ("pyarrow",), "or leave Parquet out with --format csv")
    from bench.report.data import load_facts, load_runs

    require_writable(asked.to, "--to")
    frames = {"facts": load_facts(asked.runs), "runs": load_runs(asked.runs)}
    paths = {f"{name}.{kind}": asked.to / f"{name}.{kind}" for name in frames for kind in asked.formats}
    for file, path in paths.items():
        _require_own(path, list(frames[file.partition(".")[0]].columns)[:2])
    for file, path in paths.items():
        name, _, kind = file.partition(".")
        write_atomically(path, _WRITERS[kind](frames[name]))
    if asked.as_json:
        rows = {name: len(frame) for name, frame in frames.items()}
        return finish({"rows": rows, "files": texts(paths)}, [])
    tell(paths)
    return finish(None, [])


def _parquet(frame: "pd.DataFrame") -> bytes:
    return frame.to_parquet(index=False, engine="pyarrow")


def _csv(frame: "pd.DataFrame") -> str:
    return frame.to_csv(index=False, lineterminator="\n")


_WRITERS: "Mapping[str, Callable[[pd.DataFrame], str | bytes]]" = {"csv": _csv, "parquet": _parquet}


def _require_own(path: Path, columns: Sequence[str]) -> None:
    """Check that a file that is to be replaced begins with the same columns, as an earlier export does.

    Raises:
        RequestError: it does not.
    """
    if path.exists() and _columns(path)[: len(columns)] != columns:
        raise RequestError(f"{path} is no earlier export; move it away, or choose another folder with --to DIR")


def _columns(path: Path) -> list[str]:
    """Names of a file's columns; none if it is of another kind."""
    content = path.read_bytes()
    if path.suffix == ".csv":
        return content.partition(b"\n")[0].decode(errors="replace").split(",")
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return list(pq.read_schema(io.BytesIO(content)).names)
    except pa.ArrowInvalid:
        return []
