"""Errors in a request, in one line."""

import difflib
import fnmatch
from collections.abc import Iterable, Sequence
from typing import TypeVar

T = TypeVar("T")


class RequestError(Exception):
    """The request cannot be met as made: one line with the value, the choices and the remedy (exit code 2)."""


def unknown(kind: str, value: object, choices: Iterable[object], remedy: str = "") -> RequestError:
    """The error for a value that is none of the choices, with the likeliest one named."""
    names = [str(choice) for choice in choices]
    by_lower = {name.lower(): name for name in names}
    close = difflib.get_close_matches(str(value).lower(), by_lower, n=1)
    hint = f"; did you mean {by_lower[close[0]]!r}?" if close else ""
    return RequestError(
        f"unknown {kind} {str(value)!r}{hint} (choose from {', '.join(names)})" + (f"; {remedy}" if remedy else "")
    )


def matching(
    named: Sequence[tuple[Sequence[str], T]],
    patterns: Sequence[str] | None,
    *,
    kind: str = "row or network",
    remedy: str = "run_all.py list shows networks; * and ? are wildcards",
) -> list[T]:
    """Select the items whose names match a pattern, or all.

    Args:
        named: names, such as those of a row and its network, and what they are of.
        patterns: with wildcards.
        kind: what the names are of, and ``remedy``, for the error.
        remedy: see ``kind``.

    Raises:
        RequestError: a pattern matches nothing.
    """
    if not patterns:
        return [item for _, item in named]
    matches = {
        pattern: [
            item for names, item in named if any(fnmatch.fnmatchcase(name.lower(), pattern.lower()) for name in names)
        ]
        for pattern in patterns
    }
    for pattern, found in matches.items():
        if not found:
            names = [names[0] for names, _ in named]
            raise unknown(kind, pattern, names, remedy)
    return [item for _, item in named if any(item in found for found in matches.values())]
