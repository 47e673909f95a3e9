"""Closed forms of the linear-Gaussian β-VAE: against the matrices, limits, measures, set points."""

from __future__ import annotations

import numpy as np
import pytest

from bench.analytic import control, learned, measures, oracle
from bench.analytic.cases import CASES, case
from bench.analytic.model import LinearGaussian
from bench.analytic.vae import LinearVAE, learned_vae, matched, oracle_vae
from helpers.linear_gaussian import design, ratio, rotation


@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize("family", ["diagonal", "full"])
def test_closed_forms_with_the_true_decoder_are_those_of_the_matrices(seed, family):
    model = design(seed)
    betas = np.exp(np.random.default_rng(seed).uniform(-3, 4, size=(2, 3)))
    vaes = [oracle_vae(model, beta, family) for beta in betas.flat]
    for name in ("log_q", "reverse_kl", "forward_kl", "rate"):
        by_matrix = [getattr(measures, name)(model, vae) for vae in vaes]
        np.testing.assert_allclose(
            getattr(oracle, name)(model, betas, family), np.reshape(by_matrix, (2, 3)), rtol=1e-8, atol=1e-9
        )
    by_matrix = [measures.mean_squared_error(model, vae) for vae in vaes]
    np.testing.assert_allclose(oracle.mean_squared_error(model, betas), np.reshape(by_matrix, (2, 3)), rtol=1e-9)


