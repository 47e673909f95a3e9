"""Verdicts by interval: whether a claim holds, and which methods are the best."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from bench.stats.intervals import MIN_SEEDS, TOO_FEW, Interval
from bench.stats.summaries import Summary

Claim = Literal["superiority", "equivalence", "noninferiority"]
Direction = Literal["greater", "less"]
Verdict = Literal["reproduced", "contradicted", "undecided"]


@dataclass(frozen=True)
class BestGroup:
    """The methods that can't be told from the best one.

    Attributes
    ----------
    members : tuple of str
        The best first, then the others in the order given; empty where nothing is compared.
    winner : str or None
        The only member, if there is only one.
    note : str
        "too few seeds to compare" where that is why there is no group, else empty.
    """

    members: tuple[str, ...]
    winner: str | None
    note: str


def verdict(interval: Interval | Summary, margin: float, kind: Claim, direction: Direction = "greater") -> Verdict:
    """Whether an interval bears a claim out, by inclusion.

    ================  ===========================  ==============================
    claim             reproduced                   contradicted
    ================  ===========================  ==============================
    superiority       ``low > margin``             ``high < margin``
    noninferiority    ``low > -margin``            ``high < -margin``
    equivalence       inside (-margin, margin)     disjoint from it
    ================  ===========================  ==============================

    Anything else is undecided, as is everything with fewer than `bench.stats.MIN_SEEDS` seeds.

    Parameters
    ----------
    interval : Interval or Summary
        Of the difference, first method minus second.
    margin : float
        At least 0, in units of the difference; above 0 for equivalence and noninferiority.
    kind : {"superiority", "equivalence", "noninferiority"}
        What is claimed: a difference of more than `margin`, none of `margin` or more in either direction, or none
        of `margin` or more in the wrong one.
    direction : {"greater", "less"}
        Where the claim says the first method lies, or is better; unused for equivalence.

    Returns
    -------
    {"reproduced", "contradicted", "undecided"}
        With a two-sided interval of level 1 - 2 α, superiority and noninferiority are one-sided tests at α, and
        equivalence is the two one-sided tests at α: a 90 % interval for the usual TOST at 0.05, a 95 % interval
        for 0.025. Holds as far as the interval keeps its level: Student's does with few seeds, the bootstrap's
        doesn't (`bench.stats.bootstrap_interval`).

    Raises
    ------
    ValueError
        For a margin, kind or direction that isn't one.

    Notes
    -----
    Sources: Schuirmann, Journal of Pharmacokinetics and Biopharmaceutics 15 (1987), 657-680 (equivalence);
    Piaggio et al., JAMA 308 (2012), 2594-2604 (noninferiority).
    """
    if kind not in ("superiority", "equivalence", "noninferiority") or direction not in ("greater", "less"):
        raise ValueError(f"no such claim: {kind!r}, {direction!r}")
    if not (math.isfinite(margin) and margin >= 0) or (margin == 0 and kind != "superiority"):
        raise ValueError(f"a margin of {margin} says nothing for {kind}")
    if interval.n < MIN_SEEDS or interval.low is None or interval.high is None:
        return "undecided"
    low, high = interval.low, interval.high
    if kind == "equivalence":
        if -margin < low and high < margin:
            return "reproduced"
        return "contradicted" if low >= margin or high <= -margin else "undecided"
    if direction == "less":
        low, high = -high, -low
    bar = margin if kind == "superiority" else -margin
    return "reproduced" if low > bar else "contradicted" if high < bar else "undecided"


def verdict_line(interval: Interval, margin: float, kind: Claim, direction: Direction = "greater") -> str:
    """`verdict` with its grounds, as one clause for a report.

    Parameters
    ----------
    interval, margin, kind, direction
        As in `verdict`.

    Returns
    -------
    str
        Such as "reproduced: the 95 % interval [0.02, 0.05] of n = 10 seeds lies above 0"; "undecided: too few
        seeds to compare (n = 3)" below `bench.stats.MIN_SEEDS`.

    Raises
    ------
    ValueError
        As `verdict`.
    """
    result = verdict(interval, margin, kind, direction)
    if interval.n < MIN_SEEDS:
        return f"{result}: {TOO_FEW} (n = {interval.n})"
    if interval.low is None or interval.high is None:
        return f"{result}: no interval ({interval.note})"
    if kind == "equivalence":
        verb = {"reproduced": "lies within", "contradicted": "lies outside", "undecided": "overlaps an end of"}[result]
        where = f"{verb} ({-margin:.3g}, {margin:.3g})"
    else:
        bar = (margin if kind == "superiority" else -margin) * (1 if direction == "greater" else -1)
        above = (result == "reproduced") == (direction == "greater")
        where = f"{'contains' if result == 'undecided' else 'lies above' if above else 'lies below'} {bar + 0.0:.3g}"
    level = f"{100 * interval.confidence:.4g} % interval [{interval.low + 0.0:.3g}, {interval.high + 0.0:.3g}]"
    return f"{result}: the {level} of n = {interval.n} seeds {where}"


def best_group(summaries: Mapping[str, Summary], *, higher_is_better: bool) -> BestGroup:
    """Methods whose interval overlaps the one of the method with the best mean.

    Parameters
    ----------
    summaries : mapping of str to Summary
        Method to the summary that is printed, so that what is bold agrees with the intervals beside it. Those
        without values don't count.
    higher_is_better : bool
        Direction.

    Returns
    -------
    BestGroup
        Intervals that touch overlap. There is a winner only if nobody else is in the group; no group with fewer
        than two methods, or if any has fewer than `bench.stats.MIN_SEEDS` values.

    Notes
    -----
    A rule for what to print, not a test: intervals of means that overlap a little may belong to a difference that
    a paired comparison finds (`bench.stats.compare_paired`).
    """
    ranked = {label: item for label, item in summaries.items() if item.n}
    if len(ranked) < 2:
        return BestGroup((), None, "")
    if min(item.n for item in ranked.values()) < MIN_SEEDS:
        return BestGroup((), None, TOO_FEW)
    sign = 1 if higher_is_better else -1
    best = max(ranked, key=lambda label: sign * ranked[label].mean)
    rivals = (label for label in ranked if label != best and not _apart(ranked[best], ranked[label]))
    members = (best, *rivals)
    return BestGroup(members, best if len(members) == 1 else None, "")


def _apart(first: Summary, second: Summary) -> bool:
    if first.low is None or first.high is None or second.low is None or second.high is None:
        return False
    return first.low > second.high or first.high < second.low
