"""The best beta by coherence, signal-to-noise ratio and number of factors."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from bench.analytic import oracle
from bench.analytic.model import LinearGaussian
from bench.figures._analytic import LOOKS, applies
from bench.figures.axes import DOUBLE, new_figure
from bench.figures.palette import GREY
from bench.registry import FIGURES
from bench.results.study import Study

COSINES = np.linspace(0.0, 0.95, 20)
SNR = np.geomspace(0.1, 1000, 17)
SIZES = (2, 8)
LEVELS = (1.1, 1.5, 2.0, 4.0)
#: Random mixings: dimensions of the data, how many per point, and the signal-to-noise ratios.
DIMENSIONS, DESIGNS = 32, 3
RATIOS = (1.0, 10.0, 100.0, 1000.0)


@FIGURES.register("best_beta_phases", version=1, order=25)
def best_beta_phases(study: Study) -> Figure | None:
    """The best beta for E log q(s|x), by the columns' cosine, signal-to-noise ratio and the share of factors k / d.

    Closed forms for linear-Gaussian data, the true decoder and a factorised posterior; no run is in it. Left and
    middle: 2 and 8 columns of equal norm, every two with the same cosine; the steep border on the right is a jump from
    one of two maxima to the other. Right: mixings with independent N(0, 1 / d)
    entries in d = 32 dimensions, mean over three; dotted is 1 / (1 - k / d), to which much signal was found to lead and
    which isn't proved.

    Parameters
    ----------
    study : Study
        Stored runs; there is no figure without linear-Gaussian data.

    Returns
    -------
    Figure or None
    """
    if not applies(study):
        return None
    figure = new_figure(DOUBLE, 2.75)
    panels = figure.subplots(1, 3, width_ratios=[1, 1, 1.15])
    for axes, k in zip(panels, SIZES, strict=False):
        image = _map(axes, k)
        axes.set_title(f"{k} factors")
    panels[0].set_ylabel("signal-to-noise ratio, |a|² / σ²")
    panels[1].tick_params(labelleft=False)
    figure.colorbar(image, ax=panels[1], label="best beta", ticks=[1, 2, 4, 8, 16], format="%g")
    _random(panels[2])
    return figure


def equicorrelated(k: int, cosine: float, snr: float) -> LinearGaussian:
    """`k` columns of unit norm, every two with this cosine, at this signal-to-noise ratio; d = k."""
    common, rest = np.sqrt(1 + (k - 1) * cosine), np.sqrt(1 - cosine)
    return LinearGaussian(rest * np.eye(k) + (common - rest) / k, 1 / snr)


def _map(axes: Axes, k: int) -> Any:
    best = np.array([[oracle.beta_star(equicorrelated(k, c, s)) for c in COSINES.tolist()] for s in SNR.tolist()])
    image = axes.pcolormesh(COSINES, SNR, best, norm=LogNorm(1, 16), cmap="cividis", shading="gouraud", rasterized=True)
    lines = axes.contour(COSINES, SNR, best, levels=LEVELS, colors="white", linewidths=0.8)
    axes.clabel(lines, fmt="%g", fontsize=6.5, inline_spacing=1)
    axes.set(yscale="log", xlabel="cosine of the columns")
    axes.grid(visible=False)
    return image


def _random(axes: Axes) -> None:
    sizes = np.array([1, 4, 8, 12, 16, 20, 24, 28])
    for snr, (colour, dashes, marker) in zip(RATIOS, LOOKS, strict=False):
        means = []
        for k in sizes:
            # The same mixings at every ratio.
            rng = np.random.default_rng(int(k))
            drawn = rng.normal(size=(DESIGNS, DIMENSIONS, int(k))) / np.sqrt(DIMENSIONS)
            means.append(np.mean([oracle.beta_star(LinearGaussian(mixing, 1 / snr)) for mixing in drawn]))
        axes.plot(sizes / DIMENSIONS, means, color=colour, linestyle=dashes, marker=marker, markersize=3,
                  label=f"SNR {snr:g}")  # fmt: skip
    share = np.linspace(0, 0.88, 100)
    axes.plot(share, 1 / (1 - share), color=GREY, linestyle=(0, (1, 1.5)), label="1 / (1 − k/d)")
    axes.set(xlabel="k / d", ylabel="best beta", ylim=(0.8, 8.2))
    axes.set_title("Random mixings")
    axes.legend(loc="upper left")
