"""Verdicts of one claim with one test, on studies in which every kind is planted."""

from __future__ import annotations

import math

import pytest

from bench.claims.render import render, verdict_words
from bench.claims.verdict import ledger
from bench.method import resolve_hyper
from helpers.claims import CLAIM, SEEDS, SPREAD, fill, pair, paper_of, verdict_of, with_test
from helpers.synthetic import Build


@pytest.mark.parametrize(
    ("effect", "margin", "status"),
    [
        (0.20, 0.10, "reproduced"),  # 0.2 ± 0.07
        (0.00, 0.10, "contradicted"),  # in no direction, and too small
        (-0.20, 0.10, "contradicted"),
        (0.10, 0.05, "undecided"),
        (0.10, 0.00, "reproduced"),
    ],
)
def test_superiority_follows_the_interval(study_builder: Build, effect: float, margin: float, status: str) -> None:
    verdict = verdict_of(pair(study_builder(), effect), with_test(margin=margin))
    assert verdict.status == status
    (outcome,) = verdict.outcomes
    assert outcome.effect == pytest.approx(effect)
    # Student's interval, 2.2622 standard errors with nine degrees of freedom.
    half = 2.2621572 * 0.1 / math.sqrt(10)
    assert (outcome.low, outcome.high) == pytest.approx((effect - half, effect + half))
    assert outcome.n == 10


@pytest.mark.parametrize(
    ("effect", "status"), [(0.0, "reproduced"), (-0.02, "reproduced"), (-0.1, "undecided"), (-0.3, "contradicted")]
)
def test_noninferiority_allows_the_margin_and_no_more(study_builder: Build, effect: float, status: str) -> None:
    assert verdict_of(pair(study_builder(), effect), with_test(kind="noninferiority", margin=0.1)).status == status


@pytest.mark.parametrize(
    ("effect", "status"), [(0.0, "reproduced"), (0.08, "undecided"), (0.3, "contradicted"), (-0.3, "contradicted")]
)
def test_equivalence_is_two_sided(study_builder: Build, effect: float, status: str) -> None:
    claim = with_test(kind="equivalence", margin=0.1, direction=None)
    assert verdict_of(pair(study_builder(), effect), claim).status == status


@pytest.mark.parametrize(("bar", "direction"), [(0.0, "greater"), (1.0, "less")])
@pytest.mark.parametrize(("effect", "kept"), [(0.5, True), (-0.5, False)])
def test_a_threshold_is_told_from_its_bar(
    study_builder: Build, bar: float, direction: str, effect: float, *, kept: bool
) -> None:
    sign = 1 if direction == "greater" else -1
    fill(builder := study_builder(), "beta_vae", bar + sign * effect + 0.1 * SPREAD)
    claim = {**with_test(kind="threshold", bar=bar, direction=direction), "against": []}
    verdict = verdict_of(builder, claim)
    assert verdict.status == ("reproduced" if kept else "contradicted")
    assert verdict.outcomes[0].effect == pytest.approx(bar + sign * effect)
    assert verdict.outcomes[0].low < verdict.outcomes[0].effect < verdict.outcomes[0].high


@pytest.mark.parametrize("kind", ["superiority", "noninferiority"])
def test_the_direction_decides_the_sign(study_builder: Build, kind: str) -> None:
    builder = pair(study_builder(), 0.5)
    greater, less = (with_test(kind=kind, direction=direction, margin=0.1) for direction in ("greater", "less"))
    assert verdict_of(builder, greater).status == "reproduced"
    assert verdict_of(builder, less).status == "contradicted"


def test_below_the_least_seeds_nothing_is_decided(study_builder: Build) -> None:
    builder = pair(study_builder(), 5.0, n=9)
    verdict = verdict_of(builder)
    assert (verdict.status, verdict.why) == ("undecided", "too few seeds (n = 9, at least 10)")
    assert "too few seeds" in verdict_words(verdict)
    assert verdict.next == "bench run toy --preset quick --seeds 10"
    assert verdict_of(builder, {**CLAIM, "least_seeds": 9}).status == "reproduced"


