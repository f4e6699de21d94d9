"""A table of the HTML page as data: its head names groups of columns, numbers sort as such, verdicts have labels."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from bench.report.html.labels import tone
from bench.report.text import DASH

_NUMBER = re.compile(r"(?:~|above |below )?([+-]?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?)(?: .*)?")
"""a cell that is sorted by its number: 81.5, 21,545,550, 54.00 ± 0.8 (n=3), 44.2 %, above 3.0, ~1,200"""

_WORD = 24
"""characters of text that stand on one line, however wide the table"""

_NUMBER_CHARACTERS = 12
"""characters of a number with its error, beside which there is no room for more"""

_TALL = 20
"""rows of a table that fits on a screen"""

_NARROW, _DENSE = 2, 12
"""columns of a table that fits on a phone, and of one that fits on a screen"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A cell of a Markdown table: its text, and what shows it."""

    text: str
    html: Markup


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """The head of a column."""

    place: int
    """from 0"""
    shown: str
    """HTML if it is Markup, otherwise text"""
    name: str | None
    """its name in full where what is shown does not say it"""
    classes: str
    is_numeric: bool
    """whether it is sorted by numbers"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnGroup:
    """Neighbouring columns under one name, or a column on its own."""

    name: str
    """the words that all share, or nothing"""
    columns: Sequence[Column]


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyCell:
    """A cell below the head."""

    html: Markup
    is_name: bool
    """whether it names the row"""
    classes: str
    value: str | None
    """the number by which it is sorted"""
    is_missing: bool
    tone: str | None
    """the class of its label"""
    heading: str
    """the head of its column, for where the head is not seen: with the group's name in the first of a group"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row below the head."""

    cells: Sequence[BodyCell]
    starts_group: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table for ``table.html.jinja`` to write and ``page.js`` to sort."""

    caption: str
    groups: Sequence[ColumnGroup]
    rows: Sequence[Row]
    total: Row | None
    """a last line over all others, which is none of those that are sorted"""
    is_tall: bool

    @property
    def classes(self) -> str:
        """Classes by which the table makes do with its width.

        A phone shows each row as a card where the columns do not fit beside each other, and a screen shows many
        columns in smaller type.
        """
        columns = sum(len(group.columns) for group in self.groups)
        return " ".join(name for name, most in (("cards", _NARROW), ("dense", _DENSE)) if columns > most)

    @property
    def has_labels(self) -> bool:
        """Whether a cell is a verdict or a status."""
        return any(cell.tone for row in self.rows for cell in row.cells)

    @property
    def has_groups(self) -> bool:
        """Whether a group has several columns, so that the head has two lines."""
        return any(len(group.columns) > 1 for group in self.groups)


def table(caption: str, head: Sequence[Cell], rows: Sequence[Sequence[Cell]], aligned: Sequence[bool]) -> Table:
    """Find the columns of numbers, the names of the rows, groups, and the total.

    A first column that names a group once is filled, so that a row keeps its group wherever it is sorted to. A last
    line named "all" stays last.

    Args:
        caption: what the table shows.
        head: of the columns.
        rows: as long as the head.
        aligned: whether a column stands to the right.
    """
    columns = [[row[i].text for row in rows] for i in range(len(head))]
    numeric = [_is_numeric(column) for column in columns]
    # Where the first column names a group once, its other cells are empty: a number that is missing is a dash.
    grouped = bool(rows) and columns[0][0] != "" and "" in columns[0]
    texts = (i for i, is_number in enumerate(numeric) if not is_number and not (grouped and i == 0))
    names = next((i for i, cell in enumerate(head) if cell.text == "Model"), next(texts, 0))
    column_groups = _groups(head, numeric, aligned, names)
    headings = _headings(column_groups, head)
    first = {found.columns[0].place for found in column_groups if len(found.columns) > 1}
    body = []
    group = Cell(text="", html=Markup())
    for row in rows:
        starts = grouped and row[0].text != ""
        group = row[0] if starts else group
        cells = []
        for i, cell in enumerate(row):
            if aligned[i]:
                classes = "number long" if len(cell.text) > _NUMBER_CHARACTERS else "number"
            else:
                classes = "" if i == names else "words" if len(cell.text) > _WORD else "word"
            if grouped and i == 0:
                cell, classes = group, "grouping" if starts else "grouping repeated"
            classes = f"{classes} first".strip() if i in first else classes
            heading = "" if i == names else headings[i]
            cells.append(_body_cell(cell, classes, heading, is_name=i == names, is_numeric=numeric[i]))
        body.append(Row(cells=cells, starts_group=starts))
    has_total = len(rows) > 1 and rows[-1][names].text == "all"
    return Table(
        caption=caption,
        groups=column_groups,
        rows=body[:-1] if has_total else body,
        total=body[-1] if has_total else None,
        is_tall=len(rows) > _TALL,
    )


def _headings(groups: Sequence[ColumnGroup], head: Sequence[Cell]) -> dict[int, str]:
    """The words above each cell of a card, by its column: the first of a group has its name too."""
    return {
        column.place: head[column.place].text if column is group.columns[0] else str(column.shown)
        for group in groups
        for column in group.columns
    }


def _body_cell(cell: Cell, classes: str, heading: str, *, is_name: bool, is_numeric: bool) -> BodyCell:
    return BodyCell(
        html=cell.html,
        is_name=is_name,
        classes=classes,
        value=_value(cell.text) if is_numeric else None,
        is_missing=_is_missing(cell.text),
        tone=tone(cell.text),
        heading=heading,
    )


def _groups(head: Sequence[Cell], numeric: Sequence[bool], aligned: Sequence[bool], names: int) -> list[ColumnGroup]:
    """The columns of the head, neighbours that share the words before a colon together.

    "Params M: paper, Params M: ours" is "paper, ours" under "Params M".
    """
    groups = []
    for places in _column_groups([cell.text for cell in head]):
        shared = head[places[0]].text.partition(": ")[0] if len(places) > 1 else ""
        columns = []
        for i in places:
            text, html = head[i].text, head[i].html
            is_said = not shared and text and html.unescape() == text  # and not in markup that may not be read out
            classes = (name for name, is_so in (("number", aligned[i]), ("names", i == names)) if is_so)
            columns.append(
                Column(
                    place=i,
                    shown=text.partition(": ")[2] if shared else html,
                    name=None if is_said else text or f"Column {i + 1}",
                    classes=" ".join(classes),
                    is_numeric=numeric[i],
                )
            )
        groups.append(ColumnGroup(name=shared, columns=columns))
    return groups


def _column_groups(names: Sequence[str]) -> list[list[int]]:
    """Neighbours that belong together, each column in one group: those of a unit and those without it are of one."""
    groups: list[list[int]] = []
    of = ""
    for i, name in enumerate(names):
        prefix, colon, _ = name.partition(": ")
        if colon and of and (of == prefix or of.startswith(f"{prefix} ")):
            groups[-1].append(i)
        else:
            groups.append([i])
            of = prefix if colon else ""
    return groups


def _is_missing(text: str) -> bool:
    return text in ("", DASH)


def _value(text: str) -> str | None:
    """The number by which a cell is sorted; None if it is missing."""
    if text == "baseline":
        return "0"  # the change against itself
    number = _NUMBER.fullmatch(text)
    return number[1].replace(",", "") if number else None


def _is_numeric(column: Sequence[str]) -> bool:
    given = [text for text in column if not _is_missing(text)]
    return bool(given) and all(_value(text) is not None for text in given)
