"""What the settings of a method do to its training."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter

from bench.figures.axes import (
    DOUBLE,
    band,
    beta_axis,
    curves_of,
    late_limits,
    literal,
    new_figure,
    per_dataset,
    runs_of,
    trained,
    wrapped,
)
from bench.figures.palette import CYCLE, Dashes
from bench.registry import FIGURES, METHODS
from bench.results.labels import method_settings, printed_name
from bench.results.likelihood import reconstruction_term
from bench.results.study import Study

#: Lines in a panel at most; a method with more configurations gets a row for each setting that was varied.
MOST_LINES = 8
#: Configurations from which on a row is split by setting, even if they would fit.
SPLIT_FROM = 6  #: Characters of a line of the legend.
WIDTH = 24

COLUMNS = ("reconstruction", "kl", "beta")


@FIGURES.register("ablation", version=1, order=11)
def ablation(study: Study) -> Figure | dict[str, Figure]:
    """Training of the configurations of one method: reconstruction, KL and beta, a row per setting that was varied.

    Mean over seeds with a band of one standard deviation, on training batches. The black line is the configuration
    that the others are variations of, the same in all rows of a method. The axes of the reconstruction leave out the
    first quarter of the steps.

    Parameters
    ----------
    study : Study
        Stored runs; methods with at least two configurations are drawn.

    Returns
    -------
    Figure or dict of str to Figure
        One per data set.
    """
    return per_dataset(study, _draw)


def _draw(study: Study, dataset: str) -> Figure | None:
    rows: list[tuple[str, dict[str, str]]] = []
    by_method: dict[str, list[str]] = defaultdict(list)
    for label in trained(study, dataset):
        if not curves_of(study, dataset, label).empty:
            by_method[str(runs_of(study, dataset, label)["method"].iloc[0])].append(label)
    for method, labels in by_method.items():
        if len(labels) > 1:
            rows += [(printed_name(METHODS, method), group) for group in groups(study, dataset, labels)]
    if not rows:
        return None
    # A legend of long settings needs more room than its row's axes.
    lines = [1 + sum(wrapped(name, WIDTH).count("\n") + 1 for name in group.values()) for _, group in rows]
    heights = [max(1.28, 0.15 + 0.13 * count) for count in lines]
    figure = new_figure(DOUBLE, 0.45 + sum(heights))
    widths = [1, 1, 1, 0.8]
    grid = figure.subplots(len(rows), 4, squeeze=False, sharex="col", width_ratios=widths, height_ratios=heights)
    for line, (method, group) in zip(grid, rows, strict=True):
        _row(line, study, dataset, method, group)
    titles = (reconstruction_term(study, dataset), "KL (nats)", "beta")
    for axes, title in zip(grid[0], titles, strict=False):
        axes.set_title(title)
    for axes in grid[-1, :3]:
        axes.set_xlabel("Steps")
    return figure


def groups(study: Study, dataset: str, labels: list[str]) -> list[dict[str, str]]:
    """Sort configurations of one method by the settings in which they differ from the first.

    Returns
    -------
    list of dict of str to str
        Label to what the legend says of it, the first configuration first in each; `MOST_LINES` at most.
    """
    specs = {label: study.specs[runs_of(study, dataset, label)["run"].iloc[0]] for label in labels}
    settings = {label: method_settings(spec) for label, spec in specs.items()}
    base, *others = labels
    keys = list(dict.fromkeys(key for each in settings.values() for key in each))
    varied = {label: tuple(k for k in keys if settings[base].get(k) != settings[label].get(k)) for label in others}
    if len(labels) < SPLIT_FROM:
        kinds = [tuple(key for key in keys if any(key in each for each in varied.values()))]
        members = [others]
    else:
        kinds = list(dict.fromkeys(varied.values()))
        members = [[label for label in others if varied[label] == kind] for kind in kinds]
    out = []
    for kind, chosen in zip(kinds, members, strict=True):
        for start in range(0, len(chosen), MOST_LINES - 1):
            some = [base, *chosen[start : start + MOST_LINES - 1]]
            out.append({label: _named(settings[label], kind) for label in some})
    return out


def _named(settings: dict[str, Any], keys: tuple[str, ...]) -> str:
    parts = [f"{key}={value:g}" if isinstance(value := settings.get(key), float) else f"{key}={value}" for key in keys]
    return ", ".join(parts)


def _row(line: Any, study: Study, dataset: str, method: str, group: dict[str, str]) -> None:
    handles, stacks = [], {}
    for index, (label, name) in enumerate(group.items()):
        colour, dashes = CYCLE[index]
        look: dict[str, Any] = {"color": colour, "linestyle": dashes}
        stacks[label] = curves_of(study, dataset, label)
        for axes, column in zip(line, COLUMNS, strict=False):
            # The base is drawn on top and thin, so that what coincides with it can be seen below it.
            _curve(axes, stacks[label], column, colour, dashes, base=index == 0)
        handles.append(Line2D([], [], label=wrapped(name, WIDTH), **look))
    late_limits(line[0], list(stacks.values()))
    beta_axis(line[2], stacks.values())
    for axes in line[:3]:
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    line[3].set_axis_off()
    line[3].legend(
        handles=handles, loc="center left", bbox_to_anchor=(-0.1, 0.5), title=literal(method),
        fontsize=6.5, title_fontsize=7, alignment="left", handlelength=2.4, borderaxespad=0,
    )  # fmt: skip


def _curve(axes: Axes, stack: Any, column: str, colour: str, dashes: Dashes, *, base: bool) -> None:
    before = len(axes.lines)
    band(axes, stack, column, colour, spread="sd", dashes=dashes)
    for drawn in axes.lines[before:]:
        drawn.set(zorder=5 if base else 3, linewidth=0.8 if base else 1.6)
