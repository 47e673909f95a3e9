"""Gains for which a PI controller of beta is stable, and the slopes it meets."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogFormatter
from numpy.typing import ArrayLike, NDArray

from bench.figures.axes import DOUBLE, SINGLE, cell, legend_below, new_figure, per_dataset, trained
from bench.figures.palette import GREY, looks
from bench.registry import FIGURES
from bench.results.study import Study

#: Methods whose beta comes from a PI controller with these gains.
CONTROLLED = ("control_vae", "dynamic_vae")
#: Ranges of the map's axes.
KP, KI = (1e-3, 10.0), (1e-4, 1.0)
#: Slopes above which their numbers would overlap; the axis says them too.
MOST_NUMBERS = 8


@dataclass(frozen=True)
class Setting:
    """Gains of some configurations, with the length T of the KL's moving average, and their labels."""

    kp: float
    ki: float
    window: int
    labels: tuple[str, ...]


@FIGURES.register("stability_map", version=1, order=13)
def stability_map(study: Study) -> Figure | dict[str, Figure]:
    """Largest slope q = −dKL/dbeta (nats per unit of beta) at which the PI controller is stable, over its gains.

    Linearised at the set point, with a KL that answers beta within one step: stable where Ki > 0, Kp q < 4 and (Kp/2 +
    Ki) q < 2; the last one binds. Markers are this study's controllers, in the legend with their limits including the
    moving average of the KL. The right panel, where the study has several fixed betas (β-VAE, and VAE), gives the
    slopes between neighbouring betas, from mean KLs after training, and the limits as lines. In training the KL lags
    behind beta by many steps: the loop is then slower than this condition says, and may oscillate where it is stable.

    Parameters
    ----------
    study : Study
        Stored runs; there is no figure without a method that has such a controller.

    Returns
    -------
    Figure or dict of str to Figure
        One per data set.
    """
    return per_dataset(study, _draw)


def critical_slope(kp: ArrayLike, ki: ArrayLike) -> NDArray[np.float64]:
    """Slope q (nats per unit of beta) up to which the loop without a moving average is stable.

    Jury's conditions for ``z^2 - (1 - kp q/4 - ki q) z - kp q/4``: ``ki > 0``, ``kp q < 4``, ``(kp/2 + ki) q < 2``.
    """
    p, i = np.asarray(kp, dtype=np.float64), np.asarray(ki, dtype=np.float64)
    with np.errstate(divide="ignore"):
        limit = np.minimum(4 / p, 2 / (p / 2 + i))
    return np.where(i > 0, limit, 0.0)


def critical_slope_averaged(kp: float, ki: float, window: int) -> float:
    """`critical_slope` with a uniform average over the last `window` KL values, from the loop's eigenvalues.

    ``x_t = x_{t-1} - (kp q/4) (m_t - m_{t-1}) - ki q m_t``, m the mean of ``x_{t-1} ... x_{t-window}``: the smallest
    q at which an eigenvalue reaches the unit circle, to a relative 1e-6.
    """
    if ki <= 0:
        return 0.0

    def stable(q: float) -> bool:
        # z^(T+1) - z^T + (q/T) ((kp/4 + ki) (z^T + ... + z) - (kp/4) (z^(T-1) + ... + 1)).
        powers = np.zeros(window + 2)
        powers[:2] = 1, -1
        powers[1 : window + 1] += q / window * (kp / 4 + ki)
        powers[2 : window + 2] -= q / window * kp / 4
        return bool(np.abs(np.roots(powers)).max() < 1)

    # Averages stabilise and destabilise, but no more than this.
    grid = np.geomspace(1e-3, 1e3, 400) * float(critical_slope(kp, ki))
    broken = next((index for index, q in enumerate(grid) if not stable(q)), None)
    if broken is None:
        return math.inf
    low, high = float(grid[max(broken - 1, 0)]), float(grid[broken])
    while high > low * (1 + 1e-6):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if stable(middle) else (low, middle)
    return low


def slopes(study: Study, dataset: str) -> list[tuple[float, float, float]]:
    """Between neighbouring fixed betas (the VAE's is 1): lower and higher mean KL (nats), and −ΔKL/Δbeta."""
    runs = study.runs
    points = []
    for label in trained(study, dataset):
        first = runs[(runs["dataset_label"] == dataset) & (runs["label"] == label)].iloc[0]
        kl = cell(study, dataset, label, "kl")
        if first["method"] in ("vae", "beta_vae") and kl is not None:
            beta = 1.0 if first["method"] == "vae" else study.specs[str(first["run"])]["method"]["hyper"]["beta"]
            points.append((float(beta), float(kl["mean"])))
    points.sort()
    neighbours = [(a, b) for a, b in itertools.pairwise(points) if b[0] > a[0]]
    return [(b[1], a[1], (a[1] - b[1]) / (b[0] - a[0])) for a, b in neighbours]


