"""The command line: arguments, wiring, and what the user sees.

Exit codes: 0 done, 1 something ran and failed, 2 the request was wrong. What takes long to import is imported
where it is used, so that ``--help`` and ``--list`` answer at once.
"""

import argparse
import fnmatch
import io
import json
import os
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from bench.paper import TABLES
from bench.paper.editions import EDITIONS
from bench.specs import Complexity, Edition, RequestError, Row, Table, unknown
from bench.store import load_complexity, require_writable, save_complexity, write_atomically

if TYPE_CHECKING:
    import pandas as pd

_INSTALL = "pip install -c constraints.txt -e ."
_DEPENDENCIES = ("torch", "torchvision", "timm", "fvcore", "pandas", "matplotlib", "submitit", "rich")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise RequestError(f"{message}; {self.prog} --help shows the options")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a path may hold what the terminal's encoding lacks
    try:
        code = _dispatch(_parser().parse_args(argv))
        if sys.stdout:
            sys.stdout.flush()
        return code
    except RequestError as error:
        return _fail(2, str(error))
    except ImportError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("bench", "models"):
            raise
        missing = f"missing dependency {package!r}" if package else " ".join(str(error).split())
        return _fail(2, f"{missing}; needed are {', '.join(_DEPENDENCIES)}; install them with: {_INSTALL}")
    except BrokenPipeError:  # the reader, head perhaps, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        return _fail(1, f"{error.filename or 'writing'}: {error.strerror or error}; finished measurements are kept")
    except KeyboardInterrupt:
        return _fail(130, "interrupted; finished measurements are kept, the same command goes on from them")


def _fail(code: int, message: str) -> int:
    print(f"run_all.py: {message}", file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="run_all.py",
        allow_abbrev=False,  # --run must never be read as --runs
        description="Measure the networks of the T2T-ViT paper's tables and report them beside the printed figures.",
        epilog="example: python run_all.py --table 3",
    )
    parser.add_argument("--table", nargs="+", metavar="N", help="tables to measure and report")
    parser.add_argument(
        "--only",
        nargs="+",
        metavar="PATTERN",
        help="measure only rows whose name or network matches, as in --only 'T2T-ViT*' resnet50; "
        "the reports keep every row that was measured before",
    )
    parser.add_argument(
        "--edition",
        default=EDITIONS[0].key,
        metavar="NAME",
        help=f"printed figures to compare with: {', '.join(e.key for e in EDITIONS)} (default: %(default)s)",
    )
    parser.add_argument("--list", action="store_true", help="list the tables and their rows")
    parser.add_argument("--reports", type=Path, default=Path("reports"), metavar="DIR", help="default: %(default)s")
    parser.add_argument(
        "--runs",
        type=Path,
        default=Path("runs"),
        metavar="DIR",
        help="where measurements are kept (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON for programs instead of tables")
    return parser


def _dispatch(args: argparse.Namespace) -> int:
    if not args.table and not args.list:
        raise RequestError(f"nothing to do; choose --list or --table N (N from {', '.join(map(str, TABLES))})")
    tables = _tables(args.table) if args.table else list(TABLES.values())
    edition = _edition(args.edition)
    rows = _rows(tables, args.only)
    if args.list:
        _list(tables, rows, as_json=args.json)
        return 0
    return _report(tables, rows, edition, reports=args.reports, runs=args.runs, as_json=args.json)


def _tables(numbers: Iterable[str]) -> list[Table]:
    by_name = {str(number): table for number, table in TABLES.items()}
    for number in numbers:
        if number not in by_name:
            raise unknown("table", number, by_name, "--list shows what each holds")
    return [by_name[number] for number in dict.fromkeys(numbers)]


def _edition(name: str) -> Edition:
    def plain(text: str) -> str:  # "arXiv v1", "arxiv_v1" and "arxiv-v1" are one edition
        return re.sub(r"[\W_]", "", text).lower()

    for edition in EDITIONS:
        if plain(name) == plain(edition.key):
            return edition
    raise unknown("edition", name, [e.key for e in EDITIONS])


def _rows(tables: Iterable[Table], patterns: Sequence[str] | None) -> list[Row]:
    """The rows to work on: those that a pattern matches, or all."""
    rows = [row for table in tables for row in table.rows]
    if not patterns:
        return rows
    matches = {
        pattern: [
            row
            for row in rows
            if any(fnmatch.fnmatchcase(name.lower(), pattern.lower()) for name in (row.name, row.run.model))
        ]
        for pattern in patterns
    }
    for pattern, found in matches.items():
        if not found:
            names = [row.name for row in rows]
            raise unknown("row or network", pattern, names, "--list shows networks; * and ? are wildcards")
    return [row for row in rows if any(row in found for found in matches.values())]


def _list(tables: Iterable[Table], rows: Sequence[Row], *, as_json: bool) -> None:
    if as_json:
        listed = [
            {
                "table": table.number,
                "title": table.title,
                "rows": [
                    {"model": row.name, "network": row.run.model, "img_size": row.run.img_size}
                    | {"recipe": row.run.recipe.name, "editions": _editions(row)}
                    for row in table.rows
                    if row in rows
                ],
            }
            for table in tables
        ]
        print(json.dumps({"tables": listed}, indent=2))
        return
    for table in tables:
        print(f"Table {table.number}: {table.title}")
        for row in table.rows:
            if row in rows:
                run = row.run
                where = f"{run.model:<14} {run.img_size} px  {run.recipe.name:<12}"
                print(f"  {row.name:<14} {where} {', '.join(_editions(row))}")


