"""Active units of Burda et al. (2016)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from bench.metric import NotApplicableError, Score, check_codes, register_metric
from bench.metrics._samples import share_of_scale


@register_metric(
    "active_units",
    version=2,
    inputs=("codes",),
    optional=("logvar",),
    scores={"active_units": Score("Active units", high=math.inf, higher_is_better=None)},
    groups=("all", "core"),
)
def active_units(
    codes: Any, logvar: Any | None = None, *, threshold: float = 0.01, rng: np.random.Generator | None = None
) -> dict[str, Any]:
    """Active units: latents whose posterior mean varies over the data.

    The definition is in units of the prior, N(0, 1), as codes with log-variances are. Codes without noise have no
    prior; for them the widest code's variance is the unit.

    Parameters
    ----------
    codes : array-like of shape (N, D)
        Posterior means, finite; N at least 2.
    logvar : array-like of shape (N, D), optional
        Posterior log-variances: that there are some says that the codes are in units of a prior.
    threshold : float
        A latent is active if the variance of its mean (divisor N - 1) is above this, in those units.
    rng : numpy.random.Generator, optional
        Unused; here because every metric takes one.

    Returns
    -------
    dict
        ``active_units``, from 0 to D; ``n_active``, the same number; ``variance_per_latent``; ``unit``, "prior" or
        "widest code"; ``n_latents``, ``n_samples``; ``settings``.

    Raises
    ------
    ValueError
        For what `bench.metric.check_codes` rejects, or a single row.

    References
    ----------
    Burda, Grosse, Salakhutdinov: Importance Weighted Autoencoders, ICLR 2016, section 5.2.
    """
    table, _ = check_codes(codes)
    if len(table) < 2:
        raise NotApplicableError("active units need at least 2 rows: one has no variance")
    # The mean of equal numbers can be off by rounding; a constant latent has variance 0 exactly.
    variance = np.where((table != table[0]).any(axis=0), table.var(axis=0, ddof=1), 0.0)
    active = int(((variance if logvar is not None else share_of_scale(table)) > threshold).sum())
    return {
        "active_units": active,
        "n_active": active,
        "variance_per_latent": variance.tolist(),
        "unit": "prior" if logvar is not None else "widest code",
        "n_latents": table.shape[1],
        "n_samples": len(table),
        "settings": {"threshold": threshold},
    }
