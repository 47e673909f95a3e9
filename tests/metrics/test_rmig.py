import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from bench.metrics import mig_sampled, rmig
from bench.metrics.rmig import binned_posteriors
from helpers.factors import grid, standardised
from helpers.rng import rng

SIZES = (3, 4, 5)


FACTORS = grid(SIZES)
PERFECT = standardised(FACTORS)


def log_of(sigma: float, codes: np.ndarray = PERFECT) -> np.ndarray:
    return np.full(codes.shape, 2 * np.log(sigma))


def test_bins_of_a_posterior():
    mass = binned_posteriors(np.array([0.3, 0.3, 9.0, -9.0, 4.0]), np.array([0.5, 1e-4, 0.1, 0.1, 1e-4]))
    edges = np.linspace(-4, 4, 101)
    expected = np.diff(norm.cdf(edges, 0.3, 0.5))
    np.testing.assert_allclose(mass[0], expected / expected.sum(), atol=2e-4)
    assert np.flatnonzero(mass[1]).tolist() == [53]
    assert edges[53] <= 0.3 < edges[54]
    assert [mass[k].argmax() for k in (2, 3, 4)] == [99, 0, 99]
    np.testing.assert_allclose(mass.sum(axis=1), 1, atol=1e-12)


def test_noiseless_perfect_code_scores_one():
    result = rmig(PERFECT, log_of(1e-6), FACTORS, rng=rng())
    assert result["rmig"] == pytest.approx(1, abs=1e-12)
    # H(z, v) = H(v) = I: nothing in the code but its factor.
    assert result["jemmig"] == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(np.diag(result["mutual_information"]), np.log(SIZES), atol=1e-12)
    json.dumps(result, allow_nan=False)


def test_jemmig_by_brute_force():
    codes = PERFECT @ rng(1).normal(size=(3, 4))
    lv = rng(2).normal(size=codes.shape) - 1
    result = rmig(codes, lv, FACTORS, rng=rng())
    for k, size in enumerate(SIZES):
        information, joint_entropy = [], []
        for j in range(4):
            mass = binned_posteriors(codes[:, j], np.exp(lv[:, j] / 2))
            joint = np.stack([mass[FACTORS[:, k] == v].sum(axis=0) for v in range(size)]) / len(codes)
            product = joint.sum(axis=0) * joint.sum(axis=1, keepdims=True)
            information.append((joint * np.log(np.where(joint > 0, joint / np.maximum(product, 1e-300), 1))).sum())
            joint_entropy.append(-(joint * np.log(np.where(joint > 0, joint, 1))).sum())
        first, second = np.argsort(information)[::-1][:2]
        np.testing.assert_allclose(np.array(result["mutual_information"])[:, k], information, atol=1e-12)
        gap = information[first] - information[second]
        assert result["rmig_per_factor"][k] == pytest.approx(gap / np.log(size), abs=1e-12)
        expected = (joint_entropy[first] - gap) / (np.log(size) + np.log(100))
        assert result["jemmig_per_factor"][k] == pytest.approx(expected, abs=1e-12)


def test_merged_factors_cost_jemmig_and_not_rmig():
    merged = np.stack([FACTORS[:, 0] * 4 + FACTORS[:, 1], FACTORS[:, 2]], axis=1) / 4.0 - 1
    result = rmig(merged, log_of(1e-6, merged), FACTORS, rng=rng())
    assert result["rmig"] == pytest.approx(1, abs=1e-12)
    expected = np.log(4) / (np.log(3) + np.log(100))  # H(z, v) - I = H(z | v): the other factor
    assert result["jemmig_per_factor"][0] == pytest.approx(expected, abs=1e-12)


def test_agrees_with_quadrature_for_posteriors_wider_than_the_bins():
    for sigma in (0.1, 0.4):
        fine = mig_sampled(PERFECT, log_of(sigma), FACTORS, rng=rng())["mig_sampled"]
        assert rmig(PERFECT, log_of(sigma), FACTORS, rng=rng())["rmig"] == pytest.approx(fine, abs=5e-3)
    # Not claimed below: centre times width misses a narrow bell between two centres.
    codes = np.linspace(-1.7, 1.7, 40)[:, None]
    names = np.arange(40)[:, None]
    wide, narrow = (rmig(codes, log_of(s, codes), names, rng=rng())["rmig"] for s in (0.05, 0.02))
    exact = [mig_sampled(codes, log_of(s, codes), names, rng=rng())["mig_sampled"] for s in (0.05, 0.02)]
    assert wide == pytest.approx(exact[0], abs=2e-3)
    assert exact[1] - narrow > 0.004


