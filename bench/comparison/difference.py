"""One score of one method in two studies: the difference B - A, its interval, and what it says in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy import stats as scipy_stats

from bench.stats import (
    MIN_SEEDS,
    TOO_FEW,
    Comparison,
    compare_paired,
    compare_unpaired,
    differences,
    paired_p,
    permutation_paired,
    permutation_unpaired,
    verdict,
)

HIGHER, LOWER, DIFFERENT, UNDECIDED = "B higher", "B lower", "different", "undecided"
#: Where all that was compared is the same number at every seed.
NONE_SEEN = "no difference seen"
#: Outcomes of `bench.stats.verdict`, as they read for two studies.
SUPERIORITY = {"reproduced": HIGHER, "contradicted": LOWER, "undecided": UNDECIDED}
EQUIVALENCE = {"reproduced": "equivalent", "contradicted": DIFFERENT, "undecided": UNDECIDED}
#: The level of tests and intervals.
ALPHA = 0.05


@dataclass(frozen=True)
class Difference:
    """What the seeds of two studies say about one score.

    Attributes
    ----------
    paired : bool
        Whether seeds are paired. They are where the two have `MIN_SEEDS` seeds in common; else they aren't, if each
        has that many of its own.
    n : int
        Pairs, or seeds of the smaller side.
    n_a, n_b : int
        Seeds of each side that have a value.
    mean_a, mean_b : float
        Over the seeds compared.
    difference : float
        ``mean_b - mean_a``.
    low, high : float or None
        Bounds of its 95 % interval (Student's t; Welch's if not paired); None with too few seeds.
    effect : float or None
        Standardised: d_z if paired, Hedges' g if not; None without spread or with too few seeds.
    p : float or None
        Of the t test that belongs to the interval; of the permutation test where there is no spread.
    margin : float or None
        The difference that would matter, where equivalence is asked for.
    verdict : str
        `HIGHER`, `LOWER` or `UNDECIDED`, by whether the interval contains 0, and `NONE_SEEN`; "equivalent", `DIFFERENT`
        or `UNDECIDED` with a margin; `bench.stats.TOO_FEW`.
    judgement : {"better", "worse"} or None
        What `HIGHER`, `LOWER` or `DIFFERENT` means for B, where the score has a better direction.
    """

    paired: bool
    n: int
    n_a: int
    n_b: int
    mean_a: float
    mean_b: float
    difference: float
    low: float | None
    high: float | None
    effect: float | None
    p: float | None
    margin: float | None
    verdict: str
    judgement: Literal["better", "worse"] | None


def seed_difference(
    a: Mapping[int, float],
    b: Mapping[int, float],
    *,
    higher_is_better: bool | None,
    rng: np.random.Generator,
    margin: float | None = None,
) -> Difference:
    """Compare two sets of seeds.

    Parameters
    ----------
    a, b : mapping of int to float
        Seed to value; at least one each.
    higher_is_better : bool or None
        Direction of the score; None where neither is better.
    rng : numpy.random.Generator
        For the permutation test of more than 17 pairs without spread.
    margin : float, optional
        Above 0: ask whether the two are equivalent.

    Returns
    -------
    Difference
        With a 95 % interval, so that equivalence is two one-sided tests at 2.5 %.

    Raises
    ------
    ValueError
        If a side is empty, a value isn't finite, or the margin isn't above 0.
    """
    common = a.keys() & b.keys()
    enough = min(len(a), len(b)) >= MIN_SEEDS
    paired = len(common) >= MIN_SEEDS or (not enough and bool(common))
    if paired:
        a_used, b_used = ({seed: side[seed] for seed in sorted(common)} for side in (a, b))
        found = compare_paired(b_used, a_used)
    else:
        a_used, b_used = (dict(sorted(side.items())) for side in (a, b))
        found = compare_unpaired(list(b_used.values()), list(a_used.values()))
    interval = found.difference
    outcome = verdict(interval, 0.0, "superiority")
    word = SUPERIORITY[outcome] if margin is None else EQUIVALENCE[verdict(interval, margin, "equivalence")]
    seen = interval.n >= MIN_SEEDS
    if word == UNDECIDED and interval.low == interval.high == 0:
        word = NONE_SEEN
    judged = seen and word in (HIGHER, LOWER, DIFFERENT) and higher_is_better is not None
    better = (interval.estimate > 0) == higher_is_better
    return Difference(
        paired=paired,
        n=interval.n,
        n_a=len(a),
        n_b=len(b),
        mean_a=float(np.mean(list(a_used.values()))),
        mean_b=float(np.mean(list(b_used.values()))),
        difference=interval.estimate,
        low=interval.low if seen else None,
        high=interval.high if seen else None,
        effect=found.effect if seen else None,
        p=_p(found, a_used, b_used, rng) if seen else None,
        margin=margin,
        verdict=word if seen else TOO_FEW,
        judgement=("better" if better else "worse") if judged else None,
    )


def corrected(found: Difference, p: float) -> Difference:
    """Take back that the two differ where that is one of many tests.

    Parameters
    ----------
    found : Difference
        From `seed_difference`, judged by itself.
    p : float
        Its p, corrected for the number of tests.

    Returns
    -------
    Difference
        `UNDECIDED` instead of `HIGHER`, `LOWER` or `DIFFERENT` if `p` is above `ALPHA`.
    """
    if p <= ALPHA or found.verdict not in (HIGHER, LOWER, DIFFERENT):
        return found
    return replace(found, verdict=UNDECIDED, judgement=None)


def _p(found: Comparison, a: Mapping[int, float], b: Mapping[int, float], rng: np.random.Generator) -> float:
    """Two-sided p; the t tests are those whose intervals `found` holds, so the two agree on 5 %."""
    x, y = (np.array(list(side.values())) for side in (b, a))
    if found.difference.method != "t":
        return (
            permutation_paired(differences(b, a), rng=rng) if found.paired else permutation_unpaired(x, y, rng=rng)
        ).p
    if found.paired and (p := paired_p(found)) is not None:
        return p
    test = scipy_stats.ttest_ind_from_stats(
        x.mean(), x.std(ddof=1), x.size, y.mean(), y.std(ddof=1), y.size, equal_var=False
    )
    return float(test.pvalue)
