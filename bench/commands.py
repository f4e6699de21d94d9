"""What the commands do: measure, have runs trained, collect, report, and show it on the terminal."""

import argparse
import dataclasses
import io
import json
import re
import sys
from collections.abc import Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.budgets import BUDGETS
from bench.dispatch import train_here
from bench.evaluations import evaluate_released, known_evaluations, require_released
from bench.paper.claims import CLAIMS
from bench.paper.ideas import IDEAS
from bench.run_folder import load_record
from bench.specs import Complexity, Edition, Network, RecipeTable, Row, RunRecord, RunSpec, Table, networks
from bench.store import load_complexity, require_writable, save_complexity, write_atomically
from bench.suites import Entry, Suite

if TYPE_CHECKING:
    import pandas as pd

    from bench.report.frame import Evaluations, Measurements, Records


def report_tables(
    tables: Sequence[Table],
    recipe_tables: Sequence[RecipeTable],
    rows: Sequence[Row],
    specs: Sequence[RunSpec],
    edition: Edition,
    args: argparse.Namespace,
) -> int:
    """Measure the rows and train the specs as far as missing, and report the tables; with --all the index too."""
    # A missing library or a folder that cannot be written refuses the request before the first measurement.
    from bench.report.frame import evaluations_frame, table_frame

    require_writable(args.reports, "--reports")
    require_writable(args.runs / "complexity", "--runs")
    released = require_released(runs_of(rows), args.evaluate) if args.evaluate else {}
    failures = evaluate_released(released, args) if released else []
    failures += _measure(networks(rows), args.runs)
    if args.run:
        failures += train_here(with_seeds(specs, args.seeds), args)

    # Reports hold all rows: those outside --only as far as an earlier command measured them.
    every = [row for table in tables for row in table.rows_in(edition)]
    measurements = _known(networks(every), args.runs)
    records = _records(runs_of(every), args.runs)
    for spec, found in records_from_files(every, args.runs).items():
        records[spec.run_id] += found
    evaluations = known_evaluations(args.runs)
    frames = [table_frame(table, edition, measurements, records, evaluations) for table in tables]
    printed: list[dict[str, object]] = []
    for table, frame in zip(tables, frames, strict=True):
        contents = _table_contents(table, edition, frame, measurements, records, evaluations)
        paths = _write(args.reports, f"table_{table.number}", contents)
        shown = frame[[row in rows for row in table.rows_in(edition)]]
        numbered = {"table": table.number, "title": table.title}
        plain = {"rows": _plain(shown), "evaluations": _plain(evaluations_frame(table, edition, evaluations))}
        printed.append(numbered | {"edition": edition.key, **plain, "reports": _texts(paths)})
        if not args.json:
            _show(table, edition, shown)
            _tell(paths)
            if unmeasured := int(frame["macs_g"].isna().sum()):
                print(f"not measured in {args.runs}: {unmeasured} of {len(frame)} rows, dashes in the report")
    for recipe_table in recipe_tables:
        paths = _write(args.reports, f"table_{recipe_table.number}", _recipes_contents(recipe_table))
        printed.append(_plain_recipes(recipe_table) | {"reports": _texts(paths)})
        if not args.json:
            _show_recipes(recipe_table)
            _tell(paths)
    document: dict[str, object] = {"tables": printed}
    if args.all:
        document |= _report_index(tables, recipe_tables, edition, frames, measurements, args)
    return _finish(document if args.json else None, failures)


def runs_of(rows: Iterable[Row]) -> list[RunSpec]:
    """All runs that fill cells of the rows, each once."""
    return list(dict.fromkeys(run for row in rows for run in row.runs))


def tell_untrained(rows: Iterable[Row]) -> None:
    """A line on the rows that have no run."""
    if stuck := list(dict.fromkeys(row.name for row in rows if row.run is None)):
        print(
            f"run_all.py: not trained: {', '.join(stuck)}: no recipe is held for how their printed top-1 came about",
            file=sys.stderr,
        )


