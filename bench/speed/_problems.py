"""What the metrics are timed on: codes of known quality, without any training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bench.metric import Floats, Ints

#: Variance of the noise on a code of variance 1: 10 dB below the signal.
NOISE = 0.1


def grid(sizes: Sequence[int]) -> Ints:
    """Factor classes of a full grid in C order, shape (product of sizes, F)."""
    return np.stack(np.unravel_index(np.arange(np.prod(sizes)), tuple(sizes)), axis=1).astype(np.int64)


def draw(sizes: Sequence[int], n: int, rng: np.random.Generator) -> Ints:
    """Factor classes drawn uniformly, shape (n, F)."""
    return rng.integers(0, np.asarray(sizes), size=(n, len(sizes)))


def codes_10_db(factors: Ints, rng: np.random.Generator, *, n_latents: int = 10) -> tuple[Floats, Floats]:
    """Codes of a good model: each factor in a code of its own with noise, the other codes noise alone.

    Parameters
    ----------
    factors : ndarray of shape (N, F), int64
    rng : numpy.random.Generator
        Draws the noise.
    n_latents : int
        D, at least F.

    Returns
    -------
    codes : ndarray of shape (N, D), float64
        Standardised factors plus noise of variance `NOISE`, then standard normal columns.
    logvar : ndarray of shape (N, D), float64
        ``log(NOISE)``, as if the noise were the posterior's.
    """
    signal = (factors - factors.mean(axis=0)) / factors.std(axis=0)
    noisy = signal + np.sqrt(NOISE) * rng.standard_normal(signal.shape)
    rest = rng.standard_normal((len(factors), n_latents - factors.shape[1]))
    codes = np.hstack([noisy, rest])
    return codes, np.full(codes.shape, np.log(NOISE))


def pictures(n: int, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Binary 64x64 images, half of their pixels set, and logits near them, (n, 1, 64, 64) each."""
    images = rng.integers(0, 2, size=(n, 1, 64, 64)).astype(np.float32)
    logits = 4 * images - 2 + rng.standard_normal(images.shape, dtype=np.float32)
    return images, logits
