"""How far, and how often, each method's front lies above the reference's at one distortion."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.figures.axes import DOUBLE, SINGLE, legend_below, literal, new_figure, per_dataset
from bench.figures.fronts import front_looks, log_axis
from bench.figures.palette import GREY, Look
from bench.registry import FIGURES
from bench.results.fronts import (
    DISENTANGLEMENT,
    DISTORTION,
    MethodFront,
    is_log,
    method_fronts,
    reference,
    seed_fronts,
)
from bench.results.study import Study
from bench.results.summary import score_info
from bench.stats import MIN_SEEDS, Front, common_range, difference_at, probability_above

#: Places at which two fronts are compared.
PLACES = 40

Lines = Mapping[int, Front]


@FIGURES.register("front_differences", version=1, order=1.4)
def front_differences(study: Study) -> Figure | dict[str, Figure]:
    """Disentanglement against the reference method's at the same distortion, within seeds.

    Above: mean difference of the fronts with Student's 95 % interval; zero is the reference, β-VAE where it ran. Below:
    share of the seeds whose front lies above the reference's; the grey region is what 95 % intervals of as many seeds
    can't tell from one half. Drawn where all seeds, at least 5, of both have a value. Each place is looked at by
    itself: the areas in the report's table are what is corrected for the number of comparisons.

    Parameters
    ----------
    study : Study
        Stored runs.

    Returns
    -------
    Figure or dict of str to Figure
        One per data set of which two methods have at least three strengths.
    """
    return per_dataset(study, _draw)


def _draw(study: Study, dataset: str) -> Figure | None:
    found = method_fronts(study, dataset)
    base = reference(found)
    if base is None:
        return None
    compared = {}
    for score in DISENTANGLEMENT:
        if pairs := _pairs(study, dataset, base, [front for front in found if front is not base], score):
            compared[score] = pairs
    if not compared:
        return None
    figure = new_figure(SINGLE if len(compared) == 1 else DOUBLE, 3.9 + 0.16 * -(-len(found) // 4))
    upper, lower = figure.subplots(2, len(compared), sharex=True, squeeze=False, height_ratios=(3, 2))
    look = front_looks(found)
    for above, below, (score, pairs) in zip(upper, lower, compared.items(), strict=True):
        for front, lines, against in pairs:
            _curves(above, below, lines, against, look[front.name], log=is_log(study, dataset, DISTORTION))
        seeds = max(len(lines) for _, lines, _ in pairs)
        above.axhline(0, color=GREY, linewidth=0.8, zorder=1)
        # Wilson's 95 % interval leaves out one half where the share is further from it than this.
        reach = 0.98 / math.sqrt(seeds)
        below.axhspan(0.5 - reach, 0.5 + reach, color=GREY, alpha=0.15, linewidth=0, zorder=0)
        below.set_ylim(-0.05, 1.05)
        above.set_ylabel(literal(f"{score_info(score).label} − {base.name}'s"))
        below.set_xlabel(f"Distortion: {score_info(DISTORTION).label}")
        if is_log(study, dataset, DISTORTION):
            log_axis(above, "x")
    lower[0].set_ylabel(literal(f"Seeds above {base.name}"))
    handles = [Line2D([], [], label=front.name, **look[front.name].line) for front in found if front is not base]
    legend_below(figure, handles, 4)
    return figure


def _pairs(
    study: Study, dataset: str, base: MethodFront, others: Iterable[MethodFront], score: str
) -> list[tuple[MethodFront, Lines, Lines]]:
    """Fronts of the seeds that a method and the reference have, where they are enough and have a range in common."""
    against = seed_fronts(study, dataset, base, DISTORTION, score)
    out: list[tuple[MethodFront, Lines, Lines]] = []
    for front in others:
        lines = seed_fronts(study, dataset, front, DISTORTION, score)
        seeds = sorted(lines.keys() & against.keys())
        own, reference_own = ({seed: side[seed] for seed in seeds} for side in (lines, against))
        if len(seeds) >= MIN_SEEDS and common_range(own, reference_own) is not None:
            out.append((front, own, reference_own))
    return out


def _curves(above: Axes, below: Axes, a: Lines, b: Lines, look: Look, *, log: bool) -> None:
    stretch = common_range(a, b)
    if stretch is None:
        return
    at = np.linspace(*stretch, PLACES)
    found = [each.difference for place in at if (each := difference_at(a, b, float(place))) is not None]
    places = np.exp(at) if log else at
    above.plot(places, [each.estimate for each in found], **look.line)
    low, high = (np.array([getattr(each, end) for each in found], dtype=np.float64) for end in ("low", "high"))
    above.fill_between(places, low, high, color=look.colour, alpha=0.15, linewidth=0)
    below.plot(places, probability_above(a, b, at).share, **look.line)
