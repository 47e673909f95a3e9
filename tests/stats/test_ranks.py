from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bench.stats import TOO_FEW, probability_of_improvement, rank_stability
from helpers.rng import rng

VALUES = st.lists(st.integers(0, 6).map(float), min_size=1, max_size=8)


@settings(deadline=None, max_examples=50)
@given(VALUES, VALUES)
def test_probability_of_improvement_counts_pairs(x: list[float], y: list[float]) -> None:
    found = probability_of_improvement(x, y, rng=rng(), n_resamples=99)
    by_hand = sum(1.0 if p > q else 0.5 if p == q else 0.0 for p in x for q in y) / (len(x) * len(y))
    assert found.estimate == pytest.approx(by_hand)
    assert found.estimate == pytest.approx(stats.mannwhitneyu(x, y).statistic / (len(x) * len(y)))
    swapped = probability_of_improvement(y, x, rng=rng(), n_resamples=99)
    assert swapped.estimate == pytest.approx(1 - found.estimate)
    if found.low is not None:
        assert 0 <= found.low <= found.high <= 1


def test_ties_count_half_in_the_interval_as_well() -> None:
    # Two metrics saturate in most runs: without the ties' halves the share of wins would be 1 / 25.
    x, y = [1.0, 1.0, 1.0, 1.0, 0.9], [1.0, 1.0, 1.0, 1.0, 0.8]
    found = probability_of_improvement(x, y, rng=rng())
    assert found.estimate == pytest.approx((16 / 2 + 4 + 1) / 25)
    assert found.low > 0.25
    equal = probability_of_improvement([1.0] * 5, [1.0] * 5, rng=rng())
    assert (equal.estimate, equal.low, equal.high, equal.method) == (0.5, 0.5, 0.5, "point")


def test_probability_interval_is_that_of_resampled_groups() -> None:
    x, y = rng(1).normal(0.5, 1, 8), rng(2).normal(0, 1, 6)
    found = probability_of_improvement(x, y, rng=rng(3))
    generator = rng(4)
    resampled = [(generator.choice(x, 8)[:, None] > generator.choice(y, 6)).mean() for _ in range(4000)]
    assert [found.low, found.high] == pytest.approx(np.quantile(resampled, [0.025, 0.975]), abs=0.025)


def test_probability_coverage() -> None:
    truth, held = stats.norm.cdf(1 / math.sqrt(2)), 0
    for trial in range(400):
        found = probability_of_improvement(
            rng(trial).normal(1, 1, 10), rng(trial + 9000).normal(0, 1, 10), rng=rng(trial), n_resamples=499
        )
        held += found.low <= truth <= found.high
    assert 0.86 <= held / 400 <= 0.97


def test_separated_groups_say_that_the_bootstrap_sees_nothing() -> None:
    found = probability_of_improvement([3.0, 4.0, 5.0], [0.0, 1.0, 2.0], rng=rng())
    assert (found.estimate, found.low, found.method) == (1.0, 1.0, "point")
    assert "spread" in found.note
    assert probability_of_improvement([3.0, 4.0], [0.0, 1.0, 2.0], rng=rng()).method == "none"
    with pytest.raises(ValueError, match="empty"):
        probability_of_improvement([], [1.0], rng=rng())


def methods(*rows: list[float]) -> dict[str, dict[int, float]]:
    return {name: dict(enumerate(row)) for name, row in zip("abcdef", rows, strict=False)}


def test_ranks_of_methods_far_apart_never_move() -> None:
    found = rank_stability(
        methods([1.0, 2, 3, 2, 1], [11, 12, 13, 12, 11], [5, 6, 7, 6, 5]), higher_is_better=True, rng=rng()
    )
    np.testing.assert_array_equal(found.ranks, [3, 1, 2])
    np.testing.assert_array_equal(found.distribution, [[0, 0, 1], [1, 0, 0], [0, 1, 0]])
    np.testing.assert_array_equal(found.low, found.high)
    assert (found.ahead[1, 0], found.ahead[0, 1], found.ahead[0, 0]) == (1.0, 0.0, 0.5)
    lower = rank_stability(methods([1.0, 2, 3], [11, 12, 13]), higher_is_better=False, rng=rng())
    np.testing.assert_array_equal(lower.ranks, [1, 2])


