"""Tests without assumptions on the distribution, and Holm's correction for a family of them."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.stats import rankdata

from bench.stats.intervals import finite_vector
from bench.stats.paired import Comparison

#: Up to so many arrangements all of them are gone through: 17 pairs, or two groups of 10.
MAX_EXACT = 200_000

#: Arrangements drawn where there are more.
N_DRAWS = 9999


@dataclass(frozen=True)
class Permutation:
    """What a permutation test found.

    Attributes
    ----------
    p : float
        Two-sided, in (0, 1].
    statistic : float
        Observed value.
    exact : bool
        Whether all arrangements were gone through rather than a random draw of them.
    n_arrangements : int
        How many were. Without ties an exact p can't be below ``2 / n_arrangements``, so a paired test of 10 seeds
        never gets below 0.002: too coarse to survive Holm's correction over more than 25 tests at 0.05.
    """

    p: float
    statistic: float
    exact: bool
    n_arrangements: int


def permutation_paired(
    differences: ArrayLike, *, rng: np.random.Generator, max_exact: int = MAX_EXACT, n_draws: int = N_DRAWS
) -> Permutation:
    """Sign-flip test that differences are symmetric around zero; the statistic is their mean.

    Parameters
    ----------
    differences : array-like of shape (n,), n >= 1
        As `bench.stats.differences` returns them.
    rng : numpy.random.Generator
        Draws the signs where ``2**n`` exceeds `max_exact`; unused else.
    max_exact, n_draws : int
        When all arrangements are gone through, and how many are drawn else.

    Returns
    -------
    Permutation
        Its p is the share of sign assignments with a mean at least as far from zero. Drawn ones count the
        observed assignment as one of them, so that p is valid and never zero.

    Raises
    ------
    ValueError
        If there are no differences, or they aren't finite.

    Notes
    -----
    Sources: Fisher, The Design of Experiments, 1935, chapter III; Phipson and Smyth, Statistical Applications in
    Genetics and Molecular Biology 9 (2010), article 39 (drawn arrangements).
    """
    x = finite_vector(differences)
    if x.size == 0:
        raise ValueError("nothing to test: there are no differences")
    exact = 2**x.size <= max_exact
    if exact:
        sums = np.zeros(1)
        for value in x:
            sums = np.concatenate([sums + value, sums - value])
    else:
        sums = rng.choice([-1.0, 1.0], (n_draws, x.size)) @ x
    return Permutation(_share(sums, x.sum(), x, exact=exact), float(x.mean()), exact, sums.size)


def paired_p(found: Comparison) -> float | None:
    """Two-sided p of the paired t test that belongs to an interval of `bench.stats.compare_paired`.

    Parameters
    ----------
    found : Comparison
        Paired, with Student's interval.

    Returns
    -------
    float or None
        At most 0.05 where the 95 % interval leaves out zero. Without spread that of the sign-flip test: 1 where all
        differences are zero, else ``2 ** (1 - n)``. None with too few pairs for an interval.

    Raises
    ------
    ValueError
        If it isn't paired, or its interval is another one.
    """
    difference = found.difference
    if not found.paired or difference.method not in ("t", "point", "none"):
        raise ValueError(f"a paired t test has no interval of the kind '{difference.method}'")
    if difference.method == "none":
        return None
    if difference.method == "point":
        return 1.0 if difference.estimate == 0 else 2.0 ** (1 - difference.n)
    t = difference.estimate / (found.sd / math.sqrt(difference.n))
    return float(2 * stats.t.sf(abs(t), difference.n - 1))


def permutation_unpaired(
    a: ArrayLike, b: ArrayLike, *, rng: np.random.Generator, max_exact: int = MAX_EXACT, n_draws: int = N_DRAWS
) -> Permutation:
    """Permutation test that two groups come from one distribution; the statistic is the difference of the means.

    Two groups with equal means and unequal spreads aren't from one distribution: with unequal sizes as well the
    test may reject that more often than its level says.

    Parameters
    ----------
    a : array-like of shape (n_a,), n_a >= 1
        Finite numbers.
    b : array-like of shape (n_b,), n_b >= 1
        Finite numbers.
    rng, max_exact, n_draws
        As in `permutation_paired`; the number of arrangements is ``n_a + n_b`` over ``n_a``.

    Returns
    -------
    Permutation
        Its p is the share of regroupings with a difference at least as far from zero.

    Raises
    ------
    ValueError
        If a group is empty, or has a value that isn't finite.

    Notes
    -----
    Source: Pitman, Supplement to the Journal of the Royal Statistical Society 4 (1937), 119-130.
    """
    x, y = _groups(a, b)
    p, exact, n = _regroup(np.concatenate([x, y]), x.size, rng, max_exact, n_draws)
    return Permutation(p, float(x.mean() - y.mean()), exact, n)


def mann_whitney(
    a: ArrayLike, b: ArrayLike, *, rng: np.random.Generator, max_exact: int = MAX_EXACT, n_draws: int = N_DRAWS
) -> Permutation:
    """Mann-Whitney test as the permutation test of the ranks, so that it is exact with ties too.

    Parameters
    ----------
    a, b, rng, max_exact, n_draws
        As in `permutation_unpaired`.

    Returns
    -------
    Permutation
        Its statistic is U of `a`: the number of pairs in which the value of `a` is the larger, ties counting
        half.

    Raises
    ------
    ValueError
        As `permutation_unpaired`.

    Notes
    -----
    Source: Mann and Whitney, Annals of Mathematical Statistics 18 (1947), 50-60; mean ranks for ties.
    """
    x, y = _groups(a, b)
    ranks = rankdata(np.concatenate([x, y]))
    p, exact, n = _regroup(ranks, x.size, rng, max_exact, n_draws)
    return Permutation(p, float(ranks[: x.size].sum() - x.size * (x.size + 1) / 2), exact, n)


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Adjust a family of p-values so that the chance of any false rejection stays below the level.

    Parameters
    ----------
    p_values : array-like of any shape
        The family, such as methods x metrics. NaN, a test that couldn't be made, isn't a part of it.

    Returns
    -------
    ndarray of float64, same shape
        Reject where the adjusted value is at most the level; NaN stays NaN.

    Raises
    ------
    ValueError
        If a value lies outside [0, 1].

    Notes
    -----
    Holds whatever the dependence between the tests. Source: Holm, Scandinavian Journal of Statistics 6 (1979),
    65-70.
    """
    p = np.array(p_values, dtype=np.float64)
    made = p[~np.isnan(p)]
    if ((made < 0) | (made > 1)).any():
        raise ValueError("p-values must lie in [0, 1]")
    order = np.argsort(made, kind="stable")
    stepped = made[order] * np.arange(made.size, 0, -1)
    adjusted = np.empty_like(made)
    adjusted[order] = np.minimum(np.maximum.accumulate(stepped), 1.0)
    p[~np.isnan(p)] = adjusted
    return p


