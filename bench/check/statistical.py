"""Tier 2: ten fresh seeds of every method against the stored ones, and ten more where those raise an alarm.

What may change between releases (a library's rounding, the order of sums) changes single runs, which tier 1 sees, but
not how they are distributed over seeds, which is all that this tier looks at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.check import fresh, trials
from bench.check.alarms import shifts
from bench.check.baselines import Measured, Stored, read
from bench.check.compare import tolerated
from bench.check.finding import Finding
from bench.check.fresh import LEAST_STORED, N_STORED, Scores
from bench.check.renew import renew
from bench.check.request import Request
from bench.check.shift_findings import findings, missing
from bench.config.expand import expand
from bench.errors import BenchError
from bench.registry import MethodEntry
from bench.seeds import stream
from bench.spec import RunSpec

FILE = "check_statistics.json"
#: Digits of a stored score: far below the spread over seeds.
DIGITS = 6

#: Method and column.
Key = tuple[str, str]
Values = NDArray[np.float64]


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
    """Run fresh seeds of stored methods, other ones of those that raise an alarm, and say what moved."""
    known = {method: stored.subjects[_subject(method)] for method in methods}
    found = []
    for method, subject in list(known.items()):
        n_stored = len(subject["numbers"][fresh.DIVERGED])
        if n_stored < LEAST_STORED:
            text = f"method {method}: {n_stored} stored seeds, {LEAST_STORED} are needed"
            found.append(Finding(2, _subject(method), "all", "undecided", text))
            del known[method]
    table, limits = stored_table(known), margins(known)
    now, lost = _fresh(request, list(known), known, again=False)
    first = shifts(table, now, limits, rng=stream(request.night, "check"))
    alarms = [key for key, shift in first.items() if shift.kind == "alarm"]
    later, lost_later = _fresh(request, list(dict.fromkeys(method for method, _ in alarms)), known, again=True)
    second = shifts({key: table[key] for key in alarms}, later, limits, rng=stream(request.night, "check again"))
    found += lost + lost_later
    for method, subject in known.items():
        own, other = ({column: s for (name, column), s in part.items() if name == method} for part in (first, second))
        found += [
            missing(method, subject, column)
            for name, column in table
            if name == method and own and (method, column) not in now and now[method, fresh.DIVERGED].mean() < 1
        ]
        found += findings(method, subject, own, other, len(first))
    return found


def versions_of(spec: RunSpec) -> dict[str, int]:
    """What the stored scores of a method depend on and has a version."""
    return trials.versions(spec) | {f"metric {name}": version for name, version in spec.evaluation.metrics.items()}


def stored_table(known: Mapping[str, Mapping[str, Any]]) -> dict[Key, Values]:
    """Stored values by method and column, NaN where a run has none."""
    return {
        (method, column): np.array([np.nan if value is None else value for value in values.values()], dtype=np.float64)
        for method, subject in known.items()
        for column, values in subject["numbers"].items()
    }


def margins(known: Mapping[str, Mapping[str, Any]]) -> dict[Key, float]:
    """Margins by method and column, in the column's units: a share of the stored mean where that is above 1."""
    return {
        (method, column): tolerated(
            known[method]["bounds"][column], float(np.nanmean(values)) if np.isfinite(values).any() else 0.0
        )
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
    request: Request, methods: Sequence[str], known: Mapping[str, Any], *, again: bool
) -> tuple[dict[Key, Values], list[Finding]]:
    """Values of one set of fresh seeds by method and column, and a finding for each method that fails now."""
    if not methods:
        return {}, []
    seeds = fresh.fresh_seeds(request.night, again)
    request.tell(f"tier 2: seeds {seeds[0]} to {seeds[-1]} of {', '.join(methods)}")
    scores, failures = fresh.run(methods, seeds, plugins=request.plugins, jobs=request.jobs, tell=request.tell)
    values = {
        (method, column): np.array([values.get(seed, np.nan) for seed in seeds])
        for method, columns in scores.items()
        for column, values in columns.items()
    }
    return values, [missing(method, known[method], "all", reason) for method, reason in failures.items()]


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


def _fitting(entries: Sequence[MethodEntry], stored: Stored) -> tuple[dict[str, RunSpec], list[Finding]]:
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


def _subject(method: str) -> str:
    return f"method {method}"


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.{DIGITS}g}")
