"""Independence of the latents given the data, and over all data, against beta."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.analytic import measures
from bench.analytic.cases import case
from bench.analytic.vae import oracle_vae
from bench.figures._analytic import DIAGONAL, FULL, LOOKS, MARK, applies, betas, line, log_axis, markers, over_beta
from bench.figures.axes import DOUBLE, legend_below, new_figure
from bench.registry import FIGURES
from bench.results.study import Study

LOW, HIGH = 0.1, 100.0


@FIGURES.register("independence", version=1, order=21)
def independence(study: Study) -> Figure | None:
    """Independence given the data (left) and over all data (right) against beta, in nats; case S1, true decoder.

    Left, the total correlation of a posterior with full covariance, which beta drives down. Right, how far the
    aggregate of that posterior is from the prior, zero at beta = 1 alone; and the total correlation of the aggregate of
    a factorised posterior, which is independent given the data and not over all data. Lines are closed forms, markers
    trained models (mean and standard deviation over seeds), where the study has them.

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
    full = [oracle_vae(model, float(beta), "full") for beta in at]
    diagonal = [oracle_vae(model, float(beta)) for beta in at]
    figure = new_figure(DOUBLE, 2.9)
    left, right = figure.subplots(1, 2)
    curves = (
        (left, FULL, "tc_conditional", [measures.conditional_tc(vae) for vae in full],
         "full covariance: total correlation of q(z|x)"),
        (right, FULL, "kl_aggregate", [measures.aggregate_kl(model, vae) for vae in full],
         "full covariance: KL(q(z) || p(z))"),
        (right, DIAGONAL, "tc_aggregate", [measures.aggregate_tc(model, vae) for vae in diagonal],
         "mean-field: total correlation of q(z)"),
    )  # fmt: skip
    handles = []
    for (axes, method, column, values, label), (colour, dashes, marker) in zip(
        curves, (LOOKS[1], LOOKS[3], LOOKS[0]), strict=True
    ):
        axes.plot(at, np.array(values), color=colour, linestyle=dashes)
        markers(axes, over_beta(study, "S1", method, column), colour, marker)
        handles.append(line(colour, dashes, marker, label))
    _finish(left, "Given the data")
    _finish(right, "Over all data")
    left.set_ylabel("nats")
    legend_below(figure, handles, 2)
    return figure


def _finish(axes: Axes, title: str) -> None:
    axes.axvline(1.0, linestyle=(0, (4, 2)), **MARK)
    axes.set_ylim(bottom=0)
    log_axis(axes, LOW, HIGH, label="beta", steps=(1.0, 3.0))
    axes.set_title(title)
