from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bench.stats import (
    Detectable,
    Interval,
    compare_paired,
    compare_unpaired,
    detectable_line,
    differences,
    small_sample_correction,
    smallest_detectable,
)
from helpers.rng import rng


def by_seed(values: object) -> dict[int, float]:
    return {seed: float(value) for seed, value in enumerate(values)}  # type: ignore[arg-type, var-annotated]


def covers(interval: Interval, truth: float) -> bool:
    assert interval.low is not None
    assert interval.high is not None
    return interval.low <= truth <= interval.high


def width(interval: Interval) -> float:
    assert interval.low is not None
    assert interval.high is not None
    return interval.high - interval.low


VALUES = st.lists(st.integers(-100, 100).map(float), min_size=3, max_size=12)


def test_differences_are_in_the_order_of_the_common_seeds() -> None:
    found = differences({3: 10.0, 1: 5.0, 7: 0.0}, {1: 1.0, 3: 2.0, 9: 4.0})
    np.testing.assert_array_equal(found, [4.0, 8.0])


def test_correction_by_hand_and_by_its_approximation() -> None:
    # Γ(1) = 1, Γ(1/2) = sqrt(π), Γ(3/2) = sqrt(π) / 2, Γ(2) = 1
    assert small_sample_correction(2) == pytest.approx(1 / math.sqrt(math.pi))
    assert small_sample_correction(4) == pytest.approx(1 / (math.sqrt(2) * math.sqrt(math.pi) / 2))
    for degrees in (9, 18, 100, 10_000):
        assert small_sample_correction(degrees) == pytest.approx(1 - 3 / (4 * degrees - 1), abs=5e-4)
    with pytest.raises(ValueError, match="degree"):
        small_sample_correction(1)


def test_corrected_effects_are_unbiased_and_plain_ones_are_not() -> None:
    paired, plain, unpaired = [], [], []
    for trial in range(2000):
        x, y = rng(trial).normal(1.0, 1.0, 6), rng(10_000 + trial).normal(0.0, 1.0, 6)
        found = compare_paired(by_seed(x), by_seed(np.zeros(6)))
        paired.append(found.effect)
        plain.append(found.difference.estimate / found.sd)
        unpaired.append(compare_unpaired(x, y).effect)
    # The standard error of these means is about 0.015.
    assert np.mean(paired) == pytest.approx(1.0, abs=0.05)
    assert np.mean(unpaired) == pytest.approx(1.0, abs=0.05)
    assert np.mean(plain) > 1.13


def test_paired_by_hand() -> None:
    found = compare_paired(by_seed([3.0, 5.0, 10.0]), by_seed([2.0, 3.0, 4.0]))
    assert found.paired
    assert found.difference.estimate == 3.0
    assert found.difference.n == 3
    assert found.sd == pytest.approx(math.sqrt(7))
    assert found.effect == pytest.approx(3 / math.sqrt(7) / math.sqrt(math.pi))
    assert found.difference.high == pytest.approx(3 + 4.302652729911275 * math.sqrt(7 / 3))


def test_hedges_g_by_hand_with_unequal_sizes() -> None:
    found = compare_unpaired([1.0, 3.0], [0.0, 1.0, 5.0, 6.0])
    assert not found.paired
    assert found.difference.n == 2
    assert found.sd == pytest.approx(math.sqrt((2 + 26) / 4))
    assert found.effect == pytest.approx(small_sample_correction(4) * (2 - 3) / math.sqrt(7))


@settings(deadline=None)
@given(VALUES, VALUES)
def test_t_intervals_agree_with_scipy(a: list[float], b: list[float]) -> None:
    if np.ptp(a) and np.ptp(b):  # SciPy warns of a constant group
        found, expected = compare_unpaired(a, b), stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
        assert found.difference.low == pytest.approx(expected.low, abs=1e-9)
        assert found.difference.high == pytest.approx(expected.high, abs=1e-9)
    n = min(len(a), len(b))
    if np.ptp(np.subtract(a[:n], b[:n])):
        found = compare_paired(by_seed(a[:n]), by_seed(b[:n]))
        expected = stats.ttest_rel(a[:n], b[:n]).confidence_interval(0.95)
        assert found.difference.low == pytest.approx(expected.low, abs=1e-9)
        assert found.difference.high == pytest.approx(expected.high, abs=1e-9)


