"""The speeds of networks: measures what is missing, each case in a process of its own, and writes their page."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cli.output import finish, tell, texts, write_report
from bench.cli.parser import Output
from bench.measure.collect import Collected, collect, known_measurements, measure_missing, tell_problems
from bench.paper import TABLES
from bench.paper.editions import EDITIONS
from bench.report import evidence_files
from bench.report.evidence import FOLDER
from bench.results.run_folder import RunRecords, now
from bench.results.step_speeds import Case, Measured, NetworkSpeed, Setting
from bench.results.store import complexity_path, load_speeds, save_speed, speed_path
from bench.spec.table import Edition
from bench.spec.text import at_words

if TYPE_CHECKING:
    import pandas as pd

    from bench.cli.commands.speed import SpeedRequest


def report_speed(asked: "SpeedRequest") -> int:
    """Measure the cases that are missing, and write the page of all that are known; returns the exit code.

    Raises:
        RequestError: a case cannot be measured as it was requested.
    """
    from bench.cli.speed_cases import cases_of, setting_of
    from bench.report.frame import plain_rows, table_frame

    output, edition = asked.output, EDITIONS[0]
    setting = setting_of(asked)
    cases = cases_of(asked, setting)
    failures = measure_missing(asked.networks, output.runs)
    failures += _measure(asked, setting, cases)
    speeds, problems = known_speeds(output)
    tell_problems(problems)
    if not speeds:
        return finish({"speeds": [], "reports": {}} if output.as_json else None, failures)
    rows = [row for table in TABLES.values() for row in table.rows_in(edition)]
    found = evidence_files.settled_results(collect(rows, RunRecords(output.runs)), output.reports)
    evidence_files.keep(output.runs, output.reports, evidence_files.behind(found))
    by_table = {number: table_frame(table, edition, found) for number, table in TABLES.items()}
    paths, frame = write_speed(edition, by_table, found, speeds, output)
    if not output.as_json:
        tell(paths)
    return finish({"speeds": plain_rows(frame), "reports": texts(paths)} if output.as_json else None, failures)


def _measure(asked: "SpeedRequest", setting: Setting, cases: Sequence[Case]) -> list[str]:
    """Measure and keep the cases that nobody measured in this setting; returns a line for each that failed."""
    from bench.measure.own_process import Died, in_own_process
    from bench.measure.speed import measure

    runs = asked.output.runs
    counted, _ = known_measurements(asked.networks, runs)
    kept, problems = load_speeds(runs)
    tell_problems(problems)
    known = [] if asked.again else [one.measured.case for one in kept if one.setting == setting]
    todo = [case for case in cases if case.network in counted and case not in known]
    failures = []
    for number, case in enumerate(todo, start=1):
        macs = counted[case.network].macs
        try:
            measured = in_own_process(measure, case, rounds=asked.rounds, clock=asked.clock, macs=macs)
        except Died as error:
            failures.append(f"{case}: {error}")
            continue
        save_speed(runs, NetworkSpeed(setting=setting, measured=measured, measured_at=now()))
        told = f"[{number}/{len(todo)}] {case}: {_told(measured)}"
        print(at_words(told, sys.stderr), file=sys.stderr, flush=True)
    return failures


def _told(found: Measured) -> str:
    """The median with the range over the rounds."""
    seconds, batch = found.ours.seconds, found.case.batch
    if found.case.is_latency:
        median, low, high = (1000 * s for s in (found.ours.median_s, min(seconds), max(seconds)))
        return f"{median:.1f} ms ({low:.1f} to {high:.1f})"
    return f"{found.images_per_s(found.ours):.1f} images/s ({batch / max(seconds):.1f} to {batch / min(seconds):.1f})"


def known_speeds(output: Output) -> tuple[list[NetworkSpeed], list[str]]:
    """The speeds beside the reports and in the folder of runs, of either the newer; and a line on each corrupt file."""
    beside, problems = load_speeds(output.reports / FOLDER)
    own, others = load_speeds(output.runs)
    newest: dict[str, NetworkSpeed] = {}
    for one in sorted([*beside, *own], key=lambda one: one.measured_at):
        newest[one.speed_id] = one
    return [newest[name] for name in sorted(newest)], list(dict.fromkeys([*problems, *others]))


def write_speed(
    edition: Edition,
    by_table: "Mapping[int, pd.DataFrame]",
    found: Collected,
    speeds: Sequence[NetworkSpeed],
    output: Output,
) -> "tuple[dict[str, Path], pd.DataFrame]":
    """Write the page, and copy its evidence; returns the files that were written, and what they show.

    Args:
        edition: whose printed accuracies to show.
        by_table: from ``table_frame``, by table.
        found: results behind these.
        speeds: to show.
        output: where to.
    """
    from bench.report.inputs import SpeedInputs
    from bench.report.pages.speed import speed_markdown, speed_picture
    from bench.report.speed_frame import speed_frame

    shown = list(dict.fromkeys(one.measured.case.network for one in speeds))
    measured = {network: found.measurements[network] for network in shown if network in found.measurements}
    for folder in (output.runs, output.reports / FOLDER):  # of networks outside the tables
        others, _ = known_measurements([network for network in shown if network not in measured], folder)
        measured |= {network: evidence_files.settled(one, output.reports) for network, one in others.items()}
    own = [one for one in load_speeds(output.runs)[0] if one in speeds]  # not an older one than the evidence has
    evidence = [complexity_path(Path(), network) for network in measured]
    evidence_files.keep(output.runs, output.reports, [*evidence, *(speed_path(Path(), one) for one in own)])
    inputs = SpeedInputs(edition=edition, frames=by_table, measurements=measured, speeds=speeds)
    frame = speed_frame(inputs)
    picture = speed_picture(frame, edition)
    contents = {
        "md": speed_markdown(inputs, frame, has_picture=picture is not None),
        "csv": frame.to_csv(index=False, lineterminator="\n"),
    }
    return write_report(output.reports, "speed", contents, picture), frame
