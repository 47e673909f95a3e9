"""Numbers with intervals: mean, standard deviation, median and interquartile mean over seeds."""

from __future__ import annotations

import functools
import warnings
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

#: With fewer seeds nothing is compared: the smallest two-sided p of a Mann-Whitney test is 0.1 with 3 seeds
#: on each side, 0.03 with 4 and 0.008 with 5.
MIN_SEEDS = 5

TOO_FEW = "too few seeds to compare"

N_RESAMPLES = 9999

Statistic = Literal["mean", "sd", "median", "iqm"]


@dataclass(frozen=True)
class Interval:
    """An estimate with its confidence interval and how that was found.

    Attributes
    ----------
    estimate : float
        NaN where it is undefined.
    low, high : float or None
        Bounds; None where there is no interval, and then `note` says why.
    n : int
        Number of seeds behind it: of pairs if paired, of the smaller group if there are two.
    confidence : float
        Level of the interval, two-sided.
    method : {"bca", "percentile", "t", "fisher-z", "point", "none"}
        How the bounds were found, which may differ from what was asked for. "point": there is no spread, so
        both bounds are the estimate.
    note : str
        What a reader must know; empty if there is nothing.
    """

    estimate: float
    low: float | None
    high: float | None
    n: int
    confidence: float
    method: Literal["bca", "percentile", "t", "fisher-z", "point", "none"]
    note: str = ""


def iqm(values: ArrayLike, axis: int | None = -1) -> Any:
    """Interquartile mean: the mean without the lowest and the highest quarter of the values.

    ``floor(n / 4)`` values are cut at each end, so below four values it is the mean.

    Parameters
    ----------
    values : array-like
        Finite numbers.
    axis : int or None
        Axis to average over; None for all values together.

    Returns
    -------
    float or ndarray
        The 25 % trimmed mean.

    Notes
    -----
    Source: Agarwal, Schwarzer, Castro, Courville, Bellemare: Deep Reinforcement Learning at the Edge of the
    Statistical Precipice, NeurIPS 2021; cut as in their library rliable.
    """
    x = np.asarray(values, dtype=np.float64)
    x = np.sort(x.ravel() if axis is None else np.moveaxis(x, axis, -1), axis=-1)
    cut = x.shape[-1] // 4
    return x[..., cut : x.shape[-1] - cut].mean(axis=-1)


class _AlongAxis(Protocol):
    def __call__(self, values: NDArray[np.float64], /, *, axis: int) -> Any: ...


#: Statistics by name; each takes an array and an ``axis``. "sd" is the sample standard deviation (``ddof=1``).
STATISTICS: MappingProxyType[Statistic, _AlongAxis] = MappingProxyType(
    {"mean": np.mean, "sd": functools.partial(np.std, ddof=1), "median": np.median, "iqm": iqm}
)


