"""Every score of every seed."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bench.figures.axes import DOUBLE, cell, control_label, new_figure, per_dataset, runs_of, trained, wrapped
from bench.figures.palette import Look, looks
from bench.formatting import three_digits
from bench.registry import FIGURES
from bench.results.study import Study
from bench.results.summary import score_info

#: A control further out than this many times the spread of the trained runs is pointed at, not drawn to
#: scale.
FAR = 1.0
#: Rows above which every page has one line of panels, and how many those are.
MOST_ROWS, ON_PAGE = 12, 4


@FIGURES.register("strip", version=1, order=4)
def strip(study: Study) -> Figure | dict[str, Figure]:
    """Every score of every seed, with mean and 95 % interval.

    One panel per score, one line of points per method, the seeds in order from bottom to top within it. An
    arrow stands for untrained networks that lie far off the axis, with their mean. The scores of many
    configurations are spread over several pages.

    Parameters
    ----------
    study : Study
        Stored runs.

    Returns
    -------
    Figure or dict of str to Figure
        One per data set.
    """
    return per_dataset(study, _draw)


def _draw(study: Study, dataset: str) -> Figure | dict[str, Figure] | None:
    labels = trained(study, dataset)
    scores = [s for s in study.scores if any(cell(study, dataset, label, s) for label in labels)]
    if not scores:
        return None
    control = control_label(study, dataset)
    rows = [*labels, *([control] if control else [])]
    if len(rows) <= MOST_ROWS:
        return _page(study, dataset, scores, labels, control)
    pages = np.array_split(np.array(scores, dtype=object), math.ceil(len(scores) / ON_PAGE))
    return {f"page-{k}": _page(study, dataset, list(page), labels, control) for k, page in enumerate(pages, 1)}


def _page(study: Study, dataset: str, scores: list[str], labels: list[str], control: str | None) -> Figure:
    rows = [*labels, *([control] if control else [])]
    long = max(map(len, rows)) > 24
    columns = min(3 if long and len(rows) <= MOST_ROWS else ON_PAGE, len(scores))
    lines = math.ceil(len(scores) / columns)
    names = [wrapped(row, 40 if len(rows) > MOST_ROWS else 34) for row in rows]
    # Names on two lines need more room than points do.
    pitch = 0.26 if any("\n" in name for name in names) else 0.19
    figure = new_figure(DOUBLE, 0.1 + lines * (0.6 + pitch * len(rows)))
    panels = figure.subplots(lines, columns, sharey=True, squeeze=False)
    look = looks(study)
    for axes, score in zip(panels.flat, scores, strict=False):
        for place, label in enumerate(labels):
            _row(axes, study, dataset, label, score, place, look[label])
        axes.margins(x=0.06)
        if control:
            _control(axes, study, dataset, control, score, len(labels), look[control])
        info = score_info(score)
        arrow = {True: " →", False: " ←", None: ""}[info.higher_is_better]
        axes.set_title(wrapped(f"{info.label}{arrow}", 18))
        axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
        axes.grid(visible=False, axis="y")
        axes.tick_params(axis="y", length=0)
    for axes in panels.flat[len(scores) :]:
        axes.set_visible(False)
    panels[0, 0].set_ylim(len(rows) - 0.5, -0.5)
    for axes in panels[:, 0]:
        axes.set_yticks(range(len(rows)), names, fontsize=6.5 if pitch > 0.2 else 7)
    return figure


def _row(axes: Axes, study: Study, dataset: str, label: str, score: str, place: int, look: Look) -> None:
    item = cell(study, dataset, label, score)
    if item is None:
        return
    values = runs_of(study, dataset, label)[score].dropna().to_numpy(dtype=float)
    # Seeds are spread in their order: random jitter would change from one rendering to the next.
    offsets = place + (np.linspace(0.3, -0.3, len(values)) if len(values) > 1 else np.zeros(1))
    axes.plot(values, offsets, look.marker, color=look.colour, markersize=2.6, alpha=0.45, markeredgewidth=0)
    if not np.isnan(item["low"]):
        axes.plot([item["low"], item["high"]], [place, place], color=look.colour, linewidth=1.6, zorder=3)
    axes.plot([item["mean"]], [place], markersize=4.5, linestyle="none", zorder=4, **look.point)


def _control(axes: Axes, study: Study, dataset: str, control: str, score: str, place: int, look: Look) -> None:
    item = cell(study, dataset, control, score)
    if item is None:
        return
    low, high = axes.get_xlim()
    span = FAR * (high - low)
    if low - span <= item["mean"] <= high + span:
        _row(axes, study, dataset, control, score, place, look)
        return
    axes.set_xlim(low, high)
    right = item["mean"] > high
    axes.annotate(
        three_digits(item["mean"]),
        xy=(0.99 if right else 0.01, place), xytext=(0.8 if right else 0.2, place),
        xycoords=("axes fraction", "data"), textcoords=("axes fraction", "data"),
        ha="right" if right else "left", va="center", fontsize=7, color=look.colour,
        arrowprops={"arrowstyle": "->", "color": look.colour, "shrinkA": 1, "shrinkB": 0},
    )  # fmt: skip
