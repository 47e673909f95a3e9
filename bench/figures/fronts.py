"""Disentanglement over distortion, one curve per method."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from bench.figures import _missed
from bench.figures.axes import (
    DOUBLE,
    SINGLE,
    better,
    cell,
    control_label,
    legend_below,
    literal,
    new_figure,
    per_dataset,
)
from bench.figures.palette import GREY, Look, looks_of
from bench.registry import FIGURES
from bench.results.fronts import (
    DISENTANGLEMENT,
    DISTORTION,
    MethodFront,
    front_resampling,
    front_runs,
    is_log,
    method_fronts,
    missed_runs,
    reference,
    seed_fronts,
)
from bench.results.study import Study
from bench.results.summary import score_info
from bench.stats import front_band


@FIGURES.register("fronts", version=1, order=1.2)
def fronts(study: Study) -> Figure | dict[str, Figure]:
    """Disentanglement over distortion: each method over its strength, mean of the seeds' fronts with a 95 % band.

    Marks are the means of the settings, joined seed by seed in the order of the strength; the curve ends where not all
    seeds have a value, and what lies beyond isn't known. Bands are bootstrap intervals over seeds, place by place (5
    seeds at least). Better is up and left. The dashed line is the untrained network; a ring means that some of the runs
    never arrived at their set point or latched at a limit.

    Parameters
    ----------
    study : Study
        Stored runs.

    Returns
    -------
    Figure or dict of str to Figure
        One per data set of which two methods have at least three strengths.
    """
    return per_dataset(study, _draw)


def _draw(study: Study, dataset: str) -> Figure | None:
    found = method_fronts(study, dataset)
    scores = [score for score in DISENTANGLEMENT if _any(study, dataset, found, score)]
    if reference(found) is None or not scores:
        return None
    figure = new_figure(SINGLE if len(scores) == 1 else DOUBLE, 2.5 + 0.16 * -(-len(found) // 4))
    panels = figure.subplots(1, len(scores), sharex=True, squeeze=False)[0]
    control, look = control_label(study, dataset), front_looks(found)
    for axes, score in zip(panels, scores, strict=True):
        untrained = cell(study, dataset, control, score) if control is not None else None
        if untrained is not None:
            axes.axhline(untrained["mean"], color=GREY, linestyle=(0, (4, 3)), linewidth=1, zorder=1)
        for front in found:
            draw_front(axes, study, dataset, front, look[front.name], DISTORTION, score)
        axes.set_ylabel(literal(score_info(score).label))
        axes.set_xlabel("Distortion")
        better(axes, higher=True, axis="y")
        better(axes, higher=False, axis="x")
        axes.set_xlabel(f"{axes.get_xlabel()}\n{score_info(DISTORTION).label}")
        axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
        if is_log(study, dataset, DISTORTION):
            log_axis(axes, "x")
    handles = front_handles(study, dataset, found)
    if control is not None:
        handles.append(Line2D([], [], color=GREY, linestyle=(0, (4, 3)), label=control))
    legend_below(figure, handles, 4)
    return figure


def _any(study: Study, dataset: str, found: list[MethodFront], score: str) -> bool:
    return any(len(front_runs(study, dataset, front, DISTORTION, score)) for front in found)


def draw_front(axes: Axes, study: Study, dataset: str, front: MethodFront, look: Look, x: str, y: str) -> None:
    """Draw the mean of the seeds' fronts with its band, and the means of the settings."""
    lines = seed_fronts(study, dataset, front, x, y)
    band = front_band(lines, rng=front_resampling(study, dataset, front, x, y)) if lines else None
    if band is not None:
        at = np.exp(band.at) if is_log(study, dataset, x) else band.at
        over = np.exp if is_log(study, dataset, y) else np.asarray
        axes.plot(at, over(band.mean), **look.line)
        if band.low is not None and band.high is not None:
            axes.fill_between(at, over(band.low), over(band.high), color=look.colour, alpha=0.15, linewidth=0)
    means = front_runs(study, dataset, front, x, y).groupby("label", sort=False)[[x, y]].mean()
    axes.plot(means[x], means[y], color=look.colour, linestyle="none", markersize=4, zorder=3, **look.point)
    missed = means[means.index.isin(missed_runs(study, dataset, front))]
    if len(missed):
        axes.plot(missed[x], missed[y], zorder=4, **_missed.RING)


def front_looks(found: Sequence[MethodFront]) -> dict[str, Look]:
    """Look of each front by its name: its method's."""
    out: dict[str, Look] = {}
    for method in dict.fromkeys(front.method for front in found):
        out |= looks_of(method, [front.name for front in found if front.method == method])
    return out


def front_handles(study: Study, dataset: str, found: Sequence[MethodFront]) -> list[Line2D]:
    """Legend entries: line, mark and name of each method, and what a ring means where there is one."""
    handles = [
        Line2D([], [], markersize=4, label=name, **look.line, **look.point) for name, look in front_looks(found).items()
    ]
    if any(missed_runs(study, dataset, front) for front in found):
        handles.append(_missed.handle())
    return handles


def log_axis(axes: Axes, which: str) -> None:
    """A logarithmic axis with plain numbers."""
    (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    axis = axes.xaxis if which == "x" else axes.yaxis
    low, high = axis.get_view_interval()
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)) if high > 10 * low else MaxNLocator(5))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
