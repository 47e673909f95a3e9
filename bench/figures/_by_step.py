"""Panels of scores during training, one per method."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter

from bench.figures.axes import DOUBLE, band, legend_below, literal, new_figure, runs_of, shown, wrapped
from bench.figures.palette import CYCLE
from bench.results.curves import read_scores_by_step
from bench.results.study import Study

ACROSS = 3


def stacks(study: Study, dataset: str) -> dict[str, pd.DataFrame]:
    """Scores during training of all seeds of each configuration, for those that have any."""
    out = {}
    for label in shown(study, dataset):
        frames = [read_scores_by_step(study, run) for run in runs_of(study, dataset, label)["run"]]
        kept = [frame for frame in frames if len(frame) > 1]
        if kept:
            out[label] = pd.concat(kept, ignore_index=True)
    return out


def draw(
    tables: dict[str, pd.DataFrame],
    lines: Sequence[tuple[str, str]],
    ylabel: str,
    limits: tuple[float, float] | None = None,
) -> Figure:
    """Draw a panel per table with a line per column: mean over seeds and their range.

    Parameters
    ----------
    tables : dict of str to DataFrame
        Title to rows with ``step``.
    lines : sequence of (str, str)
        Column and what the legend says of it, eight at most; columns that a table lacks are left out of its panel.
    ylabel : str
    limits : tuple of float, optional
        Of the y axis, which all panels share.
    """
    columns = min(ACROSS, len(tables))
    rows = -(-len(tables) // columns)
    figure = new_figure(
        max(3.4, 0.8 + columns * (DOUBLE - 0.8) / ACROSS), 0.5 + 0.16 * -(-len(lines) // 4) + 1.75 * rows
    )
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for axes in grid.flat[len(tables) :]:
        axes.set_visible(False)
    for index, (axes, (title, table)) in enumerate(zip(grid.flat, tables.items(), strict=False)):
        for (column, _), (colour, dashes) in zip(lines, CYCLE, strict=False):
            if column in table and table[column].notna().any():
                band(axes, table, column, colour, spread="range", dashes=dashes)
        axes.set_title(wrapped(title, 34))
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        if index + columns >= len(tables):
            axes.tick_params(labelbottom=True)
            axes.set_xlabel("Steps")
        if index % columns == 0:
            axes.set_ylabel(literal(ylabel))
    if limits:
        grid[0, 0].set_ylim(limits)
    pairs = zip(lines, CYCLE, strict=False)
    looks: list[dict[str, Any]] = [{"label": name, "color": c, "linestyle": dashes} for (_, name), (c, dashes) in pairs]
    handles = [Line2D([], [], **look) for look in looks]
    legend_below(figure, handles, min(4, len(handles)))
    return figure
