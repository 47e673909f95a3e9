from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from bench.stats import STATISTICS, Interval, bootstrap_interval, iqm, spearman, spearman_matrix, summary
from helpers.rng import rng


def covers(interval: Interval, truth: float) -> bool:
    assert interval.low is not None
    assert interval.high is not None
    return interval.low <= truth <= interval.high


def test_iqm_by_hand() -> None:
    assert iqm([5.0, 0.0, 2.0, 100.0]) == 3.5
    assert iqm([9.0, 1.0, 2.0, 3.0, -50.0]) == 2.0  # floor(5 / 4) = 1 at each end
    assert iqm(np.arange(10.0) ** 2) == np.mean([4, 9, 16, 25, 36, 49])
    assert iqm([1.0, 2.0, 6.0]) == 3.0  # too few to cut


def test_iqm_is_scipys_trimmed_mean_along_any_axis() -> None:
    x = rng().normal(size=(7, 3, 11))
    for axis in (0, 1, -1, None):
        np.testing.assert_allclose(iqm(x, axis=axis), stats.trim_mean(x, 0.25, axis=axis), rtol=1e-12)


def test_iqm_ignores_what_becomes_of_the_worst_run() -> None:
    x = rng(1).normal(size=10)
    collapsed = np.where(x == x.min(), -1e6, x)
    assert iqm(collapsed) == iqm(x)
    assert collapsed.mean() != pytest.approx(x.mean(), abs=1.0)


def test_statistics_work_along_an_axis() -> None:
    x = rng().normal(size=(3, 4, 9))
    for function in STATISTICS.values():
        whole = function(x, axis=-1)
        assert whole.shape == (3, 4)
        assert whole[2, 1] == pytest.approx(function(x[2, 1], axis=-1), rel=1e-12)


def test_estimates_are_those_of_the_sample() -> None:
    x = np.array([1.0, 2.0, 3.0, 6.0, 18.0])
    found = {name: bootstrap_interval(x, name, rng=rng(), n_resamples=99).estimate for name in STATISTICS}
    assert found["mean"] == 6.0
    assert found["median"] == 3.0
    assert found["iqm"] == pytest.approx(11 / 3)
    assert found["sd"] == pytest.approx(math.sqrt((25 + 16 + 9 + 0 + 144) / 4))


def test_mean_agrees_with_the_summary_of_the_tables() -> None:
    x = rng(3).exponential(size=9)
    found, table = bootstrap_interval(x, rng=rng(4)), summary(x, rng=rng(4))
    assert (found.low, found.high, found.method) == (table.low, table.high, table.interval)


@pytest.mark.parametrize("name", ["mean", "sd", "median", "iqm"])
def test_percentile_bounds_are_quantiles_of_resamples(name: str) -> None:
    x = rng(5).exponential(size=12)
    found = bootstrap_interval(x, name, rng=rng(6), method="percentile")  # type: ignore[arg-type]
    written_out = {
        "mean": lambda v: v.sum() / v.size,
        "sd": lambda v: math.sqrt(((v - v.mean()) ** 2).sum() / 11),
        "median": lambda v: (np.sort(v)[5] + np.sort(v)[6]) / 2,
        "iqm": lambda v: np.sort(v)[3:9].mean(),
    }[name]
    generator = rng(7)
    resampled = [written_out(generator.choice(x, 12)) for _ in range(9999)]
    assert found.method == "percentile"
    assert [found.low, found.high] == pytest.approx(np.quantile(resampled, [0.025, 0.975]), abs=0.06)