def settings(study: Study, dataset: str) -> list[Setting]:
    """Return the gains of the study's controllers, each once."""
    found: dict[tuple[float, float, int], list[str]] = {}
    runs = study.runs
    for label in trained(study, dataset):
        row = runs[(runs["dataset_label"] == dataset) & (runs["label"] == label)].iloc[0]
        hyper = study.specs[str(row["run"])]["method"].get("hyper", {})
        if row["method"] in CONTROLLED and {"kp", "ki"} <= hyper.keys():
            key = float(hyper["kp"]), float(hyper["ki"]), int(hyper.get("window", 1))
            found.setdefault(key, []).append(label)
    return [Setting(*key, tuple(labels)) for key, labels in found.items()]


def _draw(study: Study, dataset: str) -> Figure | None:
    controllers = settings(study, dataset)
    if not controllers:
        return None
    measured = [each for each in slopes(study, dataset) if each[2] > 0]
    figure = new_figure(DOUBLE if measured else SINGLE + 0.6, 3.0 + 0.17 * math.ceil(len(controllers) / 2))
    panels = figure.subplots(1, 2, squeeze=False)[0] if measured else [figure.subplots()]
    _map(panels[0], figure)
    look = looks(study)
    handles = []
    for index, setting in enumerate(controllers):
        own = look[setting.labels[0]]
        name = setting.labels[0] if len(setting.labels) == 1 else setting.labels[0].partition(" (")[0]
        window = f", T = {setting.window}" if setting.window > 1 else ""
        limit = critical_slope_averaged(setting.kp, setting.ki, setting.window)
        text = f"{name}: Kp = {setting.kp:g}, Ki = {setting.ki:g}{window}; limit\N{NO-BREAK SPACE}{limit:.3g}"
        # Settings may lie on one point: smaller markers and white outlines keep all of them visible.
        size = 9.0 - 2 * min(index, 3)
        panels[0].plot(setting.kp, setting.ki, own.marker, color=own.colour, markeredgecolor="white", markersize=size)
        handles.append(Line2D([], [], marker=own.marker, label=text, **own.line))
        if measured:
            panels[1].axhline(limit, **own.line)
    if measured:
        _measured(panels[1], measured)
        handles.append(Line2D([], [], color=GREY, linewidth=3, label="measured between two fixed betas"))
    legend_below(figure, handles, 2 if measured else 1)
    return figure


def _map(axes: Axes, figure: Figure) -> None:
    kp, ki = np.geomspace(*KP, 121), np.geomspace(*KI, 121)
    limit = critical_slope(*np.meshgrid(kp, ki))
    # One colour per pixel of a coarse grid: a vector file of triangles would be many times larger.
    image = axes.pcolormesh(kp, ki, limit, norm=LogNorm(1, 1e4), cmap="cividis", shading="nearest", rasterized=True)
    axes.contour(kp, ki, limit, levels=[1, 10, 100, 1000], colors="white", linewidths=0.7)
    for level in (10, 100, 1000):
        axes.text(1.15 * KP[0], 1.1 * (2 / level - KP[0] / 2), f"{level:,}", color="white", fontsize=7)
    axes.set(xscale="log", yscale="log", xlabel="Kp", ylabel="Ki")
    axes.grid(visible=False)
    axes.set_title("Critical slope without averaging")
    figure.colorbar(image, ax=axes, label="critical slope q (nats per unit of beta)", format=LogFormatter())


def _measured(axes: Axes, measured: list[tuple[float, float, float]]) -> None:
    for low, high, slope in measured:
        axes.plot([low, high], [slope, slope], color=GREY, linewidth=3, solid_capstyle="butt")
        if len(measured) <= MOST_NUMBERS:
            axes.text((low + high) / 2, slope * 1.15, f"{slope:.2g}", ha="center", va="bottom", fontsize=7)
    axes.set_yscale("log")
    axes.set_xlim(left=0)
    axes.margins(y=0.15)
    axes.set_xlabel("KL (nats)")
    axes.set_ylabel("−dKL/dbeta (nats per unit of beta)")
    axes.set_title("Slopes met, and the limits")
