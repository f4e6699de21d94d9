"""What the commands do: measure, have runs trained, collect, report, and show it on the terminal."""

import argparse
import dataclasses
import io
import re
import shutil
import sys
from collections.abc import Hashable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cli.evaluate import evaluate_released, require_released
from bench.cli.figure import FIGURES
from bench.cli.output import finish, read_reports, tell, texts, write_report
from bench.cli.study_report import read_begun, write_study
from bench.experiments.budgets import BUDGETS, RESULTS
from bench.experiments.suites import Entry, Suite, suites
from bench.launch.dispatch import Launch, train_here
from bench.measure import cost
from bench.measure.collect import Collected, below, collect, measure_missing, metrics_of, runs_of, tell_problems
from bench.measure.feature_sources import known_feature_maps
from bench.paper.claims import CLAIMS
from bench.paper.ideas import IDEAS
from bench.report import evidence_files
from bench.results.run_folder import RunRecords
from bench.results.store import require_writable
from bench.spec.run import Resources, RunSpec
from bench.spec.table import Edition, RecipeTable, Row, Table, networks

if TYPE_CHECKING:
    import pandas as pd

    from bench.report.frame import Evaluations, Measurements, Records
    from bench.report.pages.curves import Curve


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
    failures += measure_missing(networks(rows), args.runs)
    if args.run:
        failures += train_here(with_seeds(specs, args.seeds), launch(args))

    # Reports hold all rows: those outside --only as far as an earlier command measured them.
    every = [row for table in tables for row in table.rows_in(edition)]
    known = RunRecords(args.runs)
    found = collect(every, known)
    measurements, records, evaluations = found.measurements, found.records, found.evaluations
    evidence_files.keep(args.runs, args.reports, evidence_files.behind(found))
    frames = [table_frame(table, edition, measurements, records, evaluations) for table in tables]
    printed: list[dict[str, object]] = []
    for table, frame in zip(tables, frames, strict=True):
        contents = _table_contents(table, edition, frame, measurements, records, evaluations)
        paths = write_report(args.reports, f"table_{table.number}", contents)
        shown = frame[[row in rows for row in table.rows_in(edition)]]
        numbered = {"table": table.number, "title": table.title}
        plain = {"rows": _plain(shown), "evaluations": _plain(evaluations_frame(table, edition, evaluations))}
        printed.append(numbered | {"edition": edition.key, **plain, "reports": texts(paths)})
        if not args.json:
            _show(table, edition, shown)
            tell(paths)
            if missing := int(frame["macs_g"].isna().sum()):
                print(f"not measured in {args.runs}: {missing} of {len(frame)} rows, dashes in the report")
    for recipe_table in recipe_tables:
        paths = write_report(args.reports, f"table_{recipe_table.number}", _recipes_contents(recipe_table))
        printed.append(_plain_recipes(recipe_table) | {"reports": texts(paths)})
        if not args.json:
            _show_recipes(recipe_table)
            tell(paths)
    document: dict[str, object] = {"tables": printed}
    if args.all:
        _report_budgets(known, args)
        pages, unmeasured = _report_index(tables, recipe_tables, edition, frames, found, known, args)
        document |= pages
        failures += unmeasured
    return finish(document if args.json else None, failures)


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
    from bench.report.pages.table import table_markdown

    contents: dict[str, str | bytes] = {
        "md": table_markdown(table, edition, frame, measurements, records, evaluations),
        "csv": frame.to_csv(index=False, lineterminator="\n"),
    }
    if table.has_picture:
        from bench.report.figures.plots import table_picture

        contents |= table_picture(table, edition, frame)
    return contents


def _recipes_contents(table: RecipeTable) -> dict[str, str | bytes]:
    from bench.report.pages.recipes import recipes_frame, recipes_markdown

    return {
        "md": recipes_markdown(table),
        "csv": recipes_frame(table).to_csv(index=False, lineterminator="\n"),
    }


