"""What so many seeds could have seen: the smallest difference that a t test finds with a given power."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy import optimize, stats


@dataclass(frozen=True)
class Detectable:
    """The smallest difference that would have been seen.

    Attributes
    ----------
    standardised : float
        In units of `sd`.
    raw : float
        In units of the score: ``standardised * sd``.
    sd : float
        Standard deviation it was worked out from.
    n : int
        Seeds: pairs if paired, of each of the two groups if not.
    paired : bool
        Whether the seeds are paired.
    power : float
        Probability of seeing it.
    alpha : float
        Two-sided level of the t test.
    """

    standardised: float
    raw: float
    sd: float
    n: int
    paired: bool
    power: float
    alpha: float


def smallest_detectable(sd: float, n: int, *, paired: bool, power: float = 0.8, alpha: float = 0.05) -> Detectable:
    """Smallest true difference that a two-sided t test of n seeds finds with probability `power`.

    The power of a standardised difference d is ``P(T > t)`` with t the two-sided critical value at n - 1 (paired)
    or 2 n - 2 (unpaired) degrees of freedom and T noncentral t with noncentrality ``d sqrt(n)`` or
    ``d sqrt(n / 2)``; d is where that equals `power`. A significant difference in the wrong direction isn't found.

    Parameters
    ----------
    sd : float, >= 0
        Observed standard deviation: of the differences if paired, within a method if not
        (`bench.stats.Comparison.sd`). It is itself uncertain, by a factor of 0.7 to 1.8 with 10 pairs.
    n : int, >= 2
        Pairs, or seeds of each of two groups of equal size.
    paired : bool
        Which of the two.
    power : float, in (alpha, 1)
        Probability of finding it.
    alpha : float, in (0, 1)
        Two-sided level.

    Returns
    -------
    Detectable
        Standardised and raw.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Notes
    -----
    Source: Cohen, Statistical Power Analysis for the Behavioral Sciences, 2nd edition, 1988, chapter 2.
    """
    if n < 2 or not (math.isfinite(sd) and sd >= 0):
        raise ValueError(f"needs at least 2 seeds and a standard deviation, got n = {n}, sd = {sd}")
    if not 0 < alpha < power < 1:
        raise ValueError(f"needs 0 < alpha < power < 1, got alpha = {alpha}, power = {power}")
    degrees, per_d = (n - 1, math.sqrt(n)) if paired else (2 * n - 2, math.sqrt(n / 2))
    critical = float(stats.t.ppf(1 - alpha / 2, degrees))

    def missing(shift: float) -> float:
        return float(stats.nct.sf(critical, degrees, shift)) - power

    # At twice the critical value and more the power is above one half, and grows from there.
    upper = 2 * critical
    while missing(upper) < 0:
        upper *= 2
    d = float(optimize.brentq(missing, 0.0, upper)) / per_d
    return Detectable(d, d * sd, sd, n, paired, power, alpha)


def detectable_line(found: Detectable) -> str:
    """One clause for a report: what would have been seen.

    Parameters
    ----------
    found : Detectable
        From `smallest_detectable`.

    Returns
    -------
    str
        Such as "with n = 10 seeds a difference of 0.05 would have been seen with 80 % probability". The
        difference is rounded up to two digits, so that the sentence stays true.
    """
    seeds = f"n = {found.n} {'seeds' if found.paired else 'seeds each'}"
    if found.raw == 0:
        return f"with {seeds} that don't differ at all, nothing is known about what would have been seen"
    size = _rounded_up(found.raw)
    return f"with {seeds} a difference of {size} would have been seen with {100 * found.power:.4g} % probability"


def _rounded_up(value: float) -> str:
    """Two significant digits, rounded up: 0.0501 is "0.051", 123 is "130"."""
    decimals = 1 - math.floor(math.log10(value))
    # A number that has two digits already must not go up by its binary rounding.
    steps = math.ceil(value * 10.0**decimals - 1e-9)
    return f"{steps / 10.0**decimals:.{max(decimals, 0)}f}"
