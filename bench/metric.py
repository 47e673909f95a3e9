"""The metric contract.

A metric is one file in ``bench/metrics/`` with one function, ``f(codes, factors, *, rng, ...) -> dict``, in pure
NumPy/SciPy/scikit-learn and float64, usable on its own: ``from bench.metrics import mig``. ``inputs`` names what it is
called with, in order; everything a caller may set is a keyword with a default.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bench.info import Input as Input
from bench.info import Score as Score  # metrics take it from here
from bench.registry import METRICS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
MetricFunction = Callable[..., dict[str, Any]]


class NotApplicableError(ValueError):
    """A metric has no value here, for a reason that isn't a mistake: no factor with two values, too few rows."""


def register_metric(
    name: str,
    *,
    version: int,
    inputs: tuple[Input, ...],
    scores: dict[str, Score],
    optional: tuple[Input, ...] = (),
    cost: Literal["cheap", "seconds", "minutes"] = "cheap",
    groups: tuple[str, ...] = ("all",),
    **unknown: Any,
) -> Callable[[MetricFunction], MetricFunction]:
    """Register a metric, and let each of its results say what it is.

    Parameters
    ----------
    name : str
        Name in specs and on the command line; also the stream of its generator (``metric:<name>``).
    version : int
        Raised by every change that alters scores.
    inputs : tuple of str
        What it is called with, positionally; see `Input`. One that needs ``factors`` is reported as not applicable
        on data without them.
    scores : dict of str to Score
        The keys of its result that become columns. Everything else in the result is kept as detail. The decorated
        function adds ``metric``: name, version, and each column's range (None for no bound) and better direction.
    optional : tuple of str
        What it can use but does without, by keyword.
    cost : {"cheap", "seconds", "minutes"}
        On 10,000 codes of dSprites' five factors, one core.
    groups : tuple of str
        Names that select it together with others: ``all``, and ``core`` for what every preset measures.
    **unknown
        Refused, with the nearest keyword that there is.

    Raises
    ------
    BenchError
        In one line, if a keyword is unknown or a value impossible.
    """
    add = METRICS.register(
        name, version=version, inputs=inputs, scores=scores, optional=optional, cost=cost, groups=groups, **unknown
    )
    about = {"name": name, "version": version, "scores": {column: _describe(score) for column, score in scores.items()}}

    def decorate(function: MetricFunction) -> MetricFunction:
        @functools.wraps(function)
        def metric(*args: Any, **options: Any) -> dict[str, Any]:
            return {**function(*args, **options), "metric": about}

        return add(metric)

    return decorate


def _describe(score: Score) -> dict[str, Any]:
    """A score in JSON's types, which have no infinity."""
    bounds = {key: value for key, value in asdict(score).items() if key in ("low", "high")}
    finite = {key: value if math.isfinite(value) else None for key, value in bounds.items()}
    return {**finite, "higher_is_better": score.higher_is_better}


def check_codes(codes: Any, factors: Any | None = None) -> tuple[Floats, Ints]:
    """Validate what a metric was given.

    Parameters
    ----------
    codes : array-like of shape (N, D)
        Finite numbers.
    factors : array-like of shape (N, F), integer, optional
        Factor classes.

    Returns
    -------
    codes : ndarray of shape (N, D), float64
    factors : ndarray of shape (N, F), int64
        Of shape (N, 0) where none were given.

    Raises
    ------
    ValueError
        Wrong number of dimensions, different lengths, no rows, NaN or infinite codes, factors that aren't integers.
    """
    table = np.asarray(codes, dtype=np.float64)
    if table.ndim != 2 or 0 in table.shape:
        raise ValueError(f"codes must be a table of shape (n_samples, n_latents), got shape {table.shape}")
    if not np.isfinite(table).all():
        bad = int((~np.isfinite(table)).any(axis=1).sum())
        raise ValueError(f"codes hold NaN or infinite values in {bad} of {len(table)} rows")
    if factors is None:
        return table, np.zeros((len(table), 0), dtype=np.int64)
    classes = np.asarray(factors)
    if classes.ndim != 2 or len(classes) != len(table):
        raise ValueError(f"factors must have shape ({len(table)}, n_factors) as the codes do, got {classes.shape}")
    if not np.issubdtype(classes.dtype, np.integer):
        rounded = np.rint(classes)
        if not np.array_equal(rounded, classes):
            raise ValueError("factors must be integer classes")
        classes = rounded
    return table, classes.astype(np.int64)
