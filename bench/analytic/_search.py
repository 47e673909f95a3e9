"""The highest point of a smooth curve that may have several."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.optimize import brentq

from bench.analytic.model import Floats


def highest(
    value: Callable[[float], float], slope: Callable[[float], float], grid: Floats, slopes: Floats | None = None
) -> float:
    """Where `value` is highest, from the zeros of its slope.

    Parameters
    ----------
    value, slope : callable
        The curve and its derivative.
    grid : ndarray, ascending
        The search is from the first point to the last, each of which is a candidate; no two maxima may lie between two
        neighbours.
    slopes : ndarray, optional
        `slope` at the points of the grid, where that is cheaper in one go.
    """
    if slopes is None:
        slopes = np.array([slope(float(at)) for at in grid])
    candidates = [float(grid[0]), float(grid[-1])]
    for left, right, before, after in zip(grid, grid[1:], slopes, slopes[1:], strict=False):
        if before > 0 > after:
            candidates.append(float(brentq(slope, left, right, xtol=1e-13 * left, rtol=1e-14)))
        elif after == 0:
            candidates.append(float(right))
    return max(candidates, key=value)
