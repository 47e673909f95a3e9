"""What claims measure: score columns, means over the end of the curves, functions of the curves, and of scores by step.

Curves are means over the interval between two logged steps (100 steps at ``quick`` and ``standard``): what happens
from one step to the next isn't in them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from bench.registry import METRICS
from bench.results import control

#: A run's row of `bench.results.study.Study.runs`, which has every name in `FINALS` if the run ended well.
Run = Mapping[str, Any]

#: Gives a table of a run, or None where there is none.
Table = Callable[[], pd.DataFrame | None]
#: Fewer scores during training say nothing about what it does to them.
LEAST_SCORED = 3

FINALS = ("final.reconstruction", "final.kl", "final.beta", "final.set_point")


def kl_overshoot(run: Run, curves: pd.DataFrame) -> float:
    """Largest excess of the KL over the set point in the first sixth of the steps, nats; 0 if it stays below.

    The sixth is 50,000 of the 300,000 steps of ``standard``.
    """
    early = _error(curves[curves["step"] <= run["steps"] / 6])
    return max(float(early.max()), 0.0) if len(early) else math.nan


def tracking_error(run: Run, curves: pd.DataFrame) -> float:
    """Root mean square of KL minus set point over the whole training, nats."""
    return _rms(_error(curves))


def late_tracking_error(run: Run, curves: pd.DataFrame) -> float:
    """Root mean square of KL minus set point over the last quarter of the training, nats."""
    return _rms(_error(_late(run, curves)))


def set_point_error(run: Run) -> float:
    """Distance of the mean KL over the last 5 % from the set point there, nats: the size of ``control.mean_error``."""
    return abs(_number(run, "final.kl") - _number(run, "final.set_point"))


def floor_share(run: Run, curves: pd.DataFrame) -> float:
    """Share of the last 5 % of the logged intervals that beta spent wholly at its floor ``beta_min``."""
    floor = _number(run, "hyper.beta_min")
    share = control.limit_share(curves["beta"].to_numpy(), None if math.isnan(floor) else floor)
    return math.nan if share is None else share


def reconstruction_at_set_point(run: Run) -> float:
    """Reconstruction at the end of the training, moved to the set point along the objective's own slope, nats.

    ``R + beta (KL - C)`` with means over the last 5 %, on training batches and sampled codes. Where ``R + beta KL``
    is stationary dR/dKL is -beta, so that runs which end a little beside C are compared as if they had met it.
    """
    reconstruction, kl, beta, set_point = (_number(run, name) for name in FINALS)
    return reconstruction + beta * (kl - set_point)


def latents_one_by_one(run: Run, curves: pd.DataFrame, threshold: float = 0.1) -> float:
    """Number of steps of the set point at which latents rose above `threshold` nats for good.

    Latents that rise at the same step count once; one that was never below the threshold doesn't count.
    """
    columns = [name for name in curves.columns if str(name).startswith("kl_")]
    height = run.get("hyper.set_point_step", math.nan)
    if not columns or curves["set_point"].isna().all() or not height > 0:
        return math.nan
    at = np.round(curves["set_point"].to_numpy() / height)
    last_low = [np.flatnonzero(curves[name].to_numpy() <= threshold)[-1:] for name in columns]
    return float(len({at[low[0] + 1] for low in last_low if len(low) and low[0] + 1 < len(curves)}))


def information_minus_kl(run: Run) -> float:
    """Estimated mutual information of images and codes minus the KL, nats."""
    return _number(run, "elbo_index_code_mi") - _number(run, "kl")


def mig_since_start(run: Run, scores: pd.DataFrame, curves: pd.DataFrame) -> float:
    """MIG at the end minus its highest value during the training, 0 at most."""
    return _since(run, scores, first=0)


def mig_since_arrival(run: Run, scores: pd.DataFrame, curves: pd.DataFrame) -> float:
    """MIG at the end minus its highest value from the step on at which the set point stays as it is, 0 at most.

    The schedule's arrival, not the KL's: the bottleneck is as open as it gets.
    """
    steps, points = curves["step"], curves["set_point"]
    # Curves have seven digits.
    arrived = steps[points >= points.max() * (1 - 1e-6)]
    return _since(run, scores, first=float(arrived.iloc[0])) if len(arrived) else math.nan


def mig_range_late(run: Run, scores: pd.DataFrame, curves: pd.DataFrame) -> float:
    """Highest minus lowest MIG over the second half of the training."""
    late = _of_steps(run, scores, "mig", run["steps"] / 2)
    return float(late.max() - late.min()) if len(late) >= LEAST_SCORED else math.nan


def _since(run: Run, scores: pd.DataFrame, first: float) -> float:
    mig = _of_steps(run, scores, "mig", first)
    return float(mig.iloc[-1] - mig.max()) if len(mig) >= LEAST_SCORED else math.nan


def _of_steps(run: Run, scores: pd.DataFrame, name: str, first: float) -> pd.Series:
    """A score from a step on, if the last one taken is that at the end; else none."""
    if name not in scores or scores["step"].iloc[-1] != run["steps"]:
        return pd.Series(dtype=float)
    of: pd.Series = scores.loc[scores["step"] >= first, name].dropna()
    return of if len(of) and of.index[-1] == scores.index[-1] else pd.Series(dtype=float)


def _named(*functions: Callable[..., float]) -> Mapping[str, Callable[..., float]]:
    return MappingProxyType({function.__name__: function for function in functions})


OF_RUNS = _named(set_point_error, reconstruction_at_set_point, information_minus_kl)
OF_CURVES = _named(kl_overshoot, tracking_error, late_tracking_error, floor_share, latents_one_by_one)
OF_SCORES = _named(mig_since_start, mig_since_arrival, mig_range_late)


def known_measures() -> list[str]:
    """Everything a claim may measure, by name."""
    return [*OF_RUNS, *OF_CURVES, *OF_SCORES, *FINALS, *(column for entry in METRICS for column in entry.info.scores)]


def measure(name: str, run: Run, curves: Table, scores: Table = lambda: None) -> float:
    """Value of a measure for one run; NaN where the run has none.

    Parameters
    ----------
    name : str
        One of `known_measures`.
    run : mapping
        The run's row.
    curves : callable
        Gives the run's curves, or None if they weren't kept; called only by measures that are functions of them.
    scores : callable
        Gives the run's scores by step, or None if it was scored at the end only; likewise.
    """
    if name in OF_RUNS:
        return OF_RUNS[name](run)
    if name in OF_SCORES:
        scored, table = scores(), curves()
        return math.nan if scored is None or table is None else OF_SCORES[name](run, scored, table)
    if name not in OF_CURVES:
        return _number(run, name)
    table = curves()
    return math.nan if table is None else OF_CURVES[name](run, table)


def _number(run: Run, name: str) -> float:
    value = run.get(name)
    return math.nan if value is None else float(value)


def _late(run: Run, curves: pd.DataFrame) -> pd.DataFrame:
    late: pd.DataFrame = curves[curves["step"] > 0.75 * run["steps"]]
    return late


def _error(curves: pd.DataFrame) -> pd.Series:
    return (curves["kl"] - curves["set_point"]).dropna()


def _rms(error: pd.Series) -> float:
    return control.rms(error.to_numpy()) if len(error) else math.nan
