"""From hyper-parameters in shares to numbers, when a study is expanded: runs and methods know numbers only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import ROUND_CEILING, Decimal
from fractions import Fraction
from typing import Any

from bench.errors import BenchError
from bench.method import resolve_hyper
from bench.registry import METHODS
from bench.shares import OfPlainKL, OfSteps, Share, ShareOf, Until, declared_shares, parse_share, shares_in

Table = dict[str, Any]
#: Significant digits of a staircase's step, which is rounded up so that the end is reached.
DIGITS = 4


def resolve_shares(name: str, values: Mapping[str, Any], *, steps: int, plain_kl: Callable[[], float]) -> Table:
    """Check hyper-parameters of a method, fill in the defaults, and make numbers of those that are shares.

    Parameters
    ----------
    name : str
        A registered method.
    values : mapping
        What was set: numbers, or shares as `bench.shares` has them.
    steps : int
        Of the training.
    plain_kl : callable
        Gives the plain VAE's KL, nats; called only if something is a share of it.

    Returns
    -------
    dict
        As `bench.method.resolve_hyper` gives it, without any share.

    Raises
    ------
    BenchError
        In one line: a share where none can be, one that isn't written as such, and whatever is wrong with the numbers
        that come of them; and what `plain_kl` raises.
    """
    cls = METHODS.get(name).value.Hyper
    written = shares_in(cls, values)
    if not written:
        return resolve_hyper(name, dict(values))
    declared = declared_shares(cls)
    shares = {key: _share(name, key, text, declared) for key, text in written.items()}
    numbers: Table = {key: value for key, value in values.items() if key not in shares}
    for key, share in shares.items():
        if isinstance(declared[key], OfPlainKL):
            numbers[key] = round(float(share.of_one) * plain_kl(), 2)
        elif isinstance(declared[key], OfSteps):
            numbers[key] = max(1, int(share.of_one * steps + Fraction(1, 2)))
    try:
        whole = resolve_hyper(name, numbers)
        for key, share in shares.items():
            if isinstance(schedule := declared[key], Until):
                numbers[key] = _height(schedule, share, whole, steps) or whole[key]
        return resolve_hyper(name, numbers)
    except BenchError as error:
        made = ", ".join(f"{key}={written[key]} is {numbers[key]}" for key in shares if key in numbers)
        raise BenchError(f"{error}" + (f" ({made})" if made else "")) from None
    except ValueError as error:
        raise BenchError(f"method '{name}': {error}") from None


def asks_for_plain_kl(name: str, values: Mapping[str, Any]) -> bool:
    """Whether some hyper-parameter is a share of the plain VAE's KL."""
    cls = METHODS.get(name).value.Hyper
    written = shares_in(cls, values)
    return bool(written) and any(isinstance(declared_shares(cls).get(key), OfPlainKL) for key in written)


def _share(name: str, key: str, text: str, declared: Mapping[str, ShareOf]) -> Share:
    where = f"method '{name}': {key}={text!r}"
    if key not in declared:
        can = ", ".join(f"{other} ({mark.form} {mark.meaning})" for other, mark in declared.items())
        raise BenchError(f"{where}: it can't be a share, write a number; {can or 'nothing of this method'} can be one")
    try:
        share = parse_share(text)
    except ValueError as error:
        raise BenchError(f"{where}: {error}; here {declared[key].form} {declared[key].meaning}") from None
    if share.until is not isinstance(declared[key], Until):
        raise BenchError(f"{where}: write it as {declared[key].form}, a share {declared[key].meaning}")
    if share.until and share.per_cent > 100:
        raise BenchError(f"{where}: the training is over by then; write until 100% at most")
    return share


def _height(schedule: Until, share: Share, hyper: Mapping[str, Any], steps: int) -> float:
    """Height of a staircase's steps of which the last is done by a share of the training; 0 if any height does."""
    start, stop, every = (hyper[key] for key in (schedule.start, schedule.stop, schedule.every))
    rises = share.of_one * steps // every
    if not rises:
        raise ValueError(
            f"until {float(share.per_cent):g}% of {steps:,} steps there is no rise with {schedule.every}={every}; "
            f"lower {schedule.every}"
        )
    exact = (Decimal(repr(float(stop))) - Decimal(repr(float(start)))) / rises
    if exact < 0:
        raise ValueError(f"{schedule.stop}={stop} lies below {schedule.start}={start}; it can only grow")
    if not exact:
        return 0.0
    unit = Decimal(1).scaleb(exact.adjusted() - DIGITS + 1)
    height = exact.quantize(unit, rounding=ROUND_CEILING)
    # Sums of binary fractions may fall short of a decimal one's.
    while start + float(height) * rises < stop:
        height += unit
    return float(height)
