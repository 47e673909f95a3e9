"""Active units and KL: what the codes alone tell."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.integrate import quad
from scipy.stats import norm

from bench.metrics import active_units, kl
from bench.registry import METRICS


def test_are_registered_with_the_columns_they_return():
    codes = np.arange(6.0).reshape(3, 2)
    for name, result in (("active_units", active_units(codes)), ("kl", kl(codes, -codes))):
        assert set(METRICS.get(name).info.scores) <= set(result)
        assert METRICS.get(name).info.scores[name].higher_is_better is None
        json.dumps(result, allow_nan=False)


def test_active_units_counts_variances_above_the_threshold():
    unit = np.array([-1.0, 1.0]) / np.sqrt(2)  # variance 1 with divisor N - 1
    codes = unit[:, None] * np.sqrt([0.5, 0.0101, 0.0099, 0.0])
    noise = np.zeros(codes.shape)  # log-variances: the codes are in the prior's units
    result = active_units(codes, noise)
    assert (result["active_units"], result["n_active"], result["n_latents"]) == (2, 2, 4)
    np.testing.assert_allclose(result["variance_per_latent"], [0.5, 0.0101, 0.0099, 0], atol=1e-15)
    assert active_units(codes, noise, threshold=0.005)["active_units"] == 3
    # Negative control: the threshold is on the variance, not on the standard deviation.
    assert (np.sqrt(result["variance_per_latent"]) > 0.01).sum() == 3


def test_constant_latent_has_no_variance_whatever_its_value():
    assert active_units(np.full((1000, 1), 0.1))["variance_per_latent"] == [0]
    assert active_units(np.full((1000, 1), 1e15 / 3))["active_units"] == 0


@pytest.mark.parametrize(
    ("codes", "message"),
    [(np.full((3, 2), np.nan), "NaN"), (np.arange(3.0), "shape"), (np.ones((1, 2)), "2 rows")],
)
def test_active_units_refuses(codes, message):
    with pytest.raises(ValueError, match=message):
        active_units(codes)


def test_kl_by_hand():
    result = kl([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]], [[0.0, np.log(4), 0.0], [0.0, np.log(4), 0.0]])
    np.testing.assert_allclose(result["kl_per_latent"], [0.5, (3 - np.log(4)) / 2, 0], atol=1e-15)
    assert result["kl"] == pytest.approx(0.5 + (3 - np.log(4)) / 2, abs=1e-15)
    assert (result["n_active"], result["n_samples"]) == (2, 2)


@pytest.mark.parametrize(("mean", "logvar"), [(0.3, -2.0), (-1.5, 0.7), (0.0, 1.0)])
def test_kl_equals_the_integral(mean, logvar):
    posterior, prior = norm(mean, np.exp(logvar / 2)), norm()
    value, _ = quad(lambda z: posterior.pdf(z) * (posterior.logpdf(z) - prior.logpdf(z)), -12, 12)
    assert kl([[mean]], [[logvar]])["kl"] == pytest.approx(value, abs=1e-7)
    # Negative control: a log standard deviation is not a log variance.
    assert kl([[mean]], [[logvar / 2]])["kl"] != pytest.approx(value, abs=1e-3)


def test_kl_of_a_collapsed_latent_keeps_its_digits():
    assert kl([[0.0]], [[1e-8]])["kl"] == pytest.approx(2.5e-17, rel=0.01, abs=0)


@pytest.mark.parametrize(
    ("codes", "logvar", "message"),
    [
        (np.full((3, 2), np.nan), np.zeros((3, 2)), "NaN"),
        (np.zeros((3, 2)), np.full((3, 2), np.nan), "logvar"),
        (np.zeros((3, 2)), np.zeros((2, 3)), "shape"),
        (np.zeros((3, 2)), np.full((3, 2), 800.0), "too large"),
        (np.zeros(3), np.zeros(3), "shape"),
    ],
)
def test_kl_refuses(codes, logvar, message):
    with pytest.raises(ValueError, match=message):
        kl(codes, logvar)


@settings(deadline=None, max_examples=30)
@given(
    codes=arrays(np.float64, (4, 3), elements=st.floats(-1e3, 1e3)),
    logvar=arrays(np.float64, (4, 3), elements=st.floats(-50, 50)),
)
def test_kl_is_never_negative_and_ignores_order_and_sign(codes, logvar):
    result = kl(codes, logvar)
    assert min(result["kl_per_latent"]) >= 0
    turned = kl(-codes[::-1, ::-1], logvar[::-1, ::-1])
    np.testing.assert_allclose(turned["kl_per_latent"][::-1], result["kl_per_latent"], rtol=1e-12, atol=0)