def _editions(row: Row) -> list[str]:
    return [edition.key for edition in EDITIONS if edition in row.published]


def _report(
    tables: Sequence[Table], rows: Sequence[Row], edition: Edition, *, reports: Path, runs: Path, as_json: bool
) -> int:
    # Everything that can refuse the request does so before the first measurement.
    from bench.report.frame import table_frame
    from bench.report.markdown import table_markdown
    from bench.report.plots import table_picture

    require_writable(reports, "--reports")
    require_writable(runs / "complexity", "--runs")
    failures = _measure([(row.run.model, row.run.img_size) for row in rows], runs)

    # Reports hold all rows: those outside --only as far as an earlier command measured them.
    measurements = _known([(row.run.model, row.run.img_size) for table in tables for row in table.rows], runs)
    printed = []
    for table in tables:
        frame = table_frame(table, edition, measurements)
        contents: dict[str, str | bytes] = {
            "md": table_markdown(table, edition, frame, measurements),
            "csv": frame.to_csv(index=False, lineterminator="\n"),
            "png": table_picture(table, edition, frame),
        }
        paths = {suffix: reports / f"table_{table.number}.{suffix}" for suffix in contents}
        for suffix, content in contents.items():
            write_atomically(paths[suffix], content)
        shown = frame[[row in rows for row in table.rows]]
        if as_json:
            printed.append(
                {
                    "table": table.number,
                    "title": table.title,
                    "edition": edition.key,
                    "rows": shown.astype(object).where(shown.notna(), None).to_dict("records"),
                    "reports": {suffix: str(path) for suffix, path in paths.items()},
                }
            )
        else:
            _show(table, edition, shown)
            print("wrote " + ", ".join(str(path) for path in paths.values()))
            if unmeasured := int(frame["macs_g"].isna().sum()):
                print(f"not measured in {runs}: {unmeasured} of {len(frame)} rows, dashes in the report")
    if as_json:
        print(json.dumps({"tables": printed, "failures": failures}, indent=2))
    for failure in failures:
        _fail(1, failure)
    return 1 if failures else 0


def _known(wanted: Iterable[tuple[str, int]], runs: Path) -> dict[tuple[str, int], Complexity]:
    """Measurements that still hold; a damaged file is named and counts as none."""
    from bench.complexity import is_current

    known = {}
    for key in dict.fromkeys(wanted):
        try:
            measured = load_complexity(runs, *key)
        except ValueError as error:
            print(f"run_all.py: not used: {error}", file=sys.stderr)
            continue
        if measured and is_current(measured):
            known[key] = measured
    return known


def _measure(wanted: Sequence[tuple[str, int]], runs: Path) -> list[str]:
    """Measure and keep what is not known yet; returns a line for each network that could not be measured."""
    known = _known(wanted, runs)
    todo = [key for key in dict.fromkeys(wanted) if key not in known]
    if not todo:
        return []
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from bench.complexity import CountError, measure

    failures = []
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task("", total=len(todo))
        for i, (model, img_size) in enumerate(todo, start=1):
            progress.update(task, description=f"measuring {model} at {img_size} px")
            try:
                measured = measure(model, img_size)
            except CountError as error:
                failures.append(f"{model} at {img_size} px: {error}")
                continue
            save_complexity(runs, measured)
            progress.advance(task)
            if not console.is_terminal:
                print(
                    f"[{i}/{len(todo)}] {model} at {img_size} px: {measured.params / 1e6:.2f} M params, "
                    f"{measured.macs / 1e9:.2f} G MACs",
                    file=sys.stderr,
                    flush=True,
                )
    return failures


def _show(table: Table, edition: Edition, frame: "pd.DataFrame") -> None:
    """Print the table in aligned columns, which fit a terminal of 80."""
    from rich.console import Console
    from rich.table import Table as Grid

    from bench.report.markdown import comparison

    # Wide: a narrow terminal wraps the lines rather than lose a name or a figure.
    terminal = sys.stdout is not None and sys.stdout.isatty()
    text = io.StringIO()
    console = Console(file=text, width=200, force_terminal=terminal)
    grid = Grid(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    shown = comparison(frame)
    # The differences stay in the report: with them the table outgrows 80 columns.
    names = [name for name in map(str, shown.columns) if not name.endswith("difference")]
    for name in names:
        is_text = name == "Model" or name.endswith("verdict")
        header = name.replace(": ", "\n")
        grid.add_column(header, justify="left" if is_text else "right", no_wrap=True)
    for line in shown[names].itertuples(index=False):
        grid.add_row(*line, style="yellow" if "differs" in line else None)
    console.print(f"Table {table.number}: {table.title} ({edition.name} edition)", style="bold", markup=False)
    console.print(grid)
    print(text.getvalue(), end="")
