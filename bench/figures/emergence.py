"""When latents begin to be used."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, FixedLocator, MaxNLocator

from bench.figures.axes import DOUBLE, new_figure, per_dataset, runs_of, shown, wrapped
from bench.figures.palette import Look, looks
from bench.registry import FIGURES
from bench.results.curves import read_curves
from bench.results.study import Study

ACROSS = 3
#: KL (nats) above which a latent is in use.
IN_USE = 0.1


@FIGURES.register("emergence", version=1, order=12)
def emergence(study: Study) -> Figure | dict[str, Figure]:
    """Step from which each latent's KL stays above 0.1 nats, in the order in which a run's latents get there.

    A dot per seed; a tick is their median, drawn where at least half of the seeds use so many latents. Latents that
    are in use at the first step that was recorded and lose it again count from when they regain it. The upper axis
    is the set point at that step (mean over seeds, nats), for methods that have one.

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


def first_steps(curve: pd.DataFrame) -> list[float]:
    """Steps from which latents' KLs stay above `IN_USE` until the end, sorted; those that end below it have none."""
    out = []
    for name in [column for column in curve.columns if str(column).startswith("kl_")]:
        above = curve[name].to_numpy() > IN_USE
        if above.size and above[-1]:
            below = np.flatnonzero(~above)
            out.append(float(curve["step"].iloc[below[-1] + 1 if below.size else 0]))
    return sorted(out)


def _draw(study: Study, dataset: str) -> Figure | None:
    panels: dict[str, list[pd.DataFrame]] = {}
    for label in shown(study, dataset):
        curves = [read_curves(study, run) for run in runs_of(study, dataset, label)["run"]]
        # Codes without noise have no KL.
        if any(len(curve) and curve["kl"].notna().any() for curve in curves):
            panels[label] = curves
    if not panels:
        return None
    columns = min(ACROSS, len(panels))
    rows = -(-len(panels) // columns)
    figure = new_figure(max(3.4, 0.8 + columns * (DOUBLE - 0.8) / ACROSS), 0.3 + 1.75 * rows)
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    look = looks(study)
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    most = 1
    for index, (axes, (label, curves)) in enumerate(zip(grid.flat, panels.items(), strict=False)):
        most = max(most, _panel(axes, curves, look[label]))
        axes.set_title(wrapped(label, 34))
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        if index + columns >= len(panels):
            axes.tick_params(labelbottom=True)
            axes.set_xlabel("Steps")
        if index % columns == 0:
            axes.set_ylabel("Latents in use")
    last = max(float(curve["step"].max()) for curves in panels.values() for curve in curves if len(curve))
    grid[0, 0].set_xlim(-0.03 * last, 1.03 * last)
    grid[0, 0].set_ylim(0.4, most + 0.6)
    grid[0, 0].yaxis.set_major_locator(FixedLocator(range(1, most + 1)))
    ticks = [float(tick) for tick in MaxNLocator(5, steps=[1, 2, 5, 10]).tick_values(0, last) if 0 <= tick <= last]
    grid[0, 0].set_xticks(ticks)
    for axes, curves in zip(grid.flat, panels.values(), strict=False):
        _set_points(axes, curves, ticks)
    return figure


def _panel(axes: Axes, curves: list[pd.DataFrame], look: Look) -> int:
    found = [first_steps(curve) for curve in curves]
    most = max(map(len, found))
    for place in range(most):
        steps = np.array([steps[place] if place < len(steps) else np.nan for steps in found])
        # Seeds are spread in their order: random jitter would change from one rendering to the next.
        spread = np.linspace(-0.25, 0.25, len(steps)) if len(steps) > 1 else np.zeros(1)
        axes.plot(steps, place + 1 + spread, look.marker, color=look.colour, markersize=3, alpha=0.6, markeredgewidth=0)
        if 2 * np.isfinite(steps).sum() >= len(steps):
            middle = float(np.nanmedian(steps))
            axes.plot([middle, middle], [place + 0.65, place + 1.35], color="black", linewidth=1.2, zorder=4)
    return most


def _set_points(axes: Axes, curves: list[pd.DataFrame], ticks: list[float]) -> None:
    """Label the upper edge with the set point at the steps of the ticks below."""
    target = pd.concat(curves).groupby("step")["set_point"].mean().dropna()
    if target.empty:
        return
    upper = axes.secondary_xaxis("top")
    values = np.interp(ticks, target.index.to_numpy(), target.to_numpy())
    upper.set_xticks(ticks, [f"{round(value, 1):g}" for value in values])
    upper.set_xlabel("set point (nats)", fontsize=7, labelpad=2)
    upper.tick_params(length=2, pad=1, labelsize=6.5)
