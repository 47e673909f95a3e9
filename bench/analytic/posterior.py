"""The true posterior of linear-Gaussian data, for factors of several laws."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from bench.analytic.model import Floats, LinearGaussian

#: Law of every factor; all have zero mean and unit variance.
Law = Literal["gaussian", "laplace", "uniform"]

#: Half the width of the uniform law.
EDGE = float(np.sqrt(3.0))
#: The posterior is integrated over this many standard deviations to each side, those it would have if s were Gaussian;
#: the Laplace law's tails are longer.
REACH = {"gaussian": 12.0, "uniform": 12.0, "laplace": 20.0}
#: At most this many Gauss-Legendre nodes on each side of 0, where the Laplace law has its kink.
MAX_NODES = 1000


@dataclass(frozen=True)
class Posterior:
    """Moments of p(s|x) for n data.

    Attributes
    ----------
    mean : ndarray of shape (n, k), float64
    covariance : ndarray of shape (n, k, k), float64
    entropy : ndarray of shape (n,), float64
        H(s | x = this one), nats.
    log_evidence : ndarray of shape (n,), float64
        log p(x), nats.
    """

    mean: Floats
    covariance: Floats
    entropy: Floats
    log_evidence: Floats


def log_prior(s: Floats, law: Law) -> Floats:
    """``log p(s)`` in nats, (..., k) to (...); minus infinity outside the uniform law's support."""
    if law == "gaussian":
        each = -0.5 * (s**2 + np.log(2 * np.pi))
    elif law == "laplace":
        each = -np.sqrt(2.0) * np.abs(s) - 0.5 * np.log(2.0)
    elif law == "uniform":
        each = np.where(np.abs(s) <= EDGE, -np.log(2 * EDGE), -np.inf)
    else:
        raise unknown(law)
    return np.asarray(each.sum(axis=-1))


def log_likelihood(model: LinearGaussian, x: Floats, s: Floats) -> Floats:
    """``log p(x|s)`` in nats; (..., d) and (..., k), which broadcast, to (...)."""
    squared = ((x - s @ model.mixing.T) ** 2).sum(axis=-1)
    constant = model.n_dimensions * np.log(2 * np.pi * model.noise_variance)
    return np.asarray(-0.5 * (squared / model.noise_variance + constant))


def posterior(model: LinearGaussian, x: Floats, law: Law = "gaussian") -> Posterior:
    """The true posterior p(s|x).

    ``N(P A'x / σ², P)`` for Gaussian factors, by quadrature for the others; more nodes changed nothing beyond 1e-9.

    Parameters
    ----------
    model : LinearGaussian
    x : ndarray of shape (n, d), float64
    law : {"gaussian", "laplace", "uniform"}

    Returns
    -------
    Posterior

    Raises
    ------
    ValueError
        For another law; for factors that aren't Gaussian, if there are more than two, or their columns of A are so
        nearly parallel that the posterior is a needle.
    """
    if law == "gaussian":
        return _gaussian(model, x)
    if model.n_factors > 2:
        raise ValueError(f"the posterior of {model.n_factors} factors that aren't Gaussian isn't computed: at most 2")
    rule = np.polynomial.legendre.leggauss(_count_nodes(model, law))
    parts = [_integrate(model, row, law, rule) for row in x]
    mean, covariance, entropy, evidence = (np.array(column) for column in zip(*parts, strict=True))
    return Posterior(mean, covariance, entropy, evidence)


def _gaussian(model: LinearGaussian, x: Floats) -> Posterior:
    n, covariance = len(x), model.data_covariance
    squared = (x * np.linalg.solve(covariance, x.T).T).sum(axis=1)
    constant = model.n_dimensions * np.log(2 * np.pi) + np.linalg.slogdet(covariance)[1]
    return Posterior(
        mean=x @ model.posterior_gain.T,
        covariance=np.broadcast_to(model.posterior_covariance, (n, model.n_factors, model.n_factors)).copy(),
        entropy=np.full(n, model.posterior_entropy),
        log_evidence=-0.5 * (squared + constant),
    )


def _count_nodes(model: LinearGaussian, law: Law) -> int:
    """Nodes for a spacing of half the posterior's smallest standard deviation where they lie widest apart."""
    covariance = model.posterior_covariance
    longest, thinnest = np.sqrt(np.diag(covariance).max()), np.sqrt(np.linalg.eigvalsh(covariance)[0])
    # In the middle, n Gauss-Legendre nodes over a length a are π/2 a / n apart.
    nodes = 10 + int(np.pi * REACH[law] * longest / thinnest)
    if nodes > MAX_NODES:
        raise ValueError(f"the posterior is too thin a needle to be integrated: {longest / thinnest:.0f} to 1")
    return nodes


def _integrate(
    model: LinearGaussian, x: Floats, law: Law, rule: tuple[Floats, Floats]
) -> tuple[Floats, Floats, float, float]:
    """Mean, covariance, entropy and log evidence for one datum."""
    axes = [_nodes(centre, spread, law, rule) for centre, spread in _boxes(model, x, law)]
    grid = np.stack(np.meshgrid(*(nodes for nodes, _ in axes), indexing="ij"), axis=-1).reshape(-1, len(axes))
    weights = np.ones(1)
    for _, one in axes:
        weights = np.outer(weights, one).ravel()
    log_joint = log_prior(grid, law) + log_likelihood(model, x, grid)
    top = float(log_joint.max())
    mass = weights * np.exp(log_joint - top)
    evidence = top + float(np.log(mass.sum()))
    mass /= mass.sum()
    mean = mass @ grid
    covariance = (grid - mean).T @ ((grid - mean) * mass[:, None])
    return mean, covariance, evidence - float(mass @ log_joint), evidence


def _boxes(model: LinearGaussian, x: Floats, law: Law) -> list[tuple[float, float]]:
    """Where the posterior is, factor by factor: centre and standard deviation for a Gaussian prior."""
    centres = model.posterior_gain @ x
    if law == "uniform":
        centres = np.clip(centres, -EDGE, EDGE)
    return list(zip(centres.tolist(), np.sqrt(np.diag(model.posterior_covariance)).tolist(), strict=True))


def _nodes(centre: float, spread: float, law: Law, rule: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
    """Points and weights on both sides of 0, so that the integrand is smooth between their ends."""
    ends = centre + REACH[law] * spread * np.array([-1.0, 0.0, 1.0])
    ends[1] = np.clip(0.0, ends[0], ends[2])
    if law == "uniform":
        ends = np.clip(ends, -EDGE, EDGE)
    nodes, weights = rule
    middle, half = (ends[1:] + ends[:-1]) / 2, (ends[1:] - ends[:-1]) / 2
    return (middle[:, None] + half[:, None] * nodes).ravel(), (half[:, None] * weights).ravel()


def unknown(law: str) -> ValueError:
    """For a law that isn't there."""
    return ValueError(f"no law {law!r}; there are gaussian, laplace, uniform")