# 400 samples of a normal distribution; three standard errors of a share near 0.9 are 0.045. The bootstrap is known to
# stay below its level with few values, and far below for the standard deviation: the bounds enclose what 2,000
# samples gave (0.84 to 0.95) and exclude a one-sided or a 90 % interval at n = 20.
@pytest.mark.parametrize(
    ("name", "method", "n", "least", "most"),
    [
        ("mean", "bca", 5, 0.78, 0.90),
        ("mean", "bca", 20, 0.89, 0.97),
        ("mean", "percentile", 20, 0.89, 0.97),
        ("iqm", "percentile", 10, 0.88, 0.98),
        ("median", "bca", 10, 0.88, 0.98),
    ],
)
def test_coverage(name: str, method: str, n: int, least: float, most: float) -> None:
    held = [
        covers(
            bootstrap_interval(
                rng(trial).normal(size=n),
                name,  # type: ignore[arg-type]
                rng=rng(10_000 + trial),
                method=method,  # type: ignore[arg-type]
                n_resamples=499,
            ),
            0.0,
        )
        for trial in range(400)
    ]
    assert least <= np.mean(held) <= most


def test_bca_covers_a_spread_better_than_percentiles_do() -> None:
    held = {"bca": 0, "percentile": 0}
    for trial in range(300):
        x = rng(trial).normal(size=20)
        for method in held:
            found = bootstrap_interval(x, "sd", rng=rng(trial), method=method, n_resamples=499)  # type: ignore[arg-type]
            held[method] += covers(found, 1.0)
    assert held["bca"] > held["percentile"] + 6
    assert held["bca"] / 300 > 0.83


@pytest.mark.parametrize("name", ["mean", "sd", "median", "iqm"])
@pytest.mark.parametrize("value", [0.0, 0.1, -1e300])
def test_equal_values_give_a_point(name: str, value: float) -> None:
    found = bootstrap_interval([value] * 7, name, rng=rng())  # type: ignore[arg-type]
    expected = 0.0 if name == "sd" else value
    assert (found.estimate, found.low, found.high) == (expected, expected, expected)
    assert found.method == "point"
    assert "equal" in found.note


@pytest.mark.parametrize("name", ["mean", "sd", "median", "iqm"])
@pytest.mark.parametrize("values", [[], [2.0], [2.0, 4.0]])
def test_below_three_values_there_is_no_interval(name: str, values: list[float]) -> None:
    found = bootstrap_interval(values, name, rng=rng())  # type: ignore[arg-type]
    assert (found.n, found.low, found.high, found.method) == (len(values), None, None, "none")
    expected = {"sd": [math.nan, math.nan, math.sqrt(2)]}.get(name, [math.nan, 2.0, 3.0])[len(values)]
    assert found.estimate == pytest.approx(expected, nan_ok=True)


def test_bca_that_is_undefined_falls_back_and_says_so() -> None:
    # Leaving any one out changes nothing in the median, so its acceleration is 0 / 0.
    x = [0.0, 1.0, 1.0, 1.0, 1.0, 2.0]
    found = bootstrap_interval(x, "median", rng=rng(1))
    assert found.method == "percentile"
    assert "BCa" in found.note
    assert found.low is not None
    assert found.high is not None
    assert found.low <= 1.0 <= found.high


@settings(deadline=None, max_examples=25)
@given(
    x=arrays(np.float64, st.integers(3, 12), elements=st.integers(-50, 50).map(float)),
    shift=st.integers(-1000, 1000),
    name=st.sampled_from(["mean", "sd", "median", "iqm"]),
)
def test_shift_and_scale_carry_over(x: np.ndarray, shift: int, name: str) -> None:
    def found(values: np.ndarray) -> Interval:
        return bootstrap_interval(values, name, rng=rng(9), method="percentile", n_resamples=199)  # type: ignore[arg-type]

    plain, moved, scaled = found(x), found(x + shift), found(x * 4)
    offset = 0 if name == "sd" else shift
    for part in ("estimate", "low", "high"):
        value = getattr(plain, part)
        assert getattr(moved, part) == pytest.approx(value + offset, abs=1e-9)
        assert getattr(scaled, part) == pytest.approx(4 * value, abs=1e-9)


@pytest.mark.parametrize("bad", [{"statistic": "mode"}, {"method": "basic"}, {"confidence": 95.0}])
def test_what_it_does_not_know(bad: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"unknown|confidence"):
        bootstrap_interval([1.0, 2.0, 3.0], rng=rng(), **bad)  # type: ignore[arg-type]