@pytest.mark.parametrize("seed", range(25))
def test_closed_forms_with_the_learned_decoder_are_those_of_the_matrices(seed):
    model = design(seed, equal_norms=True)
    inside = np.exp(np.random.default_rng(seed).uniform(-1, 1, size=4)) * ratio(model)
    betas = np.concatenate([inside, learned.collapse_betas(model) * 0.999, learned.collapse_betas(model)[:1] * 1.01])
    vaes = [learned_vae(model, beta) for beta in betas]
    for name in ("rate", "model_kl"):
        by_matrix = [getattr(measures, name)(model, vae) for vae in vaes]
        np.testing.assert_allclose(getattr(learned, name)(model, betas), by_matrix, rtol=1e-8, atol=1e-9)
    by_matrix = [measures.distortion(model, vae) for vae in vaes]
    np.testing.assert_allclose(learned.residuals(model, betas).sum(axis=1), by_matrix, rtol=1e-9)
    for name in ("log_q", "mean_squared_error"):
        by_matrix = [getattr(measures, name)(model, matched(model, vae, name)) for vae in vaes]
        np.testing.assert_allclose(getattr(learned, name)(model, betas), by_matrix, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("family", ["diagonal", "full"])
def test_slopes_are_the_finite_differences(seed, family):
    model = design(seed)
    for b in (0.3, 1.0, 4.0):
        beta, h = b * ratio(model), 1e-5 * b
        for curve, slope in ((oracle.log_q, oracle.log_q_slope), (oracle.rate, oracle.rate_slope)):
            ends = curve(model, np.array([b + h, b - h]) * ratio(model), family)
            difference = (ends[0] - ends[1]) / (2 * h)
            assert slope(model, beta, family) == pytest.approx(difference, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("seed", range(10))
def test_kl_to_the_posterior_is_log_q_short_of_the_entropy(seed):
    model = design(seed)
    vae = oracle_vae(model, 0.7)
    expected = -model.posterior_entropy - measures.log_q(model, vae)
    assert measures.forward_kl(model, vae) == pytest.approx(expected, rel=1e-9)


def test_reverse_kl_is_what_the_evidence_bound_lacks():
    model = design(3, assumed=False)
    vae = oracle_vae(model, 2.3)
    log_p = -0.5 * (np.linalg.slogdet(2 * np.pi * model.data_covariance)[1] + model.n_dimensions)
    assert measures.objective(model, vae, 1.0) == pytest.approx(log_p - measures.reverse_kl(model, vae))


@pytest.mark.parametrize("seed", range(10))
def test_covariances_over_all_data_and_regressions_have_their_closed_forms(seed):
    model = design(seed, assumed=False)
    eye, g = np.eye(model.n_factors), model.snr
    for beta in (0.4, 1.0, 2.5):
        inverse = np.linalg.inv(beta * eye + g)
        diagonal, full = oracle_vae(model, beta), oracle_vae(model, beta, "full")
        np.testing.assert_allclose(full.gain @ model.mixing, inverse @ g, atol=1e-9)
        expected = eye + (1 - beta) * g @ inverse @ inverse
        np.testing.assert_allclose(measures.aggregate_covariance(model, full), expected, atol=1e-9)
        expected = g @ (eye + g) @ inverse @ inverse + np.diag(beta / (beta + np.diag(g)))
        np.testing.assert_allclose(measures.aggregate_covariance(model, diagonal), expected, atol=1e-9)
        expected = (beta**2 * eye + g) @ inverse @ inverse
        np.testing.assert_allclose(measures.error_covariance(model, diagonal), expected, atol=1e-9)
        if model.n_dimensions >= model.n_factors:
            expected = eye + (beta - 1) * model.posterior_covariance
            np.testing.assert_allclose(measures.regression(model, diagonal), expected, atol=1e-7)


def test_small_beta_forces_zero_error_and_large_beta_the_prior():
    model = case("S2").model
    small, large = oracle_vae(model, 1e-9), oracle_vae(model, 1e9)
    np.testing.assert_allclose(small.gain @ model.mixing, np.eye(4), atol=1e-7)
    assert oracle.log_q(model, 1e-9) < -1e6
    matched_filter = model.mixing.T / (1e9 * model.noise_variance)
    np.testing.assert_allclose(large.gain, matched_filter, rtol=1e-6)
    np.testing.assert_allclose(large.covariance, np.eye(4), atol=1e-6)
    prior = -2 * (np.log(2 * np.pi) + 1)
    assert oracle.log_q(model, 1e9) == pytest.approx(prior)
    assert (oracle.log_q(model, 1e6) - prior) * 1e6 == pytest.approx(np.trace(model.snr), rel=1e-3)
    np.testing.assert_allclose(oracle_vae(model, 1.0).gain, model.posterior_gain)
    np.testing.assert_allclose(oracle_vae(model, 1.0, "full").covariance, model.posterior_covariance)


@pytest.mark.parametrize("seed", range(5))
def test_only_beta_times_the_decoders_variance_matters(seed):
    model = design(seed, equal_norms=True)
    other = LinearGaussian(model.mixing, model.noise_variance, model.decoder_variance / 3)
    betas = np.array([0.5, 1.7, 6.0])
    for function in (oracle.log_q, oracle.rate, oracle.reverse_kl, learned.log_q, learned.rate):
        np.testing.assert_allclose(function(other, 3 * betas), function(model, betas), rtol=1e-10, atol=1e-12)
    assert oracle.beta_star(other) == pytest.approx(3 * oracle.beta_star(model), rel=1e-9)
    assert learned.beta_star(other) == pytest.approx(3 * learned.beta_star(model), rel=1e-9)
    np.testing.assert_allclose(learned.collapse_betas(other), 3 * learned.collapse_betas(model))
    for target in (0.3, 2.0):
        for module in (oracle, learned):
            assert module.beta_of_rate(other, target) == pytest.approx(3 * module.beta_of_rate(model, target))


def test_the_scale_of_beta_follows_the_reduction_of_the_loss():
    # Per image SSE + β KL and, averaged over d = 2, MSE + β KL: the same encoder at other β.
    a, noise = case("S1").model.mixing, 0.1
    halves, sums = LinearGaussian(a, noise, noise), LinearGaussian(a, noise, 0.5)
    means = LinearGaussian(a, noise, 0.5 * 2)
    best = oracle.beta_star(halves)
    assert oracle.beta_star(sums) == pytest.approx(best * noise / 0.5)
    assert oracle.beta_star(means) == pytest.approx(best * noise / 1.0)
    assert abs(oracle.beta_star(sums) - best) > 1, "the wrong reduction is off by far"


@pytest.mark.parametrize("seed", range(5))
def test_turning_the_data_or_naming_factors_anew_changes_nothing(seed):
    model = design(seed, equal_norms=True)
    turned = LinearGaussian(
        rotation(model.n_dimensions, seed) @ model.mixing[:, ::-1] * [-1, *[1] * (model.n_factors - 1)],
        model.noise_variance,
        model.decoder_variance,
    )
    betas = np.array([0.5, 1.7, 6.0])
    for function in (oracle.log_q, oracle.rate, learned.log_q, learned.rate, learned.model_kl):
        np.testing.assert_allclose(function(turned, betas), function(model, betas), rtol=1e-8, atol=1e-10)
    assert oracle.beta_star(turned) == pytest.approx(oracle.beta_star(model), rel=1e-8)


def test_dci_and_mig_are_those_worked_out_by_hand():
    model = LinearGaussian(np.eye(2), 1.0)
    swap = LinearVAE(np.array([[0.0, 2.0], [-1.0, 0.0]]), np.eye(2), np.eye(2))
    assert measures.dci(model, swap) == pytest.approx((1, 1))
    np.testing.assert_allclose(measures.squared_correlations(model, swap), [[0, 0.5], [0.5, 0]], atol=1e-15)
    assert measures.mig(model, swap) == pytest.approx(0.5 * np.log(2))
    np.testing.assert_allclose(measures.squared_correlations(model, swap, sampled=True), [[0, 4 / 9], [1 / 3, 0]])
    mixed = LinearVAE(np.array([[1.0, 1.0], [1.0, -1.0]]), np.eye(2), np.eye(2))
    assert measures.dci(model, mixed) == pytest.approx((0, 0))
    assert measures.mig(model, mixed) == pytest.approx(0)
    scaled = LinearVAE(np.array([[5.0, 0.2], [-0.1, 0.3]]), np.eye(2), np.eye(2))
    other = LinearVAE(np.array([[0.05], [7.0]]) * scaled.gain, np.eye(2), np.eye(2))
    assert measures.dci(model, scaled) == pytest.approx(measures.dci(model, other)), "the scale of codes is arbitrary"
    # One factor in two of three latents: each latent is about one factor, one factor is spread over two.
    spread = LinearGaussian([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], 1.0)
    one_each = LinearVAE(np.eye(3), np.eye(3), np.eye(3))
    # Coefficients times deviations: sqrt(2) / 3 for each of the two, sqrt(2) / 2 for the third.
    assert measures.dci(spread, one_each) == pytest.approx((1, (4 * (1 - np.log(2) / np.log(3)) + 3) / 7))
    dead = LinearVAE(np.array([[1.0, 0.0], [0.0, 0.0]]), np.eye(2), np.eye(2))
    np.testing.assert_allclose(measures.regression(model, dead), [[0.5, 0], [0, 0]], atol=1e-15)
    assert measures.dci(model, LinearVAE(np.zeros((2, 2)), np.eye(2), np.eye(2))) == (0, 0)


@pytest.mark.parametrize("seed", range(10))
def test_a_set_point_selects_the_beta_with_that_rate(seed):
    model = design(seed)
    for target in (1e-14, 1e-3, 0.4, 3.0, 20.0):
        for family in ("diagonal", "full"):
            beta = oracle.beta_of_rate(model, target, family)
            assert oracle.rate(model, beta, family) == pytest.approx(target, rel=1e-8, abs=1e-15)
        n = min(model.n_factors, model.n_dimensions)
        assert learned.rate(model, learned.beta_of_rate(model, target, n), n) == pytest.approx(
            target, rel=1e-9, abs=1e-14
        )


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan, np.inf])
def test_impossible_set_points_and_betas_are_refused(bad):
    model = case("L1").model
    for call in (oracle.beta_of_rate, learned.beta_of_rate, oracle.rate, learned.rate, oracle_vae, learned_vae):
        with pytest.raises(ValueError, match="must be positive and finite"):
            call(model, bad)


