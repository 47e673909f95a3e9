"""What can be measured on a linear Gaussian encoder, exactly: no samples, no estimates.

They take any `bench.analytic.vae.LinearVAE`, the optimum or a trained one. Those that compare latents with factors take
latent i to stand for factor i; see `bench.analytic.vae.matched`. Those that hold for every law of independent s of
zero mean and unit variance say so; the others are for Gaussian s.
"""

from __future__ import annotations

import numpy as np

from bench.analytic.model import Floats, LinearGaussian
from bench.analytic.vae import LinearVAE

LOG_2PI = float(np.log(2 * np.pi))


def rate(model: LinearGaussian, vae: LinearVAE) -> float:
    """``R = E KL(q(z|x) || N(0, I)) = [tr(S + K C K') - n - log det S] / 2`` nats, C the covariance of x; any law."""
    power = np.trace(vae.covariance) + np.trace(_code_covariance(model, vae))
    return 0.5 * (float(power) - len(vae.gain) - _logdet(vae.covariance))


def distortion(model: LinearGaussian, vae: LinearVAE) -> float:
    """``E |x - W z|²`` over data and samples of q(z|x), summed over the d dimensions; any law."""
    residual = np.eye(model.n_dimensions) - vae.decoder @ vae.gain
    noise = vae.decoder @ vae.covariance @ vae.decoder.T
    return float(np.trace(residual @ model.data_covariance @ residual.T + noise))


def objective(model: LinearGaussian, vae: LinearVAE, beta: float) -> float:
    """``J = -d/2 log(2π σ_d²) - E|x - W z|² / (2 σ_d²) - β R`` in nats, which training maximises; any law."""
    variance = model.decoder_variance
    fit = model.n_dimensions * (LOG_2PI + np.log(variance)) + distortion(model, vae) / variance
    return -0.5 * float(fit) - beta * rate(model, vae)


def model_kl(model: LinearGaussian, vae: LinearVAE) -> float:
    """``KL(p_data || p_model)`` in nats, p_model = N(0, W W' + σ_d² I) without the encoder."""
    fitted = vae.decoder @ vae.decoder.T + model.decoder_variance * np.eye(model.n_dimensions)
    return _gaussian_kl(model.data_covariance, fitted)


def error_covariance(model: LinearGaussian, vae: LinearVAE) -> Floats:
    """``M = E (m - s)(m - s)'`` of the posterior means m = K x, shape (k, k); any law."""
    difference = vae.gain @ model.mixing - np.eye(model.n_factors)
    return difference @ difference.T + model.noise_variance * vae.gain @ vae.gain.T


def mean_squared_error(model: LinearGaussian, vae: LinearVAE) -> float:
    """``tr M / k``: the squared error of a posterior mean, per factor; any law."""
    return float(np.trace(error_covariance(model, vae))) / model.n_factors


def log_q(model: LinearGaussian, vae: LinearVAE) -> float:
    """``L = E log q(s|x) = -[k log 2π + log det S + tr(S^-1 M)] / 2`` nats, at the true factors; any law."""
    misfit = np.trace(np.linalg.solve(vae.covariance, error_covariance(model, vae)))
    return -0.5 * (model.n_factors * LOG_2PI + _logdet(vae.covariance) + float(misfit))


def forward_kl(model: LinearGaussian, vae: LinearVAE) -> float:
    """``E KL(p(s|x) || q)`` in nats, at least 0; ``-H(s|x) - L``, here from the two Gaussians."""
    off = _mean_difference(model, vae)
    return _gaussian_kl(model.posterior_covariance, vae.covariance) + 0.5 * float(
        np.trace(np.linalg.solve(vae.covariance, off))
    )


def reverse_kl(model: LinearGaussian, vae: LinearVAE) -> float:
    """``E KL(q || p(s|x))`` in nats: for W = A and σ_d = σ, how far the evidence lower bound is below log p(x)."""
    off = _mean_difference(model, vae)
    return _gaussian_kl(vae.covariance, model.posterior_covariance) + 0.5 * float(
        np.trace(model.posterior_precision @ off)
    )


def calibration(model: LinearGaussian, vae: LinearVAE) -> Floats:
    """``M_ii / S_ii``, shape (k,): above 1 the encoder is surer of a factor than it may be; any law."""
    return np.diag(error_covariance(model, vae)) / vae.variances


def conditional_tc(vae: LinearVAE) -> float:
    """Total correlation of q(z|x), ``[sum_i log S_ii - log det S] / 2`` nats: 0 if latents are independent given x."""
    return _total_correlation(vae.covariance)


def aggregate_covariance(model: LinearGaussian, vae: LinearVAE) -> Floats:
    """Covariance of a sample z over all data, ``K C K' + S``, shape (n_latents, n_latents); any law."""
    return _code_covariance(model, vae) + vae.covariance


def aggregate_tc(model: LinearGaussian, vae: LinearVAE) -> float:
    """Total correlation of the aggregate q(z) in nats: 0 if latents are independent over all data.

    It has zeros by accident; whether q(z) is the prior is what `aggregate_kl` tells.
    """
    return _total_correlation(aggregate_covariance(model, vae))


