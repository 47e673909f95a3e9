"""What may be stored: what is new at any time, what moved only with a new version and a line that says so."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.check.baselines import Measured, Stored, entry
from bench.check.compare import compare
from bench.check.finding import Finding
from bench.check.request import Mode
from bench.errors import BenchError

#: Section of a changelog that lists whatever moves a number for the same command.
SECTION = "Changed scores"
#: Bounds of these subjects, measured or constant.
Bounds = Callable[[list[Measured]], dict[str, dict[str, float]]]


def renew(
    tier: int,
    stored: Stored,
    measured: Sequence[Measured],
    mode: Mode,
    *,
    gone: Sequence[str] = (),
    environment: str = "",
    bounds: Bounds | None = None,
) -> list[Finding]:
    """Change `stored` in place as far as `mode` allows, and write the file if anything changed.

    Parameters
    ----------
    tier : int
    stored : Stored
    measured : sequence of Measured
    mode : {"record", "update"}
    gone : sequence of str
        Stored subjects that can't be computed any more.
    environment : str
        Key that this environment's digests go under.
    bounds : callable, optional
        Measures the bounds of subjects that are stored anew; by default those that came with the numbers.

    Returns
    -------
    list of Finding
        What was stored, as "new".

    Raises
    ------
    BenchError
        If something moved without a new version, or without a line in the changelog. Nothing is stored then.
    """
    fresh, kept, refused = [], [], []
    changes = changelog(stored.path.parent)
    for item in measured:
        known = stored.subjects.get(item.subject)
        moved = [found for found in compare(tier, item, known, environment) if found.status in ("moved", "missing")]
        numbers = [found for found in moved if found.quantity != "version"]
        if known is None:
            fresh.append(item)
        elif not moved or (mode == "update" and not numbers):
            kept.append(item)
        elif mode == "update":
            fresh.append(item)
            reason = _refusal(item, known, changes)
            if reason:
                refused += [*(found.message for found in numbers), f"{item.subject}: {reason}"]
    lost = [name for name in gone if mode == "update"]
    refused += [
        f"{name} is gone: the changelog's section '{SECTION}' doesn't say so"
        for name in lost
        if changes is not None and not any(says(line, name) for line in changes)
    ]
    if refused:
        raise BenchError("\n".join(["nothing is stored, because a change that moves numbers says so:", *refused]))
    # A changed subject and one that only lacks a column or this environment's digest are written alike.
    limits = bounds(fresh) if bounds is not None and fresh else {}
    before = {**stored.subjects}
    for item in fresh:
        stored.subjects[item.subject] = entry(_bounded(item, limits), None, environment)
    for item in kept:
        known = stored.subjects[item.subject]
        renewed = entry(item, known, environment)
        renewed |= {"bounds": {**item.bounds, **known["bounds"]}, "stored_by": known["stored_by"]}
        stored.subjects[item.subject] = renewed
    for name in lost:
        del stored.subjects[name]
    changed = [name for name in sorted({*before, *stored.subjects}) if before.get(name) != stored.subjects.get(name)]
    if changed:
        stored.write()
    return [
        Finding(tier, name, "all", "new", f"{name}: {'stored' if name in stored.subjects else 'removed'}")
        for name in changed
    ]


def changelog(folder: Path) -> list[str] | None:
    """Items under "Changed scores" of the next release, in the changelog of the project that `folder` is in.

    Returns
    -------
    list of str or None
        None where there is no ``CHANGELOG.md`` with such a section: then the new version alone is asked for.
    """
    for place in (folder.resolve(), *folder.resolve().parents):
        file = place / "CHANGELOG.md"
        if file.is_file():
            text = file.read_text(encoding="utf-8")
            if not re.search(rf"^#+ {SECTION}\s*$", text, re.MULTILINE):
                return None
            # The first release in the file is the one to come.
            release = re.split(r"^## ", text, flags=re.MULTILINE)[1:2]
            section = re.split(rf"^### {SECTION}\s*$", release[0], flags=re.MULTILINE)[1:2] if release else []
            body = re.split(r"^#", section[0], flags=re.MULTILINE)[0] if section else ""
            return [" ".join(item.split()) for item in re.split(r"^[-*] ", body, flags=re.MULTILINE)[1:]]
        if (place / ".git").exists() or (place / "pyproject.toml").is_file():
            return None
    return None


def _bounded(item: Measured, limits: Mapping[str, dict[str, float]]) -> Measured:
    bounds = item.bounds | limits.get(item.subject, {})
    return Measured(item.subject, item.versions, item.numbers, bounds, item.digests)


def _refusal(item: Measured, known: Mapping[str, Any], changes: list[str] | None) -> str:
    """Why the numbers of a subject may not move, or nothing."""
    stored: dict[str, int] = known["versions"]
    raised = {name: version for name, version in item.versions.items() if version > stored.get(name, 0)}
    if not raised:
        names = " or ".join(f"{name} ({version})" for name, version in item.versions.items())
        return f"raise the version of {names}"
    if changes is None:
        return ""
    if any(says(line, name) and says(line, str(version)) for name, version in raised.items() for line in changes):
        return ""
    names = " or ".join(f"'{name.split()[-1]}' and version {version}" for name, version in raised.items())
    return f"CHANGELOG.md has no line under '{SECTION}' that names {names}"


def says(line: str, name: str) -> bool:
    """Whether a line holds the last word of a subject's name as a word."""
    return re.search(rf"(?<![\w.]){re.escape(name.split()[-1])}(?!\w|\.\d)", line) is not None
