"""Kullback-Leibler divergence of the posterior from the standard normal prior."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from bench.metric import NotApplicableError, Score, check_codes, register_metric


@register_metric(
    "kl",
    version=1,
    inputs=("codes", "logvar"),
    scores={"kl": Score("KL (nats)", high=math.inf, higher_is_better=None)},
    groups=("all", "core"),
)
def kl(codes: Any, logvar: Any, *, threshold: float = 0.01, rng: np.random.Generator | None = None) -> dict[str, Any]:
    """Analytic KL(q(z|x) || N(0, I)), summed over latents, mean over images.

    Per latent ``(mu**2 + exp(logvar) - 1 - logvar) / 2``, without clamping or free bits.

    Parameters
    ----------
    codes : array-like of shape (N, D)
        Posterior means, finite.
    logvar : array-like of shape (N, D)
        Posterior log-variances, finite.
    threshold : float
        Latents above this many nats count as active (Duan et al. 2020).
    rng : numpy.random.Generator, optional
        Unused; here because every metric takes one.

    Returns
    -------
    dict
        ``kl`` in nats per image, at least 0; ``kl_per_latent`` in nats; ``n_active``; ``n_samples``;
        ``settings``.

    Raises
    ------
    ValueError
        For what `bench.metric.check_codes` rejects, log-variances of another shape, or if anything isn't
        finite.

    References
    ----------
    Kingma, Welling: Auto-Encoding Variational Bayes, ICLR 2014, appendix B.
    """
    mean, _ = check_codes(codes)
    spread = np.asarray(logvar, dtype=np.float64)
    if spread.shape != mean.shape:
        raise ValueError(f"logvar must have the shape of the codes, {mean.shape}, got {spread.shape}")
    if not np.isfinite(spread).all():
        raise ValueError("logvar holds NaN or infinite values")
    with np.errstate(over="ignore"):
        # expm1(s) - s is exp(s) - 1 - s without the cancellation near s = 0, where collapsed latents are.
        per_latent = ((mean**2 + (np.expm1(spread) - spread)) / 2).mean(axis=0)
    if not np.isfinite(per_latent).all():
        raise NotApplicableError(
            f"the KL is too large for float64: log-variances reach {spread.max():.3g}, means {np.abs(mean).max():.3g}"
        )
    return {
        "kl": float(per_latent.sum()),
        "kl_per_latent": per_latent.tolist(),
        "n_active": int((per_latent > threshold).sum()),
        "n_samples": len(mean),
        "settings": {"threshold": threshold},
    }