@settings(deadline=None)
@given(VALUES, VALUES, st.integers(-50, 50), st.sampled_from([0.25, 2.0, 8.0]))
def test_swap_shift_and_scale(a: list[float], b: list[float], shift: int, factor: float) -> None:
    n = min(len(a), len(b))
    x, y = np.array(a[:n]), np.array(b[:n])
    for compare in (lambda p, q: compare_paired(by_seed(p), by_seed(q)), compare_unpaired):
        plain, swapped, moved, scaled = (
            compare(x, y),
            compare(y, x),
            compare(x + shift, y),
            compare(factor * x, factor * y),
        )
        if plain.effect is None:
            assert swapped.effect is None
            assert moved.effect is None
        else:
            assert swapped.effect == pytest.approx(-plain.effect, abs=1e-9)
            assert scaled.effect == pytest.approx(plain.effect, rel=1e-9, abs=1e-9)
        assert swapped.difference.low == pytest.approx(-plain.difference.high, abs=1e-9)
        assert swapped.difference.high == pytest.approx(-plain.difference.low, abs=1e-9)
        assert moved.difference.low == pytest.approx(plain.difference.low + shift, abs=1e-9)
        assert scaled.difference.high == pytest.approx(factor * plain.difference.high, abs=1e-9)


@pytest.mark.parametrize("method", ["t", "bca"])
def test_unpaired_analysis_of_paired_data_is_wider(method: str) -> None:
    seed_effect = rng(1).normal(0, 1.0, 10)
    a, b = seed_effect + rng(2).normal(0.3, 0.1, 10), seed_effect + rng(3).normal(0.0, 0.1, 10)
    paired = compare_paired(by_seed(a), by_seed(b), method=method, rng=rng(4))  # type: ignore[arg-type]
    unpaired = compare_unpaired(a, b, method=method, rng=rng(4))  # type: ignore[arg-type]
    assert paired.difference.method == unpaired.difference.method == method
    assert paired.difference.estimate == pytest.approx(unpaired.difference.estimate)
    assert width(unpaired.difference) > 4 * width(paired.difference)
    assert not covers(paired.difference, 0.0)
    assert covers(unpaired.difference, 0.0)


def test_pairing_with_shifted_seeds_is_wider() -> None:
    seed_effect = rng(1).normal(0, 1.0, 10)
    a, b = by_seed(seed_effect + 0.3), by_seed(seed_effect + rng(3).normal(0.0, 0.1, 10))
    wrong = {(seed + 1) % 10: value for seed, value in b.items()}
    assert width(compare_paired(a, wrong).difference) > 4 * width(compare_paired(a, b).difference)


def test_student_keeps_its_level_with_five_seeds_and_the_bootstrap_does_not() -> None:
    held = {"t": 0, "bca": 0}
    for trial in range(300):
        a = by_seed(rng(trial).normal(size=5))
        for method in held:
            found = compare_paired(a, by_seed(np.zeros(5)), method=method, rng=rng(trial))  # type: ignore[arg-type]
            held[method] += covers(found.difference, 0.0)
    assert 0.915 <= held["t"] / 300 <= 0.985
    assert held["bca"] / 300 < 0.90


def test_welch_keeps_its_level_with_unequal_spreads() -> None:
    held = sum(
        covers(compare_unpaired(rng(k).normal(0, 1, 12), rng(9000 + k).normal(0, 5, 5)).difference, 0.0)
        for k in range(1000)
    )
    assert 0.92 <= held / 1000 <= 0.97  # with a pooled spread it would be about 0.82


def test_bootstrap_of_two_groups_agrees_with_welch_where_there_are_many() -> None:
    a, b = rng(1).normal(2, 1, 150), rng(2).normal(0, 3, 200)
    boot, welch = compare_unpaired(a, b, method="bca", rng=rng()), compare_unpaired(a, b)
    assert boot.difference.method == "bca"
    assert boot.difference.low == pytest.approx(welch.difference.low, abs=0.05)
    assert boot.difference.high == pytest.approx(welch.difference.high, abs=0.05)


def test_bootstrap_of_two_groups_falls_back_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = rng(1).normal(2, 1, 30), rng(2).normal(0, 1, 30)
    expected = compare_unpaired(a, b, method="bca", rng=rng()).difference
    monkeypatch.setattr("bench.stats.paired.bca", lambda *args: None)
    found = compare_unpaired(a, b, method="bca", rng=rng()).difference
    assert found.method == "percentile"
    assert "BCa" in found.note
    assert found.low == pytest.approx(expected.low, abs=0.05)
    assert found.high == pytest.approx(expected.high, abs=0.05)


@pytest.mark.parametrize("method", ["t", "bca"])
def test_no_spread_no_effect(method: str) -> None:
    # 0.1 + 0.2 k and 0.2 k differ by 0.1 up to rounding only.
    b = {seed: 0.2 * seed for seed in range(8)}
    a = {seed: value + 0.1 for seed, value in b.items()}
    assert len({a[seed] - b[seed] for seed in b}) > 1
    found = compare_paired(a, b, method=method, rng=rng())  # type: ignore[arg-type]
    assert (found.effect, found.sd, found.difference.method) == (None, 0.0, "point")
    assert found.difference.low == found.difference.high == pytest.approx(0.1)
    flat = compare_unpaired([2.0] * 6, [1.5] * 6, method=method, rng=rng())  # type: ignore[arg-type]
    assert (flat.effect, flat.difference.low, flat.difference.high) == (None, 0.5, 0.5)


