"""Which setting of a method is chosen: the order in which a rule puts them, and the bound on their reconstruction."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.config.tuning import TuningSettings, bound_asked
from bench.tuning.trials import Trial, Trials


@dataclass(frozen=True)
class Choice:
    """A method's winner.

    Attributes
    ----------
    trial : Trial
    meets_bound : bool
        False if no setting does; the winner is then the one that reconstructs best.
    """

    trial: Trial
    meets_bound: bool


def bound_of(trials: Trials) -> float:
    """The bound in nats, the same for all methods; infinite without one.

    A quantile is the least mean reconstruction that at least such a share of all settings doesn't exceed, a multiple is
    one of the least: both over the settings of all methods, without those that have failed runs, so that every
    method is asked for the same.
    """
    asked = bound_asked(trials.tuning)
    known = [trial.distortion for trial in trials.all if not math.isnan(trial.distortion)]
    if asked.kind == "nats":
        return asked.value
    if asked.kind == "none" or not known:
        return math.inf
    if asked.kind == "multiple":
        return asked.value * min(known)
    return float(np.quantile(known, asked.value, method="inverted_cdf"))


def choose(trials: Trials) -> dict[str, Choice]:
    """Each method's winner; a method none of whose settings ran well has none.

    The best mean value among the settings whose mean reconstruction is at most the bound. Of equal ones the better
    reconstruction, then the earlier one (the default, the first draw) wins. Where none meets the bound the best
    reconstruction wins, and `Choice.meets_bound` is false.
    """
    bound, found = bound_of(trials), {}
    for method, settings in trials.methods.items():
        *_, best = order(
            np.array([trial.value for trial in settings]), np.array([trial.distortion for trial in settings]), bound
        )
        trial = settings[best]
        if not trial.failure:
            found[method] = Choice(trial, meets(trial, bound))
    return found


def meets(trial: Trial, bound: float) -> bool:
    """Whether a setting may be chosen: all its runs ended well, and within the bound."""
    return not trial.failure and (math.isinf(bound) or trial.distortion <= bound)


def order(values: NDArray[np.float64], distortions: NDArray[np.float64], bound: float) -> NDArray[np.int64]:
    """Places of settings from the one that is chosen last to the one that is chosen first.

    Parameters
    ----------
    values, distortions : ndarray of float64, shape (n,)
        More is better, less is better. NaN values are settings with failed runs; without a bound NaN distortions do
        no harm.
    bound : float
        Nats; infinite without one.
    """
    within = np.isfinite(values) & (np.isinf(bound) | (distortions <= bound))
    rank = np.where(np.isnan(values), 0, np.where(within, 2, 1))
    value = np.where(within, values, 0.0)
    nearness = np.where(np.isnan(distortions), -np.inf, -distortions)
    # The last key counts most; a place further on is worse among equals.
    return np.lexsort((-np.arange(values.size), nearness, value, rank)).astype(np.int64)


def in_words(tuning: TuningSettings, bound: float, heading: str) -> str:
    """A rule as reports say it: ``"best mean MIG among settings whose mean reconstruction is at most 8.5 nats"``."""
    asked = bound_asked(tuning)
    rule = f"best mean {heading}"
    if asked.kind == "none" or math.isinf(bound):
        return rule
    origin = {
        "nats": "",
        "quantile": f" (of all settings of all methods {100 * asked.value:g} % reconstruct as well)",
        "multiple": f" ({asked.value:g} times the least of all settings)",
    }
    return f"{rule} among settings whose mean reconstruction is at most {bound:.3g} nats{origin[asked.kind]}"


def mean_values(trials: Sequence[Trial]) -> NDArray[np.float64]:
    """The means that a rule compares; NaN for settings with failed runs."""
    return np.array([trial.value for trial in trials])
