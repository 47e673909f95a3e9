"""FactorVAE score of Kim and Mnih (2018), with the votes drawn from a table of codes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.metric import Floats, Score, check_codes, register_metric
from bench.metrics._samples import cut_continuous, left_out, scorable_factors, share_of_scale
from bench.metrics._votes import CHUNK, Slices, check_votes, judge
from bench.metrics.mig_sampled import check_posteriors


@register_metric(
    "factor_vae_score",
    version=2,
    inputs=("codes", "factors"),
    optional=("logvar",),
    scores={"factor_vae_score": Score("FactorVAE score")},
    groups=("all", "core"),
)
def factor_vae_score(
    codes: Any,
    factors: Any,
    logvar: Any | None = None,
    *,
    n_votes_train: int = 10_000,
    n_votes_test: int = 5_000,
    batch_size: int = 64,
    prune_threshold: float = 0.05,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """FactorVAE score: how well the code that varies least tells which factor was held fixed.

    For one vote a factor k is drawn uniformly and one of its values through a random row; `batch_size` rows
    with that value are drawn with replacement. The vote is (k, the code with the smallest variance in the
    batch relative to its variance in the table). A majority table of training votes maps codes to factors,
    and the score is the share of fresh votes it classifies correctly. Chance is about one over the number of
    factors voted on. The score saturates: turning pairs of codes by 22 degrees costs nothing, and random
    rotations of a perfect code score 0.6 to 1.

    Parameters
    ----------
    codes : array-like of shape (N, D)
        Posterior means, finite; N at least 2.
    factors : array-like of shape (N, F)
        Factor classes of the same rows. A factor with one value isn't voted on.
    logvar : array-like of shape (N, D), optional
        Posterior log-variances, finite. Codes without noise have none.
    n_votes_train, n_votes_test : int
        Votes that make, and that test, the majority table.
    batch_size : int
        Rows per vote, at least 2.
    prune_threshold : float
        Codes with a standard deviation of at most this take no part, in units of that of samples from their posteriors
        or, without `logvar`, of that of the widest code; with none left the score is 0. (disentanglement_lib takes the
        prior's unit, so that codes 25 times too small score 0.) A constant code never takes part.
    rng : numpy.random.Generator
        Draws factors, values and rows.

    Returns
    -------
    dict
        ``factor_vae_score`` in [0, 1]; ``factor_vae_score_train``; ``accuracy_per_factor`` on the test votes
        (None for a factor without votes); ``votes``, the training votes in D rows of F; ``factor_of_latent``,
        the majority per code (None for codes that were never chosen, which the classifier counts as the first
        factor); ``standard_deviation`` per code; ``n_active``; ``inactive``, the codes left out;
        ``rows_per_value_least``: a value that one row alone has gives votes without information, decided by the order
        of the codes; ``factors_cut`` and ``factors_left_out``; ``n_rows``; ``settings``.

    Raises
    ------
    ValueError
        For what `bench.metric.check_codes` rejects, settings out of range, or fewer than two factors with two
        values: with one factor every vote would be right.

    References
    ----------
    Kim, Mnih: Disentangling by Factorising, ICML 2018, section 4; settings of disentanglement_lib.
    """
    if logvar is None:
        (table, classes), sigma = check_codes(codes, factors), None
    else:
        table, sigma, classes = check_posteriors(codes, logvar, factors)
    classes, cut, notes = cut_continuous(classes, len(table))
    check_votes(n_votes_train, n_votes_test, batch_size)
    columns = scorable_factors(classes, least=2, metric="FactorVAE score")
    spread = np.where((table != table[0]).any(axis=0), table.std(axis=0, ddof=1), 0.0)
    takes_part = (share_of_scale(table, sigma) > prune_threshold**2) & (spread > 0)
    active = np.flatnonzero(takes_part)
    n_factors = classes.shape[1]
    slices = [Slices(classes[:, k]) for k in columns]
    scaled = table[:, active] / spread[active]
    score, on_train, details = judge(
        lambda n: _votes(scaled, slices, n, batch_size, rng),
        (n_votes_train, n_votes_test), active, columns, (table.shape[1], n_factors),
    )  # fmt: skip
    return {
        "factor_vae_score": score,
        "factor_vae_score_train": on_train,
        **details,
        "standard_deviation": spread.tolist(),
        "n_active": len(active),
        "inactive": np.flatnonzero(~takes_part).tolist(),
        "rows_per_value_least": min(int(part.counts.min()) for part in slices),
        "factors_cut": cut,
        "factors_left_out": left_out(columns, n_factors),
        "n_rows": len(table),
        "settings": {
            "n_votes_train": n_votes_train,
            "n_votes_test": n_votes_test,
            "batch_size": batch_size,
            "prune_threshold": prune_threshold,
        },
        "marks": {"factor_vae_score": notes},
    }


def _votes(
    codes: Floats, slices: list[Slices], n_votes: int, batch_size: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Cast votes and count pairs of (code that varied least, factor held fixed), shape (codes, factors)."""
    counts = np.zeros((codes.shape[1], len(slices)), dtype=np.int64)
    for start in range(0, n_votes, CHUNK):
        size = min(CHUNK, n_votes - start)
        fixed = rng.integers(len(slices), size=size)
        anchors = rng.integers(len(codes), size=size)
        for k, part in enumerate(slices):
            rows = part.draw(anchors[fixed == k], batch_size, rng)
            winner = codes[rows].var(axis=1, ddof=1).argmin(axis=1)
            counts[:, k] += np.bincount(winner, minlength=codes.shape[1])
    return counts
