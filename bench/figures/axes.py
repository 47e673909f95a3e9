"""What all figures share: sizes, colours, markers, and the layout of legends.

A method looks the same in every figure of every study: its colour, marker and line style hang on its name
alone. Figures are made with Matplotlib's objects, never with pyplot's global state.
"""

from __future__ import annotations

import hashlib
import math
import re
import textwrap
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Literal, TypeVar

import matplotlib.style
import numpy as np
import pandas as pd
import seaborn
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from bench.figures.palette import Dashes
from bench.formatting import escape_mathtext, escape_terminal
from bench.results.curves import read_curves
from bench.results.labels import CONTROL
from bench.results.study import Study

T = TypeVar("T")


#: Widths of a column and of a page, inches.
SINGLE, DOUBLE = 3.4, 7.0


RC: dict[str, Any] = {
    **seaborn.plotting_context("paper", font_scale=8 / 9.6),  # text of 8 points at the width of a column
    "font.family": "DejaVu Sans",  # ships with Matplotlib, so every machine has it
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.5,
    "axes.axisbelow": True,
    "pdf.fonttype": 42,
    "ps.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "disbench",
}


#: Share of the steps that the axis of the reconstruction leaves out of its range: the fall from the start is
#: a hundred times the differences the panel is there to show.
BURN_IN = 0.25


#: A ratio of the largest to the smallest beta above which its axis is logarithmic.
LOG_ABOVE = 20.0


#: More configurations than this are too many for a panel or a line each.
MOST = 10


def style() -> AbstractContextManager[None]:
    """Return a context with Matplotlib's defaults and our changes, whatever the user's own settings are."""
    return matplotlib.style.context(["default", RC])


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure (inches) with constrained layout and an Agg canvas."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    engine = figure.get_layout_engine()
    if isinstance(engine, ConstrainedLayoutEngine):
        engine.set(w_pad=0.06, h_pad=0.05)
    return figure


def slug(text: str) -> str:
    """Reduce a label to what is safe in a file name; different labels stay different."""
    short = re.sub(r"[^A-Za-z0-9.]+", "-", text).strip("-.").lower()
    if short == text.lower():
        return short
    return f"{short}-{hashlib.sha256(text.encode()).hexdigest()[:4]}"


def per_dataset(study: Study, draw: Callable[[Study, str], T | Mapping[str, T] | None]) -> T | dict[str, T]:
    """Draw once per data set: one figure, or several by the data set's slug (and the page's name), or none."""
    out: dict[str, T] = {}
    alone = len(study.datasets) == 1
    for dataset in study.datasets:
        drawn = draw(study, dataset)
        if isinstance(drawn, Mapping):
            out |= {page if alone else f"{slug(dataset)}_{page}": figure for page, figure in drawn.items()}
        elif drawn is not None and alone:
            return drawn
        elif drawn is not None:
            out[slug(dataset)] = drawn
    return out


def trained(study: Study, dataset: str) -> list[str]:
    """Labels of the methods of a data set with at least one run that ended well, without the control."""
    runs = study.runs
    chosen = runs[(runs["dataset_label"] == dataset) & (runs["status"] == "ok") & (runs["method"] != CONTROL)]
    return list(dict.fromkeys(chosen["label"]))


def shown(study: Study, dataset: str) -> list[str]:
    """Trained configurations, or of more than `MOST` only the first of each method: for figures with a panel each."""
    labels = trained(study, dataset)
    if len(labels) <= MOST:
        return labels
    runs = study.runs[study.runs["dataset_label"] == dataset]
    method = dict(zip(runs["label"], runs["method"], strict=True))
    return list({method[label]: label for label in reversed(labels)}.values())[::-1]


def literal(text: str) -> str:
    """A name from outside (of a method, a data set, a factor) as it is, whatever Matplotlib would make of it."""
    return escape_mathtext(escape_terminal(text))


def wrapped(text: str, width: int = 32) -> str:
    """A label from outside, see `literal`, on several lines if it is long."""
    return "\n".join(textwrap.wrap(literal(text), width, break_long_words=False))


