"""What all figures share: sizes, colours, markers, and the layout of legends.

A method looks the same in every figure of every study: its colour, marker and line style hang on its name
alone. Figures are made with Matplotlib's objects, never with pyplot's global state.
"""

from __future__ import annotations

import colorsys
import hashlib
import math
import re
import textwrap
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import cycle
from typing import Any, Literal, TypeVar

import matplotlib.style
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from bench.aggregate import Study
from bench.curves import read_curves
from bench.labels import CONTROL

T = TypeVar("T")

#: Widths of a column and of a page, inches.
SINGLE, DOUBLE = 3.4, 7.0

GREY = "#6f6f6f"

RC: dict[str, Any] = {
    "font.family": "DejaVu Sans",  # ships with Matplotlib, so every machine has it
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.5,
    "axes.axisbelow": True,
    "lines.linewidth": 1.3,
    "lines.markersize": 5,
    "pdf.fonttype": 42,
    "ps.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "disbench",
}

Dashes = str | tuple[float, tuple[float, ...]]

#: Okabe and Ito's palette, with a marker and a line style of its own for each method.
_LOOKS: dict[str, tuple[str, str, Dashes]] = {
    "vae": ("#000000", "o", "solid"),
    "beta_vae": ("#0072B2", "s", (0, (5, 1.5))),
    "annealed_vae": ("#56B4E9", "^", (0, (5, 1.5, 1, 1.5))),
    "factor_vae": ("#009E73", "D", (0, (1, 1))),
    "control_vae": ("#E69F00", "v", (0, (3, 1, 1, 1, 1, 1))),
    "dynamic_vae": ("#D55E00", "P", "solid"),
    "beta_tcvae": ("#CC79A7", "<", (0, (7, 2))),
    "dip_vae": ("#B8A800", "h", (0, (6, 1, 1, 1))),
    "info_vae": ("#8C564B", "p", (0, (3, 2))),
    "sigma_vae": ("#5E4FA2", "8", (0, (1, 2))),
    "switch_beta": ("#1B7F8C", "d", (0, (8, 2, 2, 2))),
    "two_stage": ("#A6192E", ">", (0, (2, 1))),
    "autoencoder": ("#404040", "1", (0, (1, 1.5))),
    "pca": ("#909090", "2", (0, (6, 2))),
    CONTROL: (GREY, "X", (0, (4, 3))),
}
#: Share of the steps that the axis of the reconstruction leaves out of its range: the fall from the start is
#: a hundred times the differences the panel is there to show.
BURN_IN = 0.25
#: A ratio of the largest to the smallest beta above which its axis is logarithmic.
LOG_ABOVE = 20.0
#: More configurations than this are too many for a panel or a line each.
MOST = 10
#: For methods that aren't listed, chosen by a hash of the name.
_OTHERS: tuple[tuple[str, str, Dashes], ...] = (
    ("#CC79A7", ">", (0, (2, 1))),
    ("#B8A800", "h", (0, (6, 1, 1, 1))),
    ("#8C564B", "p", (0, (3, 2))),
    ("#5E4FA2", "8", (0, (1, 2))),
    ("#1B7F8C", "d", (0, (8, 2, 2, 2))),
)
#: For the second, third, ... configuration of a method.
_DASHES: tuple[Dashes, ...] = (
    "solid",
    (0, (1, 1)),
    (0, (3, 1, 1, 1)),
    (0, (7, 2)),
    (0, (3, 1, 1, 1, 1, 1)),
    (0, (2, 3)),
)


#: Lines of one panel that are told apart by order: colour, and dashes for those who don't see it.
CYCLE: tuple[tuple[str, Dashes], ...] = (
    ("#000000", "solid"),
    ("#0072B2", (0, (5, 1.5))),
    ("#D55E00", (0, (1, 1))),
    ("#009E73", (0, (5, 1.5, 1, 1.5))),
    ("#CC79A7", (0, (3, 1, 1, 1, 1, 1))),
    ("#E69F00", (0, (7, 2))),
    ("#56B4E9", (0, (2, 1))),
    ("#8C564B", (0, (6, 1, 1, 1))),
)


@dataclass(frozen=True)
class Look:
    """How one configuration is drawn."""

    colour: tuple[float, float, float]
    marker: str
    dashes: Dashes
    hollow: bool

    @property
    def line(self) -> dict[str, Any]:
        """Keywords of a line."""
        return {"color": self.colour, "linestyle": self.dashes}

    @property
    def point(self) -> dict[str, Any]:
        """Keywords of a marker."""
        face = "white" if self.hollow else self.colour
        return {"marker": self.marker, "markerfacecolor": face, "markeredgecolor": self.colour}


def style() -> AbstractContextManager[None]:
    """Return a context with Matplotlib's defaults and our changes, whatever the user's own settings are."""
    return matplotlib.style.context(["default", RC])


def looks(study: Study) -> dict[str, Look]:
    """Label to look. Configurations of a method share marker and hue, not lightness, filling and dashes."""
    out: dict[str, Look] = {}
    alone = len(set(study.runs["method"]) - {CONTROL}) == 1
    for method, group in study.runs.groupby("method", sort=False):
        name = str(method)
        pick = int(hashlib.sha256(name.encode()).hexdigest(), 16) % len(_OTHERS)
        colour, marker, dashes = _LOOKS.get(name, _OTHERS[pick])
        labels = list(dict.fromkeys(group["label"]))
        if alone and name != CONTROL and len(labels) > 2:
            # Variations of one method: shades of its colour can't be told apart, and no other method needs the rest.
            others = [look for key, look in _LOOKS.items() if key not in (name, CONTROL)]
            for label, (own, shape, line) in zip(
                labels, cycle([_LOOKS.get(name, _OTHERS[pick]), *others]), strict=False
            ):
                out[label] = Look(to_rgb(own), shape, line, hollow=False)
            continue
        for index, label in enumerate(labels):
            fade = 0.5 * index / max(len(labels) - 1, 1)
            line = dashes if index == 0 else _DASHES[index % len(_DASHES)]
            out[label] = Look(_lighter(to_rgb(colour), fade), marker, line, hollow=index % 2 == 1)
    return out


def method_look(method: str) -> tuple[str, str]:
    """Colour and marker of a method, whatever its configuration."""
    pick = int(hashlib.sha256(method.encode()).hexdigest(), 16) % len(_OTHERS)
    return _LOOKS.get(method, _OTHERS[pick])[:2]


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


def wrapped(text: str, width: int = 32) -> str:
    """A label on several lines if it is long."""
    return "\n".join(textwrap.wrap(text, width, break_long_words=False))


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
        handle.set_label(wrapped(str(handle.get_label()), 100 // columns))
    figure.legend(handles=made, loc="outside lower center", ncols=columns, handlelength=2.6)


def better(axes: Axes, *, higher: bool, axis: str) -> None:
    """Say on an axis label which way is better."""
    arrow = {("y", True): "↑", ("y", False): "↓", ("x", True): "→", ("x", False): "←"}[axis, higher]
    if axis == "y":
        axes.set_ylabel(f"{axes.get_ylabel()}  {arrow} better")
    else:
        axes.set_xlabel(f"{axes.get_xlabel()}  {arrow} better")


def _lighter(colour: tuple[float, float, float], by: float) -> tuple[float, float, float]:
    hue, light, saturation = colorsys.rgb_to_hls(*colour)
    return colorsys.hls_to_rgb(hue, light + (0.85 - light) * by, saturation)
