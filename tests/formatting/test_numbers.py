"""Numbers, intervals and headings in words."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.formatting import decimals_for, duration, heading, interval, number, ranges, three_digits

FINITE = st.floats(-1e12, 1e12, allow_nan=False)


@pytest.mark.parametrize(
    ("value", "options", "text"),
    [
        (0.12345, {}, "0.123"),
        (1234.5, {}, "1234.500"),
        (-0.0004, {}, "0.000"),
        (-0.0004, {"negative_zero": True}, "-0.000"),
        (-0.0, {"negative_zero": True}, "0.000"),
        (0.5, {"sign": True}, "+0.500"),
        (-0.5, {"sign": True}, "-0.500"),
        (0.0, {"sign": True}, "0.000"),
        (-0.0001, {"sign": True}, "0.000"),
        (None, {}, "n/a"),
        (math.nan, {"missing": "–"}, "–"),
    ],
)
def test_a_number_has_fixed_decimals_and_zero_no_sign(value, options, text):
    assert number(value, 3, **options) == text


@given(FINITE, st.integers(0, 6))
def test_a_number_reads_back_within_half_of_its_last_digit(value, decimals):
    read = float(number(value, decimals))
    assert abs(read - value) <= 0.5 * 10**-decimals * (1 + 1e-9) + 1e-15 * abs(value)
    assert float(number(value, decimals, sign=True)) == read
    assert number(value, decimals, sign=True).startswith("+") == (read > 0)


def test_an_interval_has_its_bounds_as_numbers_or_is_empty():
    assert interval(-0.25, 0.5, 2) == "[-0.25, 0.50]"
    assert interval(-0.25, 0.5, 2, sign=True) == "[-0.25, +0.50]"
    assert interval(-1.0, -0.001, 2) == "[-1.00, 0.00]"
    assert interval(-1.0, -0.001, 2, negative_zero=True) == "[-1.00, -0.00]"
    assert interval(None, None, 2) == interval(math.nan, math.nan, 2) == interval(0.1, None, 2) == ""


@given(st.floats(1e-6, 1e6), st.integers(1, 6))
def test_decimals_give_a_number_its_digits(size, digits):
    decimals = decimals_for(size, digits, most=20)
    assert decimals == 0 or 10 ** (digits - 1) <= size * 10**decimals * (1 + 1e-9) < 10**digits * (1 + 1e-6)


def test_decimals_keep_within_their_limits():
    assert decimals_for(1e-30, 4) == 8
    assert decimals_for(12345.0, 4) == 0
    assert decimals_for(12345.0, 4, least=1) == 1
    assert decimals_for(0.05, 4, most=3) == 3


def test_a_heading_has_an_arrow_in_the_better_direction():
    assert [heading("MIG", better) for better in (True, False, None)] == ["MIG ↑", "MIG ↓", "MIG"]


def test_whole_numbers_as_ranges():
    assert ranges([]) == ""
    assert ranges([7]) == "7"
    assert ranges([2, 0, 1, 7]) == "0-2, 7"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.6, "1 min 00 s"), (125, "2 min 05 s"), (7_380, "2 h 03 min"), (200_000, "2 d 7 h")],
)
def test_seconds_as_people_say_them(seconds, text):
    assert duration(seconds) == text


def test_three_digits_or_all_before_the_point():
    assert [three_digits(value) for value in (0.0, 0.012345, 12.345, 999.7, 1234.5)] == [
        "0", "0.0123", "12.3", "1,000", "1,234",
    ]  # fmt: skip