def runs_of(study: Study, dataset: str, label: str) -> pd.DataFrame:
    """Select the runs of a configuration that ended well, lowest seed first."""
    found = study.ended_well.get((dataset, label))
    return study.runs[:0] if found is None else found


def curves_of(study: Study, dataset: str, label: str) -> pd.DataFrame:
    """Training curves of all seeds of a configuration, one below the other; empty where nothing was trained."""
    if (dataset, label) not in study.stacks:
        frames = [read_curves(study, run) for run in runs_of(study, dataset, label)["run"]]
        study.stacks[dataset, label] = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
    return study.stacks[dataset, label]


def band(
    axes: Axes, stack: pd.DataFrame, column: str, colour: Any, *, spread: Literal["sd", "range"], dashes: Dashes = "-"
) -> None:
    """Draw the mean over seeds against steps, with one standard deviation, or the range, as a band around it."""
    table = stack.groupby("step")[column].agg(["mean", "std", "min", "max"]).dropna(subset="mean")
    axes.plot(table.index, table["mean"], color=colour, linestyle=dashes)
    low, high = table["min"], table["max"]
    if spread == "sd":
        # No further than the seeds reach: a weight near zero has no negative part of its band.
        low = (table["mean"] - table["std"].fillna(0)).clip(lower=low)
        high = (table["mean"] + table["std"].fillna(0)).clip(upper=high)
    axes.fill_between(table.index, low, high, color=colour, alpha=0.18, linewidth=0)


def late_limits(axes: Axes, stacks: Iterable[pd.DataFrame]) -> None:
    """Limit the axis of the reconstruction to what is seen after `BURN_IN`."""
    late = pd.concat([s[s["step"] > BURN_IN * s["step"].max()] for s in stacks])["reconstruction"]
    if late.empty:
        return
    low, high = float(late.min()), float(late.max())
    margin = 0.05 * (high - low) or 1.0
    axes.set_ylim(max(low - margin, min(0.0, low)), high + margin)


def beta_axis(axes: Axes, stacks: Iterable[pd.DataFrame]) -> None:
    """Make the axis of beta logarithmic where beta falls or rises by more than `LOG_ABOVE`."""
    values = np.concatenate([stack["beta"].dropna().to_numpy() for stack in stacks])
    # AnnealedVAE's weight changes its sign; a logarithm can't show that.
    if values.size and values.min() > 0 and values.max() > LOG_ABOVE * values.min():
        axes.set_yscale("log")
        if values.max() < 1e2 * values.min():
            axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())


def far_out(values: Iterable[float]) -> float:
    """Tukey's far-out fence: what lies beyond it mustn't squash an axis. Infinite for four values or fewer."""
    known = list(values)
    if len(known) < 5:
        return math.inf
    low, high = np.percentile(known, [25, 75])
    return float(high + 3 * (high - low))


def control_label(study: Study, dataset: str) -> str | None:
    """Label of the untrained control, if the data set has one that ended well."""
    runs = study.runs
    chosen = runs[(runs["dataset_label"] == dataset) & (runs["status"] == "ok") & (runs["method"] == CONTROL)]
    return str(chosen["label"].iloc[0]) if len(chosen) else None


def cell(study: Study, dataset: str, label: str, score: str) -> Mapping[str, Any] | None:
    """Summary of one score, or None where there are no values."""
    return study.cells.get((dataset, label, score))


def legend_below(figure: Figure, handles: Iterable[Artist], columns: int) -> None:
    """Put one legend under all panels."""
    made = list(handles)
    for handle in made:
        text = wrapped(str(handle.get_label()), 100 // columns)
        # Matplotlib leaves out what begins with an underscore.
        handle.set_label(f" {text}" if text.startswith("_") else text)
    figure.legend(handles=made, loc="outside lower center", ncols=columns, handlelength=2.6)


def better(axes: Axes, *, higher: bool, axis: str) -> None:
    """Say on an axis label which way is better."""
    arrow = {("y", True): "↑", ("y", False): "↓", ("x", True): "→", ("x", False): "←"}[axis, higher]
    if axis == "y":
        axes.set_ylabel(f"{axes.get_ylabel()}  {arrow} better")
    else:
        axes.set_xlabel(f"{axes.get_xlabel()}  {arrow} better")