def test_identities():
    doubled = np.hstack([PERFECT, PERFECT])
    assert rmig(doubled, log_of(0.1, doubled), FACTORS, rng=rng())["rmig"] == 0
    turn = np.linalg.qr(rng(5).normal(size=(3, 3)))[0]
    assert rmig(PERFECT @ turn, log_of(0.1), FACTORS, rng=rng())["rmig"] < 0.5
    collapsed = rmig(0 * PERFECT, log_of(1.0), FACTORS, rng=rng())
    assert collapsed["rmig"] == pytest.approx(0, abs=1e-12)
    # A noisy code without information is the worst there is: H(z) + H(v) of at most H(v) + log 100.
    assert collapsed["jemmig"] > 0.85
    assert rmig(np.ones((60, 3)), log_of(1e-6), FACTORS, rng=rng())["n_active"] == 0


def test_scale_matters_because_the_range_is_fixed():
    plain, large = (rmig(s * PERFECT, log_of(1e-6), FACTORS, rng=rng()) for s in (1, 20))
    assert large["rmig"] < plain["rmig"] - 0.2
    assert (plain["outside"], large["outside"] > 0.5) == (0, True)


def test_reshaping_where_a_transpose_is_meant_destroys_the_score():
    assert rmig(PERFECT.T.reshape(PERFECT.shape), log_of(0.1), FACTORS, rng=rng())["rmig"] < 0.4


def test_factor_with_one_value_is_left_out_and_rows_can_be_drawn():
    plain = rmig(PERFECT, log_of(0.3), FACTORS, rng=rng())
    result = rmig(PERFECT, log_of(0.3), np.insert(FACTORS, 1, 7, axis=1), rng=rng())
    assert (result["rmig"], result["factors_left_out"]) == (pytest.approx(plain["rmig"], abs=1e-12), [1])
    assert result["jemmig_per_factor"][1] is None
    assert rmig(PERFECT, log_of(0.3), FACTORS, n_samples=30, rng=rng())["n_samples"] == 30


@pytest.mark.parametrize(
    ("codes", "logvar", "factors", "options", "message"),
    [
        (np.full((4, 2), np.nan), np.zeros((4, 2)), grid((2, 2)), {}, "NaN"),
        (np.zeros((4, 2)), np.full((4, 2), np.inf), grid((2, 2)), {}, "logvar"),
        (np.zeros((4, 2)), np.zeros((2, 4)), grid((2, 2)), {}, "shape"),
        (np.zeros(4), np.zeros(4), grid((2, 2)), {}, "shape"),
        (np.zeros((4, 2)), np.zeros((4, 2)), np.zeros((4, 2), dtype=int), {}, "at least two values"),
        (np.zeros((4, 2)), np.zeros((4, 2)), grid((2, 2)), {"n_bins": 1}, "n_bins"),
        (np.zeros((4, 2)), np.zeros((4, 2)), grid((2, 2)), {"limit": 0.0}, "limit"),
    ],
)
def test_refuses(codes, logvar, factors, options, message):
    with pytest.raises(ValueError, match=message):
        rmig(codes, logvar, factors, rng=rng(), **options)


@settings(deadline=None, max_examples=15)
@given(key=st.integers(0, 2**32), size=st.integers(1, 3))
def test_is_bounded_and_ignores_order_sign_and_names(key, size):
    draw = rng(key)
    codes, logvar = draw.normal(size=(40, size)) * 2, draw.normal(size=(40, size)) * 3
    factors = draw.integers(3, size=(40, 2))
    plain = rmig(codes, logvar, factors, rng=rng())
    assert 0 <= plain["rmig"] <= 1
    assert 0 <= plain["jemmig"] <= 1
    changed = rmig(-codes[:, ::-1], logvar[:, ::-1], draw.permutation(3)[factors] - 7, rng=rng())
    assert changed["rmig"] == pytest.approx(plain["rmig"], abs=1e-9)
    assert changed["jemmig"] == pytest.approx(plain["jemmig"], abs=1e-9)


def test_jemmig_does_not_depend_on_the_order_of_codes_that_tell_nothing():
    logvar = np.tile([0.0, -2.0, 1.0], (60, 1))
    values = {
        rmig(np.zeros((60, 3)), logvar[:, order], FACTORS, rng=rng())["jemmig"] for order in ([0, 1, 2], [2, 0, 1])
    }
    assert len(values) == 1