def test_order_of_a_pair_holds_as_often_as_its_mean_difference_keeps_its_sign() -> None:
    # Differences 3, -1, -1 of two seeds drawn: enumerate the 27 draws.
    found = rank_stability(methods([3.0, 0, 0], [0.0, 1, 1]), higher_is_better=True, rng=rng(), n_resamples=40_000)
    sums = [p + q + r for p in (3, -1, -1) for q in (3, -1, -1) for r in (3, -1, -1)]
    assert found.ahead[0, 1] == pytest.approx(np.mean([(1 + np.sign(s)) / 2 for s in sums]), abs=0.01)
    assert found.ahead[0, 1] + found.ahead[1, 0] == pytest.approx(1.0)


def test_seeds_are_drawn_for_all_methods_together() -> None:
    seed_effect = rng(1).normal(0, 5, 8)
    together = methods(list(seed_effect + 0.1), list(seed_effect))
    assert rank_stability(together, higher_is_better=True, rng=rng()).ahead[0, 1] == 1.0
    # The same values under other seeds: the pairing is lost, and with it the order.
    apart = {"a": together["a"], "b": {(seed + 3) % 8: value for seed, value in together["b"].items()}}
    assert rank_stability(apart, higher_is_better=True, rng=rng()).ahead[0, 1] < 0.8


def test_methods_that_tie_share_their_ranks() -> None:
    found = rank_stability(
        methods([1.0, 5, 3, 8, 2], [1.0, 5, 3, 8, 2], [0, 0, 0, 0, 0]), higher_is_better=True, rng=rng()
    )
    np.testing.assert_array_equal(found.ranks, [1.5, 1.5, 3])
    np.testing.assert_allclose(found.distribution, [[0.5, 0.5, 0], [0.5, 0.5, 0], [0, 0, 1]])
    assert found.ahead[0, 1] == 0.5
    np.testing.assert_array_equal([found.low[0], found.high[0]], [1, 2])


@settings(deadline=None, max_examples=25)
@given(st.lists(st.lists(st.integers(-9, 9).map(float), min_size=5, max_size=5), min_size=2, max_size=5))
def test_rank_tables_are_consistent(rows: list[list[float]]) -> None:
    samples = methods(*rows)
    found = rank_stability(samples, higher_is_better=True, rng=rng(), n_resamples=99)
    np.testing.assert_allclose(found.distribution.sum(axis=0), 1)
    np.testing.assert_allclose(found.distribution.sum(axis=1), 1)
    np.testing.assert_allclose(found.ahead + found.ahead.T, 1)
    # The mean rank is one more than the number of methods that are ahead.
    mean_rank = found.distribution @ np.arange(1, len(rows) + 1)
    np.testing.assert_allclose(mean_rank, 0.5 + found.ahead.T.sum(axis=1))
    assert (found.low <= found.high).all()
    negated = {name: {seed: -value for seed, value in row.items()} for name, row in samples.items()}
    mirrored = rank_stability(negated, higher_is_better=False, rng=rng(), n_resamples=99)
    np.testing.assert_array_equal(mirrored.distribution, found.distribution)


def test_rank_interval_grows_with_the_noise() -> None:
    rows = [list(rng(m).normal(m, 0.1, 10)) for m in range(4)]
    noisy = [list(rng(m).normal(m, 6.0, 10)) for m in range(4)]
    calm = rank_stability(methods(*rows), higher_is_better=True, rng=rng())
    wild = rank_stability(methods(*noisy), higher_is_better=True, rng=rng())
    assert (calm.high - calm.low).sum() == 0
    assert (wild.high - wild.low).sum() >= 4


def test_ranks_use_common_seeds_and_the_named_statistic() -> None:
    samples = {"a": {1: 1.0, 2: 2.0, 3: 90.0, 4: 0.0}, "b": {3: 2.5, 2: 2.5, 1: 2.5, 9: 0.0}}
    mean = rank_stability(samples, higher_is_better=True, rng=rng())
    assert mean.seeds == (1, 2, 3)
    assert mean.note == TOO_FEW
    np.testing.assert_array_equal(mean.ranks, [1, 2])
    median = rank_stability(samples, higher_is_better=True, rng=rng(), statistic="median")
    np.testing.assert_array_equal(median.ranks, [2, 1])


def test_ranks_need_rivals_and_common_seeds() -> None:
    with pytest.raises(ValueError, match="two methods"):
        rank_stability(methods([1.0]), higher_is_better=True, rng=rng())
    with pytest.raises(ValueError, match="seed in common"):
        rank_stability({"a": {1: 1.0}, "b": {2: 1.0}}, higher_is_better=True, rng=rng())
    with pytest.raises(ValueError, match="finite"):
        rank_stability(methods([math.nan], [1.0]), higher_is_better=True, rng=rng())
