"""A toy claim, and studies in which its verdict is planted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w

from bench.claims.schema import Paper
from bench.claims.verdict import Verdict, ledger
from bench.config.study import resolve
from bench.method import resolve_hyper
from bench.results.study import read_study
from helpers.synthetic import StudyBuilder

#: Differences of ten seeds with mean 0 and standard deviation 1.
SPREAD = np.array([-1.3, 0.4, 1.1, -0.2, -1.0, 1.6, 0.1, -0.9, 0.8, -0.6])
SPREAD = (SPREAD - SPREAD.mean()) / SPREAD.std(ddof=1)
#: What the ten seeds share: much more than what sets two methods apart.
SEEDS = 5.0 * np.sin(np.arange(10.0))
TEST = {"measure": "mig", "kind": "superiority", "direction": "greater", "margin": 0.0, "unit": "MIG", "why": "toy"}
CLAIM = {
    "id": "C1",
    "section": "1",
    "statement": "A is better than B",
    "population": {"method": "beta_vae"},
    "against": [{"method": "vae"}],
    "test": [TEST],
    "run": "toy --preset {preset} --seeds {seeds}",
}


def paper_of(*claims: Mapping[str, Any]) -> dict[str, Paper]:
    """Return a paper with these claims, as `ledger` takes it."""
    table = {"paper": "Toy", "read": "all of it", "claim": [{**c, "id": f"toy.{c['id']}"} for c in claims]}
    return {"toy": Paper.model_validate(table)}


def verdict_of(builder: StudyBuilder, claim: Mapping[str, Any] = CLAIM, **meta: Any) -> Verdict:
    """Return the verdict on one claim by one study; `meta` goes into its ``study.toml``."""
    found = ledger([read_study(builder.study(**meta))], papers=paper_of(claim))
    assert len(found) == 1
    return found[0]


def fill(builder: StudyBuilder, method: str, values: Sequence[float], score: str = "mig", **rest: Any) -> None:
    """Write one run per value, of the seeds 0, 1, ..."""
    for seed, value in enumerate(values):
        builder.run(method, seed, {score: float(value), "kl": 4.0, **rest.get("scores", {})}, hyper=rest.get("hyper"))


def pair(builder: StudyBuilder, effect: float, sd: float = 0.1, n: int = 10) -> StudyBuilder:
    """Write runs of a claim's two methods whose differences have this mean and standard deviation."""
    fill(builder, "beta_vae", (SEEDS + effect + sd * SPREAD)[:n])
    fill(builder, "vae", SEEDS[:n])
    return builder


def with_test(**changes: Any) -> dict[str, Any]:
    """Return the toy claim with another test."""
    return {**CLAIM, "test": [{**TEST, **changes}]}


def two_tests(rule: str) -> dict[str, Any]:
    """Return the toy claim with a second test, of which this rule says how many must hold."""
    return {**CLAIM, "rule": rule, "test": [TEST, {**TEST, "measure": "sap", "direction": "less", "margin": 0.1}]}


def controllers(builder: StudyBuilder, effects: Mapping[float, float], kl: Mapping[float, float]) -> StudyBuilder:
    """Write runs of the two controllers by set point: by how much the first is better, and how far off its KL is."""
    for point, effect in effects.items():
        for seed in range(10):
            for method, value in (("dynamic_vae", effect + 0.1 * SPREAD[seed]), ("control_vae", 0.0)):
                hyper = resolve_hyper(method, {"set_point": point})
                distance = kl[point] if method == "dynamic_vae" else 0.0
                builder.run(method, seed, {"mig": value, "kl": point + distance}, hyper=hyper)
    return builder


def ship(path: Path, preset: str) -> Path:
    """Give a study the settings of the preset that it names, as a run writes them."""
    tables = resolve(preset).model_dump(mode="json", include={"train", "evaluation", "method", "dataset"})
    file = path / "study.toml"
    file.write_text(file.read_text() + tomli_w.dumps(tables), encoding="utf-8")
    return path
