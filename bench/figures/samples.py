"""Images that decoders make of codes drawn from the prior."""

from __future__ import annotations

from matplotlib.figure import Figure

from bench.figures._montage import read_montages
from bench.figures.axes import DOUBLE, new_figure, per_dataset, shown, wrapped
from bench.registry import FIGURES
from bench.results.study import Study

#: Characters of a title over the page's whole width.
WIDTH = 92


@FIGURES.register("samples", version=1, order=7.5)
def samples(study: Study) -> Figure | dict[str, Figure]:
    """Mean images of 20 codes drawn from the prior N(0, I), the same codes for each method; lowest seed of each.

    A panel's title says the method with what its settings differ in, the seed and the steps. Images aren't chosen, and
    the decoder's noise isn't added. Methods whose codes have no noise have no prior to draw from and are left out, as
    are runs that were stored without these images.

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
    montages = read_montages(study, dataset, shown(study, dataset), "samples.png")
    if not montages:
        return None
    columns = 2 if len(montages) > 1 else 1
    rows = -(-len(montages) // columns)
    steps = [study.specs[montage.run]["steps"] for montage in montages]
    said = [f"{montage.title}, {n:,} steps" for montage, n in zip(montages, steps, strict=True)]
    titles = [wrapped(title, WIDTH // columns) for title in said]
    high, wide = montages[0].pixels.shape[:2]
    height = 0.16 + 0.14 * max(title.count("\n") + 1 for title in titles) + (DOUBLE / columns - 0.15) * high / wide
    figure = new_figure(DOUBLE, rows * height + 0.1)
    panels = figure.subplots(rows, columns, squeeze=False)
    for axes in panels.flat:
        axes.set_axis_off()
    for axes, montage, title in zip(panels.flat, montages, titles, strict=False):
        axes.imshow(montage.pixels, cmap="gray", vmin=0, vmax=1)
        axes.set_title(title, loc="left", pad=3)
    return figure
