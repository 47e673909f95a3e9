"""What fresh seeds say about a method, in sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.check.alarms import Shift, confirmed, smallest_found
from bench.check.compare import moved_by, since
from bench.check.finding import Finding
from bench.check.fresh import DIVERGED, N_FRESH
from bench.results.summary import score_info


def findings(
    method: str, known: Mapping[str, Any], first: Mapping[str, Shift], second: Mapping[str, Shift], n_tests: int
) -> list[Finding]:
    """What two sets of fresh seeds say about one method.

    Parameters
    ----------
    method : str
    known : mapping
        What is stored of it.
    first : mapping of str to Shift
        Column to its shift.
    second : mapping of str to Shift
        The same for the columns that raised an alarm.
    n_tests : int
        Size of the family in the first set.

    Returns
    -------
    list of Finding
        One per column that moved, is the same or is within its margin; one for all that are undecided.
    """
    subject = f"method {method}"
    version = known["versions"].get(subject)
    found, open_ = [], []
    for column, shift in first.items():
        bound = shift.margin
        numbers: dict[str, Any] = {"expected": shift.stored, "got": shift.fresh, "bound": bound, "version": version}
        other = second.get(column)
        if shift.kind == "alarm" and other is not None and confirmed(shift, other):
            text = (
                f"{subject}: mean {column} {moved_by(shift.stored, shift.fresh)}{_worse(column, shift)}, "
                f"{since(subject, known)}: {N_FRESH} fresh seeds, p = {shift.p:.2g} after Holm's correction, and "
                f"{N_FRESH} others, p = {other.p:.2g}, mean {other.fresh:.4g}; the margin is {bound:.2g}"
            )
            found.append(Finding(2, subject, f"mean {column}", "moved", text, **numbers))
        elif shift.kind in ("same", "within"):
            text = f"{subject}: mean {column} is the stored one"
            if shift.kind == "within":
                text = f"{subject}: mean {column} moved by less than {bound:.2g}, with 95 % confidence"
            found.append(Finding(2, subject, f"mean {column}", shift.kind, text, **numbers))
        else:
            open_.append((column, shift))
    if open_:
        least = smallest_found(len(known["numbers"][DIVERGED]), N_FRESH, n_tests)
        text = (
            f"{subject}: no change is seen, but these 95 % intervals of one reach beyond the margin: "
            f"{', '.join(_reach(column, shift) for column, shift in open_)}; {least:.1f} standard deviations would "
            "have been seen with 80 % probability"
        )
        found.append(Finding(2, subject, ", ".join(column for column, _ in open_), "undecided", text, version=version))
    return found


def missing(method: str, known: Mapping[str, Any], column: str, reason: str = "") -> Finding:
    """A stored column, or all of a method, that can't be had any more."""
    subject = f"method {method}"
    what = f"{subject}: mean {column} is stored but isn't measured any more"
    if reason:
        what = f"{subject}: its runs are stored but fail now"
    text = f"{what}, {since(subject, known)}" + (f": {reason}" if reason else "")
    quantity = "all" if reason else f"mean {column}"
    return Finding(2, subject, quantity, "missing", text, version=known["versions"].get(subject))


def _worse(column: str, shift: Shift) -> str:
    """Whether the move is for the better."""
    better = False if column == DIVERGED else score_info(column).higher_is_better
    if better is None:
        return ""
    return " (better)" if (shift.fresh > shift.stored) == better else " (worse)"


def _reach(column: str, shift: Shift) -> str:
    """An interval that isn't inside its margin, and whether there was an alarm that wasn't confirmed."""
    low, high = shift.interval.low, shift.interval.high
    reach = "none" if low is None or high is None else f"{low:+.2g} to {high:+.2g}"
    alarm = f"; an alarm, p = {shift.p:.2g}, that {N_FRESH} other seeds didn't raise" if shift.kind == "alarm" else ""
    return f"{column} {reach} ({shift.margin:.2g}{alarm})"
