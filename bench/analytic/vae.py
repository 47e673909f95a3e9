"""The β-VAE that maximises J, and what makes two of them comparable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.optimize import linear_sum_assignment

from bench.analytic.model import Floats, LinearGaussian

#: Whether the encoder's covariance is diagonal ("mean-field") or free.
Family = Literal["diagonal", "full"]

#: What latents are matched with factors for.
Measure = Literal["log_q", "mean_squared_error"]

#: Two variances of the data closer than this, relative to the larger, leave the learned axes open.
DISTINCT = 1e-9


@dataclass(frozen=True, eq=False)
class LinearVAE:
    """Encoder ``q(z|x) = N(K x, S)`` and decoder mean ``W z``; also a trained one, read from its weights.

    Attributes
    ----------
    gain : ndarray of shape (n_latents, d), float64
        K.
    covariance : ndarray of shape (n_latents, n_latents), float64
        S, positive definite.
    decoder : ndarray of shape (d, n_latents), float64
        W.
    """

    gain: Floats
    covariance: Floats
    decoder: Floats

    @property
    def variances(self) -> Floats:
        """Diagonal D of S, shape (n_latents,)."""
        return np.diag(self.covariance).copy()


def optimal_encoder(decoder: Floats, water_level: float, family: Family = "diagonal") -> LinearVAE:
    """The best encoder for a decoder that stays as it is.

    ``K = (W'W + τ I)^-1 W'`` for both families; ``S = τ (W'W + τ I)^-1`` if it is free, else its closest diagonal
    one, ``S_jj = τ / (|w_j|² + τ)``. It is the member of the family closest to the posterior at noise τ, in
    KL(q || posterior), for every x by itself: the law of the data doesn't matter, nor whether variances may depend
    on x.

    Parameters
    ----------
    decoder : ndarray of shape (d, n_latents)
        W.
    water_level : float
        τ = β σ_d² > 0.
    family : {"diagonal", "full"}

    Returns
    -------
    LinearVAE
    """
    if not 0 < water_level < np.inf:
        raise ValueError(f"water_level must be positive and finite, got {water_level}")
    inner = decoder.T @ decoder
    precision = inner + water_level * np.eye(len(inner))
    if family == "full":
        covariance = np.asarray(water_level * np.linalg.inv(precision))
    else:
        covariance = np.diag(water_level / np.diag(precision))
    return LinearVAE(np.asarray(np.linalg.solve(precision, decoder.T)), covariance, decoder)


def oracle_vae(model: LinearGaussian, beta: float, family: Family = "diagonal") -> LinearVAE:
    """`optimal_encoder` for the true decoder, W = A.

    With σ_d = σ the code is ``K A s = (β I + G)^-1 G s``: zero-forcing for β → 0, the least squared error at β = 1, and
    the direction of the matched filter for β → ∞.
    """
    return optimal_encoder(model.mixing, float(model.water_level(beta)), family)


def learned_vae(model: LinearGaussian, beta: float, n_latents: int | None = None) -> LinearVAE:
    """Encoder and decoder that maximise J together, σ_d² fixed.

    J / β is an evidence lower bound at noise τ, so that W is probabilistic PCA's, ``W = U (L - τ)_+^(1/2) R``, and the
    bound is tight, whatever the family, only where W'W is diagonal: the rotation R is a signed permutation, and latents
    are principal components. With the data's variances l_j and axes u_j: ``w_j² = (l_j - τ)_+``,
    ``S_jj = min(1, τ / l_j)``, ``K_j = w_j / l_j u_j'``.

    Parameters
    ----------
    model : LinearGaussian
    beta : float
    n_latents : int, optional
        At most d; k by default. A latent beyond the rank of A is used for τ < σ² only, to encode noise.

    Returns
    -------
    LinearVAE
        Latents by falling variance; the signs are arbitrary.

    Raises
    ------
    ValueError
        If two directions of the signal have the same variance: any rotation of the two would do.

    References
    ----------
    Tipping & Bishop, "Probabilistic principal component analysis", J. R. Stat. Soc. B 61 (1999); Lucas et al., "Don't
    Blame the ELBO!", NeurIPS 2019 (arXiv 1911.02469).
    """
    n = count_latents(model, n_latents)
    check_distinct(model, n)
    variances, axes = model.data_variances[:n], model.data_axes[:, :n]
    level = float(model.water_level(beta))
    weights = np.sqrt(np.maximum(variances - level, 0.0))
    spread = np.minimum(1.0, level / variances)
    return LinearVAE((axes * weights / variances).T, np.diag(spread), axes * weights)


def count_latents(model: LinearGaussian, n_latents: int | None) -> int:
    """Number of latents of a learned model, k unless said; `ValueError` if there is no such model."""
    n = model.n_factors if n_latents is None else n_latents
    if not 1 <= n <= model.n_dimensions:
        raise ValueError(f"n_latents must be 1 to {model.n_dimensions}, the dimensions of the data, got {n}")
    return n


def check_distinct(model: LinearGaussian, n_latents: int) -> None:
    """Raise `ValueError` if the learned axes aren't determined by the data."""
    # One more than there are latents: the last of them must be told from the first that isn't learned.
    signal = model.data_variances[: min(n_latents + 1, model.n_factors)]
    if (-np.diff(signal) <= DISTINCT * signal[:-1]).any():
        raise ValueError(f"the data's variances {signal} repeat: the axes of a learned decoder aren't determined")


def matched(model: LinearGaussian, vae: LinearVAE, measure: Measure = "log_q") -> LinearVAE:
    """Order and turn the latents such that latent i stands for factor i.

    By the signed choice of k latents with the largest ``sum |cov(m_j, s_i)| / S_jj``, which among k latents has the
    highest `bench.analytic.measures.log_q`; or the largest ``sum |cov(m_j, s_i)|``, for the smallest squared error.
    (Correlations instead of these would take a dead latent, whose minute gain may correlate perfectly.)

    Parameters
    ----------
    model : LinearGaussian
    vae : LinearVAE
        With a diagonal S and at least k latents.
    measure : {"log_q", "mean_squared_error"}
        For which the choice is to be best.

    Returns
    -------
    LinearVAE
        Of k latents; the decoder holds the columns of those alone.

    Raises
    ------
    ValueError
        For a full S or fewer than k latents.
    """
    spread = vae.variances
    if len(spread) < model.n_factors:
        raise ValueError(f"{len(spread)} latents can't stand for {model.n_factors} factors")
    if not np.array_equal(vae.covariance, np.diag(spread)):
        raise ValueError("only latents with a diagonal covariance can be matched one by one")
    cross = vae.gain @ model.mixing
    weight = 1 / spread if measure == "log_q" else np.ones_like(spread)
    latents, factors = linear_sum_assignment(weight[:, None] * np.abs(cross), maximize=True)
    chosen = latents[np.argsort(factors)]
    signs = np.where(cross[chosen, np.arange(model.n_factors)] < 0, -1.0, 1.0)
    return LinearVAE(vae.gain[chosen] * signs[:, None], np.diag(spread[chosen]), vae.decoder[:, chosen] * signs)


def calibrated(model: LinearGaussian, vae: LinearVAE) -> LinearVAE:
    """The same means with the variances that raise E log q(s|x) most: those of their errors, ``S_ii = M_ii``.

    On the optimum at β = 1 (σ_d = σ, true decoder) it gives ``S_ii = P_ii``, which no β of the diagonal family beats.
    """
    error = vae.gain @ model.mixing - np.eye(model.n_factors)
    noise = model.noise_variance * (vae.gain**2).sum(axis=1)
    return LinearVAE(vae.gain, np.diag((error**2).sum(axis=1) + noise), vae.decoder)
