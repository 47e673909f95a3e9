"""Decomposition of the KL term of the ELBO, of Hoffman and Johnson (2016) and Chen et al. (2018)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from bench.metric import Floats, NotApplicableError, Score, register_metric
from bench.metrics._quadrature import Labels, mixture_entropies
from bench.metrics._samples import draw_rows
from bench.metrics.mig_sampled import WIDENED, check_posteriors

#: Pairs of a sample and a posterior worked on at once: 16 MB a table.
PAIRS = 2_000_000
#: Footnotes of numbers that are about the rows and not about the data.
AT_BOUND = "within 1 nat of its bound, the logarithm of the number of rows: more rows would raise it"
AT_BOUND_TC = "the information is within 1 nat of its bound, so this is about the rows and not about the data"


@register_metric(
    "elbo",
    version=2,
    inputs=("codes", "logvar"),
    # Estimates: not below 0 in truth, but the noise of the total correlation may take two of them there.
    scores={
        "elbo_index_code_mi": Score("Index-code MI (nats)", low=-math.inf, high=math.inf, higher_is_better=None),
        "elbo_tc": Score("Total correlation (nats)", low=-math.inf, high=math.inf, higher_is_better=False),
        "elbo_dimension_wise_kl": Score(
            "Dimension-wise KL (nats)", low=-math.inf, high=math.inf, higher_is_better=False
        ),
    },
    cost="seconds",
)
def elbo(
    codes: Any,
    logvar: Any,
    *,
    n_samples: int = 2_000,
    n_rows: int = 10_000,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Split the KL from the prior into information about the image, total correlation and the rest.

    ``E KL(q(z|x) || p(z)) = I(x; z) + KL(q(z) || prod_j q(z_j)) + sum_j KL(q(z_j) || p(z_j))`` with q(z) the mean of
    all posteriors and p = N(0, I). The last term comes from quadrature per code as in `bench.metrics.mig_sampled`. The
    total correlation is the mean of ``log q(z) - sum_j log q(z_j)`` over samples of q(z), each against all posteriors,
    which is exactly 0 for a single code and for a collapsed model. The first term is what remains of the analytic KL,
    so the three sum to it.

    The information can't exceed ``log N`` on N rows, and is marked within a nat of that. Where it comes near, the
    posteriors hardly overlap, and it is too low and total correlation off by as much: the numbers are then about these
    rows and not about the data.

    Parameters
    ----------
    codes : array-like of shape (N, D)
        Posterior means, finite.
    logvar : array-like of shape (N, D)
        Posterior log-variances, finite.
    n_samples : int
        Samples of z for the total correlation, at least 2, from different rows as far as there are enough.
    n_rows : int
        Rows to use, drawn without replacement; all of them where there are no more.
    rng : numpy.random.Generator
        Draws rows, the rows that are sampled, and the noise.

    Returns
    -------
    dict
        ``elbo_index_code_mi``, ``elbo_tc``, ``elbo_dimension_wise_kl`` in nats; ``kl``, their sum;
        ``elbo_tc_error``, its standard error from the samples, ``elbo_dimension_wise_kl_error``, of integration, and
        ``elbo_index_code_mi_error``, their sum; ``dimension_wise_kl_per_latent``; ``largest_information``, log N;
        ``entropy_per_latent`` of q(z_j) in nats; ``n_active``, the codes with an analytic KL above 0.01 nats;
        ``sampled_entropies``, the codes whose entropy is from samples; ``n_samples``, ``n_rows``; ``settings``.

    Raises
    ------
    ValueError
        For what `bench.metric.check_codes` rejects, log-variances of another shape or not finite, settings out of
        range, or a KL too large for float64.

    References
    ----------
    Hoffman, Johnson: ELBO surgery, NeurIPS 2016 workshop on advances in approximate Bayesian inference; Chen, Li,
    Grosse, Duvenaud: Isolating Sources of Disentanglement in VAEs, NeurIPS 2018, equation 2.
    """
    mean, sigma, _ = check_posteriors(codes, logvar)
    if n_samples < 2:
        raise ValueError(f"n_samples must be at least 2, got {n_samples}")
    rows = draw_rows(len(mean), n_rows, rng)
    mean, sigma = mean[rows], sigma[rows]
    second_moment = (mean**2 + sigma**2).mean(axis=0)
    log_sigma = np.log(sigma).mean(axis=0)
    kl = (second_moment - 1) / 2 - log_sigma
    if not np.isfinite(kl).all():
        raise NotApplicableError(f"the KL is too large for float64: means reach {np.abs(mean).max():.3g}")
    z = draw(mean, sigma, n_samples, rng)
    joint, marginals = log_densities(z, mean, sigma)
    ratio = joint - marginals.sum(axis=1)
    labels = Labels(np.zeros((len(mean), 1), dtype=np.int64))
    found = [
        mixture_entropies(mean[:, j], sigma[:, j], labels, n_draws=n_samples, rng=rng) for j in range(mean.shape[1])
    ]
    of_latent = np.array([code.whole for code in found])
    cross = (second_moment + np.log(2 * np.pi)) / 2  # E[-log p(z_j)] over q(z_j)
    dimension_wise = cross - of_latent
    total_correlation, standard_error = float(ratio.mean()), float(ratio.std(ddof=1) / np.sqrt(len(ratio)))
    integration = float(sum(code.error for code in found))
    information, largest = float(kl.sum() - dimension_wise.sum()) - total_correlation, math.log(len(mean))
    widened = [WIDENED] * any(code.widened for code in found)
    at_bound = [AT_BOUND] * (information > largest - 1 and len(mean) > 1)
    return {
        "elbo_index_code_mi": information,
        "elbo_tc": total_correlation,
        "elbo_dimension_wise_kl": float(dimension_wise.sum()),
        "elbo_index_code_mi_error": integration + standard_error,
        "elbo_tc_error": standard_error,
        "elbo_dimension_wise_kl_error": integration,
        "kl": float(kl.sum()),
        "dimension_wise_kl_per_latent": dimension_wise.tolist(),
        "largest_information": largest,
        "entropy_per_latent": of_latent.tolist(),
        "n_active": int((kl > 0.01).sum()),
        "sampled_entropies": [j for j, code in enumerate(found) if code.sampled],
        "n_samples": len(z),
        "n_rows": len(mean),
        "settings": {"n_samples": n_samples, "n_rows": n_rows},
        "marks": {
            "elbo_index_code_mi": at_bound + widened,
            "elbo_tc": [AT_BOUND_TC] * len(at_bound),
            "elbo_dimension_wise_kl": widened,
        },
    }


