"""Training curves: reconstruction, KL, set point and beta."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, FuncFormatter, NullFormatter

from bench.aggregate import Study, read_curves
from bench.figures._style import (
    DOUBLE,
    GREY,
    Look,
    legend_below,
    looks,
    new_figure,
    per_dataset,
    runs_of,
    shown,
)
from bench.registry import FIGURES

#: Share of the steps that the axis of the reconstruction leaves out of its range: the fall from the start is
#: a hundred times the differences the panel is there to show.
BURN_IN = 0.25

#: A ratio of the largest to the smallest beta above which the axis is logarithmic.
LOG_ABOVE = 20.0


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
    stacks = {label: _stack(study, dataset, label) for label in shown(study, dataset)}
    stacks = {label: stack for label, stack in stacks.items() if not stack.empty}
    if not stacks:
        return None
    rows = -(-(len(stacks) + 1) // 4)
    figure = new_figure(DOUBLE, 4.1 + 0.16 * rows)
    panels = figure.subplots(2, 2, sharex=True)
    titles = {
        "reconstruction": "Reconstruction (nats/image)",
        "kl": "KL (nats)",
        "error": "Set point minus KL (nats)",
        "beta": "beta, the weight on the KL",
    }
    for (column, title), axes in zip(titles.items(), panels.flat, strict=True):
        for label, stack in stacks.items():
            _line(axes, stack, column, look[label])
        axes.set_ylabel(title)
    for label, stack in stacks.items():
        target = stack.groupby("step")["set_point"].mean().dropna()
        panels[0, 1].plot(target.index, target, color=look[label].colour, linestyle=(0, (1, 1.5)), linewidth=1)
    _limits(panels[0, 0], stacks)
    _error_axis(panels[1, 0], stacks)
    _beta_axis(panels[1, 1], stacks)
    for axes in panels[1]:
        axes.set_xlabel("Steps")
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    handles = [Line2D([], [], label=label, **look[label].line) for label in stacks]
    if any(stack["set_point"].notna().any() for stack in stacks.values()):
        handles.append(Line2D([], [], color=GREY, linestyle=(0, (1, 1.5)), linewidth=1, label="set point"))
    legend_below(figure, handles, 4)
    return figure


def _stack(study: Study, dataset: str, label: str) -> pd.DataFrame:
    """Curves of all seeds, one below the other."""
    frames = [read_curves(study, run) for run in runs_of(study, dataset, label)["run"]]
    stack = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
    return stack if stack.empty else stack.assign(error=stack["set_point"] - stack["kl"])


def _line(axes: Axes, stack: pd.DataFrame, column: str, look: Look) -> None:
    groups = stack.groupby("step")[column]
    table = groups.agg(["mean", "std", "min", "max"]).dropna(subset="mean")
    axes.plot(table.index, table["mean"], **look.line)
    # No further than the seeds reach: a weight near zero has no negative part of its band.
    low = (table["mean"] - table["std"].fillna(0)).clip(lower=table["min"])
    high = (table["mean"] + table["std"].fillna(0)).clip(upper=table["max"])
    axes.fill_between(table.index, low, high, color=look.colour, alpha=0.18, linewidth=0)


def _limits(axes: Axes, stacks: dict[str, pd.DataFrame]) -> None:
    late = pd.concat([s[s["step"] > BURN_IN * s["step"].max()] for s in stacks.values()])["reconstruction"]
    if late.empty:
        return
    low, high = float(late.min()), float(late.max())
    margin = 0.05 * (high - low) or 1.0
    axes.set_ylim(max(low - margin, min(0.0, low)), high + margin)


def _error_axis(axes: Axes, stacks: dict[str, pd.DataFrame]) -> None:
    axes.axhline(0, color=GREY, linewidth=0.8, zorder=1)
    if not any(stack["error"].notna().any() for stack in stacks.values()):
        axes.text(0.5, 0.6, "no method with a set point", transform=axes.transAxes, ha="center", color=GREY)
        axes.set_ylim(-1, 1)
        axes.set_yticks([])


def _beta_axis(axes: Axes, stacks: dict[str, pd.DataFrame]) -> None:
    values = np.concatenate([stack["beta"].to_numpy() for stack in stacks.values()])
    values = values[np.isfinite(values)]
    # AnnealedVAE's weight changes its sign; a logarithm can't show that.
    if values.size and values.min() > 0 and values.max() > LOG_ABOVE * values.min():
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
