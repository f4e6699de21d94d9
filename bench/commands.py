"""What the commands do: measure, have runs trained, collect, report, and show it on the terminal."""

import argparse
import dataclasses
import io
import json
import sys
from collections.abc import Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.budgets import BUDGETS
from bench.dispatch import train_here
from bench.run_folder import load_record
from bench.specs import Complexity, Edition, Row, RunRecord, RunSpec, Table
from bench.store import load_complexity, require_writable, save_complexity, write_atomically
from bench.suites import Entry, Suite

if TYPE_CHECKING:
    import pandas as pd


def report_tables(tables: Sequence[Table], rows: Sequence[Row], edition: Edition, args: argparse.Namespace) -> int:
    """Measure and train what is missing of the rows, and report the tables."""
    reports, runs, as_json = args.reports, args.runs, args.json
    # Everything that can refuse the request does so before the first measurement.
    from bench.report.frame import table_frame
    from bench.report.markdown import table_markdown
    from bench.report.plots import table_picture

    require_writable(reports, "--reports")
    require_writable(runs / "complexity", "--runs")
    failures = _measure([(row.run.model, row.run.img_size) for row in rows], runs)
    if args.run:
        failures += train_here(with_seeds([row.run for row in rows], args.seeds), args)

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


def report_suites(suites: Sequence[Suite], chosen: Sequence[Entry], args: argparse.Namespace) -> int:
    """Train what is missing of runs that fill none of the paper's cells, and report them."""
    from bench.report.frame import runs_frame, seeds_frame
    from bench.report.markdown import runs_markdown, title
    from bench.report.plots import sweep_picture

    require_writable(args.reports, "--reports")
    require_writable(args.runs, "--runs")
    failures = train_here(with_seeds([entry.spec for entry in chosen], args.seeds), args) if args.run else []
    printed = []
    for suite in suites:
        records = _records([entry.spec for entry in suite.entries], args.runs)
        entries = tuple(e for e in suite.entries if e in chosen or records[e.spec.run_id])
        shown = dataclasses.replace(suite, entries=entries)
        frame = runs_frame(entries, records, suite.sweep, args.seeds or ())
        by_entry = seeds_frame(frame, suite.sweep)
        command = " ".join(["python run_all.py", *_repeat(args), "--run local", "--data DIR"])
        contents: dict[str, str | bytes] = {
            "md": runs_markdown(shown, records, command, args.seeds or ()),
            "csv": frame.to_csv(index=False, lineterminator="\n"),
        }
        if suite.sweep and by_entry["seeds"].any():
            contents["png"] = sweep_picture(shown, by_entry)
        for suffix, content in contents.items():
            write_atomically(args.reports / f"{suite.name}.{suffix}", content)
        if args.json:
            printed.append({"runs": suite.name, "rows": _plain(frame), "entries": _plain(by_entry)})
        else:
            _show_runs(title(suite), frame, by_entry, suite.sweep)
            print("wrote " + ", ".join(f"{args.reports / suite.name}.{suffix}" for suffix in contents))
    return _finish({"suites": printed} if args.json else None, failures)


def with_seeds(specs: Iterable[RunSpec], seeds: Sequence[int] | None) -> list[RunSpec]:
    """The runs with each of the seeds, or with their own."""
    return [spec.with_seed(seed) for spec in specs for seed in seeds or [spec.seed]]


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
        *(["--sweep", *args.sweep] if args.sweep else []),
        *(["--seeds", *map(str, args.seeds)] if args.seeds else []),
    ]


def _records(specs: Iterable[RunSpec], runs: Path) -> dict[str, list[RunRecord]]:
    """The records of each run with all seeds that were begun; a damaged one is named and counts as none."""
    begun = [path.parent.name for path in runs.glob("*/record.json")]
    records: dict[str, list[RunRecord]] = {}
    for spec in dict.fromkeys(specs):
        records[spec.run_id] = []
        for seed in spec.seeds_in(begun):
            try:
                record = load_record(runs / seed.run_id)
            except ValueError as error:
                print(f"run_all.py: not used: {error}", file=sys.stderr)
                continue
            if record:
                records[spec.run_id].append(record)
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


def _show_runs(title: str, frame: "pd.DataFrame", by_entry: "pd.DataFrame", sweep: Sequence[str]) -> None:
    """Print runs in aligned columns, or their means if there are several of an entry."""
    from bench.report.markdown import runs_comparison, seeds_comparison

    if sweep or (by_entry["runs"] > 1).any():
        _print_grid(title, seeds_comparison(by_entry, sweep))
    else:
        _print_grid(title, runs_comparison(frame, sweep).drop(columns=["where", "run"]))


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
