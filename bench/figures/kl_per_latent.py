"""KL of every latent during training."""

from __future__ import annotations

import matplotlib
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter

from bench.figures.axes import DOUBLE, SINGLE, legend_below, new_figure, per_dataset, runs_of, shown, wrapped
from bench.registry import FIGURES
from bench.results.curves import read_curves
from bench.results.study import Study

#: Final KL (nats) above which a latent counts as active here.
DEAD = 0.1


@FIGURES.register("kl_per_latent", version=1, order=5)
def kl_per_latent(study: Study) -> Figure | dict[str, Figure]:
    """KL of every latent during training, lowest seed of each method, sorted by the KL at the end.

    On training batches. Latents count as active above 0.1 nats at the end.

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
    for label in shown(study, dataset):
        first = runs_of(study, dataset, label).iloc[0]
        curve = read_curves(study, str(first["run"]))
        # Codes without noise have no KL: an empty panel would read as "no latent is active".
        if len(curve) and curve["kl"].notna().any():
            panels[f"{label}, seed {first['seed']}"] = curve
    if not panels:
        return None
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    figure = new_figure(SINGLE if columns == 1 else DOUBLE, 0.45 + 1.85 * rows)
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
        alive = sum(bool(tail[name] > DEAD) for name in ranked)
        axes.set_title(f"{wrapped(title, 36)}\n{alive} of {len(ranked)} latents active")
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    for column in range(columns):
        lowest = max(row for row in range(rows) if row * columns + column < len(panels))
        grid[lowest, column].tick_params(labelbottom=True)
        grid[lowest, column].set_xlabel("Steps")
    for row in range(rows):
        grid[row, 0].set_ylabel("KL (nats)")
    ranks = sorted({0, n_latents // 2, n_latents - 1})
    names = {0: "largest KL at the end", n_latents // 2: "middle", n_latents - 1: "smallest"}
    handles = [Line2D([], [], color=colours(0.92 * rank / max(n_latents - 1, 1)), label=names[rank]) for rank in ranks]
    legend_below(figure, handles, 3)
    return figure
