"""The settings that a tuning study tried, each with its values over the tuning seeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.config.tuned import settings_that_matter
from bench.config.tuning import RECONSTRUCTION, TuningSettings, higher_is_better
from bench.errors import BenchError
from bench.results.labels import Spec, all_hyper
from bench.results.study import Study
from bench.results.summary import score_info
from bench.train_settings import TrainSettings, from_layout
from bench.tuning import udr

DEFAULT = "default"


@dataclass(frozen=True)
class Trial:
    """One setting of one method.

    Attributes
    ----------
    method, label : str
        Its name, and what tables call the setting.
    number : int
        0: the method's own setting; then the draws, in order.
    hyper : dict
        Every hyper-parameter.
    values : ndarray of float64, shape (n_seeds,)
        What the rule compares, by tuning seed, more is better; NaN where a run has none.
    reconstruction : ndarray of float64, shape (n_seeds,)
        Nats, likewise.
    failure : str
        Why the setting can't be chosen; empty if it can.
    runs : tuple of str
        Its runs that there are.
    """

    method: str
    label: str
    number: int
    hyper: dict[str, Any]
    values: NDArray[np.float64]
    reconstruction: NDArray[np.float64]
    failure: str
    runs: tuple[str, ...] = ()

    @property
    def setting(self) -> str:
        """Which one it is: "default", or "draw 7"."""
        return f"draw {self.number}" if self.number else DEFAULT

    @property
    def value(self) -> float:
        """Mean of the values; NaN for a setting with failed runs."""
        return float("nan") if self.failure else float(self.values.mean())

    @property
    def distortion(self) -> float:
        """Mean reconstruction; NaN for a setting with failed runs, and where none was measured."""
        return float("nan") if self.failure else float(self.reconstruction.mean())


@dataclass(frozen=True)
class Trials:
    """All settings of a tuning study.

    Attributes
    ----------
    tuning : TuningSettings
    heading : str
        Of what the rule compares.
    sign : float
        -1 if less of the score is better: `Trial.values` are then the score's negatives.
    seeds : tuple of int
    methods : dict of str to list of Trial
        In the order of the tables, the default first.
    """

    tuning: TuningSettings
    heading: str
    sign: float
    seeds: tuple[int, ...]
    methods: dict[str, list[Trial]]

    @property
    def all(self) -> list[Trial]:
        """Those of all methods."""
        return [trial for trials in self.methods.values() for trial in trials]


def is_tuning(study: Study) -> bool:
    """Whether a study tried settings."""
    return bool(study.meta.get("tuning"))


def as_asked(study: Study) -> pd.Series[bool]:
    """Which rows of `Study.runs` were trained as the study now asks for: a folder keeps those of earlier calls."""
    if "train" not in study.meta:
        return pd.Series(True, index=study.runs.index)
    asked = settings_that_matter(TrainSettings.model_validate(study.meta["train"]))

    def same(run: str) -> bool:
        own = TrainSettings.model_validate(from_layout(study.specs[run])["train"])
        # What doesn't train has no steps, whatever is asked for.
        return settings_that_matter(own) == (asked if own.steps else asked | {"steps": 0})

    return study.runs["run"].map(same).astype(bool)


def read_trials(study: Study) -> Trials:
    """Put the runs of a tuning study together by setting.

    A setting in which a run is missing, failed, diverged, never arrived at its set point or has no such score can't be
    chosen, however well its other seeds did; its budget is spent all the same. Runs that an earlier call
    left in the folder with another training count for nothing.

    Raises
    ------
    BenchError
        If it isn't a tuning study, or its folder holds runs of the same settings on several data sets.
    """
    if not is_tuning(study):
        raise BenchError(f"study '{study.name}' tried no settings: it isn't one of `bench tune`")
    tuning = TuningSettings.model_validate(study.meta["tuning"])
    values, heading, sign = _compared(study, tuning.rule)
    seeds = tuple(int(seed) for seed in study.meta["seeds"])
    table = study.runs.assign(**{"tuning.value": values.to_numpy(dtype=float)})
    if RECONSTRUCTION not in table:
        table[RECONSTRUCTION] = np.nan
    if "control.arrived" in table:
        table["control.arrived"] = table["control.arrived"].astype(object)
    known = {
        (str(row["method"]), *_key(study.specs[str(row["run"])]), int(row["seed"])): row
        for row in table[as_asked(study)].to_dict("records")
    }
    methods: dict[str, list[Trial]] = {}
    for method in sorted(tuning.trials, key=lambda name: _place(table, name)):
        for number, hyper in enumerate(tuning.trials[method]):
            rows = [known.get((method, *_key({"method": {"hyper": hyper}}), seed)) for seed in seeds]
            methods.setdefault(method, []).append(_trial(method, number, hyper, rows))
    runs = [run for each in methods.values() for trial in each for run in trial.runs]
    if len({study.specs[run]["dataset"].get("sha256") for run in runs}) > 1:
        raise BenchError(
            f"study '{study.name}' holds settings tried on several data sets: tune each under a --study of its own"
        )
    return Trials(tuning, heading, sign, seeds, methods)


def _compared(study: Study, rule: str) -> tuple[pd.Series[float], str, float]:
    """What a rule compares, run by run, more is better; its heading, and the sign that was put before it."""
    runs = study.runs
    nothing = pd.Series(np.nan, index=runs.index)
    if rule == "elbo":
        elbo = -(runs.get("final.reconstruction", nothing) + runs.get("final.kl", nothing))
        return elbo, "ELBO at the end of the training (nats)", 1.0
    if rule == "udr":
        found = udr.read(study.path)
        return runs["run"].map(found).astype(float), "UDR", 1.0
    sign = -1.0 if higher_is_better(rule) is False else 1.0
    return sign * runs.get(rule, nothing), score_info(rule).label, sign


def _trial(method: str, number: int, hyper: Mapping[str, Any], rows: list[dict[Any, Any] | None]) -> Trial:
    there = [row for row in rows if row is not None]
    failure = _failure(len(rows), there)
    values, reconstruction = (
        np.array([np.nan if row is None else row[column] for row in rows], dtype=float)
        for column in ("tuning.value", RECONSTRUCTION)
    )
    label = str(there[0]["label"]) if there else method
    runs = tuple(str(row["run"]) for row in there)
    return Trial(method, label, number, all_hyper(method, hyper), values, reconstruction, failure, runs)


def _failure(n: int, rows: list[dict[Any, Any]]) -> str:
    """The first thing that is wrong with a setting's runs."""
    faults = {
        "not run": n - len(rows),
        "failed": sum(row["status"] == "failed" for row in rows),
        "diverged": sum(row["status"] == "diverged" for row in rows),
        "never at their set point": sum(row.get("control.arrived") is False for row in rows),
        "without such a score": sum(row["status"] == "ok" and np.isnan(row["tuning.value"]) for row in rows),
    }
    return next((f"{count} of {n} runs {what}" for what, count in faults.items() if count), "")


def _key(spec: Spec) -> tuple[tuple[str, Any], ...]:
    return (tuple(sorted(spec["method"].get("hyper", {}).items())),)


def _place(table: pd.DataFrame, method: str) -> int:
    """Where a method stands in the tables; last if it has no run yet."""
    found = np.flatnonzero(table["method"] == method)
    return int(found[0]) if found.size else len(table)
