"""Originals and reconstructions."""

from __future__ import annotations

from matplotlib.figure import Figure

from bench.figures._montage import read_montages
from bench.figures.axes import DOUBLE, control_label, new_figure, per_dataset, shown, wrapped
from bench.registry import FIGURES
from bench.results.study import Study

#: Characters of a title over the page's whole width.
WIDTH = 92


@FIGURES.register("reconstructions", version=1, order=7)
def reconstructions(study: Study) -> Figure | dict[str, Figure]:
    """Originals and their reconstructions from the mean code, lowest seed of each method.

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
    control = control_label(study, dataset)
    labels = [*shown(study, dataset), *([control] if control else [])]
    montages = read_montages(study, dataset, labels, "reconstructions.png")
    if not montages:
        return None
    columns = 2 if len(montages) > 1 else 1
    rows = -(-len(montages) // columns)
    shape = montages[0].pixels.shape
    titles = [wrapped(montage.title, WIDTH // columns) for montage in montages]
    height = 0.16 + 0.14 * max(title.count("\n") + 1 for title in titles)
    height += (DOUBLE / columns - 0.75) * shape[0] / shape[1]
    figure = new_figure(DOUBLE, rows * height + 0.1)
    panels = figure.subplots(rows, columns, squeeze=False)
    for axes in panels.flat:
        axes.set_axis_off()
    for axes, montage, title in zip(panels.flat, montages, titles, strict=False):
        axes.set_axis_on()
        axes.imshow(montage.pixels, cmap="gray", vmin=0, vmax=1)
        axes.set_title(title, loc="left", pad=3)
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0, pad=2)
        quarter = montage.pixels.shape[0] / 4
        axes.set_xticks([])
        axes.set_yticks([quarter, 3 * quarter], ["original", "decoded"])
    return figure
