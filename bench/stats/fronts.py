"""Fronts: what a method reaches over its strengths, seed by seed.

A front is the line through one seed's points, in the order of the method's strength: score against distortion, say.
`bench.stats.front_differences` compares two of them where they are equal in x.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import trapezoid

from bench.stats.intervals import MIN_SEEDS, N_RESAMPLES, check_level, finite_vector

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Front:
    """One seed's front.

    Attributes
    ----------
    x : ndarray of float64, shape (m,), m >= 1
        Strictly rising.
    y : ndarray of float64, shape (m,)
        Values there.
    pooled : int
        Points that were averaged into a neighbour, because x turned back along the strengths.
    """

    x: Vector
    y: Vector
    pooled: int = 0

    @property
    def low(self) -> float:
        """Where it begins."""
        return float(self.x[0])

    @property
    def high(self) -> float:
        """Where it ends; where it begins, if all points were pooled."""
        return float(self.x[-1])


@dataclass(frozen=True)
class FrontBand:
    """Mean front of several seeds.

    Attributes
    ----------
    at : ndarray of float64, shape (g,)
        Places that all seeds reach.
    mean : ndarray of float64, shape (g,)
        Over seeds.
    low, high : ndarray of float64, shape (g,), or None
        Bounds of the mean, place by place; None below `bench.stats.MIN_SEEDS` seeds.
    """

    at: Vector
    mean: Vector
    low: Vector | None
    high: Vector | None


def front_direction(points: Sequence[ArrayLike]) -> int:
    """Whether x rises or falls along the strengths, as most pairs of points have it.

    Parameters
    ----------
    points : sequence of array-like of shape (m,)
        x of each seed in the order of the strengths.

    Returns
    -------
    {1, -1}
        1 where as many pairs rise as fall.
    """
    pairs = [np.sign(np.subtract.outer(x, x)) for x in map(finite_vector, points)]
    return -1 if sum(float(np.tril(signs).sum()) for signs in pairs) < 0 else 1


def front_through(x: ArrayLike, y: ArrayLike, rising: int = 1) -> Front:
    """One seed's front: piecewise linear through its points in the order of the strengths.

    Where x turns back from one strength to the next, the points are pooled: the run of points that can't be put into
    order becomes one point at the mean of their x and of their y (pool adjacent violators, the least-squares monotone
    fit of x). A front has one value at each x then, whatever the noise.

    Parameters
    ----------
    x, y : array-like of shape (m,), m >= 1
        Finite numbers, in the order of the strengths.
    rising : {1, -1}
        Which way x goes along the strengths, for all seeds of a method: `front_direction`.

    Returns
    -------
    Front
        Sorted by x.

    Raises
    ------
    ValueError
        If there are no points, the lengths differ, or a number isn't finite.

    Notes
    -----
    Source: Ayer, Brunk, Ewing, Reid and Silverman, Annals of Mathematical Statistics 26 (1955), 641-647.

    Examples
    --------
    >>> front_through([1.0, 3.0, 2.0, 5.0], [0.1, 0.2, 0.4, 0.5])
    Front(x=array([1. , 2.5, 5. ]), y=array([0.1, 0.3, 0.5]), pooled=1)
    """
    xs, ys = finite_vector(x), finite_vector(y)
    if xs.size == 0 or xs.size != ys.size:
        raise ValueError(f"a front needs as many x as y and one at least, got {xs.size} and {ys.size}")
    blocks: list[tuple[float, float, int]] = []
    for px, py in zip(xs[::rising], ys[::rising], strict=True):
        block = (float(px), float(py), 1)
        while blocks and blocks[-1][0] / blocks[-1][2] >= block[0] / block[2]:
            block = (block[0] + blocks[-1][0], block[1] + blocks[-1][1], block[2] + blocks[-1][2])
            blocks.pop()
        blocks.append(block)
    sums = np.array(blocks)
    return Front(sums[:, 0] / sums[:, 2], sums[:, 1] / sums[:, 2], xs.size - len(blocks))


def front_values(line: Front, at: ArrayLike) -> Vector:
    """Values of a front at some x; NaN outside of its points, for nothing is extrapolated."""
    return np.interp(np.asarray(at, dtype=np.float64), line.x, line.y, left=math.nan, right=math.nan)


def common_range(*methods: Mapping[int, Front]) -> tuple[float, float] | None:
    """The stretch of x that every front of every method reaches, or None where there is none."""
    lines = [line for method in methods for line in method.values()]
    low, high = max(line.low for line in lines), min(line.high for line in lines)
    return (low, high) if low < high else None


def matched_points(low: float, high: float, n: int = 5, *, log: bool = False) -> Vector:
    """Places at which fronts are compared: the middles of n equal parts of a range.

    Parameters
    ----------
    low, high : float
        The range; `low` is below `high`.
    n : int
        How many.
    log : bool
        Equal on a logarithmic axis; `low` is above 0 then.

    Returns
    -------
    ndarray of float64, shape (n,)
        With two digits, where those lie in the range and are apart.

    Examples
    --------
    >>> matched_points(0.0, 10.0).tolist()
    [1.0, 3.0, 5.0, 7.0, 9.0]
    """
    shares = (np.arange(n) + 0.5) / n
    exact = low * (high / low) ** shares if log else low + (high - low) * shares
    short = np.array([float(f"{value:.2g}") for value in exact])
    apart = (np.diff(short) > 0).all() and short[0] >= low and short[-1] <= high
    return np.asarray(short if apart else exact, dtype=np.float64)


def mean_over(line: Front, low: float, high: float) -> float:
    """Mean of a front over a stretch of x that it reaches; exact, as the front is piecewise linear.

    Examples
    --------
    >>> mean_over(Front(np.array([0.0, 1.0, 3.0]), np.array([0.0, 1.0, 1.0])), 0.0, 2.0)
    0.75
    """
    knots = np.concatenate([[low], line.x[(line.x > low) & (line.x < high)], [high]])
    return float(trapezoid(front_values(line, knots), knots) / (high - low))


def front_band(
    lines: Mapping[int, Front],
    *,
    rng: np.random.Generator,
    places: int = 60,
    confidence: float = 0.95,
    n_resamples: int = N_RESAMPLES,
) -> FrontBand | None:
    """Mean front with a bootstrap band over the range that all seeds reach.

    Parameters
    ----------
    lines : mapping of int to Front
        Seed to front; at least one.
    rng : numpy.random.Generator
        Draws the seeds, the same ones for the whole front.
    places : int
        Where it is computed: evenly over the range.
    confidence : float, in (0, 1)
        Level at each place, not of the band as a whole.
    n_resamples : int
        Number of draws.

    Returns
    -------
    FrontBand or None
        Percentile bounds; None if there is no stretch that all seeds reach.
    """
    check_level(confidence)
    stretch = common_range(lines)
    if stretch is None:
        return None
    at = np.linspace(*stretch, places)
    values = np.array([front_values(lines[seed], at) for seed in sorted(lines)])
    mean = values.mean(axis=0)
    n = len(values)
    if n < MIN_SEEDS:
        return FrontBand(at, mean, None, None)
    shares = rng.multinomial(n, np.full(n, 1 / n), n_resamples) / n
    low, high = np.quantile(shares @ values, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    return FrontBand(at, mean, low, high)


def values_at(lines: Mapping[int, Front], at: float) -> dict[int, float]:
    """Seed to the value of its front at one x, of the seeds that reach it."""
    values = {seed: float(front_values(line, at)) for seed, line in sorted(lines.items())}
    return {seed: value for seed, value in values.items() if not math.isnan(value)}