def bootstrap_interval(
    values: ArrayLike,
    statistic: Statistic = "mean",
    *,
    rng: np.random.Generator,
    confidence: float = 0.95,
    method: Literal["bca", "percentile"] = "bca",
    n_resamples: int = N_RESAMPLES,
) -> Interval:
    """Bootstrap interval of a statistic of one sample.

    Parameters
    ----------
    values : array-like of shape (n,)
        Finite numbers, one per seed, sorted by seed.
    statistic : {"mean", "sd", "median", "iqm"}
        What is estimated.
    rng : numpy.random.Generator
        Draws the resamples.
    confidence : float, in (0, 1)
        Level of the interval.
    method : {"bca", "percentile"}
        Bias-corrected and accelerated, or plain quantiles of the resamples.
    n_resamples : int
        Number of resamples.

    Returns
    -------
    Interval
        ``method`` is "point" if all values are equal, "percentile" with a note where BCa is undefined, and "none"
        below three values.

    Raises
    ------
    ValueError
        If the values aren't a finite vector, the level is no probability or a name is unknown.

    Notes
    -----
    Sources: Efron, JASA 82 (1987), 171-185 (BCa); Efron and Tibshirani, An Introduction to the Bootstrap, 1993,
    chapters 13 and 14.

    With few seeds a bootstrap interval is too narrow for its level. Share of 2,000 normal samples in which the 95 %
    interval (BCa / percentile) held the true value, in per cent:

    ======  ========  ========  ========  ========
    n       mean      sd        median    iqm
    ======  ========  ========  ========  ========
    5       84 / 85   67 / 65   94 / 94   90 / 90
    10      91 / 91   83 / 77   94 / 95   94 / 94
    20      93 / 94   89 / 85   95 / 95   96 / 95
    ======  ========  ========  ========  ========

    Of exponential samples of 10: 88 / 87, 64 / 59, 93 / 93 and 93 / 93.
    """
    x = finite_vector(values)
    check_level(confidence)
    if statistic not in STATISTICS or method not in ("bca", "percentile"):
        raise ValueError(f"unknown statistic or method: {statistic!r}, {method!r}")
    function = STATISTICS[statistic]
    if x.size < 3:
        known = x.size == 2 or (x.size == 1 and statistic != "sd")
        estimate = float(function(x, axis=-1)) if known else float("nan")
        return Interval(estimate, None, None, x.size, confidence, "none", "fewer than 3 values")
    if np.ptp(x) == 0:
        # Not the function's own value: a mean of equal values may differ from them by rounding.
        value = 0.0 if statistic == "sd" else float(x[0])
        return Interval(value, value, value, x.size, confidence, "point", "all values are equal")
    estimate = float(function(x, axis=-1))
    note = ""
    if method == "bca":
        bounds = bca((x,), function, rng, confidence, n_resamples)
        if bounds is not None:
            return Interval(estimate, *bounds, x.size, confidence, "bca")
        note = "BCa is undefined for this sample"
    low, high = percentile(x, function, rng, confidence, n_resamples)
    return Interval(estimate, low, high, x.size, confidence, "percentile", note)


def bca(
    samples: tuple[NDArray[np.float64], ...],
    function: Any,
    rng: np.random.Generator,
    confidence: float,
    n_resamples: int,
) -> tuple[float, float] | None:
    """Bounds of SciPy's BCa interval of ``function(*samples, axis=...)``; None where they are undefined."""
    with warnings.catch_warnings():
        # SciPy reports a degenerate BCa as NaN bounds and a warning; the NaN is what is acted on.
        warnings.simplefilter("ignore")
        # `random_state` is the name every supported SciPy knows.
        result = stats.bootstrap(
            samples,
            function,
            confidence_level=confidence,
            n_resamples=n_resamples,
            method="BCa",
            vectorized=True,
            random_state=rng,
        )
    low, high = (float(bound) for bound in result.confidence_interval)
    return (low, high) if np.isfinite([low, high]).all() else None


def percentile(
    x: NDArray[np.float64], function: _AlongAxis, rng: np.random.Generator, confidence: float, n_resamples: int
) -> tuple[float, float]:
    """Bounds of the percentile interval of ``function(x, axis=...)``."""
    resampled = function(x[rng.integers(0, x.size, (n_resamples, x.size))], axis=-1)
    return quantiles(resampled, confidence)


def quantiles(resampled: NDArray[np.float64], confidence: float) -> tuple[float, float]:
    """Quantiles of a vector of resampled statistics that leave the same share out at either end."""
    low, high = np.quantile(resampled, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def finite_vector(values: ArrayLike) -> NDArray[np.float64]:
    """Values as a float64 vector, or a ValueError if they aren't one or not all finite."""
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 1 or not np.isfinite(x).all():
        raise ValueError(f"values must be a vector of finite numbers, got shape {x.shape}")
    return x


def check_level(confidence: float) -> None:
    """Raise ValueError unless the level lies between 0 and 1."""
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, got {confidence}")