def test_an_integral_controller_settles_as_predicted():
    model = case("L1").model

    def rate(beta):
        return float(learned.rate(model, beta))

    target, ki = 1.615, 0.002
    end = learned.beta_of_rate(model, target)
    slope = -2 / (2 * end)
    steps = control.settling_steps(slope, ki)
    assert steps == pytest.approx(2 * end / (ki * 2), rel=1e-3)
    path = control.integral_trajectory(rate, end * 1.001, target, ki=ki, n_steps=round(3 * steps))
    assert (path[round(steps)] - end) / (path[0] - end) == pytest.approx(np.exp(-1), rel=1e-2)
    assert path[-1] == pytest.approx(end, rel=1e-4)
    # From far above, where every latent is dead, the error is the whole set point.
    far = control.integral_trajectory(rate, 40.0, target, ki=ki, n_steps=5000)
    arrival = int(np.argmax(far < learned.collapse_betas(model)[0]))
    assert arrival == pytest.approx(control.approach_steps(40.0, learned.collapse_betas(model)[0], ki, target), abs=1)
    assert control.settling_steps(-2 / (2 * 8.6), 0.002) == pytest.approx(4300, rel=1e-3)


def test_a_gain_above_the_largest_stable_one_never_settles():
    model = case("S1").model
    target = 0.8

    def rate(beta):
        return float(oracle.rate(model, beta))

    end = oracle.beta_of_rate(model, target)
    slope = float(oracle.rate_slope(model, end))
    limit = control.largest_stable_ki(slope)
    ends = {}
    for share in (0.9, 1.1):
        path = control.integral_trajectory(rate, end * 1.0001, target, ki=share * limit, n_steps=300)
        ends[share] = abs(path[-1] - end)
    assert ends[0.9] < 1e-9 * end
    assert ends[1.1] > 1e-3 * end
    assert control.settling_steps(slope, 1.1 * limit) == np.inf
    assert control.largest_stable_ki(-2 / (2 * 3.0)) == pytest.approx(4 * 3.0 / 2)
    with pytest.raises(ValueError, match="slope < 0"):
        control.settling_steps(0.1, 1.0)


def test_impossible_models_are_refused():
    for mixing, noise, assumed, said in (
        ([1.0, 2.0], 1.0, None, "finite matrix"),
        ([[np.nan]], 1.0, None, "finite matrix"),
        ([[1.0]], 0.0, None, "noise_variance"),
        ([[1.0]], 1.0, -1.0, "assumed_variance"),
    ):
        with pytest.raises(ValueError, match=said):
            LinearGaussian(mixing, noise, assumed)
    with pytest.raises(ValueError, match="nothing to infer"):
        oracle.beta_star(LinearGaussian(np.zeros((2, 2)), 1.0))
    with pytest.raises(ValueError, match="no case 'S9'"):
        case("S9")


def test_a_model_cant_be_changed_behind_its_cached_numbers():
    mixing = np.eye(2)
    model = LinearGaussian(mixing, 1.0)
    mixing[0, 0] = 7.0
    assert model.mixing[0, 0] == 1
    with pytest.raises(ValueError, match="read-only"):
        model.mixing[0, 0] = 7.0
    assert sorted(CASES) == ["L0", "L1", "S0", "S1", "S2"]
