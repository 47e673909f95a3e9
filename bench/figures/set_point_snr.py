"""The best beta and the best set point against the signal-to-noise ratio, and what it costs to keep one of them."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from bench.analytic import oracle
from bench.analytic.cases import pair
from bench.figures._analytic import LOOKS, MARK, applies, line, log_axis
from bench.figures.axes import DOUBLE, legend_below, new_figure
from bench.registry import FIGURES
from bench.results.study import Study

COSINES = (0.9, 0.8, 0.4)
LOW, HIGH = 0.3, 1000.0
#: Ratio at which beta and set point are tuned, and the cosine, in the panel of what keeping them costs.
TUNED, COSINE = 10.0, 0.8


@FIGURES.register("set_point_snr", version=1, order=26)
def set_point_snr(study: Study) -> Figure | None:
    """The best beta, the set point C of the KL that selects it, and what keeping either costs, against the SNR.

    Closed forms for linear-Gaussian data, the true decoder, a factorised posterior and two columns of equal norm; no
    run is in it. Right: nats of E log q(s|x) below the best where beta, or C, stays as it was tuned at the ratio of the
    vertical line (cosine 0.8).

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
    snr = np.geomspace(LOW, HIGH, 60)
    figure = new_figure(DOUBLE, 2.8)
    left, middle, right = figure.subplots(1, 3)
    handles = []
    for cosine, (colour, dashes, _) in zip(COSINES, LOOKS, strict=False):
        models = [pair(cosine, float(each)) for each in snr]
        best = [oracle.beta_star(model) for model in models]
        left.plot(snr, best, color=colour, linestyle=dashes)
        rates = [float(oracle.rate(model, beta)) for model, beta in zip(models, best, strict=True)]
        middle.plot(snr, rates, color=colour, linestyle=dashes)
        handles.append(line(colour, dashes, "", f"cosine {cosine:g}"))
    for kept, (colour, dashes, _) in zip(("beta", "C"), LOOKS[3:], strict=False):
        right.plot(snr, [cost(float(each), kept) for each in snr], color=colour, linestyle=dashes)
        handles.append(line(colour, dashes, "", f"{kept} kept"))
    for axes, label in ((left, "best beta"), (middle, "best set point C (nats)"), (right, "nats lost  ↓ better")):
        log_axis(axes, LOW, HIGH, label="SNR, |a|² / σ²", steps=(1.0,))
        axes.set_ylabel(label)
    left.set_ylim(bottom=0.8)
    middle.set_ylim(bottom=0)
    right.axvline(TUNED, linestyle=(0, (4, 2)), **MARK)
    right.set_ylim(0, 1.5)
    legend_below(figure, handles, 5)
    return figure


def cost(snr: float, kept: str) -> float:
    """Nats below the best E log q(s|x) at this ratio, if beta or "C" is what was best at `TUNED`."""
    model, tuned = pair(COSINE, snr), pair(COSINE, TUNED)
    beta = oracle.beta_star(tuned)
    if kept == "C":
        beta = oracle.beta_of_rate(model, float(oracle.rate(tuned, beta)))
    return float(oracle.log_q(model, oracle.beta_star(model)) - oracle.log_q(model, beta))
