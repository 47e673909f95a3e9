from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import dblquad, quad

from bench.analytic import measures, oracle
from bench.analytic import posterior as true
from bench.analytic.cases import case, pair
from bench.analytic.model import LinearGaussian
from bench.analytic.vae import oracle_vae
from bench.dataset import load_dataset, resolve_options
from bench.datasets import linear_gaussian as lg
from bench.errors import BenchError
from helpers.specs import specs_of

LAWS = ["gaussian", "laplace", "uniform"]
SCIPY = {
    "gaussian": stats.norm(),
    "laplace": stats.laplace(scale=np.sqrt(0.5)),
    "uniform": stats.uniform(-np.sqrt(3), 2 * np.sqrt(3)),
}


def sample(model, n, law, seed=0):
    return lg.draw(model, n, law, rng=np.random.default_rng(seed))


@pytest.mark.parametrize("law", LAWS)
def test_factors_are_independent_with_unit_variance_and_of_the_law(law):
    _, s = sample(case("S2").model, 40_000, law)
    assert s.shape == (40_000, 4)
    np.testing.assert_allclose(s.mean(axis=0), 0, atol=0.02)
    np.testing.assert_allclose(np.cov(s.T), np.eye(4), atol=0.03)
    assert stats.kstest(s[:, 0], SCIPY[law].cdf).pvalue > 1e-3
    others = [name for name in LAWS if name != law]
    assert max(stats.kstest(s[:, 0], SCIPY[name].cdf).pvalue for name in others) < 1e-3


@pytest.mark.parametrize("law", LAWS)
def test_data_are_the_mixed_factors_plus_noise(law):
    model = LinearGaussian(np.random.default_rng(3).normal(size=(5, 3)), 0.3)
    x, s = sample(model, 40_000, law)
    noise = x - s @ model.mixing.T
    np.testing.assert_allclose(np.cov(noise.T), 0.3 * np.eye(5), atol=0.01)
    np.testing.assert_allclose(noise.T @ s / len(s), 0, atol=0.02)
    np.testing.assert_allclose(np.cov(x.T), model.data_covariance, atol=0.15)


def test_a_draw_repeats_and_an_unknown_law_is_refused():
    first, again = sample(case("S1").model, 5, "laplace"), sample(case("S1").model, 5, "laplace")
    np.testing.assert_array_equal(first[0], again[0])
    with pytest.raises(ValueError, match="no law 'cauchy'"):
        sample(case("S1").model, 5, "cauchy")


@pytest.mark.parametrize("law", LAWS)
def test_densities_are_scipys(law):
    model = case("L1").model
    x, s = sample(model, 7, law)
    np.testing.assert_allclose(true.log_prior(s, law), SCIPY[law].logpdf(s).sum(axis=1))
    noise = stats.multivariate_normal(cov=0.1 * np.eye(5))
    expected = [noise.logpdf(a - model.mixing @ b) for a, b in zip(x, s, strict=True)]
    np.testing.assert_allclose(true.log_likelihood(model, x, s), expected)
    assert true.log_prior(np.array([[0.0, 1.8]]), "uniform") == -np.inf


@pytest.mark.parametrize("law", LAWS)
def test_classes_are_equally_probable_and_ascend(law):
    edges = SCIPY[law].ppf(np.arange(1, 10) / 10)
    np.testing.assert_array_equal(lg.classes(edges + 1e-9, law, 10), np.arange(1, 10))
    np.testing.assert_array_equal(lg.classes(edges - 1e-9, law, 10), np.arange(9))
    np.testing.assert_array_equal(lg.classes(np.array([-50.0, 50.0]), law), [0, 19])
    assert lg.classes(np.zeros((3, 2)), law).dtype == np.int64


@pytest.mark.parametrize("law", LAWS)
def test_inference_of_a_linear_encoder_depends_on_second_moments_alone(law):
    model, beta = case("S1").model, 1.7
    vae = oracle_vae(model, beta)
    x, s = sample(model, 100_000, law)
    error = x @ vae.gain.T - s
    each = -0.5 * (np.log(2 * np.pi * vae.variances) + error**2 / vae.variances).sum(axis=1)
    assert each.mean() == pytest.approx(float(oracle.log_q(model, beta)), abs=4 * each.std() / np.sqrt(len(x)))
    assert (error**2).mean() == pytest.approx(float(oracle.mean_squared_error(model, beta)), rel=0.02)
    residual = x[:, None] - (x @ vae.gain.T)[:, None] @ vae.decoder.T
    noise = np.trace(vae.decoder @ vae.covariance @ vae.decoder.T)
    assert (residual**2).sum(axis=(1, 2)).mean() + noise == pytest.approx(measures.distortion(model, vae), rel=0.02)


