"""The score that a search is expected to find, against the number of settings that it tries."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from bench.figures.axes import DOUBLE, legend_below, literal, new_figure
from bench.figures.palette import method_dashes, method_look
from bench.registry import FIGURES, METHODS
from bench.results.labels import printed_name
from bench.results.study import Study
from bench.tuning.effort import Effort, efforts
from bench.tuning.trials import is_tuning, read_trials


@FIGURES.register("budget", version=1, order=12)
def budget(study: Study) -> Figure | None:
    """What tuning finds for its budget: the expected score of the setting that the rule chooses of k draws.

    Exact over all sets of k of the draws that were made, of those in which one meets the bound; bands are 95 %
    bootstrap intervals over draws and tuning seeds. A mark at 0 is the method's default, where it meets the bound. The
    best of several is too good on the seeds that it was chosen on: a curve compares searches, fresh seeds say what a
    setting is worth.

    Parameters
    ----------
    study : Study
        Stored runs of a tuning study.

    Returns
    -------
    Figure or None
        None of a study that tried no settings.
    """
    if not is_tuning(study):
        return None
    trials = read_trials(study)
    curves = efforts(trials)
    if not any(np.isfinite([*curve.best, curve.default]).any() for curve in curves.values()):
        return None
    figure = new_figure(DOUBLE, 3.1 + 0.16 * -(-len(curves) // 2))
    axes = figure.subplots()
    handles = []
    for index, (method, curve) in enumerate(curves.items()):
        colour, marker = method_look(method)
        k = np.arange(1, curve.best.size + 1)
        line: dict[str, Any] = {"color": colour, "linestyle": method_dashes(method), "marker": marker, "markersize": 4}
        axes.plot(k, curve.best, **line)
        axes.fill_between(k, curve.low, curve.high, color=colour, alpha=0.12, linewidth=0)
        # Side by side: defaults of several methods are often equally good.
        axes.plot([0.12 * (index - (len(curves) - 1) / 2)], [curve.default], marker, color=colour, markersize=6)
        handles.append(Line2D([], [], **line, label=_named(method, curve)))
    axes.set_xlabel("Settings tried (0: the default)")
    axes.set_ylabel(f"{literal(trials.heading)}\nof the setting chosen")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    legend_below(figure, handles, 2)
    return figure


def _named(method: str, curve: Effort) -> str:
    """A method, and how many of its draws may be chosen."""
    n = curve.best.size
    return f"{printed_name(METHODS, method)} ({round(n * curve.found[0])} of {n} draws meet the bound)"
