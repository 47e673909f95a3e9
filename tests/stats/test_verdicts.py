from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bench.stats import (
    MIN_SEEDS,
    TOO_FEW,
    Interval,
    Summary,
    best_group,
    compare_paired,
    stands_above,
    verdict,
    verdict_line,
)
from helpers.rng import rng


def between(low: float | None, high: float | None, n: int = 10, confidence: float = 0.95) -> Interval:
    return Interval(0.0, low, high, n, confidence, "t")


def item(low: float, high: float, n: int = MIN_SEEDS) -> Summary:
    return Summary(n, (low + high) / 2, 1.0, (low + high) / 2, low, high, "bca")


@pytest.mark.parametrize(
    ("low", "high", "margin", "kind", "direction", "expected"),
    [
        (0.1, 0.3, 0.0, "superiority", "greater", "reproduced"),
        (0.1, 0.3, 0.2, "superiority", "greater", "undecided"),
        (0.1, 0.3, 0.4, "superiority", "greater", "contradicted"),  # greater, but by less than was claimed
        (-0.3, -0.1, 0.0, "superiority", "greater", "contradicted"),
        (-0.3, -0.1, 0.0, "superiority", "less", "reproduced"),
        (-0.3, -0.1, 0.2, "superiority", "less", "undecided"),
        (-0.3, -0.1, 0.4, "superiority", "less", "contradicted"),
        (0.0, 0.3, 0.0, "superiority", "greater", "undecided"),  # touching isn't above
        (-0.3, 0.0, 0.0, "superiority", "greater", "undecided"),
        (-0.1, 0.1, 0.2, "equivalence", "greater", "reproduced"),
        (-0.1, 0.3, 0.2, "equivalence", "greater", "undecided"),
        (0.3, 0.5, 0.2, "equivalence", "greater", "contradicted"),
        (-0.5, -0.3, 0.2, "equivalence", "greater", "contradicted"),
        (-0.9, 0.9, 0.2, "equivalence", "greater", "undecided"),  # wider than the margin on both sides
        (0.05, 0.1, 0.2, "equivalence", "greater", "reproduced"),  # differs, but by too little to matter
        (-0.1, 0.9, 0.2, "noninferiority", "greater", "reproduced"),
        (-0.3, 0.9, 0.2, "noninferiority", "greater", "undecided"),
        (-0.5, -0.3, 0.2, "noninferiority", "greater", "contradicted"),
        (-0.9, 0.1, 0.2, "noninferiority", "less", "reproduced"),
        (0.3, 0.5, 0.2, "noninferiority", "less", "contradicted"),
    ],
)
def test_verdicts(low: float, high: float, margin: float, kind: str, direction: str, expected: str) -> None:
    assert verdict(between(low, high), margin, kind, direction) == expected  # type: ignore[arg-type]


BOUNDS = st.tuples(st.integers(-20, 20), st.integers(-20, 20)).map(lambda pair: (min(pair) / 8, max(pair) / 8))
MARGINS = st.integers(1, 20).map(lambda m: m / 8)


@given(BOUNDS, MARGINS, st.sampled_from(["superiority", "equivalence", "noninferiority"]))
def test_swapping_the_methods_turns_the_claim_round(bounds: tuple[float, float], margin: float, kind: str) -> None:
    low, high = bounds
    there = verdict(between(low, high), margin, kind, "greater")  # type: ignore[arg-type]
    assert verdict(between(-high, -low), margin, kind, "less") == there  # type: ignore[arg-type]
    if kind == "equivalence":
        assert verdict(between(-high, -low), margin, kind) == there


@given(BOUNDS)
def test_swapping_the_methods_mirrors_the_verdict_at_no_margin(bounds: tuple[float, float]) -> None:
    mirror = {"reproduced": "contradicted", "contradicted": "reproduced", "undecided": "undecided"}
    low, high = bounds
    there = verdict(between(low, high), 0.0, "superiority")
    assert verdict(between(-high, -low), 0.0, "superiority") == mirror[there]


@given(BOUNDS, MARGINS, MARGINS)
def test_a_bolder_claim_is_never_easier(bounds: tuple[float, float], margin: float, more: float) -> None:
    order = {"contradicted": 0, "undecided": 1, "reproduced": 2}
    found = between(*bounds)
    small, large = (order[verdict(found, m, "superiority")] for m in (margin, margin + more))
    assert large <= small
    small, large = (order[verdict(found, m, "equivalence")] for m in (margin, margin + more))
    assert large >= small


@given(BOUNDS, st.integers(0, 8), MARGINS)
def test_a_wider_interval_never_turns_a_verdict(bounds: tuple[float, float], extra: int, margin: float) -> None:
    low, high = bounds
    for kind in ("superiority", "equivalence", "noninferiority"):
        narrow, wide = (
            verdict(between(low, high), margin, kind),
            verdict(between(low - extra, high + extra), margin, kind),
        )
        assert wide in (narrow, "undecided")


@pytest.mark.parametrize("n", [0, 2, MIN_SEEDS - 1])
def test_too_few_seeds_decide_nothing(n: int) -> None:
    found = between(5.0, 6.0, n=n)
    assert verdict(found, 0.0, "superiority") == "undecided"
    assert verdict_line(found, 0.0, "superiority") == f"undecided: {TOO_FEW} (n = {n})"
    assert verdict(between(5.0, 6.0, n=MIN_SEEDS), 0.0, "superiority") == "reproduced"


def test_no_interval_decides_nothing() -> None:
    found = Interval(1.0, None, None, 10, 0.95, "none", "a column is constant")
    assert verdict(found, 0.0, "superiority") == "undecided"
    assert "a column is constant" in verdict_line(found, 0.0, "superiority")


