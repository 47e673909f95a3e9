"""A β-VAE with the true decoder, W = A: its numbers as functions of β.

With ``b = β σ_d² / σ²``, G the signal-to-noise matrix, g its eigenvalues, ``D_i = b / (b + G_ii)`` the variances and
``M = (b² I + G)(b I + G)^-2`` the error covariance of the means. Functions of β take an array of it, positive, and
give one of the same shape. The full family's numbers are those of the diagonal one at the diagonal matrix of the g.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq

from bench.analytic._search import highest
from bench.analytic.model import Floats, LinearGaussian
from bench.analytic.vae import Family

#: Columns of A whose squared cosines stay below this count as orthogonal.
ORTHOGONAL = 1e-24


def log_q(model: LinearGaussian, beta: ArrayLike, family: Family = "diagonal") -> Floats:
    """``L = E log q(s|x) = -sum_i [log(2π D_i) + M_ii / D_i] / 2`` nats; any law of s.

    It falls without bound for β → 0 and comes down to the prior's -k (log 2π + 1) / 2 for β → ∞.
    """
    b, g, weights, own = _setting(model, beta, family)
    variances = b / (b + own)
    errors = ((b**2 + g) / (b + g) ** 2) @ weights.T
    return np.asarray(-0.5 * (np.log(2 * np.pi * variances) + errors / variances).sum(axis=-1))


def log_q_slope(model: LinearGaussian, beta: ArrayLike, family: Family = "diagonal") -> Floats:
    """``dL/db = -sum_i [G_ii/(b (b + G_ii)) - G_ii M_ii / b² + 2 (b - 1)(1 + G_ii/b) [G (b I + G)^-3]_ii] / 2`` by b.

    At b = 1 it is ``sum_i G_ii (P_ii - 1/Λ_ii) / 2 >= 0``, and 0 only if G is diagonal.
    """
    b, g, weights, own = _setting(model, beta, family)
    errors = ((b**2 + g) / (b + g) ** 2) @ weights.T
    growth = 2 * (b - 1) * (g / (b + g) ** 3) @ weights.T
    terms = own / (b * (b + own)) - own * errors / b**2 + (1 + own / b) * growth
    return np.asarray(-0.5 * terms.sum(axis=-1))


def mean_squared_error(model: LinearGaussian, beta: ArrayLike) -> Floats:
    """``sum_j (b² + g_j) / (b + g_j)² / k`` per factor; lowest at b = 1, for both families and any law of s."""
    b, g, _, _ = _setting(model, beta, "full")
    return np.asarray(((b**2 + g) / (b + g) ** 2).mean(axis=-1))


def reverse_kl(model: LinearGaussian, beta: ArrayLike, family: Family = "diagonal") -> Floats:
    """``E KL(q || p(s|x))`` in nats; lowest at b = 1, where it is `reverse_kl_floor`.

    ``[sum_i b (1 + G_ii)/(b + G_ii) - k + sum_i log((b + G_ii)/b) - log det Λ + sum_j g_j (1 - b)²/(b + g_j)²] / 2``.
    """
    b, g, _, own = _setting(model, beta, family)
    spread = b * (1 + own) / (b + own) - 1 + np.log1p(own / b)
    return np.asarray(0.5 * (spread - np.log1p(g) + g * (1 - b) ** 2 / (b + g) ** 2).sum(axis=-1))


def forward_kl(model: LinearGaussian, beta: ArrayLike, family: Family = "diagonal") -> Floats:
    """``E KL(p(s|x) || q) = -H(s|x) - L`` in nats; lowest where `log_q` is highest."""
    return -model.posterior_entropy - log_q(model, beta, family)


def reverse_kl_floor(model: LinearGaussian) -> float:
    """What a diagonal covariance costs in KL(q || p(s|x)): ``[sum_i log Λ_ii - log det Λ] / 2`` nats."""
    return 0.5 * float(np.log1p(np.diag(model.snr)).sum() - np.log1p(model.snr_values).sum())


def forward_kl_floor(model: LinearGaussian) -> float:
    """What a diagonal covariance costs in KL(p(s|x) || q): ``[sum_i log P_ii - log det P] / 2`` nats.

    No β reaches it unless the columns of A are orthogonal; `bench.analytic.vae.calibrated` does.
    """
    return 0.5 * float(np.log(np.diag(model.posterior_covariance)).sum() + np.log1p(model.snr_values).sum())


def rate(model: LinearGaussian, beta: ArrayLike, family: Family = "diagonal") -> Floats:
    """``R = sum_i [D_i + [G (I + G)(b I + G)^-2]_ii - 1 - log D_i] / 2`` nats, strictly falling; any law of s."""
    b, g, _, own = _setting(model, beta, family)
    return np.asarray(0.5 * (np.log1p(own / b) - own / (b + own) + g * (1 + g) / (b + g) ** 2).sum(axis=-1))


def rate_slope(model: LinearGaussian, beta: ArrayLike, family: Family = "diagonal") -> Floats:
    """``dR/db = -sum_i G_ii² / (2 b (b + G_ii)²) - sum_j g_j (1 + g_j) / (b + g_j)³`` nats by b."""
    b, g, _, own = _setting(model, beta, family)
    return np.asarray(-(0.5 * own**2 / (b * (b + own) ** 2) + g * (1 + g) / (b + g) ** 3).sum(axis=-1))


def beta_of_rate(model: LinearGaussian, target: float, family: Family = "diagonal") -> float:
    """The β at which the KL is `target`: what a controller with this set point ends at.

    Parameters
    ----------
    model, family
    target : float
        C > 0, nats.

    Raises
    ------
    ValueError
        If C isn't positive and finite, or A is zero.
    """
    _check_signal(model)
    if not 0 < target < np.inf:
        raise ValueError(f"target must be positive and finite, got {target}")
    ratio = _ratio(model)

    def excess(log_beta: float) -> float:
        return float(rate(model, np.exp(log_beta), family)) - target

    # The rate falls from infinity to 0, so that widening the bracket ends.
    low, high = np.log(ratio) - 1, np.log(ratio) + 1
    while excess(low) < 0:
        low -= 1
    while excess(high) > 0:
        high += 1
    return float(np.exp(brentq(excess, low, high, xtol=1e-14, rtol=1e-14)))


def beta_star(model: LinearGaussian, family: Family = "diagonal") -> float:
    """The β with the highest E log q(s|x), that is with the lowest KL(p(s|x) || q).

    b = 1 for the full family, and for the diagonal one iff the columns of A are orthogonal; else b > 1. With columns
    that are nearly parallel there may be two maxima, of which this is the higher one.

    Raises
    ------
    ValueError
        If A is zero.
    """
    _check_signal(model)
    ratio = _ratio(model)
    squares = model.snr**2
    own = np.diag(squares)
    if family == "full" or (squares - np.diag(own)).sum() <= ORTHOGONAL * own.sum():
        return ratio
    # Far above every eigenvalue L falls like 1 / b.
    grid = np.geomspace(1.0, 10 * (1 + np.trace(model.snr)), 600)

    def value(b: float) -> float:
        return float(log_q(model, b * ratio))

    def slope(b: float) -> float:
        return float(log_q_slope(model, b * ratio))

    return ratio * highest(value, slope, grid, log_q_slope(model, grid * ratio))


def beta_star_high_snr(model: LinearGaussian) -> float:
    """Limit of `beta_star` for much signal and columns of equal norm: the mean variance inflation factor of A.

    ``b → sum_i G_ii [G^-1]_ii / k``, for two columns 1 / (1 - cosine²). Not a bound: where some direction of G is lost
    in the noise, `beta_star` is higher.

    Raises
    ------
    ValueError
        If the columns of A are linearly dependent.
    """
    if model.snr_values[-1] <= 1e-13 * model.snr_values[0]:
        raise ValueError("the columns of A are linearly dependent: their variance inflation is infinite")
    inverse = np.linalg.inv(model.snr)
    return _ratio(model) * float((np.diag(model.snr) * np.diag(inverse)).mean())


def beta_star_low_snr(model: LinearGaussian) -> float:
    """`beta_star` for little signal and columns of equal norm: ``b = 1 + sum_i sum_{j != i} G_ij² / (2 k)``."""
    crossed = model.snr - np.diag(np.diag(model.snr))
    return _ratio(model) * (1 + 0.5 * float((crossed**2).sum()) / model.n_factors)


def _setting(model: LinearGaussian, beta: ArrayLike, family: Family) -> tuple[Floats, Floats, Floats, Floats]:
    """Shapes (..., 1), (k,), (k, k), (k,): b; g; weights with which [f(G)]_ii sums f(g_j); G_ii."""
    b = model.water_level(beta)[..., None] / model.noise_variance
    g = model.snr_values
    if family == "full":
        return b, g, np.eye(len(g)), g
    weights = model.factor_axes**2
    return b, g, weights, weights @ g


def _ratio(model: LinearGaussian) -> float:
    """The β at which b = 1."""
    return model.noise_variance / model.decoder_variance


def _check_signal(model: LinearGaussian) -> None:
    if not model.mixing.any():
        raise ValueError("the mixing is zero: there is nothing to infer")
