"""The linear-Gaussian β-VAE with a learned decoder: which latents live, and what they mean."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from bench.analytic import learned, measures
from bench.analytic.cases import case
from bench.analytic.model import LinearGaussian
from bench.analytic.vae import LinearVAE, learned_vae, matched
from helpers.linear_gaussian import design, ratio

# Learned decoder


def test_latents_die_where_it_is_said_and_dead_ones_say_nothing():
    model = case("L1").model
    for j, end in enumerate(learned.collapse_betas(model)):
        before, after = learned_vae(model, end * (1 - 1e-6)), learned_vae(model, end * (1 + 1e-6))
        assert np.abs(before.decoder[:, j]).max() > 1e-5
        assert not after.decoder[:, j].any()
        assert not after.gain[j].any()
        assert after.variances[j] == 1
    assert learned.collapse_betas(model) == pytest.approx(1 + model.snr_values)
    assert learned.rate(model, 30.0) == 0


def test_a_spare_latent_encodes_noise_below_the_matched_beta_only():
    model = case("L1").model
    assert learned_vae(model, 1.01, 4).decoder[:, 2:].any() == np.False_
    spare = learned_vae(model, 0.5, 4)
    assert np.linalg.norm(spare.decoder[:, 3]) == pytest.approx(np.sqrt(0.05))
    # It takes rate and no part in standing for a factor.
    assert measures.rate(model, spare) == pytest.approx(float(learned.rate(model, 0.5)) + np.log(2))
    assert measures.log_q(model, matched(model, spare)) == pytest.approx(float(learned.log_q(model, 0.5)))
    with pytest.raises(ValueError, match="1 to 5"):
        learned_vae(model, 1.0, 6)


@pytest.mark.parametrize("n_latents", [1, 2, 3])
def test_a_learned_decoder_variance_is_the_best_one(n_latents):
    base = case("L1").model
    for beta in (0.4, 1.0, 1.5, 2.4, 4.0):

        def loss(log_variance, beta=beta):
            model = LinearGaussian(base.mixing, base.noise_variance, float(np.exp(log_variance)))
            return -measures.objective(model, learned_vae(model, beta, n_latents), beta)

        best = minimize_scalar(loss, bounds=(-6, 2), method="bounded", options={"xatol": 1e-10}).x
        found = learned.fitted_decoder_variance(base, beta, n_latents)
        assert found == pytest.approx(float(np.exp(best)), rel=1e-5)
    # Probabilistic PCA's: the mean of what is left over.
    expected = base.data_variances[n_latents:].mean()
    assert learned.fitted_decoder_variance(base, 1.0, n_latents) == pytest.approx(expected)


def test_a_decoder_variance_without_a_maximum_is_refused():
    square = case("S1").model
    with pytest.raises(ValueError, match="goes to 0"):
        learned.fitted_decoder_variance(square, 1.0)
    assert learned.fitted_decoder_variance(square, 1.01) > 0


def test_latents_are_matched_as_well_as_any_signed_choice_can():
    model = design(7, equal_norms=True)
    k = model.n_factors
    vae = learned_vae(model, 0.8 * float(learned.collapse_betas(model)[-1]))
    best = -np.inf
    for order in permutations(range(k)):
        for signs in product([1.0, -1.0], repeat=k):
            gain = vae.gain[list(order)] * np.array(signs)[:, None]
            spread = np.diag(vae.variances[list(order)])
            best = max(best, measures.log_q(model, LinearVAE(gain, spread, vae.decoder)))
    assert measures.log_q(model, matched(model, vae)) == pytest.approx(best)
    with pytest.raises(ValueError, match="diagonal"):
        matched(model, LinearVAE(vae.gain, vae.covariance + 0.01, vae.decoder))
    with pytest.raises(ValueError, match="can't stand for"):
        matched(model, learned_vae(model, 1.0, k - 1))


def test_matching_by_correlation_would_take_a_dead_latent():
    model = case("L1").model
    vae = learned_vae(model, 1.0)
    dead = 1e-9 * model.posterior_gain[:1]
    three = LinearVAE(
        np.vstack([dead, vae.gain]), np.diag([1.0, *vae.variances]), np.hstack([vae.decoder[:, :1], vae.decoder])
    )
    assert np.argmax(measures.squared_correlations(model, three)[:, 0]) == 0, "the trap is one"
    assert measures.log_q(model, matched(model, three)) == pytest.approx(float(learned.log_q(model, 1.0)))


def test_the_best_beta_per_latent_and_for_all_are_the_highest_points():
    for model in (case("L1").model, *(design(seed, equal_norms=True) for seed in range(4))):
        ends = learned.collapse_betas(model)
        grid = np.geomspace(0.2 * ratio(model), 1.1 * ends[0], 500)
        for measure, sign in (("log_q", 1), ("mean_squared_error", -1)):
            best = learned.beta_star(model, measure)
            curve = getattr(learned, measure)
            assert (sign * curve(model, grid)).max() <= sign * curve(model, best) + 1e-9
    model = case("L1").model
    for j, best in enumerate(learned.beta_star_per_latent(model, 2.0)):
        # One latent by itself: what the others contribute doesn't matter for its own best β.
        values = []
        for beta in best * np.array([0.999, 1, 1.001]):
            vae = matched(model, learned_vae(model, beta))
            m = measures.error_covariance(model, vae)[j, j]
            values.append(np.log(vae.variances[j]) + m / vae.variances[j])
        assert np.argmin(values) == 1


def test_measures_of_the_means_dont_depend_on_beta_with_orthogonal_columns():
    model = case("L0").model
    vaes = [learned_vae(model, beta) for beta in (0.5, 1.0, 5.0)]
    for measure in (measures.mig, measures.sap, lambda *given: measures.dci(*given)[0]):
        values = [measure(model, vae) for vae in vaes]
        np.testing.assert_allclose(values, values[0])
    np.testing.assert_allclose([measures.dci(model, vae) for vae in vaes], 1)
    assert measures.mig(model, learned_vae(model, 10.0)) < measures.mig(model, vaes[0])


def test_equal_variances_leave_the_learned_axes_open_and_are_refused():
    model = case("S0").model
    for call in (lambda: learned_vae(model, 1.0), lambda: learned.log_q(model, 1.0), lambda: learned.beta_star(model)):
        with pytest.raises(ValueError, match="aren't determined"):
            call()
    assert learned.rate(model, 2.0) == pytest.approx(np.log(1.1 / 0.2)), "but what doesn't need them is there"
