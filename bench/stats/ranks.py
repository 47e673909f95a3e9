"""Who is ahead of whom: the probability of improvement, and how stable a ranking of methods is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from bench.stats.intervals import (
    MIN_SEEDS,
    N_RESAMPLES,
    STATISTICS,
    TOO_FEW,
    Interval,
    check_level,
    finite_vector,
    quantiles,
)


@dataclass(frozen=True)
class RankStability:
    """How the ranking of methods moves when the seeds are drawn again.

    Attributes
    ----------
    methods : tuple of str
        M methods, in the order given.
    seeds : tuple of int
        Seeds that all of them have; only these are used.
    ranks : ndarray of float64, shape (M,)
        Observed ranks, 1 the best; methods that tie share the mean rank.
    distribution : ndarray of float64, shape (M, M)
        ``[i, r]`` is the share of bootstrap samples in which method i has rank ``r + 1``. Methods that tie share
        their ranks evenly. Rows and columns sum to 1.
    ahead : ndarray of float64, shape (M, M)
        ``[i, j]`` is the share of bootstrap samples in which method i is better than j, ties counting half:
        where i is observed to be better, the share in which that order holds. 0.5 on the diagonal.
    low, high : ndarray of int64, shape (M,)
        Interval of the rank.
    confidence : float
        Its level.
    note : str
        "too few seeds to compare" below `bench.stats.MIN_SEEDS`, else empty.
    """

    methods: tuple[str, ...]
    seeds: tuple[int, ...]
    ranks: NDArray[np.float64]
    distribution: NDArray[np.float64]
    ahead: NDArray[np.float64]
    low: NDArray[np.int64]
    high: NDArray[np.int64]
    confidence: float
    note: str


def probability_of_improvement(
    x: ArrayLike,
    y: ArrayLike,
    *,
    rng: np.random.Generator,
    confidence: float = 0.95,
    n_resamples: int = N_RESAMPLES,
) -> Interval:
    """Probability that a run of one method has a larger value than a run of another, ties counting half.

    ``P(X > Y) = (1 / (n m)) sum_ij S(x_i, y_j)`` with S = 1, 1/2 or 0 for larger, equal or smaller. Where lower
    is better, swap the two.

    Parameters
    ----------
    x : array-like of shape (n,), n >= 1
        Finite numbers.
    y : array-like of shape (m,), m >= 1
        Finite numbers.
    rng : numpy.random.Generator
        Draws the resamples, of both groups independently.
    confidence : float, in (0, 1)
        Level of the interval.
    n_resamples : int
        Number of resamples.

    Returns
    -------
    Interval
        Estimate and bounds in [0, 1], percentile method; none with fewer than three values in a group. If one
        group lies wholly above the other, ``method`` is "point": the bootstrap sees no spread then, which
        doesn't mean that there is none.

    Raises
    ------
    ValueError
        If a group is empty or has a value that isn't finite, or the level is no probability.

    Notes
    -----
    Over 2,000 pairs of normal samples of 10 each the 95 % interval held the true probability in 95, 93 and 86 % of
    them where that was 0.5, 0.76 and 0.92; of 5 each in 91, 89 and 63 %.

    Source: Agarwal et al.: Deep Reinforcement Learning at the Edge of the Statistical Precipice, NeurIPS 2021
    (one task).
    """
    check_level(confidence)
    a, b = finite_vector(x), finite_vector(y)
    if a.size == 0 or b.size == 0:
        raise ValueError("nothing to compare: a group is empty")
    wins = (1 + np.sign(a[:, None] - b)) / 2
    estimate, n = float(wins.mean()), min(a.size, b.size)
    if n < 3:
        return Interval(estimate, None, None, n, confidence, "none", "fewer than 3 values")
    if np.ptp(wins) == 0:
        note = "no spread: all pairs have the same order"
        return Interval(estimate, estimate, estimate, n, confidence, "point", note)
    counts_a, counts_b = (rng.multinomial(k, np.full(k, 1 / k), n_resamples) for k in (a.size, b.size))
    resampled = ((counts_a @ wins) * counts_b).sum(axis=1) / (a.size * b.size)
    return Interval(estimate, *quantiles(resampled, confidence), n, confidence, "percentile")


def rank_stability(
    samples: Mapping[str, Mapping[int, float]],
    *,
    higher_is_better: bool,
    rng: np.random.Generator,
    statistic: Literal["mean", "median", "iqm"] = "mean",
    confidence: float = 0.95,
    n_resamples: int = N_RESAMPLES,
) -> RankStability:
    """Rank methods again and again on seeds drawn with replacement.

    The same seeds are drawn for all methods, as they share initialisation and data order per seed.

    Parameters
    ----------
    samples : mapping of str to mapping of int to float
        Method to seed to value; at least two methods. Only seeds that all of them have are used, so leave a
        method out that has few.
    higher_is_better : bool
        Direction.
    rng : numpy.random.Generator
        Draws the seeds.
    statistic : {"mean", "median", "iqm"}
        What methods are ranked by.
    confidence : float, in (0, 1)
        Level of the rank intervals.
    n_resamples : int
        Number of draws.

    Returns
    -------
    RankStability
        The shares say how much the ranking hangs on which seeds were run; they aren't probabilities that a
        method is better.

    Raises
    ------
    ValueError
        With fewer than two methods or no common seed, or for values that aren't finite.

    Notes
    -----
    Drawing again starts from the observed order, so between methods that are truly equal the shares look more
    decided than they should. Source: Hall and Miller, Using the bootstrap to quantify the authority of an
    empirical ranking, Annals of Statistics 37 (2009), 3929-3959.
    """
    check_level(confidence)
    if len(samples) < 2:
        raise ValueError("ranks need at least two methods")
    seeds = sorted(set.intersection(*(set(values) for values in samples.values())))
    if not seeds:
        raise ValueError("the methods have no seed in common")
    table = np.array([finite_vector([values[seed] for seed in seeds]) for values in samples.values()])
    if not higher_is_better:
        table = -table
    function = STATISTICS[statistic]
    draws = rng.integers(0, len(seeds), (n_resamples, len(seeds)))
    scores = np.stack([function(row[draws], axis=-1) for row in table])
    first, last = rankdata(-scores, "min", axis=0), rankdata(-scores, "max", axis=0)
    places = np.arange(1, len(table) + 1)
    held = (first[..., None] <= places) & (places <= last[..., None])
    distribution = (held / (last - first + 1)[..., None]).mean(axis=1)
    ahead = (1 + np.sign(scores[:, None] - scores)).mean(axis=2) / 2
    reached = np.cumsum(distribution, axis=1)
    low, high = (1 + np.argmax(reached >= level, axis=1) for level in ((1 - confidence) / 2, (1 + confidence) / 2))
    return RankStability(
        methods=tuple(samples),
        seeds=tuple(seeds),
        ranks=rankdata(-function(table, axis=-1)),
        distribution=distribution,
        ahead=ahead,
        low=low,
        high=high,
        confidence=confidence,
        note=TOO_FEW if len(seeds) < MIN_SEEDS else "",
    )
