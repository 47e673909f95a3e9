"""The best beta depends on what is measured."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from matplotlib.figure import Figure
from scipy.optimize import minimize_scalar

from bench.analytic import measures, oracle
from bench.analytic.cases import case
from bench.analytic.model import Floats, LinearGaussian
from bench.analytic.vae import oracle_vae
from bench.figures._analytic import DIAGONAL, LOOKS, applies, betas, line, log_axis, markers, over_beta
from bench.figures.axes import DOUBLE, legend_below, new_figure
from bench.registry import FIGURES
from bench.results.study import Study

LOW, HIGH = 0.22, 12.0
#: Score column, name in the legend, value at a beta, whether higher is better.
MEASURES: tuple[tuple[str, str, Callable[[LinearGaussian, float], float], bool], ...] = (
    ("forward_kl", "E log q(s|x), KL(p || q)", lambda m, b: float(oracle.forward_kl(m, b)), False),
    ("reverse_kl", "KL(q || p)", lambda m, b: float(oracle.reverse_kl(m, b)), False),
    ("source_mse", "squared error of the means", lambda m, b: float(oracle.mean_squared_error(m, b)), False),
    ("dci_disentanglement[predictor=linear]", "DCI, linear", lambda m, b: measures.dci(m, oracle_vae(m, b))[0], True),
    ("mig", "MIG of the means", lambda m, b: measures.mig(m, oracle_vae(m, b)), True),
    ("sap_continuous", "SAP, continuous", lambda m, b: measures.sap(m, oracle_vae(m, b)), True),
)
#: Of the markers of the optima: three lie on one point, where smaller ones on larger ones stay visible.
SIZES = (8, 12, 8, 5, 8, 8)


@FIGURES.register("best_beta_by_measure", version=1, order=22)
def best_beta_by_measure(study: Study) -> Figure | None:
    """Six measures of one model against beta, each as a share of its own best: the best beta depends on the measure.

    Case S1 (linear-Gaussian, true decoder, factorised posterior). Lines are closed forms, a score divided by its
    highest value or, for errors, the lowest value divided by the error; filled markers at the top are their optima,
    which the legend gives. Open markers are trained models (mean and standard deviation over seeds) as the suite's own
    metrics see them, as shares of the closed form's best; metrics that cut codes into bins, of the best that they saw.

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
    model, at = case("S1").model, betas(LOW, HIGH, 1.0, n=120)
    figure = new_figure(DOUBLE, 3.5)
    axes = figure.subplots()
    handles = []
    for (column, label, value, higher), (colour, dashes, marker), size in zip(MEASURES, LOOKS, SIZES, strict=True):
        best = optimum(model, value, higher=higher)
        share = _share(np.array([value(model, float(beta)) for beta in at]), value(model, best), higher=higher)
        axes.plot(at, share, color=colour, linestyle=dashes)
        axes.plot(best, 1.0, marker, color=colour, markeredgecolor="white", markeredgewidth=0.7, markersize=size,
                  zorder=20 - size)  # fmt: skip
        handles.append(line(colour, dashes, marker, f"{label}: {best:.2f}"))
        found = over_beta(study, "S1", DIAGONAL, column)
        found = found[(found.index >= LOW) & (found.index <= HIGH)]
        if not found.empty:
            binned = column in ("mig", "sap_continuous")
            top = float(found["mean"].max()) if binned else value(model, best)
            shares = _share(found["mean"].to_numpy(), top, higher=higher)
            found = found.assign(std=shares * found["std"] / found["mean"], mean=shares)
            markers(axes, found, colour, marker)
    axes.set_ylim(0, 1.07)
    log_axis(axes, LOW, HIGH, label="beta")
    axes.set_ylabel("share of the best  ↑ better")
    legend_below(figure, handles, 3)
    return figure


def optimum(model: LinearGaussian, value: Callable[[LinearGaussian, float], float], *, higher: bool) -> float:
    """The beta between `LOW` and `HIGH` at which a measure is best, to 1e-6."""
    sign = -1.0 if higher else 1.0
    grid = np.geomspace(LOW, HIGH, 60)
    near = int(np.argmin([sign * value(model, float(beta)) for beta in grid]))
    low, high = np.log(grid[max(near - 1, 0)]), np.log(grid[min(near + 1, len(grid) - 1)])
    found = minimize_scalar(
        lambda log_beta: sign * value(model, float(np.exp(log_beta))), bounds=(low, high), method="bounded",
        options={"xatol": 1e-7},
    )  # fmt: skip
    return float(np.exp(found.x))


def _share(values: Floats, best: float, *, higher: bool) -> Floats:
    return np.asarray(values / best if higher else best / values)
