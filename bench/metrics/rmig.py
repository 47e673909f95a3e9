"""Robust mutual information gap and JEMMIG of Do and Tran (2020)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from bench.metric import Floats, Score, register_metric
from bench.metrics._quadrature import Labels, gaussian
from bench.metrics._samples import cut_continuous, draw_rows, left_out, per_factor, per_pair, scorable_factors
from bench.metrics.mig import gap
from bench.metrics.mig_sampled import check_posteriors

#: Below this density in every bin a posterior is narrower than the bins, or outside their range.
FAINT = 1e-5
#: Footnotes of codes that don't fit the fixed range.
OUTSIDE = "over 1 % of the means lie beyond the bins, which take them for equal"
UNRESOLVED = "a code moves by less than the width of a bin, which can't tell its values apart"


@register_metric(
    "rmig",
    version=2,
    inputs=("codes", "logvar", "factors"),
    scores={"rmig": Score("RMIG"), "jemmig": Score("JEMMIG", higher_is_better=False)},
)
def rmig(
    codes: Any,
    logvar: Any,
    factors: Any,
    *,
    n_bins: int = 100,
    limit: float = 4.0,
    n_samples: int | None = None,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Robust mutual information gap and JEMMIG, on posteriors cut into bins of a fixed range.

    Each posterior becomes a distribution over `n_bins` equal bins on ``[-limit, limit]`` (density at the centre
    times width, normalised); averaged over rows it gives the joint distribution of a code and a factor.
    ``RMIG = mean_k (I_(1)k - I_(2)k) / H(v_k)``, which for noiseless codes is MIG with fixed bins and for noisy
    ones MIG on sampled codes with coarse bins. ``JEMMIG = mean_k (H(z_(1), v_k) - I_(1)k + I_(2)k) / (H(v_k) +
    log n_bins)``, which falls with joint entropy too, so that a code that holds more than its factor is
    charged: lower is better, 0 is best.

    The fixed range presumes an aggregate posterior like N(0, 1): what lies outside is counted in the end bins.
    Posteriors with a standard deviation below about half the width of a bin are badly integrated by the rule:
    information is up to 0.02 of the factor's entropy too low. ``rmig_error`` is what twice as many bins would change,
    for such and for codes that move little in units of a bin. All three are marked.

    Parameters
    ----------
    codes : array-like of shape (N, D)
        Posterior means, finite. With D = 1 the second largest information counts as 0.
    logvar : array-like of shape (N, D)
        Posterior log-variances, finite.
    factors : array-like of shape (N, F)
        Factor classes, in any coding.
    n_bins : int
        Bins per code, at least 2.
    limit : float
        End of the range, positive, in units of the codes.
    n_samples : int, optional
        Rows to use, drawn without replacement; all of them by default.
    rng : numpy.random.Generator
        Draws the rows; unused where all are used.

    Returns
    -------
    dict
        ``rmig`` and ``jemmig`` in [0, 1]; ``rmig_per_factor``, ``jemmig_per_factor`` (None for a factor with one
        value, which ``factors_left_out`` lists); ``mutual_information`` in nats, D rows of F; ``entropy`` of the
        factors and ``entropy_per_latent`` (of the bins) in nats; ``rmig_error`` and ``jemmig_error``; ``outside``, the
        share of means beyond the range; ``unresolved``, the codes that move by less than a bin; ``n_active``, the codes
        not all in one bin; ``n_samples``; ``settings``.

    Raises
    ------
    ValueError
        For what `bench.metric.check_codes` rejects, log-variances of another shape or not finite, settings out
        of range, or if no factor has two values.

    References
    ----------
    Do, Tran: Theory and Evaluation Metrics for Learning Disentangled Representations, ICLR 2020, section 4.
    """
    table, spread, classes = check_posteriors(codes, logvar, factors)
    classes, cut, notes = cut_continuous(classes, len(table) if n_samples is None else n_samples)
    if n_bins < 2 or not limit > 0:
        raise ValueError(f"n_bins must be at least 2 and limit positive, got {n_bins} and {limit}")
    rows = draw_rows(len(table), max(len(table), 2) if n_samples is None else n_samples, rng)
    table, spread, classes = table[rows], spread[rows], classes[rows]
    columns = scorable_factors(classes, metric="RMIG")
    labels = Labels(classes[:, columns])
    information, of_latent = _information(table, spread, labels, partial(binned_posteriors, n_bins=n_bins, limit=limit))
    gaps, jemmig = _scores(information, of_latent, labels, n_bins)
    finer, _ = _information(table, spread, labels, partial(binned_posteriors, n_bins=2 * n_bins, limit=limit))
    moved = np.abs(gap(finer, labels.entropy) - gaps)
    moved_best = np.abs(finer.max(axis=0) - information.max(axis=0)) + moved * labels.entropy
    outside = float((np.abs(table) > limit).mean())
    # Between two edges all values are one: a code that moves less than that tells nothing, however exact it is.
    moving = (table != table[0]).any(axis=0)
    unresolved = np.flatnonzero(moving & (np.ptp(table, axis=0) < 2 * limit / n_bins)).tolist()
    notes += [OUTSIDE] * (outside > 0.01) + [UNRESOLVED] * bool(unresolved)
    n_factors = classes.shape[1]
    return {
        "rmig": float(gaps.mean()),
        "jemmig": float(jemmig.mean()),
        "rmig_error": float(moved.mean()),
        "jemmig_error": float((moved_best / (labels.entropy + np.log(n_bins))).mean()),
        "rmig_per_factor": per_factor(gaps, columns, n_factors),
        "jemmig_per_factor": per_factor(jemmig, columns, n_factors),
        "mutual_information": per_pair(information, columns, n_factors),
        "entropy": per_factor(labels.entropy, columns, n_factors),
        "entropy_per_latent": of_latent.tolist(),
        "outside": outside,
        "unresolved": unresolved,
        "factors_cut": cut,
        "factors_left_out": left_out(columns, n_factors),
        "n_active": int((of_latent > 1e-12).sum()),
        "n_samples": len(table),
        "settings": {"n_bins": n_bins, "limit": limit, "n_samples": n_samples},
        "marks": {"rmig": notes, "jemmig": notes},
    }


