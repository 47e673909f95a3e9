"""How much a method's score depends on each of its hyper-parameters, from the draws of a tuning study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.registry import METHODS
from bench.stats import Interval, spearman
from bench.tunable import Choice
from bench.tuning.trials import Trial, Trials


@dataclass(frozen=True)
class Sensitivity:
    """One hyper-parameter of one method.

    Attributes
    ----------
    method, key : str
    log : bool
        Whether its range is logarithmic.
    values : tuple
        Its value in each draw all of whose runs ended well, and of a choice the place among its values, in `places`.
    places : ndarray of float64, shape (n,)
    names : tuple of str
        Of a choice: what stands at the places 0, 1, ...; else empty.
    draws : tuple of Trial
    score, reconstruction : Interval
        Rank correlation with the score, in the score's own direction, and with the mean reconstruction. Draws of
        several hyper-parameters vary all at once, so the others are the noise here.
    """

    method: str
    key: str
    log: bool
    places: NDArray[np.float64]
    names: tuple[str, ...]
    draws: tuple[Trial, ...]
    score: Interval
    reconstruction: Interval


def sensitivities(trials: Trials) -> list[Sensitivity]:
    """Every hyper-parameter that was drawn, of every method, in order."""
    return [
        _one(trials, method, key, draws)
        for method, (_, *draws) in trials.methods.items()
        for key in _drawn(method, draws)
    ]


def _drawn(method: str, draws: Sequence[Trial]) -> list[str]:
    """Hyper-parameters that have several values and were worth tuning, as far as the method is known here."""
    keys = [key for key in (draws[0].hyper if draws else {}) if len({str(draw.hyper.get(key)) for draw in draws}) > 1]
    declared = METHODS.get(method).info.tuning if method in METHODS else {}
    # What follows from a drawn one isn't another: the step between set points, from their end.
    return [key for key in declared if key in keys] or keys


def _one(trials: Trials, method: str, key: str, draws: Sequence[Trial]) -> Sensitivity:
    known = tuple(draw for draw in draws if not draw.failure)
    declared: Any = METHODS.get(method).info.tuning.get(key) if method in METHODS else None
    raw = [draw.hyper.get(key) for draw in known]
    names: tuple[str, ...] = ()
    if isinstance(declared, Choice) or any(isinstance(value, str) for value in raw):
        names = tuple(dict.fromkeys(map(str, declared.values if isinstance(declared, Choice) else raw)))
        # What a method makes of a choice may be spelt otherwise in its runs.
        names += tuple(dict.fromkeys(str(value) for value in raw if str(value) not in names))
        places = np.array([float(names.index(str(value))) for value in raw])
    else:
        places = np.array([float(value) for value in raw if value is not None])
    scores = np.array([trials.sign * draw.value for draw in known])
    return Sensitivity(
        method=method,
        key=key,
        log=getattr(declared, "scale", "linear") == "log" and bool((places > 0).all()),
        places=places,
        names=names,
        draws=known,
        score=_correlation(places, scores),
        reconstruction=_correlation(places, np.array([draw.distortion for draw in known])),
    )


def _correlation(x: NDArray[np.float64], y: NDArray[np.float64]) -> Interval:
    both = np.isfinite(y)
    return spearman(x[both], y[both])
