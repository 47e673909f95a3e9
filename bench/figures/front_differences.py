"""How far, and how often, each method's front lies above the reference's at one distortion."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

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

#: Methods of which intervals can be told apart where they overlap.
FEW = 4

Lines = Mapping[int, Front]
#: A method, its fronts by seed, and the reference's.
Pair = tuple[MethodFront, Lines, Lines]


@FIGURES.register("front_differences", version=1, order=1.4)
def front_differences(study: Study) -> Figure | dict[str, Figure]:
    """Disentanglement against the reference method's at the same distortion, within seeds.

    Above: mean difference of the fronts with Student's 95 % interval, bold where that leaves out zero; zero is the
    reference, β-VAE where it ran. Below:
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
    others = [front for front in found if front is not base]
    compared = {}
    for score in DISENTANGLEMENT:
        if pairs := paired_fronts(study, dataset, base, others, DISTORTION, score):
            compared[score] = pairs
    if not compared:
        return None
    figure = new_figure(SINGLE if len(compared) == 1 else DOUBLE, 3.9 + 0.16 * -(-len(found) // 4))
    upper, lower = figure.subplots(2, len(compared), sharex=True, squeeze=False, height_ratios=(3, 2))
    look, log = front_looks(found), is_log(study, dataset, DISTORTION)
    for above, below, (score, pairs) in zip(upper, lower, compared.items(), strict=True):
        draw_differences(above, pairs, look, log=log)
        for front, lines, against in pairs:
            at = _places(lines, against)
            below.plot(np.exp(at) if log else at, probability_above(lines, against, at).share, **look[front.name].line)
        seeds = max(len(lines) for _, lines, _ in pairs)
        # Wilson's 95 % interval leaves out one half where the share is further from it than this.
        reach = 0.98 / math.sqrt(seeds)
        below.axhspan(0.5 - reach, 0.5 + reach, color=GREY, alpha=0.15, linewidth=0, zorder=0)
        below.set_ylim(-0.05, 1.05)
        above.set_ylabel(literal(f"{score_info(score).label} − {base.name}'s"))
        below.set_xlabel(f"Distortion: {score_info(DISTORTION).label}")
        if log:
            log_axis(above, "x")
    lower[0].set_ylabel(literal(f"Seeds above {base.name}"))
    legend_below(figure, [Line2D([], [], label=front.name, **look[front.name].line) for front in others], 4)
    return figure


def paired_fronts(
    study: Study, dataset: str, base: MethodFront, others: Iterable[MethodFront], x: str, y: str
) -> list[Pair]:
    """Fronts of the seeds that a method and the reference have, where they are enough and have a range in common."""
    against = seed_fronts(study, dataset, base, x, y)
    out: list[Pair] = []
    for front in others:
        lines = seed_fronts(study, dataset, front, x, y)
        seeds = sorted(lines.keys() & against.keys())
        own, reference_own = ({seed: side[seed] for seed in seeds} for side in (lines, against))
        if len(seeds) >= MIN_SEEDS and common_range(own, reference_own) is not None:
            out.append((front, own, reference_own))
    return out


def draw_differences(
    axes: Axes, pairs: Sequence[Pair], looks: Mapping[str, Look], *, log: bool, per_cent: bool = False
) -> None:
    """Draw each method's mean difference from the reference, bold where its 95 % interval leaves out zero.

    Parameters
    ----------
    axes : Axes
    pairs : sequence of Pair
        From `paired_fronts`.
    looks : mapping of str to Look
        By the fronts' names.
    log : bool
        Whether x is a logarithm.
    per_cent : bool
        Whether y is one, and differences are in per cent.
    """
    axes.axhline(0, color=GREY, linewidth=0.8, zorder=1)
    for front, a, b in pairs:
        at, look = _places(a, b), looks[front.name]
        found = [each.difference for place in at if (each := difference_at(a, b, float(place))) is not None]
        table = np.array([[each.estimate, each.low, each.high] for each in found], dtype=np.float64)
        middle, low, high = (100 * np.expm1(table) if per_cent else table).T
        places = np.exp(at) if log else at
        axes.fill_between(places, low, high, color=look.colour, alpha=0.15 if len(pairs) <= FEW else 0.06, linewidth=0)
        axes.plot(places, middle, linewidth=0.8, **look.line)
        axes.plot(places, np.where((low > 0) | (high < 0), middle, math.nan), linewidth=2, **look.line)


def _places(a: Lines, b: Lines) -> NDArray[np.float64]:
    stretch = common_range(a, b)
    return np.zeros(0) if stretch is None else np.linspace(*stretch, PLACES)
