"""Reconstruction against disentanglement."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from bench.figures._missed import handle, missed, ring
from bench.figures.axes import (
    DOUBLE,
    SINGLE,
    better,
    cell,
    control_label,
    far_out,
    legend_below,
    literal,
    new_figure,
    per_dataset,
    runs_of,
    trained,
)
from bench.figures.palette import GREY, Look, looks
from bench.registry import FIGURES
from bench.results.likelihood import reconstruction_in_short, reconstruction_score
from bench.results.study import Study
from bench.results.summary import score_info

#: How the Pareto front is drawn.
FRONT: dict[str, Any] = {"color": "black", "linestyle": (0, (1, 1.5)), "linewidth": 1.0}
DISENTANGLEMENT = ("mig", "dci_disentanglement", "factor_vae_score")


@FIGURES.register("tradeoff", version=1, order=1)
def tradeoff(study: Study) -> Figure | dict[str, Figure]:
    """Reconstruction against disentanglement: mean and 95 % interval of each method in both axes.

    The dotted steps are the Pareto front: the means that no other mean beats. Faint points are single seeds, the
    dashed line and the grey band the untrained networks (their reconstruction is far off the axis). Better is up and
    left; a mark on the right edge belongs further right. The legend gives the mean KL, since a method can always buy
    reconstruction with KL. A ring means that some of the runs never arrived at their set point or latched at a limit.

    Parameters
    ----------
    study : Study
        Stored runs.

    Returns
    -------
    Figure or dict of str to Figure
        One per data set that has factors.
    """
    return per_dataset(study, _draw)


def _draw(study: Study, dataset: str) -> Figure | None:
    labels, look = trained(study, dataset), looks(study)
    measure = reconstruction_score(study, dataset)
    scores = [s for s in DISENTANGLEMENT if any(cell(study, dataset, label, s) for label in labels)]
    labels = [
        label
        for label in labels
        if cell(study, dataset, label, measure) and any(cell(study, dataset, label, s) for s in scores)
    ]
    if not scores or not labels:
        return None
    rows = -(-(len(labels) + 1) // 3) * (2 if max(map(len, labels)) > 24 else 1)
    figure = new_figure(SINGLE if len(scores) == 1 else DOUBLE, 2.5 + 0.16 * rows)
    panels = figure.subplots(1, len(scores), sharex=True, squeeze=False)[0]
    control = control_label(study, dataset)
    errors = {label: float(found["mean"]) for label in labels if (found := cell(study, dataset, label, measure))}
    fence = far_out(errors.values())
    outside = [label for label, error in errors.items() if error > fence]
    ringed = missed(study, dataset) & set(labels)
    for axes, score in zip(panels, scores, strict=True):
        if control is not None:
            _band(axes, study, dataset, control, score)
        for label in labels:
            (_edge if label in outside else _points)(axes, study, dataset, label, score, look[label])
            found = cell(study, dataset, label, score)
            if label in ringed and found is not None:
                edge = {"transform": axes.get_yaxis_transform(), "clip_on": False} if label in outside else {}
                ring(axes, 1.0 if edge else errors[label], found["mean"], **edge)
        _front(axes, study, dataset, labels, score)
        axes.set_ylabel(literal(score_info(score).label))
        axes.set_xlabel("Reconstruction")
        better(axes, higher=True, axis="y")
        better(axes, higher=False, axis="x")
        axes.set_xlabel(f"{axes.get_xlabel()}\n{score_info(measure).label}")
        axes.margins(0.08)
        # Scores start at 0; the DCI of tiny samples can fall a little below.
        lowest = min(float(study.runs[score].min()), 0.0)
        axes.set_ylim(bottom=1.08 * lowest)
        axes.xaxis.set_major_locator(MaxNLocator(5))
    if outside:
        inside = pd.concat([runs_of(study, dataset, label)[measure] for label in labels if label not in outside])
        margin = 0.08 * float(inside.max() - inside.min())
        panels[0].set_xlim(float(inside.min()) - margin, float(inside.max()) + margin)
    handles = [
        Line2D(
            [],
            [],
            color=look[label].colour,
            linestyle="none",
            **look[label].point,
            label=_named(study, dataset, label, off=label in outside),
        )
        for label in labels
    ]
    handles.append(Line2D([], [], **FRONT, label="Pareto front of the means"))
    handles += [handle()] if ringed else []
    if control is not None:
        handles.append(Line2D([], [], color=GREY, linestyle=(0, (4, 3)), label=control))
    legend_below(figure, handles, 3)
    return figure


def _points(axes: Axes, study: Study, dataset: str, label: str, score: str, look: Look) -> None:
    measure = reconstruction_score(study, dataset)
    x, y = cell(study, dataset, label, measure), cell(study, dataset, label, score)
    if x is None or y is None:
        return
    runs = runs_of(study, dataset, label)
    axes.plot(
        runs[measure], runs[score], look.marker, color=look.colour, markersize=3, alpha=0.3,
        markeredgewidth=0,
    )  # fmt: skip
    bars = [[[max(item["mean"] - item["low"], 0)], [max(item["high"] - item["mean"], 0)]] for item in (x, y)]
    drawn = [None if np.isnan(bar).any() else bar for bar in bars]
    axes.errorbar(
        x["mean"], y["mean"], xerr=drawn[0], yerr=drawn[1], color=look.colour, capsize=2, elinewidth=1,
        zorder=3, **look.point,
    )  # fmt: skip


def _edge(axes: Axes, study: Study, dataset: str, label: str, score: str, look: Look) -> None:
    """Mark on the right edge how high something lies whose reconstruction is far off the axis."""
    y = cell(study, dataset, label, score)
    if y is not None:
        axes.plot(
            [1], [y["mean"]], transform=axes.get_yaxis_transform(), clip_on=False, color=look.colour, **look.point
        )


def pareto(points: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Points (x, y) that no other point beats: none has an x as low and a y as high and is better in one of them."""
    front: list[tuple[float, float]] = []
    for x, y in sorted(set(points), key=lambda point: (point[0], -point[1])):
        if not front or y > front[-1][1]:
            front.append((x, y))
    return front


def _front(axes: Axes, study: Study, dataset: str, labels: list[str], score: str) -> None:
    measure = reconstruction_score(study, dataset)
    pairs = [(cell(study, dataset, label, measure), cell(study, dataset, label, score)) for label in labels]
    front = pareto((float(x["mean"]), float(y["mean"])) for x, y in pairs if x is not None and y is not None)
    axes.plot(*zip(*front, strict=True), drawstyle="steps-post", zorder=4, **FRONT)


def _band(axes: Axes, study: Study, dataset: str, control: str, score: str) -> None:
    item = cell(study, dataset, control, score)
    if item is None:
        return
    axes.axhline(item["mean"], color=GREY, linestyle=(0, (4, 3)), linewidth=1, zorder=1)
    if not np.isnan(item["low"]):
        axes.axhspan(item["low"], item["high"], color=GREY, alpha=0.2, linewidth=0, zorder=0)


def _named(study: Study, dataset: str, label: str, *, off: bool) -> str:
    kl, error = (cell(study, dataset, label, score) for score in ("kl", reconstruction_score(study, dataset)))
    facts = [] if kl is None else [f"KL {kl['mean']:.1f} nats"]
    if off and error is not None:
        facts.append(f"off the axis: {reconstruction_in_short(study, dataset, float(error['mean']))}")
    # Each fact stays on one line of the legend.
    kept = [fact.replace(" ", "\N{NO-BREAK SPACE}") for fact in facts]
    return f"{label} ({', '.join(kept)})" if kept else label
