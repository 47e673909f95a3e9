"""Rank correlations between the scores."""

from __future__ import annotations

import numpy as np
import pandas as pd
import seaborn
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bench.figures.axes import DOUBLE, new_figure, per_dataset, trained, wrapped
from bench.formatting import heading
from bench.registry import FIGURES
from bench.results.study import Study
from bench.results.summary import score_info
from bench.stats import spearman_matrix

#: Fewest runs, and fewest configurations, over which ranks are compared.
FEWEST = 8
#: Scores above which the panels stand one below the other.
BESIDE = 12
#: Symmetric and readable in grey by the numbers that are printed.
COLOURS = "PuOr"


@FIGURES.register("correlation", version=1, order=8)
def correlation(study: Study) -> Figure | dict[str, Figure]:
    """Spearman's rank correlation between scores: over runs, and over the means of configurations.

    Only methods that were trained. Scores of which lower is better have changed their sign, so +1 means that two
    scores agree on what is better; KL and active units have no better direction and keep theirs. The runs of one
    configuration are alike, so n of the left panel counts more than there are independent observations; the right
    panel leaves the seeds out and appears from eight configurations on. A correlation over methods says nothing of
    the seeds of one method.

    Parameters
    ----------
    study : Study
        Stored runs.

    Returns
    -------
    Figure or dict of str to Figure
        One per data set with at least eight runs.
    """
    return per_dataset(study, _draw)


def _draw(study: Study, dataset: str) -> Figure | None:
    runs = study.runs
    runs = runs[(runs["dataset_label"] == dataset) & (runs["status"] == "ok")]
    runs = runs[runs["label"].isin(trained(study, dataset))]
    # A score that never moves has no ranks.
    scores = [score for score in study.scores if runs[score].min() < runs[score].max()]
    if len(runs) < FEWEST or len(scores) < 2:
        return None
    panels = {f"{len(runs)} runs": runs[scores]}
    means = runs.groupby("label", sort=False)[scores].mean()
    if len(means) >= FEWEST:
        panels[f"means of {len(means)} configurations"] = means
    k, beside = len(scores), len(panels) == 2 and len(scores) <= BESIDE
    side = max((0.25 if beside else 0.27) * k, 1.6)
    size = (DOUBLE, side + 1.3) if beside else (min(DOUBLE, side + 2.2), len(panels) * (side + 0.3) + 1.3)
    figure = new_figure(*size)
    shape = (1, len(panels)) if beside else (len(panels), 1)
    grid = figure.subplots(*shape, sharex=True, sharey=True, squeeze=False).ravel()
    names = [_heading(score) for score in scores]
    for axes, (title, table) in zip(grid, panels.items(), strict=True):
        rho = spearman_matrix(aligned(table).to_numpy(dtype=float)).rho
        seaborn.heatmap(
            rho, vmin=-1, vmax=1, cmap=COLOURS, annot=_texts(rho), fmt="", annot_kws={"fontsize": 6}, cbar=False,
            square=True, rasterized=True, xticklabels=names, yticklabels=names, ax=axes,
        )  # fmt: skip
        for text, value in zip(axes.texts, rho[np.isfinite(rho)], strict=True):
            # Seaborn's own choice is white on the lighter ones, too.
            text.set_color("white" if abs(value) > 0.65 else "black")
        axes.tick_params("x", rotation=90, length=0)
        axes.tick_params("y", rotation=0, length=0)
        axes.set_title(title)
    cells, label = grid[0].collections[0], "Spearman's rank correlation"
    figure.colorbar(cells, ax=list(grid), shrink=0.6, aspect=30, label=label, ticks=[-1, 0, 1])
    return figure


def aligned(table: pd.DataFrame) -> pd.DataFrame:
    """Change the sign of the scores of which lower is better."""
    signs = {score: -1.0 if score_info(str(score)).higher_is_better is False else 1.0 for score in table.columns}
    return table * pd.Series(signs)


def _heading(score: str) -> str:
    info = score_info(score)
    return heading(wrapped(info.label, 24), info.higher_is_better)


def _texts(rho: NDArray[np.float64]) -> list[list[str]]:
    return [["" if i == j else _short(value) for j, value in enumerate(row)] for i, row in enumerate(rho)]


def _short(value: float) -> str:
    """Two digits without the leading zero, which a cell has no room for."""
    text = f"{value:.2f}".replace("-", "−").replace("0.", ".")
    return {"−.00": ".00", "1.00": "1", "−1.00": "−1"}.get(text, text)