def _information(
    mean: Floats, sigma: Floats, labels: Labels, binned: Callable[[Floats, Floats], Floats]
) -> tuple[Floats, Floats]:
    """Information of the bins about each factor, (D, F), and their entropies, (D,)."""
    from scipy.special import entr

    information, of_latent = np.empty((mean.shape[1], len(labels.n_values))), np.empty(mean.shape[1])
    for j in range(mean.shape[1]):
        whole, parts = labels.mixtures(partial(_of_rows, binned, mean[:, j], sigma[:, j]))
        of_latent[j] = entr(whole).sum()
        information[j] = of_latent[j] - labels.mean(entr(parts).sum(axis=1))
    return np.maximum(information, 0.0), of_latent


def _of_rows(binned: Callable[[Floats, Floats], Floats], mean: Floats, sigma: Floats, part: slice) -> Floats:
    return binned(mean[part], sigma[part])


def _scores(information: Floats, of_latent: Floats, labels: Labels, n_bins: int) -> tuple[Floats, Floats]:
    """RMIG and JEMMIG per factor."""
    gaps = gap(information, labels.entropy)
    # Of codes that tell equally much, as where none tells anything, the one that tells least of all else.
    tied = information >= information.max(axis=0) - 1e-9
    best = np.where(tied, of_latent[:, None], np.inf).argmin(axis=0)
    # H(z, v) - I + I' with H(z, v) = H(z) + H(v) - I.
    joint = of_latent[best] + labels.entropy - information.max(axis=0)
    jemmig = (joint - gaps * labels.entropy) / (labels.entropy + np.log(n_bins))
    return gaps, np.clip(jemmig, 0.0, 1.0)  # outside only by rounding


def binned_posteriors(mean: Floats, sigma: Floats, n_bins: int = 100, limit: float = 4.0) -> Floats:
    """Distributions of N(mean, sigma**2) over equal bins on ``[-limit, limit]``.

    Parameters
    ----------
    mean, sigma : ndarray of shape (N,), float64
    n_bins : int
    limit : float

    Returns
    -------
    ndarray of shape (N, n_bins), float64
        Rows sum to 1. Where the density is below 1e-5 at every centre, all mass is in the bin of the mean, an
        end bin if that is outside.
    """
    width = 2 * limit / n_bins
    centres: Floats = -limit + width * (np.arange(n_bins, dtype=np.float64) + 0.5)
    mass = gaussian(centres, mean, sigma)
    faint = mass.max(axis=1) < FAINT
    place = np.floor((np.clip(mean[faint], -limit, limit) + limit) / width).astype(np.int64)
    mass[faint] = 0.0
    mass[np.flatnonzero(faint), np.minimum(place, n_bins - 1)] = 1.0
    mass /= mass.sum(axis=1, keepdims=True)
    return mass
