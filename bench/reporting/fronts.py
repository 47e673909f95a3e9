"""Methods' fronts in numbers: each against the reference at equal distortion and at equal rate."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from bench.results.fronts import SCORES_AT, front_runs, is_log, method_fronts, missed_runs, reference, seed_fronts
from bench.results.study import Study
from bench.results.summary import score_info
from bench.stats import (
    MIN_SEEDS,
    TOO_FEW,
    Comparison,
    Front,
    area_difference,
    common_range,
    difference_at,
    holm,
    matched_points,
    paired_p,
    probability_above,
    values_at,
    verdict,
)

HIGHER, LOWER, UNDECIDED = "higher", "lower", "undecided"
#: Outcomes of `bench.stats.verdict`, as they read for a method and the reference.
WORDS = {"reproduced": HIGHER, "contradicted": LOWER, "undecided": UNDECIDED}
OUTSIDE, APART = "out of its range", "no common range"
#: Where no seed of the method, or of the reference, has two settings that differ in x.
NO_FRONT = "no front: its settings don't differ"
NO_REFERENCE = "the reference has no front"
#: Level of tests and intervals.
ALPHA = 0.05


@dataclass(frozen=True)
class FrontRow:
    """One score of a method against the reference, where both are equal in x.

    Attributes
    ----------
    dataset, method, strength, reference : str
        Labels, and which hyper-parameter goes from where to where.
    x, y : str
        Score in which they are equal, and score that is compared.
    at : float or None
        Where; None for the mean over `range_low` to `range_high`, the stretch of x that all seeds of both reach.
    range_low, range_high : float or None
        That stretch; of a row with `at` it's None.
    n, n_outside : int
        Seeds compared, and seeds that both methods have of which one doesn't reach that far.
    n_pooled : int
        Points of the method that were averaged into a neighbour because x turned back, all seeds together.
    n_missed : int
        Runs of the method that never arrived at their set point or latched at a limit. They have a part, with what
        they ended with.
    value, reference_value : float or None
        Means over the seeds compared; None for areas.
    scale : {"linear", "log"}
        "log": what follows is of natural logarithms of y, and the means above are geometric.
    difference : float or None
        Mean of method - reference within seeds.
    low, high : float or None
        Student's 95 % interval; None below `bench.stats.MIN_SEEDS` seeds.
    effect : float or None
        d_z.
    p, p_holm : float or None
        Of the t test, and corrected for all areas, or all matched values, of the data set.
    above, above_low, above_high : float or None
        Probability that a seed's front lies above the reference's, with Wilson's 95 % interval; None for areas.
    seen : str
        "higher", "lower" or "undecided", after Holm's correction; or why nothing is compared.
    judgement : str
        "better" or "worse" where that follows, else empty.
    """

    dataset: str
    method: str
    strength: str
    reference: str
    x: str
    y: str
    at: float | None = None
    range_low: float | None = None
    range_high: float | None = None
    n: int = 0
    n_outside: int = 0
    n_pooled: int = 0
    n_missed: int = 0
    value: float | None = None
    reference_value: float | None = None
    scale: Literal["linear", "log"] = "linear"
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    effect: float | None = None
    p: float | None = None
    p_holm: float | None = None
    above: float | None = None
    above_low: float | None = None
    above_high: float | None = None
    seen: str = ""
    judgement: str = ""


def front_rows(study: Study, dataset: str) -> list[FrontRow]:
    """Compare every method's front with the reference's.

    Parameters
    ----------
    study : Study
        Stored runs.
    dataset : str
        One of ``study.datasets``.

    Returns
    -------
    list of FrontRow
        By x, method, score and place, areas before values; empty unless two methods have at least
        `bench.results.fronts.LEAST` strengths. Places are `bench.stats.matched_points` of the range that all seeds of
        the reference reach.
    """
    fronts = method_fronts(study, dataset)
    base = reference(fronts)
    if base is None:
        return []
    areas, matched = [], []
    for x, scores in SCORES_AT.items():
        lines = {(front.name, y): seed_fronts(study, dataset, front, x, y) for front in fronts for y in scores}
        for front, y in itertools.product(fronts, scores):
            a, b = lines[front.name, y], lines[base.name, y]
            if front is base or any(front_runs(study, dataset, each, x, y).empty for each in (front, base)):
                continue
            row = FrontRow(
                dataset, front.name, front.strength, base.name, x, y,
                n_pooled=sum(line.pooled for line in a.values()),
                n_missed=sum(missed_runs(study, dataset, front).values()),
                scale="log" if is_log(study, dataset, y) else "linear",
            )  # fmt: skip
            if not a or not b:
                areas.append(replace(row, seen=NO_REFERENCE if a else NO_FRONT))
                continue
            log_x = is_log(study, dataset, x)
            areas.append(_area(row, a, b, log_x))
            matched += [_at(row, a, b, float(at), log_x) for at in _places(b, log_x)]
    return [*_corrected(areas), *_corrected(matched)]


def _places(lines: Mapping[int, Front], log_x: bool) -> Sequence[float]:
    stretch = common_range(lines)
    if stretch is None:
        return []
    low, high = map(math.exp, stretch) if log_x else stretch
    return [float(at) for at in matched_points(low, high, log=log_x)]


def _area(row: FrontRow, a: Mapping[int, Front], b: Mapping[int, Front], log_x: bool) -> FrontRow:
    found = area_difference(a, b)
    if found is None:
        return replace(row, seen=APART)
    difference, *stretch = found
    low, high = map(math.exp, stretch) if log_x else stretch
    return replace(_compared(row, difference), range_low=low, range_high=high)


def _at(row: FrontRow, a: Mapping[int, Front], b: Mapping[int, Front], at: float, log_x: bool) -> FrontRow:
    place = math.log(at) if log_x else at
    found = difference_at(a, b, place)
    n = 0 if found is None else found.difference.n
    row = replace(row, at=at, n_outside=len(a.keys() & b.keys()) - n)
    if found is None:
        return replace(row, seen=OUTSIDE)
    first, second = values_at(a, place), values_at(b, place)
    seeds = sorted(first.keys() & second.keys())
    own, others = (math.fsum(side[seed] for seed in seeds) / n for side in (first, second))
    log_y = row.scale == "log"
    above = probability_above(a, b, [place])
    return replace(
        _compared(row, found),
        value=math.exp(own) if log_y else own,
        reference_value=math.exp(others) if log_y else others,
        above=float(above.share[0]),
        above_low=_known(above.low[0]),
        above_high=_known(above.high[0]),
    )


def _compared(row: FrontRow, found: Comparison) -> FrontRow:
    difference = found.difference
    enough = difference.n >= MIN_SEEDS
    return replace(
        row,
        n=difference.n,
        difference=difference.estimate,
        low=difference.low if enough else None,
        high=difference.high if enough else None,
        effect=found.effect if enough else None,
        p=paired_p(found) if enough else None,
        seen=WORDS[verdict(difference, 0.0, "superiority")] if enough else TOO_FEW,
    )


def _corrected(rows: Sequence[FrontRow]) -> list[FrontRow]:
    """One family of tests: what doesn't hold after Holm's correction is undecided."""
    out = []
    for row, p in zip(rows, holm([math.nan if row.p is None else row.p for row in rows]), strict=True):
        if row.p is not None:
            seen = row.seen if p <= ALPHA else UNDECIDED
            row = replace(row, p_holm=float(p), seen=seen, judgement=_judgement(row.y, seen))
        out.append(row)
    return out


def _judgement(score: str, seen: str) -> str:
    better = score_info(score).higher_is_better
    if better is None or seen not in (HIGHER, LOWER):
        return ""
    return "better" if (seen == HIGHER) == better else "worse"


def _known(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
