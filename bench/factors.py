"""Factors as metrics take them: classes of anything whose values have an order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def factor_classes(factors: Any, names: Sequence[str] = ()) -> Ints:
    """Classes of what factors are given as.

    Parameters
    ----------
    factors : array-like of shape (N, F), or a DataFrame
        Whole numbers are their own classes. Of anything else that can be put in order (fractions, strings, bytes,
        dates, objects) equal values are one class, numbered from 0 in ascending order.
    names : sequence of str
        Of the columns, for messages; by default a DataFrame's, or their numbers.

    Returns
    -------
    ndarray of shape (N, F), int64

    Raises
    ------
    ValueError
        Not a table; or a column, by name, with values that are masked, missing, infinite, complex, beyond int64, or
        without an order.
    """
    if _is_plain(factors):
        return np.asarray(factors, dtype=np.int64)
    columns = [_classes(values, name) for name, values in _columns(factors, names)]
    return np.stack(columns, axis=1) if columns else np.zeros((len(factors), 0), dtype=np.int64)


def factor_values(factors: Any) -> tuple[Floats, list[int]]:
    """Factors as real numbers (N, F), and the columns that have none, of which the classes are given instead."""
    if _is_plain(factors):
        return np.asarray(factors, dtype=np.float64), []
    found = list(_columns(factors, ()))
    nameless = [k for k, (_, values) in enumerate(found) if values.dtype.kind not in "biuf"]
    columns = [_classes(values, name) if k in nameless else values for k, (name, values) in enumerate(found)]
    return np.stack(columns, axis=1).astype(np.float64), nameless


def _is_plain(factors: Any) -> bool:
    """Whether factors are whole numbers that int64 holds already, as nearly all are."""
    plain = type(factors) is np.ndarray and factors.ndim == 2 and factors.dtype.kind in "biu"
    return bool(plain and (factors.dtype != np.uint64 or factors.size == 0 or factors.max() <= np.iinfo(np.int64).max))


def _columns(factors: Any, names: Sequence[str]) -> Iterator[tuple[str, NDArray[Any]]]:
    """Name and values of every column, objects turned into the type they are of where there is one."""
    names = names or [f"'{name}'" for name in getattr(factors, "columns", ())]
    table = factors if isinstance(factors, np.ma.MaskedArray) else np.asarray(factors)
    if table.ndim != 2:
        raise ValueError(f"factors must be a table of shape (n_samples, n_factors), got shape {table.shape}")
    for k in range(table.shape[1]):
        name = f"factor {names[k]}" if k < len(names) else f"factor {k}"
        column = table[:, k]
        if np.ma.is_masked(column):
            raise ValueError(f"{name} is masked in {int(np.ma.getmaskarray(column).sum())} of {len(column)} rows")
        values = np.asarray(column)
        # Beside texts NumPy would make a text of it, as of pandas' missing strings.
        missing = sum(isinstance(value, float) and value != value for value in values) if values.dtype == object else 0
        if missing:
            raise ValueError(f"{name} is NaN or infinite in {missing} of {len(values)} rows")
        yield name, np.array(values.tolist()) if values.dtype == object else values


def _classes(values: NDArray[Any], name: str) -> Ints:
    kind = values.dtype.kind
    if values.ndim != 1 or kind == "V":
        raise ValueError(f"{name} holds records, not values")
    if kind == "c":
        raise ValueError(f"{name} is complex: a factor's values need an order")
    if kind == "f":
        bad = int((~np.isfinite(values)).sum())
        values = values.astype(np.float64)
        if bad:
            raise ValueError(f"{name} is NaN or infinite in {bad} of {len(values)} rows")
    if kind in "Mm" and np.isnat(values).any():
        raise ValueError(f"{name} is missing (NaT) in {int(np.isnat(values).sum())} of {len(values)} rows")
    if (kind in "uf" and (np.abs(values) >= 2.0**63).any()) or (kind == "O" and _holds_huge(values)):
        raise ValueError(f"{name} has values beyond 64-bit integers")
    if kind in "biuf" and np.array_equal(np.rint(values) if kind == "f" else values, values):
        return np.asarray(values.astype(np.int64))
    try:
        _, classes = np.unique(values, return_inverse=True)
    except TypeError:
        raise ValueError(f"{name} has values without an order, such as None among others") from None
    return np.asarray(classes.reshape(-1), dtype=np.int64)


def _holds_huge(values: NDArray[Any]) -> bool:
    """Whether objects are Python integers that NumPy has no type for."""
    return any(isinstance(value, int) and abs(value) >= 2**63 for value in values)
