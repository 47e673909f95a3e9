"""Two methods' fronts compared where they are equal in x, within seeds.

Methods whose settings fall on different distortions are compared at the same distortion that way, without anybody's
setting being chosen.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from bench.stats.fronts import Front, Vector, common_range, front_values, mean_over, values_at
from bench.stats.intervals import MIN_SEEDS, check_level, finite_vector
from bench.stats.paired import Comparison, compare_paired


@dataclass(frozen=True)
class Above:
    """How often one front lies above another one, within seeds.

    Attributes
    ----------
    at : ndarray of float64, shape (g,)
        Places.
    share : ndarray of float64, shape (g,)
        Share of the seeds in which the first front is the higher one, ties counting half; NaN where no pair of seeds
        reaches.
    low, high : ndarray of float64, shape (g,)
        Wilson's interval for the probability; NaN below `bench.stats.MIN_SEEDS` pairs.
    n : ndarray of int64, shape (g,)
        Pairs that reach.
    """

    at: Vector
    share: Vector
    low: Vector
    high: Vector
    n: NDArray[np.int64]


def difference_at(a: Mapping[int, Front], b: Mapping[int, Front], at: float) -> Comparison | None:
    """Difference of two methods at one x, within seeds: `bench.stats.compare_paired` of the fronts' values there.

    Parameters
    ----------
    a, b : mapping of int to Front
        Seed to front.
    at : float
        The place.

    Returns
    -------
    Comparison or None
        ``a - b`` over the seeds of which both fronts reach that far; None if there is none.
    """
    first, second = values_at(a, at), values_at(b, at)
    return compare_paired(first, second) if first.keys() & second.keys() else None


def area_difference(a: Mapping[int, Front], b: Mapping[int, Front]) -> tuple[Comparison, float, float] | None:
    """Area between two fronts as the mean difference over the range that they have in common, within seeds.

    The range is that of all seeds which both methods have, so every seed is averaged over the same stretch.

    Parameters
    ----------
    a, b : mapping of int to Front
        Seed to front.

    Returns
    -------
    (Comparison, float, float) or None
        ``a - b`` in units of y, and the range; None without a common seed or range.
    """
    seeds = sorted(a.keys() & b.keys())
    if not seeds:
        return None
    first, second = ({seed: side[seed] for seed in seeds} for side in (a, b))
    stretch = common_range(first, second)
    if stretch is None:
        return None
    means = [{seed: mean_over(line, *stretch) for seed, line in side.items()} for side in (first, second)]
    return compare_paired(*means), *stretch


def probability_above(
    a: Mapping[int, Front], b: Mapping[int, Front], at: ArrayLike, *, confidence: float = 0.95
) -> Above:
    """Probability that a seed's front of `a` lies above its front of `b`, place by place.

    Parameters
    ----------
    a, b : mapping of int to Front
        Seed to front.
    at : array-like of shape (g,)
        Places.
    confidence : float, in (0, 1)
        Level of the interval.

    Returns
    -------
    Above
        Each interval is for its own place.

    Notes
    -----
    Source of the interval: Wilson, JASA 22 (1927), 209-212. Of 10 seeds that all agree it is [0.72, 1], of 5
    [0.57, 1]: where a bootstrap would see no spread.
    """
    check_level(confidence)
    places = finite_vector(at)
    seeds = sorted(a.keys() & b.keys())
    gaps = np.full((len(seeds), places.size), math.nan)
    for row, seed in enumerate(seeds):
        gaps[row] = front_values(a[seed], places) - front_values(b[seed], places)
    n = (~np.isnan(gaps)).sum(axis=0)
    wins = np.nansum((1 + np.sign(gaps)) / 2, axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = wins / n
        z = float(special.ndtri((1 + confidence) / 2))
        middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
        half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    few = n < MIN_SEEDS
    low, high = np.clip(middle - half, 0, 1), np.clip(middle + half, 0, 1)
    return Above(places, share, np.where(few, math.nan, low), np.where(few, math.nan, high), n.astype(np.int64))