def _table_contents(
    table: Table,
    edition: Edition,
    frame: "pd.DataFrame",
    measurements: "Measurements",
    records: "Records",
    evaluations: "Evaluations",
) -> dict[str, str | bytes]:
    """A table's files by suffix."""
    from bench.report.markdown import table_markdown

    contents: dict[str, str | bytes] = {
        "md": table_markdown(table, edition, frame, measurements, records, evaluations),
        "csv": frame.to_csv(index=False, lineterminator="\n"),
    }
    if table.has_picture:
        from bench.report.plots import table_picture

        contents["png"] = table_picture(table, edition, frame)
    return contents


def _recipes_contents(table: RecipeTable) -> dict[str, str | bytes]:
    from bench.report.recipes import recipes_frame, recipes_markdown

    return {
        "md": recipes_markdown(table),
        "csv": recipes_frame(table).to_csv(index=False, lineterminator="\n"),
    }


def _report_index(
    tables: Sequence[Table],
    recipe_tables: Sequence[RecipeTable],
    edition: Edition,
    frames: "Sequence[pd.DataFrame]",
    measurements: "Measurements",
    args: argparse.Namespace,
) -> dict[str, object]:
    """Write the pages beside the tables, and the index; returns, for JSON, where they are and the count of verdicts."""
    from bench.report.claims import claims_frame, claims_markdown
    from bench.report.counting import counting_markdown
    from bench.report.figure_1 import figure_1
    from bench.report.ideas import ideas_frame, ideas_markdown, ideas_pictures
    from bench.report.index import index_markdown, total_counts
    from bench.report.plots import saved

    counting = _write(args.reports, "counting", {"md": counting_markdown(measurements)})
    by_table = {table.number: frame for table, frame in zip(tables, frames, strict=True)}
    tried = claims_frame(CLAIMS, by_table)
    claims = _write(
        args.reports,
        "claims",
        {"md": claims_markdown(CLAIMS, edition, tried), "csv": tried.to_csv(index=False, lineterminator="\n")},
    )
    figure = _write(args.reports, "figure_1", saved(figure_1(edition, by_table), svg=True))
    changes = ideas_frame(IDEAS, by_table)
    ideas = _write(
        args.reports,
        "ideas",
        {
            "md": ideas_markdown(edition, changes),
            "csv": changes.to_csv(index=False, lineterminator="\n"),
            **ideas_pictures(edition, changes),
        },
    )
    index = _write(
        args.reports, "README", {"md": index_markdown(tables, recipe_tables, edition, frames, _apart(args.reports))}
    )
    if not args.json:
        for paths in (counting, claims, ideas, figure, index):
            _tell(paths)
    pages = {"counting": _texts(counting), "claims": _texts(claims), "ideas": _texts(ideas), "figure_1": _texts(figure)}
    pages["index"] = _texts(index)
    return pages | {"verdicts": total_counts(frames)}


def _apart(folder: Path) -> dict[str, str]:
    """Titles of the reports in the folder that are none of --all's, by file name."""
    known = re.compile(r"table_\d+|README|counting|claims|ideas")
    found = sorted(path for path in folder.glob("*.md") if not known.fullmatch(path.stem))
    return {path.name: path.read_text().partition("\n")[0].removeprefix("# ") for path in found}


def _write(folder: Path, name: str, contents: Mapping[str, str | bytes]) -> dict[str, Path]:
    """Write a report's files; returns their paths by suffix."""
    paths = {suffix: folder / f"{name}.{suffix}" for suffix in contents}
    for suffix, content in contents.items():
        write_atomically(paths[suffix], content)
    return paths


def _texts(paths: Mapping[str, Path]) -> dict[str, str]:
    return {suffix: str(path) for suffix, path in paths.items()}


def _tell(paths: Mapping[str, Path]) -> None:
    print("wrote " + ", ".join(str(path) for path in paths.values()))


def report_suites(suites: Sequence[Suite], chosen: Sequence[Entry], args: argparse.Namespace) -> int:
    """Train what is missing of runs that fill none of the paper's cells, and report them."""
    from bench.report.frame import compares_seeds, runs_frame, seeds_frame
    from bench.report.markdown import runs_markdown, title
    from bench.report.plots import seeds_picture, sweep_picture

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
        elif compares_seeds(by_entry):
            contents["png"] = seeds_picture(frame, by_entry)
        paths = _write(args.reports, suite.name, contents)
        if args.json:
            printed.append({"runs": suite.name, "rows": _plain(frame), "entries": _plain(by_entry)})
        else:
            _show_runs(title(suite), frame, by_entry, suite.sweep)
            _tell(paths)
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
        *(["--all"] if args.all else []),
        *(["--table", *args.table] if args.table else []),
        *(["--budget", args.budget] if args.budget != BUDGETS[0] else []),
        *(["--dataset", args.dataset] if args.dataset else []),
        *(["--recipe", args.recipe] if args.recipe else []),
        *(["--weights", *(path.name for path in args.weights)] if args.weights else []),
        *(["--teacher", args.teacher] if args.teacher else []),
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


