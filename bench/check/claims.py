"""Tier 0: what decides a claim that comes with Disbench is what it was when its digest was stored.

Nobody turns a margin to get another verdict without a line under "Changed scores": ``bench check --record`` stores the
digests of new claims, ``--update`` those of changed ones that the changelog names.
"""

from __future__ import annotations

from pathlib import Path

import tomli_w

from bench.check.baselines import baseline_folder
from bench.check.finding import Finding
from bench.check.renew import SECTION, changelog, says
from bench.check.request import Mode, Request
from bench.claims.load import load_claims
from bench.claims.schema import digest
from bench.errors import BenchError
from bench.files import read_toml, write_text

FILE = "claims.toml"


def digests() -> dict[str, str]:
    """Digest of what decides each claim that comes with Disbench, by the claim's id."""
    return {claim.id: digest(claim) for paper in load_claims().values() for claim in paper.claim}


def compare(stored: dict[str, str], now: dict[str, str]) -> list[Finding]:
    """A finding per claim."""
    found = []
    for name in sorted({*stored, *now}):
        old, new, subject = stored.get(name), now.get(name), f"claim {name}"
        if old is None:
            text = f"{subject}: nothing is stored yet; bench check --record stores it"
            found.append(Finding(0, subject, "digest", "new", text, old, new))
        elif new is None:
            found.append(Finding(0, subject, "digest", "missing", f"{subject} is stored but isn't there any more", old))
        elif old == new:
            found.append(Finding(0, subject, "digest", "same", f"{subject} is decided as it was", old, new))
        else:
            text = f"{subject} is decided otherwise: populations, comparison, margin, least seeds or preset changed"
            found.append(Finding(0, subject, "digest", "moved", f"{text}; bench check --update stores it", old, new))
    return found


def renew(file: Path, now: dict[str, str], mode: Mode) -> list[Finding]:
    """Store digests of new claims, and in mode "update" of changed ones and of none that is gone.

    Raises
    ------
    BenchError
        If a claim changed or is gone, and the changelog doesn't name it. Nothing is stored then.
    """
    stored = read(file)
    kept = now | stored
    if mode == "update":
        lines = changelog(file.parent)
        changed = [name for name, old in stored.items() if now.get(name) != old]
        unsaid = [name for name in changed if lines is not None and not any(says(line, name) for line in lines)]
        if unsaid:
            names = ", ".join(f"'{name}'" for name in unsaid)
            raise BenchError(f"no claim is stored: CHANGELOG.md has no line under '{SECTION}' that names {names}")
        kept = now
    if kept != stored:
        write_text(file, tomli_w.dumps({"digests": dict(sorted(kept.items()))}))
    found = [
        Finding(0, f"claim {name}", "all", "new", f"claim {name}: {'stored' if name in kept else 'removed'}")
        for name in sorted({*stored, *kept})
        if stored.get(name) != kept.get(name)
    ]
    return [*found, *compare(kept, now)]


def read(file: Path) -> dict[str, str]:
    """Stored digests by claim; none without a file."""
    stored: dict[str, str] = read_toml(file)["digests"] if file.is_file() else {}
    return stored


def check(request: Request) -> list[Finding]:
    """Tier 0 of the claims: of the project's own, where nothing was chosen."""
    if not request.everything or request.baselines != baseline_folder():
        return []
    file = request.baselines / FILE
    return compare(read(file), digests()) if request.mode == "compare" else renew(file, digests(), request.mode)
