"""What claims measure of a sweep: one number from a score at several values of a hyper-parameter."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def peak(at: Floats, values: Floats) -> float:
    """The setting with the highest score, read off a grid.

    The vertex of the parabola, over the logarithm of the setting, through the highest score and its two neighbours;
    where the highest is at an end of the grid, that end.

    Parameters
    ----------
    at : ndarray of shape (n,), float64
        Settings, positive, ascending.
    values : ndarray of shape (n,), float64
        Scores.
    """
    best = int(np.argmax(values))
    if best in (0, len(at) - 1):
        return float(at[best])
    (left, middle, right), (low, high, end) = np.log(at[best - 1 : best + 2]), values[best - 1 : best + 2]
    if low == high == end:
        return float(at[best])
    up, down = (high - low) * (middle - right), (high - end) * (middle - left)
    return float(np.exp(middle - ((middle - left) * down - (middle - right) * up) / (2 * (down - up))))


def highest(_: Floats, values: Floats) -> float:
    """The highest score of a sweep."""
    return float(values.max())


def lowest(_: Floats, values: Floats) -> float:
    """The lowest score of a sweep."""
    return float(values.min())


def largest_rise(_: Floats, values: Floats) -> float:
    """The largest difference of a score to that at the next lower setting: negative where it falls all the way."""
    return float(np.diff(values).max())


#: What a claim's test may measure of a sweep, by name: functions of settings, ascending, and scores, two at least.
SWEEPS: Mapping[str, Callable[[Floats, Floats], float]] = MappingProxyType(
    {function.__name__: function for function in (peak, highest, lowest, largest_rise)}
)
