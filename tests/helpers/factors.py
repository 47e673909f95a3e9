"""Ground-truth factors of data that are only factors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def grid(sizes: Sequence[int]) -> NDArray[np.int64]:
    """Return every combination of classes once, of shape (product of `sizes`, factors), the last one fastest."""
    return np.stack(np.unravel_index(np.arange(np.prod(sizes)), sizes), axis=1)


def standardised(factors: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return columns of mean 0 and variance 1: a perfect code."""
    return (factors - factors.mean(axis=0)) / factors.std(axis=0)
