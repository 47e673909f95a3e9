"""One test of a claim: its numbers, how far it lies from its bar, and how many seeds would tell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bench.claims.schema import ClaimTest
from bench.stats import smallest_detectable

Status = Literal["reproduced", "contradicted", "undecided", "not run", "proved"]

#: The most seeds that are ever asked for.
MOST_SEEDS = 1000


@dataclass(frozen=True)
class Outcome:
    """One test of one pair of configurations, or of one configuration.

    Attributes
    ----------
    test : ClaimTest
        What was measured and claimed.
    first, second, at : str
        The configurations, `second` empty for a threshold, and in what both agree.
    status : str
        This test's own verdict, at the level that the number of tests of the claim asks for.
    effect, low, high : float
        Mean difference, or mean value for a threshold, with its 95 % interval; NaN where there is none.
    sd : float
        Standard deviation that the interval rests on.
    n : int
        Pairs if paired, else runs of the smaller group.
    n_diverged, n_failed, n_unequal, n_without : int
        What has no part in it: runs that diverged or failed, pairs that differ in what must be equal, runs that
        don't have the measure.
    seeds_needed : int or None
        For an undecided test: seeds with which the effect found, at the spread found, would be told from the bar with
        a probability of 80 %, if as large a share of them is lost as here; None above `MOST_SEEDS`.
    """

    test: ClaimTest
    first: str
    second: str
    at: str
    status: Status = "not run"
    effect: float = math.nan
    low: float = math.nan
    high: float = math.nan
    sd: float = math.nan
    n: int = 0
    n_diverged: int = 0
    n_failed: int = 0
    n_unequal: int = 0
    n_without: int = 0
    seeds_needed: int | None = None

    @property
    def gap(self) -> float:
        """How far the effect lies on the claim's side of the bar, in the test's unit; negative on the other side."""
        test = self.test
        if test.kind == "equivalence":
            return test.margin - abs(self.effect)
        sign = -1 if test.direction == "less" else 1
        if test.bar is not None:
            return sign * (self.effect - test.bar)
        return sign * self.effect - (test.margin if test.kind == "superiority" else -test.margin)

    def seeds_for(self, pairs: int) -> int:
        """Seeds to run for so many pairs, if as large a share of them is lost as here."""
        lost = self.n_diverged + self.n_failed + self.n_unequal + self.n_without
        return math.ceil(pairs * (self.n + lost) / self.n)


def claimed(test: ClaimTest) -> str:
    """What a test claims, as a condition on the effect: "> -0.05", "within ±0.1", "< 1"."""
    if test.kind == "equivalence":
        return f"within ±{test.margin:g}"
    sign = 1 if test.direction == "greater" else -1
    bar = test.bar if test.bar is not None else sign * (test.margin if test.kind == "superiority" else -test.margin)
    return f"{'>' if sign > 0 else '<'} {bar + 0.0:g}"


def seeds_needed(item: Outcome, alpha: float, *, paired: bool) -> int | None:
    """`Outcome.seeds_needed`, for a two-sided test at level `alpha`."""
    distance = abs(item.gap)
    if item.n < 2 or not item.sd > 0 or not distance > 0:
        return None

    def enough(n: int) -> bool:
        return smallest_detectable(item.sd, n, paired=paired, alpha=alpha).raw <= distance

    low, high = item.n, MOST_SEEDS
    if not enough(high):
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    return item.seeds_for(low)


def combine(statuses: Sequence[Status], rule: str) -> Status:
    """The verdict of several: with "all" the worst of them, with "any" the best."""
    order: tuple[Status, ...] = ("contradicted", "not run", "undecided", "reproduced")
    if rule == "any":
        order = ("reproduced", "undecided", "not run", "contradicted")
    return next((status for status in order if status in statuses), "not run")
