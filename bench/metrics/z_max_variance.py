"""Z-max variance of Kim et al. (2019): the FactorVAE score turned around, with one factor that varies."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.metric import Floats, Ints, NotApplicableError, Score, check_codes, register_metric
from bench.metrics._samples import cut_continuous, error_of_share, left_out, share_of_scale
from bench.metrics._votes import CHUNK, Slices, check_votes, judge
from bench.metrics.mig_sampled import check_posteriors


@register_metric(
    "z_max_variance",
    version=1,
    inputs=("codes", "factors"),
    optional=("logvar",),
    scores={"z_max_variance": Score("Z-max variance")},
)
def z_max_variance(
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
    """Z-max variance: how well the code that varies most tells which factor alone was varied.

    For one vote a factor k is drawn uniformly, then a random row among those that have a partner which differs from
    them in factor k alone; `batch_size` rows that agree with it in all other factors are drawn with replacement. The
    vote is (k, the code with the largest variance in the batch relative to its variance in the table). A majority table
    of training votes maps codes to factors, and the score is the share of fresh votes that it classifies correctly.
    Chance is about one over the number of factors voted on.

    Rows that differ in one factor alone are plenty on a grid and rare in a sample of one: a factor without any isn't
    voted on. What the code that varies most hides isn't seen: that other codes vary nearly as much, that one code
    holds a factor only in part, or that a factor is in many codes. A factor that no code tells of gets
    votes that rounding, noise or the order of the codes decides.

    Parameters
    ----------
    codes : array-like of shape (N, D)
        Posterior means, finite; N at least 2.
    factors : array-like of shape (N, F)
        Factor classes of the same rows.
    logvar : array-like of shape (N, D), optional
        Posterior log-variances, finite. Codes without noise have none.
    n_votes_train, n_votes_test : int
        Votes that make, and that test, the majority table.
    batch_size : int
        Rows per vote, at least 2.
    prune_threshold : float
        Codes with a standard deviation of at most this take no part, in units of that of samples from their posteriors
        or, without `logvar`, of that of the widest code; with none left the score is 0. A constant code never does.
    rng : numpy.random.Generator
        Draws factors and rows.

    Returns
    -------
    dict
        ``z_max_variance`` in [0, 1]; ``z_max_variance_error``, the standard error of so many test votes, which says
        nothing of other rows; ``z_max_variance_train``; ``accuracy_per_factor`` on the test votes (None for a factor
        without votes); ``votes``, the training votes in D rows of F; ``factor_of_latent``, the majority per code (None
        for codes that were never chosen); ``n_active`` and ``inactive``; ``rows_voted_on_per_factor``, those that
        have a partner; ``factors_cut`` and ``factors_left_out``; ``n_rows``; ``settings``.

    Raises
    ------
    ValueError
        For what `bench.metric.check_codes` rejects, settings out of range, or fewer than two factors that vary alone
        between two rows.

    References
    ----------
    Kim, Wang, Sahu, Pavlovic: Relevance Factor VAE: Learning and Identifying Disentangled Factors, arXiv:1902.01568,
    2019; as written in Carbonneau, Zaidi, Boilard, Gagnon: Measuring Disentanglement: A Review of Metrics, 2020,
    section 4.2.3. Their code cuts factors into three bins first, subtracts chance, and casts 800 votes of 200 rows;
    ours takes factors as they are, and the numbers of the FactorVAE score.
    """
    if logvar is None:
        (table, classes), sigma = check_codes(codes, factors), None
    else:
        table, sigma, classes = check_posteriors(codes, logvar, factors)
    classes, cut, notes = cut_continuous(classes, len(table))
    check_votes(n_votes_train, n_votes_test, batch_size)
    n_factors = classes.shape[1]
    partners = [rows_that_differ_in(classes, k) for k in range(n_factors)]
    columns = [k for k, (rows, _) in enumerate(partners) if len(rows)]
    if len(columns) < 2:
        raise NotApplicableError(
            f"Z-max variance needs two factors that vary alone between two rows; {len(columns)} of {n_factors} do in "
            f"these {len(table)} rows"
        )
    share = share_of_scale(table, sigma)
    takes_part = (share > prune_threshold**2) & (table != table[0]).any(axis=0)
    active = np.flatnonzero(takes_part)
    spread = table[:, active].std(axis=0, ddof=1)
    scaled = (table[:, active] - table[0, active]) / spread
    groups = [(rows, Slices(label)) for rows, label in (partners[k] for k in columns)]
    score, on_train, details = judge(
        lambda n: _votes(scaled, groups, n, batch_size, rng),
        (n_votes_train, n_votes_test), active, columns, (table.shape[1], n_factors),
    )  # fmt: skip
    return {
        "z_max_variance": score,
        "z_max_variance_error": error_of_share(score * n_votes_test, n_votes_test) if len(active) else 0.0,
        "z_max_variance_train": on_train,
        **details,
        "n_active": len(active),
        "inactive": np.flatnonzero(~takes_part).tolist(),
        "rows_voted_on_per_factor": [len(rows) for rows, _ in partners],
        "factors_cut": cut,
        "factors_left_out": left_out(columns, n_factors),
        "n_rows": len(table),
        "settings": {
            "n_votes_train": n_votes_train,
            "n_votes_test": n_votes_test,
            "batch_size": batch_size,
            "prune_threshold": prune_threshold,
        },
        "marks": {"z_max_variance": notes},
    }


def rows_that_differ_in(classes: Ints, k: int) -> tuple[Ints, Ints]:
    """Rows that have a partner which differs from them in one factor alone.

    Parameters
    ----------
    classes : ndarray of shape (N, F), int64
    k : int
        The factor.

    Returns
    -------
    rows : ndarray of shape (n,), int64
        Row numbers, ascending.
    group : ndarray of shape (n,), int64
        Rows of one number agree in all other factors.
    """
    _, group = np.unique(np.delete(classes, k, axis=1), axis=0, return_inverse=True)
    group = group.reshape(-1)
    _, value = np.unique(classes[:, k], return_inverse=True)
    lowest, highest = np.full(group.max() + 1, len(value)), np.full(group.max() + 1, -1)
    np.minimum.at(lowest, group, value)
    np.maximum.at(highest, group, value)
    rows = np.flatnonzero((lowest < highest)[group])
    return rows, group[rows]


def _votes(
    codes: Floats, groups: list[tuple[Ints, Slices]], n_votes: int, batch_size: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Cast votes and count pairs of (code that varied most, factor that varied), shape (codes, factors)."""
    counts = np.zeros((codes.shape[1], len(groups)), dtype=np.int64)
    for start in range(0, n_votes, CHUNK):
        varied = rng.integers(len(groups), size=min(CHUNK, n_votes - start))
        for k, (rows, part) in enumerate(groups):
            anchors = rng.integers(len(rows), size=int((varied == k).sum()))
            batch = codes[rows[part.draw(anchors, batch_size, rng)]]
            # From the first row on, so that a code which doesn't move has a variance of 0 and not of rounding.
            winner = (batch - batch[:, :1]).var(axis=1, ddof=1).argmax(axis=1)
            counts[:, k] += np.bincount(winner, minlength=codes.shape[1])
    return counts
