"""Rows to fit and rows to test on, for the metrics that train a predictor."""

from __future__ import annotations

import numpy as np

from bench.metric import Ints, NotApplicableError


def split_rows(n_rows: int, n_train: int, n_test: int, rng: np.random.Generator, *, metric: str) -> tuple[Ints, Ints]:
    """Draw disjoint training and test rows; a table with fewer rows than asked for is split 2:1.

    Parameters
    ----------
    n_rows : int
        Rows of the table, at least 3.
    n_train, n_test : int
        Rows wanted, each at least 1.
    rng : numpy.random.Generator
        Draws the rows, without replacement.
    metric : str
        Its name, for the message.

    Returns
    -------
    train, test : ndarray of int64
        Row numbers.

    Raises
    ------
    ValueError
        For sizes below 1, or a table with fewer than 3 rows.
    """
    if min(n_train, n_test) < 1:
        raise ValueError(f"n_train and n_test must be at least 1, got {n_train} and {n_test}")
    if n_rows < 3:
        raise NotApplicableError(f"{metric} needs at least 3 rows to fit and test on, got {n_rows}")
    rows = rng.permutation(n_rows)
    if n_rows < n_train + n_test:
        n_test = max(n_rows // 3, 1)
        n_train = n_rows - n_test
    return rows[:n_train], rows[n_train : n_train + n_test]
