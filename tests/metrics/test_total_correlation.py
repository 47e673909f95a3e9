import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.metrics import total_correlation
from bench.metrics.total_correlation import gaussian_tc
from helpers.rng import rng


def whitened(n: int = 400, d: int = 4, key: int = 1) -> np.ndarray:
    """Codes whose sample covariance is the identity."""
    x = rng(key).normal(size=(n, d))
    x -= x.mean(axis=0)
    return np.linalg.qr(x)[0] * np.sqrt(n - 1)


QUIET = np.full((400, 4), -60.0)


def test_two_correlated_codes_have_the_textbook_value():
    x = whitened(d=2)
    for rho in (0.0, 0.3, -0.9):
        codes = np.stack([x[:, 0], rho * x[:, 0] + np.sqrt(1 - rho**2) * x[:, 1]], axis=1)
        result = total_correlation(codes, QUIET[:, :2], rng=rng())
        assert result["gaussian_tc_means"] == pytest.approx(-np.log(1 - rho**2) / 2, abs=1e-5)
        assert result["gaussian_tc_samples"] == pytest.approx(-np.log(1 - rho**2) / 2, abs=1e-5)


def test_equals_the_definition():
    codes = whitened() @ rng(2).normal(size=(4, 4))
    covariance = np.cov(codes.T)
    expected = (np.log(np.diag(covariance)).sum() - np.linalg.slogdet(covariance)[1]) / 2
    result = total_correlation(codes, QUIET, ridge=0.0, rng=rng())
    assert result["gaussian_tc_means"] == pytest.approx(expected, abs=1e-9)
    np.testing.assert_allclose(result["correlation_means"], np.corrcoef(codes.T), atol=1e-12)
    json.dumps(result, allow_nan=False)


def test_samples_are_those_of_the_posteriors():
    draw = rng(3)
    codes = draw.normal(size=(200_000, 3)) @ draw.normal(size=(3, 3))
    logvar = draw.normal(size=codes.shape)
    drawn = codes + np.exp(logvar / 2) * draw.normal(size=codes.shape)
    result = total_correlation(codes, logvar, n_samples=len(codes), rng=rng())
    of_drawn = total_correlation(drawn, logvar - 60, n_samples=len(codes), rng=rng())["gaussian_tc_means"]
    assert result["gaussian_tc_samples"] == pytest.approx(of_drawn, abs=0.02)
    # Negative controls: the means instead of samples, and the log-variance taken for a log standard deviation.
    assert result["gaussian_tc_means"] - of_drawn > 0.2
    assert abs(total_correlation(codes, 2 * logvar, rng=rng())["gaussian_tc_samples"] - of_drawn) > 0.04


def test_noise_of_a_posterior_hides_correlation():
    x = whitened(d=2)
    codes = np.stack([x[:, 0], x[:, 0] + 0.5 * x[:, 1]], axis=1)
    result = total_correlation(codes, np.zeros((400, 2)), rng=rng())
    rho = 1 / np.sqrt(2 * 2.25)
    assert result["gaussian_tc_samples"] == pytest.approx(-np.log(1 - rho**2) / 2, abs=1e-5)
    assert result["gaussian_tc_means"] > 3 * result["gaussian_tc_samples"]


def test_duplicates_are_large_and_finite():
    x = whitened()
    result = total_correlation(np.hstack([x, x]), np.hstack([QUIET, QUIET]), rng=rng())
    assert result["gaussian_tc_means"] == pytest.approx(4 * -np.log(2e-6) / 2, rel=1e-3)


def test_rotation_of_white_codes_is_not_seen_and_of_others_is():
    x, turn = whitened(), np.linalg.qr(rng(5).normal(size=(4, 4)))[0]
    assert total_correlation(x @ turn, QUIET, rng=rng())["gaussian_tc_means"] < 1e-9
    assert total_correlation(x * [1, 2, 3, 4] @ turn, QUIET, rng=rng())["gaussian_tc_means"] > 0.1


def test_inactive_codes_take_no_part():
    x = whitened()
    codes = np.hstack([x, np.full((400, 1), 0.1), 0.05 * x[:, :1]])
    result = total_correlation(codes, np.zeros(codes.shape), rng=rng())
    assert (result["active"], result["n_active"]) == ([0, 1, 2, 3], 4)
    assert result["gaussian_tc_means"] < 1e-9
    assert total_correlation(codes, np.zeros(codes.shape), threshold=1e-3, rng=rng())["gaussian_tc_means"] > 5
    for few in (codes[:, 4:5], codes[:, :1]):
        assert total_correlation(few, np.zeros(few.shape), rng=rng())["gaussian_tc_means"] == 0


def test_bias_of_independent_codes_is_the_one_stated():
    values = [
        total_correlation(rng(k).normal(size=(100, 5)), np.zeros((100, 5)), rng=rng())["gaussian_tc_means"]
        for k in range(200)
    ]
    stated = total_correlation(whitened(100, 5), np.zeros((100, 5)), rng=rng())["bias"]
    assert stated == pytest.approx(0.05)
    assert np.mean(values) == pytest.approx(stated, rel=0.15)


def test_reshaping_where_a_transpose_is_meant_changes_the_value():
    codes = whitened() @ rng(2).normal(size=(4, 4))
    right = total_correlation(codes, QUIET, rng=rng())["gaussian_tc_means"]
    wrong = total_correlation(codes.T.reshape(codes.shape), QUIET, rng=rng())["gaussian_tc_means"]
    assert wrong < right / 2


def test_rows_are_drawn_only_where_there_are_more():
    codes = whitened()
    assert total_correlation(codes, QUIET, rng=rng(1)) == total_correlation(codes, QUIET, rng=rng(2))
    assert total_correlation(codes, QUIET, n_samples=50, rng=rng())["n_samples"] == 50


@pytest.mark.parametrize(
    ("codes", "logvar", "options", "message"),
    [
        (np.full((4, 2), np.nan), np.zeros((4, 2)), {}, "NaN"),
        (np.zeros((4, 2)), np.full((4, 2), np.nan), {}, "logvar"),
        (np.zeros((4, 2)), np.zeros((2, 4)), {}, "shape"),
        (np.zeros(4), np.zeros(4), {}, "shape"),
        (np.ones((1, 2)), np.ones((1, 2)), {}, "2 rows"),
        (np.eye(4), np.eye(4), {}, "at least 6 rows"),
        (np.eye(4), np.eye(4), {"ridge": -1.0}, "ridge"),
    ],
)
def test_refuses(codes, logvar, options, message):
    with pytest.raises(ValueError, match=message):
        total_correlation(codes, logvar, rng=rng(), **options)


@settings(deadline=None, max_examples=20)
@given(key=st.integers(0, 2**32), scale=st.floats(0.5, 100))
def test_is_not_negative_and_ignores_order_sign_and_scale(key, scale):
    draw = rng(key)
    codes, logvar = draw.normal(size=(30, 3)), draw.normal(size=(30, 3))
    plain = total_correlation(codes, logvar, threshold=0, rng=rng())
    changed = total_correlation(-scale * codes[:, ::-1], logvar[:, ::-1] + 2 * np.log(scale), threshold=0, rng=rng())
    for column in ("gaussian_tc_means", "gaussian_tc_samples"):
        assert plain[column] >= 0
        assert changed[column] == pytest.approx(plain[column], abs=1e-9)
    assert gaussian_tc(np.eye(3)) == 0
