"""The pieces of Markdown that every page is made of."""

import re
import shlex
from collections.abc import Sequence

import pandas as pd

from bench.spec.text import one_line

DASH = "-"
"""in place of a number that is missing"""


def escape(text: str) -> str:
    """Write text as Markdown that shows it as it is, on one line: no emphasis, code, link, HTML or end of a cell."""
    return _MARKUP.sub(r"\\\g<0>", one_line(text))


_MARKUP = re.compile(r"[\\`*\[\]<|~]|(?<![^\W_])_|_(?![^\W_])|&(?=#?\w+;)|^(?:[#>+]|-(?= ))|(?<=^\d)[.)](?= )")


def code(text: str) -> str:
    """Write text as a code span of Markdown, on one line."""
    shown = one_line(text)
    fence = "`" * (max(map(len, re.findall("`+", shown)), default=0) + 1)
    space = " " if shown[:1] == "`" or shown[-1:] == "`" or not shown.strip() else ""
    return f"{fence}{space}{shown}{space}{fence}"


def command(*words: str) -> str:
    """Write a shell command as a block of code."""
    return f"```\n{one_line(shlex.join(words))}\n```"


def pipe(shown: pd.DataFrame, text: Sequence[str]) -> str:
    """A pipe table of strings of Markdown: the columns named in ``text`` to the left, numbers to the right."""
    align = tuple("left" if column in text else "right" for column in shown)
    cells = shown.map(lambda cell: re.sub(r"(?<!\\)\|", r"\|", cell))  # in a code span too it would end the cell
    return cells.to_markdown(index=False, colalign=align, disable_numparse=True)


def pipe_rows(shown: pd.DataFrame) -> str:
    """A pipe table of rows or runs, which has a column ``Model``."""
    return pipe(shown.assign(**{name: shown[name].map(escape) for name in _PLAIN if name in shown}), _TEXT)


_PLAIN = ("Group", "Model", "status", "where", "data set", "protocol")
"""columns whose text is not Markdown yet"""

_TEXT = (
    "Group",
    "Model",
    "network",
    "T2T layer: paper",
    "T2T layer: ours",
    "recipe of the printed top-1",
    "Params: verdict",
    "MACs: verdict",
    "status",
    "evidence",
    "where",
    "starts from",
    "teacher",
    "run",
    "data set",
    "file",
    "sha256",
    "key",
    "weights",
    "source",
    "sha256 of the source",
    "sha256 here",
    "protocol",
)
"""columns of text, which go to the left"""


def percent(value: float) -> str:
    """A measured percentage with two digits."""
    return DASH if pd.isna(value) else f"{value:.2f}"


def printed(value: float) -> str:
    """A number with the digits that were printed."""
    return DASH if pd.isna(value) else repr(float(value))


def gpu_hours(hours: float) -> str:
    """An estimate of GPU hours."""
    if pd.isna(hours):
        return DASH
    return f"~{hours:,.0f}" if hours >= 9.95 else f"~{hours:.1f}" if hours >= 0.05 else "<0.1"


STANDARD_ERROR = "[standard error](README.md#standard-errors)"
"""a link to the definition, which is on the index and nowhere else"""


def with_error(value: float, std_err: float) -> str:
    """An accuracy in % ± its standard error in points; of one seed, which has none, the accuracy alone."""
    return percent(value) if pd.isna(std_err) else f"{value:.2f} ± {std_err:.2f}"


def means(frame: pd.DataFrame, name: str) -> list[str]:
    """Means of the columns ``<name>_pct`` with their errors, ``<name>_std_err``."""
    return [with_error(*pair) for pair in zip(frame[f"{name}_pct"], frame[f"{name}_std_err"], strict=True)]


def listed(names: Sequence[str]) -> str:
    """Names in a sentence: "a, b and c"."""
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else "".join(names)


def unused(problems: Sequence[str]) -> list[str]:
    """A section on the files that are not used, if there are any."""
    return ["\n".join(f"- not used: {code(problem)}" for problem in problems)] if problems else []


def p_value(p: float) -> str:
    """A p-value to two digits; a float cannot hold one below 1e-308, and none is 0."""
    return f"p = {p:.2g}" if p >= 1e-300 else "p < 1e-300"
