"""What a search is worth: the score that a rule is expected to find with k draws, for every k."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.seeds import stream
from bench.stats import expected_best
from bench.tuning.rules import bound_of, mean_values, meets, order
from bench.tuning.trials import Trial, Trials

#: Resamples of an interval: of each the whole search is done again.
N_RESAMPLES = 2_000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Effort:
    """One method's curve over its draws; the default isn't one of them.

    Attributes
    ----------
    best, low, high : ndarray of float64, shape (n,)
        For k = 1 ... n: the mean score of the setting that the rule chooses of k draws, of those sets of k in which one
        meets the bound, with a 95 % interval. In the score's own direction; NaN where no draw meets the bound.
    found : ndarray of float64, shape (n,)
        Share of sets of k in which one meets the bound.
    default : float
        Score of the default; NaN if it doesn't meet the bound.
    """

    best: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    found: NDArray[np.float64]
    default: float


def efforts(trials: Trials) -> dict[str, Effort]:
    """The curve of each method that was drawn from.

    The interval is a percentile bootstrap over both things that were sampled: draws, and the tuning seeds that all of
    them share. The bound stays what it was in the study. A resample has the same draw more than once, which takes
    something from its best: at large k the intervals lie a little low.
    """
    bound, found = bound_of(trials), {}
    for method, (default, *draws) in trials.methods.items():
        if draws:
            best, low, high, share = _curve(draws, bound, method)
            if trials.sign < 0:
                best, low, high = -best, -high, -low
            value = trials.sign * default.value if meets(default, bound) else float("nan")
            found[method] = Effort(best, low, high, share, value)
    return found


def _curve(draws: Sequence[Trial], bound: float, method: str) -> tuple[NDArray[np.float64], ...]:
    best, share = _expected(mean_values(draws), np.array([draw.distortion for draw in draws]), bound)
    values, distortions = np.array([d.values for d in draws]), np.array([d.reconstruction for d in draws])
    values[[bool(draw.failure) for draw in draws]] = np.nan
    n, n_seeds = values.shape
    rng = stream(0, f"bootstrap:budget:{method}")
    resampled = np.full((N_RESAMPLES, n), np.nan)
    for replicate in resampled:
        some, seeds = rng.integers(0, n, n), rng.integers(0, n_seeds, n_seeds)
        chosen = np.ix_(some, seeds)
        replicate[:] = _expected(values[chosen].mean(axis=1), distortions[chosen].mean(axis=1), bound)[0]
    low, high = np.full(n, np.nan), np.full(n, np.nan)
    # Resamples in which nothing meets the bound say nothing of the score; where most are such, neither do the others.
    known = np.isfinite(resampled).mean(axis=0) > 0.5
    if n > 1 and known.any():
        tails = [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]
        low[known], high[known] = np.nanquantile(resampled[:, known], tails, axis=0)
    return best, low, high, share


def _expected(
    values: NDArray[np.float64], distortions: NDArray[np.float64], bound: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """`expected_best` of settings that a rule puts in order."""
    useful = np.isfinite(values) & (np.isinf(bound) | (distortions <= bound))
    places = order(values, distortions, bound)
    return expected_best(values[places[useful[places]]], int((~useful).sum()))
