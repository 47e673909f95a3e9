"""Fronts in cases that can be worked out on paper."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.stats import ttest_rel

from bench.stats import (
    Front,
    area_difference,
    common_range,
    compare_paired,
    difference_at,
    front_band,
    front_direction,
    front_through,
    front_values,
    matched_points,
    paired_p,
    probability_above,
    values_at,
)
from bench.stats.fronts import mean_over


def line(low: float, high: float, start: float, slope: float, n: int = 5) -> Front:
    x = np.linspace(low, high, n)
    return front_through(x, start + slope * (x - low))


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_a_front_in_order_is_its_points():
    found = front_through([1.0, 2.0, 4.0], [0.3, 0.1, 0.5])
    assert found.x.tolist() == [1, 2, 4]
    assert found.y.tolist() == [0.3, 0.1, 0.5]
    assert (found.low, found.high, found.pooled) == (1, 4, 0)


def test_a_falling_front_is_sorted_by_x():
    found = front_through([4.0, 2.0, 1.0], [0.5, 0.1, 0.3], -1)
    assert found.x.tolist() == [1, 2, 4]
    assert found.y.tolist() == [0.3, 0.1, 0.5]


def test_points_that_turn_back_are_averaged():
    # 3 and 2 are out of order, and their mean 2.5 stands after 1; then 2 must join them.
    found = front_through([1.0, 3.0, 2.0, 2.0, 6.0], [0.0, 0.3, 0.6, 0.9, 1.0])
    np.testing.assert_allclose(found.x, [1, 7 / 3, 6])
    np.testing.assert_allclose(found.y, [0, 0.6, 1])
    assert found.pooled == 2


def test_equal_x_become_one_point():
    found = front_through([1.0, 1.0, 2.0], [0.0, 1.0, 3.0])
    assert found.x.tolist() == [1, 2]
    assert found.y.tolist() == [0.5, 3]


def test_points_in_the_wrong_order_become_one_point_at_their_mean():
    found = front_through([3.0, 2.0, 1.0], [1.0, 2.0, 6.0])
    assert found.x.tolist() == [2]
    assert found.y.tolist() == [3]


@pytest.mark.parametrize("seed", range(10))
def test_pooling_is_the_least_squares_monotone_fit(seed):
    isotonic = pytest.importorskip("sklearn.isotonic")
    x = np.random.default_rng(seed).normal(size=9) + np.arange(9) / 3
    fitted = isotonic.isotonic_regression(x)
    np.testing.assert_allclose(front_through(x, x).x, np.unique(fitted.round(12)))


@pytest.mark.parametrize(("x", "y"), [([], []), ([1.0], [1.0, 2.0]), ([1.0, math.nan], [1.0, 2.0])])
def test_what_is_no_front_is_refused(x, y):
    with pytest.raises(ValueError, match=r"front|finite"):
        front_through(x, y)


def test_the_direction_is_that_of_most_pairs_of_points():
    assert front_direction([[1.0, 2.0, 3.0], [1.0, 3.0, 2.0]]) == 1
    assert front_direction([[3.0, 2.0, 1.0], [1.0, 3.0, 2.0]]) == -1
    assert front_direction([[1.0, 1.0]]) == 1


def test_between_points_a_front_is_straight_and_beyond_them_unknown():
    found = front_values(Front(np.array([1.0, 3.0]), np.array([0.2, 0.6])), [0.99, 1.0, 2.0, 2.5, 3.0, 3.01])
    np.testing.assert_allclose(found, [math.nan, 0.2, 0.4, 0.5, 0.6, math.nan])


def test_the_common_range_is_what_every_front_reaches():
    a, b = {0: line(1, 5, 0, 1), 1: line(2, 6, 0, 1)}, {0: line(3, 9, 0, 1)}
    assert common_range(a) == (2, 5)
    assert common_range(a, b) == (3, 5)
    assert common_range(a, {0: line(7, 9, 0, 1)}) is None
    assert common_range(a, {0: line(5, 9, 0, 1)}) is None  # a point is no range


def test_matched_points_are_the_middles_of_equal_parts():
    assert matched_points(1.0, 11.0).tolist() == [2, 4, 6, 8, 10]
    assert matched_points(1.0, 16.0, 2, log=True).tolist() == [2, 8]
    np.testing.assert_allclose(matched_points(-1.0, 1.0, 2), [-0.5, 0.5])


@pytest.mark.parametrize(("low", "high"), [(100.01, 100.09), (0.123, 0.129), (9.94, 9.96)])
def test_rounding_never_moves_a_matched_point_out_of_the_range(low, high):
    points = matched_points(low, high)
    assert low <= points[0]
    assert points[-1] <= high
    assert (np.diff(points) > 0).all()


def test_the_mean_over_a_stretch_is_the_integral():
    assert mean_over(line(0, 4, 1, 2), 1, 3) == pytest.approx(5)  # 1 + 2 x at its middle
    tent = Front(np.array([0.0, 1.0, 2.0]), np.array([0.0, 1.0, 0.0]))
    assert mean_over(tent, 0, 2) == pytest.approx(0.5)
    assert mean_over(tent, 0.5, 1.5) == pytest.approx(0.75)


def test_the_difference_at_a_place_is_paired_over_the_seeds_that_reach_it():
    a = {0: line(0, 4, 1, 1), 1: line(0, 4, 2, 1), 2: line(0, 1, 9, 1)}
    b = {0: line(0, 4, 0, 1), 1: line(0, 4, 0, 1), 2: line(0, 4, 0, 1), 3: line(0, 4, 0, 1)}
    found = difference_at(a, b, 2.0)
    assert found is not None
    assert found.difference.n == 2  # the third one ends at 1
    assert found.difference.estimate == pytest.approx(1.5)
    assert difference_at(a, b, 5.0) is None
    assert values_at(a, 2.0) == pytest.approx({0: 3, 1: 4})


def test_the_area_between_parallel_fronts_is_their_distance_over_the_common_range():
    a = {seed: line(0, 4, 1 + 0.1 * seed, 1, n=3) for seed in range(5)}
    b = {seed: line(1, 6, 1, 1, n=7) for seed in range(6)}
    found = area_difference(a, b)
    assert found is not None
    difference, low, high = found
    assert (low, high) == (1, 4)
    # At x the fronts are 1 + 0.1 seed + x and x.
    assert difference.difference.estimate == pytest.approx(1.2)
    assert difference.difference.n == 5
    assert difference.difference.low is not None
    assert difference.difference.low < 1.2
    expected = compare_paired({s: 1 + 0.1 * s for s in range(5)}, dict.fromkeys(range(5), 0.0))
    assert difference.difference.low == pytest.approx(expected.difference.low)


def test_fronts_that_cross_in_the_middle_enclose_no_area():
    a = {seed: line(0, 2, 0, 1) for seed in range(3)}
    b = {seed: line(0, 2, 2, -1) for seed in range(3)}
    found = area_difference(a, b)
    assert found is not None
    assert found[0].difference.estimate == pytest.approx(0)
    above = probability_above(a, b, [0.5, 1.0, 1.5])
    assert above.share.tolist() == [0, 0.5, 1]


def test_without_a_common_range_or_seed_there_is_no_area():
    assert area_difference({0: line(0, 1, 0, 1)}, {0: line(2, 3, 0, 1)}) is None
    assert area_difference({0: line(0, 1, 0, 1)}, {1: line(0, 1, 0, 1)}) is None


def test_the_probability_of_lying_above_has_wilsons_interval():
    b = {seed: line(0, 1, 0, 0) for seed in range(10)}
    a = {seed: line(0, 1, 1 if seed < 8 else -1, 0) for seed in range(10)}
    found = probability_above(a, b, [0.5])
    assert found.share.tolist() == [0.8]
    assert found.n.tolist() == [10]
    # Wilson's interval of 8 in 10.
    np.testing.assert_allclose([found.low[0], found.high[0]], [0.4902, 0.9433], atol=5e-5)
    agreed = probability_above({seed: line(0, 1, 1, 0) for seed in range(10)}, b, [0.5])
    np.testing.assert_allclose([agreed.low[0], agreed.high[0]], [0.7225, 1], atol=5e-5)


def test_few_seeds_have_a_share_but_no_interval_and_none_at_all_neither():
    few = {seed: line(0, 1, 0, 0) for seed in range(4)}
    found = probability_above(few, few, [0.5, 3.0])
    assert found.share[0] == 0.5
    assert found.n.tolist() == [4, 0]
    assert np.isnan([found.low, found.high]).all()
    assert math.isnan(found.share[1])
    assert np.isnan(probability_above(few, {9: line(0, 1, 0, 0)}, [0.5]).share).all()


def test_a_band_is_the_mean_front_between_its_bounds():
    lines = {seed: line(-1 + 0.1 * seed, 3, seed, 0) for seed in range(5)}
    found = front_band(lines, rng=rng(), places=3)
    assert found is not None
    np.testing.assert_allclose(found.at, [-0.6, 1.2, 3])
    np.testing.assert_allclose(found.mean, 2)
    assert found.low is not None
    assert found.high is not None
    assert (found.low < 2).all()
    assert (found.high > 2).all()
    # Parallel fronts have the same band everywhere: the same seeds are drawn at all places.
    assert np.ptp(found.low) == pytest.approx(0, abs=1e-12)


def test_the_bootstrap_of_all_resamples_gives_the_bounds():
    values = [0.0, 1.0, 2.0, 3.0, 4.0]
    means = [np.mean(drawn) for drawn in itertools.product(values, repeat=5)]
    lines = {seed: line(0, 1, value, 0) for seed, value in enumerate(values)}
    found = front_band(lines, rng=rng(), places=2)
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    np.testing.assert_allclose([found.low[0], found.high[0]], np.quantile(means, [0.025, 0.975]), atol=0.21)


def test_few_seeds_have_a_mean_front_without_a_band():
    found = front_band({seed: line(0, 1, seed, 0) for seed in range(4)}, rng=rng())
    assert found is not None
    assert found.low is None
    assert found.high is None
    np.testing.assert_allclose(found.mean, 1.5)
    assert front_band({0: line(0, 1, 0, 0), 1: line(2, 3, 0, 0)}, rng=rng()) is None


def test_the_p_of_a_paired_comparison_is_the_t_tests():
    draws = np.random.default_rng(1)
    a, b = draws.normal(0.5, 1, 8), draws.normal(0, 1, 8)
    found = compare_paired(dict(enumerate(a)), dict(enumerate(b)))
    assert paired_p(found) == pytest.approx(ttest_rel(a, b).pvalue)
    bounds = found.difference.low, found.difference.high
    assert (paired_p(found) < 0.05) == (bounds[0] > 0 or bounds[1] < 0)


def test_the_p_without_spread_is_the_sign_flip_tests():
    same, zero = dict.fromkeys(range(6), 1.0), dict.fromkeys(range(6), 0.0)
    assert paired_p(compare_paired(same, zero)) == 2 / 2**6
    assert paired_p(compare_paired(same, same)) == 1
    assert paired_p(compare_paired({0: 1.0}, {0: 2.0})) is None
    with pytest.raises(ValueError, match="bca"):
        paired_p(compare_paired(dict(enumerate(range(9))), {k: k**2 for k in range(9)}, method="bca", rng=rng()))