def test_spearman_agrees_with_bonetts_own_example() -> None:
    # https://dgbonett.github.io/statpsych/reference/ci.spear.html
    y = [21, 4, 9, 12, 35, 18, 10, 22, 24, 1, 6, 8, 13, 16, 19]
    x = [67, 28, 30, 28, 52, 40, 25, 37, 44, 10, 14, 20, 28, 40, 51]
    found = spearman(y, x)
    assert found.estimate == pytest.approx(0.8699639, abs=1e-7)
    assert found.low == pytest.approx(0.5840951, abs=1e-6)
    assert found.high == pytest.approx(0.9638297, abs=1e-6)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(-4, 4), st.integers(-4, 4)), min_size=4, max_size=30))
def test_spearman_agrees_with_scipy(pairs: list[tuple[int, int]]) -> None:
    x, y = (np.array(column, dtype=float) for column in zip(*pairs, strict=True))
    found = spearman(x, y)
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        assert math.isnan(found.estimate)
        return
    assert found.estimate == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)
    assert spearman(-x, y).estimate == -found.estimate
    assert spearman(np.exp(x), y) == found  # ranks alone count
    if found.low is not None:
        assert -1 < found.low < found.estimate < found.high < 1


def test_spearman_coverage_at_a_known_correlation() -> None:
    # For a normal pair with correlation r Spearman's is 6 / π arcsin(r / 2).
    r, held = 0.6, 0
    truth = 6 / math.pi * math.asin(r / 2)
    for trial in range(400):
        z = rng(trial).multivariate_normal([0, 0], [[1, r], [r, 1]], 20)
        held += covers(spearman(z[:, 0], z[:, 1]), truth)
    assert 0.92 <= held / 400 <= 0.98


@pytest.mark.parametrize(
    ("x", "y", "estimate"),
    [
        ([1.0, 2.0, 3.0, 4.0, 5.0], [2.0, 4.0, 8.0, 16.0, 32.0], 1.0),
        ([1.0, 2.0, 3.0, 4.0, 5.0], [5.0, 4.0, 3.0, 2.0, 1.0], -1.0),
        ([1.0, 2.0, 3.0], [1.0, 3.0, 2.0], 0.5),
        ([1.0, 2.0, 3.0, 4.0], [7.0, 7.0, 7.0, 7.0], math.nan),
        ([], [], math.nan),
    ],
)
def test_spearman_without_an_interval(x: list[float], y: list[float], estimate: float) -> None:
    found = spearman(x, y)
    assert (found.low, found.high, found.method) == (None, None, "none")
    assert found.estimate == pytest.approx(estimate, nan_ok=True)
    assert found.note


def test_spearman_matrix_uses_the_rows_both_have() -> None:
    table = rng(2).normal(size=(20, 3))
    table[:4, 2] = np.nan
    table = np.column_stack([table, np.ones(20)])
    found = spearman_matrix(table)
    assert found.n[0, 1] == 20
    assert found.n[0, 2] == found.n[2, 1] == found.n[2, 2] == 16
    one = spearman(table[4:, 0], table[4:, 2])
    assert (found.rho[2, 0], found.low[0, 2], found.high[0, 2]) == (one.estimate, one.low, one.high)
    np.testing.assert_array_equal(found.rho, found.rho.T)
    np.testing.assert_array_equal(np.diag(found.rho)[:3], 1.0)
    assert np.isnan(found.rho[3]).all()  # a constant column
    assert np.isnan(np.diag(found.low)).all()


@pytest.mark.parametrize("columns", [[1.0, 2.0], [[math.inf, 1.0]]])
def test_spearman_matrix_of_something_else(columns: object) -> None:
    with pytest.raises(ValueError, match="matrix"):
        spearman_matrix(columns)  # type: ignore[arg-type]


def test_spearman_needs_columns_of_one_length() -> None:
    with pytest.raises(ValueError, match="3 and 2"):
        spearman([1.0, 2.0, 3.0], [1.0, 2.0])
