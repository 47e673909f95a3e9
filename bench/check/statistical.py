"""Tier 2: ten fresh seeds of every method against the stored ones, and ten more where those raise an alarm.

What may change between releases (a library's rounding, the order of sums) changes single runs, which tier 1 sees, but
not how they are distributed over seeds, which is all that this tier looks at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from bench.aggregate import score_info
from bench.check import fresh, trials
from bench.check.alarms import Shift, confirmed, shifts, smallest_found
from bench.check.baselines import Measured, Stored, read
from bench.check.compare import moved_by, since, tolerated
from bench.check.finding import Finding
from bench.check.fresh import LEAST_STORED, N_FRESH, N_STORED, Scores
from bench.check.renew import renew
from bench.check.request import Request
from bench.errors import BenchError
from bench.expand import expand
from bench.registry import Entry
from bench.seeds import stream
from bench.spec import RunSpec

FILE = "check_statistics.json"
#: Digits of a stored score: far below the spread over seeds.
DIGITS = 6

Key = tuple[str, str]


def check(request: Request) -> list[Finding]:
    """Tier 2."""
    stored = read(request.baselines / FILE)
    entries = request.chosen_methods()
    if stored.subjects and stored.inputs.get("study") != fresh.checksum():
        text = f"the stored runs are of another study than {fresh.SETTING.name}: delete {stored.path} and record anew"
        return [Finding(2, "study", "settings", "moved", text)]
    specs, found = _fitting(entries, stored)
    names = {_subject(entry.name) for entry in entries}
    found += [
        Finding(2, name, "all", "missing", f"{name} is stored but isn't registered any more")
        for name in stored.subjects
        if request.covers(name) and name not in names
    ]
    versions = {method: versions_of(spec) for method, spec in specs.items()}
    unknown = [method for method in specs if _subject(method) not in stored.subjects]
    changed = [
        method
        for method, now in versions.items()
        if method not in unknown and stored.subjects[_subject(method)]["versions"] != now
    ]
    if request.mode == "record":
        return found + _store(request, stored, unknown, versions)
    same = [method for method in specs if method not in (*unknown, *changed)]
    found += compare(request, stored, same)
    if request.mode == "update":
        moved = [finding.message for finding in found if finding.status == "moved"]
        if moved:
            raise BenchError("\n".join(["nothing is stored, because no version was raised for what moved:", *moved]))
        return found + _store(request, stored, unknown + changed, versions)
    for method in unknown:
        text = f"method {method}: nothing is stored yet; bench check --tier 2 --record stores it"
        found.append(Finding(2, _subject(method), "all", "new", text))
    for method in changed:
        subject = _subject(method)
        before: dict[str, int] = stored.subjects[subject]["versions"]
        now = versions[method]
        apart = [
            f"{name} is at version {now.get(name, 'none')}, the stored runs are of {before.get(name, 'none')}"
            for name in sorted({*before, *now})
            if before.get(name) != now.get(name)
        ]
        text = f"{subject}: {', '.join(apart)}; bench check --tier 2 --update stores them anew"
        found.append(Finding(2, subject, "version", "moved", text, version=before.get(subject)))
    return found


def compare(request: Request, stored: Stored, methods: Sequence[str]) -> list[Finding]:
    """Run fresh seeds of methods and compare them with their stored runs.

    Parameters
    ----------
    request : Request
    stored : Stored
    methods : sequence of str
        Stored ones.
    """
    known = {method: stored.subjects[_subject(method)] for method in methods}
    few = [method for method in methods if len(known[method]["numbers"][fresh.DIVERGED]) < LEAST_STORED]
    found = [
        Finding(
            2,
            _subject(method),
            "all",
            "undecided",
            f"method {method}: {len(known[method]['numbers'][fresh.DIVERGED])} stored seeds, {LEAST_STORED} are needed",
        )
        for method in few
    ]
    enough = [method for method in methods if method not in few]
    table = stored_table({method: known[method] for method in enough})
    limits = margins({method: known[method] for method in enough})
    first, failures = _fresh(request, enough, table, limits, again=False)
    found += [_failed(method, known[method], reason) for method, reason in failures.items()]
    alarms = [key for key, shift in first.items() if shift.kind == "alarm"]
    again = list(dict.fromkeys(method for method, _ in alarms))
    raised = {key: table[key] for key in alarms}
    second, failures = _fresh(request, again, raised, limits, again=True) if again else ({}, {})
    found += [_failed(method, known[method], reason) for method, reason in failures.items()]
    for method in enough:
        shown = {column: shift for (name, column), shift in first.items() if name == method}
        found += findings(
            method, known[method], shown, {c: s for (n, c), s in second.items() if n == method}, len(first)
        )
    return found


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
    subject, version = _subject(method), known["versions"].get(_subject(method))
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
        parts = [
            f"{column} ({_interval(shift)}, margin {shift.margin:.2g}"
            + (
                f"; an alarm, p = {shift.p:.2g}, that {N_FRESH} other seeds didn't raise)"
                if shift.kind == "alarm"
                else ")"
            )
            for column, shift in open_
        ]
        n_stored = len(known["numbers"][fresh.DIVERGED])
        least = smallest_found(n_stored, N_FRESH, n_tests)
        text = (
            f"{subject}: no change is seen in {', '.join(parts)}, but the seeds don't exclude one beyond the margin; "
            f"one of {least:.2g} standard deviations would have been seen with 80 % probability"
        )
        found.append(Finding(2, subject, ", ".join(column for column, _ in open_), "undecided", text, version=version))
    return found


def versions_of(spec: RunSpec) -> dict[str, int]:
    """What the stored scores of a method depend on and has a version."""
    return trials.versions(spec) | {f"metric {name}": version for name, version in spec.evaluation.metrics.items()}


def stored_table(known: Mapping[str, Mapping[str, Any]]) -> dict[Key, np.ndarray[Any, np.dtype[np.float64]]]:
    """Stored values by method and column, NaN where a run has none."""
    return {
        (method, column): np.array([np.nan if value is None else value for value in values.values()], dtype=np.float64)
        for method, subject in known.items()
        for column, values in subject["numbers"].items()
    }


def margins(known: Mapping[str, Mapping[str, Any]]) -> dict[Key, float]:
    """Margins by method and column, in the column's units: a share of the stored mean where that is above 1."""
    return {
        (method, column): tolerated(known[method]["bounds"][column], _mean(values))
        for (method, column), values in stored_table(known).items()
    }


