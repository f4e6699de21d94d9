"""Compare a measured number with a printed one."""

from collections.abc import Iterable
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal

EQUAL, CLOSE, DIFFERS = "equal", "within 1 %", "differs"
VERDICTS = (EQUAL, CLOSE, DIFFERS)
"""from the best to the worst"""

_CLOSE_PCT = Decimal(1)


def decimals(printed: float) -> int:
    """Digits printed behind the point: 21.5 has one."""
    exponent = Decimal(repr(float(printed))).as_tuple().exponent
    assert isinstance(exponent, int)  # a printed number is finite
    return -exponent


def verdict(printed: float | None, measured: float | None) -> str | None:
    """Grade a measured number.

    Returns:
        ``EQUAL`` if it gives the printed one at the printed precision, whether rounded or cut off; else ``CLOSE`` if
        it is within 1 % of the printed one, and ``DIFFERS`` if not; None where either is missing.
    """
    if printed is None or measured is None:
        return None
    if any(_shortened(printed, measured)):
        return EQUAL
    target, exact = Decimal(repr(float(printed))), Decimal(repr(float(measured)))
    return CLOSE if 100 * abs(exact - target) <= _CLOSE_PCT * abs(target) else DIFFERS


def equal_by(printed: float | None, measured: float | None) -> str | None:
    """Name the only way to the printed number, "rounding" or "truncation"; None if both lead there, or neither."""
    if printed is None or measured is None:
        return None
    rounded, truncated = _shortened(printed, measured)
    return {(True, False): "rounding", (False, True): "truncation"}.get((rounded, truncated))


def _shortened(printed: float, measured: float) -> tuple[bool, bool]:
    """Whether the measured number gives the printed one rounded, and whether it does so cut off."""
    target, exact = Decimal(repr(float(printed))), Decimal(repr(float(measured)))
    step = Decimal(1).scaleb(-decimals(printed))
    return exact.quantize(step, ROUND_HALF_UP) == target, exact.quantize(step, ROUND_DOWN) == target


def relative_difference_pct(printed: float | None, measured: float | None) -> float | None:
    """Relate the difference to the printed number, in %; None where either is missing."""
    if printed is None or measured is None or printed == 0:
        return None
    return round(100 * (measured - printed) / printed, 9)


def worst(verdicts: Iterable[str | None]) -> str | None:
    """The worst verdict of a row's cells; None where none could be given."""
    given = [v for v in verdicts if v is not None]
    return max(given, key=VERDICTS.index) if given else None
