"""Estimators of `bench.metrics` against their closed forms, on codes of the optimal encoders of linear-Gaussian data.

A bound is written beside the largest error found with this seed; what a wrong estimator would give (bits for nats,
means for samples, the wrong matrix) is farther off, which `assert_tells` demands.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
from scipy.special import ndtr, ndtri

from bench.analytic import measures, vae
from bench.analytic.cases import case
from bench.datasets.linear_gaussian import classes, draw
from bench.metrics import dci, elbo, kl, mig, mig_sampled, rmig, sap, total_correlation
from bench.metrics.mig import equal_width_bins, information_matrix
from bench.metrics.sap import squared_correlation
from helpers.rng import rng

SETTINGS = [("S1", 0.25), ("S1", 1.0), ("S1", 3.0), ("S1", 10.0), ("S2", 2.0), ("L1", 3.0)]
N = 100_000
#: Classes of a factor, equally probable, as the data set has them.
N_CLASSES = 20


@functools.cache
def truth(name: str, beta: float) -> tuple[Any, vae.LinearVAE]:
    found = case(name)
    make = vae.oracle_vae if found.decoder == "oracle" else vae.learned_vae
    return found.model, make(found.model, beta)


@functools.cache
def sample(name: str, beta: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Posterior means, log-variances and factors of `N` draws."""
    model, encoder = truth(name, beta)
    x, s = draw(model, N, rng=rng(7))
    means = x @ encoder.gain.T
    return means, np.broadcast_to(np.log(encoder.variances), means.shape), s


def assert_tells(found: float, right: float, bound: float, *wrong: float) -> None:
    """`found` is the right number, and each of the wrong ones would have been noticed."""
    assert abs(found - right) <= bound
    for each in wrong:
        assert abs(found - each) > bound


def binned_information(name: str, beta: float, n_bins: int, n_classes: int) -> np.ndarray:
    """Information in nats of the means, cut as the metric cuts them, with classes of s; exact, shape (D, F)."""
    model, encoder = truth(name, beta)
    means = sample(name, beta)[0]
    scale = np.sqrt(np.diag(encoder.gain @ model.data_covariance @ encoder.gain.T))
    correlation = encoder.gain @ model.mixing / scale[:, None]
    # In every class, Gauss-Legendre over the law's quantiles: factors come as points of equal weight.
    nodes, weights = np.polynomial.legendre.leggauss(8)
    s = ndtri((np.arange(n_classes)[:, None] + (nodes + 1) / 2) / n_classes)
    out = np.empty(correlation.shape)
    for j, k in np.ndindex(*out.shape):
        edges = np.linspace(means[:, j].min(), means[:, j].max(), n_bins + 1) / scale[j]
        edges[0], edges[-1] = -np.inf, np.inf
        rho = correlation[j, k]
        below = ndtr((edges - rho * s[..., None]) / np.sqrt(1 - rho**2))
        joint = np.tensordot(weights / 2, np.diff(below, axis=-1), axes=(0, 1)) / n_classes
        ratio = joint / (joint.sum(axis=0) * joint.sum(axis=1, keepdims=True))
        out[j, k] = (joint * np.log(np.where(joint > 0, ratio, 1))).sum()
    return out


def aggregates(name: str, beta: float) -> tuple[float, float, float]:
    """Exact total correlation of samples and of means, and what of the KL to the prior isn't that of samples."""
    model, encoder = truth(name, beta)
    of_samples = measures.aggregate_tc(model, encoder)
    means = vae.LinearVAE(encoder.gain, encoder.gain @ model.data_covariance @ encoder.gain.T, encoder.decoder)
    return of_samples, measures.conditional_tc(means), measures.aggregate_kl(model, encoder) - of_samples


# Mutual information gap


@pytest.mark.parametrize(("name", "beta"), SETTINGS)
def test_mig_is_the_closed_form_less_what_bins_lose(name: str, beta: float) -> None:
    model, encoder = truth(name, beta)
    means, _, s = sample(name, beta)
    found = mig(means, classes(s, "gaussian", N_CLASSES), n_samples=N, rng=rng(3))
    information = np.array(found["mutual_information"])
    exact = -0.5 * np.log1p(-measures.squared_correlations(model, encoder))
    # Plug-in estimates are too high by (B - 1)(C - 1) / (2 N) on average, and bins can't have more than the truth.
    binned = binned_information(name, beta, 20, N_CLASSES)
    assert (binned <= exact).all()
    assert np.abs(information - 19 * 19 / (2 * N) - binned).max() < 0.012  # 0.0075: four deviations are 0.012
    assert (exact - binned).max() < 0.13  # 0.122 nats of 1.21 in S2, 0.086 of 1.00 in L1, 0.058 of 0.82 in S1
    right = measures.mig(model, encoder)
    assert_tells(found["mig"] * np.log(N_CLASSES), right, 0.13, right / np.log(2))  # 0.121
    assert found["mig"] * np.log(N_CLASSES) < right


