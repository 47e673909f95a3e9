"""MIG-sup of Li et al. (2020): the mutual information gap from the side of the codes."""

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
    per_factor,
    per_pair,
    scorable_factors,
    share_of_scale,
)
from bench.metrics.mig import equal_width_bins, plug_in_information
from bench.metrics.mig_sampled import check_posteriors


@register_metric(
    "mig_sup",
    version=1,
    inputs=("codes", "factors"),
    optional=("logvar",),
    scores={"mig_sup": Score("MIG-sup")},
)
def mig_sup(
    codes: Any,
    factors: Any,
    logvar: Any | None = None,
    *,
    n_bins: int = 20,
    n_samples: int = 10_000,
    prune_threshold: float = 0.1,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """MIG-sup: how far the factor that a code tells most of is ahead of the second.

    With ``I_n(j, k) = I(z_j; v_k) / H(v_k)`` the score is the mean over active codes of the largest minus the second
    largest ``I_n(j, .)``. The information is the plug-in estimate of MIG, on codes cut into bins of equal width. It
    complements MIG, which asks for one code per factor: MIG-sup asks for one factor per code. It can't see a
    factor that no code tells of, nor that several codes share one: a single live code of one factor scores 1. An active
    code that is noise counts as 0, so which codes are active matters.

    Parameters
    ----------
    codes : array-like of shape (N, D)
        Posterior means, finite.
    factors : array-like of shape (N, F)
        Factor classes, in any coding; at least two with two values.
    logvar : array-like of shape (N, D), optional
        Posterior log-variances, finite; they say which codes are active.
    n_bins : int
        Bins per code, at least 2.
    n_samples : int
        Rows to use, drawn without replacement; all of them where there are no more.
    prune_threshold : float
        Codes with a standard deviation of at most this take no part, in units of that of samples from their posteriors
        or, without `logvar`, of that of the widest code. 0.1 is the authors' bound on the variance of the means, 0.01,
        in units of the prior; 0 keeps all codes that aren't constant, as others do. With none left the score is 0.
    rng : numpy.random.Generator
        Draws the rows, and halves of them for the error.

    Returns
    -------
    dict
        ``mig_sup`` in [0, 1]; ``mig_sup_error``, its error, from what half of the rows would change;
        ``mig_sup_per_latent``, the gap of every code (None for those that take no part); ``factor_of_latent``, the
        factor that a code tells most of (None as before); ``information_per_factor``, the largest ``I_n`` of an active
        code, to see which factors are missing; ``mutual_information`` in nats, D rows of F; ``entropy`` of the factors;
        ``n_active`` and ``inactive``; ``factors_cut`` and ``factors_left_out``; ``n_samples``; ``settings``.

    Raises
    ------
    ValueError
        For what `bench.metric.check_codes` rejects, settings out of range, or fewer than two factors with two values.

    References
    ----------
    Li, Murkute, Gyawali, Wang: Progressive Learning and Disentanglement of Hierarchical Representations, ICLR 2020,
    and the authors' code (proVLAE), which estimates the information from sampled codes; as written in Carbonneau,
    Zaidi, Boilard, Gagnon: Measuring Disentanglement: A Review of Metrics, 2020, section 4.4.3.
    """
    if logvar is None:
        (table, classes), sigma = check_codes(codes, factors), None
    else:
        table, sigma, classes = check_posteriors(codes, logvar, factors)
    classes, cut, notes = cut_continuous(classes, n_samples)
    if n_bins < 2 or prune_threshold < 0:
        raise ValueError(f"n_bins must be at least 2 and prune_threshold at least 0, got {n_bins}, {prune_threshold:g}")
    rows = draw_rows(len(table), n_samples, rng)
    table, classes = table[rows], classes[rows]
    columns = scorable_factors(classes, least=2, metric="MIG-sup")
    share = share_of_scale(table, None if sigma is None else sigma[rows])
    active = np.flatnonzero((share > prune_threshold**2) & (table != table[0]).any(axis=0))
    n_latents, n_factors = table.shape[1], classes.shape[1]
    bins, used = equal_width_bins(table, n_bins), classes[:, columns]
    found = plug_in_information(bins, used)
    told = (found.information / found.entropy)[active]
    gaps = gap_of_codes(told)
    owner: list[int | None] = [None] * n_latents
    for j, k in zip(active.tolist(), told.argmax(axis=1).tolist(), strict=True):
        owner[j] = columns[k]
    return {
        "mig_sup": float(gaps.mean()) if len(active) else 0.0,
        "mig_sup_error": _error(bins[:, active], used, told, rng) if len(active) else 0.0,
        "mig_sup_per_latent": per_factor(gaps, active.tolist(), n_latents),
        "factor_of_latent": owner,
        "information_per_factor": per_factor(told.max(axis=0, initial=0.0), columns, n_factors),
        "mutual_information": per_pair(found.information, columns, n_factors),
        "entropy": per_factor(found.entropy, columns, n_factors),
        "n_active": len(active),
        "inactive": np.setdiff1d(np.arange(n_latents), active).tolist(),
        "factors_cut": cut,
        "factors_left_out": left_out(columns, n_factors),
        "n_samples": len(table),
        "settings": {"n_bins": n_bins, "n_samples": n_samples, "prune_threshold": prune_threshold},
        "marks": {"mig_sup": notes},
    }


def gap_of_codes(information: Floats) -> Floats:
    """Largest minus second largest entry of every row, shape (D,); at least two columns."""
    ordered = np.sort(information, axis=1)
    return np.asarray(np.minimum(ordered[:, -1] - ordered[:, -2], 1.0))  # above 1 only by rounding


def _error(bins: Ints, classes: Ints, told: Floats, rng: np.random.Generator) -> float:
    """Error of the score from another half of the rows for each factor."""
    halves = draw_halves(classes, rng)
    half = []
    for k, rows in enumerate(halves):
        found = plug_in_information(bins[rows], classes[rows][:, [k]])
        half.append((found.information / found.entropy)[:, 0])

    def score(columns: Sequence[Floats]) -> float:
        return float(gap_of_codes(np.stack(columns, axis=1)).mean())

    return at_least_one_row(error_of_halves(score, list(told.T), half, largest_share(halves, len(bins))), len(bins))
