"""The best beta against the signal-to-noise ratio."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from bench.analytic import oracle
from bench.analytic.cases import pair
from bench.figures._analytic import LOOKS, MARK, applies, log_axis
from bench.figures.axes import DOUBLE, new_figure
from bench.figures.palette import GREY
from bench.registry import FIGURES
from bench.results.study import Study

COSINES = (0.9, 0.8, 0.6, 0.4)
LOW, HIGH = 0.1, 1e4


@FIGURES.register("best_beta_snr", version=1, order=24)
def best_beta_snr(study: Study) -> Figure | None:
    """The beta that is best for E log q(s|x) against the signal-to-noise ratio, for two columns at several cosines.

    Closed form for linear-Gaussian data, the true decoder, a factorised posterior and columns of equal norm; no run is
    in it. Dotted: for much signal the best beta is the variance inflation factor of the columns, 1 / (1 - cosine²).

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
    snr = np.geomspace(LOW, HIGH, 80)
    figure = new_figure(0.72 * DOUBLE, 2.9)
    axes = figure.subplots()
    for cosine, (colour, dashes, _) in zip(COSINES, LOOKS, strict=False):
        best = np.array([oracle.beta_star(pair(cosine, float(each))) for each in snr])
        limit = oracle.beta_star_high_snr(pair(cosine, 1.0))
        axes.plot(snr, best, color=colour, linestyle=dashes)
        axes.axhline(limit, linestyle=(0, (1, 1.5)), **(MARK | {"color": colour}))
        axes.text(HIGH * 1.1, best[-1], f"cosine {cosine:g}", color=colour, fontsize=7, va="center")
        axes.text(LOW * 1.1, limit, f"{limit:.2f}", color=GREY, fontsize=6.5, va="bottom")
    log_axis(axes, LOW, HIGH, label="signal-to-noise ratio of a factor, |a|² / σ²", steps=(1.0,))
    axes.set_ylim(0.8, 5.7)
    axes.set_ylabel("best beta")
    return figure