def _groups(a: ArrayLike, b: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    x, y = finite_vector(a), finite_vector(b)
    if x.size == 0 or y.size == 0:
        raise ValueError("nothing to test: a group is empty")
    return x, y


def _regroup(
    pooled: NDArray[np.float64], n_first: int, rng: np.random.Generator, max_exact: int, n_draws: int
) -> tuple[float, bool, int]:
    """Two-sided p of the sum of the first `n_first`, whether it is exact, and the number of regroupings."""
    # Of centred values the sum of one group is the difference of the means up to a positive factor.
    z = pooled - pooled.mean()
    n = math.comb(z.size, n_first)
    exact = n <= max_exact
    if exact:
        chosen = itertools.chain.from_iterable(itertools.combinations(range(z.size), n_first))
        sums = z[np.fromiter(chosen, dtype=np.intp, count=n * n_first).reshape(n, n_first)].sum(axis=1)
    else:
        sums = rng.permuted(np.tile(z, (n_draws, 1)), axis=1)[:, :n_first].sum(axis=1)
    return _share(sums, z[:n_first].sum(), z, exact=exact), exact, sums.size


def _share(sums: NDArray[np.float64], observed: float, x: NDArray[np.float64], *, exact: bool) -> float:
    # Sums that are equal but for the order of their terms must count as equal.
    rounding = 2 * x.size * np.finfo(np.float64).eps * float(np.abs(x).sum())
    as_far = int(np.count_nonzero(np.abs(sums) >= abs(observed) - rounding))
    return as_far / sums.size if exact else (1 + as_far) / (1 + sums.size)
