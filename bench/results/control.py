"""How well the controller of a run did: the record ``control`` in ``result.json``, made from the run's curves.

A method steers if its curves have a set point. Its file names, in `bench.method.Method.steering`, the
hyper-parameters at which its weight and its set point end.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.registry import METHODS
from bench.results.labels import all_hyper
from bench.training.log import end_of

Floats = NDArray[np.float64]
Record = dict[str, float | int | bool | None]

#: How close to the set point a KL is said to have arrived, nats.
BAND = 0.1
#: Curves have seven digits.
DIGITS = 1e-6
#: What a record says, in order, and the type of its column in `bench.results.study.Study.runs`.
COLUMNS = {
    "control.arrived": "boolean",
    "control.latched": "boolean",
    "control.arrival_step": "Int64",
    "control.mean_error": "float64",
    "control.rms_error": "float64",
    "control.overshoot": "float64",
    "control.floor_share": "float64",
    "control.ceiling_share": "float64",
}


def controller_record(
    curves: pd.DataFrame, *, floor: float | None = None, ceiling: float | None = None, end: float | None = None
) -> Record | None:
    """Summarise how a controller did.

    Rows of the curves are means over the interval between two logged steps. Swings that are shorter than an interval
    aren't in them, nor is the order of steps within one: a weight that touches its floor between two logged steps isn't
    at its floor here. The smoothed error is the mean over the last 5 % of all rows up to and including each one, so
    that swings much shorter than that are damped, and an arrival may be told up to 5 % of the training late.

    Parameters
    ----------
    curves : DataFrame
        ``step``, ``kl``, ``beta`` and ``set_point`` of one run, as ``curves.csv`` has them.
    floor, ceiling : float, optional
        Limits of the weight.
    end : float, optional
        Set point with which the schedule ends, nats; by default the last one of the curves.

    Returns
    -------
    dict or None
        None where there is no set point at the end, or no KL. Else, error being KL minus set point, row by row:

        ``arrived``
            Whether the smoothed error of the last row is within `BAND` and the set point has its end value there.
        ``latched``
            Whether the weight stood at a limit through the last 5 % of the rows while the mean error there had the
            sign that should have moved it away: at the floor with the KL above the set point, at the ceiling below it.
        ``arrival_step``
            First logged step from which on the set point has its end value and the smoothed error stays within
            `BAND`; None if it never does.
        ``mean_error``, ``rms_error``
            Mean and root mean square of the error over the last 5 % of the rows, nats.
        ``overshoot``
            Largest smoothed error from the step on at which the set point had its end value, nats; 0 if the KL stayed
            below, None if the set point never got there.
        ``floor_share``, ``ceiling_share``
            Share of the last 5 % of the rows with the weight wholly at the limit; None where there is none.

    Examples
    --------
    >>> rows = {"step": [10, 20, 30], "kl": [1.0, 3.0, 5.0], "beta": [2.0, 0.1, 0.1], "set_point": [1.0, 2.0, 2.0]}
    >>> record = controller_record(pd.DataFrame(rows), floor=0.1)
    >>> record["latched"], record["arrived"], record["mean_error"]
    (True, False, 3.0)
    """
    if not len(curves):
        return None
    kl, beta, target = (curves[name].to_numpy(dtype=float) for name in ("kl", "beta", "set_point"))
    error, last = kl - target, end_of(len(curves))
    if not np.isfinite(error[last]).all():
        return None
    smoothed = _trailing_mean(error, len(error[last]))
    goal = float(target[-1]) if end is None else end
    ended = int(np.argmax(stands)) if (stands := target >= goal * (1 - DIGITS))[-1] else len(target)
    outside = np.flatnonzero(~(np.abs(smoothed[ended:]) <= BAND))
    arrival = ended + (int(outside[-1]) + 1 if len(outside) else 0)
    arrived = arrival < len(target)
    mean = float(error[last].mean())
    shares = limit_share(beta, floor), limit_share(-beta, None if ceiling is None else -ceiling)
    return {
        "arrived": arrived,
        "latched": (shares[0] == 1 and mean > 0) or (shares[1] == 1 and mean < 0),
        "arrival_step": int(curves["step"].iloc[arrival]) if arrived else None,
        "mean_error": mean,
        "rms_error": rms(error[last]),
        "overshoot": max(float(smoothed[ended:].max()), 0.0) if ended < len(target) else None,
        "floor_share": shares[0],
        "ceiling_share": shares[1],
    }


def limit_share(weight: Floats, floor: float | None) -> float | None:
    """Share of the last 5 % of logged intervals that a weight spent wholly at its floor; None without one.

    A weight's ceiling is the floor of its negative.
    """
    tail = weight[end_of(len(weight))]
    return None if floor is None or not len(tail) else float((tail <= floor + abs(floor) * DIGITS).mean())


def rms(error: Floats) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(np.square(error))))


def limits(method: str, hyper: Mapping[str, Any]) -> dict[str, float | None]:
    """Keywords of `controller_record` for a run; of a method that isn't loaded nothing is known."""
    if method not in METHODS or (steering := METHODS.get(method).value.steering) is None:
        return {}
    names = {"floor": steering.floor, "ceiling": steering.ceiling, "end": steering.set_point}
    whole = all_hyper(method, hyper)
    return {key: float(whole[name]) for key, name in names.items() if name}


def record(file: Path, method: str, hyper: Mapping[str, Any]) -> Record | None:
    """How the controller of a run did, from its ``curves.csv``; None where nothing is steered."""
    return controller_record(pd.read_csv(file, dtype=float), **limits(method, hyper))


def columns(result: Mapping[str, Any]) -> dict[str, float | int | bool | None]:
    """Columns of the table of runs, from ``result.json``; none if it has no record."""
    found = result.get("control") or {}
    return {column: found.get(column.partition(".")[2]) for column in COLUMNS if found}


def _trailing_mean(values: Floats, window: int) -> Floats:
    return pd.Series(values).rolling(window, min_periods=1).mean().to_numpy()
