"""``run_all.py list``: the tables with their rows, and the figures."""

import argparse
import json
import textwrap
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from bench.cli.parser import Parser, as_name
from bench.cli.selection import rows_named, tables_named
from bench.paper import RECIPE_TABLES, TABLES
from bench.paper.editions import EDITIONS
from bench.paper.figures import FIGURE_TITLES
from bench.spec.run import at_resolution
from bench.spec.table import RecipeTable, Row, Table

HELP = "list the tables with their rows, and the figures"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListRequest:
    """The tables and rows to list."""

    tables: tuple[Table, ...]
    recipe_tables: tuple[RecipeTable, ...]
    rows: tuple[Row, ...]
    figures: tuple[int, ...]
    as_json: bool


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the subcommand."""
    parser.add_argument(
        "patterns",
        nargs="*",
        type=as_name,
        metavar="PATTERN",
        help="only rows whose name or network matches; * and ? are wildcards",
    )
    parser.add_argument("--table", nargs="+", type=as_name, metavar="N", help="only these tables")
    parser.add_argument("--json", action="store_true", help="print JSON for programs instead of text")


def request(arguments: Sequence[str]) -> ListRequest:
    """Read the command line."""
    parser = Parser("list", description="List the paper's tables with their rows, and its figures.")
    add_options(parser)
    args = parser.parse_args(arguments)
    tables, recipe_tables = tables_named(args.table or map(str, [*TABLES, *RECIPE_TABLES]))
    rows = rows_named((row for table in tables for row in table.rows), args.patterns) if tables else []
    return ListRequest(
        tables=tuple(table for table in tables if any(row in rows for row in table.rows)),
        recipe_tables=() if args.patterns else tuple(recipe_tables),
        rows=tuple(rows),
        figures=() if args.table or args.patterns else tuple(FIGURE_TITLES),
        as_json=args.json,
    )


def run(asked: ListRequest) -> int:
    """Print the list; returns the exit code."""
    if asked.as_json:
        print(json.dumps(_document(asked), indent=2))
        return 0
    widths = [max((len(text) for text in column), default=0) for column in zip(*map(_cells, asked.rows), strict=True)]
    for table in asked.tables:
        rows = [row for row in table.rows if row in asked.rows]
        print(f"Table {table.number}: {table.title}")
        if counts := Counter(key for row in rows for key in _editions(row)):
            print(_wrapped(f"  rows of each edition: {', '.join(f'{key} {count}' for key, count in counts.items())}"))
        for row in rows:
            cells = [f"{text:<{width}}" for text, width in zip(_cells(row), widths, strict=True)]
            print(f"  {'  '.join(cells)}".rstrip())
    for recipe_table in asked.recipe_tables:
        print(f"Table {recipe_table.number}: {recipe_table.title}")
        print(_wrapped(f"  recipes {', '.join(recipe.name for recipe in recipe_table.recipes)}"))
    for number in asked.figures:
        print(_wrapped(f"Figure {number}: {FIGURE_TITLES[number]}"))
    return 0


def _document(asked: ListRequest) -> dict[str, object]:
    tables = [
        {
            "table": table.number,
            "title": table.title,
            "rows": [
                {"model": row.name, "network": str(row.network), "img_size": row.network.img_size}
                | {"recipe": row.run.recipe.name if row.run else None, "editions": _editions(row)}
                for row in table.rows
                if row in asked.rows
            ],
        }
        for table in asked.tables
    ]
    settings = [
        {"table": table.number, "title": table.title, "recipes": [recipe.name for recipe in table.recipes]}
        for table in asked.recipe_tables
    ]
    figures = [{"figure": number, "title": FIGURE_TITLES[number]} for number in asked.figures]
    return {"tables": tables, "settings": settings, "figures": figures}


def _cells(row: Row) -> tuple[str, ...]:
    recipe = row.run.recipe.name if row.run else "-"
    return row.name, at_resolution(str(row.network), row.network.img_size), recipe


def _wrapped(line: str) -> str:
    return textwrap.fill(line, 80, subsequent_indent=" " * 4)


def _editions(row: Row) -> list[str]:
    return [edition.key for edition in EDITIONS if edition in row.published]
