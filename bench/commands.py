"""What the commands do: measure, train, collect, report, and show it on the terminal."""

import argparse
import io
import json
import os
import sys
from collections.abc import Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.budgets import BUDGETS
from bench.run_folder import RunBusy, load_record
from bench.specs import Complexity, Edition, Resources, Row, RunRecord, RunSpec, Table
from bench.store import load_complexity, require_writable, save_complexity, write_atomically

if TYPE_CHECKING:
    import pandas as pd

Suites = Mapping[str, Mapping[str, RunSpec]]
"""runs by row, by the name of the report that shows them"""


def changes(args: argparse.Namespace) -> list[str]:
    """What the request changes in every run, as the report's name and text say it."""
    return [*([args.dataset] if args.dataset else []), *sorted(args.set)]


def report_tables(tables: Sequence[Table], rows: Sequence[Row], edition: Edition, args: argparse.Namespace) -> int:
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
    return _finish({"tables": printed} if as_json else None, failures)


def report_runs(suites: Suites, chosen: Sequence[RunSpec], args: argparse.Namespace) -> int:
    """Runs that fill none of the paper's cells: under another budget, or with settings of their own."""
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
        changed = f", with {', '.join(changes(args))}" if changes(args) else ""
        about = (
            f"Runs under the {args.budget} budget{changed}. They are not the paper's runs and fill none of its cells."
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
    return _finish({"suites": printed} if args.json else None, failures)


def _finish(document: Mapping[str, object] | None, failures: Sequence[str]) -> int:
    """Print the JSON, if it was asked for, and what failed; returns the exit code."""
    if document is not None:
        print(json.dumps({**document, "failures": failures}, indent=2))
    for failure in failures:
        print(f"run_all.py: {failure}", file=sys.stderr)
    return 1 if failures else 0


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