@pytest.mark.parametrize(("name", "beta"), SETTINGS)
def test_finer_bins_and_classes_bring_mig_to_its_closed_form(name: str, beta: float) -> None:
    model, encoder = truth(name, beta)
    means, _, s = sample(name, beta)
    information, entropy = information_matrix(equal_width_bins(means, 60), classes(s, "gaussian", 60))
    assert entropy == pytest.approx(np.log(60), abs=1e-3)
    ordered = np.sort(information - 59 * 59 / (2 * N), axis=0)
    right = measures.mig(model, encoder)
    sampled = measures.mig(model, encoder, sampled=True)
    wrong = (right / np.log(2), sampled) if (name, beta) != ("S1", 0.25) else (right / np.log(2),)
    assert_tells((ordered[-1] - ordered[-2]).mean(), right, 0.04, *wrong)  # 0.036


@pytest.mark.parametrize(("name", "beta"), [("S1", 1.0), ("S1", 3.0), ("S1", 10.0), ("S2", 2.0), ("L1", 3.0)])
def test_mig_of_samples_is_the_closed_form_of_samples(name: str, beta: float) -> None:
    model, encoder = truth(name, beta)
    means, logvar, s = sample(name, beta)
    factors = classes(s, "gaussian", N_CLASSES)
    right, of_means = (measures.mig(model, encoder, sampled=sampled) for sampled in (True, False))
    # What is lost is the classes'; the codes aren't cut.
    found = mig_sampled(means, logvar, factors, n_samples=10_000, rng=rng(3))["mig_sampled"] * np.log(N_CLASSES)
    assert_tells(found, right, 0.045, of_means)  # 0.027
    coarse = rmig(means, logvar, factors, n_samples=20_000, rng=rng(3))["rmig"] * np.log(N_CLASSES)
    assert_tells(coarse, right, 0.045, of_means)  # 0.029


# Predictability


@pytest.mark.parametrize(("name", "beta"), SETTINGS)
def test_continuous_sap_is_the_closed_form(name: str, beta: float) -> None:
    model, encoder = truth(name, beta)
    means, _, s = sample(name, beta)
    right = measures.sap(model, encoder)
    # Steps of 1e-4 are as good as real numbers.
    squares = squared_correlation(means, np.rint(1e4 * s).astype(np.int64))
    exact = measures.squared_correlations(model, encoder)
    assert np.abs(squares - exact).max() < 0.006  # 0.0021
    for wrong in (np.sqrt(exact), measures.squared_correlations(model, encoder, sampled=True)):
        assert np.abs(squares - wrong).max() > 0.006
    ordered = np.sort(squares, axis=0)
    assert abs((ordered[-1] - ordered[-2]).mean() - right) < 0.006


@pytest.mark.parametrize(("name", "beta"), SETTINGS)
def test_continuous_sap_on_classes_is_off_by_what_classes_are(name: str, beta: float) -> None:
    model, encoder = truth(name, beta)
    means, _, s = sample(name, beta)
    factors = classes(s, "gaussian", N_CLASSES)
    # E[z | s] is a line, so every correlation falls by the factor's own with its class, about sqrt(3 / pi).
    nodes, weights = np.polynomial.legendre.leggauss(40)
    at = ndtri((np.arange(N_CLASSES)[:, None] + (nodes + 1) / 2) / N_CLASSES) @ (weights / 2)
    own = (at * np.arange(N_CLASSES)).mean() / np.sqrt((N_CLASSES**2 - 1) / 12)
    assert own == pytest.approx(np.sqrt(3 / np.pi), abs=0.004)
    found = sap(means, factors, n_train=20_000, n_test=1_000, rng=rng(3))["sap_continuous"]
    right = measures.sap(model, encoder)
    assert_tells(found, own**2 * right, 0.012, right)  # 0.0038


@pytest.mark.parametrize(("name", "beta"), SETTINGS)
def test_linear_dci_is_the_closed_form(name: str, beta: float) -> None:
    model, encoder = truth(name, beta)
    means, _, s = sample(name, beta)
    factors = classes(s, "gaussian", N_CLASSES)
    found = dci(means, factors, n_train=60_000, n_test=30_000, predictor="linear", rng=rng(3))
    # Classes cost nothing: all coefficients fall by one number. Entropy is steep at 0, so that where a coefficient is
    # 0 in truth (S1 at beta 1) what sampling puts there lowers the score by 0.022, and elsewhere by at most 0.006.
    bound = 0.03 if (name, beta) == ("S1", 1.0) else 0.01
    for score, right in zip(("disentanglement", "completeness"), measures.dci(model, encoder), strict=True):
        assert abs(found[f"dci_{score}"] - right) < bound
    assert measures.dci(model, encoder)[0] > 0.09  # a score of nothing would be noticed
    assert np.array(found["importance"]).shape == (len(encoder.gain), model.n_factors)


