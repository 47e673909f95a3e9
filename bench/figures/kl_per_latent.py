"""KL of every latent during training."""

from __future__ import annotations

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter

from bench.aggregate import Study, read_curves
from bench.figures._style import DOUBLE, SINGLE, legend_below, new_figure, per_dataset, runs_of, trained
from bench.registry import FIGURES

#: Final KL (nats) under which a latent carries nothing and gets no name.
DEAD = 0.1


@FIGURES.register("kl_per_latent", version=1, order=4)
def kl_per_latent(study: Study) -> Figure | dict[str, Figure]:
    """KL of every latent during training, lowest seed of each method, sorted by the KL at the end.

    Names at the right are those of the latents that carry anything (more than 0.1 nats). On training batches.

    Parameters
    ----------
    study : Study
        Stored runs.

    Returns
    -------
    Figure or dict of str to Figure
        One per data set, with a panel per method.
    """
    return per_dataset(study, _draw)


def _draw(study: Study, dataset: str) -> Figure | None:
    panels = {}
    for label in trained(study, dataset):
        first = runs_of(study, dataset, label).iloc[0]
        curve = read_curves(study, str(first["run"]))
        if len(curve):
            panels[f"{label}, seed {first['seed']}"] = curve
    if not panels:
        return None
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    figure = new_figure(SINGLE if columns == 1 else DOUBLE, 0.45 + 1.75 * rows)
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    colours = matplotlib.colormaps["viridis"]
    n_latents = 0
    for axes, (title, curve) in zip(grid.flat, panels.items(), strict=False):
        latents = [column for column in curve.columns if column.startswith("kl_")]
        tail = curve[latents].tail(max(1, len(curve) // 20)).mean()
        ranked = [str(name) for name in tail.sort_values(ascending=False, kind="stable").index]
        n_latents = max(n_latents, len(ranked))
        for rank, name in enumerate(ranked):
            colour = colours(0.92 * rank / max(len(ranked) - 1, 1))
            axes.plot(curve["step"], curve[name], color=colour, linewidth=1.1, zorder=3 - rank / 100)
        alive = [name for name in ranked if tail[name] > DEAD]
        top = max(float(c.filter(regex=r"^kl_\d").max().max()) for c in panels.values())
        for name, y in zip(alive, _spread([float(tail[n]) for n in alive], 0.085 * top), strict=True):
            axes.annotate(
                f"$z_{{{name.removeprefix('kl_')}}}$", (float(curve["step"].iloc[-1]), y), xytext=(2, 0),
                textcoords="offset points", va="center", fontsize=7, annotation_clip=False,
            )  # fmt: skip
        axes.set_title(title)
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    for column in range(columns):
        lowest = max(row for row in range(rows) if row * columns + column < len(panels))
        grid[lowest, column].tick_params(labelbottom=True)
    for row in range(rows):
        grid[row, 0].set_ylabel("KL (nats)")
    figure.supxlabel("Steps", fontsize=8)
    ranks = sorted({0, n_latents // 2, n_latents - 1})
    names = {0: "largest KL at the end", n_latents // 2: "middle", n_latents - 1: "smallest"}
    handles = [
        Line2D([], [], color=colours(0.92 * rank / max(n_latents - 1, 1)), label=names[rank])
        for rank in ranks
    ]
    legend_below(figure, handles, 3)
    return figure


def _spread(heights: list[float], gap: float) -> list[float]:
    """Move labels apart: heights in falling order, each at least `gap` below the one before."""
    placed = np.array(heights)
    for i in range(len(placed) - 2, -1, -1):
        placed[i] = max(placed[i], placed[i + 1] + gap)
    return [float(y) for y in placed]
