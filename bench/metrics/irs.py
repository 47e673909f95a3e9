"""Interventional robustness score of Suter et al. (2019)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bench.metric import Floats, Ints, Score, check_codes, register_metric
from bench.metrics._halves import at_least_one_row, draw_halves, error_of_halves, largest_share
from bench.metrics._samples import (
    cut_continuous,
    draw_rows,
    left_out,
    merge_values,
    per_factor,
    per_pair,
    scorable_factors,
)


@register_metric(
    "irs",
    version=2,
    inputs=("codes", "factors"),
    scores={"irs": Score("IRS", low=-1.0)},
)
def irs(
    codes: Any,
    factors: Any,
    *,
    quantile: float = 0.99,
    n_bins: int = 20,
    n_samples: int = 10_000,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Interventional robustness: how little a code moves while the factor it goes with is held fixed.

    ``IRS_jk = 1 - mean_v Q(|z_j - E[z_j | v_k = v]| given v_k = v) / max |z_j - E z_j|`` with Q a high quantile; the
    score is the mean over codes of ``max_k IRS_jk``, weighted by the maximal deviation of the code. It rewards codes
    that follow few factors and doesn't ask whether any factor is encoded: a partly collapsed model scores 1. Noise
    scores 0.4 at the default quantile, because the numerator is a quantile and the denominator a maximum, and 0.1 to
    0.2 at ``quantile=1``, the paper's choice. The weights are in the units of the codes, so scaling one code matters.

    The largest deviation of codes without bounds, as of Gaussian noise, grows with the rows without end: such a score
    has no limit, and ``irs_error`` is what a few times as many rows would change. Merged values are part of the
    definition; what they cost isn't in the error.

    Parameters
    ----------
    codes : array-like of shape (N, D)
        Posterior means, finite.
    factors : array-like of shape (N, F)
        Factor classes, in any coding; where there are more than `n_bins`, their order matters.
    quantile : float
        Above 0, at most 1.
    n_bins : int
        Values at most: neighbouring ones of a factor with more are merged into as many classes of about equal counts;
        at least 2. disentanglement_lib merges by equal width instead, so that names of values decide.
    n_samples : int
        Rows to use, drawn without replacement; all of them where there are no more.
    rng : numpy.random.Generator
        Draws the rows; unused where all are used.

    Returns
    -------
    dict
        ``irs``, at most 1 and slightly negative at worst, 0 if every code is constant; ``irs_error``, of quantiles and
        maxima of finitely many rows, from what half of them would change; ``irs_per_latent`` and
        ``factor_of_latent``, the column of its maximum (None for constant codes); ``irs_per_factor``, the largest of
        its codes; ``robustness``, D rows of F (None for constant codes and factors left out); ``maximal_deviation``
        per code; ``n_active``, the codes that aren't constant; ``factors_merged``, those with more than `n_bins`
        values; ``factors_cut`` and ``factors_left_out``; ``n_samples``; ``settings``.

    Raises
    ------
    ValueError
        For what `bench.metric.check_codes` rejects, settings out of range, or if no factor has two values.

    References
    ----------
    Suter, Miladinovic, Schölkopf, Bauer: Robustly Disentangled Causal Mechanisms, ICML 2019, section 4; settings of
    disentanglement_lib (Locatello et al. 2019).
    """
    table, classes = check_codes(codes, factors)
    classes, cut, notes = cut_continuous(classes, n_samples)
    if not 0 < quantile <= 1 or n_bins < 2:
        raise ValueError(f"quantile must be in (0, 1] and n_bins at least 2, got {quantile} and {n_bins}")
    rows = draw_rows(len(table), n_samples, rng)
    table, classes = table[rows], classes[rows]
    columns = scorable_factors(classes, metric="IRS")
    active = np.flatnonzero((table != table[0]).any(axis=0))
    merged = [k for k in columns if len(np.unique(classes[:, k])) > n_bins]
    for k in merged:
        classes[:, k] = merge_values(classes[:, k], n_bins)
    moving = table[:, active]
    largest = largest_deviation(moving)
    robustness = 1 - mean_deviation(moving, classes[:, columns], quantile) / largest[:, None]
    best = robustness.max(axis=1)
    n_latents, n_factors = table.shape[1], classes.shape[1]
    cells: list[list[float | None]] = [[None] * n_factors for _ in range(n_latents)]
    for j, row in zip(active.tolist(), per_pair(robustness, columns, n_factors), strict=True):
        cells[j] = row
    owner: list[int | None] = [None] * n_latents
    for j, k in zip(active.tolist(), robustness.argmax(axis=1).tolist(), strict=True):
        owner[j] = columns[k]
    deviation = np.zeros(n_latents)
    deviation[active] = largest
    return {
        "irs": float(np.average(best, weights=largest)) if len(active) else 0.0,
        "irs_error": _error(moving, classes[:, columns], quantile, rng),
        "irs_per_latent": per_factor(best, active.tolist(), n_latents),
        "factor_of_latent": owner,
        "irs_per_factor": per_factor(robustness.max(axis=0), columns, n_factors) if len(active) else [None] * n_factors,
        "robustness": cells,
        "maximal_deviation": deviation.tolist(),
        "n_active": len(active),
        "factors_cut": cut,
        "factors_merged": merged,
        "factors_left_out": left_out(columns, n_factors),
        "n_samples": len(table),
        "settings": {"quantile": quantile, "n_bins": n_bins, "n_samples": n_samples},
        "marks": {"irs": notes},
    }


def largest_deviation(codes: Floats) -> Floats:
    """Largest distance of every code from its mean, (D,)."""
    return np.asarray(np.abs(codes - codes.mean(axis=0)).max(axis=0))


def mean_deviation(codes: Floats, classes: Ints, quantile: float) -> Floats:
    """Quantile of the distance of a code from its mean among the rows with one value, mean over values, (D, F)."""
    result = np.zeros((codes.shape[1], classes.shape[1]))
    for k, column in enumerate(classes.T):
        values = np.unique(column)
        for value in values:
            group = codes[column == value]
            apart = np.abs(group - group.mean(axis=0))
            result[:, k] += np.quantile(apart, quantile, axis=0) / len(values)
    return result


def _error(codes: Floats, classes: Ints, quantile: float, rng: np.random.Generator) -> float:
    """Error of the score from half of the rows, another half for each factor and for the largest deviations."""
    n_rows, n_latents = codes.shape
    halves = draw_halves(np.column_stack([classes, np.zeros(n_rows, dtype=np.int64)]), rng)
    *of_factors, of_all = halves
    whole = [*mean_deviation(codes, classes, quantile).T, largest_deviation(codes)]
    half = [mean_deviation(codes[rows], classes[rows][:, [k]], quantile)[:, 0] for k, rows in enumerate(of_factors)]

    def score(parts: Sequence[Floats]) -> float:
        *deviations, largest = parts
        if not largest.any():
            return 0.0
        # As a mean weighted by the largest deviations, which cancel.
        return float((largest - np.min(deviations, axis=0)).sum() / largest.sum())

    if n_latents == 0:
        return 0.0
    error = error_of_halves(score, whole, [*half, largest_deviation(codes[of_all])], largest_share(halves, n_rows))
    return at_least_one_row(error, n_rows)
