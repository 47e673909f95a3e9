"""Random linear-Gaussian models."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.analytic.model import LinearGaussian


def design(seed: int, *, equal_norms: bool = False, assumed: bool = True) -> LinearGaussian:
    """Draw sizes, mixing and noise; now and then with fewer data dimensions than factors.

    `equal_norms` gives all factors the same signal, `assumed` a decoder whose variance isn't the noise's.
    """
    rng = np.random.default_rng(seed)
    k = int(rng.integers(2, 6))
    mixing = rng.normal(size=(k + int(rng.integers(0 if equal_norms else -1, 4)), k))
    if equal_norms:
        mixing /= np.linalg.norm(mixing, axis=0)
    noise = float(np.exp(rng.uniform(-5, 2)))
    return LinearGaussian(mixing, noise, noise * float(np.exp(rng.normal())) if assumed else None)


def ratio(model: LinearGaussian) -> float:
    """Return the variance of the noise over the one that the decoder assumes."""
    return model.noise_variance / model.decoder_variance


def rotation(size: int, seed: int) -> NDArray[np.float64]:
    """Draw an orthogonal matrix."""
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(size, size)))[0]
