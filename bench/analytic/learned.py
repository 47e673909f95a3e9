"""A β-VAE whose decoder is learned too, σ_d² fixed: its numbers as functions of β.

With ``τ = β σ_d²``, l_j the data's variances along their principal axes, descending, and ``D_j = min(1, τ / l_j)`` the
latents' variances. Latents are independent, given x and over all data, at every β, and yet stand for the factors only
as far as the factors' directions are principal axes. Functions of β take an array of it, positive.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment

from bench.analytic._search import highest
from bench.analytic.model import Floats, LinearGaussian
from bench.analytic.vae import Measure, check_distinct, count_latents


def collapse_betas(model: LinearGaussian, n_latents: int | None = None) -> Floats:
    """``β_c,j = l_j / σ_d²``, from which on latent j is dead, shape (n_latents,); 1 + g_j if σ_d = σ."""
    return model.data_variances[: count_latents(model, n_latents)] / model.decoder_variance


def rate(model: LinearGaussian, beta: ArrayLike, n_latents: int | None = None) -> Floats:
    """``R = sum_j log(l_j / τ)_+ / 2`` nats over the latents; shape of `beta`, any law of s.

    ``dR/dβ = -n / (2 β)`` with n latents alive.
    """
    level = model.water_level(beta)[..., None]
    variances = model.data_variances[: count_latents(model, n_latents)]
    return np.asarray(0.5 * np.log(np.maximum(variances / level, 1.0)).sum(axis=-1))


def residuals(model: LinearGaussian, beta: ArrayLike, n_latents: int | None = None) -> Floats:
    """Squared error along every principal axis, ``min(τ, l_j)``, or l_j without a latent; shape (..., d), any law of s.

    Reverse water-filling, τ the water level: the sum is the distortion that goes with `rate`.

    References
    ----------
    Cover & Thomas, "Elements of Information Theory", chapter on rate distortion theory (parallel Gaussian sources).
    """
    level = model.water_level(beta)[..., None]
    variances = model.data_variances
    filled = np.minimum(level, variances)
    unused = np.arange(len(variances)) >= count_latents(model, n_latents)
    return np.where(unused, variances, filled)


def model_kl(model: LinearGaussian, beta: ArrayLike, n_latents: int | None = None) -> Floats:
    """``KL(p_data || p_model) = sum_j [l_j/v_j - 1 - log(l_j/v_j)] / 2`` nats, for Gaussian s; shape of `beta`.

    ``v_j = l_j - τ + σ_d²`` on the axes of living latents, σ_d² on all others.
    """
    spare = model.data_variances - residuals(model, beta, n_latents)
    ratio = model.data_variances / (spare + model.decoder_variance)
    return np.asarray(0.5 * (ratio - 1 - np.log(ratio)).sum(axis=-1))


def fitted_decoder_variance(model: LinearGaussian, beta: float, n_latents: int | None = None) -> float:
    """σ_d² where it is learned along with the rest, the model's own left aside.

    It is the mean squared error at its own τ, ``d σ_d² = sum_j min(β σ_d², l_j) + sum of l over axes without a
    latent``, or ``σ_d² = sum of l over axes without a living latent / (d - β n)`` with n latents alive.

    Raises
    ------
    ValueError
        If β isn't positive, or if with a latent for every dimension and β <= 1 the objective has no maximum: σ_d² → 0.
    """
    n = count_latents(model, n_latents)
    if not 0 < beta < np.inf:
        raise ValueError(f"beta must be positive and finite, got {beta}")
    variances, d = model.data_variances, model.n_dimensions
    if n == d and beta <= 1:
        raise ValueError(f"with {n} latents for {d} dimensions and beta = {beta} <= 1 the decoder's variance goes to 0")
    # The difference of the two sides is concave and starts positive or rising: it has one zero, where n fits.
    for alive in range(n, -1, -1):
        if d > beta * alive:
            variance = float(variances[alive:].sum()) / (d - beta * alive)
            if alive == 0 or variances[alive - 1] > beta * variance:
                return variance
    raise AssertionError("unreachable: with no latent alive there is a solution")


def beta_of_rate(model: LinearGaussian, target: float, n_latents: int | None = None) -> float:
    """The β at which the KL is `target`: what a controller with this set point ends at.

    ``log τ = mean_j log l_j - 2 C / n`` over the n latents alive.

    Parameters
    ----------
    model, n_latents
    target : float
        C > 0, nats.

    Raises
    ------
    ValueError
        If C isn't positive and finite.
    """
    if not 0 < target < np.inf:
        raise ValueError(f"target must be positive and finite, got {target}")
    logs = np.log(model.data_variances[: count_latents(model, n_latents)])
    numbers = np.arange(1, len(logs) + 1)
    levels = (np.cumsum(logs) - 2 * target) / numbers
    # Latents come alive in their order, the first at every C > 0, however small.
    alive = max(int((levels < logs).sum()), 1) - 1
    return float(np.exp(levels[alive])) / model.decoder_variance


def log_q(model: LinearGaussian, beta: ArrayLike) -> Floats:
    """``E log q(s|x) = -sum_j [log(2π D_j) + M_j / D_j] / 2`` nats, for k latents; shape of `beta`, any law of s.

    ``M_j = 1 + α_j - 2 c_j r_j sqrt(α_j)`` with ``α_j = 1 - D_j``, ``r_j² = g_j / (1 + g_j)``, and c_j the cosine of
    the angle θ_j between latent j and the factor that it stands for, by the signed choice that makes this number
    largest.

    Raises
    ------
    ValueError
        If the axes aren't determined; see `bench.analytic.vae.learned_vae`.
    """
    return _over(model, beta, "log_q")


def mean_squared_error(model: LinearGaussian, beta: ArrayLike) -> Floats:
    """``sum_j M_j / k`` of the posterior means, per factor; as `log_q`, by the choice that makes it smallest."""
    return _over(model, beta, "mean_squared_error")


def angles(model: LinearGaussian, beta: float) -> Floats:
    """θ_j in radians between latent j and the factor that it stands for, shape (k,)."""
    _, factors = _match(model, beta, "log_q")
    return np.arccos(np.minimum(_cosines(model)[np.arange(model.n_factors), factors], 1.0))


def beta_star_per_latent(model: LinearGaussian, beta: float) -> Floats:
    """``(σ² / σ_d²)(1 + g_j sin² θ_j)``, shape (k,): the β best for latent j, in E log q and in squared error alike.

    Parameters
    ----------
    model
    beta : float
        At which latents are given to factors.
    """
    ratio = model.noise_variance / model.decoder_variance
    return np.asarray(ratio * (1 + model.snr_values * np.sin(angles(model, beta)) ** 2))


def beta_star(model: LinearGaussian, measure: Measure = "log_q") -> float:
    """The one β best for all latents together.

    A zero of ``sum_j (1 + α_j)(1 - c_j r_j/sqrt(α_j)) / ((1 - α_j)² β_c,j)`` for E log q, of
    ``sum_j (1 - c_j r_j/sqrt(α_j)) / β_c,j`` for the squared error, over living latents; σ²/σ_d² if the columns of A
    are orthogonal.

    Raises
    ------
    ValueError
        If the axes aren't determined.
    """
    ratio = model.noise_variance / model.decoder_variance
    ends = collapse_betas(model, model.n_factors)
    # Before a latent dies its slope goes to minus infinity, and after that it is 0: both sides are looked at.
    grid = np.geomspace(ratio, ends[0], 1000)
    grid = np.unique(np.concatenate([grid, *(ends * (1 + side) for side in (-1e-9, 1e-9))]))
    grid = grid[(grid >= ratio) & (grid <= ends[0])]
    sign = 1 if measure == "log_q" else -1

    def value(beta: float) -> float:
        return sign * float(_over(model, beta, measure))

    def slope(beta: float) -> float:
        return sign * _slope(model, beta, measure)

    return highest(value, slope, grid)


def _cosines(model: LinearGaussian) -> Floats:
    """``|V_ij|`` between principal axis j (row) and factor i (column), shape (k, k)."""
    check_distinct(model, count_latents(model, None))
    return np.asarray(np.abs(model.factor_axes.T))


def _match(model: LinearGaussian, beta: float, measure: Measure) -> tuple[Floats, NDArray[np.int64]]:
    """Overlaps ``c_j r_j`` of the latents with their factors, and those factors, both of shape (k,)."""
    reliability = np.sqrt(model.snr_values / (1 + model.snr_values))
    overlaps = _cosines(model) * reliability[:, None]
    spread = np.minimum(1.0, model.water_level(beta) / model.data_variances[: model.n_factors])
    # Covariances, which are all that depends on who stands for whom; E log q counts them in units of S_jj.
    weight = np.sqrt(1 - spread) / (spread if measure == "log_q" else 1.0)
    latents, factors = linear_sum_assignment(weight[:, None] * overlaps, maximize=True)
    return overlaps[latents, factors], factors


def _over(model: LinearGaussian, beta: ArrayLike, measure: Measure) -> Floats:
    betas = np.asarray(beta, dtype=np.float64)
    return np.array([_value(model, float(one), measure) for one in betas.flat]).reshape(betas.shape)


def _value(model: LinearGaussian, beta: float, measure: Measure) -> float:
    overlaps, _ = _match(model, beta, measure)
    spread = np.minimum(1.0, model.water_level(beta) / model.data_variances[: model.n_factors])
    gain = 1 - spread
    errors = 1 + gain - 2 * overlaps * np.sqrt(gain)
    if measure == "log_q":
        return -0.5 * float((np.log(2 * np.pi * spread) + errors / spread).sum())
    return float(errors.mean())


def _slope(model: LinearGaussian, beta: float, measure: Measure) -> float:
    """Derivative of `_value` by β, for who stands for whom at this β."""
    overlaps, _ = _match(model, beta, measure)
    ends = collapse_betas(model, model.n_factors)
    alive = ends > beta
    gain, ends = 1 - beta / ends[alive], ends[alive]
    short = 1 - overlaps[alive] / np.sqrt(gain)
    if measure == "log_q":
        return 0.5 * float(((1 + gain) * short / ((1 - gain) ** 2 * ends)).sum())
    return -float((short / ends).sum()) / model.n_factors