def test_lines_state_level_and_grounds() -> None:
    assert verdict_line(between(0.021, 0.05), 0.0, "superiority") == (
        "reproduced: the 95 % interval [0.021, 0.05] of n = 10 seeds lies above 0"
    )
    low = verdict_line(between(-0.5, -0.3, confidence=0.9), 0.2, "superiority", "less")
    assert low == "reproduced: the 90 % interval [-0.5, -0.3] of n = 10 seeds lies below -0.2"
    assert verdict_line(between(-0.5, -0.3), 0.0, "superiority").endswith("lies below 0")
    assert verdict_line(between(-0.5, 0.3), 0.0, "superiority", "less").endswith("contains 0")
    assert verdict_line(between(-0.1, 0.1), 0.2, "equivalence").endswith("lies within (-0.2, 0.2)")
    assert verdict_line(between(0.3, 0.4), 0.2, "equivalence").endswith("lies outside (-0.2, 0.2)")
    assert verdict_line(between(-0.1, 0.4), 0.2, "noninferiority").endswith("lies above -0.2")
    assert verdict_line(between(-0.1, 0.1), 0.2, "noninferiority", "less").endswith("lies below 0.2")


@pytest.mark.parametrize(
    ("margin", "kind", "direction"),
    [
        (-0.1, "superiority", "greater"),
        (math.nan, "superiority", "greater"),
        (0.0, "equivalence", "greater"),
        (0.0, "noninferiority", "greater"),
        (0.1, "better", "greater"),
        (0.1, "superiority", "up"),
    ],
)
def test_claims_that_say_nothing(margin: float, kind: str, direction: str) -> None:
    with pytest.raises(ValueError, match=r"says nothing|no such claim"):
        verdict(between(1.0, 2.0), margin, kind, direction)  # type: ignore[arg-type]


def test_equivalence_by_a_90_percent_interval_is_the_two_one_sided_tests_at_5_percent() -> None:
    outcomes = set()
    for trial in range(200):
        x = rng(trial).normal(0.15, 0.3, 8)
        found = compare_paired(dict(enumerate(x)), dict.fromkeys(range(8), 0.0), confidence=0.9).difference
        above = stats.ttest_1samp(x, -0.3, alternative="greater").pvalue
        below = stats.ttest_1samp(x, 0.3, alternative="less").pvalue
        inside = verdict(found, 0.3, "equivalence") == "reproduced"
        assert inside == (max(above, below) < 0.05)
        outcomes.add(inside)
    assert outcomes == {True, False}


def test_a_true_difference_of_nothing_is_seldom_called_superior() -> None:
    # One-sided error of a 95 % interval: 2.5 %; three standard errors in 1000 are 0.015.
    wrong = 0
    for trial in range(1000):
        a = dict(enumerate(rng(trial).normal(size=5)))
        wrong += verdict(compare_paired(a, dict.fromkeys(a, 0.0)).difference, 0.0, "superiority") == "reproduced"
    assert 0.01 <= wrong / 1000 <= 0.04


@pytest.mark.parametrize(
    ("items", "higher", "members"),
    [
        ({"a": item(5, 6), "b": item(3, 4), "c": item(1, 2)}, True, ("a",)),
        ({"a": item(5, 6), "b": item(3, 4), "c": item(1, 2)}, False, ("c",)),
        ({"c": item(1, 2), "b": item(3, 5), "a": item(5, 6)}, True, ("a", "b")),  # touching
        ({"a": item(5, 7), "b": item(4, 5.5), "c": item(3, 4.5)}, True, ("a", "b")),  # c overlaps b, not the best
        ({"a": item(5, 7), "b": item(0, 9)}, True, ("a", "b")),
        ({"a": item(5, 6)}, True, ()),
        ({}, True, ()),
    ],
)
def test_best_group(items: dict[str, Summary], higher: bool, members: tuple[str, ...]) -> None:
    found = best_group(items, higher_is_better=higher)
    assert found.members == members
    assert found.winner == (members[0] if len(members) == 1 else None)
    assert found.note == ""


def test_best_group_of_too_few_seeds() -> None:
    found = best_group({"a": item(5, 6), "b": item(3, 4, n=MIN_SEEDS - 1)}, higher_is_better=True)
    assert (found.members, found.winner, found.note) == ((), None, TOO_FEW)
    nothing = Summary(0, math.nan, math.nan, math.nan, None, None, "none")
    assert best_group({"a": item(5, 6), "b": item(3, 4), "c": nothing}, higher_is_better=True).winner == "a"


@given(st.lists(BOUNDS, min_size=2, max_size=5), st.booleans())
def test_a_winner_is_who_stands_above_all_others(bounds: list[tuple[float, float]], higher: bool) -> None:
    items = {str(i): item(*pair) for i, pair in enumerate(bounds)}
    found = best_group(items, higher_is_better=higher)
    others = [items[label] for label in items if label != found.members[0]]
    assert (found.winner is not None) == stands_above(items[found.members[0]], others, higher_is_better=higher)
    mirrored = {label: item(-one.high, -one.low) for label, one in items.items()}
    assert best_group(mirrored, higher_is_better=not higher) == found


def test_equal_methods_seldom_have_a_winner() -> None:
    won = 0
    for trial in range(500):
        x = rng(trial).normal(size=(3, 10))
        mean, half = x.mean(axis=1), 2.262 * x.std(axis=1, ddof=1) / math.sqrt(10)
        items = {str(m): item(mean[m] - half[m], mean[m] + half[m], n=10) for m in range(3)}
        won += best_group(items, higher_is_better=True).winner is not None
    assert won / 500 <= 0.03
