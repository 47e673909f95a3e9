"""Codes may be in any unit: what is active is judged by their own scale, and what isn't is counted."""

from __future__ import annotations

import numpy as np
import pytest

from bench.metrics import _samples, active_units, beta_vae_score, factor_vae_score, sap, total_correlation
from bench.metrics._samples import share_of_scale
from helpers.factors import grid, standardised
from helpers.rng import rng

FACTORS = grid((5, 6, 7, 8))
PERFECT = standardised(FACTORS)
VOTES = {"n_votes_train": 400, "n_votes_test": 400}


@pytest.mark.parametrize("scale", [1e-12, 1e-7, 0.04, 1.0, 1e12])
class TestAnyUnit:
    def test_factor_vae_score_of_a_perfect_code_is_one(self, scale):
        for logvar in (None, np.full(PERFECT.shape, 2 * np.log(0.1 * scale))):
            found = factor_vae_score(PERFECT * scale, FACTORS, logvar, **VOTES, rng=rng())
            assert found["factor_vae_score"] == 1
            assert (found["n_active"], found["inactive"]) == (4, [])

    def test_continuous_sap_is_what_it_is(self, scale):
        expected = sap(PERFECT, FACTORS, rng=rng())["sap_continuous"]
        assert expected > 0.99
        assert sap(PERFECT * scale, FACTORS, rng=rng())["sap_continuous"] == pytest.approx(expected, abs=1e-9)

    def test_copies_have_a_total_correlation(self, scale):
        code = scale * rng(1).normal(size=(5000, 1))
        noise = np.full((5000, 2), 2 * np.log(1e-4 * scale))
        found = total_correlation(np.hstack([code, code]), noise, rng=rng())
        assert found["gaussian_tc_means"] == pytest.approx(-np.log(2e-6) / 2, abs=1e-3)
        assert found["gaussian_tc_samples"] == pytest.approx(found["gaussian_tc_means"], abs=0.01)
        assert found["inactive"] == []

    def test_units_of_codes_without_noise_are_their_own(self, scale):
        codes = scale * PERFECT * [1.0, 0.5, 0.2, 0.05]
        found = active_units(codes)
        assert (found["active_units"], found["unit"]) == (3, "widest code")


def test_total_correlation_of_small_copies_is_not_nothing():
    code = 0.09 * rng(1).normal(size=(5000, 1))
    assert total_correlation(np.hstack([code, code]), rng=rng())["gaussian_tc_means"] == pytest.approx(6.561, abs=1e-3)


def test_collapsed_latents_take_no_part_where_their_noise_is_known():
    codes = np.hstack([PERFECT, 1e-3 * rng(1).normal(size=(len(PERFECT), 2))])
    logvar = np.hstack([np.full(PERFECT.shape, -4.0), np.zeros((len(PERFECT), 2))])
    votes = factor_vae_score(codes, FACTORS, logvar, **VOTES, rng=rng())
    assert votes["inactive"] == [4, 5]
    tc = total_correlation(codes, logvar, rng=rng())
    assert (tc["active"], tc["inactive"]) == ([0, 1, 2, 3], [4, 5])
    assert active_units(codes, logvar)["active_units"] == 4
    # All of them collapsed: no vote is cast on the noise of a network.
    nothing = factor_vae_score(1e-3 * codes, FACTORS, 0 * logvar, **VOTES, rng=rng())
    assert (nothing["factor_vae_score"], nothing["inactive"]) == (0, [0, 1, 2, 3, 4, 5])


def test_active_units_with_noise_are_in_units_of_the_prior():
    found = active_units(0.04 * PERFECT, np.zeros(PERFECT.shape))
    assert (found["active_units"], found["unit"]) == (0, "prior")


@pytest.mark.parametrize("metric", [beta_vae_score, sap])
def test_a_penalty_that_depends_on_scale_is_marked(metric):
    options = {"n_train": 300, "n_test": 200}
    small, plain = (metric(PERFECT * s, FACTORS, **options, rng=rng()) for s in (0.04, 1.0))
    (column,) = small["marks"]
    assert "standard deviation below 0.1" in small["marks"][column][0]
    assert "marks" not in plain


def test_share_of_scale():
    codes = np.stack([[-1.0, 1.0], [-0.1, 0.1], [3.0, 3.0]], axis=1)
    np.testing.assert_allclose(share_of_scale(codes), [1, 0.01, 0])
    noise = np.full(codes.shape, np.sqrt(2.0))
    np.testing.assert_allclose(share_of_scale(codes, noise), [0.5, 0.02 / 2.02, 0])
    np.testing.assert_allclose(share_of_scale(1e-200 * codes), [1, 0.01, 0])
    assert share_of_scale(np.full((3, 2), 0.1)).tolist() == [0, 0]


def test_standardised_in_any_unit():
    table = rng().normal(size=(50, 3)) * [1e-200, 1.0, 1e150] + [0.0, 1e6, 0.0]
    found = _samples.standardised(np.hstack([table, np.full((50, 1), 0.1)]))
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(found.std(axis=0), [1, 1, 1, 0], atol=1e-12)
