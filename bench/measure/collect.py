"""Read the results in ``runs/`` for the reports: measurements, records, evaluations; measure what is missing."""

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.paper.released import RELEASED
from bench.results.evaluation import Evaluation
from bench.results.files import require_writable
from bench.results.measurement import Complexity, Outline
from bench.results.record import Metrics, RunRecord
from bench.results.recorded import Recording
from bench.results.run_folder import RunRecords, load_metrics
from bench.results.store import (
    load_complexity,
    load_evaluations,
    load_outline,
    load_recordings,
    save_complexity,
    save_outline,
)
from bench.spec.run import Network, RunSpec
from bench.spec.table import Row, networks
from bench.spec.text import beneath, complain


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """All results that tables are made of."""

    measurements: Mapping[Network, Complexity] = field(default_factory=dict)
    records: Mapping[str, Sequence[RunRecord]] = field(default_factory=dict)
    """of every seed, by the id of the run that a row names"""
    evaluations: Mapping[str, Sequence[Evaluation]] = field(default_factory=dict)
    """of released weights, by the id of the run that a row names"""
    recordings: Sequence[Recording] = ()
    """of published predictions"""
    problems: Sequence[str] = ()
    """a line on each corrupt file, which is not used, by its path in the folder of runs"""


def collect(rows: Sequence[Row], records: RunRecords) -> Collected:
    """Read all results of the rows; names corrupt files on standard error and leaves them out."""
    found = {run.run_id: records.of(run) for run in runs_of(rows)}
    for spec in dict.fromkeys(spec for row in rows for spec in row.transfers):
        found[spec.run_id] += records.from_files(spec)
    measurements, unmeasured = known_measurements(networks(rows), records.runs)
    evaluations, unevaluated = known_evaluations(records.runs)
    recordings, unrecorded = load_recordings(records.runs)
    problems = [*unmeasured, *unevaluated, *unrecorded, *records.problems]
    tell_problems(problems)
    return Collected(
        measurements=measurements,
        records=found,
        evaluations=evaluations,
        recordings=recordings,
        problems=below(records.runs, problems),
    )


def of_rows(rows: Sequence[Row], found: Collected) -> Collected:
    """The results of some of the rows that they were collected for, in their order; other tables' recordings stay."""
    ids = [run.run_id for run in runs_of(rows)]
    return replace(
        found,
        measurements={one: found.measurements[one] for one in networks(rows) if one in found.measurements},
        records={run_id: found.records[run_id] for run_id in ids if run_id in found.records},
        evaluations={run_id: found.evaluations[run_id] for run_id in ids if run_id in found.evaluations},
    )


def known_evaluations(runs: Path) -> tuple[dict[str, list[Evaluation]], list[str]]:
    """Evaluations that are done, by the id of the run that they are of, and a line on each damaged one."""
    done, problems = load_evaluations(runs)
    by_run = {
        run.run_id: [found for found in done if found.spec.released == released.name and found.spec.is_of(run)]
        for run, released in RELEASED.items()
    }
    return by_run, problems


def below(runs: Path, problems: Iterable[str]) -> list[str]:
    """The lines, with paths told from the folder of runs on."""
    return [problem.removeprefix(f"{runs}{os.sep}") for problem in problems]


def tell_problems(problems: Iterable[str]) -> None:
    """A line on each file that is not used."""
    for problem in problems:
        complain(f"not used: {problem}")


def runs_of(rows: Iterable[Row]) -> list[RunSpec]:
    """All runs that fill cells of the rows, each once."""
    return list(dict.fromkeys(run for row in rows for run in row.runs))


def metrics_of(records: Iterable[RunRecord], runs: Path) -> tuple[dict[str, Metrics], list[str]]:
    """The metrics of each run, by its id, and a line on each damaged file, which counts as none."""
    found, problems = {}, []
    for record in records:
        try:
            found[record.run_id] = load_metrics(runs / record.run_id, record)
        except ValueError as error:
            problems.append(str(error))
    return found, problems


def known_measurements(wanted: Iterable[Network], runs: Path) -> tuple[dict[Network, Complexity], list[str]]:
    """Measurements that still hold, and a line on each damaged file, which counts as none."""
    from bench.measure.complexity import is_current

    known, problems = {}, []
    for network in dict.fromkeys(wanted):
        try:
            measured = load_complexity(runs, network)
        except ValueError as error:
            problems.append(str(error))
            continue
        if measured and is_current(measured):
            known[network] = measured
    return known, problems


def measure_missing(wanted: Sequence[Network], runs: Path) -> list[str]:
    """Measure and keep what is not known yet.

    Returns:
        A line for each network that could not be measured.

    Raises:
        RequestError: something must be measured, and the folder cannot be written.
    """
    known, problems = known_measurements(wanted, runs)
    todo = [network for network in dict.fromkeys(wanted) if network not in known]
    if todo:
        require_writable(runs / "complexity", "--runs")
    tell_problems(problems)
    if not todo:
        return []
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from bench.measure.complexity import CountError, measure

    failures = []
    console = Console(file=beneath(sys.stderr))
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
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


def outline_of(network: Network, runs: Path) -> Outline:
    """Load the network's outline if it is still current; otherwise build the network, read its layers and keep them.

    A file that is damaged or was edited is named, and read off the network again.

    Raises:
        RequestError: no such network, or it would have to be kept where nothing can be written.
    """
    from bench.measure.outline import is_current, read_outline

    try:
        outline = load_outline(runs, network)
    except ValueError as error:
        complain(f"read again: {error}")
        outline = None
    if outline is None or not is_current(outline):
        require_writable(runs, "--runs")
        outline = read_outline(network)
        save_outline(runs, outline)
    return outline
