"""DCIMIG of Sepliarskaia et al. (2019), called 3CharM as well: gaps of codes, the best of each factor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bench.metric import Floats, Ints, Score, check_codes, register_metric
from bench.metrics._halves import at_least_one_row, draw_halves, error_of_halves, largest_share
from bench.metrics._samples import (
    count_active,
    cut_continuous,
    draw_rows,
    left_out,
    per_factor,
    per_pair,
    scorable_factors,
)
from bench.metrics.mig import Information, equal_width_bins, plug_in_information


@register_metric(
    "dcimig",
    version=1,
    inputs=("codes", "factors"),
    scores={"dcimig": Score("DCIMIG")},
)
def dcimig(
    codes: Any, factors: Any, *, n_bins: int = 20, n_samples: int = 10_000, rng: np.random.Generator
) -> dict[str, Any]:
    """DCIMIG: the information that codes have about one factor more than about any other, as a share of all there is.

    A code's gap is its largest information with a factor minus its second largest, in nats, and belongs to the factor
    of the largest. A factor's score S is the largest gap that belongs to it, 0 if none does, and the metric is
    ``sum_k S_k / sum_k H(v_k)``. Estimates are those of MIG: plug-in, on codes cut into bins of equal width.

    A code that mixes factors loses, a factor that is missing counts as 0, and a factor of much entropy weighs more. It
    can't see a factor in several codes, as long as one of them holds all of it, nor what the codes tell
    that are no factor's best: noise, copies and leftovers cost nothing. Like MIG it can't reach 1 where a factor has
    more values than there are bins.

    Parameters
    ----------
    codes : array-like of shape (N, D)
        Posterior means, finite.
    factors : array-like of shape (N, F)
        Factor classes, in any coding; at least two with two values.
    n_bins : int
        Bins per code, at least 2.
    n_samples : int
        Rows to use, drawn without replacement; all of them where there are no more.
    rng : numpy.random.Generator
        Draws the rows, and halves of them for the error.

    Returns
    -------
    dict
        ``dcimig`` in [0, 1]; ``dcimig_error``, its error, from what half of the rows would change;
        ``dcimig_per_factor``, ``S_k / H(v_k)`` (None for a factor with one value, which is left out);
        ``gap_per_latent`` in nats; ``factor_of_latent``, the factor that a code tells most of; ``mutual_information``
        in nats, D rows of F; ``entropy`` of the factors; ``n_active``, the codes that aren't constant; ``factors_cut``
        and ``factors_left_out``; ``n_samples``; ``settings``.

    Raises
    ------
    ValueError
        For what `bench.metric.check_codes` rejects, an `n_bins` below 2, or fewer than two factors with two values.

    References
    ----------
    Sepliarskaia, Kiseleva, de Rijke: How to Not Measure Disentanglement, arXiv:1910.05587, 2019; as written in
    Carbonneau, Zaidi, Boilard, Gagnon: Measuring Disentanglement: A Review of Metrics, 2020, section 4.4.5.
    """
    table, classes = check_codes(codes, factors)
    classes, cut, notes = cut_continuous(classes, n_samples)
    if n_bins < 2:
        raise ValueError(f"n_bins must be at least 2, got {n_bins}")
    rows = draw_rows(len(table), n_samples, rng)
    table, classes = table[rows], classes[rows]
    columns = scorable_factors(classes, least=2, metric="DCIMIG")
    bins, used = equal_width_bins(table, n_bins), classes[:, columns]
    found = plug_in_information(bins, used)
    gaps, owner, best = best_gaps(found.information)
    n_factors = classes.shape[1]
    return {
        "dcimig": min(float(best.sum() / found.entropy.sum()), 1.0),  # above 1 only by rounding
        "dcimig_error": _error(bins, used, found, rng),
        "dcimig_per_factor": per_factor(np.minimum(best / found.entropy, 1.0), columns, n_factors),
        "gap_per_latent": gaps.tolist(),
        "factor_of_latent": [columns[k] for k in owner.tolist()],
        "mutual_information": per_pair(found.information, columns, n_factors),
        "entropy": per_factor(found.entropy, columns, n_factors),
        "factors_cut": cut,
        "factors_left_out": left_out(columns, n_factors),
        "n_active": count_active(table),
        "n_samples": len(table),
        "settings": {"n_bins": n_bins, "n_samples": n_samples},
        "marks": {"dcimig": notes},
    }


def best_gaps(information: Floats) -> tuple[Floats, Floats, Floats]:
    """Gap of every code, the factor it belongs to, and the largest gap of every factor.

    Parameters
    ----------
    information : ndarray of shape (D, F), float64
        Not negative; F at least 2.

    Returns
    -------
    gaps : ndarray of shape (D,), float64
    owner : ndarray of shape (D,), int64
        The first of several factors that a code tells as much of, where the gap is 0.
    best : ndarray of shape (F,), float64
    """
    ordered = np.sort(information, axis=1)
    gaps, owner = ordered[:, -1] - ordered[:, -2], information.argmax(axis=1)
    best = np.zeros(information.shape[1])
    np.maximum.at(best, owner, gaps)
    return gaps, owner, best


def _error(bins: Ints, classes: Ints, found: Information, rng: np.random.Generator) -> float:
    """Error of the score from another half of the rows for each factor."""
    halves = draw_halves(classes, rng)
    half = []
    for k, rows in enumerate(halves):
        part = plug_in_information(bins[rows], classes[rows][:, [k]])
        half.append((part.information[:, 0], float(part.entropy[0])))

    def score(parts: Sequence[tuple[Floats, float]]) -> float:
        columns, entropy = zip(*parts, strict=True)
        return float(best_gaps(np.stack(columns, axis=1))[2].sum() / sum(entropy))

    whole = list(zip(found.information.T, found.entropy.tolist(), strict=True))
    return at_least_one_row(error_of_halves(score, whole, half, largest_share(halves, len(bins))), len(bins))
