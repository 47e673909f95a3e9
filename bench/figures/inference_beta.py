"""How well the true factors are inferred, against beta."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.analytic import oracle
from bench.analytic.cases import case
from bench.analytic.vae import Family
from bench.figures._analytic import DIAGONAL, FULL, LOOKS, MARK, betas, line, log_axis, markers, over_beta
from bench.figures.axes import DOUBLE, legend_below, new_figure
from bench.figures.palette import GREY
from bench.registry import FIGURES
from bench.results.study import Study

LOW, HIGH = 0.22, 45.0
#: Below it a small beta's certainty costs nats that would squash the rest.
BOTTOM, TOP = -4.2, -0.1
#: Case, method, family, and its name in the legend.
CURVES: tuple[tuple[str, str, Family, str], ...] = (
    ("S1", DIAGONAL, "diagonal", "S1, cosine of the columns 0.8, mean-field"),
    ("S1", FULL, "full", "S1, full covariance"),
    ("S0", DIAGONAL, "diagonal", "S0, orthogonal columns, mean-field"),
)


@FIGURES.register("inference_beta", version=1, order=20)
def inference_beta(study: Study) -> Figure | None:
    """E log q(s|x), the log-probability in nats that the posterior gives the true factors, against beta.

    Linear-Gaussian data and the true decoder. Lines are closed forms, markers trained models: mean and standard
    deviation over seeds; those far below the axis are left out. Vertical lines are beta = 1 and the best beta of a
    factorised posterior where the columns of the mixing matrix aren't orthogonal; horizontal ones, for those columns,
    the exact posterior, the best that any factorised posterior can do, and the prior.

    Parameters
    ----------
    study : Study
        Stored runs; there is no figure without one of the cases S0 or S1.

    Returns
    -------
    Figure or None
    """
    found = [over_beta(study, name, method, "log_q") for name, method, _, _ in CURVES]
    if all(table.empty for table in found):
        return None
    figure = new_figure(0.78 * DOUBLE, 3.4)
    axes = figure.subplots()
    handles: list[Line2D] = []
    at = betas(LOW, HIGH, 1.0)
    for (name, _, family, label), table, (colour, dashes, marker) in zip(CURVES, found, LOOKS, strict=False):
        axes.plot(at, oracle.log_q(case(name).model, at, family), color=colour, linestyle=dashes)
        markers(axes, table[table["mean"] > BOTTOM], colour, marker)
        handles.append(line(colour, dashes, marker, label))
    axes.set_ylim(BOTTOM, TOP)
    log_axis(axes, LOW, HIGH, label="beta")
    _levels(axes)
    axes.set_ylabel("E log q(s|x) (nats)  ↑ better")
    legend_below(figure, handles, 1)
    return figure


def _levels(axes: Axes) -> None:
    model = case("S1").model
    levels = {
        "exact posterior, −H(s|x)": -model.posterior_entropy,
        "best factorised posterior": -model.posterior_entropy - oracle.forward_kl_floor(model),
        "prior": float(oracle.log_q(model, 1e12)),
    }
    for text, level in levels.items():
        axes.axhline(level, linestyle=(0, (1, 1.5)), **MARK)
        axes.text(HIGH, level, f"{text} ", ha="right", va="bottom", fontsize=6.5, color=GREY)
    best = oracle.beta_star(model)
    for beta, text, side in ((1.0, "1 ", "right"), (best, f" {best:.2f}", "left")):
        axes.axvline(beta, linestyle=(0, (4, 2)), **MARK)
        axes.text(beta, BOTTOM + 0.06, text, ha=side, va="bottom", fontsize=7, color=GREY)
