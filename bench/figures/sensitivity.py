"""A method's score against each of its hyper-parameters, one at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from numpy.typing import NDArray

from bench.figures.axes import DOUBLE, SINGLE, legend_below, literal, new_figure
from bench.figures.palette import GREY, method_look
from bench.formatting import interval, number
from bench.registry import FIGURES, METHODS
from bench.results.labels import printed_name
from bench.results.study import Study
from bench.tuning.rules import bound_of, meets
from bench.tuning.sensitivity import Sensitivity, sensitivities
from bench.tuning.trials import Trial, Trials, is_tuning, read_trials

COLUMNS = 3
#: Draws from which on a profile is drawn, and draws that a point of it is the mean of.
PROFILE_FROM, PER_POINT = 8, 4


@FIGURES.register("sensitivity", version=1, order=13)
def sensitivity(study: Study) -> Figure | None:
    """How much a method's score depends on each of its hyper-parameters: a point per setting that was drawn.

    Means over the tuning seeds with their range; hollow points reconstruct worse than the bound, the cross is the
    default. The line is a profile: means of four neighbouring draws. Above each panel Spearman's rank correlation with
    its 95 % interval. The other hyper-parameters vary, too: what they do is scatter here.

    Parameters
    ----------
    study : Study
        Stored runs of a tuning study.

    Returns
    -------
    Figure or None
        None of a study that drew no settings.
    """
    if not is_tuning(study):
        return None
    trials = read_trials(study)
    found = [each for each in sensitivities(trials) if each.draws]
    if not found:
        return None
    columns = min(COLUMNS, len(found))
    rows = -(-len(found) // columns)
    figure = new_figure(SINGLE if columns == 1 else DOUBLE, 0.6 + 1.75 * rows)
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
    bound = bound_of(trials)
    for axes, each in zip(grid.flat, found, strict=False):
        _panel(axes, trials, each, bound)
    for axes in grid.flat[len(found) :]:
        axes.set_axis_off()
    for axes in grid[:, 0]:
        axes.set_ylabel(literal(trials.heading))
    point: dict[str, Any] = {"color": GREY, "linestyle": "none", "marker": "o", "markersize": 4}
    handles = [Line2D([], [], **point, label="draw")]
    if any(not meets(draw, bound) for each in found for draw in each.draws):
        handles.append(Line2D([], [], **point, markerfacecolor="white", label="draw beyond the bound"))
    handles.append(Line2D([], [], color="black", linestyle="none", marker="x", label="default"))
    if any(_has_profile(each) for each in found):
        handles.append(Line2D([], [], color="black", linewidth=1, label=f"mean of {PER_POINT} neighbours"))
    legend_below(figure, handles, 2 if columns == 1 else 4)
    return figure


def _has_profile(found: Sensitivity) -> bool:
    return len(found.draws) >= PROFILE_FROM and not found.names


def _panel(axes: Axes, trials: Trials, found: Sensitivity, bound: float) -> None:
    colour = method_look(found.method)[0]
    means = np.array([trials.sign * draw.value for draw in found.draws])
    for place, draw in zip(found.places, found.draws, strict=True):
        _point(axes, trials, place, draw, colour, hollow=not meets(draw, bound))
    if _has_profile(found):
        axes.plot(*_profile(found.places, means, log=found.log), color="black", linewidth=1, zorder=2)
    default = trials.methods[found.method][0]
    at = default.hyper.get(found.key)
    if not default.failure and at is not None and (not found.names or str(at) in found.names):
        where = found.names.index(str(at)) if found.names else float(at)
        axes.plot([where], [trials.sign * default.value], "x", color="black", markersize=6, zorder=5)
    if found.names:
        axes.set_xticks(range(len(found.names)), [literal(name) for name in found.names], rotation=30)
    elif found.log:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=8))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(literal(found.key))
    rho = found.score
    bounds = interval(rho.low, rho.high, 2)
    words = f"ρ = {number(rho.estimate, 2)} {bounds}".strip() if np.isfinite(rho.estimate) else "ρ undefined"
    words = words.replace("-", "−")
    axes.set_title(f"{literal(printed_name(METHODS, found.method))}: {words}", fontsize=7)


def _point(axes: Axes, trials: Trials, place: float, draw: Trial, colour: str, *, hollow: bool) -> None:
    values = trials.sign * draw.values
    axes.plot([place, place], [values.min(), values.max()], color=colour, linewidth=0.6, alpha=0.5, zorder=1)
    axes.plot(
        [place], [values.mean()], "o", color=colour, markersize=4, zorder=3,
        markerfacecolor="white" if hollow else colour,
    )  # fmt: skip


def _profile(
    x: NDArray[np.float64], y: NDArray[np.float64], *, log: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Running means of `PER_POINT` neighbours, in the scale of the axis."""
    order = np.argsort(x, kind="stable")
    scale = np.log(x[order]) if log else x[order]
    kernel = np.full(PER_POINT, 1 / PER_POINT)
    across = np.convolve(scale, kernel, mode="valid")
    return (np.exp(across) if log else across), np.convolve(y[order], kernel, mode="valid")
