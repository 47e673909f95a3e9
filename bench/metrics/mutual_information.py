"""Mean mutual information between pairs of codes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from bench.metric import Floats, Ints, NotApplicableError, Score, check_codes, register_metric
from bench.metrics._samples import count_active, draw_rows
from bench.metrics.mig import equal_width_bins, plug_in_information

#: Codes whose pairs with all later ones are counted together.
STRIP = 32


@register_metric(
    "mutual_information",
    version=1,
    inputs=("codes",),
    scores={
        "mutual_information_codes": Score("MI between codes (nats)", high=math.inf, higher_is_better=False),
    },
)
def mutual_information(
    codes: Any, *, n_bins: int = 20, n_samples: int = 10_000, rng: np.random.Generator
) -> dict[str, Any]:
    """Mutual information between pairs of codes, mean over the pairs.

    Plug-in estimates on codes cut into bins of equal width between their extremes in the sample, as in
    disentanglement_lib. They are biased upwards: independent codes score ``bias_floor``, about 0.015 nats with
    20 bins and 10,000 rows, and a score near it is no evidence of dependence. Constant codes add zeros to
    the mean; ``mutual_information_active`` leaves them out.

    Parameters
    ----------
    codes : array-like of shape (N, D)
        Posterior means, finite; D at least 2.
    n_bins : int
        Bins per code, at least 2.
    n_samples : int
        Rows to use, drawn without replacement; all of them where there are no more.
    rng : numpy.random.Generator
        Draws the rows; unused where all are used.

    Returns
    -------
    dict
        ``mutual_information_codes`` in nats, at least 0, mean over pairs of different codes;
        ``mutual_information_codes_error``, the bias to first order with the cells that are in use;
        ``mutual_information_active``, over pairs of codes that aren't constant (None where there is none);
        ``bias_floor`` and ``bias_floor_active`` in nats, the expectation for independent codes to first order, mean of
        ``(B_i - 1) (B_j - 1) / (2 N)`` over the same pairs with B the bins in use; ``matrix`` in nats, D rows of D,
        entropies on its diagonal; ``n_active``; ``n_samples``; ``settings``.

    Raises
    ------
    ValueError
        For what `bench.metric.check_codes` rejects, settings out of range, or fewer than two codes.

    References
    ----------
    Locatello et al.: Challenging Common Assumptions in the Unsupervised Learning of Disentangled
    Representations, ICML 2019, section 5.1; the bias is Miller's (1955).
    """
    table, _ = check_codes(codes)
    n_latents = table.shape[1]
    if n_bins < 2:
        raise ValueError(f"n_bins must be at least 2, got {n_bins}")
    if n_latents < 2:
        raise NotApplicableError("mutual information between codes needs at least two codes")
    table = table[draw_rows(len(table), n_samples, rng)]
    bins = equal_width_bins(table, n_bins)
    matrix, bias = _between(bins)
    used = np.array([len(np.unique(column)) for column in bins.T])
    floor = np.outer(used - 1, used - 1) / (2 * len(table))
    active = (table != table[0]).any(axis=0)
    return {
        "mutual_information_codes": _off_diagonal(matrix),
        "mutual_information_codes_error": abs(_off_diagonal(bias) or 0.0),
        "mutual_information_active": _off_diagonal(matrix[np.ix_(active, active)]),
        "bias_floor": _off_diagonal(floor),
        "bias_floor_active": _off_diagonal(floor[np.ix_(active, active)]),
        "matrix": matrix.tolist(),
        "n_active": count_active(table),
        "n_samples": len(table),
        "settings": {"n_bins": n_bins, "n_samples": n_samples},
    }


def _between(bins: Ints) -> tuple[Floats, Floats]:
    """Information of every pair of codes and its bias, (D, D): half of the pairs are counted, in strips."""
    n_latents = bins.shape[1]
    matrix, bias = np.empty((2, n_latents, n_latents))
    for start in range(0, n_latents, STRIP):
        strip = slice(start, start + STRIP)
        found = plug_in_information(bins[:, start:], bins[:, strip])
        for table, part in ((matrix, found.information), (bias, found.bias)):
            table[start:, strip] = part
            table[strip, start:] = part.T
    return matrix, bias


def _off_diagonal(matrix: Floats) -> float | None:
    """Mean over ordered pairs of different codes; None without a pair."""
    n = len(matrix)
    return None if n < 2 else float(matrix[~np.eye(n, dtype=bool)].mean())