def draw(mean: Floats, sigma: Floats, n_samples: int, rng: np.random.Generator) -> Floats:
    """Draw z from the mixture of the posteriors, shape (n_samples, D); no row twice before every row came once."""
    whole, rest = divmod(n_samples, len(mean))
    every = np.tile(np.arange(len(mean)), whole)
    rows = np.concatenate([every, rng.choice(len(mean), size=rest, replace=False)])
    return np.asarray(mean[rows] + sigma[rows] * rng.normal(size=(n_samples, mean.shape[1])))


def log_densities(z: Floats, mean: Floats, sigma: Floats) -> tuple[Floats, Floats]:
    """Log densities of the mixture of all posteriors at z.

    Parameters
    ----------
    z : ndarray of shape (S, D), float64
    mean, sigma : ndarray of shape (N, D), float64
        Means and standard deviations of the posteriors.

    Returns
    -------
    joint : ndarray of shape (S,)
        Of z.
    marginals : ndarray of shape (S, D)
        Of every coordinate on its own.
    """
    n_rows, n_latents = mean.shape
    joint, marginals = np.empty(len(z)), np.empty((len(z), n_latents))
    size = max(PAIRS // n_rows, 1)
    for start in range(0, len(z), size):
        part = slice(start, start + size)
        total = np.zeros((len(z[part]), n_rows))
        for j in range(n_latents):
            log = (z[part, j, None] - mean[:, j]) / sigma[:, j]
            np.square(log, out=log)
            log *= -0.5
            log -= np.log(sigma[:, j])
            total += log
            marginals[part, j] = _log_mean(log)
        joint[part] = _log_mean(total)
    constant = np.log(2 * np.pi) / 2
    return joint - n_latents * constant, marginals - constant


def _log_mean(logs: Floats) -> Floats:
    """Log of the mean of exponentials over the last axis; overwrites its argument."""
    top = logs.max(axis=1)
    logs -= top[:, None]
    np.exp(logs, out=logs)
    return np.asarray(top + np.log(logs.mean(axis=1)))
