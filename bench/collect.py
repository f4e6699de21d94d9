"""What lies in ``runs/`` for the reports: measurements, records of runs, evaluations; measures what is missing."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.evaluations import known_evaluations
from bench.run_folder import load_metrics, load_record
from bench.specs import Complexity, Evaluation, Metrics, Network, Row, RunRecord, RunSpec, networks
from bench.store import load_complexity, save_complexity


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """All that tables are made of."""

    measurements: dict[Network, Complexity]
    records: dict[str, list[RunRecord]]
    """of every seed, by the id of the run that a row names"""
    evaluations: dict[str, list[Evaluation]]
    """of released weights, by the id of the run that a row names"""


def collect(rows: Sequence[Row], runs: Path) -> Collected:
    """What is known of the rows; a damaged file is named and counts as none."""
    records = records_of(runs_of(rows), runs)
    for spec, found in _records_from_files(rows, runs).items():
        records[spec.run_id] += found
    return Collected(
        measurements=known_measurements(networks(rows), runs), records=records, evaluations=known_evaluations(runs)
    )


def runs_of(rows: Iterable[Row]) -> list[RunSpec]:
    """All runs that fill cells of the rows, each once."""
    return list(dict.fromkeys(run for row in rows for run in row.runs))


def records_of(specs: Iterable[RunSpec], runs: Path) -> dict[str, list[RunRecord]]:
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


def metrics_of(records: Iterable[RunRecord], runs: Path) -> dict[str, Metrics]:
    """The metrics of each run, by its id; a damaged file is named and counts as none."""
    found = {}
    for record in records:
        try:
            found[record.run_id] = load_metrics(runs / record.run_id, record)
        except ValueError as error:
            print(f"run_all.py: not used: {error}", file=sys.stderr)
    return found


def _records_from_files(rows: Iterable[Row], runs: Path) -> dict[RunSpec, list[RunRecord]]:
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


def known_measurements(wanted: Iterable[Network], runs: Path) -> dict[Network, Complexity]:
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


def measure_missing(wanted: Sequence[Network], runs: Path) -> list[str]:
    """Measure and keep what is not known yet; returns a line for each network that could not be measured."""
    known = known_measurements(wanted, runs)
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
