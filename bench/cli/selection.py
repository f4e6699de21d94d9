"""The rows of the paper's tables that a command selects."""

import argparse
import re
from collections.abc import Iterable
from dataclasses import dataclass

from bench.cli.parser import as_name
from bench.paper import RECIPE_TABLES, TABLES
from bench.paper.editions import EDITIONS
from bench.spec.errors import RequestError, matching, unknown
from bench.spec.table import Edition, RecipeTable, Row, Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Tables, and the rows of them that a command measures, trains or evaluates."""

    tables: tuple[Table, ...]
    recipe_tables: tuple[RecipeTable, ...]
    """those of experiment settings"""
    rows: tuple[Row, ...]
    edition: Edition
    is_all: bool = False
    """whether every table was asked for, and so the index over them"""


def add_tables(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose tables, rows and an edition."""
    group = parser.add_argument_group("tables and rows")
    group.add_argument("--table", nargs="+", type=as_name, metavar="N", help="these tables of the paper, by number")
    group.add_argument("--all", action="store_true", help="every table and figure, the claims, and the index")
    group.add_argument(
        "--only",
        nargs="+",
        type=as_name,
        metavar="PATTERN",
        help="only rows whose name or network matches, as in --only 'T2T-ViT*' resnet50; the reports still show all "
        "rows that were measured before",
    )
    add_edition(group)


def add_edition(group: argparse._ActionsContainer) -> None:
    """Add the option that chooses an edition of the paper."""
    group.add_argument(
        "--edition",
        default=EDITIONS[0].key,
        metavar="NAME",
        help=f"printed numbers to compare with: {', '.join(e.key for e in EDITIONS)} (default: %(default)s)",
    )


def select(args: argparse.Namespace, *, every_row: bool = False) -> Selection:
    """The rows that the options of ``add_tables`` choose; all where they choose none.

    Args:
        args: with what ``add_tables`` added.
        every_row: whether --only is about something else, such as the entries of a suite.

    Raises:
        RequestError: there is no such table, row or edition, or the edition prints none of a table's numbers.
    """
    if args.all and (args.table or args.only):
        raise RequestError("--all means every row of every table; leave out either --all or --table and --only")
    edition = edition_named(args.edition)
    tables, recipe_tables = tables_named(args.table or map(str, [*TABLES, *RECIPE_TABLES]))
    if args.table or args.all:
        _require_numbers(tables, edition)
    rows = [row for table in tables for row in table.rows_in(edition)]
    return Selection(
        tables=tuple(tables),
        recipe_tables=tuple(recipe_tables),
        rows=tuple(rows_named(rows, None if every_row else args.only)) if rows else (),
        edition=edition,
        is_all=args.all,
    )


def rows_named(rows: Iterable[Row], patterns: list[str] | None) -> list[Row]:
    """The rows whose name or network a pattern matches, or all.

    Raises:
        RequestError: a pattern matches none of them; if it is of another table, that one is named.
    """
    listed = list(rows)
    try:
        return matching([((row.name, row.network.model), row) for row in listed], patterns)
    except RequestError as error:
        for pattern in patterns or ():
            elsewhere = [number for number, table in TABLES.items() if _matches(table.rows, pattern)]
            if elsewhere and not _matches(listed, pattern):
                raise RequestError(
                    f"{pattern!r} is not a row of these tables, but of Table {' and '.join(map(str, elsewhere))}; "
                    f"choose --table {elsewhere[0]}"
                ) from error
        raise


def _matches(rows: Iterable[Row], pattern: str) -> bool:
    try:
        return bool(matching([((row.name, row.network.model), row) for row in rows], [pattern]))
    except RequestError:
        return False


def tables_named(numbers: Iterable[str]) -> tuple[list[Table], list[RecipeTable]]:
    """The tables of networks and those of settings with these numbers.

    Raises:
        RequestError: there is no such table.
    """
    by_name = {str(number): table for number, table in [*TABLES.items(), *RECIPE_TABLES.items()]}
    chosen = list(dict.fromkeys(numbers))
    for number in chosen:
        if number not in by_name:
            raise unknown("table", number, by_name, "run_all.py list shows the rows of each")
    found = [by_name[number] for number in chosen]
    return [t for t in found if isinstance(t, Table)], [t for t in found if isinstance(t, RecipeTable)]


def edition_named(text: str) -> Edition:
    """The edition of a name, however it is written: "arXiv v1", "arxiv_v1" and "arxiv-v1" are one.

    Raises:
        RequestError: there is none.
    """

    def plain(words: str) -> str:
        return re.sub(r"[\W_]", "", words).lower()

    for edition in EDITIONS:
        if plain(text) == plain(edition.key):
            return edition
    raise unknown("edition", text, [e.key for e in EDITIONS])


def _require_numbers(tables: Iterable[Table], edition: Edition) -> None:
    def prints(table: Table) -> bool:
        return any(row.published for row in table.rows_in(edition)) or not any(row.published for row in table.rows)

    for table in tables:
        if not prints(table):
            held = [str(number) for number, other in TABLES.items() if prints(other)]
            raise RequestError(
                f"the {edition.name} edition has no Table {table.number}; choose --table "
                f"{' '.join(held)}, or another edition"
            )
