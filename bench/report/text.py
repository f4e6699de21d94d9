"""The pieces of Markdown that every page is made of."""

from collections.abc import Sequence

import pandas as pd

DASH = "-"
"""in place of a number that is missing"""


def escape(text: str) -> str:
    """Escape the characters that Markdown would read as emphasis or as the end of a cell."""
    return text.replace("*", r"\*").replace("|", r"\|")


def pipe(shown: pd.DataFrame, text: Sequence[str]) -> str:
    """A pipe table of strings: the columns named in ``text`` to the left, numbers to the right."""
    align = tuple("left" if column in text else "right" for column in shown)
    return shown.to_markdown(index=False, colalign=align, disable_numparse=True)


def pipe_rows(shown: pd.DataFrame) -> str:
    """A pipe table of rows or runs, which has a column ``Model``."""
    return pipe(shown.assign(Model=shown["Model"].map(escape)), _TEXT)


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


def mean_and_std(frame: pd.DataFrame, name: str) -> list[str]:
    """Mean ± standard deviation of the columns ``<name>_pct`` and ``<name>_std``; one seed has no deviation."""
    pairs = zip(frame[f"{name}_pct"], frame[f"{name}_std"], strict=True)
    return [percent(mean) if pd.isna(std) else f"{mean:.2f} ± {std:.2f}" for mean, std in pairs]


def listed(names: Sequence[str]) -> str:
    """Names in a sentence: "a, b and c"."""
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else "".join(names)


def unused(problems: Sequence[str]) -> list[str]:
    """A section on the files that are not used, if there are any."""
    return ["\n".join(f"- not used: `{problem}`" for problem in problems)] if problems else []
