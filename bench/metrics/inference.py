"""Inference of factors that are real numbers, and how independent the codes are."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from bench.metric import Floats, NotApplicableError, Score, check_codes, register_metric

LOG_2PI = math.log(2 * math.pi)
LOSS = partial(Score, high=math.inf, higher_is_better=False)


@register_metric(
    "inference",
    version=2,
    inputs=("sources", "codes", "covariance"),
    optional=("true_mean", "true_covariance"),
    scores={
        "log_q": Score("E log q(s|x) (nats)", low=-math.inf, high=math.inf),
        "source_mse": LOSS("MSE of the factors"),
        "forward_kl": LOSS("KL(p(s|x) || q) (nats)"),
        "reverse_kl": LOSS("KL(q || p(s|x)) (nats)"),
        "rate": Score("rate (nats)", high=math.inf, higher_is_better=None),
        "tc_conditional": LOSS("TC of q(z|x) (nats)"),
        "tc_aggregate": LOSS("TC of q(z) (nats)"),
        "kl_aggregate": LOSS("KL(q(z) || p(z)) (nats)"),
    },
    groups=("inference",),
)
def inference(
    sources: Any,
    codes: Any,
    covariance: Any,
    true_mean: Any | None = None,
    true_covariance: Any | None = None,
    *,
    rng: np.random.Generator | None = None,
) -> dict[str, Any]:
    """How well Gaussian posteriors infer factors that are real numbers, and how independent codes are.

    Latents stand for factors by the signed one-to-one choice with the largest ``sum |E[m_j s_i / S_jj]|``, which for
    posteriors that are independent and of one variance is the one with the highest ``log_q``. (Correlations instead
    would take a dead latent, whose minute gain may correlate perfectly.) All numbers are means over the rows of what is
    exact for each posterior; ``tc_aggregate`` and ``kl_aggregate`` take q(z), of which they know the covariance, to be
    Gaussian, as it is for linear encoders of Gaussian data.

    Parameters
    ----------
    sources : array-like of shape (N, F)
        Factors, of zero mean and unit variance.
    codes : array-like of shape (N, D)
        Posterior means, D >= F.
    covariance : array-like of shape (N, D, D)
        Posterior covariances, positive definite.
    true_mean, true_covariance : array-like of shape (N, F) and (N, F, F), optional
        Mean and covariance of the sources given the data, where that is Gaussian. Both or none.
    rng : numpy.random.Generator, optional
        Unused; here because every metric takes one.

    Returns
    -------
    dict
        ``log_q``, the mean of log q(s|x) at the true factors; ``source_mse`` of the means, per factor; ``forward_kl``
        and ``reverse_kl`` between q and the true posterior, None if that isn't given; ``rate``, KL(q(z|x) || N(0, I))
        over all latents; total correlation of q(z|x), ``tc_conditional``, and of q(z), ``tc_aggregate``;
        ``kl_aggregate``, both None where they are infinite because codes determine each other. All but the error are
        nats. Further ``latents`` and ``signs`` that stand for the factors, and ``calibration``, by factor the squared
        error over the posterior's variance: above 1 the posterior is too sure.

    Raises
    ------
    ValueError
        For what `bench.metric.check_codes` rejects, other shapes, or numbers that aren't finite.
    NotApplicableError
        With fewer latents than factors.

    References
    ----------
    Ours, for linear-Gaussian data (`bench.analytic`); the question is that of Sikka, Zhong, Yin and Pehlevan, "A Closer
    Look at Disentangling in β-VAE", Asilomar 2019 (arXiv 1912.05127).
    """
    mean, _ = check_codes(codes)
    n, d = mean.shape
    s = _table(sources, (n, -1), "sources")
    spread = _table(covariance, (n, d, d), "covariance")
    if d < s.shape[1]:
        raise NotApplicableError(f"{d} latents can't stand for {s.shape[1]} factors")
    if (spread == spread[0]).all():
        # One covariance for all, as linear encoders have: it is inverted once.
        spread = spread[:1]
    latents, signs = _match(mean, np.diagonal(spread, axis1=1, axis2=2), s)
    m, v = mean[:, latents] * signs, spread[:, latents[:, None], latents] * np.outer(signs, signs)
    error = (m - s) ** 2
    misfit = _weighted(v, m - s)
    total = mean.T @ mean / n + spread.mean(axis=0)
    # Not the total less the square of the mean: far from 0 nothing would be left of the difference.
    centred = mean - mean.mean(axis=0)
    aggregate = centred.T @ centred / n + spread.mean(axis=0)
    scale = np.sqrt(np.diag(aggregate))
    # Of codes that others determine to rounding both are infinite, and the determinant's digits are noise.
    flat = bool(np.linalg.eigvalsh(aggregate / scale / scale[:, None])[0] < d * 1e-14)
    power = np.trace(spread, axis1=1, axis2=2) + (mean**2).sum(axis=1)
    logs = np.log(np.diagonal(spread, axis1=1, axis2=2)).sum(axis=1)
    forward = reverse = None
    if true_mean is not None and true_covariance is not None:
        t = _table(true_mean, s.shape, "true_mean")
        p = _table(true_covariance, (n, s.shape[1], s.shape[1]), "true_covariance")
        p = p[:1] if (p == p[0]).all() else p
        forward = float(_kl(t, p, m, v).mean())
        reverse = float(_kl(m, v, t, p).mean())
    return {
        "log_q": -0.5 * float((s.shape[1] * LOG_2PI + _logdet(v) + misfit).mean()),
        "source_mse": float(error.mean()),
        "forward_kl": forward,
        "reverse_kl": reverse,
        "rate": max(0.0, 0.5 * float((power - d - _logdet(spread)).mean())),
        "tc_conditional": max(0.0, 0.5 * float((logs - _logdet(spread)).mean())),
        "tc_aggregate": None if flat else max(0.0, 0.5 * float(np.log(np.diag(aggregate)).sum() - _logdet(aggregate))),
        "kl_aggregate": None if flat else max(0.0, 0.5 * float(np.trace(total) - d - _logdet(aggregate))),
        "latents": latents.tolist(),
        "signs": signs.tolist(),
        "calibration": (error / np.diagonal(v, axis1=1, axis2=2)).mean(axis=0).tolist(),
        "n_samples": n,
        "settings": {},
    }


def _table(values: Any, shape: tuple[int, ...], name: str) -> Floats:
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != len(shape) or any(b not in (-1, a) for a, b in zip(table.shape, shape, strict=True)):
        raise ValueError(f"{name} must have shape {shape}, got {table.shape}")
    if not np.isfinite(table).all():
        raise ValueError(f"{name} holds NaN or infinite values")
    return table


def _match(mean: Floats, variances: Floats, sources: Floats) -> tuple[Any, Floats]:
    """Latent of every factor, and its sign."""
    from scipy.optimize import linear_sum_assignment

    overlap = (mean / variances).T @ sources
    rows, columns = linear_sum_assignment(np.abs(overlap), maximize=True)
    latents = rows[np.argsort(columns)]
    return latents, np.where(overlap[latents, np.arange(len(latents))] < 0, -1.0, 1.0)


def _weighted(covariance: Floats, difference: Floats) -> Floats:
    """``d' S^-1 d`` of every row."""
    half = (difference[:, None, :] @ np.linalg.inv(covariance))[:, 0, :]
    return np.asarray((half * difference).sum(axis=1))


def _kl(left: Floats, left_covariance: Floats, right: Floats, right_covariance: Floats) -> Floats:
    """KL(left || right) of two Gaussians, row by row, in nats."""
    ratio = np.linalg.solve(right_covariance, left_covariance)
    spread = np.trace(ratio, axis1=1, axis2=2) - left.shape[1] - _logdet(left_covariance) + _logdet(right_covariance)
    return np.asarray(0.5 * (spread + _weighted(right_covariance, right - left)))


def _logdet(covariance: Floats) -> Floats:
    return np.asarray(np.linalg.slogdet(covariance)[1])
