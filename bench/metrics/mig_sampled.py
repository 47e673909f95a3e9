"""Mutual information gap on sampled codes, by quadrature of the posteriors instead of sampling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bench.metric import Floats, Ints, Score, check_codes, register_metric
from bench.metrics._quadrature import Entropies, Labels, mixture_entropies
from bench.metrics._samples import cut_continuous, draw_rows, left_out, per_factor, per_pair, scorable_factors
from bench.metrics.mig import gap

#: Footnotes of numbers that come from `bench.metrics._quadrature`.
SAMPLED = "posteriors are too unlike to be integrated: estimated from samples"
WIDENED = "posteriors too narrow for float64 were widened"


@register_metric(
    "mig_sampled",
    version=2,
    inputs=("codes", "logvar", "factors"),
    scores={"mig_sampled": Score("MIG (sampled codes)")},
    cost="seconds",
)
def mig_sampled(
    codes: Any,
    logvar: Any,
    factors: Any,
    *,
    exclude: tuple[int, ...] = (),
    n_draws: int = 10_000,
    n_samples: int | None = None,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Mutual information gap between factors and codes drawn from the posteriors.

    ``I(z_j; v_k) = H(z_j) - H(z_j | v_k)`` of ``z_j ~ q(z_j | x)`` with x uniform over the rows: the entropy of
    the mixture of all posteriors less the mean entropy of the mixtures over the rows with one value of the
    factor. The gap is ``mean_k (I_(1)k - I_(2)k) / H(v_k)``. Where the original estimates the entropies from
    10,000 samples, the mixtures are integrated here on panels as narrow as the posteriors that reach them, which
    has no sampling noise; the error stays below 1e-4 nats (some 1e-9 where it was compared), and
    ``mig_sampled_error`` says what was met. Codes of which that would take too long, because very narrow
    posteriors everywhere lie among very wide ones, are sampled as in the original, and marked.

    The noise of the posterior counts, so a well regularised model scores far lower than on its means: the two
    mustn't be compared. Values of a factor weigh by their share of the rows and the gap is divided by the
    factor's entropy in them, which on a full grid is the original's ``log n_k``. On a sample of a grid the
    mixtures within one value are of fewer posteriors than in truth; narrow ones then overstate information, so
    the score depends on the number of rows.

    Parameters
    ----------
    codes : array-like of shape (N, D)
        Posterior means, finite. With D = 1 the second largest information counts as 0.
    logvar : array-like of shape (N, D)
        Posterior log-variances, finite. Below some 1e-11 of the range of a code float64 can't tell its values
        apart; posteriors narrower than that are widened to it, and the score is marked.
    factors : array-like of shape (N, F)
        Factor classes, in any coding.
    exclude : tuple of int
        Columns of `factors` to leave out, such as shape on dSprites as in the code of Chen et al. and of
        ControlVAE.
    n_draws : int
        Samples per code, at least 100, of codes that can't be integrated.
    n_samples : int, optional
        Rows to use, drawn without replacement; all of them by default.
    rng : numpy.random.Generator
        Draws the rows; unused where all are used.

    Returns
    -------
    dict
        ``mig_sampled`` in [0, 1]; ``mig_per_factor`` (None for factors left out, which ``factors_left_out``
        lists); ``mutual_information`` in nats, D rows of F; ``entropy`` of the factors and
        ``entropy_per_latent`` (differential) in nats; ``mig_sampled_error``, an estimate of its numerical error;
        ``sampled_latents``, the codes that were sampled; ``widened``, the share of posteriors that were; ``n_active``,
        the codes with an information of more than 0.01 nats about the row, by ``E KL(q(z_j|x) || q(z_j))``;
        ``n_samples``; ``settings``.

    Raises
    ------
    ValueError
        For what `bench.metric.check_codes` rejects, log-variances of another shape or not finite, settings out
        of range, or if no factor that isn't excluded has two values.

    References
    ----------
    Chen, Li, Grosse, Duvenaud: Isolating Sources of Disentanglement in VAEs, NeurIPS 2018, section 4.1 and
    appendix C.
    """
    table, spread, classes = check_posteriors(codes, logvar, factors)
    classes, cut, notes = cut_continuous(classes, len(table) if n_samples is None else n_samples, skip=exclude)
    n_factors = classes.shape[1]
    if n_draws < 100:
        raise ValueError(f"n_draws must be at least 100, got {n_draws}")
    if not set(exclude) <= set(range(n_factors)):
        raise ValueError(f"exclude must hold column numbers from 0 to {n_factors - 1}, got {exclude}")
    rows = draw_rows(len(table), max(len(table), 2) if n_samples is None else n_samples, rng)
    table, spread, classes = table[rows], spread[rows], classes[rows]
    kept = [k for k in range(n_factors) if k not in exclude]
    columns = [kept[k] for k in scorable_factors(classes[:, kept], metric="sampled MIG")]
    labels = Labels(classes[:, columns])
    found = [
        mixture_entropies(mean, sigma, labels, n_draws=n_draws, rng=rng)
        for mean, sigma in zip(table.T, spread.T, strict=True)
    ]
    information = np.maximum([code.information for code in found], 0.0)
    gaps = gap(information, labels.entropy)
    of_latent = np.array([code.whole for code in found])
    about_row = of_latent - (np.array([code.log_sigma for code in found]) + (1 + np.log(2 * np.pi)) / 2)
    widened = float(np.mean([code.widened for code in found]))
    sampled = [j for j, code in enumerate(found) if code.sampled]
    return {
        "mig_sampled": float(gaps.mean()),
        "mig_sampled_error": float((_error_of_gap(information, found) / labels.entropy).mean()),
        "mig_per_factor": per_factor(gaps, columns, n_factors),
        "mutual_information": per_pair(information, columns, n_factors),
        "entropy": per_factor(labels.entropy, columns, n_factors),
        "entropy_per_latent": of_latent.tolist(),
        "sampled_latents": sampled,
        "widened": widened,
        "factors_cut": cut,
        "factors_left_out": left_out(columns, n_factors),
        "n_active": int((about_row > 0.01).sum()),
        "n_samples": len(table),
        "settings": {"exclude": list(exclude), "n_draws": n_draws, "n_samples": n_samples},
        "marks": {"mig_sampled": notes + [SAMPLED] * bool(sampled) + [WIDENED] * bool(widened)},
    }


def _error_of_gap(information: Floats, found: Sequence[Entropies]) -> Floats:
    """Sum of the errors of the two codes that make the gap of each factor, in nats."""
    errors = np.array([code.information_error for code in found])
    first_two = np.argsort(information, axis=0)[-2:]
    return np.asarray(np.take_along_axis(errors, first_two, axis=0).sum(axis=0))


def check_posteriors(codes: Any, logvar: Any, factors: Any | None = None) -> tuple[Floats, Floats, Ints]:
    """Validate means and log-variances, and return means, standard deviations and factors.

    Raises
    ------
    ValueError
        For what `bench.metric.check_codes` rejects, log-variances of another shape, or standard deviations that
        aren't finite numbers above 0.
    """
    mean, classes = check_codes(codes, factors)
    spread = np.asarray(logvar, dtype=np.float64)
    if spread.shape != mean.shape:
        raise ValueError(f"logvar must have the shape of the codes, {mean.shape}, got {spread.shape}")
    if not np.isfinite(spread).all():
        raise ValueError("logvar holds NaN or infinite values")
    if np.abs(spread).max() > 1000:
        raise ValueError(f"log-variances must be between -1000 and 1000, they reach {np.abs(spread).max():.3g}")
    return mean, np.exp(spread / 2), classes