def test_one_constant_group_still_has_an_effect() -> None:
    found = compare_unpaired([1.0] * 5, [0.0, 0.1, 0.2, 0.1, 0.0])
    assert found.effect is not None
    assert width(found.difference) > 0


def test_too_few_values() -> None:
    one = compare_paired({1: 2.0}, {1: 1.0})
    assert (one.difference.estimate, one.difference.low, one.effect) == (1.0, None, None)
    assert math.isnan(one.sd)
    two = compare_paired({1: 2.0, 2: 5.0}, {1: 1.0, 2: 1.0})
    assert two.effect is None  # one degree of freedom: the correction is zero
    assert two.difference.high == pytest.approx(2.5 + 12.706204736174698 * math.sqrt(4.5 / 2))
    assert compare_paired({1: 2.0, 2: 5.0}, {1: 1.0, 2: 1.0}, method="bca", rng=rng()).difference.low is None
    assert compare_unpaired([1.0], [1.0, 2.0]).difference.low is None
    assert compare_unpaired([1.0, 2.0], [1.0, 4.0], method="bca", rng=rng()).difference.method == "none"


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="no seed in common"):
        compare_paired({1: 1.0}, {2: 1.0})
    with pytest.raises(ValueError, match="finite"):
        compare_paired({1: math.nan}, {1: 1.0})
    with pytest.raises(ValueError, match="empty"):
        compare_unpaired([], [1.0])
    with pytest.raises(ValueError, match="generator"):
        compare_paired(by_seed([1.0, 2.0, 4.0]), by_seed([0.0, 0.0, 0.0]), method="bca")
    with pytest.raises(ValueError, match="generator"):
        compare_unpaired([1.0, 2.0, 4.0], [0.0, 0.0, 1.0], method="bca")


# By simulation, so that nothing rests on the noncentral distribution.
@pytest.mark.parametrize(("n", "paired"), [(5, True), (10, True), (5, False), (10, False)])
def test_smallest_detectable_is_found_with_its_power(n: int, paired: bool) -> None:
    found = smallest_detectable(2.0, n, paired=paired)
    assert found.raw == 2.0 * found.standardised
    x = rng(n).normal(found.raw, 2.0, (20_000, n))
    y = rng(n + 100).normal(0.0, 2.0, (20_000, n))
    p = stats.ttest_1samp(x, 0.0, axis=1).pvalue if paired else stats.ttest_ind(x, y, axis=1).pvalue
    assert np.mean(p <= 0.05) == pytest.approx(0.8, abs=0.012)  # four standard errors


def test_smallest_detectable_with_many_seeds_is_the_normal_one() -> None:
    z = stats.norm.ppf(0.975) + stats.norm.ppf(0.8)
    assert smallest_detectable(1.0, 5000, paired=True).raw == pytest.approx(z / math.sqrt(5000), rel=1e-3)
    assert smallest_detectable(1.0, 5000, paired=False).raw == pytest.approx(z * math.sqrt(2 / 5000), rel=1e-3)


def test_more_seeds_less_power_and_laxer_level_see_less() -> None:
    by_n = [smallest_detectable(1.0, n, paired=True).standardised for n in (2, 3, 5, 10, 30)]
    assert by_n == sorted(by_n, reverse=True)
    base = smallest_detectable(1.0, 10, paired=True).standardised
    assert smallest_detectable(1.0, 10, paired=True, power=0.5).standardised < base
    assert smallest_detectable(1.0, 10, paired=True, alpha=0.2).standardised < base
    assert smallest_detectable(1.0, 10, paired=False).standardised > base


@pytest.mark.parametrize(
    ("raw", "words"),
    [(0.05, "0.050"), (0.0501, "0.051"), (1.234, "1.3"), (2.0, "2.0"), (123.0, "130"), (0.0999, "0.100")],
)
def test_the_line_rounds_up(raw: float, words: str) -> None:
    line = detectable_line(Detectable(1.0, raw, raw, 10, True, 0.8, 0.05))
    assert line == f"with n = 10 seeds a difference of {words} would have been seen with 80 % probability"


def test_the_line_of_two_groups_and_of_no_spread() -> None:
    assert detectable_line(smallest_detectable(0.1, 7, paired=False)).startswith("with n = 7 seeds each a difference")
    assert "nothing is known" in detectable_line(smallest_detectable(0.0, 7, paired=True))


@pytest.mark.parametrize(
    ("sd", "n", "power", "alpha"),
    [(-1.0, 5, 0.8, 0.05), (math.nan, 5, 0.8, 0.05), (1.0, 1, 0.8, 0.05), (1.0, 5, 1.0, 0.05), (1.0, 5, 0.04, 0.05)],
)
def test_bad_power_questions(sd: float, n: int, power: float, alpha: float) -> None:
    with pytest.raises(ValueError, match="needs"):
        smallest_detectable(sd, n, paired=True, power=power, alpha=alpha)
