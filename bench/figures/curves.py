"""Training curves: reconstruction, KL, set point and beta."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter

from bench.figures.axes import (
    DOUBLE,
    band,
    beta_axis,
    curves_of,
    late_limits,
    legend_below,
    new_figure,
    per_dataset,
    shown,
)
from bench.figures.palette import GREY, looks
from bench.registry import FIGURES
from bench.results.likelihood import reconstruction_term
from bench.results.study import Study


@FIGURES.register("curves", version=1, order=3)
def curves(study: Study) -> Figure | dict[str, Figure]:
    """Training curves: mean over seeds, with a band of one standard deviation, on training batches.

    Four panels against steps: reconstruction, KL, the KL's distance from the set point (methods that have
    one), and beta. Dotted lines in the KL panel are set points.

    Parameters
    ----------
    study : Study
        Stored runs; those that ended well are drawn.

    Returns
    -------
    Figure or dict of str to Figure
        One per data set.
    """
    return per_dataset(study, _draw)


def _draw(study: Study, dataset: str) -> Figure | None:
    look = looks(study)
    stacks = {label: curves_of(study, dataset, label) for label in shown(study, dataset)}
    stacks = {
        label: stack.assign(error=stack["set_point"] - stack["kl"]) for label, stack in stacks.items() if len(stack)
    }
    if not stacks:
        return None
    rows = -(-(len(stacks) + 1) // 4)
    figure = new_figure(DOUBLE, 4.1 + 0.16 * rows)
    panels = figure.subplots(2, 2, sharex=True)
    titles = {
        "reconstruction": reconstruction_term(study, dataset),
        "kl": "KL (nats)",
        "error": "Set point minus KL (nats)",
        "beta": "beta (weight on the KL)",
    }
    for (column, title), axes in zip(titles.items(), panels.flat, strict=True):
        for label, stack in stacks.items():
            band(axes, stack, column, look[label].colour, spread="sd", dashes=look[label].dashes)
        axes.set_ylabel(title)
    for label, stack in stacks.items():
        target = stack.groupby("step")["set_point"].mean().dropna()
        panels[0, 1].plot(target.index, target, color=look[label].colour, linestyle=(0, (1, 1.5)), linewidth=1)
    late_limits(panels[0, 0], stacks.values())
    _error_axis(panels[1, 0], stacks)
    beta_axis(panels[1, 1], stacks.values())
    for axes in panels[1]:
        axes.set_xlabel("Steps")
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    handles = [Line2D([], [], label=label, **look[label].line) for label in stacks]
    if any(stack["set_point"].notna().any() for stack in stacks.values()):
        handles.append(Line2D([], [], color=GREY, linestyle=(0, (1, 1.5)), linewidth=1, label="set point"))
    legend_below(figure, handles, 4)
    return figure


def _error_axis(axes: Axes, stacks: dict[str, pd.DataFrame]) -> None:
    axes.axhline(0, color=GREY, linewidth=0.8, zorder=1)
    if not any(stack["error"].notna().any() for stack in stacks.values()):
        axes.text(0.5, 0.6, "no method with a set point", transform=axes.transAxes, ha="center", color=GREY)
        axes.set_ylim(-1, 1)
        axes.set_yticks([])
