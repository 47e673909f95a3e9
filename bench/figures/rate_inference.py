"""The same curve for every way of choosing beta: inference against the rate, and the beta that a set point selects."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.analytic import oracle
from bench.analytic.cases import case
from bench.figures._analytic import DIAGONAL, applies, line, runs_of_case
from bench.figures.axes import DOUBLE, legend_below, new_figure
from bench.figures.palette import GREY, method_look
from bench.registry import FIGURES, METHODS
from bench.results.labels import printed_name
from bench.results.study import Study

LOW, HIGH = 0.3, 100.0
CONTROLLERS = ("control_vae", "dynamic_vae")


@FIGURES.register("rate_inference", version=1, order=27)
def rate_inference(study: Study) -> Figure | None:
    """E log q(s|x) against the KL (left), and the beta at the end against the set point C (right); case S1.

    The line is the closed form for the true decoder: the KL falls strictly in beta, so that a set point selects one
    beta, and methods that differ only in how beta is chosen end on one curve. Markers are means over seeds with
    standard deviations; on the right those of the last 5 % of the training.

    Parameters
    ----------
    study : Study
        Stored runs; there is no figure without linear-Gaussian data, or without a method that has a set point there.

    Returns
    -------
    Figure or None
    """
    if not applies(study):
        return None
    found = {method: runs_of_case(study, "S1", method) for method in (DIAGONAL, *CONTROLLERS)}
    if all(found[method].empty for method in CONTROLLERS):
        return None
    model, at = case("S1").model, np.geomspace(LOW, HIGH, 200)
    figure = new_figure(DOUBLE, 3.0)
    left, right = figure.subplots(1, 2)
    rates = oracle.rate(model, at)
    left.plot(rates, oracle.log_q(model, at), color=GREY)
    right.plot(rates, at, color=GREY)
    handles = [line(GREY, "solid", "", "closed form")]
    for method, runs in found.items():
        colour, marker = method_look(method)
        # Two controllers end on one point: a smaller marker on a larger one keeps both visible.
        size = 7.0 if method == "control_vae" else 4.0
        drawn = [_points(left, runs, "rate", "log_q", colour, marker, size)]
        if method in CONTROLLERS:
            drawn.append(_points(right, runs, "hyper.set_point", "final.beta", colour, marker, size))
        if any(drawn):
            handles.append(line(colour, "none", marker, printed_name(METHODS, method)))
    left.set(xlabel="KL (nats)", ylabel="E log q(s|x) (nats)  ↑ better", xlim=(0, 4), ylim=(-4.2, -1))
    right.set(xlabel="set point C (nats)", ylabel="beta at the end", yscale="log", xlim=(0.5, 3.5), ylim=(0.3, 10))
    right.set_yticks([0.5, 1, 2, 5, 10], ["0.5", "1", "2", "5", "10"])
    legend_below(figure, handles, 4)
    return figure


def _points(axes: Axes, runs: pd.DataFrame, x: str, y: str, colour: str, marker: str, size: float) -> bool:
    """Draw a marker per configuration, and say whether there is one."""
    if runs.empty or not {x, y} <= set(runs.columns):
        return False
    table = (
        runs.astype({x: float, y: float})
        .groupby("config")[[x, y]]
        .agg(["mean", "std"])
        .dropna(subset=[(x, "mean"), (y, "mean")])
        .fillna(0.0)
    )
    axes.errorbar(
        table[x, "mean"], table[y, "mean"], xerr=table[x, "std"], yerr=table[y, "std"], fmt=marker, color=colour,
        markersize=size, markerfacecolor="white", markeredgewidth=0.9, elinewidth=0.9, capsize=2, zorder=4,
    )  # fmt: skip
    return not table.empty
