"""The ladder: which tiers there are and what they have in common."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Sequence

from bench.check.baselines import Measured, read
from bench.check.compare import compare
from bench.check.finding import Finding
from bench.check.renew import Bounds, renew
from bench.check.request import Request

#: Tier -> what it looks at, and the modules that do, each with ``check(request) -> list[Finding]``.
TIERS: dict[int, tuple[str, tuple[str, ...]]] = {
    0: (
        "formulas",
        (
            "bench.check.formulas",
            "bench.check.losses",
            "bench.check.claims",
            "bench.check.written",
            "bench.check.strips",
        ),
    ),
    1: ("trajectories", ("bench.check.trajectories",)),
    2: ("statistics", ("bench.check.statistical",)),
    3: ("published values", ("bench.check.papers",)),
}


def check(request: Request, tiers: Sequence[int] = (0, 1)) -> list[Finding]:
    """Run some tiers.

    Parameters
    ----------
    request : Request
    tiers : sequence of int
        Of `TIERS`.
    """
    found: list[Finding] = []
    for tier in tiers:
        for name in TIERS[tier][1]:
            found += importlib.import_module(name).check(request)
    return found


def check_numbers(
    tier: int,
    request: Request,
    file: str,
    subjects: Iterable[tuple[str, Callable[[], Measured]]],
    *,
    inputs: dict[str, str] | None = None,
    environment: tuple[str, dict[str, object]] | None = None,
    bounds: Bounds | None = None,
) -> list[Finding]:
    """Measure subjects one by one, compare each with what a file of the baselines holds, and store what may be stored.

    Parameters
    ----------
    tier : int
    request : Request
    file : str
        Name of the file.
    subjects : iterable of (str, callable)
        Name, and what measures it.
    inputs : dict, optional
        Checksums of the frozen arrays.
    environment : (str, dict), optional
        Key and facts of this environment, for tiers with digests.
    bounds : callable, optional
        See `bench.check.renew.renew`.
    """
    stored = read(request.baselines / file)
    key, facts = environment or ("", {})
    found = _inputs(tier, stored.inputs, inputs or {})
    measured, names = [], []
    for name, measure in subjects:
        request.tell(f"tier {tier}: {name}")
        names.append(name)
        try:
            item = measure()
        except Exception as error:
            text = f"{name} can't be computed: {type(error).__name__}: {error}"
            found.append(Finding(tier, name, "all", "missing" if name in stored.subjects else "skipped", text))
            continue
        measured.append(item)
        if request.mode == "compare":
            found += compare(tier, item, stored.subjects.get(name), key)
    gone = [name for name in stored.subjects if request.covers(name) and name not in names]
    if request.mode == "compare":
        found += [
            Finding(tier, name, "all", "missing", f"{name} is stored but isn't registered any more") for name in gone
        ]
        return found
    if any(finding.status == "moved" for finding in found):
        return found
    stored.inputs |= inputs or {}
    if key:
        stored.environments[key] = dict(facts)
    found += renew(tier, stored, measured, request.mode, gone=gone, environment=key, bounds=bounds)
    for item in measured:
        found += compare(tier, item, stored.subjects.get(item.subject), key)
    return found


def _inputs(tier: int, stored: dict[str, str], now: dict[str, str]) -> list[Finding]:
    return [
        Finding(
            tier,
            "inputs",
            name,
            "moved",
            f"the inputs '{name}' became others: give new arrays another name, or delete the file of stored "
            "numbers and record all of it anew",
            stored[name],
            checksum,
        )
        for name, checksum in now.items()
        if stored.get(name, checksum) != checksum
    ]
