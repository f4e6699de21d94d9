"""Compare a measured number with a printed one, at the precision that was printed."""

from collections.abc import Iterable
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal

VERDICTS = ("matches", "rounds", "truncates", "differs")
"""from the best to the worst"""


def decimals(printed: float) -> int:
    """Digits printed behind the point: 21.5 has one."""
    exponent = Decimal(repr(float(printed))).as_tuple().exponent
    assert isinstance(exponent, int)  # a printed figure is finite
    return -exponent


def verdict(printed: float | None, measured: float | None) -> str | None:
    """Compare at printed precision.

    Returns:
        "matches" if the measured figure gives the printed one whether rounded or cut off, "rounds" if only
        rounding does, "truncates" if only cutting off does, "differs" if neither; None where a figure is missing.
    """
    if printed is None or measured is None:
        return None
    target, exact = Decimal(repr(float(printed))), Decimal(repr(float(measured)))
    step = Decimal(1).scaleb(-decimals(printed))
    rounds = exact.quantize(step, ROUND_HALF_UP) == target
    truncates = exact.quantize(step, ROUND_DOWN) == target
    return {(True, True): "matches", (True, False): "rounds", (False, True): "truncates"}.get(
        (rounds, truncates), "differs"
    )


def worst(verdicts: Iterable[str | None]) -> str | None:
    """The worst verdict of a row's cells; None where none could be given."""
    given = [v for v in verdicts if v is not None]
    return max(given, key=VERDICTS.index) if given else None
