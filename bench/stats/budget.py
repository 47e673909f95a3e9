"""What a search of k settings finds on average, from a search of n: exact, by order statistics."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench.stats.intervals import finite_vector


def selection_weights(n: int, k: int) -> NDArray[np.float64]:
    """Probability that each of n settings, the worst first, is the best of k of them drawn without replacement.

    ``w_i = C(i - 1, k - 1) / C(n, k)``, i = 1 ... n: setting i is the best of k if it is drawn, and the others are
    among the i - 1 below it.

    Parameters
    ----------
    n, k : int
        With ``1 <= k <= n``.

    Returns
    -------
    ndarray of float64, shape (n,)
        Not below 0; they sum to 1.

    Raises
    ------
    ValueError
        If k isn't between 1 and n.

    Examples
    --------
    >>> selection_weights(3, 2).round(3).tolist()
    [0.0, 0.333, 0.667]
    """
    if not 1 <= k <= n:
        raise ValueError(f"k must lie between 1 and n = {n}, got {k}")
    return np.array([math.comb(i - 1, k - 1) / math.comb(n, k) for i in range(1, n + 1)])


def expected_best(values: ArrayLike, n_useless: int = 0) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean value of the best of k settings for every k, and how probable it is that one is of use at all.

    Parameters
    ----------
    values : array-like of shape (m,)
        Finite values of the settings that are of use, from the one that would be chosen last to the one that would be
        chosen first. They needn't ascend: a rule may choose by another number than the one that is reported.
    n_useless : int
        Settings that were tried, too, and that are never chosen.

    Returns
    -------
    best : ndarray of float64, shape (m + n_useless,)
        For k = 1, 2, ...: the mean over all sets of k settings in which one is of use; NaN if there is none.
    found : ndarray of float64, shape (m + n_useless,)
        The share of sets of k in which one is of use.

    Raises
    ------
    ValueError
        If the values aren't a finite vector.

    Notes
    -----
    Exact, no draws: see `selection_weights`. On average over the settings that might have been drawn it is unbiased, as
    an estimate with replacement isn't. Sources: Tang et al., "Showing Your Work Doesn't Always Work", ACL 2020; for the
    curve itself Dodge et al., "Show Your Work", EMNLP 2019.
    """
    x = finite_vector(values)
    n = x.size + n_useless
    best, found = np.full(n, np.nan), np.zeros(n)
    for k in range(1, n + 1):
        weights = selection_weights(n, k)[n_useless:]
        found[k - 1] = weights.sum()
        if found[k - 1] > 0:
            best[k - 1] = float(weights @ x) / found[k - 1]
    return best, np.minimum(found, 1.0)
