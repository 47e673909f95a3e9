"""The rate-distortion plane, coloured by disentanglement."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.figures._missed import handle, missed, ring
from bench.figures.axes import DOUBLE, SINGLE, cell, far_out, legend_below, new_figure, per_dataset, trained
from bench.figures.palette import Look, looks
from bench.registry import FIGURES, METHODS
from bench.results.labels import printed_name
from bench.results.likelihood import reconstruction_in_short, reconstruction_score
from bench.results.study import Study
from bench.results.summary import score_info

RATE = "kl"
#: Light to dark with the score, readable in grey.
COLOURS = "cividis_r"


@FIGURES.register("rate_distortion", version=1, order=2)
def rate_distortion(study: Study) -> Figure | dict[str, Figure]:
    """Rate against distortion: reconstruction at the KL that it cost, the fill showing the MIG.

    Means with 95 % intervals; configurations of one method that differ in numbers only are joined in the order of
    their KL. At one KL lower is better, and darker is more disentangled. Dashed lines are controls whose codes carry
    no noise, hence no rate. A ring means that some of the runs never arrived at their set point or latched at a limit.

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


def _draw(study: Study, dataset: str) -> Figure | None:
    measure = reconstruction_score(study, dataset)
    labels = [label for label in trained(study, dataset) if cell(study, dataset, label, measure)]
    placed = [label for label in labels if cell(study, dataset, label, RATE)]
    if not placed:
        return None
    methods = _methods(study, dataset, labels)
    rows = math.ceil(len(set(methods.values())) / 3)
    # One column is too narrow for a legend of many methods.
    figure = new_figure(SINGLE if rows < 3 else 0.7 * DOUBLE, 3.0 + 0.16 * rows)
    axes = figure.subplots()
    score = "mig" if any(cell(study, dataset, label, "mig") for label in placed) else None
    values = [float(c["mean"]) for label in placed if score and (c := cell(study, dataset, label, score))]
    colours = ScalarMappable(Normalize(0, max(values, default=1.0)), COLOURS)
    look = looks(study)
    handles: dict[str, Line2D] = {}
    everything = _points(study, dataset, placed, score)
    limits = far_out(point[0] for point in everything), far_out(point[1] for point in everything)
    outside: list[str] = []
    for method in dict.fromkeys(methods[label] for label in placed):
        own = [label for label in placed if methods[label] == method]
        first = look[own[0]]
        every = sorted(_points(study, dataset, own, score))
        points = [point for point in every if point[0] <= limits[0] and point[1] <= limits[1]]
        outside += [
            f"{method} (KL {point[0]:.0f}, {reconstruction_in_short(study, dataset, point[1])})"
            for point in every
            if point not in points
        ]
        if _one_sweep(study, dataset, own):
            axes.plot([p[0] for p in points], [p[1] for p in points], color=first.colour, linewidth=0.8, zorder=2)
        for rate, distortion, across, up, value in points:
            fill = tuple(colours.to_rgba(np.asarray([value]))[0]) if value is not None else "white"
            axes.errorbar(rate, distortion, xerr=across, yerr=up, fmt="none", ecolor=first.colour, elinewidth=0.8)
            axes.plot(rate, distortion, first.marker, color=fill, markeredgecolor=first.colour, markersize=6, zorder=3)
        handles[method] = Line2D(
            [], [], color=first.colour, marker=first.marker, markerfacecolor="white", linewidth=0.8, label=method
        )
    ringed = missed(study, dataset) & set(placed)
    for rate, distortion, *_ in _points(study, dataset, [label for label in placed if label in ringed], score):
        if rate <= limits[0] and distortion <= limits[1]:
            ring(axes, rate, distortion)
    if ringed:
        handles[""] = handle()
    for label in labels:
        if label not in placed:
            _line(axes, study, dataset, label, look[label])
            handles[label] = Line2D([], [], **look[label].line, linewidth=1, label=label)
    axes.set_xlabel("Rate: " + score_info(RATE).label)
    axes.set_ylabel("Distortion: " + score_info(measure).label)
    # Points that lie close together leave a margin of their own size, which from zero is none.
    axes.set_xlim(0, 1.04 * axes.get_xlim()[1])
    axes.set_ylim(0, 1.04 * axes.get_ylim()[1])
    if outside:
        note = "off the axes: " + "; ".join(outside)
        axes.set_title(note, loc="right", fontsize=7)
    if score:
        figure.colorbar(colours, ax=axes, label=score_info(score).label, pad=0.02)
    legend_below(figure, list(handles.values()), columns=3)
    return figure


def _one_sweep(study: Study, dataset: str, labels: list[str]) -> bool:
    """Whether configurations differ in numbers only, so that a line between them means something."""
    runs = study.runs[(study.runs["dataset_label"] == dataset) & study.runs["label"].isin(labels)]
    hypers = [study.specs[run]["method"]["hyper"] for run in runs["run"]]
    kinds = {tuple((k, v) for k, v in sorted(hyper.items()) if not isinstance(v, float)) for hyper in hypers}
    return len(kinds) == 1


def _methods(study: Study, dataset: str, labels: list[str]) -> dict[str, str]:
    """The printed name of each configuration's method."""
    runs = study.runs[study.runs["dataset_label"] == dataset]
    names = dict(zip(runs["label"], runs["method"], strict=True))
    return {label: printed_name(METHODS, names[label]) for label in labels}


def _points(
    study: Study, dataset: str, labels: list[str], score: str | None
) -> list[tuple[float, float, list[list[float]] | None, list[list[float]] | None, float | None]]:
    points, measure = [], reconstruction_score(study, dataset)
    for label in labels:
        rate, distortion = cell(study, dataset, label, RATE), cell(study, dataset, label, measure)
        if rate is None or distortion is None:
            continue
        found = cell(study, dataset, label, score) if score else None
        across, up = (_spread(each) for each in (rate, distortion))
        value = float(found["mean"]) if found else None
        points.append((float(rate["mean"]), float(distortion["mean"]), across, up, value))
    return points


def _spread(found: Mapping[str, Any]) -> list[list[float]] | None:
    """Lengths of the interval's two arms, or None where there is no interval."""
    mean, low, high = (found[key] for key in ("mean", "low", "high"))
    if low is None or not math.isfinite(low):
        return None
    return [[mean - low], [high - mean]]


def _line(axes: Axes, study: Study, dataset: str, label: str, look: Look) -> None:
    distortion = cell(study, dataset, label, reconstruction_score(study, dataset))
    if distortion is not None:
        axes.axhline(float(distortion["mean"]), **look.line, linewidth=1, zorder=1)
