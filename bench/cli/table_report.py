"""Report the paper's tables: files, terminal or JSON; with all of them the pages beside them and the index."""

from collections.abc import Sequence

from bench.cli.grids import show_recipes, show_table
from bench.cli.output import by_suffix, finish, tell, texts, write_report
from bench.cli.parser import Output
from bench.cli.selection import Selection
from bench.measure.collect import collect
from bench.report import evidence_files
from bench.results.files import require_writable
from bench.results.run_folder import RunRecords
from bench.spec.extras import missing
from bench.spec.table import RecipeTable


def require_reports(output: Output) -> None:
    """Check that reports can be made and written, before anything is measured or trained for them.

    Raises:
        ImportError: a library is missing.
        RequestError: their folder cannot be written.
    """
    if lacking := missing(("numpy", "pandas", "tabulate")):
        raise ImportError(name=lacking[0])
    require_writable(output.reports, "--reports")


def report_tables(selection: Selection, output: Output, failures: Sequence[str]) -> int:
    """Report tables from what is in the folder of runs; every row that is known, those outside --only too.

    Args:
        selection: the tables, and the rows of them to show on the terminal.
        output: where to.
        failures: lines on what failed before, which end the command.

    Returns:
        The exit code.
    """
    from bench.report.tables import table_report

    tables, edition = selection.tables, selection.edition
    known = RunRecords(output.runs)
    found = collect([row for table in tables for row in table.rows_in(edition)], known)
    found = evidence_files.settled_results(found, output.reports)
    evidence_files.keep(output.runs, output.reports, evidence_files.behind(found))
    printed: list[dict[str, object]] = []
    for table in tables:
        rows = table.rows_in(edition)
        shown = [row in selection.rows for row in rows]
        files, told = table_report(table, edition, found, shown=shown, reports=output.reports)
        paths = by_suffix(output.reports, files)
        printed.append(
            {
                "table": table.number,
                "title": table.title,
                "edition": edition.key,
                "rows": told.rows,
                "evaluations": told.evaluations,
                "reports": texts(paths),
            }
        )
        if not output.as_json:
            show_table(table, edition, told.columns, told.lines)
            tell(paths)
            if told.unmeasured:
                print(f"{told.unmeasured} of {len(rows)} rows have no measurement in {output.runs} and show dashes")
    printed += [_report_recipes(recipe_table, output) for recipe_table in selection.recipe_tables]
    document: dict[str, object] = {"tables": printed}
    failures = list(failures)
    if selection.is_all:
        from bench.cli.index_report import report_index
        from bench.report.inputs import table_inputs

        inputs = [table_inputs(table, edition, found) for table in tables]
        pages, unmeasured = report_index(selection, inputs, known, output)
        document |= pages
        failures += unmeasured
    return finish(document if output.as_json else None, failures)


def _report_recipes(table: RecipeTable, output: Output) -> dict[str, object]:
    """Write a table of experiment settings; returns what JSON has of it."""
    from bench.report.frame import plain_rows
    from bench.report.pages.recipes import recipes_frame, recipes_markdown

    frame = recipes_frame(table)
    contents = {"md": recipes_markdown(table), "csv": frame.to_csv(index=False, lineterminator="\n")}
    paths = write_report(output.reports, f"table_{table.number}", contents)
    if not output.as_json:
        show_recipes(table)
        tell(paths)
    return {"table": table.number, "title": table.title, "settings": plain_rows(frame), "reports": texts(paths)}
