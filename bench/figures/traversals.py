"""Latent traversals."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.figures._montage import Montage, final_kl, read_montages
from bench.figures.axes import DOUBLE, literal, new_figure, per_dataset, shown
from bench.registry import FIGURES
from bench.results.study import Study

#: Images per query: each latent goes from -3 to 3 in steps of 2/3.
STEPS = 10
#: Methods above which they are spread over pages, and how many those hold; fewer of images that are higher than wide.
MOST, ON_PAGE = 5, 4


@FIGURES.register("traversals", version=1, order=6)
def traversals(study: Study) -> Figure | dict[str, Figure]:
    """Latent traversals of the lowest seed of each method, all latents, largest KL first.

    Each row moves one latent from -3 to 3 in ten steps, the others staying at the mean code of the query
    image; one block of columns per query image. Nothing is picked by hand; untrained networks, whose images
    are noise, are left out. The number before a row is the latent's KL in nats. Codes
    without noise have none: their rows are in the order in which the run stored them.

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


def _draw(study: Study, dataset: str) -> Figure | dict[str, Figure] | None:
    montages = read_montages(study, dataset, shown(study, dataset), "traversals.png")
    if not montages:
        return None
    _, height, width = montages[0].grid(study.specs[montages[0].run]["network"]["latent_dim"])
    most, on_page = (max(1, round(number * min(1.0, width / height))) for number in (MOST, ON_PAGE))
    if len(montages) <= most:
        return _page(study, montages)
    pages = [montages[start : start + on_page] for start in range(0, len(montages), on_page)]
    return {f"page-{number}": _page(study, page) for number, page in enumerate(pages, 1)}


def _page(study: Study, montages: list[Montage]) -> Figure:
    heights = [0.33 + (DOUBLE - 0.6) * m.pixels.shape[0] / m.pixels.shape[1] for m in montages]
    figure = new_figure(DOUBLE, sum(heights) + 0.1)
    panels = figure.subplots(len(montages), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes, montage in zip(panels, montages, strict=True):
        _panel(axes, montage, study.specs[montage.run]["network"]["latent_dim"], final_kl(study, montage.run))
    return figure


def _panel(axes: Axes, montage: Montage, n_latents: int, kl: list[float] | None) -> None:
    columns, height, width = montage.grid(n_latents)
    axes.imshow(montage.pixels, cmap="gray", vmin=0, vmax=1)
    axes.set_title(literal(montage.title), loc="left", pad=3)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, pad=2)
    axes.set_yticks([])
    if kl is not None and len(kl) == n_latents:
        axes.set_yticks([(row + 0.5) * height - 1 for row in range(n_latents)], [f"{v:.1f}" for v in kl])
        axes.set_ylabel("KL (nats)")
    edges = [(block + place) * width - 1 for block in range(0, columns, STEPS) for place in (0.5, 5, 9.5)]
    axes.set_xticks(edges, ["−3", "0", "3"] * (len(edges) // 3))
    for block in range(STEPS, columns, STEPS):
        axes.axvline(block * width - 1, color="white", linewidth=2.5)
