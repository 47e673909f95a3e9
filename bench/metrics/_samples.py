"""What the metrics on tables share: rows to use, factors that can be scored, and results in JSON's types."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from bench.metric import Floats, Ints, NotApplicableError

#: Footnote of `small_codes`.
SMALL = "all codes have a standard deviation below 0.1, so that the penalty of the classifier lowers it"
#: A factor with more values than the first and fewer rows per value than the second is continuous.
MOST_CLASSES, ROWS_PER_VALUE = 20, 5

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


def cut_continuous(classes: Ints, n_used: int, *, skip: Collection[int] = ()) -> tuple[Ints, list[int], list[str]]:
    """Cut the factors that have hardly a row per value into classes of equal counts.

    A factor with more than `MOST_CLASSES` values and fewer than `ROWS_PER_VALUE` rows for each is a measurement and not
    a class: fixing a value would fix the row.

    Parameters
    ----------
    classes : ndarray of shape (N, F), int64
        Whose order is that of the factor.
    n_used : int
        Rows that the metric draws from them, as far as there are as many.
    skip : collection of int
        Columns that aren't scored.

    Returns
    -------
    classes : ndarray of shape (N, F), int64
    cut : list of int
        Columns that were cut.
    notes : list of str
        A footnote that says so, or nothing.
    """
    n_rows = min(len(classes), n_used)
    counts = [len(np.unique(column)) for column in classes.T]
    cut = [k for k, n in enumerate(counts) if k not in skip and n > max(MOST_CLASSES, n_rows / ROWS_PER_VALUE)]
    if not cut:
        return classes, [], []
    result = classes.copy()
    for k in cut:
        result[:, k] = merge_values(classes[:, k], MOST_CLASSES)
    which = f"factor {cut[0]} has" if len(cut) == 1 else f"factors {', '.join(map(str, cut))} have"
    note = f"{which} fewer than {ROWS_PER_VALUE} rows per value: cut into {MOST_CLASSES} classes at quantiles"
    return result, cut, [note]


def merge_values(column: Ints, n_bins: int) -> Ints:
    """Merge neighbouring values of a factor into at most `n_bins` of about equal counts, numbered from 0."""
    _, label, counts = np.unique(column, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - counts / 2
    _, merged = np.unique((middle * n_bins / len(column)).astype(np.int64), return_inverse=True)
    return np.asarray(merged[label], dtype=np.int64)


def share_of_scale(codes: Floats, sigma: Floats | None = None) -> Floats:
    """Variance of each code relative to its scale, shape (D,): the one rule by which metrics call a code active.

    A code is active if this is above a threshold. Its scale is the variance of what is drawn from its posteriors, noise
    included, where their standard deviations are known, so that the share is that of the signal; otherwise the variance
    of the widest code. Hence all codes may be in any unit.

    Parameters
    ----------
    codes : ndarray of shape (N, D), float64
        Posterior means; N at least 2.
    sigma : ndarray of shape (N, D), float64, optional
        Standard deviations of the posteriors.

    Returns
    -------
    ndarray of shape (D,), float64
        0 to 1; 0 for a constant code, even one without noise.
    """
    apart = codes - codes[0]
    unit = np.abs(apart).max(axis=0)
    if sigma is not None:
        unit = np.maximum(unit, sigma.max(axis=0))
    elif (unit > 0).any():
        unit = np.full_like(unit, unit.max())
    unit = np.where(unit > 0, unit, 1.0)
    variance = np.where((codes != codes[0]).any(axis=0), (apart / unit).var(axis=0, ddof=1), 0.0)
    scale = variance.max() if sigma is None else variance + ((sigma / unit) ** 2).mean(axis=0)
    return np.asarray(variance / np.where(scale > 0, scale, 1.0))


def standardised(values: Floats | Ints) -> Floats:
    """Columns of mean 0 and variance 1 (divisor N), whatever their unit; constant ones are 0."""
    moving = (values != values[0]).any(axis=0)
    apart = values - values.mean(axis=0)
    apart = apart / np.where(moving, np.abs(apart).max(axis=0), 1.0)
    apart = apart - apart.mean(axis=0)
    return np.asarray(np.where(moving, apart / np.where(moving, apart.std(axis=0), 1.0), 0.0))


def small_codes(codes: Floats) -> list[str]:
    """Footnote for scores that a penalty lowers where codes are small, or nothing."""
    spread = np.where((codes != codes[0]).any(axis=0), codes.std(axis=0), 0.0)
    return [SMALL] if 0 < spread.max() < 0.1 else []


def error_of_share(n_right: float, n: int) -> float:
    """Standard error of a share of `n` draws.

    One right and one wrong are added, so that no mistake in few draws isn't no error.
    """
    share = (n_right + 1) / (n + 2)
    return float(np.sqrt(share * (1 - share) / (n + 2)))


def count_active(codes: Floats) -> int:
    """Count the latents that aren't constant in the sample."""
    return int((codes != codes[0]).any(axis=0).sum())
