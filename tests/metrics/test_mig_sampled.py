import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

from bench.metrics import mig, mig_sampled
from bench.metrics._quadrature import Labels
from helpers.factors import grid, standardised
from helpers.rng import rng

SIZES = (3, 4, 5)


FACTORS = grid(SIZES)
PERFECT = standardised(FACTORS)


def log_of(sigma: float) -> np.ndarray:
    return np.full(PERFECT.shape, 2 * np.log(sigma))


def information(means: np.ndarray, sigma: float) -> float:
    """I(z; v) of z ~ N(means[v], sigma**2) with v uniform, integrated by QUADPACK."""

    def integrand(z: float) -> float:
        density = norm.pdf(z, means, sigma).mean()
        return -density * np.log(density) if density > 0 else 0.0

    places = np.sort(means)
    whole, _ = quad(integrand, places[0] - 9 * sigma, places[-1] + 9 * sigma, points=places, limit=500)
    return whole - norm.entropy(0, sigma)


@pytest.mark.parametrize("sigma", [0.05, 0.3, 1.0, 3.0])
def test_equals_the_integral(sigma):
    result = mig_sampled(PERFECT, log_of(sigma), FACTORS, rng=rng())
    expected = np.array([information(np.unique(PERFECT[:, k]), sigma) for k in range(3)])
    np.testing.assert_allclose(np.diag(result["mutual_information"]), expected, atol=1e-6)
    off = np.array(result["mutual_information"]) - np.diag(np.diag(result["mutual_information"]))
    assert np.abs(off).max() < 1e-9
    assert result["mig_sampled"] == pytest.approx(np.mean(expected / np.log(SIZES)), abs=1e-6)
    assert result["widened"] == 0


def test_narrow_posteriors_reach_one():
    result = mig_sampled(PERFECT, log_of(1e-6), FACTORS, rng=rng())
    assert result["mig_sampled"] == pytest.approx(1, abs=1e-6)
    assert result["widened"] == 0
    means = mig_sampled(PERFECT, log_of(0.02), FACTORS, rng=rng())
    assert means["mig_sampled"] == pytest.approx(1, abs=1e-6)


def test_gaussian_code_of_a_gaussian_factor_has_the_channels_capacity():
    # Many values at the quantiles of a normal law, five rows each: I = log(1 + signal / noise) / 2 in the limit.
    values = norm.ppf((np.arange(400) + 0.5) / 400)
    rows = np.arange(2000) % 400
    result = mig_sampled(values[rows][:, None], np.full((2000, 1), np.log(0.25)), rows[:, None], rng=rng())
    assert result["mutual_information"][0][0] == pytest.approx(np.log(1 + values.var() / 0.25) / 2, abs=5e-3)
    assert result["mig_sampled"] == pytest.approx(np.log(5) / 2 / np.log(400), abs=5e-3)


def test_noise_of_the_posterior_counts():
    loud, quiet = (mig_sampled(PERFECT, log_of(s), FACTORS, rng=rng())["mig_sampled"] for s in (1.0, 0.2))
    assert loud < 0.5 < quiet
    assert mig(PERFECT, FACTORS, rng=rng())["mig"] == pytest.approx(1)
    # Negative controls: half the log-variance, as when it is taken for a log standard deviation, and its double.
    for factor in (0.5, 2.0):
        wrong = mig_sampled(PERFECT, factor * log_of(0.5), FACTORS, rng=rng())["mig_sampled"]
        assert abs(wrong - mig_sampled(PERFECT, log_of(0.5), FACTORS, rng=rng())["mig_sampled"]) > 0.05


def test_reshaping_where_a_transpose_is_meant_destroys_the_score():
    right = mig_sampled(PERFECT, log_of(0.3), FACTORS, rng=rng())["mig_sampled"]
    wrong = mig_sampled(PERFECT.T.reshape(PERFECT.shape), log_of(0.3), FACTORS, rng=rng())["mig_sampled"]
    assert right > 0.65
    assert wrong < 0.3


def test_agrees_with_the_sampling_estimator_of_the_paper():
    draw = rng(1)
    codes = PERFECT @ draw.normal(size=(3, 2))
    sigma = np.exp(draw.normal(size=codes.shape) * 0.3 - 1)
    result = mig_sampled(codes, 2 * np.log(sigma), FACTORS, rng=rng())

    def estimate(rows: np.ndarray, j: int, n: int = 4000) -> float:
        pick = draw.choice(rows, n)
        z = codes[pick, j] + sigma[pick, j] * draw.normal(size=n)
        return -np.log(norm.pdf(z[:, None], codes[rows, j], sigma[rows, j]).mean(axis=1)).mean()

    every = np.arange(len(FACTORS))
    for j in range(2):
        assert result["entropy_per_latent"][j] == pytest.approx(estimate(every, j), abs=0.05)
        for k in range(3):
            within = np.mean([estimate(np.flatnonzero(FACTORS[:, k] == v), j) for v in range(SIZES[k])])
            assert result["mutual_information"][j][k] == pytest.approx(estimate(every, j) - within, abs=0.06)


