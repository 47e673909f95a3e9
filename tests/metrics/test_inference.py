from __future__ import annotations

import numpy as np
import pytest

from bench.analytic import measures
from bench.analytic.cases import case
from bench.analytic.vae import LinearVAE, learned_vae, matched, oracle_vae
from bench.dataset import load_dataset
from bench.metric import NotApplicableError
from bench.metrics.inference import inference

ROWS = np.arange(2_000)


def given(name, vae, n=2_000):
    """What the metric gets of this encoder, on data whose second moments are exact."""
    dataset = load_dataset("linear_gaussian", {"case": name, "n": n})
    sigma = np.sqrt(case(name).model.noise_variance)
    x = sigma * dataset._x.astype(np.float64)
    mean, covariance = dataset.posterior(np.arange(n))
    return {
        "sources": dataset.sources(np.arange(n)),
        "codes": x @ vae.gain.T,
        "covariance": np.tile(vae.covariance, (n, 1, 1)),
        "true_mean": mean,
        "true_covariance": covariance,
    }


def exact(model, vae, whole=None):
    whole = whole or vae
    return {
        "log_q": measures.log_q(model, vae),
        "source_mse": measures.mean_squared_error(model, vae),
        "forward_kl": measures.forward_kl(model, vae),
        "reverse_kl": measures.reverse_kl(model, vae),
        "rate": measures.rate(model, whole),
        "tc_conditional": measures.conditional_tc(whole),
        "tc_aggregate": measures.aggregate_tc(model, whole),
        "kl_aggregate": measures.aggregate_kl(model, whole),
    }


@pytest.mark.parametrize("family", ["diagonal", "full"])
@pytest.mark.parametrize(("name", "beta"), [("S1", 0.4), ("S1", 1.7), ("S2", 5.0), ("S0", 1.0)])
def test_scores_of_an_encoder_are_its_closed_forms(name, beta, family):
    model = case(name).model
    vae = oracle_vae(model, beta, family)
    found = inference(**given(name, vae))
    for column, value in exact(model, vae).items():
        assert found[column] == pytest.approx(value, abs=1e-5), column
    np.testing.assert_allclose(found["calibration"], measures.calibration(model, vae), rtol=1e-5)
    assert found["latents"] == list(range(model.n_factors))


def test_posteriors_that_differ_from_row_to_row_are_taken_one_by_one():
    """Against a plain loop over rows."""
    rng = np.random.default_rng(0)
    n, d = 40, 3
    roots = rng.normal(size=(n, d, d))
    covariance = roots @ roots.swapaxes(1, 2) + 0.3 * np.eye(d)
    sources = rng.normal(size=(n, 2))
    codes = np.concatenate([-sources[:, 1:], 0.1 * rng.normal(size=(n, 1)), sources[:, :1]], axis=1)
    true_mean, true = rng.normal(size=(n, 2)), np.tile(np.array([[0.5, 0.1], [0.1, 0.4]]), (n, 1, 1))
    found = inference(sources, codes, covariance, true_mean, true)
    latents, signs = found["latents"], np.array(found["signs"])
    assert (latents, signs.tolist()) == ([2, 0], [1.0, -1.0])
    from scipy.stats import multivariate_normal as normal

    log_q, forward, rate = [], [], []
    for s, m, c, t, p in zip(sources, codes, covariance, true_mean, true, strict=True):
        mean, spread = m[latents] * signs, c[np.ix_(latents, latents)] * np.outer(signs, signs)
        log_q.append(normal(mean, spread).logpdf(s))
        inverse = np.linalg.inv(spread)
        logs = np.log(np.linalg.det(spread) / np.linalg.det(p))
        forward.append(0.5 * (np.trace(inverse @ p) + (mean - t) @ inverse @ (mean - t) - 2 + logs))
        rate.append(0.5 * (np.trace(c) + m @ m - d - np.log(np.linalg.det(c))))
    assert found["log_q"] == pytest.approx(np.mean(log_q))
    assert found["forward_kl"] == pytest.approx(np.mean(forward))
    assert found["rate"] == pytest.approx(np.mean(rate))


@pytest.mark.parametrize("beta", [2.0, 10.0])
def test_latents_of_a_learned_decoder_are_matched_for_the_highest_log_q(beta):
    """At 10 one latent is dead: only its noise could correlate."""
    model = case("L1").model
    plain = learned_vae(model, beta)
    turned = LinearVAE(-plain.gain[::-1], plain.covariance[::-1, ::-1], -plain.decoder[:, ::-1])
    best = exact(model, matched(model, turned), turned)
    found = inference(**given("L1", turned))
    for column, value in best.items():
        assert found[column] == pytest.approx(value, abs=1e-4), column


def test_latents_beyond_the_factors_count_for_the_rate_alone():
    rng = np.random.default_rng(1)
    sources = rng.normal(size=(500, 2))
    codes = np.concatenate([0.9 * sources, rng.normal(size=(500, 1))], axis=1)
    wide, narrow = (inference(sources, codes[:, :k], np.tile(0.1 * np.eye(k), (500, 1, 1))) for k in (3, 2))
    assert wide["log_q"] == narrow["log_q"]
    assert wide["rate"] > narrow["rate"] + 1
    assert wide["forward_kl"] is None
    with pytest.raises(NotApplicableError, match="1 latents can't stand for 2"):
        inference(sources, codes[:, :1], np.ones((500, 1, 1)))


def test_wrong_shapes_are_refused():
    table = given("S1", oracle_vae(case("S1").model, 1.0))
    for name in ("sources", "covariance", "true_mean", "true_covariance"):
        with pytest.raises(ValueError, match=f"{name} must have shape"):
            inference(**{**table, name: table[name][:-1]})
