"""Total correlation of codes under a Gaussian model, of the means and of samples."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from bench.metric import Floats, NotApplicableError, Score, register_metric
from bench.metrics._samples import draw_rows, share_of_scale
from bench.metrics.mig_sampled import check_posteriors


@register_metric(
    "total_correlation",
    version=2,
    inputs=("codes",),
    optional=("logvar",),
    scores={
        "gaussian_tc_means": Score("Gaussian TC, means (nats)", high=math.inf, higher_is_better=False),
        "gaussian_tc_samples": Score("Gaussian TC, samples (nats)", high=math.inf, higher_is_better=False),
    },
)
def total_correlation(
    codes: Any,
    logvar: Any | None = None,
    *,
    threshold: float = 0.01,
    ridge: float = 1e-6,
    n_samples: int = 10_000,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Total correlation of a Gaussian with the covariance of the codes.

    ``(sum_j log C_jj - log det C) / 2`` over active codes, which is ``-log det R / 2`` of their correlations
    R. For samples ``z ~ q(z|x)`` the covariance is that of the means plus the mean posterior variance on the
    diagonal (law of total variance), so nothing is drawn. Regularisation often lowers the total correlation
    of samples and raises that of means (Locatello et al. 2019): always say which. Dependence without linear
    correlation isn't seen.

    Parameters
    ----------
    codes : array-like of shape (N, D)
        Posterior means, finite; N at least 2 more than there are active codes.
    logvar : array-like of shape (N, D), optional
        Posterior log-variances, finite. Codes without noise have none.
    threshold : float
        A code is active if the variance of its mean is above this share of that of samples from its posteriors or,
        without `logvar`, of the variance of the widest code.
    ridge : float
        Added to the diagonal of R before it is scaled back to 1: keeps the value of exact duplicates finite,
        at ``-log(2 ridge) / 2`` or 6.6 nats per pair.
    n_samples : int
        Rows to use, drawn without replacement; all of them where there are no more.
    rng : numpy.random.Generator
        Draws the rows; unused where all are used.

    Returns
    -------
    dict
        ``gaussian_tc_means`` and ``gaussian_tc_samples`` in nats, at least 0, and 0 with fewer than two active
        codes, the second None without `logvar`; ``correlation_means``, ``correlation_samples``, matrices over the
        active codes; ``active``, their column numbers, and ``inactive``, those of the others; ``bias``, what
        independent codes give on this many rows in expectation, about ``n_active (n_active - 1) / (4 N)``;
        ``gaussian_tc_means_error`` and ``gaussian_tc_samples_error``, that and what the ridge takes off, None for codes
        that others determine, whose true value is infinite; ``n_active``; ``n_samples``; ``settings``.

    Raises
    ------
    ValueError
        For what `bench.metric.check_codes` rejects, log-variances of another shape or not finite, a negative
        ridge, or too few rows.

    References
    ----------
    Locatello et al.: Challenging Common Assumptions in the Unsupervised Learning of Disentangled
    Representations, ICML 2019, section 5.1; total correlation is Watanabe's (1960).
    """
    table, spread, _ = check_posteriors(codes, np.zeros_like(codes) if logvar is None else logvar)
    if not ridge >= 0:
        raise ValueError(f"ridge must not be negative, got {ridge}")
    rows = draw_rows(len(table), n_samples, rng)
    table, spread = table[rows], spread[rows]
    if len(table) < 2:
        raise NotApplicableError("total correlation needs at least 2 rows: one has no covariance")
    share = share_of_scale(table, None if logvar is None else spread)
    active = np.flatnonzero(share > threshold)
    n_active = len(active)
    if n_active >= 2 and len(table) < n_active + 2:
        raise NotApplicableError(
            f"total correlation of {n_active} active codes needs at least {n_active + 2} rows, got {len(table)}"
        )
    centred = table[:, active] - table[:, active].mean(axis=0)
    # In units of their own, in which squares neither vanish nor overflow; correlations have none.
    unit = np.abs(centred).max(axis=0)
    centred = centred / unit
    covariance = centred.T @ centred / (len(table) - 1)
    noise = ((spread[:, active] / unit) ** 2).mean(axis=0)
    means = correlation(covariance)
    samples = None if logvar is None else correlation(covariance + np.diag(noise))
    bias = n_active * (n_active - 1) / (4 * len(table))
    return {
        "gaussian_tc_means": gaussian_tc(means, ridge),
        "gaussian_tc_samples": None if samples is None else gaussian_tc(samples, ridge),
        "gaussian_tc_means_error": bias + _cost_of_ridge(means, ridge),
        **({} if samples is None else {"gaussian_tc_samples_error": bias + _cost_of_ridge(samples, ridge)}),
        "correlation_means": means.tolist(),
        "correlation_samples": None if samples is None else samples.tolist(),
        "active": active.tolist(),
        "inactive": np.flatnonzero(share <= threshold).tolist(),
        "bias": bias,
        "n_active": n_active,
        "n_samples": len(table),
        "settings": {"threshold": threshold, "ridge": ridge, "n_samples": n_samples},
    }


def correlation(covariance: Floats) -> Floats:
    """Scale a covariance with positive diagonal to correlations, with a diagonal of exactly 1."""
    scale = np.sqrt(np.diag(covariance))
    result = covariance / scale / scale[:, None]
    np.fill_diagonal(result, 1.0)
    return result


def _cost_of_ridge(correlations: Floats, ridge: float) -> float:
    """What the ridge takes off, in nats; infinite where codes are copies or sums of others to rounding."""
    if len(correlations) < 2:
        return 0.0
    if np.linalg.eigvalsh(correlations)[0] < len(correlations) * 1e-14:
        return math.inf
    return gaussian_tc(correlations, 0.0) - gaussian_tc(correlations, ridge)


def gaussian_tc(correlations: Floats, ridge: float = 1e-6) -> float:
    """Total correlation in nats of a Gaussian with these correlations, shape (D, D), D possibly 0."""
    if len(correlations) < 2:
        return 0.0
    loaded = (correlations + ridge * np.eye(len(correlations))) / (1 + ridge)
    # The smallest eigenvalue of a singular matrix comes out as rounding of either sign.
    values = np.maximum(np.linalg.eigvalsh(loaded), ridge / (1 + ridge) if ridge > 0 else np.finfo(np.float64).tiny)
    return max(float(-np.log(values).sum() / 2), 0.0)
