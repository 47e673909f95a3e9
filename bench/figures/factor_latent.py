"""Which latent carries which factor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bench.figures.axes import DOUBLE, literal, new_figure, per_dataset, runs_of, shown, wrapped
from bench.registry import FIGURES
from bench.results.per_factor import factor_names
from bench.results.study import Study

#: Light to dark with the value, readable in grey.
COLOURS = "Blues"
#: Methods side by side.
ACROSS = 5
#: Latents drawn; what follows has the least KL.
MOST_LATENTS = 16


@dataclass(frozen=True)
class Tables:
    """What one run says of its latents and factors.

    Attributes
    ----------
    title : str
        Method and seed.
    information, importance : ndarray of shape (latents, factors) or None
        Mutual information as a share of the factor's entropy, in [0, 1]; DCI's importances, whose columns sum to one.
        NaN where a factor can't be scored.
    kl : ndarray of shape (latents,) or None
        Nats per image; None for codes without noise.
    """

    title: str
    information: NDArray[np.float64] | None
    importance: NDArray[np.float64] | None
    kl: NDArray[np.float64] | None

    @property
    def order(self) -> NDArray[np.intp]:
        """Latents by KL, largest first; as they are where there is none."""
        size = next(len(table) for table in (self.information, self.importance) if table is not None)
        order = np.arange(size) if self.kl is None else np.argsort(-self.kl, kind="stable")
        return order[:MOST_LATENTS]


@FIGURES.register("factor_latent", version=1, order=9)
def factor_latent(study: Study) -> Figure | dict[str, Figure]:
    """Latents against factors, lowest seed of each method: mutual information above, DCI's importance below it.

    Mutual information is given as a share of the factor's entropy; importances of a factor sum to one, even where it
    can't be predicted. Latents are sorted by their KL (nats, in brackets); those of codes without noise keep their
    order. Factors that can't be scored are left out.

    Parameters
    ----------
    study : Study
        Stored runs.

    Returns
    -------
    Figure or dict of str to Figure
        One per data set that has factors.
    """
    return per_dataset(study, _draw)


def _draw(study: Study, dataset: str) -> Figure | None:
    found = [tables for label in shown(study, dataset) if (tables := _tables(study, dataset, label)) is not None]
    if not found:
        return None
    columns = min(ACROSS, len(found))
    bands = -(-len(found) // columns)
    latents, factors = max(len(tables.order) for tables in found), _factors(study, dataset, found)
    height = 0.1 + 0.115 * latents
    figure = new_figure(max(3.4, 0.9 + columns * DOUBLE / (ACROSS + 0.7)), 0.8 + bands * (0.75 + 2 * height))
    grid = figure.subplots(2 * bands, columns, squeeze=False)
    for axes in grid.flat:
        axes.set_visible(False)
    for index, tables in enumerate(found):
        band, column = divmod(index, columns)
        pair = grid[2 * band : 2 * band + 2, column]
        for axes, table in zip(pair, (tables.information, tables.importance), strict=True):
            if table is not None:
                axes.set_visible(True)
                _panel(axes, table, tables, factors)
        first = next(axes for axes in pair if axes.get_visible())
        # Flush right, over the tick labels: panels are narrower than names.
        first.set_title(wrapped(tables.title, 22), loc="right", fontsize=7)
        last = next(axes for axes in pair[::-1] if axes.get_visible())
        last.set_xticks(range(len(factors)), [name for _, name in factors], rotation=90, fontsize=6.5)
        if column == 0:
            for axes, name in zip(pair, ("Mutual information", "DCI importance"), strict=True):
                axes.set_ylabel(name)
    scale = ScalarMappable(Normalize(0, 1), COLOURS)
    figure.colorbar(
        scale, ax=list(grid.flat), location="bottom", shrink=0.5, aspect=40, pad=0.01, ticks=[0, 0.5, 1],
        label="share of the factor's entropy (above), importance (below)",
    )  # fmt: skip
    return figure


def _panel(axes: Axes, table: NDArray[np.float64], tables: Tables, factors: list[tuple[int, str]]) -> None:
    order = tables.order
    columns = [index for index, _ in factors]
    axes.imshow(table[order][:, columns], cmap=COLOURS, vmin=0, vmax=1, aspect="auto")
    kl = [""] * len(table) if tables.kl is None else [f" ({value:.1f})" for value in tables.kl]
    axes.set_yticks(range(len(order)), [f"z{latent}{kl[latent]}" for latent in order], fontsize=6)
    axes.set_xticks([])
    axes.grid(visible=False)
    axes.tick_params(length=0, pad=1.5)
    axes.spines[:].set_visible(False)


def _tables(study: Study, dataset: str, label: str) -> Tables | None:
    first = runs_of(study, dataset, label).iloc[0]
    details = study.result(first["run"]).get("details", {})
    mig, dci = details.get("mig", {}), details.get("dci", {})
    information, importance = _floats(mig.get("mutual_information")), _floats(dci.get("importance"))
    entropy = _floats(mig.get("entropy"))
    if information is not None:
        information = None if entropy is None else information / entropy
    if information is None and importance is None:
        return None
    kl = _floats(details.get("kl", {}).get("kl_per_latent"))
    return Tables(f"{label}, seed\N{NO-BREAK SPACE}{first['seed']}", information, importance, kl)


def _floats(values: Any) -> NDArray[np.float64] | None:
    """Stored numbers as an array, with NaN for None."""
    return None if values is None else np.array(values, dtype=np.float64)


def _factors(study: Study, dataset: str, found: list[Tables]) -> list[tuple[int, str]]:
    """Index and name of the factors that some method's table scores."""
    tables = [table for each in found for table in (each.information, each.importance) if table is not None]
    scored = np.any([np.isfinite(table).any(axis=0) for table in tables], axis=0)
    runs = study.runs[(study.runs["dataset_label"] == dataset) & (study.runs["status"] == "ok")]
    result = study.result(runs["run"].iloc[0])
    names = factor_names(result, str(runs["dataset"].iloc[0]), len(scored))
    return [(index, literal(name.replace("_", " "))) for index, name in enumerate(names) if scored[index]]
