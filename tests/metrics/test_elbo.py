import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from bench.metrics import elbo, kl
from bench.metrics.elbo import AT_BOUND, AT_BOUND_TC, draw, log_densities
from helpers.factors import grid
from helpers.rng import rng

PARTS = ("elbo_index_code_mi", "elbo_tc", "elbo_dimension_wise_kl")


def gaussian_channel(n: int, signal: float, copies: int = 1) -> np.ndarray:
    """Means whose law is close to N(0, signal**2)."""
    return np.repeat(signal * norm.ppf((np.arange(n) + 0.5) / n)[:, None], copies, axis=1)


def test_sums_to_the_analytic_kl():
    codes, logvar = rng(1).normal(size=(300, 4)), rng(2).normal(size=(300, 4)) - 1
    result = elbo(codes, logvar, rng=rng())
    assert sum(result[part] for part in PARTS) == pytest.approx(kl(codes, logvar)["kl"], abs=1e-9)
    assert result["kl"] == pytest.approx(kl(codes, logvar)["kl"], abs=1e-9)
    json.dumps(result, allow_nan=False)


@pytest.mark.parametrize("noise", [0.3, 0.8])
def test_gaussian_channel_has_its_closed_forms(noise):
    mean = gaussian_channel(1500, 1.2)
    result = elbo(mean, np.full(mean.shape, 2 * np.log(noise)), rng=rng())
    variance = mean.var() + noise**2
    assert result["elbo_tc"] == pytest.approx(0, abs=1e-12)
    assert result["elbo_index_code_mi"] == pytest.approx(np.log(variance / noise**2) / 2, abs=5e-3)
    assert result["elbo_dimension_wise_kl"] == pytest.approx((variance - 1 - np.log(variance)) / 2, abs=5e-3)
    # Negative control: the log-variance taken for a log standard deviation.
    wrong = elbo(mean, np.full(mean.shape, np.log(noise)), rng=rng())
    assert abs(wrong["elbo_index_code_mi"] - np.log(variance / noise**2) / 2) > 0.03


def test_two_codes_of_one_signal_have_the_total_correlation_of_a_gaussian():
    mean, noise = gaussian_channel(1500, 1.0, copies=2), 0.5
    sigma = np.full(mean.shape, noise)
    result = elbo(mean, 2 * np.log(sigma), n_samples=3000, rng=rng())
    rho = mean[:, 0].var() / (mean[:, 0].var() + noise**2)
    expected = -np.log(1 - rho**2) / 2
    assert result["elbo_tc"] == pytest.approx(expected, abs=4 * result["elbo_tc_error"])
    assert result["elbo_tc_error"] < 0.03
    # I(x; z) of two looks at one signal.
    information = np.log(1 + 2 * mean[:, 0].var() / noise**2) / 2
    assert result["elbo_index_code_mi"] == pytest.approx(information, abs=4 * result["elbo_tc_error"])
    # Negative control: the densities at the means instead of samples.
    joint, marginals = log_densities(mean, mean, sigma)
    assert abs((joint - marginals.sum(axis=1)).mean() - expected) > 0.1


def test_collapsed_model_has_exactly_nothing():
    result = elbo(np.zeros((500, 3)), np.zeros((500, 3)), rng=rng())
    assert [result[part] for part in PARTS] == pytest.approx([0, 0, 0], abs=1e-9)
    assert result["n_active"] == 0


def test_separate_posteriors_tell_the_row():
    codes = grid((4, 5)) * 3.0
    result = elbo(codes, np.full(codes.shape, -6.0), rng=rng())
    assert result["elbo_index_code_mi"] == pytest.approx(np.log(20), abs=1e-6)
    assert result["largest_information"] == pytest.approx(np.log(20))
    assert result["elbo_tc"] == pytest.approx(0, abs=1e-6)
    # The same rows along a diagonal are as separate, and dependent.
    line = np.repeat(np.arange(20.0)[:, None], 2, axis=1)
    diagonal = elbo(line, np.full(line.shape, -6.0), rng=rng())
    assert diagonal["elbo_tc"] == pytest.approx(np.log(20), abs=1e-6)
    assert diagonal["elbo_index_code_mi"] == pytest.approx(np.log(20), abs=1e-6)


