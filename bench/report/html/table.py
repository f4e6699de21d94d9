"""A table of the HTML page: its head names groups of columns, numbers sort as such, words of a verdict have a label."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from bench.report.text import DASH

_TONES = {
    "good": ("equal", "holds", "completed"),
    "near": ("within 1 %", "too close to tell", "running", "interrupted"),
    "bad": ("differs", "fails", "failed", "diverged", "corrupt", "corrupt record"),
    "none": ("untested", "not begun"),
}
"""words that stand alone in a cell and get a label, by its colour and sign"""
_TONE = {word: tone for tone, words in _TONES.items() for word in words}

_NUMBER = re.compile(r"(?:~|above |below )?([+-]?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?)(?: .*)?")
"""a cell that is sorted by its number: 81.5, 21,545,550, 54.00 ± 0.8 (n=3), 44.2 %, above 3.0, ~1,200"""

_WORD = 24
"""characters of text that stand on one line, however wide the table"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A cell's text, and what shows it."""

    text: str
    html: str


def table_html(caption: str, head: Sequence[Cell], rows: Sequence[Sequence[Cell]], aligned: Sequence[bool]) -> str:
    """The table, for ``page.js`` to sort.

    A first column that names a group once is filled, so that a row keeps its group wherever it is sorted to. A last
    line named "all" stays last.

    Args:
        caption: what it shows.
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
    # A last line over all others is none of those that are sorted.
    total = len(rows) > 1 and rows[-1][names].text == "all"
    lines = []
    group = Cell(text="", html="")
    for row in rows:
        shown = []
        starts = grouped and row[0].text != ""
        group = row[0] if starts else group
        for i, cell in enumerate(row):
            tag = 'th scope="row"' if i == names else "td"
            classes = "number" if aligned[i] else "" if i == names else "words" if len(cell.text) > _WORD else "word"
            if grouped and i == 0:
                cell, classes = (cell, "grouping") if starts else (group, "grouping repeated")
            value = f' data-value="{number}"' if numeric[i] and (number := _value(cell.text)) is not None else ""
            missing = " data-missing" if _is_missing(cell.text) else ""
            kind = f' class="{classes}"' if classes else ""
            shown.append(f"<{tag}{kind}{value}{missing}>{label(cell.text, cell.html)}</{tag[:2]}>")
        lines.append(f"<tr{' class=group' if starts else ''}>{''.join(shown)}</tr>")
    body = lines[:-1] if total else lines
    return "\n".join(
        [
            f'<div class="wide{" tall" if len(rows) > 20 else ""}"><table>',
            f"<caption>{escape(caption)}</caption>",
            "<thead>",
            *_heads(head, numeric, aligned, names),
            "</thead>",
            "<tbody>",
            *body,
            "</tbody>",
            *(["<tfoot>", lines[-1], "</tfoot>"] if total else []),
            "</table></div>\n",
        ]
    )


def label(text: str, html: str) -> str:
    """HTML of the text, as a label if it is a verdict or a status."""
    tone = _TONE.get(text.partition(" (")[0].partition(", ")[0])
    return f'<span class="label {tone}">{html}</span>' if tone else html


def _heads(head: Sequence[Cell], numeric: Sequence[bool], aligned: Sequence[bool], names: int) -> list[str]:
    """One line, or two where neighbours share the words before a colon, as in "Params M: paper, Params M: ours"."""
    groups = _column_groups([cell.text for cell in head])
    rows: list[list[str]] = [[], []]
    for columns in groups:
        if len(columns) > 1:
            name = head[columns[0]].text.partition(": ")[0]
            rows[0].append(f'<th colspan="{len(columns)}" scope="colgroup">{escape(name)}</th>')
        for i in columns:
            text = head[i].text
            shown = escape(text.partition(": ")[2]) if len(columns) > 1 else head[i].html
            label = "" if shown == escape(text) and text else f' aria-label="{escape(text or f"Column {i + 1}")}"'
            span = ' rowspan="2"' if len(columns) == 1 and len(groups) < len(head) else ""
            classes = " ".join(name for name, is_so in (("number", aligned[i]), ("names", i == names)) if is_so)
            kind = (f' class="{classes}"' if classes else "") + (" data-numeric" if numeric[i] else "")
            rows[len(columns) > 1].append(f'<th{span} scope="col" data-column="{i}"{kind}{label}>{shown}</th>')
    return [f"<tr>{''.join(row)}</tr>" for row in rows if row]


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