def aggregate_kl(model: LinearGaussian, vae: LinearVAE) -> float:
    """``KL(q(z) || N(0, I))`` of the aggregate, in nats."""
    covariance = aggregate_covariance(model, vae)
    return _gaussian_kl(covariance, np.eye(len(covariance)))


def regression(model: LinearGaussian, vae: LinearVAE) -> Floats:
    """Coefficients of the best linear prediction of s from the posterior means, shape (k, n_latents).

    ``B = E[s m'] E[m m']^-1``, 0 for a latent whose mean never moves; any law. For W = A and σ_d = σ it is
    ``I + (β - 1) P``.
    """
    # Dead latents make the covariance singular; what they'd get is then the smallest coefficient, which is 0.
    return (vae.gain @ model.mixing).T @ np.linalg.pinv(_code_covariance(model, vae), hermitian=True)


def dci(model: LinearGaussian, vae: LinearVAE) -> tuple[float, float]:
    """Disentanglement and completeness of a linear DCI, each in [0, 1]; any law.

    Importances are the absolute values of `regression` on means of unit variance. A latent is disentangled by 1 minus
    the entropy of its importances over the factors, a factor complete by 1 minus that of its importances over the
    latents; each is weighted by its share of all. Entropies are to the base of their number of terms. Both are 0
    if no mean moves. It is what `bench.metrics.dci` with the linear predictor estimates.

    Raises
    ------
    ValueError
        With fewer than two factors or two latents.

    References
    ----------
    Eastwood & Williams, "A framework for the quantitative evaluation of disentangled representations", ICLR 2018.
    """
    scale = np.sqrt(np.diag(_code_covariance(model, vae)))
    importance = np.abs(regression(model, vae)) * scale
    if min(importance.shape) < 2:
        raise ValueError(f"needs two factors and two latents, got {importance.shape}")
    if not importance.any():
        return 0.0, 0.0
    of_latents, of_factors = (importance.sum(axis=axis) / importance.sum() for axis in (0, 1))
    return float(of_latents @ _concentration(importance.T)), float(of_factors @ _concentration(importance))


def squared_correlations(model: LinearGaussian, vae: LinearVAE, *, sampled: bool = False) -> Floats:
    """``ρ²`` of every latent with every factor, shape (n_latents, k); any law.

    Parameters
    ----------
    model, vae
    sampled : bool
        Of samples z instead of posterior means. A mean that never moves has 0.
    """
    covariance = aggregate_covariance(model, vae) if sampled else _code_covariance(model, vae)
    variances = np.diag(covariance)[:, None]
    cross = (vae.gain @ model.mixing) ** 2
    return np.divide(cross, variances, out=np.zeros_like(cross), where=variances > 0)


def mig(model: LinearGaussian, vae: LinearVAE, *, sampled: bool = False) -> float:
    """Mutual information gap in nats: of the best latent minus of the second, ``I = -log(1 - ρ²) / 2``, mean over s.

    Not divided by the entropy of the factor, which has none in the discrete sense. Infinite without noise.
    """
    squares = squared_correlations(model, vae, sampled=sampled)
    return _gap(-0.5 * np.log1p(-np.minimum(squares, 1.0)))


def sap(model: LinearGaussian, vae: LinearVAE) -> float:
    """SAP of the posterior means: ``ρ²`` of the best latent minus that of the second, mean over factors; any law."""
    return _gap(squared_correlations(model, vae))


def _code_covariance(model: LinearGaussian, vae: LinearVAE) -> Floats:
    return vae.gain @ model.data_covariance @ vae.gain.T


def _mean_difference(model: LinearGaussian, vae: LinearVAE) -> Floats:
    """Second moment of what the means are off the true posterior's."""
    difference = vae.gain - model.posterior_gain
    return difference @ model.data_covariance @ difference.T


def _gap(values: Floats) -> float:
    """Largest minus second largest over the rows, mean over the columns; of a single row, the value itself."""
    ordered = np.sort(np.vstack([values, np.zeros(values.shape[1])]), axis=0)
    return float((ordered[-1] - ordered[-2]).mean())


def _concentration(importance: Floats) -> Floats:
    """1 minus the entropy of every row over its columns, to the base of their number; 0 for a row of zeros."""
    total = importance.sum(axis=1, keepdims=True)
    shares = np.divide(importance, total, out=np.full_like(importance, 1 / importance.shape[1]), where=total > 0)
    logs = np.log(np.where(shares > 0, shares, 1.0))
    return np.asarray(1 + (shares * logs).sum(axis=1) / np.log(importance.shape[1]))


def _gaussian_kl(left: Floats, right: Floats) -> float:
    """``KL(N(0, left) || N(0, right))`` in nats."""
    trace = float(np.trace(np.linalg.solve(right, left)))
    return 0.5 * (trace - len(left) + _logdet(right) - _logdet(left))


def _total_correlation(covariance: Floats) -> float:
    return 0.5 * (float(np.log(np.diag(covariance)).sum()) - _logdet(covariance))


def _logdet(covariance: Floats) -> float:
    return float(np.linalg.slogdet(covariance)[1])
