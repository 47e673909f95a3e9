"""The largest rank correlation of each factor with a single latent."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import rankdata

from bench.metric import Score, check_codes, register_metric


@register_metric(
    "best_correlation",
    version=1,
    inputs=("codes", "factors"),
    scores={"best_correlation": Score("best |ρ|")},
)
def best_correlation(codes: Any, factors: Any, *, rng: np.random.Generator | None = None) -> dict[str, Any]:
    """Mean over factors of the largest absolute Spearman correlation with one latent.

    Parameters
    ----------
    codes : array-like of shape (N, D)
        Posterior means.
    factors : array-like of shape (N, F), integer
        Factor classes.
    rng : numpy.random.Generator, optional
        Not used: nothing is drawn.

    Returns
    -------
    dict
        ``best_correlation`` in [0, 1], higher is better. A constant latent or factor correlates with nothing.

    Notes
    -----
    Source: ours, an example.
    """
    table, classes = check_codes(codes, factors)
    middle = (len(table) + 1) / 2
    z, v = rankdata(table, axis=0) - middle, rankdata(classes, axis=0) - middle
    scale = np.sqrt(np.outer((v**2).sum(axis=0), (z**2).sum(axis=0)))
    rho = np.divide(np.abs(v.T @ z), scale, out=np.zeros_like(scale), where=scale > 0)
    return {"best_correlation": float(rho.max(axis=1).mean())}
