"""Statistics over seeds: a mean with an interval, paired differences, and when two intervals stand apart.

Every function takes its generator. Callers pass the stream ``f"bootstrap:{study}:{group}:{column}"`` of
`bench.seeds.stream`, one per number, so adding a column or a method never shifts anybody else's interval.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

#: With fewer seeds nothing is compared: the smallest two-sided p of a Mann-Whitney test is 0.1 with 3 seeds
#: on each side, 0.03 with 4 and 0.008 with 5.
MIN_SEEDS = 5

N_RESAMPLES = 9999


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
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 1 or not np.isfinite(x).all():
        raise ValueError(f"values must be a vector of finite numbers, got shape {x.shape}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, got {confidence}")
    if x.size == 0:
        return Summary(0, float("nan"), float("nan"), float("nan"), None, None, "none")
    mean, median = float(x.mean()), float(np.median(x))
    if x.size == 1:
        return Summary(1, mean, float("nan"), median, None, None, "none")
    if np.ptp(x) == 0:
        return Summary(x.size, median, 0.0, median, median, median, "percentile")
    sd = float(x.std(ddof=1))
    bounds = _bca(x, rng, confidence)
    if bounds is not None:
        return Summary(x.size, mean, sd, median, *bounds, "bca")
    return Summary(x.size, mean, sd, median, *_percentile(x, rng, confidence), "percentile")


def _bca(x: NDArray[np.float64], rng: np.random.Generator, confidence: float) -> tuple[float, float] | None:
    with warnings.catch_warnings():
        # SciPy reports a degenerate BCa as NaN bounds and a warning; the NaN is what is acted on.
        warnings.simplefilter("ignore")
        # `random_state` is the name every supported SciPy knows.
        result = stats.bootstrap(
            (x,),
            np.mean,
            confidence_level=confidence,
            n_resamples=N_RESAMPLES,
            method="BCa",
            vectorized=True,
            random_state=rng,
        )
    low, high = (float(bound) for bound in result.confidence_interval)
    return (low, high) if np.isfinite([low, high]).all() else None


def _percentile(x: NDArray[np.float64], rng: np.random.Generator, confidence: float) -> tuple[float, float]:
    means = x[rng.integers(0, x.size, (N_RESAMPLES, x.size))].mean(axis=1)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def paired_difference(
    a: Mapping[int, float], b: Mapping[int, float], *, rng: np.random.Generator, confidence: float = 0.95
) -> Summary:
    """Summary of ``a - b`` over the seeds both have.

    All methods share initialisation and data order per seed, so the difference within a seed is freed of what
    the seed contributes to both.

    Parameters
    ----------
    a, b : mapping of int to float
        Seed to value.
    rng, confidence
        As in `summary`.

    Returns
    -------
    Summary
        Of the differences, in the order of the seeds.

    Raises
    ------
    ValueError
        If they have no seed in common.
    """
    seeds = sorted(a.keys() & b.keys())
    if not seeds:
        raise ValueError("nothing to pair: the two have no seed in common")
    return summary([a[seed] - b[seed] for seed in seeds], rng=rng, confidence=confidence)


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