def test_identities():
    doubled = mig_sampled(np.hstack([PERFECT] * 2), np.hstack([log_of(0.2)] * 2), FACTORS, rng=rng())
    assert doubled["mig_sampled"] == 0
    turn = np.linalg.qr(rng(5).normal(size=(3, 3)))[0]
    assert mig_sampled(PERFECT @ turn, log_of(0.1), FACTORS, rng=rng())["mig_sampled"] < 0.5
    collapsed = mig_sampled(0 * PERFECT, log_of(1.0), FACTORS, rng=rng())
    assert (collapsed["mig_sampled"], collapsed["n_active"]) == (pytest.approx(0, abs=1e-12), 0)
    np.testing.assert_allclose(collapsed["entropy_per_latent"], norm.entropy(), atol=1e-9)
    padded = mig_sampled(np.insert(PERFECT, 1, 4.0, axis=1), np.insert(log_of(0.2), 1, 0.0, axis=1), FACTORS, rng=rng())
    assert padded["mig_sampled"] == pytest.approx(mig_sampled(PERFECT, log_of(0.2), FACTORS, rng=rng())["mig_sampled"])
    assert padded["n_active"] == 3


def test_factors_can_be_left_out():
    lv = log_of(0.3)
    every = mig_sampled(PERFECT, lv, FACTORS, rng=rng())
    part = mig_sampled(PERFECT, lv, FACTORS, exclude=(0,), rng=rng())
    assert part["mig_per_factor"][0] is None
    assert part["mig_per_factor"][1:] == pytest.approx(every["mig_per_factor"][1:], abs=1e-9)
    assert part["mig_sampled"] == pytest.approx(np.mean(every["mig_per_factor"][1:]))
    assert part["factors_left_out"] == [0]
    constant = mig_sampled(PERFECT, lv, np.insert(FACTORS, 1, 7, axis=1), exclude=(0,), rng=rng())
    assert constant["factors_left_out"] == [0, 1]
    assert constant["mig_sampled"] == pytest.approx(part["mig_sampled"])


def test_uneven_factor_weighs_its_values_by_rows():
    factors = np.array([[0], [0], [0], [1]])
    codes = np.array([[-3.0], [-2], [-1], [1]])  # the common value is spread, the rare one isn't
    result = mig_sampled(codes, np.full((4, 1), -6.0), factors, rng=rng())
    expected = -0.75 * np.log(0.75) - 0.25 * np.log(0.25)
    assert result["mutual_information"][0][0] == pytest.approx(expected, abs=1e-6)
    assert result["mig_sampled"] == pytest.approx(1, abs=1e-6)


def test_averages_over_values_are_those_of_a_loop():
    factors, table = rng(1).integers(3, size=(1300, 2)), rng(2).random((1300, 7))
    whole, parts = Labels(factors).mixtures(lambda part: table[part])
    np.testing.assert_allclose(whole, table.mean(axis=0), atol=1e-12)
    expected = [table[factors[:, k] == v].mean(axis=0) for k in range(2) for v in range(3)]
    np.testing.assert_allclose(parts, expected, atol=1e-12)


def test_constant_latent_without_noise_has_no_information():
    codes, lv = np.insert(PERFECT, 0, 0.1, axis=1), np.insert(log_of(0.2), 0, -900.0, axis=1)
    result = mig_sampled(codes, lv, FACTORS, rng=rng())
    assert result["n_active"] == 3
    assert np.max(result["mutual_information"][0]) == pytest.approx(0, abs=1e-9)


def test_samples_rows_when_asked():
    result = mig_sampled(PERFECT, log_of(0.3), FACTORS, n_samples=40, rng=rng())
    assert result["n_samples"] == 40
    assert result == mig_sampled(PERFECT, log_of(0.3), FACTORS, n_samples=40, rng=rng())
    json.dumps(result, allow_nan=False)


@pytest.mark.parametrize(
    ("codes", "logvar", "factors", "options", "message"),
    [
        (np.full((4, 2), np.nan), np.zeros((4, 2)), grid((2, 2)), {}, "NaN"),
        (np.zeros((4, 2)), np.full((4, 2), np.nan), grid((2, 2)), {}, "logvar"),
        (np.zeros((4, 2)), np.zeros((2, 4)), grid((2, 2)), {}, "shape"),
        (np.zeros((4, 2)), np.full((4, 2), -2000.0), grid((2, 2)), {}, "between"),
        (np.zeros(4), np.zeros(4), grid((2, 2)), {}, "shape"),
        (np.zeros((4, 2)), np.zeros((4, 2)), np.zeros((4, 2), dtype=int), {}, "at least two values"),
        (np.zeros((1, 2)), np.zeros((1, 2)), np.zeros((1, 2), dtype=int), {}, "at least two values"),
        (np.zeros((4, 2)), np.zeros((4, 2)), grid((2, 2)), {"exclude": (0, 1)}, "at least two values"),
        (np.zeros((4, 2)), np.zeros((4, 2)), grid((2, 2)), {"exclude": (2,)}, "exclude"),
        (np.zeros((4, 2)), np.zeros((4, 2)), grid((2, 2)), {"n_draws": 3}, "n_draws"),
    ],
)
def test_refuses(codes, logvar, factors, options, message):
    with pytest.raises(ValueError, match=message):
        mig_sampled(codes, logvar, factors, rng=rng(), **options)


@settings(deadline=None, max_examples=15)
@given(key=st.integers(0, 2**32), scale=st.sampled_from([-1.0, 0.01, 30.0]))
def test_is_bounded_and_ignores_order_scale_and_names(key, scale):
    draw = rng(key)
    codes, logvar, factors = draw.normal(size=(40, 3)), draw.normal(size=(40, 3)), draw.integers(3, size=(40, 2))
    score = mig_sampled(codes, logvar, factors, rng=rng())["mig_sampled"]
    assert 0 <= score <= 1
    renamed = draw.permutation(3)[factors] * 3 - 7
    changed = mig_sampled(codes[:, ::-1] * scale, logvar[:, ::-1] + 2 * np.log(abs(scale)), renamed, rng=rng())
    assert changed["mig_sampled"] == pytest.approx(score, abs=1e-7)
