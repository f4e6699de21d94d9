"""The command line: arguments, wiring, and what the user sees.

Exit codes: 0 done, 1 something ran and failed, 2 the request was wrong. What takes long to import is imported
where it is used, so that ``--help`` and ``--list`` answer at once.
"""

import argparse
import dataclasses
import fnmatch
import io
import json
import os
import re
import sys
from collections.abc import Callable, Hashable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeVar

from bench.budgets import BUDGETS, SUITES, under
from bench.paper import TABLES
from bench.paper.editions import EDITIONS
from bench.recipes import override
from bench.run_folder import RunBusy, load_record
from bench.specs import Complexity, Edition, RequestError, Resources, Row, RunRecord, RunSpec, Table, unknown
from bench.store import load_complexity, require_writable, save_complexity, write_atomically

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")

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
    except KeyboardInterrupt as error:
        what = str(error) or "interrupted; finished measurements are kept, the same command goes on from them"
        return _fail(130, what)


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
    parser.add_argument("--run", choices=["local"], help="train what is missing, on this machine")
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(os.environ.get("T2T_BENCH_DATA", "data")),
        metavar="DIR",
        help="folder with imagenet/{train,val}, cifar10, cifar100 (default: $T2T_BENCH_DATA or ./data)",
    )
    parser.add_argument(
        "--dataset",
        metavar="NAME",
        help="train on other data: imagenet, cifar10, cifar100, synthetic, or what timm's create_dataset names by "
        "prefix, such as hfds/...: another run, reported apart",
    )
    parser.add_argument("--download", action="store_true", help="fetch CIFAR into --data where it is missing")
    parser.add_argument(
        "--budget",
        default=BUDGETS[0],
        choices=BUDGETS,
        help="paper: the paper's runs; pilot: CIFAR-10 at 96 px, minutes on a GPU; smoke: generated images, a minute. "
        "Pilot and smoke need no --table and report into tables of their own",
    )
    parser.add_argument(
        "--set",
        nargs="+",
        default=[],
        metavar="FIELD=VALUE",
        help="train with another value of the recipe, as in --set lr=1e-3: another run, reported apart",
    )
    parser.add_argument(
        "--workers", type=_at_least(0), metavar="N", help="loading processes a GPU (default: up to 8, 0 on a CPU)"
    )
    parser.add_argument(
        "--micro-batch",
        type=_at_least(1),
        default=64,
        metavar="N",
        help="most images a device takes at once (default: %(default)s)",
    )
    parser.add_argument("--reports", type=Path, default=Path("reports"), metavar="DIR", help="default: %(default)s")
    parser.add_argument(
        "--runs",
        type=Path,
        default=Path("runs"),
        metavar="DIR",
        help="where measurements are kept (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON for programs instead of tables")
    parser.add_argument(
        "--precision",
        default="auto",
        choices=["auto", "bfloat16", "float16", "float32"],
        help="of training (default: bfloat16 where the hardware has it, else float16 on a GPU, else float32)",
    )
    return parser


def _at_least(least: int) -> Callable[[str], int]:
    """Type of an option that counts something."""

    def count(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least}")
        return int(text)

    return count


def _dispatch(args: argparse.Namespace) -> int:
    if not args.table and not args.list and args.budget not in SUITES:
        raise RequestError(f"nothing to do; choose --list or --table N (N from {', '.join(map(str, TABLES))})")
    tables = _tables(args.table) if args.table else list(TABLES.values())
    edition = _edition(args.edition)
    if not args.list and (args.budget != BUDGETS[0] or args.set or args.dataset):
        return _runs_apart(tables if args.table else [], args)
    rows = _rows(tables, args.only)
    if args.list:
        _list(tables, rows, as_json=args.json)
        return 0
    return _report(tables, rows, edition, args)


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
    return _matching([(row.name, row.run.model, row) for table in tables for row in table.rows], patterns)


