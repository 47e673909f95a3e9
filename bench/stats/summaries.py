"""What several seeds say about one number, for the tables, and when two such intervals stand apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from bench.stats.intervals import MIN_SEEDS, N_RESAMPLES, bca, check_level, finite_vector, percentile


@dataclass(frozen=True)
class Summary:
    """What several seeds say about one number.

    Attributes
    ----------
    n : int
        Number of values.
    mean, median : float
        NaN when there are no values.
    sd : float
        Sample standard deviation (``ddof=1``); NaN when n < 2.
    low, high : float or None
        Bounds of the confidence interval of the mean; None when n < 2.
    interval : {"bca", "percentile", "none"}
        How the bounds were found. "percentile" says that BCa was degenerate (all values equal, for one).
    """

    n: int
    mean: float
    sd: float
    median: float
    low: float | None
    high: float | None
    interval: Literal["bca", "percentile", "none"]


def summary(values: ArrayLike, *, rng: np.random.Generator, confidence: float = 0.95) -> Summary:
    """Mean, spread and bootstrap interval of the mean.

    Parameters
    ----------
    values : array-like of shape (n,)
        Finite numbers, one per seed. Their order matters to the last digits of the interval, so sort by seed.
    rng : numpy.random.Generator
        Draws the resamples.
    confidence : float, in (0, 1)
        Level of the interval.

    Returns
    -------
    Summary
        With the bias-corrected and accelerated interval from 9,999 resamples, or the percentile one where BCa
        is degenerate, or none below two values.

    Raises
    ------
    ValueError
        If the values aren't a finite vector or the level is no probability.

    Notes
    -----
    Source: Efron, "Better bootstrap confidence intervals", JASA 82 (1987), 171-185. With n = 2 to 4 the
    interval is far too narrow for its level (n = 2 gives the range of the values), hence `MIN_SEEDS`.
    """
    x = finite_vector(values)
    check_level(confidence)
    if x.size == 0:
        return Summary(0, float("nan"), float("nan"), float("nan"), None, None, "none")
    mean, median = float(x.mean()), float(np.median(x))
    if x.size == 1:
        return Summary(1, mean, float("nan"), median, None, None, "none")
    if np.ptp(x) == 0:
        return Summary(x.size, median, 0.0, median, median, median, "percentile")
    sd = float(x.std(ddof=1))
    bounds = bca((x,), np.mean, rng, confidence, N_RESAMPLES)
    if bounds is not None:
        return Summary(x.size, mean, sd, median, *bounds, "bca")
    return Summary(x.size, mean, sd, median, *percentile(x, np.mean, rng, confidence, N_RESAMPLES), "percentile")


def stands_above(best: Summary, others: Sequence[Summary], *, higher_is_better: bool) -> bool:
    """Whether the interval of `best` lies wholly on the better side of every other one.

    Parameters
    ----------
    best : Summary
        The candidate.
    others : sequence of Summary
        Everything it is compared with; those without values don't count.
    higher_is_better : bool
        Direction.

    Returns
    -------
    bool
        False when there is nothing to compare with, or when anybody has fewer than `MIN_SEEDS` values.
    """
    rivals = [other for other in others if other.n]
    if not rivals or min(item.n for item in (best, *rivals)) < MIN_SEEDS:
        return False
    for rival in rivals:
        better, worse = (best, rival) if higher_is_better else (rival, best)
        if better.low is None or worse.high is None or not better.low > worse.high:
            return False
    return True
