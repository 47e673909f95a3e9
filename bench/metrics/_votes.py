"""Rows with one value of a factor, and votes: what the metrics share that fix a factor or vary it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.metric import Ints
from bench.metrics._samples import per_factor

#: Draws worked on at once: 10 MB at 64 rows of 10 codes. Part of the draw order, hence not a setting.
CHUNK = 2_000


class Slices:
    """Rows of a table sorted by the value of one factor."""

    def __init__(self, column: Ints) -> None:
        _, label, self.counts = np.unique(column, return_inverse=True, return_counts=True)
        self.label: NDArray[np.intp] = label
        self.order = np.argsort(label, kind="stable")
        self.starts = np.cumsum(self.counts) - self.counts

    def draw(self, anchors: Ints, batch_size: int, rng: np.random.Generator) -> Ints:
        """Draw `batch_size` rows with the value of each anchor row, shape (len(anchors), batch_size)."""
        value = self.label[anchors]
        place = rng.integers(0, self.counts[value][:, None], size=(len(anchors), batch_size))
        return np.asarray(self.order[self.starts[value][:, None] + place])


def check_votes(n_votes_train: int, n_votes_test: int, batch_size: int) -> None:
    """Refuse numbers of votes, and of rows per vote, that give no score with a ValueError."""
    if min(n_votes_train, n_votes_test) < 1 or batch_size < 2:
        raise ValueError(
            f"votes must be at least 1 and batch_size at least 2, got n_votes_train={n_votes_train}, "
            f"n_votes_test={n_votes_test}, batch_size={batch_size}"
        )


def judge(
    cast: Callable[[int], NDArray[np.int64]],
    n_votes: tuple[int, int],
    active: Ints,
    columns: list[int],
    size: tuple[int, int],
) -> tuple[float, float, dict[str, Any]]:
    """Make a majority table of training votes, and test it on fresh ones.

    Parameters
    ----------
    cast : callable
        Casts so many votes: how often each active code was chosen for each factor voted on, shape (codes, factors).
        Not called without active codes.
    n_votes : (int, int)
        That make, and that test, the table.
    active, columns : ndarray of int64, list of int
        Codes that take part, and factors voted on.
    size : (int, int)
        D, the number of codes, and F, that of factors.

    Returns
    -------
    score, score_train : float
        Share of test votes that the table classifies correctly, and of training votes; 0 without active codes.
    details : dict
        ``accuracy_per_factor`` on the test votes (None for a factor without votes); ``votes``, the training votes in D
        rows of F; ``factor_of_latent``, the majority per code (None for codes that were never chosen).
    """
    n_latents, n_factors = size
    nothing = np.zeros((0, len(columns)), dtype=np.int64)
    train, test = (cast(n) if len(active) else nothing for n in n_votes)
    majority = train.argmax(axis=1)
    right = test[np.arange(len(active)), majority]
    asked = test.sum(axis=0)
    hits = np.bincount(majority, right, len(columns))
    accuracy = per_factor(hits / np.maximum(asked, 1), columns, n_factors)
    for k, count in zip(columns, asked, strict=True):
        if count == 0:
            accuracy[k] = None
    votes = np.zeros((n_latents, n_factors), dtype=np.int64)
    votes[active[:, None], columns] = train
    chosen = dict(zip(active.tolist(), majority.tolist(), strict=True))
    details = {
        "accuracy_per_factor": accuracy,
        "votes": votes.tolist(),
        "factor_of_latent": [columns[chosen[j]] if votes[j].any() else None for j in range(n_latents)],
    }
    return float(right.sum() / n_votes[1]), float(train.max(axis=1, initial=0).sum() / n_votes[0]), details
