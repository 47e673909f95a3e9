"""When a change of scores is an alarm: real, not trivially small, and there again in other seeds.

Fresh runs against stored ones, a test per method and column. Under the hypothesis that nothing changed, stored and
fresh seeds are exchangeable, so a permutation test keeps its level whatever the scores' distribution is, and Holm's
correction keeps the chance of any alarm in a set of fresh seeds below `ALPHA`, however the tests hang together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from bench.stats import Interval, compare_unpaired, holm, verdict

Floats = NDArray[np.float64]
#: Chance of any alarm in a set of fresh seeds, if nothing changed; half of it for either direction.
ALPHA = 0.05
#: Regroupings drawn. The smallest p is 1 / (N_DRAWS + 1): after Holm's correction it stays below `ALPHA` for up to 999
#: tests.
N_DRAWS = 19_999

Kind = Literal["alarm", "same", "within", "undecided"]


@dataclass(frozen=True)
class Shift:
    """A column's fresh mean against its stored one.

    Attributes
    ----------
    kind : {"alarm", "same", "within", "undecided"}
        "alarm": Holm's p is at most `ALPHA`, and the interval doesn't lie inside the margin. "same": there is no spread
        and no difference. "within": no alarm, and the interval lies inside the margin: equivalence is shown.
        "undecided": neither.
    stored, fresh : float
        Means.
    interval : Interval
        Welch's 95 % interval of fresh minus stored.
    p : float
        Of the permutation test, after Holm's correction over the whole family.
    margin : float
        In units of the column.
    """

    kind: Kind
    stored: float
    fresh: float
    interval: Interval
    p: float
    margin: float


#: (method, column) -> values, one per seed, in the order of the seeds; NaN where a run has none.
Table = Mapping[tuple[str, str], Floats]


def shifts(
    stored: Table,
    fresh: Table,
    margins: Mapping[tuple[str, str], float],
    *,
    rng: np.random.Generator,
    n_draws: int = N_DRAWS,
) -> dict[tuple[str, str], Shift]:
    """Test a family of columns.

    Parameters
    ----------
    stored, fresh : mapping of (method, column) to ndarray of shape (n,)
        Columns that one of them lacks aren't tested.
    margins : mapping of (method, column) to float
        Above 0.
    rng : numpy.random.Generator
        Draws the regroupings: the same ones for all columns with as many seeds.
    n_draws : int

    Returns
    -------
    dict of (method, column) to Shift
        Columns with fewer than two values on either side are left out.
    """
    pairs = {}
    sizes: dict[tuple[int, int], list[tuple[str, str]]] = {}
    for key in stored:
        if key in fresh:
            a, b = (values[np.isfinite(values)] for values in (stored[key], fresh[key]))
            if min(a.size, b.size) >= 2:
                pairs[key] = a, b
                sizes.setdefault((a.size, b.size), []).append(key)
    raw: dict[tuple[str, str], np.float64] = {}
    for size, keys in sizes.items():
        drawn = regroupings(*size, rng, n_draws)
        before, now = (np.stack([pairs[key][side] for key in keys], axis=1) for side in (0, 1))
        raw |= dict(zip(keys, p_values(before, now, drawn), strict=True))
    adjusted = holm([raw[key] for key in pairs])
    return {key: _shift(*pairs[key], margins[key], float(p)) for key, p in zip(pairs, adjusted, strict=True)}


def regroupings(n_stored: int, n_fresh: int, rng: np.random.Generator, n_draws: int = N_DRAWS) -> Floats:
    """Random choices of `n_fresh` among all rows: ones and zeros, shape (n_draws, n_stored + n_fresh)."""
    row = np.repeat([0.0, 1.0], [n_stored, n_fresh])
    return rng.permuted(np.tile(row, (n_draws, 1)), axis=1)


def p_values(stored: Floats, fresh: Floats, drawn: Floats) -> Floats:
    """Two-sided permutation tests that two groups come from one distribution, by the difference of their means.

    As `bench.stats.permutation_unpaired` with drawn regroupings, but with ones that many columns share.

    Parameters
    ----------
    stored, fresh : ndarray of shape (n, n_columns)
    drawn : ndarray
        `regroupings` of as many rows.

    Returns
    -------
    ndarray of shape (n_columns,)
        Valid and never 0, as the observed grouping counts as one of the drawn.

    Notes
    -----
    Source: Phipson and Smyth, Statistical Applications in Genetics and Molecular Biology 9 (2010), article 39.
    """
    pooled = np.concatenate([stored, fresh])
    z = pooled - pooled.mean(axis=0)
    # Of centred values the sum of a group is the difference of the means up to a positive factor. Sums that differ in
    # the order of their terms alone must count as equal.
    rounding = 2 * len(z) * np.finfo(np.float64).eps * np.abs(pooled).sum(axis=0)
    as_far = np.count_nonzero(np.abs(drawn @ z) >= np.abs(z[len(stored) :].sum(axis=0)) - rounding, axis=0)
    found: Floats = (1 + as_far) / (1 + len(drawn))
    return found


def confirmed(first: Shift, second: Shift) -> bool:
    """Whether another set of fresh seeds raises the same alarm: in the same direction."""
    return first.kind == second.kind == "alarm" and (first.fresh > first.stored) == (second.fresh > second.stored)


def _shift(stored: Floats, fresh: Floats, margin: float, p: float) -> Shift:
    interval = compare_unpaired(fresh, stored).difference
    inside = verdict(interval, margin, "equivalence") == "reproduced"
    kind: Kind = "within" if inside else "alarm" if p <= ALPHA else "undecided"
    if interval.method == "point" and interval.estimate == 0:
        kind = "same"
    return Shift(kind, float(stored.mean()), float(fresh.mean()), interval, p, margin)


def smallest_found(n_stored: int, n_fresh: int, n_tests: int, *, power: float = 0.8) -> float:
    """Smallest shift, in standard deviations, that both sets of fresh seeds raise with probability `power`.

    For a t test on each set, the first at `ALPHA` over `n_tests` (Bonferroni's level, which is Holm's for the smallest
    p), the second, which has one alarm to confirm, at `ALPHA`. The sets count as independent; they share the stored
    seeds, so the probability is a little above what is said.

    Parameters
    ----------
    n_stored, n_fresh, n_tests : int
        Seeds on either side, and methods x columns.
    power : float, in (0, 1)

    Returns
    -------
    float
        Rounded up to a tenth, which also makes up for the permutation test's being a little weaker than the t test: in
        1,500 simulations it was found in 82 % (40 stored seeds, 118 tests), 85 % (20, 118) and 85 % (40, 7). For a
        margin that is small against it.

    Notes
    -----
    Source: Cohen, Statistical Power Analysis for the Behavioral Sciences, 2nd edition, 1988, chapter 2.
    """
    degrees, per_sd = n_stored + n_fresh - 2, math.sqrt(n_stored * n_fresh / (n_stored + n_fresh))

    def missing(shift: float) -> float:
        found = (
            float(stats.nct.sf(stats.t.ppf(1 - level / 2, degrees), degrees, shift * per_sd))
            for level in (ALPHA / n_tests, ALPHA)
        )
        return math.prod(found) - power

    return math.ceil(10 * float(optimize.brentq(missing, 1e-6, 20 / per_sd))) / 10