def _matching(named: Sequence[tuple[str, str, T]], patterns: Sequence[str] | None) -> list[T]:
    """What stands behind the names (of row and network) that a pattern matches, or behind all."""
    if not patterns:
        return [item for *_, item in named]
    matches = {
        pattern: [
            item
            for *names, item in named
            if any(fnmatch.fnmatchcase(str(name).lower(), pattern.lower()) for name in names)
        ]
        for pattern in patterns
    }
    for pattern, found in matches.items():
        if not found:
            names = [name for name, *_ in named]
            raise unknown("row or network", pattern, names, "--list shows networks; * and ? are wildcards")
    return [item for *_, item in named if any(item in found for found in matches.values())]


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


def _report(tables: Sequence[Table], rows: Sequence[Row], edition: Edition, args: argparse.Namespace) -> int:
    reports, runs, as_json = args.reports, args.runs, args.json
    # Everything that can refuse the request does so before the first measurement.
    from bench.report.frame import table_frame
    from bench.report.markdown import table_markdown
    from bench.report.plots import table_picture

    require_writable(reports, "--reports")
    require_writable(runs / "complexity", "--runs")
    failures = _measure([(row.run.model, row.run.img_size) for row in rows], runs)
    if args.run:
        failures += _train([row.run for row in rows], args)

    # Reports hold all rows: those outside --only as far as an earlier command measured them.
    measurements = _known([(row.run.model, row.run.img_size) for table in tables for row in table.rows], runs)
    records = _records([row.run for table in tables for row in table.rows], runs)
    printed = []
    for table in tables:
        frame = table_frame(table, edition, measurements, records)
        contents: dict[str, str | bytes] = {
            "md": table_markdown(table, edition, frame, measurements, records),
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
                    "rows": _plain(shown),
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


def _runs_apart(tables: Sequence[Table], args: argparse.Namespace) -> int:
    """Runs that fill none of the paper's cells: under another budget, or with settings of their own."""
    changes = [*([args.dataset] if args.dataset else []), *sorted(args.set)]
    apart = [*([args.budget] if args.budget != BUDGETS[0] else []), *changes]
    suites = {
        re.sub(r"[^\w.=+-]", "-", "_".join([*label, *apart])): {
            row: _changed(under(args.budget, spec), args) for row, spec in specs.items()
        }
        for label, specs in (
            [([f"table_{table.number}"], {row.name: row.run for row in table.rows}) for table in tables]
            or [([], SUITES[args.budget])]
        )
    }
    chosen = _matching([(row, spec.model, spec) for specs in suites.values() for row, spec in specs.items()], args.only)

    from bench.report.frame import runs_frame
    from bench.report.markdown import runs_markdown

    require_writable(args.reports, "--reports")
    require_writable(args.runs, "--runs")
    failures = _train(chosen, args) if args.run else []
    printed = []
    for name, specs in suites.items():
        records = _records(specs.values(), args.runs)
        shown = {row: spec for row, spec in specs.items() if spec in chosen or spec.run_id in records}
        frame = runs_frame(shown, records)
        command = " ".join(["python run_all.py", *_repeat(args), "--run local", "--data DIR"])
        about = (
            f"Runs under the {args.budget} budget{', with ' + ', '.join(changes) if changes else ''}. They are not "
            "the paper's runs and fill none of its cells."
        )
        title = name.replace("_", " ").capitalize()
        contents = {
            "md": runs_markdown(name, title, about, shown, records, command),
            "csv": frame.to_csv(index=False, lineterminator="\n"),
        }
        for suffix, content in contents.items():
            write_atomically(args.reports / f"{name}.{suffix}", content)
        if args.json:
            printed.append({"runs": name, "rows": _plain(frame)})
        else:
            _show_runs(title, frame)
            print(f"wrote {args.reports / name}.md, {args.reports / name}.csv")
    if args.json:
        print(json.dumps({"suites": printed, "failures": failures}, indent=2))
    for failure in failures:
        _fail(1, failure)
    return 1 if failures else 0


def _changed(spec: RunSpec, args: argparse.Namespace) -> RunSpec:
    recipe = override(spec.recipe, args.set) if args.set else spec.recipe
    return dataclasses.replace(spec, recipe=recipe, dataset=args.dataset or spec.dataset)


def _repeat(args: argparse.Namespace) -> list[str]:
    """The options that choose runs, as they were given."""
    return [
        *(["--table", *args.table] if args.table else []),
        *(["--budget", args.budget] if args.budget != BUDGETS[0] else []),
        *(["--dataset", args.dataset] if args.dataset else []),
        *(["--set", *args.set] if args.set else []),
    ]


def _train(specs: Iterable[RunSpec], args: argparse.Namespace) -> list[str]:
    """Train the runs that are not completed, one after another; returns a line for each that failed."""
    from bench import job

    resources = Resources(
        data=str(args.data),
        download=args.download,
        workers=_workers(args.workers),
        micro_batch=args.micro_batch,
        precision=args.precision,
    )
    failures = []
    for spec in dict.fromkeys(specs):
        record = _records([spec], args.runs).get(spec.run_id)
        if record and record.status == "completed":
            continue
        try:
            job.run(job.prepare(args.runs, spec), resources)
        except job.RunInterrupted as interrupted:
            raise KeyboardInterrupt(str(interrupted)) from interrupted
        except (job.RunFailed, RunBusy) as error:  # the other rows are none the worse
            failures.append(str(error))
    return failures


def _workers(wanted: int | None) -> int:
    if wanted is not None:
        return wanted
    import torch

    gpus = torch.cuda.device_count()
    return min(8, (os.cpu_count() or 1) // gpus) if gpus else 0


def _records(specs: Iterable[RunSpec], runs: Path) -> dict[str, RunRecord]:
    """The records of the runs that were begun; a damaged one is named and counts as none."""
    records = {}
    for spec in dict.fromkeys(specs):
        try:
            record = load_record(runs / spec.run_id)
        except ValueError as error:
            print(f"run_all.py: not used: {error}", file=sys.stderr)
            continue
        if record:
            records[spec.run_id] = record
    return records


def _plain(frame: "pd.DataFrame") -> list[dict[Hashable, object]]:
    """Rows for JSON, null where a value is missing."""
    return frame.astype(object).where(frame.notna(), None).to_dict("records")


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
    from bench.report.markdown import comparison

    shown = comparison(frame)
    # The differences stay in the report: with them the table outgrows 80 columns.
    shown = shown[[name for name in shown if not str(name).endswith("difference")]]
    _print_grid(f"Table {table.number}: {table.title} ({edition.name} edition)", shown)


def _show_runs(title: str, frame: "pd.DataFrame") -> None:
    """Print runs in aligned columns."""
    from bench.report.markdown import runs_comparison

    _print_grid(title, runs_comparison(frame).drop(columns=["where", "run"]))


def _print_grid(title: str, shown: "pd.DataFrame") -> None:
    from rich.console import Console
    from rich.table import Table as Grid

    # Wide: a narrow terminal wraps the lines rather than lose a name or a figure.
    terminal = sys.stdout is not None and sys.stdout.isatty()
    text = io.StringIO()
    console = Console(file=text, width=200, force_terminal=terminal)
    grid = Grid(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    for name in map(str, shown.columns):
        is_text = name in ("Model", "status") or name.endswith("verdict")
        header = name.replace(": ", "\n")
        grid.add_column(header, justify="left" if is_text else "right", no_wrap=True)
    for line in shown.itertuples(index=False):
        grid.add_row(*line, style="yellow" if "differs" in line else None)
    console.print(title, style="bold", markup=False)
    console.print(grid)
    print(text.getvalue(), end="")