def test_the_gaussian_posterior_is_bayes_rule():
    model = case("L1").model
    x, s = sample(model, 4, "gaussian")
    found = true.posterior(model, x)
    joint = true.log_prior(s, "gaussian") + true.log_likelihood(model, x, s)
    by_posterior = [
        stats.multivariate_normal(m, c).logpdf(b) for m, c, b in zip(found.mean, found.covariance, s, strict=True)
    ]
    np.testing.assert_allclose(found.log_evidence, joint - by_posterior)
    assert found.entropy == pytest.approx(stats.multivariate_normal(cov=found.covariance[0]).entropy())


NARROW, FLAT = pair(0.9, 1e4), LinearGaussian([[1.0, 0.7]], 0.1)


@pytest.mark.parametrize("model", [case("S1").model, case("L1").model, NARROW, FLAT])
def test_quadrature_is_exact_for_gaussian_factors(model):
    x, _ = sample(model, 3, "gaussian")
    exact = true.posterior(model, x)
    rule = np.polynomial.legendre.leggauss(true._count_nodes(model, "gaussian"))
    for row, mean, covariance, entropy, evidence in zip(
        x, exact.mean, exact.covariance, exact.entropy, exact.log_evidence, strict=True
    ):
        found = true._integrate(model, row, "gaussian", rule)
        np.testing.assert_allclose(found[0], mean, atol=1e-9)
        np.testing.assert_allclose(found[1], covariance, atol=1e-9)
        assert found[2:] == pytest.approx((entropy, evidence), abs=1e-9)


@pytest.mark.parametrize("law", ["laplace", "uniform"])
@pytest.mark.parametrize("x", [(0.9, 0.2), (-4.0, 3.0), (0.0, 0.0)])
def test_one_factors_posterior_is_the_adaptive_integral(law, x):
    model = LinearGaussian([[0.6], [-0.3]], 0.4)
    found = true.posterior(model, np.array([x]), law)
    edge = np.sqrt(3) if law == "uniform" else 18

    def joint(s):
        return float(
            np.exp(true.log_prior(np.array([s]), law) + true.log_likelihood(model, np.array(x), np.array([s])))
        )

    def integral(f):
        return quad(lambda s: f(s, joint(s)), -edge, edge, points=[0], epsabs=1e-12, epsrel=1e-10, limit=200)[0]

    total = integral(lambda s, p: p)
    mean = integral(lambda s, p: s * p) / total
    assert found.log_evidence[0] == pytest.approx(np.log(total), abs=1e-8)
    assert found.mean[0, 0] == pytest.approx(mean, abs=1e-8)
    variance = integral(lambda s, p: (s - mean) ** 2 * p) / total
    assert found.covariance[0, 0, 0] == pytest.approx(variance, abs=1e-8)
    entropy = np.log(total) - integral(lambda s, p: p * np.log(p) if p > 0 else 0) / total
    assert found.entropy[0] == pytest.approx(entropy, abs=1e-7)


