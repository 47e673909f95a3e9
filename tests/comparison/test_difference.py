"""The difference of one score between two studies, by seed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.comparison.difference import Difference, seed_difference
from helpers.comparison import A, B, by_seed


def differ(a: Any, b: Any, better: bool | None = True, margin: float | None = None) -> Difference:
    rng = np.random.default_rng(0)
    return seed_difference(by_seed(a), by_seed(b), higher_is_better=better, rng=rng, margin=margin)


def test_shuffled_seeds_give_other_pairs() -> None:
    paired, shuffled = differ(A, B), differ(A, [B[k] for k in (3, 4, 5, 0, 1, 2)])
    assert paired.difference == pytest.approx(shuffled.difference)
    assert paired.verdict == "B higher"
    assert shuffled.verdict == "undecided"
    assert shuffled.high - shuffled.low > 3 * (paired.high - paired.low)


def test_the_order_of_seeds_on_disk_does_not_matter() -> None:
    there, back = dict(enumerate(B)), dict(reversed(list(enumerate(B))))
    assert differ(A, there) == differ(A, back)


@pytest.mark.parametrize(
    ("b_is", "better", "verdict", "judgement"),
    [
        (B, True, "B higher", "better"),
        (B, False, "B higher", "worse"),
        (B, None, "B higher", None),
        ([0.5 - v for v in B], True, "B lower", "worse"),
        ([0.5 - v for v in B], False, "B lower", "better"),
    ],
)
def test_words_follow_the_sign_and_judgement_the_direction(
    b_is: list[float], better: bool | None, verdict: str, judgement: str | None
) -> None:
    a = A if verdict == "B higher" else [0.5 - v for v in A]
    found = differ(a, b_is, better)
    assert (found.verdict, found.judgement) == (verdict, judgement)
    assert (found.difference > 0) == (verdict == "B higher")


VALUES = st.lists(st.integers(-50, 50).map(lambda k: k / 8), min_size=5, max_size=9)


@given(VALUES, VALUES, st.integers(0, 6))
def test_exchanging_the_sides_changes_signs_only(a: list[float], b: list[float], shift: int) -> None:
    left, right = dict(enumerate(a)), dict(enumerate(b, start=shift))
    one, two = differ(left, right), differ(right, left)
    assert one.difference == pytest.approx(-two.difference)
    assert one.low == pytest.approx(-two.high)
    assert one.p == pytest.approx(two.p)
    assert (one.paired, one.n) == (two.paired, two.n)
    same = "no difference seen" if one.low == one.high == 0 else "undecided"
    assert {one.verdict, two.verdict} in ({"B higher", "B lower"}, {same})
    assert one.mean_b - one.mean_a == pytest.approx(one.difference)
    if one.low != one.high:
        # The interval and the p are of one test.
        assert (one.p < 0.05) == (one.verdict != "undecided")


def test_few_seeds_are_not_compared() -> None:
    found = differ(A[:4], B[:4])
    assert found.verdict == "too few seeds to compare"
    assert (found.n, found.low, found.high, found.effect, found.p, found.judgement) == (4, None, None, None, None, None)
    assert found.difference == pytest.approx(np.mean(B[:4]) - np.mean(A[:4]))
    for a, b in ((A, {0: 0.1}), ({0: 0.1}, {7: 0.2}), (A, dict.fromkeys(range(2, 6), 0.1))):
        assert differ(a, b, margin=1.0).verdict == "too few seeds to compare"


def test_some_common_seeds_are_paired_if_they_are_enough() -> None:
    b = {seed + 1: value for seed, value in enumerate(B)}
    found = differ(A, b)
    assert (found.paired, found.n, found.n_a, found.n_b) == (True, 5, 6, 6)
    assert found.mean_a == pytest.approx(np.mean(A[1:]))
    assert found.mean_b == pytest.approx(np.mean(B[:5]))
    found = differ(A, {seed + 2: value for seed, value in enumerate(B)})
    assert (found.paired, found.n) == (False, 6)


def test_without_spread_the_p_is_the_permutation_tests() -> None:
    same = differ(A, A)
    assert (same.difference, same.low, same.high, same.p) == (0.0, 0.0, 0.0, 1.0)
    assert (same.verdict, same.effect) == ("no difference seen", None)
    shifted = differ([1.0] * 5, [2.0] * 5)
    assert (shifted.low, shifted.high, shifted.p) == (1.0, 1.0, 2 / 2**5)
    assert shifted.verdict == "B higher"
    apart = differ([1.0] * 5, dict.fromkeys(range(10, 15), 2.0))
    assert (apart.paired, apart.p) == (False, 2 / math.comb(10, 5))


@pytest.mark.parametrize(
    ("margin", "verdict", "judgement"),
    # Differences of mean 0.0317 and sd 0.0194: 0.0317 ± 2.571 · 0.0194 / √6.
    [(0.06, "equivalent", None), (0.03, "undecided", None), (0.01, "different", "better")],
)
def test_a_margin_asks_for_equivalence(margin: float, verdict: str, judgement: str | None) -> None:
    found = differ(A, B, margin=margin)
    assert (found.low, found.high) == pytest.approx((0.0113, 0.0520), abs=1e-4)
    assert (found.verdict, found.judgement, found.margin) == (verdict, judgement, margin)