def records_from_files(rows: Iterable[Row], runs: Path) -> dict[RunSpec, list[RunRecord]]:
    """The records of the rows' fine-tunings that started from a file instead of the row's own run."""
    fine_tunings = dict.fromkeys(spec for row in rows for spec in row.transfers)
    found: dict[RunSpec, list[RunRecord]] = {spec: [] for spec in fine_tunings}
    for spec in fine_tunings:
        for path in sorted(runs.glob(f"{spec.run_id.rpartition('-s')[0]}-s*/record.json")):
            try:
                record = load_record(path.parent)
            except ValueError as error:
                print(f"run_all.py: not used: {error}", file=sys.stderr)
                continue
            if record and spec.is_from_a_file(record):
                found[spec].append(record)
    return found


def _plain(frame: "pd.DataFrame") -> list[dict[Hashable, object]]:
    """Rows for JSON, null where a value is missing."""
    return frame.astype(object).where(frame.notna(), None).to_dict("records")


def _known(wanted: Iterable[Network], runs: Path) -> dict[Network, Complexity]:
    """Measurements that still hold; a damaged file is named and counts as none."""
    from bench.complexity import is_current

    known = {}
    for network in dict.fromkeys(wanted):
        try:
            measured = load_complexity(runs, network)
        except ValueError as error:
            print(f"run_all.py: not used: {error}", file=sys.stderr)
            continue
        if measured and is_current(measured):
            known[network] = measured
    return known


def _measure(wanted: Sequence[Network], runs: Path) -> list[str]:
    """Measure and keep what is not known yet; returns a line for each network that could not be measured."""
    known = _known(wanted, runs)
    todo = [network for network in dict.fromkeys(wanted) if network not in known]
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
        for i, network in enumerate(todo, start=1):
            name = f"{network} at {network.img_size} px"
            progress.update(task, description=f"measuring {name}")
            try:
                measured = measure(network)
            except CountError as error:
                failures.append(f"{name}: {error}")
                continue
            save_complexity(runs, measured)
            progress.advance(task)
            if not console.is_terminal:
                print(
                    f"[{i}/{len(todo)}] {name}: {measured.params / 1e6:.2f} M params, {measured.macs / 1e9:.2f} G MACs",
                    file=sys.stderr,
                    flush=True,
                )
    return failures


def _show(table: Table, edition: Edition, frame: "pd.DataFrame") -> None:
    """Print the table in aligned columns."""
    from bench.report.markdown import comparison

    shown = comparison(frame)
    # The differences stay in the report: with them Table 3 outgrows a terminal of 80.
    shown = shown[[name for name in shown if not str(name).endswith("difference")]]
    _print_grid(f"Table {table.number}: {table.title} ({edition.name} edition)", shown)


def _show_recipes(table: RecipeTable) -> None:
    """Print the settings in aligned columns."""
    from bench.report.recipes import recipes_comparison

    _print_grid(f"Table {table.number}: {table.title}", recipes_comparison(table))


def _plain_recipes(table: RecipeTable) -> dict[str, object]:
    """A table of settings for JSON."""
    from bench.report.recipes import recipes_frame

    return {"table": table.number, "title": table.title, "settings": _plain(recipes_frame(table))}


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
        is_text = name in ("Group", "Model", "Setting", "status") or name.startswith("T2T") or name.endswith("verdict")
        header = name.replace(": ", "\n")
        grid.add_column(header, justify="left" if is_text else "right", no_wrap=True)
    for line in shown.itertuples(index=False):
        grid.add_row(*line, style="yellow" if "differs" in line else None)
    console.print(title, style="bold", markup=False)
    console.print(grid)
    print(text.getvalue(), end="")