@pytest.mark.parametrize("law", ["laplace", "uniform"])
def test_two_factors_evidence_is_the_adaptive_integral(law):
    model, x = pair(0.5, 2.0), np.array([[0.4, -0.9]])
    found = true.posterior(model, x, law)

    def density(b, a):
        s = np.array([a, b])
        return float(np.exp(true.log_prior(s, law) + true.log_likelihood(model, x[0], s)))

    edges = [-np.sqrt(3), 0, np.sqrt(3)] if law == "uniform" else [-9, 0, 9]
    total = sum(
        dblquad(density, low, high, left, right, epsabs=1e-8)[0]
        for low, high in pairwise(edges)
        for left, right in pairwise(edges)
    )
    assert found.log_evidence[0] == pytest.approx(np.log(total), abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("law", ["laplace", "uniform"])
def test_posteriors_have_the_moments_of_the_factors_they_are_for(law):
    model = pair(0.5, 3.0)
    x, s = sample(model, 600, law)
    found = true.posterior(model, x, law)
    error = found.mean - s
    inside = np.trace(found.covariance, axis1=1, axis2=2).mean()
    assert (error**2).sum(axis=1).mean() == pytest.approx(inside, rel=0.1)
    # No linear estimate can do better than this one.
    linear = x @ model.posterior_gain.T - s
    assert (error**2).sum() < (linear**2).sum()
    # The Gaussian has the largest entropy of its variance, so that its posterior's is above the others'.
    assert found.entropy.mean() < model.posterior_entropy
    score = -0.5 * np.linalg.slogdet(2 * np.pi * found.covariance)[1] - 0.5 * np.einsum(
        "ni,nij,nj->n", error, np.linalg.inv(found.covariance), error
    )
    assert score.mean() <= -found.entropy.mean() + 0.03, "no Gaussian beats the posterior itself"


def test_no_posterior_of_many_factors_or_of_needles():
    x = np.zeros((1, 8))
    with pytest.raises(ValueError, match="at most 2"):
        true.posterior(case("S2").model, x, "laplace")
    with pytest.raises(ValueError, match="needle"):
        true.posterior(pair(0.9999, 1e6), x[:, :2], "laplace")
    assert true.posterior(case("S2").model, x).mean.shape == (1, 4)


# As a registered data set.


def load(**options):
    return load_dataset("linear_gaussian", options)


@pytest.mark.parametrize("law", LAWS)
def test_moments_of_the_sample_are_exactly_the_models(law):
    data = load(case="L1", law=law, n=1000)
    rows = np.arange(1000)
    s, x = data.sources(rows), data.images(rows)[:, 0, 0].astype(np.float64)
    np.testing.assert_allclose(np.concatenate([s, x], axis=1).mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(s.T @ s / 1000, np.eye(2), atol=1e-9)
    np.testing.assert_allclose(x.T @ x / 1000, data.model.data_covariance, atol=1e-5)
    np.testing.assert_allclose(x.T @ s / 1000, data.model.mixing, atol=1e-5)
    # In units of the noise, the signal-to-noise matrix and with it every closed form is the case's.
    np.testing.assert_allclose(data.model.snr, case("L1").model.snr)
    assert (data.posterior(rows) is None) == (law != "gaussian")


def test_making_moments_exact_moves_little():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(10_000, 3))
    assert np.abs(lg.exactly(values) - values).mean() < 0.03


def test_options_are_filled_in_and_any_mixing_can_be_given():
    assert resolve_options("linear_gaussian", {"case": "L1"})["decoder"] == "learned"
    assert resolve_options("linear_gaussian", {"case": "S2"})["noise_variance"] == 0.05
    spellings = [resolve_options("linear_gaussian", {"mixing": text}) for text in ("1 .8;0 0.60", "1.0 0.8 ; 0 0.6")]
    assert spellings[0] == spellings[1]
    own = load(mixing="1 0; 0.5 2; 0 1", noise_variance=0.25, decoder="learned", n=200)
    assert own.image_shape == (1, 1, 3)
    np.testing.assert_allclose(own.model.mixing, np.array([[1, 0], [0.5, 2], [0, 1]]) / 0.5)
    assert own.known_decoder() is None
    assert load(mixing="1 0; 0.5 2; 0 1", n=200).known_decoder().shape == (3, 2)
    for text in ("1 0; 1", "a b", ";"):
        with pytest.raises(BenchError, match="write the rows of A"):
            load(mixing=text)


@pytest.mark.parametrize(
    ("method", "data", "settings", "message"),
    [
        ("pca", "linear_gaussian", [], "method 'pca' is for images, dataset 'linear_gaussian' has vectors"),
        ("sigma_vae", "linear_gaussian", [], "method 'sigma_vae' is for images"),
        ("full_covariance_vae", "dsprites", ["train.network=mlp"], "is for vectors, dataset 'dsprites' has images"),
        ("two_stage", "linear_gaussian", [], "trains a second decoder"),
        ("vae", "linear_gaussian", ["train.latent_dim=3"], "train.latent_dim=2"),
        ("vae", "linear_gaussian", ["train.network=mlp"], "train.network=linear"),
    ],
)
def test_what_does_not_go_together_is_refused_when_it_is_planned(method, data, settings, message):
    base = ["train.network=linear", "train.latent_dim=2", *settings]
    with pytest.raises(BenchError, match=message) as refusal:
        specs_of([method], *base, datasets=[data])
    assert "\n" not in str(refusal.value)


def test_methods_that_make_sense_are_taken():
    names = "vae,beta_vae,factor_vae,control_vae,dynamic_vae,annealed_vae,beta_tcvae,dip_vae,info_vae,switch_beta"
    wanted = [*names.split(","), "autoencoder", "untrained", "full_covariance_vae"]
    settings = ["train.network=linear", "train.latent_dim=2"]
    specs = specs_of(wanted, *settings, datasets=["linear_gaussian"])
    assert [spec.method.name for spec in specs] == wanted
