"""Optima of the linear-Gaussian β-VAE: found without the formulas, and what theorems say of them."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from scipy.optimize import check_grad, minimize

from bench.analytic import learned, measures, oracle
from bench.analytic.cases import case, pair
from bench.analytic.model import LinearGaussian
from bench.analytic.vae import LinearVAE, calibrated, learned_vae, matched, optimal_encoder, oracle_vae
from helpers.linear_gaussian import design, ratio, rotation

# The optimum, found without the formulas


def problem(model, level, n, family, *, decoder=None):
    """SSE / 2 + τ R of a linear VAE with its gradient, by the flat parameters; the decoder is one of them if None."""
    c, d = model.data_covariance, model.n_dimensions
    lower = np.tril_indices(n)
    n_spread = n if family == "diagonal" else len(lower[0])

    def unpack(theta):
        gain, spread, rest = np.split(theta, [n * d, n * d + n_spread])
        root = np.zeros((n, n))
        if family == "diagonal":
            root[np.diag_indices(n)] = np.exp(spread / 2)
        else:
            root[lower] = spread
        w = rest.reshape(d, n) if decoder is None else decoder
        return LinearVAE(gain.reshape(n, d), root @ root.T, w), root

    def loss(theta):
        vae, root = unpack(theta)
        k, s, w = vae.gain, vae.covariance, vae.decoder
        residual = np.eye(d) - w @ k
        sse = np.trace(residual @ c @ residual.T) + np.trace(w @ s @ w.T)
        kl = 0.5 * (np.trace(s) + np.trace(k @ c @ k.T) - n - 2 * np.log(np.abs(np.diag(root))).sum())
        by_gain = -w.T @ residual @ c + level * k @ c
        by_s = (w.T @ w + level * np.eye(n)) / 2
        if family == "diagonal":
            by_spread = np.diag(by_s) * np.diag(s) - level / 2
        else:
            by_spread = (2 * by_s @ root - level * np.diag(1 / np.diag(root)))[lower]
        by_decoder = -residual @ c @ k.T + w @ s
        parts = [by_gain, by_spread] + ([by_decoder] if decoder is None else [])
        return sse / 2 + level * kl, np.concatenate([part.ravel() for part in parts])

    def start(rng):
        theta = 0.3 * rng.normal(size=n * d + n_spread + (n * d if decoder is None else 0))
        if family == "full":
            theta[n * d : n * d + n_spread] = np.eye(n)[lower]
        return theta

    return unpack, loss, start


def minimum(model, level, n, family="diagonal", decoder=None, seed=0):
    unpack, loss, start = problem(model, level, n, family, decoder=decoder)
    begin = start(np.random.default_rng(seed))
    assert check_grad(lambda t: loss(t)[0], lambda t: loss(t)[1], begin) < 1e-4
    settings = {"maxiter": 20_000, "maxfun": 40_000, "ftol": 1e-16, "gtol": 1e-10, "maxcor": 40}
    result = minimize(loss, begin, jac=True, method="L-BFGS-B", options=settings)
    return unpack(result.x)[0]


@pytest.mark.parametrize("family", ["diagonal", "full"])
@pytest.mark.parametrize("beta", [0.3, 1.0, 4.0])
@pytest.mark.parametrize("name", ["S1", "S2"])
def test_no_encoder_does_better_with_the_true_decoder(name, beta, family):
    model = case(name).model
    found = minimum(model, beta * model.noise_variance, model.n_factors, family, decoder=model.mixing)
    vae = oracle_vae(model, beta, family)
    np.testing.assert_allclose(found.gain, vae.gain, atol=1e-6)
    np.testing.assert_allclose(found.covariance, vae.covariance, atol=1e-6)
    assert measures.log_q(model, found) == pytest.approx(float(oracle.log_q(model, beta, family)), abs=1e-5)


def test_no_encoder_does_better_with_some_other_decoder():
    model, decoder = case("L1").model, np.random.default_rng(1).normal(size=(5, 3))
    for family in ("diagonal", "full"):
        found = minimum(model, 0.4, 3, family, decoder=decoder)
        vae = optimal_encoder(decoder, 0.4, family)
        np.testing.assert_allclose(found.gain, vae.gain, atol=1e-6)
        np.testing.assert_allclose(found.covariance, vae.covariance, atol=1e-6)


@pytest.mark.parametrize("family", ["diagonal", "full"])
@pytest.mark.parametrize("beta", [1.0, 2.3, 8.0])
def test_no_learned_vae_does_better(beta, family):
    model = case("L1").model
    found = minimum(model, beta * model.noise_variance, 2, family)
    vae = learned_vae(model, beta)
    best = measures.objective(model, vae, beta)
    assert measures.objective(model, found, beta) == pytest.approx(best, abs=1e-6)
    assert measures.rate(model, found) == pytest.approx(float(learned.rate(model, beta)), abs=1e-5)
    assert measures.distortion(model, found) == pytest.approx(float(learned.residuals(model, beta).sum()), abs=1e-5)
    if family == "diagonal":
        # A full covariance leaves the rotation free, a diagonal one finds the principal axes.
        expected = float(learned.log_q(model, beta))
        assert measures.log_q(model, matched(model, found)) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("seed", range(5))
def test_a_rotated_decoder_costs_a_diagonal_encoder_but_not_a_full_one(seed):
    model = design(seed, equal_norms=True)
    beta = 0.7 * learned.collapse_betas(model)[1]
    vae = learned_vae(model, beta)
    turned = vae.decoder @ rotation(model.n_factors, seed)
    level = float(model.water_level(beta))
    best = measures.objective(model, vae, beta)
    assert measures.objective(model, optimal_encoder(turned, level, "full"), beta) == pytest.approx(best)
    assert measures.objective(model, optimal_encoder(turned, level), beta) < best - 1e-6


# Theorems


@pytest.mark.parametrize("seed", range(30))
def test_inference_is_best_at_or_above_the_matched_beta(seed):
    model = design(seed, equal_norms=True)
    best = oracle.beta_star(model) / ratio(model)
    assert best > 1
    assert oracle.log_q_slope(model, best * ratio(model)) == pytest.approx(0, abs=1e-6)
    around = oracle.log_q(model, np.geomspace(0.01, 1000, 2000) * ratio(model))
    assert around.max() <= oracle.log_q(model, best * ratio(model)) + 1e-12
    p, precision, g = model.posterior_covariance, model.posterior_precision, model.snr
    at_one = 0.5 * (np.diag(g) * (np.diag(p) - 1 / np.diag(precision))).sum()
    assert oracle.log_q_slope(model, ratio(model)) == pytest.approx(at_one)
    grid = np.array([1 / 1.001, 1, 1.001]) * ratio(model)
    for curve in (oracle.mean_squared_error, oracle.reverse_kl, partial(oracle.reverse_kl, family="full")):
        assert np.argmin(curve(model, grid)) == 1
    assert np.argmax(oracle.log_q(model, grid, "full")) == 1
    assert oracle.beta_star(model, "full") == pytest.approx(ratio(model))


def test_orthogonal_columns_have_their_best_beta_at_the_matched_one_for_every_measure():
    axes = rotation(6, 0)[:, :3] * [0.5, 2.0, 1.0]
    model = LinearGaussian(axes, 0.2, 0.05)
    assert oracle.beta_star(model) == 0.2 / 0.05
    for measure in ("log_q", "mean_squared_error"):
        assert learned.beta_star(model, measure) == pytest.approx(0.2 / 0.05)
    tilted = LinearGaussian(axes + 1e-3 * axes[:, [1, 2, 0]], 0.2, 0.05)
    assert oracle.beta_star(tilted) > 4.000001


def test_beta_controls_independence_given_the_data():
    model = design(1)
    betas = np.geomspace(0.05, 50, 40)
    values = [measures.conditional_tc(oracle_vae(model, beta, "full")) for beta in betas]
    assert (np.diff(values) < 0).all()
    s1 = case("S1").model
    covariance = oracle_vae(s1, 2.0, "full").covariance
    crossed = covariance - np.diag(np.diag(covariance))
    slope = -(crossed**2 / np.diag(covariance)[:, None]).sum() / (2 * 2.0)
    ends = [measures.conditional_tc(oracle_vae(s1, beta, "full")) for beta in (2 + 1e-5, 2 - 1e-5)]
    assert slope == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-6)
    far = measures.conditional_tc(oracle_vae(s1, 1e4, "full"))
    assert far == pytest.approx(s1.snr[0, 1] ** 2 / (2 * 1e8), rel=1e-2)


def test_independence_given_the_data_breaks_independence_over_all_data():
    s1 = case("S1").model
    assert measures.aggregate_tc(s1, oracle_vae(s1, 1.0)) == pytest.approx(0.0124, abs=5e-5)
    full = [oracle_vae(s1, beta, "full") for beta in (0.5, 1.0, 2.0, 6.0, 1e6)]
    distances = [measures.aggregate_kl(s1, vae) for vae in full]
    assert distances[1] == pytest.approx(0, abs=1e-12)
    assert distances[4] == pytest.approx(0, abs=1e-6)
    assert min(distances[0], distances[2], distances[3]) > 0.004
    # sqrt(g_1 g_2) = 6: the wrong measure of independence is 0 there by accident.
    assert measures.aggregate_tc(s1, full[3]) == pytest.approx(0, abs=1e-12)
    assert measures.aggregate_tc(s1, full[2]) > 9e-4
    l1 = case("L1").model
    for beta in (0.3, 2.0, 8.0):
        vae = learned_vae(l1, beta)
        assert measures.conditional_tc(vae) == pytest.approx(0, abs=1e-12)
        assert measures.aggregate_tc(l1, vae) == pytest.approx(0, abs=1e-12)


def test_weak_and_strong_signals_have_the_limits_of_the_best_beta():
    equicorrelated = case("S2").model
    for factor, limit in ((1e4, oracle.beta_star_high_snr), (1e-3, oracle.beta_star_low_snr)):
        model = LinearGaussian(equicorrelated.mixing, equicorrelated.noise_variance / factor, 0.7)
        excess = oracle.beta_star(model) / ratio(model) - 1
        assert excess == pytest.approx(limit(model) / ratio(model) - 1, rel=1e-2)
    assert oracle.beta_star_high_snr(equicorrelated) == pytest.approx((1 + 2 * 0.6) / (0.4 * (1 + 3 * 0.6)))
    # The variance inflation is no bound: a direction that is lost in the noise takes the best β beyond it.
    assert oracle.beta_star(pair(0.95, 20)) > 2
    with pytest.raises(ValueError, match="linearly dependent"):
        oracle.beta_star_high_snr(LinearGaussian([[1.0, 2.0], [1.0, 2.0]], 0.1))


def test_parallel_columns_have_a_best_beta_that_grows_with_the_signal():
    ratios = {k: oracle.beta_star(LinearGaussian(np.ones((1, k)), 1e-4)) / 1e4 for k in (2, 4, 8)}
    assert ratios == pytest.approx({2: 0.78, 4: 2.00, 8: 3.95}, abs=6e-3)


def test_of_two_maxima_the_higher_one_is_taken():
    found = []
    for snr in (1700, 2500):
        model = pair(0.98, snr)
        betas = np.geomspace(1, 10 * snr, 3000)
        curve = oracle.log_q(model, betas)
        inner = (curve[1:-1] > curve[:-2]) & (curve[1:-1] > curve[2:])
        assert inner.sum() == 2, "the case is one with two"
        found.append(oracle.beta_star(model))
        assert found[-1] == pytest.approx(betas[np.argmax(curve)], rel=4e-3)
    assert found[0] > 900
    assert found[1] < 10


def test_recalibrated_variances_beat_every_beta():
    s1 = case("S1").model
    repaired = calibrated(s1, oracle_vae(s1, 1.0))
    np.testing.assert_allclose(repaired.variances, np.diag(s1.posterior_covariance))
    assert measures.forward_kl(s1, repaired) == pytest.approx(oracle.forward_kl_floor(s1))
    np.testing.assert_allclose(measures.calibration(s1, repaired), 1)
    assert oracle.forward_kl(s1, oracle.beta_star(s1)) > oracle.forward_kl_floor(s1) + 0.1
    assert oracle.reverse_kl(s1, 1.0) == pytest.approx(oracle.reverse_kl_floor(s1))
