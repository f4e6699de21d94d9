"""Verdicts compare at the printed precision and never turn a missing figure into one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.report.verdict import CLOSE, DIFFERS, EQUAL, decimals, equal_by, relative_difference_pct, verdict, worst


@pytest.mark.parametrize(
    ("printed", "measured", "expected", "how"),
    [
        (21.5, 21.546, EQUAL, None),
        (4.8, 4.8, EQUAL, None),
        (39.2, 39.177, EQUAL, "rounding"),
        (15.0, 14.998, EQUAL, "rounding"),
        (25.5, 25.557, EQUAL, "truncation"),
        (1.1, 1.156, EQUAL, "truncation"),
        (0.3, 0.338, EQUAL, None),  # 12.7 % off, and yet all that was printed
        (4.3, 4.112, DIFFERS, None),
        (13.8, 13.692, CLOSE, None),
        (44.6, 44.549, CLOSE, None),  # 0.1 % off
        (100.0, 101.0, CLOSE, None),
        (100.0, 99.0, CLOSE, None),
        (100.0, 101.01, DIFFERS, None),
        (0.77, 0.714, DIFFERS, None),
        (0.77, 0.7689, EQUAL, "rounding"),
        (21.5, 21.55, EQUAL, "truncation"),  # half rounds up, to 21.6
        (21.6, 21.55, EQUAL, "rounding"),
        (21.5, 21.45, EQUAL, "rounding"),  # and not to the even 21.4
        (None, 1.0, None, None),
        (1.0, None, None, None),
    ],
)
def test_verdict(printed, measured, expected, how):
    assert verdict(printed, measured) == expected
    assert equal_by(printed, measured) == how


def test_the_relative_difference_is_in_percent_of_what_was_printed():
    assert relative_difference_pct(50.0, 51.0) == 2.0
    assert relative_difference_pct(50.0, 49.0) == -2.0
    assert relative_difference_pct(None, 1.0) is relative_difference_pct(1.0, None) is None
    assert relative_difference_pct(0.0, 1.0) is None


@given(st.integers(0, 10**6), st.integers(0, 3))
def test_a_figure_printed_from_the_measured_one_never_differs(millionths, digits):
    measured = millionths / 1000
    rounded = round(measured, digits) + 0.0
    # float rounding and ours part only at exact halves
    if abs(measured * 10**digits % 1 - 0.5) > 1e-6 and decimals(rounded) == digits:
        assert verdict(rounded, measured) == EQUAL
        assert equal_by(rounded, measured) != "truncation"


def test_decimals():
    assert (decimals(21.5), decimals(0.77), decimals(15.0)) == (1, 2, 1)


def test_worst():
    assert worst([EQUAL, DIFFERS, CLOSE]) == DIFFERS
    assert worst([EQUAL, None]) == EQUAL
    assert worst([CLOSE, EQUAL]) == CLOSE
    assert worst([None, None]) is None
