"""Write the pages beside the tables, and the index over them all."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cli.commands.figure import FIGURES, FigureRequest
from bench.cli.cost_report import write_cost
from bench.cli.output import by_suffix, read_reports, tell, texts, write_report
from bench.cli.parser import Output
from bench.cli.selection import Selection
from bench.cli.speed_report import known_speeds, write_speed
from bench.cli.study_report import read_begun, write_study
from bench.cli.suite_report import report_budgets
from bench.measure import cost
from bench.measure.collect import below
from bench.measure.feature_sources import dead_channels_in_figure_2
from bench.paper.claims import CLAIMS
from bench.paper.ideas import IDEAS
from bench.report import evidence_files
from bench.results.run_folder import RunRecords

if TYPE_CHECKING:
    from bench.report.inputs import TableInputs


def report_index(
    selection: Selection,
    inputs: "Sequence[TableInputs]",
    records: RunRecords,
    output: Output,
) -> tuple[dict[str, object], list[str]]:
    """Write the pages beside the tables, and the index.

    Args:
        selection: all tables.
        inputs: their results.
        records: of all runs.
        output: where to.

    Returns:
        For JSON, where they are and the count of verdicts; and what could not be measured for a figure.
    """
    edition, found = selection.edition, inputs[0].found
    report_budgets(records, output)
    from bench.report.claim_runs import claim_runs
    from bench.report.counting import counting_markdown
    from bench.report.html.page import html_page
    from bench.report.inputs import IndexInputs
    from bench.report.pages.claims import claims_frame, claims_markdown
    from bench.report.pages.ideas import ideas_frame, ideas_markdown
    from bench.report.pages.index import index_markdown, total_counts
    from bench.report.pages.missing import untrained
    from bench.report.pages.speed import speed_overview
    from bench.report.paired import PairedRuns
    from bench.report.pictures import Picture
    from bench.report.remembered import remembered
    from bench.report.study_frames import study_verdicts

    counting = write_report(output.reports, "counting", {"md": counting_markdown(found.measurements)})
    by_table = {one.table.number: one.frame for one in inputs}
    drawing = FigureRequest(numbers=tuple(FIGURES), edition=edition, output=output)
    drawn = {f"figure_{number}": figure.draw(drawing, by_table) for number, figure in FIGURES.items()}
    figures = {name: write_report(output.reports, name, one.contents, one.picture) for name, one in drawn.items()}
    evidence_files.keep(output.runs, output.reports, (file for one in drawn.values() for file in one.evidence))
    studies = read_begun(output.runs)
    by_study = [paths for study in studies for paths in write_study(study, output.runs, output.reports)]
    unused = [problem for study in studies for problem in study.problems]
    dead, verdicts = dead_channels_in_figure_2(records), study_verdicts(studies)
    tried = claims_frame(CLAIMS, by_table, dead, verdicts, PairedRuns(records))
    claims = write_report(
        output.reports,
        "claims",
        {
            "md": claims_markdown(CLAIMS, edition, tried, verdicts),
            "csv": tried.to_csv(index=False, lineterminator="\n"),
        },
    )
    changes = ideas_frame(IDEAS, by_table)
    ideas = write_report(
        output.reports,
        "ideas",
        {
            "md": ideas_markdown(edition, changes),
            "csv": changes.to_csv(index=False, lineterminator="\n"),
        },
        Picture(draw="figures.ideas:ideas_figure", shows=(edition, changes)),
    )
    left = [run for one in inputs for run in untrained(one)]
    steps, unread = known_speeds(output)
    estimates = cost.estimates(left, found.measurements, records.all(), steps=steps)
    costs = write_cost(claim_runs(tried, edition), found, records, steps, output)
    speed, overview = {}, ""
    if steps:
        speed["speed"], shown = write_speed(edition, by_table, found, steps, output)
        overview = speed_overview(shown)
    text = index_markdown(
        IndexInputs(
            tables=inputs,
            recipe_tables=selection.recipe_tables,
            claims=tried,
            figures={number: figure.title for number, figure in FIGURES.items()},
            estimates=estimates,
            apart=_apart(output.reports),
            in_study=verdicts,
            speed=overview,
            problems=sorted({*found.problems, *below(output.runs, [*records.problems, *unread]), *unused}),
        )
    )
    index = write_report(output.reports, "README", {"md": text})
    files = read_reports(output.reports)
    html = remembered(
        output.reports,
        "index",
        lambda: {"index.html": html_page(files).encode()},
        of=files,
        libraries=("markdown-it-py", "jinja2", "markupsafe"),
    )
    page = by_suffix(output.reports, html)
    pages = {"counting": counting, "claims": claims, "cost": costs, "ideas": ideas, **figures}
    pages |= speed | {next(iter(paths.values())).stem: paths for paths in by_study} | {"index": index | page}
    if not output.as_json:
        for paths in pages.values():
            tell(paths)
    failures = [failure for one in drawn.values() for failure in one.failures]
    return {name: texts(paths) for name, paths in pages.items()} | {
        "verdicts": total_counts([one.frame for one in inputs])
    }, failures


def _apart(folder: Path) -> dict[str, str]:
    """Titles of the reports in the folder that are none of --all's, by file name."""
    known = re.compile(r"(table|figure)_\d+|README|counting|claims|cost|ideas")
    found = sorted(path for path in folder.glob("*.md") if path.is_file() and not known.fullmatch(path.stem))
    titles = {path: path.read_text(errors="replace").partition("\n")[0].removeprefix("# ") for path in found}
    return {path.name: title or path.stem for path, title in titles.items()}