def test_without_runs_nothing_is_decided_and_a_command_is_given(study_builder: Build) -> None:
    fill(builder := study_builder(), "beta_vae", SEEDS)
    verdict = verdict_of(builder)
    assert verdict.status == "not run"
    assert verdict.why == "no pair of β-VAE and VAE at quick"
    assert verdict.next == "bench run toy --preset standard --seeds 10"
    claim = {**CLAIM, "population": {"method": "factor_vae"}}
    assert verdict_of(builder, claim).why == "no run of FactorVAE at quick"
    assert ledger([], papers=paper_of(CLAIM))[0].status == "not run"


def test_a_measure_that_no_run_has_is_not_run(study_builder: Build) -> None:
    verdict = verdict_of(pair(study_builder(), 0.5), with_test(measure="elbo_tc"))
    assert (verdict.status, verdict.why) == ("not run", "no run has elbo_tc")
    assert verdict.outcomes[0].n_without == 20


def test_what_runs_do_not_store_is_not_run_but_keeps_its_margin(study_builder: Build) -> None:
    claim = {**with_test(measure="something new", margin=0.3), "needs": "snapshots", "next": "store them"}
    verdict = verdict_of(pair(study_builder(), 0.5), claim)
    assert (verdict.status, verdict.why, verdict.next) == ("not run", "needs snapshots", "store them")


def test_pairing_takes_out_what_the_seeds_share(study_builder: Build) -> None:
    builder = pair(study_builder(), 0.3)
    assert verdict_of(builder).status == "reproduced"
    unpaired = verdict_of(builder, {**CLAIM, "paired": False})
    assert unpaired.status == "undecided"
    assert unpaired.outcomes[0].high - unpaired.outcomes[0].low > 4


def test_pairs_are_made_by_seed_not_by_place(study_builder: Build) -> None:
    builder = study_builder()
    for seed in range(12):
        if seed != 0:
            builder.run("beta_vae", seed, {"mig": 10.0 * seed + 0.5 + 0.01 * (-1) ** seed})
        if seed != 11:
            builder.run("vae", seed, {"mig": 10.0 * seed})
    outcome = verdict_of(builder).outcomes[0]
    assert (outcome.n, outcome.effect) == (10, pytest.approx(0.5))


def test_diverged_and_failed_runs_are_counted_said_and_left_out(study_builder: Build) -> None:
    builder = pair(study_builder(), 0.3)
    builder.run("beta_vae", 10, {"mig": -1000.0}, status="diverged")
    builder.run("vae", 10, {"mig": 0.0})
    builder.fail("vae", 11)
    verdict = verdict_of(builder)
    assert verdict.status == "reproduced"
    outcome = verdict.outcomes[0]
    assert (outcome.n, outcome.n_diverged, outcome.n_failed) == (10, 1, 1)
    assert outcome.effect == pytest.approx(0.3)
    assert "| 10 (1 diverged, 1 failed) |" in render([verdict], ".md")


def test_runs_lost_are_made_up_for_in_the_seeds_asked_for(study_builder: Build) -> None:
    builder = pair(study_builder(), 0.5, n=9)
    builder.run("beta_vae", 9, {"mig": 0.0}, status="diverged")
    builder.run("vae", 9, {"mig": 0.0})
    # 9 of 10 seeds gave a pair, so 10 pairs take 12.
    assert verdict_of(builder).next.endswith("--seeds 12")


def test_claims_measure_stored_curves_where_they_were_kept(study_builder: Build) -> None:
    builder = study_builder()
    close, far = (f"step,kl,set_point\n1500,{kl},4.0\n3000,{kl},4.0\n" for kl in (4.1, 4.5))
    for seed in range(10):
        builder.run("beta_vae", seed, {"mig": 0.0}, curves=close)
        builder.run("vae", seed, {"mig": 0.0}, curves=far)
        builder.run("factor_vae", seed, {"mig": 0.0}, hyper=resolve_hyper("factor_vae", {}))
    claim = with_test(measure="tracking_error", direction="less", margin=0.05)
    verdict = verdict_of(builder, claim)
    assert verdict.status == "reproduced"
    assert verdict.outcomes[0].effect == pytest.approx(-0.4)
    without = verdict_of(builder, {**claim, "against": [{"method": "factor_vae"}]})
    assert (without.status, without.why) == ("not run", "no run has tracking_error")
