"""Files of claims, one per paper in ``bench/claims/papers``: read, and checked against what is registered."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bench.claims.measures import known_measures
from bench.claims.schema import Claim, Paper
from bench.claims.sweeps import SWEEPS
from bench.errors import BenchError, did_you_mean
from bench.files import read_toml
from bench.registry import DATASETS, METHODS

CLAIMS = Path(__file__).parent / "papers"


def papers() -> list[str]:
    """Names of the files of claims."""
    return sorted(path.stem for path in CLAIMS.glob("*.toml"))


def load_claims(names: Iterable[str] | None = None, folder: Path = CLAIMS) -> dict[str, Paper]:
    """Read and check files of claims.

    Parameters
    ----------
    names : iterable of str, optional
        Papers; by default all.
    folder : Path
        Where the files are.

    Returns
    -------
    dict of str to Paper
        By name, claims under their full ids.

    Raises
    ------
    BenchError
        An unknown paper, or a file with unknown keys, names or settings that contradict each other: one line that
        names the file.
    """
    known = sorted(path.stem for path in folder.glob("*.toml"))
    out = {}
    for name in known if names is None else names:
        if name not in known:
            raise BenchError(f"no claims of paper '{name}'{did_you_mean(name, known)}; there are: {', '.join(known)}")
        out[name] = _read(folder / f"{name}.toml")
    return out


def _read(path: Path) -> Paper:
    table = read_toml(path, where=f"claims '{path}'")
    for claim in table.get("claim", []):
        claim.setdefault("dataset", table.get("dataset", ""))
        if "id" in claim:
            claim["id"] = f"{path.stem}.{claim['id']}"
    try:
        paper = Paper.model_validate(table)
    except ValidationError as error:
        raise BenchError(_one_line(error, path, table)) from None
    seen: set[str] = set()
    for claim in paper.claim:
        problem = f"claim '{claim.id}' is there twice" if claim.id in seen else _unknown_names(claim)
        if problem:
            raise BenchError(f"claims '{path}': {problem}")
        seen.add(claim.id)
    return paper


def _one_line(error: ValidationError, path: Path, table: dict[str, Any]) -> str:
    first = error.errors()[0]
    where = list(first["loc"])
    if len(where) > 1 and where[0] == "claim":
        claims = table["claim"]
        where[:2] = [claims[where[1]].get("id", f"claim {where[1]}") if isinstance(where[1], int) else "claim"]
    key = ".".join(map(str, where))
    if first["type"] == "extra_forbidden":
        return f"claims '{path}': unknown key '{key}'"
    return f"claims '{path}': {key}: {first['msg'].removeprefix('Value error, ')}"


def _unknown_names(claim: Claim) -> str:
    """What isn't registered, in words; empty if all is. A claim that can't be decided yet may name what will be."""
    if claim.needs or claim.proof:
        return ""
    if claim.dataset and claim.dataset not in DATASETS:
        return f"{claim.id}: unknown dataset '{claim.dataset}'"
    for population in claim.populations:
        if population.method not in METHODS:
            return f"{claim.id}: unknown method '{population.method}'"
        names = [item.name for item in fields(METHODS.get(population.method).value.Hyper)]
        matched = claim.match if claim.scale is None or population not in (claim.scale.zero, claim.scale.one) else ()
        named = [v[1:] for v in population.hyper.values() if isinstance(v, str) and v.startswith("@")]
        others = [population.over] if population.over else []
        others += ["set_point"] if population.set_point_share else []
        for name in (*population.hyper, *population.free, *matched, *named, *others):
            if name not in names:
                return f"{claim.id}: {population.method} has no '{name}'{did_you_mean(name, names)}"
    if claim.data:
        options = [item.name for item in fields(DATASETS.get(claim.dataset).value.Options)]
        for name in sorted(claim.data):
            if name not in options:
                return f"{claim.id}: {claim.dataset} has no '{name}'{did_you_mean(name, options)}"
    for test in claim.test:
        if test.sweep and test.sweep not in SWEEPS:
            return f"{claim.id}: unknown sweep '{test.sweep}'{did_you_mean(test.sweep, SWEEPS)}"
    measures = known_measures()
    for name in (*(test.measure for test in claim.test), *claim.equal):
        if name not in measures:
            return f"{claim.id}: unknown measure '{name}'{did_you_mean(name, measures)}"
    return ""
