"""A subject's numbers against the stored ones: a finding per column, with a sentence for what moved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.check.baselines import Measured, rounded
from bench.check.finding import Finding, Status


def compare(tier: int, measured: Measured, known: Mapping[str, Any] | None, environment: str = "") -> list[Finding]:
    """Compare a subject with what is stored of it.

    Parameters
    ----------
    tier : int
    measured : Measured
    known : mapping or None
        What `bench.check.baselines.entry` stored, None if nothing is.
    environment : str
        Key of this environment, for the digests.

    Returns
    -------
    list of Finding
        One per column and digest, and one if the versions aren't the stored ones.
    """
    if known is None:
        text = f"{measured.subject}: nothing is stored yet; bench check --record stores it"
        return [Finding(tier, measured.subject, "all", "new", text)]
    found = _versions(tier, measured, known)
    for column in sorted({*measured.numbers, *known["numbers"]}):
        found.append(_column(tier, measured, known, column))
    return found + _digests(tier, measured, known, environment)


def own_version(subject: str, versions: Mapping[str, int]) -> int | None:
    """Version of the subject itself among those its numbers depend on."""
    return versions.get(subject)


def since(subject: str, known: Mapping[str, Any]) -> str:
    """Say since when a number stood: ``"since version 1 (stored by disbench 0.1.0)"``."""
    version = own_version(subject, known["versions"])
    stored_by = f"disbench {known['stored_by']}"
    return f"since {stored_by}" if version is None else f"since version {version} (stored by {stored_by})"


def moved_by(old: float, new: float) -> str:
    """Say how far and in which direction: ``"fell by 0.012 (3.4 %), from 0.356 to 0.344"``."""
    change = new - old
    share = f" ({abs(change / old):.2%})".replace("%)", " %)") if old else ""
    return f"{'rose' if change > 0 else 'fell'} by {abs(change):.3g}{share}, from {old:.7g} to {new:.7g}"


def tolerated(bound: float, old: float | None) -> float:
    """How far a number may lie from the stored one."""
    return bound * max(1.0, abs(old or 0.0))


def _versions(tier: int, measured: Measured, known: Mapping[str, Any]) -> list[Finding]:
    stored: dict[str, int] = known["versions"]
    if stored == measured.versions:
        return []
    now = measured.versions
    changed = ", ".join(
        f"{name} is at version {now.get(name, 'none')}, the stored numbers are of {stored.get(name, 'none')}"
        for name in sorted({*stored, *now})
        if stored.get(name) != now.get(name)
    )
    text = f"{measured.subject}: {changed}; bench check --update stores them anew"
    version = own_version(measured.subject, stored)
    return [Finding(tier, measured.subject, "version", "moved", text, version=version)]


def _column(tier: int, measured: Measured, known: Mapping[str, Any], column: str) -> Finding:
    subject, version = measured.subject, own_version(measured.subject, known["versions"])
    old, new = known["numbers"].get(column), measured.numbers.get(column)
    if old is None:
        text = f"{subject}: {column} isn't stored yet; bench check --record stores it"
        return Finding(tier, subject, column, "new", text, version=version)
    gone = sorted(set(old) - set(new or {}))
    if new is None or gone:
        name = column if new is None else f"{column} of {gone[0]}"
        text = f"{subject}: {name} is stored but isn't computed any more, {since(subject, known)}"
        return Finding(tier, subject, name, "missing", text, version=version)
    bound = known["bounds"].get(column, 0.0)
    worst, rank, n_moved, exact = "", -1.0, 0, True
    for case, before in old.items():
        after = rounded(new[case])
        exact = exact and before == after
        if before is None or after is None:
            excess = 0.0 if before is after else float("inf")
        else:
            excess = abs(after - before) / (tolerated(bound, before) or 1e-300)
        n_moved += excess > 1
        if excess > rank:
            worst, rank = case, excess
    before, after = old[worst], rounded(new[worst])
    quantity, limit = f"{column} of {worst}", tolerated(bound, before)
    facts: dict[str, Any] = {"expected": before, "got": after, "bound": limit, "version": version}
    if rank <= 1:
        status: Status = "same" if exact else "within"
        text = f"{subject}: {column} is {'what is stored' if exact else 'within its bound'}"
        if set(new) - set(old):
            status, text = "new", f"{subject}: {column} has cases that aren't stored yet; bench check --record does it"
        return Finding(tier, subject, quantity, status, text, **facts)
    if before is None or after is None:
        text = f"{subject}: {quantity} was {_printed(before)} and is {_printed(after)}, {since(subject, known)}"
    else:
        text = f"{subject}: {quantity} {moved_by(before, after)}, {since(subject, known)}; {limit:.2g} is tolerated"
    others = f" (and {n_moved - 1} more of {len(old)})" if n_moved > 1 else ""
    return Finding(tier, subject, quantity, "moved", text + others, **facts)


def _printed(value: float | None) -> str:
    return "no number" if value is None else f"{value:.7g}"


def _digests(tier: int, measured: Measured, known: Mapping[str, Any], environment: str) -> list[Finding]:
    stored = known.get("digests", {}).get(environment)
    if stored is None:
        return []
    version = own_version(measured.subject, known["versions"])
    found = []
    for what in sorted(stored):
        old, new = stored[what], measured.digests.get(what)
        status: Status = "same" if old == new else "moved"
        text = f"{measured.subject}: the {what} are the stored ones to the bit"
        if status == "moved":
            text = (
                f"{measured.subject}: the {what} aren't the stored ones to the bit, in the environment that they were "
                f"stored in ({environment}), {since(measured.subject, known)}: data order, initialisation or "
                "arithmetic changed"
            )
        found.append(Finding(tier, measured.subject, f"digest of the {what}", status, text, old, new, None, version))
    return found
