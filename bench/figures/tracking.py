"""How well the KL follows its set point."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import EngFormatter, FixedLocator, FuncFormatter, NullFormatter

from bench.figures.axes import DOUBLE, band, curves_of, legend_below, new_figure, per_dataset, trained, wrapped
from bench.figures.palette import GREY, Look, looks
from bench.registry import FIGURES
from bench.results.study import Study

ACROSS = 3
#: Configurations drawn at most.
MOST = 12
#: Below this error (nats) the axis is linear.
LINEAR = 0.1
#: Share of the steps at the end over which the printed error is averaged.
END = 0.1


@FIGURES.register("tracking", version=1, order=10)
def tracking(study: Study) -> Figure | dict[str, Figure]:
    """Set point C(t), the KL that followed it, and the error C − KL, method by method; on training batches.

    Mean over seeds and the range of all of them. The axis of the error is linear up to 0.1 nats and logarithmic
    beyond; the number above it is the mean of the error's size over the last tenth of the steps.

    Parameters
    ----------
    study : Study
        Stored runs; those of methods with a set point are drawn.

    Returns
    -------
    Figure or dict of str to Figure
        One per data set.
    """
    return per_dataset(study, _draw)


def _draw(study: Study, dataset: str) -> Figure | None:
    stacks = {label: curves_of(study, dataset, label) for label in trained(study, dataset)}
    stacks = {k: v for k, v in stacks.items() if not v.empty and (v["set_point"] - v["kl"]).notna().any()}
    stacks = dict(list(stacks.items())[:MOST])
    if not stacks:
        return None
    columns = min(ACROSS, len(stacks))
    bands = -(-len(stacks) // columns)
    figure = new_figure(max(3.4, 1.0 + columns * (DOUBLE - 1.0) / ACROSS), 0.7 + 2.35 * bands)
    grid = figure.subplots(2 * bands, columns, squeeze=False, sharex=True, height_ratios=[1.3, 1.0] * bands)
    look = looks(study)
    for axes in grid.flat:
        axes.set_visible(False)
    errors: list[Axes] = []
    for index, (label, stack) in enumerate(stacks.items()):
        row, column = divmod(index, columns)
        above, below = grid[2 * row : 2 * row + 2, column]
        _panel(above, below, stack, look[label])
        above.set_title(wrapped(label, 34))
        below.set_xlabel("Steps" if index + columns >= len(stacks) else "")
        below.tick_params(labelbottom=True)
        below.xaxis.set_major_formatter(EngFormatter(sep=""))
        if column == 0:
            above.set_ylabel("KL (nats)")
            below.set_ylabel("C − KL (nats)")
        errors.append(below)
    ranges = [axes.get_ylim() for axes in errors]
    low, high = min(low for low, _ in ranges), max(high for _, high in ranges)
    for axes in errors:
        axes.set_ylim(low, high)
    handles = [
        Line2D([], [], color=GREY, label="KL, mean over seeds"),
        Line2D([], [], color="black", linestyle=(0, (1, 1.5)), linewidth=1, label="set point C"),
    ]
    legend_below(figure, [*handles, Patch(color=GREY, alpha=0.25, linewidth=0, label="range over seeds")], 3)
    return figure


def _panel(above: Axes, below: Axes, stack: pd.DataFrame, look: Look) -> None:
    for axes in (above, below):
        axes.set_visible(True)
    stack = stack.assign(error=stack["set_point"] - stack["kl"])
    target = stack.groupby("step")["set_point"].mean()
    band(above, stack, "kl", look.colour, spread="range")
    above.plot(target.index, target, color="black", linestyle=(0, (1, 1.5)), linewidth=1, zorder=4)
    above.set_ylim(bottom=min(0.0, float(stack["kl"].min())))
    below.axhline(0, color=GREY, linewidth=0.8, zorder=1)
    band(below, stack, "error", look.colour, spread="range")
    below.set_yscale("symlog", linthresh=LINEAR, linscale=0.7)
    ticks = [sign * 10.0**power for sign in (-1, 1) for power in (-1, 0, 1, 2)]
    below.yaxis.set_major_locator(FixedLocator([0.0, *ticks]))
    below.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}".replace("-", "−")))
    below.yaxis.set_minor_formatter(NullFormatter())
    late = stack[stack["step"] > (1 - END) * stack["step"].max()]["error"].abs().mean()
    below.set_title(f"at the end {late:.2g} nats off", loc="right", fontsize=7, pad=2)
