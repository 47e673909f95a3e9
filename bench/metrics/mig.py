"""Mutual information gap of Chen et al. (2018), on discretised posterior means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.metric import Floats, Ints, Score, check_codes, register_metric
from bench.metrics._samples import (
    count_active,
    cut_continuous,
    draw_rows,
    left_out,
    per_factor,
    per_pair,
    scorable_factors,
)

#: Rows times pairs of a code and a factor worked on at once: 8 MB.
CELLS = 1_000_000


@register_metric(
    "mig",
    version=2,
    inputs=("codes", "factors"),
    scores={"mig": Score("MIG")},
    groups=("all", "core"),
)
def mig(
    codes: Any, factors: Any, *, n_bins: int = 20, n_samples: int = 10_000, rng: np.random.Generator
) -> dict[str, Any]:
    """Mutual information gap: how far the best code of a factor is ahead of the second best.

    ``MIG = mean_k (I(z_(1); v_k) - I(z_(2); v_k)) / H(v_k)``, with plug-in estimates on codes cut into bins
    of equal width between their extremes in the sample, as in disentanglement_lib (Locatello et al. 2019). It
    needs one code per factor: two codes that share a factor score 0 for it, but a code that holds two factors
    costs nothing. With 20 bins a factor of more than 20 values can't reach 1.

    Parameters
    ----------
    codes : array-like of shape (N, D)
        Posterior means, finite. With D = 1 the second largest information counts as 0.
    factors : array-like of shape (N, F)
        Factor classes, in any coding.
    n_bins : int
        Bins per code, at least 2.
    n_samples : int
        Rows to use, drawn without replacement; all of them where there are no more.
    rng : numpy.random.Generator
        Draws the rows; unused where all are used.

    Returns
    -------
    dict
        ``mig`` in [0, 1]; ``mig_error``, what it would change by if the bias of the estimates were taken off to first
        order: large where rows are few for the bins and values; ``mig_per_factor`` (None for a factor with one value,
        which is left out of the mean and listed in ``factors_left_out``); ``mutual_information`` in nats, D rows of F;
        ``entropy`` of the factors in nats; ``n_active``, the codes that aren't constant; ``n_samples``; ``settings``.

    Raises
    ------
    ValueError
        For what `bench.metric.check_codes` rejects, an `n_bins` below 2, or if no factor has two values.

    References
    ----------
    Chen, Li, Grosse, Duvenaud: Isolating Sources of Disentanglement in VAEs, NeurIPS 2018, section 4.1.
    """
    table, classes = check_codes(codes, factors)
    classes, cut, notes = cut_continuous(classes, n_samples)
    if n_bins < 2:
        raise ValueError(f"n_bins must be at least 2, got {n_bins}")
    rows = draw_rows(len(table), n_samples, rng)
    table, classes = table[rows], classes[rows]
    columns = scorable_factors(classes, metric="MIG")
    found = plug_in_information(equal_width_bins(table, n_bins), classes[:, columns])
    gaps = gap(found.information, found.entropy)
    corrected = gap(np.maximum(found.information - found.bias, 0.0), found.entropy + found.entropy_bias)
    n_factors = classes.shape[1]
    return {
        "mig": float(gaps.mean()),
        "mig_error": abs(float(corrected.mean() - gaps.mean())),
        "mig_per_factor": per_factor(gaps, columns, n_factors),
        "mutual_information": per_pair(found.information, columns, n_factors),
        "entropy": per_factor(found.entropy, columns, n_factors),
        "factors_cut": cut,
        "factors_left_out": left_out(columns, n_factors),
        "n_active": count_active(table),
        "n_samples": len(table),
        "settings": {"n_bins": n_bins, "n_samples": n_samples},
        "marks": {"mig": notes},
    }


def equal_width_bins(codes: Floats, n_bins: int) -> Ints:
    """Cut every code into bins of equal width between its extremes.

    A value on an edge belongs to the bin above, the maximum to the last bin. Edges are computed in float64:
    for codes that sit on them by construction, rounding decides.

    Parameters
    ----------
    codes : ndarray of shape (N, D), float64
        Finite codes.
    n_bins : int
        Number of bins.

    Returns
    -------
    ndarray of shape (N, D), int64
        Bins from 0 to ``n_bins - 1``; one and the same throughout a constant code.
    """
    low, high = codes.min(axis=0), codes.max(axis=0)
    flat = low == high
    edges = np.linspace(np.where(flat, low - 0.5, low), np.where(flat, high + 0.5, high), n_bins + 1)
    bins = [np.searchsorted(cuts, column, side="right") for cuts, column in zip(edges[1:-1].T, codes.T, strict=True)]
    return np.stack(bins, axis=1).astype(np.int64)


@dataclass(frozen=True)
class Information:
    """Plug-in estimates in nats, and how far they are off in expectation.

    Attributes
    ----------
    information : ndarray of shape (D, F), float64
        Of every code with every factor, never negative.
    bias : ndarray of shape (D, F), float64
        What the information is too large by, to first order: ``(K_jk - K_j - K_k + 1) / (2 N)`` with K the cells in use
        (Miller 1955); negative where a code and a factor determine each other.
    entropy, entropy_bias : ndarray of shape (F,), float64
        Of the factors, and what it is too small by, ``(K_k - 1) / (2 N)``.
    """

    information: Floats
    bias: Floats
    entropy: Floats
    entropy_bias: Floats


def plug_in_information(bins: Ints, classes: Ints) -> Information:
    """Plug-in mutual information of every code with every factor, in blocks of pairs.

    Parameters
    ----------
    bins : ndarray of shape (N, D), int64
        Discretised codes, from 0.
    classes : ndarray of shape (N, F), int64
        Factor classes, in any coding.
    """
    (n_rows, n_codes), n_factors = bins.shape, classes.shape[1]
    labels = np.stack([np.unique(column, return_inverse=True)[1] for column in classes.T], axis=1)
    n_bins, n_classes = int(bins.max()) + 1, int(labels.max()) + 1
    information, bias = np.empty((2, n_codes, n_factors))
    pairs = max(CELLS // max(n_rows, n_bins * n_classes), 1)
    width = min(n_factors, pairs)
    height = max(pairs // width, 1)
    for left in range(0, n_factors, width):
        for top in range(0, n_codes, height):
            some, others = slice(top, top + height), slice(left, left + width)
            block = _joint(bins[:, some], labels[:, others], n_bins, n_classes)
            information[some, others], bias[some, others] = _of_pairs(block / n_rows, n_rows)
    counts = np.stack([np.bincount(column, minlength=n_classes) for column in labels.T])
    shares = counts / n_rows
    entropy = -(shares * np.log(np.where(shares > 0, shares, 1.0))).sum(axis=1)
    return Information(np.maximum(information, 0.0), bias, entropy, ((counts > 0).sum(axis=1) - 1) / (2 * n_rows))


def _joint(bins: Ints, labels: Ints, n_bins: int, n_classes: int) -> Ints:
    """Rows with every pair of a bin and a class, shape (codes, factors, n_bins, n_classes)."""
    n_codes, n_factors = bins.shape[1], labels.shape[1]
    pair = np.arange(n_codes)[:, None] * n_factors + np.arange(n_factors)
    cell = (pair * n_bins + bins[:, :, None]) * n_classes + labels[:, None, :]
    counts = np.bincount(cell.ravel(), minlength=pair.size * n_bins * n_classes)
    return counts.reshape(n_codes, n_factors, n_bins, n_classes)


def _of_pairs(joint: Floats, n_rows: int) -> tuple[Floats, Floats]:
    """Information of joint distributions over their last two axes, and its bias."""
    code, factor = joint.sum(axis=3, keepdims=True), joint.sum(axis=2, keepdims=True)
    # Cells that are empty hold 0 log 0 = 0.
    ratio = np.divide(joint, code * factor, out=np.ones_like(joint), where=joint > 0)
    information = (joint * np.log(ratio)).sum(axis=(2, 3))
    cells, rows, columns = ((part > 0).sum(axis=(2, 3)) for part in (joint, code, factor))
    return information, (cells - rows - columns + 1) / (2 * n_rows)


def information_matrix(bins: Ints, classes: Ints) -> tuple[Floats, Floats]:
    """Information (D, F) and the entropies of the factors (F,) of `plug_in_information`."""
    found = plug_in_information(bins, classes)
    return found.information, found.entropy


def gap(information: Floats, of_factor: Floats) -> Floats:
    """Return the gap between the largest and second largest information per factor, over its entropy."""
    # The added row of zeros is the second largest of a single code and changes nothing for more.
    ordered = np.sort(np.vstack([information, np.zeros_like(of_factor)]), axis=0)
    return np.asarray(np.minimum((ordered[-1] - ordered[-2]) / of_factor, 1.0))  # above 1 only by rounding
