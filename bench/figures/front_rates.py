"""Distortion over rate, one curve per method."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.figures.axes import DOUBLE, better, legend_below, literal, new_figure, per_dataset
from bench.figures.front_differences import draw_differences, paired_fronts
from bench.figures.fronts import draw_front, front_handles, front_looks, log_axis
from bench.registry import FIGURES
from bench.results.fronts import DISTORTION, RATE, MethodFront, front_runs, is_log, method_fronts, reference
from bench.results.study import Study
from bench.results.summary import score_info


@FIGURES.register("front_rates", version=1, order=2.2)
def front_rates(study: Study) -> Figure | dict[str, Figure]:
    """Distortion over rate: each method over its strength, mean of the seeds' fronts with a 95 % band.

    At one rate lower is better: of two methods that spend the same KL, that one reconstructs better. Marks are the
    means of the settings, in a ring where some of the runs missed their set point. Bands are bootstrap intervals over
    seeds, place by place (5 seeds at least). On the right the distortion relative to the reference's at the same rate,
    within seeds, with Student's 95 % interval, bold where that leaves out zero.

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
    found = [
        front for front in method_fronts(study, dataset) if len(front_runs(study, dataset, front, RATE, DISTORTION))
    ]
    base = reference(found)
    if base is None:
        return None
    log = is_log(study, dataset, DISTORTION)
    pairs = paired_fronts(study, dataset, base, [front for front in found if front is not base], RATE, DISTORTION)
    figure = new_figure(DOUBLE if pairs else 0.6 * DOUBLE, 2.8 + 0.16 * -(-len(found) // 4))
    panels = figure.subplots(1, 2 if pairs else 1, squeeze=False)[0]
    _absolute(panels[0], study, dataset, found, log=log)
    if pairs:
        draw_differences(panels[1], pairs, front_looks(found), log=False, per_cent=log)
        panels[1].set_xlabel(f"Rate: {score_info(RATE).label}")
        panels[1].set_ylabel(literal(f"Distortion over {base.name}'s ({'%' if log else 'nats'})"))
        better(panels[1], higher=False, axis="y")
    legend_below(figure, front_handles(study, dataset, found), 4)
    return figure


def _absolute(axes: Axes, study: Study, dataset: str, found: list[MethodFront], *, log: bool) -> None:
    look = front_looks(found)
    for front in found:
        draw_front(axes, study, dataset, front, look[front.name], RATE, DISTORTION)
    axes.set_xlabel(f"Rate: {score_info(RATE).label}")
    axes.set_ylabel(f"Distortion: {score_info(DISTORTION).label}")
    better(axes, higher=False, axis="y")
    if log:
        log_axis(axes, "y")
