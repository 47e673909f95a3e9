"""Claims of several tests, and against several rivals."""

from __future__ import annotations

from typing import Any

import pytest

from bench.claims.outcome import combine
from bench.method import resolve_hyper
from helpers.claims import CLAIM, SEEDS, SPREAD, TEST, fill, pair, two_tests, verdict_of
from helpers.synthetic import Build


@pytest.mark.parametrize(
    ("rule", "effects", "status"),
    [
        ("all", (0.5, -0.5), "reproduced"),
        ("all", (0.5, 0.5), "contradicted"),
        ("all", (0.5, -0.1), "undecided"),
        ("any", (0.5, 0.5), "reproduced"),
        ("any", (-0.5, -0.5), "reproduced"),
        ("any", (-0.5, 0.5), "contradicted"),
        ("any", (-0.5, -0.1), "undecided"),
    ],
)
def test_several_tests_of_one_claim(study_builder: Build, rule: str, effects: tuple[float, float], status: str) -> None:
    builder = study_builder()
    for seed in range(10):
        first, second = (effect + 0.1 * SPREAD[seed] for effect in effects)
        builder.run("beta_vae", seed, {"mig": first, "sap": second})
        builder.run("vae", seed, {"mig": 0.0, "sap": 0.0})
    assert verdict_of(builder, two_tests(rule)).status == status


def test_one_test_of_many_that_fails_by_chance_contradicts_nothing(study_builder: Build) -> None:
    # -0.09 ± 0.0715 at 95 %, ± 0.1052 at 99.17 % (one of six tests).
    builder = study_builder()
    names = ["mig", "sap", "modularity", "explicitness", "irs", "dci_disentanglement"]
    for seed in range(10):
        scores = dict.fromkeys(names[1:], 0.5 + 0.1 * SPREAD[seed])
        builder.run("beta_vae", seed, {"mig": -0.09 + 0.1 * SPREAD[seed], **scores})
        builder.run("vae", seed, dict.fromkeys(names, 0.0))
    many = {**CLAIM, "test": [{**TEST, "measure": name} for name in names]}
    assert verdict_of(builder).status == "contradicted"
    assert verdict_of(builder, many).status == "undecided"


def test_a_claim_must_hold_against_every_rival(study_builder: Build) -> None:
    builder = pair(study_builder(), 0.5)
    hyper = resolve_hyper("factor_vae", {})
    fill(builder, "factor_vae", SEEDS + 1.0 + 0.1 * SPREAD, hyper=hyper)
    both = {**CLAIM, "against": [{"method": "vae"}, {"method": "factor_vae"}]}
    assert verdict_of(builder).status == "reproduced"
    verdict = verdict_of(builder, both)
    assert verdict.status == "contradicted"
    assert verdict.decisive is not None
    assert verdict.decisive.second == "FactorVAE"


def test_a_rival_that_did_not_run_leaves_a_claim_open_but_not_a_contradiction(study_builder: Build) -> None:
    both = {**CLAIM, "against": [{"method": "vae"}, {"method": "factor_vae"}]}
    assert verdict_of(pair(study_builder("a"), 0.5), both).status == "not run"
    assert verdict_of(pair(study_builder("b"), -0.5), both).status == "contradicted"


@pytest.mark.parametrize(
    ("rule", "statuses", "expected"),
    [
        ("all", ["reproduced", "undecided"], "undecided"),
        ("all", ["not run", "undecided"], "not run"),
        ("all", ["not run", "contradicted"], "contradicted"),
        ("any", ["not run", "contradicted"], "not run"),
        ("any", ["not run", "reproduced"], "reproduced"),
        ("any", ["undecided", "contradicted"], "undecided"),
        ("all", [], "not run"),
    ],
)
def test_how_verdicts_combine(rule: str, statuses: list[Any], expected: str) -> None:
    assert combine(statuses, rule) == expected
