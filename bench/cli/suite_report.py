"""Report runs beyond the paper's tables: budgets, settings, sweeps, fine-tunings, teachers."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cli.grids import show_runs
from bench.cli.output import finish, tell, write_report
from bench.cli.parser import Output
from bench.experiments.budgets import RESULTS
from bench.experiments.suites import Entry, Suite, suites
from bench.measure.collect import below, metrics_of, tell_problems
from bench.paper import TABLES
from bench.report import evidence_files
from bench.results.run_folder import RunRecords

if TYPE_CHECKING:
    import pandas as pd

    from bench.report.curves import Curve
    from bench.report.frame import Records


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The runs of suites that a command selects."""

    entries: tuple[Entry, ...]
    seeds: tuple[int, ...] = ()
    """that were asked for; none for those that there are"""
    options: tuple[str, ...] = ()
    """of the command line, that choose these runs again"""

    @property
    def command(self) -> tuple[str, ...]:
        """Trains them."""
        return "python", "run_all.py", *self.options, "--run", "local", "--data", "DIR"


def report_suites(found: Sequence[Suite], chosen: Chosen, output: Output, failures: Sequence[str]) -> int:
    """Report suites from what is in the folder of runs.

    Args:
        found: the suites.
        chosen: the runs of them that are shown without a record too.
        output: where to.
        failures: lines on what failed before, which end the command.

    Returns:
        The exit code.
    """
    from bench.report.frame import plain_rows
    from bench.report.pages.runs import title

    known = RunRecords(output.runs)
    printed = []
    for suite in found:
        frame, by_entry, written = _report_suite(suite, chosen, known, output)
        if output.as_json:
            printed.append({"runs": suite.name, "rows": plain_rows(frame), "entries": plain_rows(by_entry)})
        else:
            show_runs(title(suite), frame, by_entry, suite.sweep)
            for paths in written:
                tell(paths)
    tell_problems(known.problems)
    return finish({"suites": printed} if output.as_json else None, failures)


def report_budgets(known: RunRecords, output: Output) -> None:
    """Rewrite the fewest reports of budgets that show every run begun, the fullest first, and those that there are.

    The paper's runs are in its tables.
    """
    begun = {
        (budget, suite): {entry.spec.run_id for entry in suite.entries if known.of(entry.spec)}
        for budget in RESULTS
        for suite in suites([], budget=budget)
    }
    shown = {run.run_id for table in TABLES.values() for row in table.rows for run in row.runs}
    for (budget, suite), runs in sorted(begun.items(), key=lambda item: len(item[1]), reverse=True):
        if runs <= shown and not (output.reports / f"{suite.name}.md").exists():
            continue
        shown |= runs
        chosen = Chosen(entries=suite.entries, options=("--budget", budget))
        for paths in _report_suite(suite, chosen, known, output)[-1]:
            if not output.as_json:
                tell(paths)


def _report_suite(
    suite: Suite, chosen: Chosen, known: RunRecords, output: Output
) -> "tuple[pd.DataFrame, pd.DataFrame, list[dict[str, Path]]]":
    """Write the report of a suite's runs; returns a line a run, a line an entry, and the files."""
    from bench.report.frame import compares_seeds, seeds_frame
    from bench.report.inputs import SuiteInputs
    from bench.report.pages.curves import curves_picture
    from bench.report.pages.runs import suite_markdown
    from bench.report.pictures import Picture

    records = {entry.spec.run_id: known.of(entry.spec) for entry in suite.entries}
    evidence_files.keep(output.runs, output.reports, evidence_files.of_runs(records.values()))
    entries = tuple(e for e in suite.entries if e in chosen.entries or records[e.spec.run_id])
    shown = dataclasses.replace(suite, entries=entries)
    inputs = SuiteInputs(
        suite=shown,
        records=records,
        command=chosen.command,
        seeds=chosen.seeds,
        corrupt=_of(entries, known.corrupt, output.runs),
        lost=[*_of(entries, known.lost, output.runs).values()],
    )
    frame = inputs.frame
    by_entry = seeds_frame(frame, suite.sweep)
    curves = curves_picture(_curves(shown, records, known))
    contents = {
        "md": suite_markdown(inputs, has_curves=bool(curves)),
        "csv": frame.to_csv(index=False, lineterminator="\n"),
    }
    picture = None
    if suite.sweep and by_entry["seeds"].any():
        picture = Picture(draw="figures.plots:sweep_figure", shows=(suite.sweep, by_entry))
    elif compares_seeds(by_entry):
        picture = Picture(draw="figures.plots:seeds_figure", shows=(frame, by_entry))
    written = [write_report(output.reports, suite.name, contents, picture)]
    written += [write_report(output.reports, f"{suite.name}_curves", {}, curves)] if curves else []
    return frame, by_entry, written


def _of(entries: Sequence[Entry], problems: Mapping[str, str], runs: Path) -> dict[str, str]:
    """The problems of the entries' runs, by run id, each with its path from the folder of runs on."""
    stems = tuple(f"{entry.spec.run_id.rpartition('-s')[0]}-s" for entry in entries)
    lines = {run_id: line for run_id, line in problems.items() if run_id.startswith(stems)}
    return dict(zip(lines, below(runs, lines.values()), strict=True))


def _curves(suite: Suite, records: "Records", known: RunRecords) -> "list[Curve]":
    """The curves of all runs of a suite whose files are intact."""
    from bench.report.curves import Curve

    found = []
    for entry in suite.entries:
        swept = [f"{name} {value}" for name, value in zip(suite.sweep, entry.swept, strict=True)]
        metrics, problems = metrics_of(records[entry.spec.run_id], known.runs)
        tell_problems(problem for problem in problems if problem not in known.problems)
        found += [
            Curve(name=", ".join([entry.row, *swept]), record=record, metrics=metrics[record.run_id])
            for record in records[entry.spec.run_id]
            if record.run_id in metrics
        ]
    return found