def test_linear_dci_has_its_highest_point_where_the_closed_form_has_it() -> None:
    scores = []
    for beta in (0.25, 1.0, 3.0):
        means, _, s = sample("S1", beta)
        scores.append(dci(means, classes(s, "gaussian"), predictor="linear", rng=rng(3))["dci_disentanglement"])
    assert scores[1] > max(scores[0], scores[2]) + 0.3


def test_linear_dci_predicts_as_well_at_every_beta_where_no_latent_is_lost() -> None:
    # K A is invertible: the regression finds the posterior mean again, with the error variance P_ii of the truth.
    model = truth("S1", 1.0)[0]
    error = np.sqrt(model.posterior_covariance[0, 0])
    shares = []
    for beta in (0.25, 1.0, 10.0):
        means, _, s = sample("S1", beta)
        shares.append(dci(means, classes(s, "gaussian"), predictor="linear", rng=rng(3))["dci_informativeness"])
    assert np.ptp(shares) < 1e-3  # a few rows on a rim
    draws = rng(3)
    fit = error * draws.normal(size=(200_000, 1))  # E[s | x] + error = s
    mean = np.sqrt(1 - error**2) * draws.normal(size=(200_000, 1))
    index = classes(mean + fit, "gaussian")
    slope = (index * mean).mean() / (mean**2).mean()
    nearest = np.clip(np.rint(index.mean() + slope * mean), 0, 19)
    assert shares[0] == pytest.approx((nearest == index).mean(), abs=0.012)  # 5,000 rows: two deviations


# Total correlation and the KL


@pytest.mark.parametrize(("name", "beta"), SETTINGS)
def test_gaussian_total_correlation_is_the_closed_form(name: str, beta: float) -> None:
    means, logvar, _ = sample(name, beta)
    found = total_correlation(means, logvar, n_samples=N, rng=rng(3))
    of_samples, of_means, _ = aggregates(name, beta)
    wrong = (of_means,) if abs(of_means - of_samples) > 1e-3 else ()
    assert_tells(found["gaussian_tc_samples"], of_samples, 8e-4, *wrong)  # 0.0002
    assert_tells(found["gaussian_tc_means"], of_means, 8e-4, *((of_samples,) if wrong else ()))  # 0.0002
    if of_samples > 2e-3:
        assert_tells(found["gaussian_tc_samples"], of_samples, 8e-4, of_samples / np.log(2))


@pytest.mark.parametrize(("name", "beta"), SETTINGS)
def test_kl_is_the_rate(name: str, beta: float) -> None:
    model, encoder = truth(name, beta)
    means, logvar, _ = sample(name, beta)
    right = measures.rate(model, encoder)
    assert_tells(kl(means, logvar, rng=rng(3))["kl"], right, 0.015, right / np.log(2), right / len(means[0]))  # 0.006


@pytest.mark.parametrize(("name", "beta"), [("S1", 1.0), ("S1", 3.0), ("S1", 10.0), ("L1", 3.0)])
def test_the_parts_of_the_kl_are_the_closed_forms(name: str, beta: float) -> None:
    model, encoder = truth(name, beta)
    means, logvar, _ = sample(name, beta)
    found = elbo(means, logvar, n_samples=4_000, n_rows=5_000, rng=rng(3))
    of_samples, of_means, of_each = aggregates(name, beta)
    right = measures.rate(model, encoder) - measures.aggregate_kl(model, encoder)
    # The first is 0.0026 off, with a standard error of 0.006; the information has the sampling of the KL besides.
    assert abs(found["elbo_tc"] - of_samples) < 3 * found["elbo_tc_error"] + 0.003
    assert_tells(found["elbo_dimension_wise_kl"], of_each, 0.006)  # 0.001
    assert_tells(found["elbo_index_code_mi"], right, 0.03, right / np.log(2))  # 0.005
    if of_means > 0.1:
        assert abs(found["elbo_tc"] - of_means) > 0.05


@pytest.mark.parametrize(("name", "beta"), [("S1", 0.25), ("S2", 2.0)])
def test_much_information_is_estimated_too_low_and_total_correlation_too_high(name: str, beta: float) -> None:
    # 3.8 and 4.5 nats of at most log 5,000 = 8.5: posteriors hardly overlap, and a mixture of so few is lumpy.
    model, encoder = truth(name, beta)
    means, logvar, _ = sample(name, beta)
    found = elbo(means, logvar, n_samples=4_000, n_rows=5_000, rng=rng(3))
    excess = found["elbo_tc"] - aggregates(name, beta)[0]
    assert 3 * found["elbo_tc_error"] < excess < 0.08  # 0.015 and 0.053
    assert (
        -0.08 < found["elbo_index_code_mi"] - measures.rate(model, encoder) + measures.aggregate_kl(model, encoder) < 0
    )
