"""The metric contract.

A metric is one file in ``bench/metrics/`` with one function, ``f(codes, factors, *, rng, ...) -> dict``, in pure
NumPy/SciPy/scikit-learn and float64, usable on its own: ``from bench.metrics import mig``. ``inputs`` names what it is
called with, in order; everything a caller may set is a keyword with a default. Registration lets a caller give tensors
and lists for arrays, and for ``rng`` a generator, an integer or nothing, which is the seed 0.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bench.arrays import as_numpy
from bench.factors import factor_classes
from bench.info import Input as Input
from bench.info import Score as Score  # metrics take it from here
from bench.registry import METRICS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
MetricFunction = Callable[..., dict[str, Any]]


#: A score whose estimate of its own error is above this isn't shown without a mark; relative for scores above 1.
ERROR = 0.005


#: Of the generator of a metric that is called as a function without one.
SEED = 0


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
        The keys of its result that become columns. Everything else in the result is kept as detail. Two keys of it
        tell a reader how far to trust a column: ``<column>_error``, the metric's own estimate of its error, above 0
        or infinite, and ``marks``, column to sentences that tables print as footnotes. The decorated function adds
        a mark wherever the estimate is above `ERROR`, drops ``marks`` if there is none, and adds ``metric``: name,
        version, and each column's range (None for no bound) and better direction.
    optional : tuple of str
        What it can use but does without, by keyword.
    cost : {"cheap", "seconds", "minutes"}
        On 10,000 codes of dSprites' five factors, one core.
    groups : tuple of str
        Names that select it together with others: ``all``, and ``core`` for what every preset evaluates.
    **unknown
        Refused, with the nearest keyword that there is.

    Raises
    ------
    BenchError
        In one line, if a keyword is unknown or a value impossible.

    Examples
    --------
    >>> import numpy as np
    >>> @register_metric("spread", version=1, inputs=("codes",), scores={"spread": Score("mean SD", high=np.inf)})
    ... def spread(codes, *, rng=None):
    ...     return {"spread": float(np.std(codes, axis=0).mean())}
    >>> spread(np.array([[0.0, 1.0], [2.0, 1.0]]))["spread"]
    0.5
    """
    add = METRICS.register(
        name, version=version, inputs=inputs, scores=scores, optional=optional, cost=cost, groups=groups, **unknown
    )
    about = {"name": name, "version": version, "scores": {column: _describe(score) for column, score in scores.items()}}

    def decorate(function: MetricFunction) -> MetricFunction:
        signature = _with_default_rng(inspect.signature(function))

        @functools.wraps(function)
        def metric(*args: Any, **options: Any) -> dict[str, Any]:
            if "rng" in signature.parameters:
                options["rng"] = np.random.default_rng(SEED if options.get("rng") is None else options["rng"])
            arrays = [as_numpy(value) for value in args]
            options = {name: as_numpy(value) for name, value in options.items()}
            return {**_marked(function(*arrays, **options), scores), "metric": about}

        metric.__signature__ = signature  # type: ignore[attr-defined]
        return add(metric)

    return decorate


def _with_default_rng(signature: inspect.Signature) -> inspect.Signature:
    """The signature as callers see it: a generator, an integer or nothing for ``rng``."""
    parameters = [
        item.replace(default=None, annotation="np.random.Generator | int | None") if item.name == "rng" else item
        for item in signature.parameters.values()
    ]
    return signature.replace(parameters=parameters)


def _marked(result: dict[str, Any], columns: Iterable[str]) -> dict[str, Any]:
    """Mark the scores whose own estimate of their error is too large; an error without bound becomes None."""
    marks = {column: list(notes) for column, notes in result.pop("marks", {}).items() if notes}
    for column in columns:
        key, value = f"{column}_error", result.get(column)
        if key not in result:
            continue
        error = result[key] if result[key] is not None and math.isfinite(result[key]) else None
        result[key] = error
        if value is None:
            continue
        if error is None:
            marks.setdefault(column, []).append("no bound on its error is known")
        elif error > ERROR * max(1.0, abs(value)):
            above = f"{ERROR:.1%}" if abs(value) > 1 else f"{ERROR:g}"
            marks.setdefault(column, []).append(f"its error is estimated at more than {above}")
    return {**result, "marks": marks} if marks else result


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
    factors : array-like of shape (N, F), optional
        Factor classes; see `bench.factors.factor_classes`.

    Returns
    -------
    codes : ndarray of shape (N, D), float64
    factors : ndarray of shape (N, F), int64
        Of shape (N, 0) where none were given.

    Raises
    ------
    ValueError
        Wrong number of dimensions, different lengths, no rows, codes that are NaN, infinite, masked or complex, and
        what `bench.factors.factor_classes` rejects.
    """
    if np.ma.is_masked(codes) or np.iscomplexobj(codes):
        raise ValueError(f"codes are {'masked in part' if np.ma.is_masked(codes) else 'complex'}, not finite numbers")
    table = np.asarray(codes, dtype=np.float64)
    if table.ndim != 2 or 0 in table.shape:
        raise ValueError(f"codes must be a table of shape (n_samples, n_latents), got shape {table.shape}")
    if not np.isfinite(table).all():
        bad = int((~np.isfinite(table)).any(axis=1).sum())
        raise ValueError(f"codes hold NaN or infinite values in {bad} of {len(table)} rows")
    if factors is None:
        return table, np.zeros((len(table), 0), dtype=np.int64)
    classes = factor_classes(factors)
    if len(classes) != len(table):
        raise ValueError(f"factors must have shape ({len(table)}, n_factors) as the codes do, got {classes.shape}")
    return table, classes
