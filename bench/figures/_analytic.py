"""What the figures of linear-Gaussian data share: their runs, and axes of beta and of the signal-to-noise ratio."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter

from bench.analytic.cases import case
from bench.analytic.model import Floats
from bench.figures.palette import GREY, Dashes
from bench.results.study import Study

DATASET = "linear_gaussian"
#: Methods whose posterior has a diagonal or a free covariance.
DIAGONAL, FULL = "beta_vae", "full_covariance_vae"
#: Colour, dashes and marker of the curves of one panel.
LOOKS: tuple[tuple[str, Dashes, str], ...] = (
    ("#0072B2", "solid", "s"),
    ("#D55E00", (0, (5, 1.5)), "o"),
    ("#000000", (0, (1, 1)), "^"),
    ("#009E73", (0, (5, 1.5, 1, 1.5)), "D"),
    ("#CC79A7", (0, (3, 1, 1, 1, 1, 1)), "v"),
    ("#8C564B", (0, (7, 2)), "P"),
)
#: Lines that mark a value.
MARK: dict[str, Any] = {"color": GREY, "linewidth": 0.8, "zorder": 1}


def applies(study: Study) -> bool:
    """Whether a run of the study on linear-Gaussian data ended well."""
    runs = study.runs
    return bool(((runs["dataset"] == DATASET) & (runs["status"] == "ok")).any())


def runs_of_case(study: Study, name: str, method: str) -> pd.DataFrame:
    """Runs of a method that ended well on a reference case, with its decoder and Gaussian factors."""
    runs = study.runs[(study.runs["dataset"] == DATASET) & (study.runs["status"] == "ok")]
    wanted = {"case": name, "law": "gaussian", "decoder": case(name).decoder}
    options = [study.specs[run]["dataset"].get("options", {}) for run in runs["run"]]
    fits = [all(found.get(key, value) == value for key, value in wanted.items()) for found in options]
    named = [found.get("case") == name for found in options]
    chosen: pd.DataFrame = runs[np.array(fits, bool) & np.array(named, bool) & (runs["method"] == method).to_numpy()]
    return chosen


def over_beta(study: Study, name: str, method: str, column: str) -> pd.DataFrame:
    """Mean and standard deviation (0 for one seed) over seeds of a score, by beta; empty where there is none."""
    runs = runs_of_case(study, name, method)
    if column not in runs or "hyper.beta" not in runs:
        return pd.DataFrame(columns=["mean", "std"])
    table = runs.groupby(runs["hyper.beta"].astype(float))[column].agg(["mean", "std"]).dropna(subset="mean")
    return table.fillna({"std": 0.0})


def markers(axes: Axes, table: pd.DataFrame, colour: str, marker: str) -> None:
    """Draw the means with their standard deviations."""
    axes.errorbar(
        table.index, table["mean"], yerr=table["std"], fmt=marker, color=colour, markersize=4,
        markerfacecolor="white", markeredgewidth=0.9, elinewidth=0.9, capsize=2, zorder=4,
    )  # fmt: skip


def line(colour: str, dashes: Any, marker: str, label: str) -> Line2D:
    """Make a legend's entry for a curve and the runs on it."""
    return Line2D(
        [], [], color=colour, linestyle=dashes, marker=marker, markersize=4, markerfacecolor="white", label=label
    )


def log_axis(axes: Axes, low: float, high: float, *, label: str, steps: Iterable[float] = (1.0, 2.0, 5.0)) -> None:
    """Make x logarithmic from `low` to `high`, with plain numbers."""
    powers = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.xaxis.set_major_locator(FixedLocator([step * 10.0**power for power in powers for step in steps]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(label)


def betas(low: float, high: float, *extra: float, n: int = 200) -> Floats:
    """Points of a curve over log beta, with those in `extra` among them."""
    return np.unique(np.concatenate([np.geomspace(low, high, n), np.array(extra, dtype=np.float64)]))
