"""A beta-VAE that learns its decoder too: what it makes of the factors, against beta."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.analytic import learned
from bench.analytic.cases import case
from bench.figures._analytic import DIAGONAL, LOOKS, MARK, betas, line, log_axis, markers, over_beta
from bench.figures.axes import DOUBLE, legend_below, new_figure
from bench.figures.palette import GREY
from bench.registry import FIGURES
from bench.results.study import Study

LOW, HIGH = 0.9, 45.0


@FIGURES.register("learned_axes", version=1, order=23)
def learned_axes(study: Study) -> Figure | None:
    """A learned decoder, against beta: E log q(s|x), squared error of the means per factor, and the rate (KL).

    Case L1, in which the factors' directions aren't principal axes, so that independent latents aren't the factors at
    any beta. Lines are closed forms, with kinks where a latent collapses (dotted); markers are trained models, mean and
    standard deviation over seeds. Dashed is the best beta of each measure.

    Parameters
    ----------
    study : Study
        Stored runs; there is no figure without the case L1.

    Returns
    -------
    Figure or None
    """
    model = case("L1").model
    best_q, best_error = learned.beta_star(model), learned.beta_star(model, "mean_squared_error")
    panels = (
        ("log_q", "E log q(s|x) (nats)  ↑ better", learned.log_q, best_q),
        ("source_mse", "squared error  ↓ better", learned.mean_squared_error, best_error),
        ("rate", "rate (nats)", learned.rate, None),
    )
    found = {column: over_beta(study, "L1", DIAGONAL, column) for column, *_ in panels}
    if all(table.empty for table in found.values()):
        return None
    ends = learned.collapse_betas(model)
    at = betas(LOW, HIGH, *ends)
    figure = new_figure(DOUBLE, 2.6)
    colour, dashes, marker = LOOKS[0]
    for axes, (column, label, value, best) in zip(figure.subplots(1, 3), panels, strict=True):
        axes.plot(at, value(model, at), color=colour, linestyle=dashes)
        table = found[column]
        markers(axes, table[(table.index >= LOW) & (table.index <= HIGH)], colour, marker)
        for end in ends:
            axes.axvline(end, linestyle=(0, (1, 1.5)), **MARK)
        if best is not None:
            axes.axvline(best, linestyle=(0, (4, 2)), **MARK)
            axes.set_title(f"best at {best:.2f}")
        log_axis(axes, LOW, HIGH, label="beta")
        axes.set_ylabel(label)
    handles = [
        line(colour, dashes, marker, "closed form, trained models"),
        Line2D([], [], color=GREY, linewidth=0.8, linestyle=(0, (4, 2)), label="best beta"),
        Line2D([], [], color=GREY, linewidth=0.8, linestyle=(0, (1, 1.5)), label="a latent collapses"),
    ]
    legend_below(figure, handles, 3)
    return figure
