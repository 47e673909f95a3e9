"""What the metrics on tables share: rows to use, factors that can be scored, and results in JSON's types."""

from __future__ import annotations

import numpy as np

from bench.metric import Floats, Ints, NotApplicableError

Cells = list[list[float | None]]


def draw_rows(n_rows: int, n_samples: int, rng: np.random.Generator) -> Ints:
    """Draw `n_samples` rows without replacement, or return all in order where there are no more."""
    if n_samples < 2:
        raise ValueError(f"n_samples must be at least 2, got {n_samples}")
    if n_rows <= n_samples:
        return np.arange(n_rows)
    return rng.choice(n_rows, size=n_samples, replace=False)


def scorable_factors(factors: Ints, *, least: int = 1, metric: str) -> list[int]:
    """Columns of `factors` with two values or more.

    Parameters
    ----------
    factors : ndarray of shape (N, F), int64
        The rows that will be used.
    least : int
        How many such columns the metric needs.
    metric : str
        Its name, for the message.

    Raises
    ------
    ValueError
        If there are fewer.
    """
    columns = [k for k, column in enumerate(factors.T) if len(column) and (column != column[0]).any()]
    if len(columns) < least:
        needs = "a factor" if least == 1 else f"{least} factors"
        raise NotApplicableError(
            f"{metric} needs {needs} with at least two values in the sample; {len(columns)} of the "
            f"{factors.shape[1]} factors have that in its {len(factors)} rows"
        )
    return columns


def left_out(columns: list[int], n_factors: int) -> list[int]:
    """Return the columns that aren't scored."""
    return [k for k in range(n_factors) if k not in columns]


def per_factor(values: Floats, columns: list[int], n_factors: int) -> list[float | None]:
    """Spread values over all factors, None for those that weren't scored."""
    cells: list[float | None] = [None] * n_factors
    for k, value in zip(columns, values.tolist(), strict=True):
        cells[k] = value
    return cells


def per_pair(matrix: Floats, columns: list[int], n_factors: int) -> Cells:
    """Spread a (latents x scored factors) matrix over all factors, None where not scored."""
    return [per_factor(row, columns, n_factors) for row in matrix]


def count_active(codes: Floats) -> int:
    """Count the latents that aren't constant in the sample."""
    return int((codes != codes[0]).any(axis=0).sum())