def _report_index(
    tables: Sequence[Table],
    recipe_tables: Sequence[RecipeTable],
    edition: Edition,
    frames: "Sequence[pd.DataFrame]",
    found: Collected,
    records: RunRecords,
    args: argparse.Namespace,
) -> tuple[dict[str, object], list[str]]:
    """Write the pages beside the tables, and the index.

    Returns:
        For JSON, where they are and the count of verdicts; and what could not be measured for a figure.
    """
    from bench.report.counting import counting_markdown
    from bench.report.html.page import html_page
    from bench.report.pages.claims import claims_frame, claims_markdown, claims_overview, has_dead_channels
    from bench.report.pages.ideas import ideas_frame, ideas_markdown, ideas_pictures
    from bench.report.pages.index import index_markdown, total_counts
    from bench.report.pages.missing import missing_markdown, untrained
    from bench.report.study_frames import study_verdicts

    counting = write_report(args.reports, "counting", {"md": counting_markdown(found.measurements)})
    by_table = {table.number: frame for table, frame in zip(tables, frames, strict=True)}
    drawn = {f"figure_{number}": figure.draw(edition, args, by_table) for number, figure in FIGURES.items()}
    figures = {name: write_report(args.reports, name, one.contents) for name, one in drawn.items()}
    evidence_files.keep(args.runs, args.reports, (file for one in drawn.values() for file in one.evidence))
    studies = read_begun(args.runs)
    by_study = [paths for study in studies for paths in write_study(study, args.runs, args.reports)]
    unused = [problem for study in studies for problem in study.problems]
    tried = claims_frame(CLAIMS, by_table, known_feature_maps(records), study_verdicts(studies))
    claims = write_report(
        args.reports,
        "claims",
        {"md": claims_markdown(CLAIMS, edition, tried), "csv": tried.to_csv(index=False, lineterminator="\n")},
    )
    changes = ideas_frame(IDEAS, by_table)
    ideas = write_report(
        args.reports,
        "ideas",
        {
            "md": ideas_markdown(edition, changes),
            "csv": changes.to_csv(index=False, lineterminator="\n"),
            **ideas_pictures(edition, changes),
        },
    )
    left = [run for table, frame in zip(tables, frames, strict=True) for run in untrained(table, edition, frame)]
    estimates = cost.estimates(left, found.measurements, records.all())
    text = index_markdown(
        tables,
        recipe_tables,
        edition,
        frames,
        claims=claims_overview(CLAIMS, tried),
        figures={number: figure.title for number, figure in FIGURES.items()},
        missing=missing_markdown(
            tables, edition, frames, found.measurements, estimates, features_tried=has_dead_channels(tried)
        ),
        apart=_apart(args.reports),
        problems=sorted({*found.problems, *below(args.runs, records.problems), *unused}),
    )
    index = write_report(args.reports, "README", {"md": text})
    page = write_report(args.reports, "index", {"html": html_page(read_reports(args.reports))})
    pages = {"counting": counting, "claims": claims, "ideas": ideas, **figures}
    pages |= {next(iter(paths.values())).stem: paths for paths in by_study} | {"index": index | page}
    if not args.json:
        for paths in pages.values():
            tell(paths)
    failures = [failure for one in drawn.values() for failure in one.failures]
    return {name: texts(paths) for name, paths in pages.items()} | {"verdicts": total_counts(frames)}, failures


def _apart(folder: Path) -> dict[str, str]:
    """Titles of the reports in the folder that are none of --all's, by file name."""
    known = re.compile(r"(table|figure)_\d+|README|counting|claims|ideas")
    found = sorted(path for path in folder.glob("*.md") if path.is_file() and not known.fullmatch(path.stem))
    titles = {path: path.read_text(errors="replace").partition("\n")[0].removeprefix("# ") for path in found}
    return {path.name: title or path.stem for path, title in titles.items()}


def report_suites(suites: Sequence[Suite], chosen: Sequence[Entry], args: argparse.Namespace) -> int:
    """Train what is missing of runs that fill none of the paper's cells, and report them."""
    from bench.report.pages.table import title

    require_writable(args.reports, "--reports")
    require_writable(args.runs, "--runs")
    failures = train_here(with_seeds([entry.spec for entry in chosen], args.seeds), launch(args)) if args.run else []
    known = RunRecords(args.runs)
    printed = []
    for suite in suites:
        frame, by_entry, written = _report_suite(suite, chosen, known, args)
        if args.json:
            printed.append({"runs": suite.name, "rows": _plain(frame), "entries": _plain(by_entry)})
        else:
            _show_runs(title(suite), frame, by_entry, suite.sweep)
            for paths in written:
                tell(paths)
    tell_problems(known.problems)
    return finish({"suites": printed} if args.json else None, failures)


def _report_suite(
    suite: Suite, chosen: Sequence[Entry], known: RunRecords, args: argparse.Namespace
) -> "tuple[pd.DataFrame, pd.DataFrame, list[dict[str, Path]]]":
    """Write the report of a suite's runs; returns a line a run, a line an entry, and the files."""
    from bench.report.figures.plots import seeds_picture, sweep_picture
    from bench.report.frame import compares_seeds, runs_frame, seeds_frame
    from bench.report.pages.curves import curves_pictures
    from bench.report.pages.table import runs_markdown

    records = {entry.spec.run_id: known.of(entry.spec) for entry in suite.entries}
    evidence_files.keep(args.runs, args.reports, evidence_files.of_runs(records.values()))
    entries = tuple(e for e in suite.entries if e in chosen or records[e.spec.run_id])
    shown = dataclasses.replace(suite, entries=entries)
    frame = runs_frame(entries, records, suite.sweep, args.seeds or ())
    by_entry = seeds_frame(frame, suite.sweep)
    curves = curves_pictures(_curves(shown, records, args.runs))
    command = " ".join(["python run_all.py", *_repeat(args), "--run local", "--data DIR"])
    contents: dict[str, str | bytes] = {
        "md": runs_markdown(shown, records, command, args.seeds or (), has_curves=bool(curves)),
        "csv": frame.to_csv(index=False, lineterminator="\n"),
    }
    if suite.sweep and by_entry["seeds"].any():
        contents |= sweep_picture(shown, by_entry)
    elif compares_seeds(by_entry):
        contents |= seeds_picture(frame, by_entry)
    written = [write_report(args.reports, suite.name, contents)]
    written += [write_report(args.reports, f"{suite.name}_curves", curves)] if curves else []
    return frame, by_entry, written


