"""The pieces of Markdown that every page is made of."""

from collections.abc import Sequence

import pandas as pd

DASH = "-"
"""in the place of a figure that is missing"""


def escape(text: str) -> str:
    """Text that Markdown must not read as emphasis or as a cell's end."""
    return text.replace("*", r"\*").replace("|", r"\|")


def pipe(shown: pd.DataFrame, text: Sequence[str]) -> str:
    """A pipe table of strings: the columns named in ``text`` to the left, numbers to the right."""
    align = tuple("left" if column in text else "right" for column in shown)
    return shown.to_markdown(index=False, colalign=align, disable_numparse=True)


def unused(problems: Sequence[str]) -> list[str]:
    """A section with the files that count as none, if there are any."""
    return ["\n".join(f"- not used: `{problem}`" for problem in problems)] if problems else []
