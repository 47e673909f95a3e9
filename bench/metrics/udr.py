"""Unsupervised disentanglement ranking of Duan et al. (2020).

Not a metric of one run: it compares the codes that several runs of one setting give to the same images.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from bench.metric import Floats, NotApplicableError, check_codes
from bench.metrics._samples import draw_rows

Relation = Literal["lasso", "spearman"]


def udr(
    codes: Sequence[Any],
    kl: Sequence[Any],
    *,
    relation: Relation = "lasso",
    alpha: float = 0.1,
    kl_threshold: float = 0.01,
    n_samples: int = 1_000,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Unsupervised disentanglement ranking: how far models that differ in their seed agree code by code.

    For every ordered pair of models R holds how strongly each informative code of the first goes with each of the
    second: absolute coefficients of a Lasso regression on all standardised codes of the first, or absolute rank
    correlations. A pair scores ``(mean_b max_a R_ab**2 / sum_a R_ab + mean_a max_b R_ab**2 / sum_b R_ab) / 2``, and a
    model the median over the pairs in which it is the second. No factors are needed, so it can choose between settings
    without labels. It rewards agreement of any kind: models that collapsed in the same way agree, hence the number of
    informative codes belongs next to it.

    Parameters
    ----------
    codes : sequence of M array-likes of shape (N, D_m)
        Posterior means that each model gives to the same N images, finite. M at least 2; 5 or more make the median
        worth something.
    kl : sequence of M array-likes of shape (D_m,)
        Mean KL from the prior of every code in nats, as ``kl_per_latent`` of `bench.metrics.kl`.
    relation : {"lasso", "spearman"}
        The first can't exceed ``1 - alpha``, the second about 0.93 on 1,000 images, where chance correlations add to
        the sums.
    alpha : float
        Penalty of the Lasso, not negative.
    kl_threshold : float
        Codes with a KL above this are informative; the others take no part.
    n_samples : int
        Images to use, drawn without replacement; all of them where there are no more.
    rng : numpy.random.Generator
        Draws the images.

    Returns
    -------
    dict
        ``udr``, M numbers in [0, 1]; ``pairs``, M rows of M, from (row) and to (column) a model, None on the diagonal;
        ``n_informative`` per model; ``n_samples``; ``settings``. A pair with a model without informative
        codes scores 0.

    Raises
    ------
    ValueError
        For what `bench.metric.check_codes` rejects, fewer than two models, tables of different lengths, KLs that don't
        match the codes, or settings out of range.

    References
    ----------
    Duan et al.: Unsupervised Model Selection for Variational Disentangled Representation Learning, ICLR 2020,
    section 4; aggregation of disentanglement_lib (Locatello et al. 2019), which averages over codes per direction
    where the paper pools both.
    """
    tables = [check_codes(table)[0] for table in codes]
    if relation not in ("lasso", "spearman"):
        raise ValueError(f"relation must be 'lasso' or 'spearman', got {relation!r}")
    if not alpha >= 0:
        raise ValueError(f"alpha must not be negative, got {alpha}")
    if len(tables) < 2:
        raise NotApplicableError(f"UDR compares models, at least two, got {len(tables)}")
    if len({len(table) for table in tables}) > 1:
        raise ValueError(f"all models need codes of the same images, got {[len(table) for table in tables]} rows")
    if len(tables[0]) < 3:
        raise NotApplicableError(f"UDR needs at least 3 images, got {len(tables[0])}")
    if len(kl) != len(tables):
        raise ValueError(f"got codes of {len(tables)} models and KLs of {len(kl)}")
    rows = draw_rows(len(tables[0]), n_samples, rng)
    kept = []
    for m, (table, of_latent) in enumerate(zip(tables, kl, strict=True)):
        nats = np.asarray(of_latent, dtype=np.float64)
        if nats.shape != (table.shape[1],) or not np.isfinite(nats).all():
            raise ValueError(f"model {m} has {table.shape[1]} codes, its KL is {of_latent!r}")
        part = table[rows][:, nats > kl_threshold]
        kept.append(standardise(ranks(part) if relation == "spearman" else part))
    pairs = np.full((len(kept), len(kept)), np.nan)
    for a, first in enumerate(kept):
        for b, second in enumerate(kept):
            if a != b:
                strength = np.abs(
                    first.T @ second / len(first) if relation == "spearman" else lasso(first, second, alpha)
                )
                pairs[a, b] = pair_score(strength)
    return {
        "udr": np.nanmedian(pairs, axis=0).tolist(),
        "pairs": [[None if a == b else float(v) for b, v in enumerate(row)] for a, row in enumerate(pairs)],
        "n_informative": [part.shape[1] for part in kept],
        "n_samples": len(rows),
        "settings": {
            "relation": relation,
            "alpha": alpha if relation == "lasso" else None,
            "kl_threshold": kl_threshold,
            "n_samples": n_samples,
        },
    }


def pair_score(strength: Floats) -> float:
    """Score of a (codes of the first x codes of the second) matrix that isn't negative; 0 if it is empty."""
    if 0 in strength.shape:
        return 0.0
    both = []
    for axis in (0, 1):
        largest, total = strength.max(axis=axis), strength.sum(axis=axis)
        both.append(np.divide(largest**2, total, out=np.zeros_like(total), where=total > 0).mean())
    return float(np.mean(both))


def standardise(codes: Floats) -> Floats:
    """Mean 0 and variance 1 (divisor N) per code; a constant code becomes 0."""
    moving = (codes != codes[0]).any(axis=0)
    spread = np.where(moving, codes.std(axis=0), 1.0)
    return np.asarray(np.where(moving, (codes - codes.mean(axis=0)) / spread, 0.0))


def ranks(codes: Floats) -> Floats:
    """Ranks within every code, ties averaged."""
    from scipy.stats import rankdata

    return np.asarray(rankdata(codes, axis=0), dtype=np.float64)


def lasso(first: Floats, second: Floats, alpha: float) -> Floats:
    """Coefficients by which the first codes predict the second, shape (D_first, D_second)."""
    from sklearn.linear_model import Lasso

    weights = np.zeros((first.shape[1], second.shape[1]))
    # A constant code needs none, and older scikit-learn says of it that the fit doesn't converge.
    moving = second.any(axis=0)
    if len(weights) and moving.any():
        fitted = Lasso(alpha=alpha).fit(first, second[:, moving])
        weights[:, moving] = np.reshape(fitted.coef_, (-1, len(weights))).T
    return weights