def measured(method: str, scores: Scores, versions: dict[str, int], seeds: Iterable[int]) -> Measured:
    """A method's runs, ready to be stored."""
    limits: dict[str, float] = fresh.setting()["margins"]
    numbers = {
        column: {f"seed {seed:02d}": _short(scores.get(column, {}).get(seed)) for seed in seeds}
        for column in limits
        if column in scores
    }
    return Measured(_subject(method), versions, numbers, {column: limits[column] for column in numbers})


def _fresh(
    request: Request, methods: Sequence[str], table: Mapping[Key, Any], limits: Mapping[Key, float], *, again: bool
) -> tuple[dict[Key, Shift], dict[str, str]]:
    """Shifts of one set of fresh seeds, and methods that fail now."""
    if not methods:
        return {}, {}
    seeds = fresh.fresh_seeds(request.night, again)
    request.tell(f"tier 2: seeds {seeds[0]} to {seeds[-1]} of {', '.join(methods)}")
    scores, failures = fresh.run(methods, seeds, plugins=request.plugins, jobs=request.jobs, tell=request.tell)
    now = {
        (method, column): np.array([values.get(seed, np.nan) for seed in seeds])
        for method, columns in scores.items()
        for column, values in columns.items()
    }
    return shifts(table, now, limits, rng=stream(seeds[0], "check")), failures


def _store(
    request: Request, stored: Stored, methods: Sequence[str], versions: Mapping[str, dict[str, int]]
) -> list[Finding]:
    """Run the seeds that are stored, and store them as far as `request` allows."""
    if not methods:
        return []
    seeds = range(N_STORED)
    request.tell(f"tier 2: {N_STORED} seeds of {', '.join(methods)}")
    scores, failures = fresh.run(methods, seeds, plugins=request.plugins, jobs=request.jobs, tell=request.tell)
    if failures:
        method, reason = next(iter(failures.items()))
        raise BenchError(f"nothing is stored, because a run of method '{method}' failed: {reason}")
    stored.inputs["study"] = fresh.checksum()
    return renew(2, stored, [measured(name, scores[name], versions[name], seeds) for name in methods], request.mode)


def _fitting(entries: Sequence[Entry[Any]], stored: Stored) -> tuple[dict[str, RunSpec], list[Finding]]:
    """A spec of each method that can be trained on this tier's study, and why the others can't."""
    specs: dict[str, RunSpec] = {}
    found = []
    for entry in entries:
        try:
            (specs[entry.name],) = expand(fresh.study([entry.name], [0]))
        except BenchError as error:
            status = "missing" if _subject(entry.name) in stored.subjects else "skipped"
            text = f"method {entry.name} can't be trained here: {error}"
            found.append(Finding(2, _subject(entry.name), "all", status, text))  # type: ignore[arg-type]
    return specs, found


def _failed(method: str, known: Mapping[str, Any], reason: str) -> Finding:
    text = f"method {method}: its runs are stored but fail now, {since(_subject(method), known)}: {reason}"
    return Finding(2, _subject(method), "all", "missing", text, version=known["versions"].get(_subject(method)))


def _subject(method: str) -> str:
    return f"method {method}"


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.{DIGITS}g}")


def _mean(values: Any) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if finite.size else 0.0


def _worse(column: str, shift: Shift) -> str:
    """Whether the move is for the better."""
    better = False if column == fresh.DIVERGED else score_info(column).higher_is_better
    if better is None:
        return ""
    return " (better)" if (shift.fresh > shift.stored) == better else " (worse)"


def _interval(shift: Shift) -> str:
    if shift.interval.low is None or shift.interval.high is None:
        return "no interval"
    return f"95 % interval {shift.interval.low:+.2g} to {shift.interval.high:+.2g}"
