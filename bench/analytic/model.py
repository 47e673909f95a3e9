"""The linear-Gaussian data and their true posterior."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LinearGaussian:
    """Data ``x = A s + noise`` and the variance that a decoder assumes for the noise.

    Only second moments of s enter, but for the posterior and what is compared with it, which take s to be Gaussian.

    Parameters
    ----------
    mixing : array-like of shape (d, k)
        A; column i is what factor i does to the data. Finite.
    noise_variance : float
        σ² > 0, the same in every direction.
    assumed_variance : float, optional
        σ_d² > 0 of the decoder; σ² by default. The loss ``SSE / 2 + β KL`` has σ_d² = 1, ``SSE + β KL`` has 1/2, and a
        mean over the d dimensions instead of the sum multiplies by d.

    Raises
    ------
    ValueError
        For anything else.
    """

    mixing: Floats
    noise_variance: float
    assumed_variance: float | None = None

    def __post_init__(self) -> None:
        mixing = np.array(self.mixing, dtype=np.float64)
        if mixing.ndim != 2 or 0 in mixing.shape or not np.isfinite(mixing).all():
            raise ValueError(f"mixing must be a finite matrix (data, factors), got shape {mixing.shape}")
        for name, value in (("noise_variance", self.noise_variance), ("assumed_variance", self.decoder_variance)):
            if not 0 < value < np.inf:
                raise ValueError(f"{name} must be positive and finite, got {value}")
        mixing.setflags(write=False)
        object.__setattr__(self, "mixing", mixing)

    @property
    def n_dimensions(self) -> int:
        """Dimensions of the data, d."""
        return int(self.mixing.shape[0])

    @property
    def n_factors(self) -> int:
        """Number of factors, k."""
        return int(self.mixing.shape[1])

    @property
    def decoder_variance(self) -> float:
        """σ_d²."""
        return self.noise_variance if self.assumed_variance is None else self.assumed_variance

    def water_level(self, beta: ArrayLike) -> Floats:
        """``τ = β σ_d²``, in which alone the optimal encoder depends on either; the shape of `beta`.

        Raises
        ------
        ValueError
            If a β isn't positive and finite.
        """
        values = np.asarray(beta, dtype=np.float64)
        # Written so that NaN fails it.
        if not ((values > 0) & (values < np.inf)).all():
            raise ValueError(f"beta must be positive and finite, got {values}")
        return values * self.decoder_variance

    @cached_property
    def snr(self) -> Floats:
        """``G = A'A / σ²``, the signal-to-noise matrix, shape (k, k)."""
        return self.mixing.T @ self.mixing / self.noise_variance

    @cached_property
    def snr_values(self) -> Floats:
        """Eigenvalues g of G, descending, shape (k,)."""
        return self._decomposition[1] / self.noise_variance

    @property
    def factor_axes(self) -> Floats:
        """Eigenvectors of G in the columns, shape (k, k): the right singular vectors of A."""
        return self._decomposition[2]

    @property
    def data_axes(self) -> Floats:
        """Principal axes of the data in the columns, shape (d, d): the left singular vectors of A."""
        return self._decomposition[0]

    @cached_property
    def data_variances(self) -> Floats:
        """Variances l of the data along `data_axes`, descending, shape (d,)."""
        signal = np.zeros(self.n_dimensions)
        rank = min(self.mixing.shape)
        signal[:rank] = self._decomposition[1][:rank]
        return signal + self.noise_variance

    @cached_property
    def data_covariance(self) -> Floats:
        """``A A' + σ² I``, shape (d, d)."""
        return self.mixing @ self.mixing.T + self.noise_variance * np.eye(self.n_dimensions)

    @cached_property
    def posterior_precision(self) -> Floats:
        """``Λ = I + G``, shape (k, k)."""
        return np.eye(self.n_factors) + self.snr

    @cached_property
    def posterior_covariance(self) -> Floats:
        """``P = Λ^-1``, the covariance of s given x, shape (k, k)."""
        return np.asarray(np.linalg.inv(self.posterior_precision))

    @cached_property
    def posterior_gain(self) -> Floats:
        """``P A' / σ²``, shape (k, d): times x it is the mean of s given x."""
        return self.posterior_covariance @ self.mixing.T / self.noise_variance

    @cached_property
    def posterior_entropy(self) -> float:
        """``H(s|x) = log det(2 π e P) / 2`` in nats: minus it, no encoder's E log q(s|x) is higher."""
        return 0.5 * (self.n_factors * float(np.log(2 * np.pi * np.e)) - float(np.log1p(self.snr_values).sum()))

    @cached_property
    def _decomposition(self) -> tuple[Floats, Floats, Floats]:
        left, singular, right = np.linalg.svd(self.mixing)
        signal = np.zeros(self.n_factors)
        signal[: len(singular)] = singular**2
        return left, signal, right.T
