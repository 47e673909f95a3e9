from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import ndtr, ndtri

from bench.stats import MIN_SEEDS, Summary, paired_difference, stands_above, summary
from helpers.rng import rng


def textbook_bca(x: np.ndarray, generator: np.random.Generator, n: int = 200_000) -> tuple[float, float]:
    """Efron (1987) written out, as an independent reference."""
    means = x[generator.integers(0, x.size, (n, x.size))].mean(axis=1)
    below = (np.count_nonzero(means < x.mean()) + np.count_nonzero(means <= x.mean())) / (2 * n)
    z0 = ndtri(below)
    jackknife = np.array([np.delete(x, i).mean() for i in range(x.size)])
    d = jackknife.mean() - jackknife
    a = (d**3).sum() / (6 * (d**2).sum() ** 1.5)
    level = [ndtr(z0 + (z0 + z) / (1 - a * (z0 + z))) for z in (ndtri(0.025), ndtri(0.975))]
    low, high = np.quantile(means, level)
    return float(low), float(high)


def test_moments_by_hand() -> None:
    result = summary([1.0, 2.0, 3.0, 6.0], rng=rng())
    assert (result.n, result.mean, result.median) == (4, 3.0, 2.5)
    assert result.sd == pytest.approx(math.sqrt(14 / 3))


def test_bca_agrees_with_the_textbook() -> None:
    x = np.array([0.1, 0.12, 0.15, 0.2, 0.22, 0.3, 0.35, 0.5, 0.9, 1.6])  # skewed: the percentile interval is off
    result = summary(x, rng=rng(1))
    low, high = textbook_bca(x, rng(2))
    assert result.interval == "bca"
    assert result.low == pytest.approx(low, abs=0.01)
    assert result.high == pytest.approx(high, abs=0.03)
    means = x[rng(3).integers(0, 10, (50_000, 10))].mean(axis=1)
    assert result.high > np.quantile(means, 0.975) + 0.05


def test_interval_of_normal_values_is_near_students() -> None:
    x = rng(4).normal(3.0, 2.0, 200)
    result = summary(x, rng=rng(5))
    half = 1.96 * x.std(ddof=1) / math.sqrt(200)
    assert result.low == pytest.approx(x.mean() - half, abs=0.06)
    assert result.high == pytest.approx(x.mean() + half, abs=0.06)


def test_coverage() -> None:
    # The bootstrap is known to be a little short of its level: about 93 % at n = 20.
    held = 0
    for trial in range(200):
        result = summary(rng(trial).normal(size=20), rng=rng(10_000 + trial))
        held += result.low <= 0 <= result.high
    assert 0.87 <= held / 200 <= 0.98


def test_same_generator_same_interval() -> None:
    x = rng(6).normal(size=10)
    assert summary(x, rng=rng(7)) == summary(x, rng=rng(7))
    assert summary(x, rng=rng(7)) != summary(x, rng=rng(8))


def test_higher_confidence_is_wider() -> None:
    x = rng(9).normal(size=12)
    narrow, wide = summary(x, rng=rng(), confidence=0.5), summary(x, rng=rng(), confidence=0.99)
    assert wide.low < narrow.low < narrow.high < wide.high


@pytest.mark.parametrize("value", [0.0, 0.1, 1e300])
def test_equal_values_give_a_point_and_say_so(value: float) -> None:
    result = summary([value] * 7, rng=rng())
    assert result.interval == "percentile"
    assert result.sd == 0
    assert result.low == result.mean == result.high == pytest.approx(value)


def test_percentile_where_bca_is_degenerate(monkeypatch: pytest.MonkeyPatch) -> None:
    x = rng(1).normal(size=30)
    expected = summary(x, rng=rng())
    monkeypatch.setattr("bench.stats.summaries.bca", lambda *args: None)
    result = summary(x, rng=rng(3))
    assert result.interval == "percentile"
    # The sample is nearly symmetric, so both kinds of interval must be close.
    assert result.low == pytest.approx(expected.low, abs=0.05)
    assert result.high == pytest.approx(expected.high, abs=0.05)


def test_values_that_differ_by_rounding_only() -> None:
    result = summary([1.0, 1.0, 1.0, 1.0, 1.0 + 2e-16], rng=rng())
    assert result.low is not None
    assert result.high is not None
    assert result.low <= result.high


def test_fewer_than_two_values() -> None:
    none, one = summary([], rng=rng()), summary([4.0], rng=rng())
    assert (none.n, none.low, none.high, none.interval) == (0, None, None, "none")
    assert math.isnan(none.mean)
    assert (one.n, one.mean, one.low, one.high, one.interval) == (1, 4.0, None, None, "none")
    assert math.isnan(one.sd)


@pytest.mark.parametrize("values", [[1.0, float("nan")], [float("inf")], [[1.0, 2.0]], 3.0])
def test_bad_values(values: object) -> None:
    with pytest.raises(ValueError, match="finite"):
        summary(values, rng=rng())  # type: ignore[arg-type]


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95.0])
def test_bad_confidence(confidence: float) -> None:
    with pytest.raises(ValueError, match="confidence"):
        summary([1.0, 2.0], rng=rng(), confidence=confidence)


def test_pairing_removes_what_the_seed_adds_to_both() -> None:
    seed_effect = {seed: float(v) for seed, v in enumerate(rng(1).normal(0, 10, 12))}
    a = {seed: v + 1.0 + 0.01 * seed for seed, v in seed_effect.items()}
    b = {**seed_effect, 99: 1e9}  # a seed that only one has is left out
    result = paired_difference(a, b, rng=rng())
    assert result.n == 12
    assert result.mean == pytest.approx(1.055)
    assert 1.0 <= result.low < result.high <= 1.11


def test_pairing_needs_common_seeds() -> None:
    with pytest.raises(ValueError, match="no seed in common"):
        paired_difference({1: 1.0}, {2: 1.0}, rng=rng())


def interval(low: float, high: float, n: int = MIN_SEEDS) -> Summary:
    return Summary(n, (low + high) / 2, 1.0, (low + high) / 2, low, high, "bca")


@pytest.mark.parametrize(
    ("best", "others", "higher", "expected"),
    [
        (interval(5, 6), [interval(3, 4), interval(1, 2)], True, True),
        (interval(5, 6), [interval(3, 5), interval(1, 2)], True, False),  # touching is not apart
        (interval(5, 6), [interval(3, 4), interval(0, 5.5)], True, False),  # a third one reaches up
        (interval(1, 2), [interval(3, 4)], False, True),
        (interval(1, 2), [interval(1.5, 4)], False, False),
        (interval(5, 6), [interval(7, 8)], True, False),  # apart, but on the wrong side
        (interval(5, 6), [interval(3, 4, n=MIN_SEEDS - 1)], True, False),
        (interval(5, 6, n=MIN_SEEDS - 1), [interval(3, 4)], True, False),
        (interval(5, 6), [], True, False),
        (
            interval(5, 6),
            [interval(3, 4), Summary(0, math.nan, math.nan, math.nan, None, None, "none")],
            True,
            True,
        ),
    ],
)
def test_stands_above(best: Summary, others: list[Summary], higher: bool, expected: bool) -> None:
    assert stands_above(best, others, higher_is_better=higher) is expected