def _report_budgets(known: RunRecords, args: argparse.Namespace) -> None:
    """Write anew the reports of the smaller budgets' own runs, of those that have any."""
    for budget in RESULTS:
        alone = argparse.Namespace(**vars(args) | {"all": False, "budget": budget, "seeds": None})
        for suite in suites([], budget=budget):
            if any(known.of(entry.spec) for entry in suite.entries):
                for paths in _report_suite(suite, suite.entries, known, alone)[-1]:
                    if not args.json:
                        tell(paths)


def _curves(suite: Suite, records: "Records", runs: Path) -> "list[Curve]":
    """Of all runs of a suite whose files are sound."""
    from bench.report.pages.curves import Curve

    found = []
    for entry in suite.entries:
        swept = [f"{name} {value}" for name, value in zip(suite.sweep, entry.swept, strict=True)]
        metrics, problems = metrics_of(records[entry.spec.run_id], runs)
        tell_problems(problems)
        found += [
            Curve(name=", ".join([entry.row, *swept]), record=record, metrics=metrics[record.run_id])
            for record in records[entry.spec.run_id]
            if record.run_id in metrics
        ]
    return found


def launch(args: argparse.Namespace) -> Launch:
    """How the options want runs trained."""
    resources = Resources(
        data=str(args.data.resolve()),
        download=args.download,
        workers=args.workers,
        micro_batch=args.micro_batch,
        precision=args.precision,
        compile=args.compile,
        files=args.files,
    )
    return Launch(
        runs=args.runs,
        resources=resources,
        max_parallel=args.max_parallel,
        slurm=tuple(args.slurm),
        as_json=args.json,
    )


def with_seeds(specs: Iterable[RunSpec], seeds: Sequence[int] | None) -> list[RunSpec]:
    """The runs with each of the seeds, or with their own."""
    return [spec.with_seed(seed) for spec in specs for seed in seeds or [spec.seed]]


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


def _plain(frame: "pd.DataFrame") -> list[dict[Hashable, object]]:
    """Rows for JSON, null where a value is missing."""
    return frame.astype(object).where(frame.notna(), None).to_dict("records")


def _show(table: Table, edition: Edition, frame: "pd.DataFrame") -> None:
    """Print the table in aligned columns."""
    from bench.report.pages.table import comparison

    shown = comparison(frame)
    # The differences stay in the report: with them Table 3 outgrows a terminal of 80.
    shown = shown[[name for name in shown if not str(name).endswith("difference")]]
    _print_grid(f"Table {table.number}: {table.title} ({edition.name} edition)", shown)


def _show_recipes(table: RecipeTable) -> None:
    """Print the settings in aligned columns."""
    from bench.report.pages.recipes import recipes_comparison

    _print_grid(f"Table {table.number}: {table.title}", recipes_comparison(table))


def _plain_recipes(table: RecipeTable) -> dict[str, object]:
    """A table of settings for JSON."""
    from bench.report.pages.recipes import recipes_frame

    return {"table": table.number, "title": table.title, "settings": _plain(recipes_frame(table))}


def _show_runs(title: str, frame: "pd.DataFrame", by_entry: "pd.DataFrame", sweep: Sequence[str]) -> None:
    """Print runs in aligned columns, or their means if there are several of an entry."""
    from bench.report.pages.table import runs_comparison, seeds_comparison

    if sweep or (by_entry["runs"] > 1).any():
        _print_grid(title, seeds_comparison(by_entry, sweep))
    else:
        _print_grid(title, runs_comparison(frame, sweep).drop(columns=["where", "run"]))


def _print_grid(title: str, shown: "pd.DataFrame") -> None:
    from rich.console import Console
    from rich.table import Table as Grid

    terminal = sys.stdout is not None and sys.stdout.isatty()
    text = io.StringIO()
    # On a narrow terminal cells fold, so that columns stay columns and no name or number is cut.
    width = shutil.get_terminal_size().columns if terminal else 200
    console = Console(file=text, width=width, force_terminal=terminal)
    grid = Grid(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    for name in map(str, shown.columns):
        is_text = name in ("Group", "Model", "Setting", "status") or name.startswith("T2T") or name.endswith("verdict")
        header = name.replace(": ", "\n")
        grid.add_column(header, justify="left" if is_text else "right", overflow="fold")
    for line in shown.itertuples(index=False):
        grid.add_row(*line, style="yellow" if "differs" in line else None)
    console.print(title, style="bold", markup=False)
    console.print(grid)
    print(text.getvalue(), end="")