def test_narrow_posteriors_are_integrated_and_their_information_is_marked_as_at_its_bound():
    codes = grid((4, 5)) * 3.0
    result = elbo(codes, np.full(codes.shape, -30.0), rng=rng())
    assert result["sampled_entropies"] == []
    assert result["elbo_index_code_mi"] == pytest.approx(np.log(20), abs=1e-6)
    assert result["marks"] == {"elbo_index_code_mi": [AT_BOUND], "elbo_tc": [AT_BOUND_TC]}
    wide = elbo(codes, np.full(codes.shape, 4.0), rng=rng())
    assert AT_BOUND not in wide.get("marks", {}).get("elbo_index_code_mi", [])


def test_log_densities_are_those_of_a_loop():
    draws = rng(3)
    mean, sigma, z = draws.normal(size=(50, 3)), np.exp(draws.normal(size=(50, 3))), draws.normal(size=(40, 3))
    joint, marginals = log_densities(z, mean, sigma)
    each = norm.pdf(z[:, None], mean, sigma)
    np.testing.assert_allclose(marginals, np.log(each.mean(axis=1)), atol=1e-12)
    np.testing.assert_allclose(joint, np.log(each.prod(axis=2).mean(axis=1)), atol=1e-12)


def test_every_row_is_sampled_before_any_twice():
    mean = np.arange(7.0)[:, None]
    z = draw(mean, np.full((7, 1), 1e-9), 16, rng())
    counts = np.bincount(np.rint(z[:, 0]).astype(int))
    assert (counts.min(), counts.max()) == (2, 3)


def test_reshaping_where_a_transpose_is_meant_changes_the_parts():
    codes = rng(4).permutation(gaussian_channel(300, 1.0, copies=2))
    lv = np.full(codes.shape, -2.0)
    right, wrong = elbo(codes, lv, rng=rng()), elbo(codes.T.reshape(codes.shape), lv, rng=rng())
    assert wrong["kl"] == pytest.approx(right["kl"])
    assert abs(wrong["elbo_tc"] - right["elbo_tc"]) > 0.05


def test_constant_latent_adds_nothing_but_its_own_kl():
    codes, lv = rng(1).normal(size=(200, 2)), rng(2).normal(size=(200, 2)) - 1
    plain = elbo(codes, lv, n_samples=200, rng=rng())
    padded = elbo(np.insert(codes, 2, 0.5, axis=1), np.insert(lv, 2, 0.0, axis=1), n_samples=200, rng=rng())
    assert padded["elbo_dimension_wise_kl"] == pytest.approx(plain["elbo_dimension_wise_kl"] + 0.125, abs=1e-6)
    assert padded["elbo_tc"] == pytest.approx(plain["elbo_tc"], abs=6 * plain["elbo_tc_error"])


def test_rows_can_be_drawn_and_one_row_has_no_information():
    codes = rng(1).normal(size=(100, 2))
    assert elbo(codes, codes, n_rows=30, rng=rng())["n_rows"] == 30
    single = elbo([[1.0, 0.0]], [[0.0, 0.0]], rng=rng())
    assert [single[part] for part in PARTS] == pytest.approx([0, 0, 0.5], abs=1e-9)


@pytest.mark.parametrize(
    ("codes", "logvar", "options", "message"),
    [
        (np.full((4, 2), np.nan), np.zeros((4, 2)), {}, "NaN"),
        (np.zeros((4, 2)), np.full((4, 2), np.nan), {}, "logvar"),
        (np.zeros((4, 2)), np.zeros((2, 4)), {}, "shape"),
        (np.zeros(4), np.zeros(4), {}, "shape"),
        (np.zeros((4, 2)), np.zeros((4, 2)), {"n_samples": 1}, "n_samples"),
    ],
)
def test_refuses(codes, logvar, options, message):
    with pytest.raises(ValueError, match=message):
        elbo(codes, logvar, rng=rng(), **options)


@settings(deadline=None, max_examples=10)
@given(key=st.integers(0, 2**32), size=st.integers(1, 3))
def test_parts_sum_and_ignore_the_order_of_latents(key, size):
    codes, lv = rng(key).normal(size=(40, size)), rng(key + 1).normal(size=(40, size)) - 1
    result = elbo(codes, lv, n_samples=100, rng=rng())
    assert sum(result[part] for part in PARTS) == pytest.approx(result["kl"], abs=1e-9)
    assert result["elbo_dimension_wise_kl"] > -1e-6
    turned = elbo(codes[:, ::-1], lv[:, ::-1], n_samples=100, rng=rng())
    assert turned["elbo_dimension_wise_kl"] == pytest.approx(result["elbo_dimension_wise_kl"], abs=1e-9)
