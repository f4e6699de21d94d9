"""Verdicts compare at the printed precision and never turn a missing figure into one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.report.verdict import decimals, verdict, worst


@pytest.mark.parametrize(
    ("printed", "measured", "expected"),
    [
        (21.5, 21.546, "matches"),
        (4.8, 4.8, "matches"),
        (39.2, 39.177, "rounds"),
        (15.0, 14.998, "rounds"),
        (25.5, 25.557, "truncates"),
        (1.1, 1.156, "truncates"),
        (4.3, 4.112, "differs"),
        (13.8, 13.692, "differs"),
        (44.6, 44.549, "differs"),
        (0.77, 0.714, "differs"),
        (0.77, 0.7689, "rounds"),
        (21.5, 21.55, "truncates"),  # half rounds up, to 21.6
        (21.6, 21.55, "rounds"),
        (21.5, 21.45, "rounds"),  # and not to the even 21.4
        (None, 1.0, None),
        (1.0, None, None),
    ],
)
def test_verdict(printed, measured, expected):
    assert verdict(printed, measured) == expected


@given(st.integers(0, 10**6), st.integers(0, 3))
def test_a_figure_printed_from_the_measured_one_never_differs(millionths, digits):
    measured = millionths / 1000
    rounded = round(measured, digits) + 0.0
    # float rounding and ours part only at exact halves
    if abs(measured * 10**digits % 1 - 0.5) > 1e-6 and decimals(rounded) == digits:
        assert verdict(rounded, measured) in ("matches", "rounds")


def test_decimals():
    assert (decimals(21.5), decimals(0.77), decimals(15.0)) == (1, 2, 1)


def test_worst():
    assert worst(["matches", "differs", "rounds"]) == "differs"
    assert worst(["matches", None]) == "matches"
    assert worst(["rounds", "truncates"]) == "truncates"
    assert worst([None, None]) is None
