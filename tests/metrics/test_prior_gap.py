"""The gap of codes to the prior."""

from __future__ import annotations

import numpy as np
import pytest

from bench.metric import NotApplicableError
from bench.metrics import prior_gap
from helpers.rng import rng

ROWS, LATENTS = 400, 5


def gap(codes: np.ndarray, logvar: float = 0.0, given: np.ndarray | None = None, seed: int = 0, **options) -> dict:
    spread = np.full(codes.shape, logvar)
    return prior_gap(codes, spread, codes if given is None else given, rng=rng(seed), **options)


def test_the_fit_by_hand():
    # Two points at ±2 in one latent: mean 0 and variance 4.
    given = np.tile([[2.0], [-2.0]], (50, 1))
    result = gap(np.zeros((100, 1)), given=given)
    assert result["fit_kl_decoder"] == pytest.approx((4 - 1 - np.log(4)) / 2)
    shifted = gap(np.zeros((100, 1)), given=given + 3)
    assert shifted["fit_kl_decoder"] == pytest.approx((4 + 9 - 1 - np.log(4)) / 2)
    assert result["prior_gap_decoder"] == pytest.approx(result["fit_kl_decoder"] - result["null_quantile"])


@pytest.mark.parametrize(("rows", "latents"), [(20, 5), (400, 5), (300, 1)])
def test_the_quantile_is_that_of_normal_codes(rows, latents):
    draws = [gap(rng(seed).normal(size=(rows, latents)), n_draws=100)["fit_kl_decoder"] for seed in range(2000)]
    null = gap(np.zeros((rows, latents)))["null_quantile"]
    assert null == pytest.approx(np.quantile(draws, 0.95), rel=0.05)
    # Its mean is about the known bias where there are many rows.
    if rows > 100:
        assert np.mean(draws) == pytest.approx(latents * (latents + 3) / (4 * rows), rel=0.1)


def test_a_collapsed_posterior_has_no_gap_in_samples_and_a_large_one_in_what_its_decoder_is_given():
    codes = 1e-3 * rng(1).normal(size=(ROWS, LATENTS))
    gaps = [gap(codes, given=codes + 1, seed=seed) for seed in range(20)]
    assert np.mean([each["prior_gap_sampled"] < 0 for each in gaps]) > 0.7
    assert all(each["prior_gap_decoder"] > 25 for each in gaps)


def test_a_posterior_that_says_something_has_a_gap_where_it_does_not_fill_the_prior():
    codes = 2 * rng(1).normal(size=(ROWS, LATENTS))
    assert gap(codes, logvar=-4.0)["prior_gap_sampled"] > 1
    # Means of variance 0.75 and noise of 0.25 fill it.
    assert gap(np.sqrt(0.75) * rng(1).normal(size=(ROWS, LATENTS)), logvar=np.log(0.25))["prior_gap_sampled"] < 0.02


def test_codes_that_are_constant_in_some_direction_have_no_fit():
    codes = rng(1).normal(size=(ROWS, LATENTS))
    flat = codes.copy()
    flat[:, 2] = 0.5
    assert gap(codes, given=flat)["prior_gap_decoder"] is None
    flat[:, 2] = flat[:, 0] - flat[:, 1]
    assert gap(codes, given=flat)["prior_gap_decoder"] is None
    assert gap(flat, logvar=-1.0, given=codes)["prior_gap_sampled"] is not None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"given": np.zeros((ROWS, 2))}, "differ in shape"),
        ({"quantile": 1.0}, "between 0 and 1"),
        ({"n_draws": 99}, "at least 100"),
        ({"logvar": np.nan}, "NaN"),
    ],
)
def test_what_is_wrong_is_said(changes, message):
    with pytest.raises(ValueError, match=message):
        gap(rng(1).normal(size=(ROWS, LATENTS)), **changes)


def test_too_few_rows_or_too_large_codes_are_a_reason():
    with pytest.raises(NotApplicableError, match="5 latents can't be fitted to 5 rows"):
        gap(np.zeros((5, 5)))
    with pytest.raises(NotApplicableError, match="too large"):
        gap(np.zeros((50, 5)), logvar=1500.0)
