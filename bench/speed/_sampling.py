"""The estimator that `bench.metrics.mig_sampled` replaces, as a yardstick of speed and a check."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from bench.metric import Floats, Ints

#: Densities evaluated at once.
CHUNK = 2**17


def sampled_information(
    codes: Floats, logvar: Floats, factors: Ints, *, n_samples: int = 10_000, rng: np.random.Generator
) -> Floats:
    """Information between sampled codes and factors by the estimator of Chen et al. (2018), in float32.

    Every entropy is the mean of ``-log(1/N sum_n q(z_j | x_n))`` over `n_samples` samples z of random rows, of the
    whole table and of the rows with each value of a factor; a set of fewer rows gives a sample of each.

    Parameters
    ----------
    codes, logvar : ndarray of shape (N, D), float64
        Means and log-variances of the posteriors.
    factors : ndarray of shape (N, F), int64
        Factor classes; the values of a factor must be equally frequent.
    n_samples : int
        Samples per entropy.
    rng : numpy.random.Generator
        Draws rows and samples.

    Returns
    -------
    ndarray of shape (D, F), float64
        In nats.

    References
    ----------
    Chen, Li, Grosse, Duvenaud: Isolating Sources of Disentanglement in VAEs, NeurIPS 2018, appendix C.
    """
    mean = torch.from_numpy(codes).float()
    spread = torch.from_numpy(np.exp(logvar / 2)).float()
    noise = torch.from_numpy(rng.standard_normal(codes.shape, dtype=np.float32))
    z = mean + spread * noise
    of_all = _entropies(z, mean, spread, rng.permutation(len(codes))[:n_samples])
    information = np.empty((codes.shape[1], factors.shape[1]))
    for k, column in enumerate(factors.T):
        of_value = []
        for rows in _slices(column):
            part = torch.from_numpy(rows)
            picked = rng.permutation(len(rows))[:n_samples]
            of_value.append(_entropies(z[part], mean[part], spread[part], picked))
        information[:, k] = of_all - np.mean(of_value, axis=0)
    return information


def n_densities(factors: Ints, n_samples: int) -> int:
    """How many densities per code `sampled_information` evaluates."""
    n = len(factors)
    sets = [np.array([n]), *(np.unique(column, return_counts=True)[1] for column in factors.T)]
    return int(sum((np.minimum(sizes, n_samples) * sizes).sum() for sizes in sets))


def _slices(column: Ints) -> Iterator[Ints]:
    """Rows with each value of a factor."""
    order = np.argsort(column, kind="stable")
    yield from np.split(order, np.flatnonzero(np.diff(column[order])) + 1)


def _entropies(z: Tensor, mean: Tensor, spread: Tensor, picked: Ints) -> Floats:
    """Entropy per code from the samples `picked` against all posteriors, in nats, shape (D,)."""
    samples = z[torch.from_numpy(picked)]
    step = max(CHUNK // len(mean), 1)
    entropies = np.zeros(mean.shape[1])
    # Code by code, so that the sum over posteriors runs over neighbours in memory: three times as fast as the
    # released code's order.
    for j, (own, centre, width) in enumerate(zip(samples.T, mean.T.contiguous(), spread.T.contiguous(), strict=True)):
        log_scale = width.log() + 0.5 * math.log(2 * math.pi)
        for start in range(0, len(own), step):
            log_density = -0.5 * ((own[start : start + step, None] - centre) / width).square() - log_scale
            entropies[j] -= float((log_density.logsumexp(dim=1) - math.log(len(mean))).sum())
    return entropies / len(samples)
