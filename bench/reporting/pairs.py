"""All pairs of methods compared in one score within seeds, one family of tests."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from bench.reporting.fronts import ALPHA
from bench.stats import MIN_SEEDS, Comparison, Front, area_difference, compare_paired, holm, paired_p


@dataclass(frozen=True)
class Pair:
    """One method minus another.

    Attributes
    ----------
    first, second : str
        Methods.
    n : int
        Seeds that both have; 0 where nothing is in common.
    estimate : float
        Mean difference; NaN where nothing is in common.
    low, high : float or None
        Student's 95 % interval; None below `bench.stats.MIN_SEEDS` seeds.
    p : float or None
        Of the paired t test.
    held : bool
        Whether the difference holds at 5 % after Holm's correction over all pairs.
    """

    first: str
    second: str
    n: int = 0
    estimate: float = math.nan
    low: float | None = None
    high: float | None = None
    p: float | None = None
    held: bool = False

    def upwards(self) -> Pair:
        """The pair in the order in which its difference isn't negative."""
        if not self.estimate < 0:
            return self
        low, high = (None if bound is None else -bound for bound in (self.high, self.low))
        return replace(self, first=self.second, second=self.first, estimate=-self.estimate, low=low, high=high)


def compare_all(sides: Mapping[str, Mapping[int, float] | Mapping[int, Front]]) -> list[Pair]:
    """Compare every method with every other one.

    Parameters
    ----------
    sides : mapping of str to mapping of int to (float or Front)
        Method to seed to score; or to front, compared as `bench.stats.area_difference` over the x that both reach.

    Returns
    -------
    list of Pair
        In the order given. Pairs of fewer than `bench.stats.MIN_SEEDS` seeds have neither interval nor test.
    """
    pairs = []
    for first, second in itertools.combinations(sides, 2):
        found = _difference(sides[first], sides[second])
        pair = Pair(first, second)
        if found is not None:
            difference = found.difference
            pair = replace(pair, n=difference.n, estimate=difference.estimate)
            if difference.n >= MIN_SEEDS:
                pair = replace(pair, low=difference.low, high=difference.high, p=paired_p(found))
        pairs.append(pair)
    corrected = holm([math.nan if pair.p is None else pair.p for pair in pairs])
    return [replace(pair, held=bool(p <= ALPHA)) for pair, p in zip(pairs, corrected, strict=True)]


def _difference(
    a: Mapping[int, float] | Mapping[int, Front], b: Mapping[int, float] | Mapping[int, Front]
) -> Comparison | None:
    lines = [{seed: item for seed, item in side.items() if isinstance(item, Front)} for side in (a, b)]
    if all(lines):
        found = area_difference(*lines)
        return None if found is None else found[0]
    values = [{seed: float(item) for seed, item in side.items() if not isinstance(item, Front)} for side in (a, b)]
    return compare_paired(*values) if values[0].keys() & values[1].keys() else None
