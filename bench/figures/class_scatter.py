"""Codes of images with class labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from bench.figures.axes import (
    DOUBLE,
    control_label,
    legend_below,
    literal,
    new_figure,
    per_dataset,
    runs_of,
    shown,
    wrapped,
)
from bench.figures.palette import CYCLE
from bench.registry import DATASETS, FIGURES
from bench.results.study import Study

#: Panels in a row.
COLUMNS = 3
#: Markers of the classes; two with the same colour have markers that don't look alike.
SHAPES = "os^Dv<>pX*dP"
#: Classes above which there are no names.
MOST_NAMED = 20
#: Share of a latent's variance that the class explains below which names in the panel would lie on top of each other.
APART = 0.2
#: Characters of a class's name in a panel.
WIDTH = 12


@FIGURES.register("class_scatter", version=1, order=9.5)
def class_scatter(study: Study) -> Figure | dict[str, Figure]:
    """Codes of images by their class, in the two latents that tell classes apart best, lowest seed.

    Posterior means of up to 500 images that the linear probe wasn't fitted to; the model may have been trained on
    them. The two latents are those of which the class explains most of the variance, that share in per cent beside
    their number; all others are left out, so that classes which lie on top of each other here may be apart in them.
    Names stand at the means of their classes where these are apart. Above each panel, the accuracy of the linear
    probe on all latents. Untrained networks come last.

    Parameters
    ----------
    study : Study
        Stored runs; those with a linear probe are drawn.

    Returns
    -------
    Figure or dict of str to Figure
        One per data set with class labels.
    """
    return per_dataset(study, _draw)


def _draw(study: Study, dataset: str) -> Figure | None:
    control = control_label(study, dataset)
    found = []
    for label in [*shown(study, dataset), *([control] if control else [])]:
        for run, seed in runs_of(study, dataset, label)[["run", "seed"]].itertuples(index=False):
            details = study.result(run).get("details", {}).get("linear_probe", {})
            if "scatter" in details:
                found.append((f"{label}, seed {seed}", run, details))
                break
    if not found:
        return None
    columns = min(COLUMNS, len(found))
    rows = -(-len(found) // columns)
    classes = sorted({label for _, _, details in found for label in details["scatter"]["labels"]})
    names = _names(study, found[0][1], classes)
    legend = len(classes) <= MOST_NAMED
    figure = new_figure(DOUBLE, 0.1 + 2.5 * rows + (0.18 * -(-len(classes) // 8) + 0.1 if legend else 0))
    panels = figure.subplots(rows, columns, squeeze=False)
    for axes in panels.flat[len(found) :]:
        axes.set_visible(False)
    for axes, (title, run, details) in zip(panels.flat, found, strict=False):
        apart = max(details["scatter"]["explained"]) >= APART
        _panel(axes, details["scatter"], classes, names, named=legend and apart)
        accuracy = study.runs.set_index("run").loc[run, "linear_probe"]
        axes.set_title(f"{wrapped(title, 30)}\nlinear probe {accuracy:.3f}, chance {details['chance']:.3f}", fontsize=7)
    if legend:
        handles = [
            Line2D([], [], linestyle="none", markersize=4, label=literal(names[label]), **_look(place))
            for place, label in enumerate(classes)
        ]
        legend_below(figure, handles, min(8, len(classes)))
    return figure


def _panel(axes: Axes, scatter: dict[str, Any], classes: list[int], names: dict[int, str], *, named: bool) -> None:
    codes, labels = np.array(scatter["codes"]), np.array(scatter["labels"])
    across, up = codes[0], codes[1] if len(codes) > 1 else np.zeros(len(labels))
    for place, label in enumerate(classes):
        own = labels == label
        axes.plot(across[own], up[own], linestyle="none", markersize=2.6, alpha=0.7, zorder=2, **_look(place))
    for place, label in enumerate(classes):
        own = labels == label
        if named and own.any():
            text = axes.text(
                across[own].mean(), up[own].mean(), literal(names[label])[:WIDTH],
                ha="center", va="center", fontsize=7, weight="bold", color=_look(place)["color"], zorder=4,
            )  # fmt: skip
            text.set_path_effects([withStroke(linewidth=2, foreground="white")])
    shares = [
        f"z{latent} ({share:.0%})" for latent, share in zip(scatter["latents"], scatter["explained"], strict=True)
    ]
    axes.set_xlabel(shares[0])
    axes.set_ylabel(shares[1] if len(shares) > 1 else "")


def _look(place: int) -> dict[str, Any]:
    return {"marker": SHAPES[place % len(SHAPES)], "color": CYCLE[place % len(CYCLE)][0], "markeredgewidth": 0}


def _names(study: Study, run: str, classes: list[int]) -> dict[int, str]:
    """Names of the classes, as the run stored them, or as its data set has them, or numbers."""
    names = study.result(run).get("label_names") or ()
    dataset = study.specs[run]["dataset"]["name"]
    if not names and dataset in DATASETS:
        names = getattr(DATASETS.get(dataset).value, "label_names", ())
    return {label: str(names[label]) if 0 <= label < len(names) else str(label) for label in classes}
