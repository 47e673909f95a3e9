"""How far codes over the data lie from the prior: a Gaussian fitted to them against N(0, I)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from bench.metric import Floats, NotApplicableError, Score, check_codes, register_metric

#: A singular covariance has eigenvalues of rounding error, relative to its largest.
ROUNDING = 1e-12


@register_metric(
    "prior_gap",
    version=1,
    inputs=("codes", "logvar", "decoder_codes"),
    scores={
        "prior_gap_sampled": Score(
            "Gap to the prior, sampled codes (nats)", low=-math.inf, high=math.inf, higher_is_better=False
        ),
        "prior_gap_decoder": Score(
            "Gap to the prior, decoder's codes (nats)", low=-math.inf, high=math.inf, higher_is_better=False
        ),
    },
)
def prior_gap(
    codes: Any,
    logvar: Any,
    decoder_codes: Any,
    *,
    quantile: float = 0.95,
    n_draws: int = 20_000,
    rng: np.random.Generator | None = None,
) -> dict[str, Any]:
    """Gap to the prior: KL(Gaussian fitted to the codes of all images || N(0, I)), minus its quantile for normal codes.

    The fit is by maximum likelihood. It is biased upwards, by about ``d (d + 3) / 4N`` where the codes are normal, so
    that a gap is measured from the 95 % quantile that as many draws from N(0, I) would have: a gap below 0 is what
    draws from the prior have in 95 of 100 cases. Only the first two moments count: codes that aren't Gaussian can have
    no gap.

    Parameters
    ----------
    codes, logvar : array-like of shape (N, D)
        Posterior means and log-variances, finite; a code is drawn from each posterior.
    decoder_codes : array-like of shape (N, D)
        What the decoder is given for the same images when it is evaluated: mostly the means.
    quantile : float
        Of the KL of normal codes, between 0 and 1.
    n_draws : int
        Samples of N normal codes that the quantile is taken of, by Bartlett's decomposition.
    rng : numpy.random.Generator, optional
        For the codes and the draws; by default a fresh one of seed 0.

    Returns
    -------
    dict
        ``prior_gap_sampled`` and ``prior_gap_decoder`` in nats, None where the codes are constant in some direction;
        ``fit_kl_sampled`` and ``fit_kl_decoder``, at least 0; ``null_quantile``; ``n_active``, latents whose mean has a
        variance above 0.01; ``n_samples``; ``settings``.

    Raises
    ------
    ValueError
        For what `bench.metric.check_codes` rejects, tables of different shapes, options out of range.
    NotApplicableError
        If there aren't more rows than latents.

    References
    ----------
    The fit's KL is the closed form between Gaussians; the sample covariance's distribution is Wishart's, drawn by
    Bartlett: On the theory of statistical regression, Proceedings of the Royal Society of Edinburgh 53, 1933.
    """
    rng = np.random.default_rng(0) if rng is None else rng
    mean, _ = check_codes(codes)
    given, _ = check_codes(decoder_codes)
    spread, _ = check_codes(logvar)
    if not mean.shape == given.shape == spread.shape:
        raise ValueError(
            f"codes, logvar and decoder_codes differ in shape: {mean.shape}, {spread.shape}, {given.shape}"
        )
    if not 0 < quantile < 1 or n_draws < 100:
        raise ValueError(f"quantile={quantile} must lie between 0 and 1, and n_draws={n_draws} be at least 100")
    rows, latents = mean.shape
    if rows <= latents:
        raise NotApplicableError(f"a Gaussian of {latents} latents can't be fitted to {rows} rows")
    with np.errstate(over="ignore"):
        sampled = mean + np.exp(spread / 2) * rng.standard_normal(mean.shape)
    if not np.isfinite(sampled).all():
        raise NotApplicableError(f"log-variances reach {spread.max():.3g}: their codes are too large for float64")
    null = float(np.quantile(_normal_kls(rows, latents, n_draws, rng), quantile))
    of_samples, of_given = _fit_kl(sampled), _fit_kl(given)
    return {
        "prior_gap_sampled": None if of_samples is None else of_samples - null,
        "prior_gap_decoder": None if of_given is None else of_given - null,
        "fit_kl_sampled": of_samples,
        "fit_kl_decoder": of_given,
        "null_quantile": null,
        "n_active": int((mean.var(axis=0) > 0.01).sum()),
        "n_samples": rows,
        "settings": {"quantile": quantile, "n_draws": n_draws},
    }


def _fit_kl(table: Floats) -> float | None:
    """KL(N(m, S) || N(0, I)) with the mean and covariance (divisor N) of a table; None where S is singular."""
    mean, latents = table.mean(axis=0), table.shape[1]
    covariance = np.atleast_2d(np.cov(table, rowvar=False, ddof=0))
    eigenvalues = np.linalg.eigvalsh(covariance)
    if eigenvalues[0] <= ROUNDING * max(eigenvalues[-1], float(np.square(mean).max())):
        return None
    return float((eigenvalues.sum() + mean @ mean - latents - np.log(eigenvalues).sum()) / 2)


def _normal_kls(rows: int, latents: int, n_draws: int, rng: np.random.Generator) -> Floats:
    """`_fit_kl` of `n_draws` tables of normal codes, from the distribution of their mean and covariance alone."""
    diagonal = rng.chisquare(rows - 1 - np.arange(latents), size=(n_draws, latents))
    rest = rng.chisquare(latents * (latents - 1) / 2, size=n_draws) if latents > 1 else np.zeros(n_draws)
    means = rng.chisquare(latents, size=n_draws)
    trace, logdet = (diagonal.sum(axis=1) + rest + means) / rows, np.log(diagonal / rows).sum(axis=1)
    kls: Floats = (trace - latents - logdet) / 2
    return kls
