"""The claims ledger on studies in which every kind of verdict is planted."""

from __future__ import annotations

import csv
import io
import json
import math
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w

from bench.claims.outcome import Outcome, claimed, combine, seeds_needed
from bench.claims.render import render, verdict_words
from bench.claims.schema import ClaimTest, Paper
from bench.claims.select import is_shipped
from bench.claims.verdict import Verdict, choose, ledger, ledger_for
from bench.config.study import resolve
from bench.errors import BenchError
from bench.method import resolve_hyper
from bench.results.study import read_study
from bench.stats import smallest_detectable
from helpers.paths import BASELINES, REFERENCE

Build = Callable[..., Any]
BASELINE = BASELINES / "claims.toml"
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
    table = {"paper": "Toy", "read": "all of it", "claim": [{**c, "id": f"toy.{c['id']}"} for c in claims]}
    return {"toy": Paper.model_validate(table)}


def verdict_of(builder: Any, claim: Mapping[str, Any] = CLAIM, **meta: Any) -> Verdict:
    found = ledger([read_study(builder.study(**meta))], papers=paper_of(claim))
    assert len(found) == 1
    return found[0]


def fill(builder: Any, method: str, values: Sequence[float], score: str = "mig", **rest: Any) -> None:
    for seed, value in enumerate(values):
        builder.run(method, seed, {score: float(value), "kl": 4.0, **rest.get("scores", {})}, hyper=rest.get("hyper"))


def pair(builder: Any, effect: float, sd: float = 0.1, n: int = 10) -> Any:
    """Runs of a claim's two methods whose differences have this mean and standard deviation."""
    fill(builder, "beta_vae", (SEEDS + effect + sd * SPREAD)[:n])
    fill(builder, "vae", SEEDS[:n])
    return builder


def with_test(**changes: Any) -> dict[str, Any]:
    return {**CLAIM, "test": [{**TEST, **changes}]}


def ship(path: Path, preset: str) -> Path:
    """Give a study the settings of the preset that it names, as a run writes them."""
    tables = resolve(preset).model_dump(mode="json", include={"train", "evaluation", "method", "dataset"})
    file = path / "study.toml"
    file.write_text(file.read_text() + tomli_w.dumps(tables), encoding="utf-8")
    return path


# What decides


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


# Many tests


def two_tests(rule: str) -> dict[str, Any]:
    return {**CLAIM, "rule": rule, "test": [TEST, {**TEST, "measure": "sap", "direction": "less", "margin": 0.1}]}


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


# Which runs


def dynamic(builder: Any, values: Sequence[float], **changes: Any) -> None:
    hyper = resolve_hyper("dynamic_vae", {"set_point": 20.0, "set_point_every": 6000, "ramp": 1000, **changes})
    fill(builder, "dynamic_vae", values, hyper=hyper)


@pytest.mark.parametrize(
    ("condition", "kept"),
    [
        ({"window": 1}, 1.0),
        ({"ramp": "@set_point_every"}, 2.0),
        ({"form": "positional"}, 3.0),
        ({"set_point": {"min": 25.0}}, 4.0),
        ({"set_point": [7.0, 8.0]}, 5.0),
        ({}, 0.0),
    ],
)
def test_a_population_is_the_studys_setting_but_for_what_it_names(
    study_builder: Build, condition: dict[str, Any], kept: float
) -> None:
    builder = study_builder()
    others = ({"window": 1}, {"ramp": 6000}, {"form": "positional"}, {"set_point": 30.0}, {"set_point": 8.0})
    for number, changes in enumerate(({}, *others)):
        dynamic(builder, number + 0.1 * SPREAD, **changes)
    test = {**TEST, "kind": "threshold", "bar": -1.0}
    claim = {**CLAIM, "population": {"method": "dynamic_vae", "hyper": condition}, "against": [], "test": [test]}
    (outcome,) = verdict_of(builder, claim).outcomes
    assert outcome.effect == pytest.approx(kept)


def test_settings_of_the_study_are_the_default(study_builder: Build) -> None:
    fill(builder := study_builder(), "beta_vae", 1.0 + 0.1 * SPREAD, hyper={"beta": 4.0})
    fill(builder, "beta_vae", 2.0 + 0.1 * SPREAD, hyper={"beta": 7.0})
    claim = {**with_test(kind="threshold", bar=0.0), "against": []}
    assert verdict_of(builder, claim).outcomes[0].effect == pytest.approx(1.0)
    path = builder.study()
    (path / "study.toml").write_text((path / "study.toml").read_text() + "[method.beta_vae]\nbeta = 7.0\n")
    assert ledger([read_study(path)], papers=paper_of(claim))[0].outcomes[0].effect == pytest.approx(2.0)


def controllers(builder: Any, effects: Mapping[float, float], kl: Mapping[float, float]) -> Any:
    for point, effect in effects.items():
        for seed in range(10):
            for method, value in (("dynamic_vae", effect + 0.1 * SPREAD[seed]), ("control_vae", 0.0)):
                hyper = resolve_hyper(method, {"set_point": point})
                distance = kl[point] if method == "dynamic_vae" else 0.0
                builder.run(method, seed, {"mig": value, "kl": point + distance}, hyper=hyper)
    return builder


EQUAL_KL = {
    **CLAIM,
    "population": {"method": "dynamic_vae", "free": ["set_point"]},
    "against": [{"method": "control_vae", "free": ["set_point"]}],
    "match": ["set_point"],
    "equal": {"kl": 0.2},
}


def test_only_runs_at_the_same_set_point_and_the_same_kl_are_compared(study_builder: Build) -> None:
    builder = controllers(study_builder(), {8.0: 0.5, 16.0: 0.5, 20.0: -9.0}, {8.0: 0.1, 16.0: -0.19, 20.0: 0.3})
    verdict = verdict_of(builder, EQUAL_KL)
    assert verdict.status == "reproduced"
    assert [item.at for item in verdict.outcomes] == ["set_point=16.0", "set_point=8.0"]
    unequal = verdict_of(controllers(study_builder("far"), {8.0: 0.5}, {8.0: 0.5}), EQUAL_KL)
    assert (unequal.status, unequal.why) == ("not run", "no pair with equal kl of DynamicVAE and ControlVAE at quick")


def test_what_is_matched_is_compared_only_where_it_agrees(study_builder: Build) -> None:
    builder = controllers(study_builder(), {8.0: 0.5, 16.0: 0.5}, {8.0: 0.0, 16.0: 0.0})
    matched = {**EQUAL_KL, "equal": {}}
    assert len(verdict_of(builder, matched).outcomes) == 2
    assert len(verdict_of(builder, {**matched, "match": []}).outcomes) == 4


def test_pairs_that_are_not_equal_are_left_out_one_by_one(study_builder: Build) -> None:
    builder = study_builder()
    for seed in range(13):
        far = seed in (3, 5, 7)
        builder.run("beta_vae", seed, {"mig": -100.0 if far else 0.5 + 0.01 * seed, "kl": 4.5 if far else 4.0})
        builder.run("vae", seed, {"mig": 0.0, "kl": 4.1})
    outcome = verdict_of(builder, {**CLAIM, "equal": {"kl": 0.2}}).outcomes[0]
    assert (outcome.n, outcome.n_unequal, outcome.status) == (10, 3, "reproduced")
    assert outcome.effect > 0.5


def test_other_training_or_data_are_not_compared(study_builder: Build) -> None:
    builder = study_builder()
    fill(builder, "beta_vae", SEEDS)
    for seed in range(10):
        builder.run("vae", seed, {"mig": 0.0}, steps=1234)
    assert verdict_of(builder).status == "not run"
    # As published every method has training of its own.
    assert verdict_of(builder, terms="as_published").status == "undecided"


def test_another_dataset_is_not_the_claims(study_builder: Build) -> None:
    builder = pair(study_builder(), 0.5)
    assert verdict_of(builder, {**CLAIM, "dataset": "dsprites"}).status == "reproduced"
    assert verdict_of(builder, {**CLAIM, "dataset": "linear_gaussian"}).status == "not run"


def test_a_scale_measures_the_share_of_the_way_seed_by_seed(study_builder: Build) -> None:
    builder = study_builder()
    for seed in range(10):
        worst, best = 100.0 + 10 * seed, 10.0 * seed
        builder.run("beta_vae", seed, {"reconstruction_bce": worst}, hyper={"beta": 100.0})
        builder.run("beta_vae", seed, {"reconstruction_bce": best}, hyper={"beta": 0.5})
        builder.run("vae", seed, {"reconstruction_bce": best + 25.0 + 0.1 * SPREAD[seed]})
    ends = ({"method": "beta_vae", "hyper": {"beta": beta}} for beta in (100.0, 0.5))
    claim = {
        **with_test(measure="reconstruction_bce", kind="threshold", bar=0.7),
        "population": {"method": "vae"},
        "against": [],
        "scale": dict(zip(("zero", "one"), ends, strict=True)),
    }
    outcome = verdict_of(builder, claim).outcomes[0]
    assert outcome.effect == pytest.approx(0.75)
    assert outcome.sd == pytest.approx(0.001)
    assert outcome.status == "reproduced"
    # A way of no length, or one that leads back, has no shares.
    builder.run("beta_vae", 10, {"reconstruction_bce": 1.0}, hyper={"beta": 100.0})
    builder.run("beta_vae", 10, {"reconstruction_bce": 2.0}, hyper={"beta": 0.5})
    builder.run("vae", 10, {"reconstruction_bce": 1.5})
    outcome = verdict_of(builder, claim).outcomes[0]
    assert (outcome.n, outcome.n_without) == (10, 1)


# Studies together


def test_a_run_that_two_studies_hold_counts_once(study_builder: Build) -> None:
    paths = [ship(pair(study_builder(name), 0.3).study(), "quick") for name in ("one", "two")]
    studies = [read_study(path) for path in paths]
    (together,) = ledger(studies, papers=paper_of(CLAIM))
    assert together.outcomes[0].n == 10
    assert together.outcomes == ledger(studies[:1], papers=paper_of(CLAIM))[0].outcomes


def test_studies_at_one_preset_complete_each_other(study_builder: Build) -> None:
    fill(first := study_builder("one"), "beta_vae", SEEDS + 0.5 + 0.1 * SPREAD)
    fill(second := study_builder("two"), "vae", SEEDS)
    first.run("vae", 0, {}, status="diverged")
    studies = [read_study(ship(builder.study(), "quick")) for builder in (first, second)]
    assert [item.status for study in studies for item in ledger([study], papers=paper_of(CLAIM))] == ["not run"] * 2
    (verdict,) = ledger(studies, papers=paper_of(CLAIM))
    assert verdict.status == "reproduced"
    # The run that diverged in one study and ended well in the other ended well.
    assert (verdict.outcomes[0].n, verdict.outcomes[0].n_diverged) == (10, 0)


def test_mixed_versions_are_refused_across_studies(study_builder: Build) -> None:
    old, new = pair(study_builder("old"), 0.3), study_builder("new")
    for seed in range(10):
        new.run("vae", seed, {"mig": 0.0}, version=2)
    studies = [read_study(ship(builder.study(), "quick")) for builder in (old, new)]
    with pytest.raises(BenchError, match=r"studies old, new can't be judged together, name one: .*method vae: 1 and 2"):
        ledger(studies, papers=paper_of(CLAIM))


@pytest.mark.parametrize(
    ("preset", "shipped", "least", "counts", "words"),
    [
        ("standard", True, "standard", True, "reproduced"),
        ("quick", True, "standard", False, "reproduced (at quick only)"),
        ("standard", False, "standard", False, "reproduced (at standard with changes only)"),
        ("quick", True, "quick", True, "reproduced"),
        ("paper", True, "standard", True, "reproduced"),
        ("standard", True, "none", False, "reproduced (at standard only; no preset is the paper's setting)"),
    ],
)
def test_only_an_unchanged_preset_that_is_large_enough_counts_for_the_paper(
    study_builder: Build, preset: str, least: str, words: str, *, shipped: bool, counts: bool
) -> None:
    path = pair(study_builder(), 0.5).study(preset=preset)
    if shipped:
        ship(path, preset)
    (verdict,) = ledger([read_study(path)], papers=paper_of({**CLAIM, "least_preset": least}))
    assert (verdict.counts, verdict_words(verdict)) == (counts, words)
    wants_more = not counts and least != "none"
    assert verdict.next == ("bench run toy --preset standard --seeds 10" if wants_more else "")


@pytest.mark.parametrize(
    "line", ["[train]\nsteps = 7", "[dataset.dsprites]\nsize = 16", "[method.beta_vae]\nbeta = 5.0"]
)
def test_a_changed_setting_is_seen(study_builder: Build, line: str) -> None:
    path = study_builder().study(preset="standard")
    tables = resolve("standard").model_dump(mode="json", include={"train", "evaluation", "method", "dataset"})
    ((name, changed),) = tomllib.loads(line).items()
    text = (path / "study.toml").read_text()
    (path / "study.toml").write_text(text + tomli_w.dumps(tables))
    study_builder("toy").run("vae", 0, {})
    assert is_shipped(read_study(path))
    (path / "study.toml").write_text(text + tomli_w.dumps({**tables, name: {**tables[name], **changed}}))
    assert not is_shipped(read_study(path))


def test_a_smaller_grid_asked_for_by_name_is_seen(study_builder: Build) -> None:
    (builder := study_builder()).run("vae", 0, {})
    assert is_shipped(
        read_study(ship(builder.study(preset="standard", datasets=["dsprites", "npz[file=a]"]), "standard"))
    )
    assert not is_shipped(
        read_study(ship(builder.study(preset="standard", datasets=["dsprites[scale=2]"]), "standard"))
    )


def test_presets_are_judged_apart(study_builder: Build) -> None:
    quick = ship(pair(study_builder("quick"), 0.5).study(), "quick")
    standard = ship(pair(study_builder("standard"), -0.5).study(preset="standard"), "standard")
    found = ledger([read_study(path) for path in (quick, standard)], papers=paper_of(CLAIM))
    assert {item.preset: (item.status, item.counts) for item in found} == {
        "quick": ("reproduced", False),
        "standard": ("contradicted", True),
    }


# What to run next


@pytest.mark.parametrize("paired", [True, False])
def test_the_seeds_asked_for_are_just_enough(*, paired: bool) -> None:
    test = ClaimTest.model_validate({**TEST, "margin": 0.05})
    outcome = Outcome(test, "a", "b", "", effect=0.12, sd=0.2, n=10)
    needed = seeds_needed(outcome, 0.05, paired=paired)
    assert needed is not None
    assert (
        smallest_detectable(0.2, needed, paired=paired).raw
        <= 0.07
        < smallest_detectable(0.2, needed - 1, paired=paired).raw
    )


def test_an_effect_at_its_bar_asks_for_no_number_of_seeds(study_builder: Build) -> None:
    verdict = verdict_of(pair(study_builder(), 0.1), with_test(margin=0.1001))
    assert verdict.status == "undecided"
    assert verdict.next == "more than 1,000 seeds: an effect lies at its bar"


def test_an_undecided_claim_asks_for_the_seeds_of_its_hardest_test(study_builder: Build) -> None:
    verdict = verdict_of(pair(study_builder(), 0.05))
    outcome = verdict.outcomes[0]
    assert verdict.status == "undecided"
    assert outcome.seeds_needed == 34  # a t test of d = 0.5 has a power of 80 % from 34 pairs on
    assert verdict.next == "bench run toy --preset quick --seeds 34"


@pytest.mark.parametrize(
    ("changes", "words", "gap"),
    [
        ({"margin": 0.1}, "> 0.1", 0.2),
        ({"margin": 0.1, "direction": "less"}, "< -0.1", -0.4),
        ({"kind": "noninferiority", "margin": 0.1}, "> -0.1", 0.4),
        ({"kind": "noninferiority", "margin": 0.1, "direction": "less"}, "< 0.1", -0.2),
        ({"kind": "equivalence", "margin": 0.1, "direction": None}, "within ±0.1", -0.2),
        ({"kind": "threshold", "bar": 1.0}, "> 1", -0.7),
        ({"kind": "threshold", "bar": 1.0, "direction": "less"}, "< 1", 0.7),
    ],
)
def test_what_is_claimed_and_how_far_it_is(changes: dict[str, Any], words: str, gap: float) -> None:
    test = ClaimTest.model_validate({**TEST, **changes})
    assert claimed(test) == words
    assert Outcome(test, "a", "b", "", effect=0.3).gap == pytest.approx(gap)


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


# In print and on the command line


def test_all_three_formats_hold_the_same_numbers(study_builder: Build) -> None:
    verdict = verdict_of(pair(study_builder(), 0.2), {**two_tests("any"), "caveat": "Mind the gap."})
    (record,) = json.loads(render([verdict], ".json"))
    rows = list(csv.DictReader(io.StringIO(render([verdict], ".csv"))))
    text = render([verdict], ".md")
    assert [row["measure"] for row in rows] == ["mig", "sap"]
    assert float(rows[0]["effect"]) == record["tests"][0]["effect"] == pytest.approx(0.2)
    assert record["verdict"] == rows[0]["verdict"] == "reproduced"
    assert rows[1]["effect"] == ""
    assert "MIG, β-VAE − VAE: 0.200 [0.128, 0.272], claimed > 0 (of 2 tests)" in text
    assert "Mind the gap. Any one of its tests is enough. Margins: mig: toy" in text
    assert len({line.count("|") for line in text.splitlines() if line.startswith("| C1")}) == 2


def test_the_command_judges_every_study_there_is(study_builder: Build, bench: Any) -> None:
    builder = study_builder("mine")
    controllers(builder, {20.0: 0.5}, {20.0: 0.1})
    builder.study()
    code, out, _ = bench("claims", "--paper", "controlvae", "--json")
    assert code == 0
    found = {item["id"]: item for item in json.loads(out)}
    assert list(found) == ["controlvae.C1", "controlvae.C2", "controlvae.C3"]
    assert found["controlvae.C1"]["verdict"] == "not run"
    code, out, _ = bench("claims", "mine", "--claim", "dynamicvae.C2", "--out", "ledger.csv")
    assert code == 0
    assert "| C2 |" in out
    assert "no pair of DynamicVAE and VAE at quick" in out
    assert Path("ledger.csv").read_text().startswith("id,paper,section,statement,verdict,")


def test_the_command_falls_back_to_the_committed_studies_and_needs_none(study_builder: Build, bench: Any) -> None:
    code, out, _ = bench("claims", "--json")
    assert code == 0
    assert {item["verdict"] for item in json.loads(out)} == {"not run"}
    pair(study_builder("reference/ours"), 0.5).study()
    code, out, _ = bench("claims", "--claim", "dynamicvae.C2")
    assert "at quick" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("nowhere",), "no study 'nowhere' in 'results'"),
        (("--claim", "dynamicvae.C99"), "no claim 'dynamicvae.C99'; did you mean 'dynamicvae.C9'?"),
        (("--paper", "control"), "no claims of paper 'control'; did you mean 'controlvae'?"),
        (("--out", "ledger.txt"), "--out 'ledger.txt': the name must end in .md, .csv, .json"),
    ],
)
def test_wrong_words_are_one_line(bench: Any, words: tuple[str, ...], message: str) -> None:
    code, _, err = bench("claims", *words)
    assert code == 2
    assert err.startswith(f"bench: {message}")
    assert err.count("\n") == 1


def test_a_damaged_study_is_left_out_unless_it_is_named(study_builder: Build, bench: Any) -> None:
    pair(study_builder("good"), 0.5).study()
    broken = study_builder("broken")
    run = broken.run("vae", 0, {"mig": 0.0})
    broken.study()
    (broken.root / "runs" / run / "result.json").write_text("{")
    code, out, err = bench("claims", "--claim", "dynamicvae.C2", "--json")
    assert code == 0
    assert json.loads(out)
    assert "warning: broken is left out" in err
    assert bench("claims", "broken")[0] == 2


def test_choosing_claims_by_full_or_short_id() -> None:
    every = ledger([])
    assert [item.claim.id for item in choose(every, ["C3b"])] == ["dynamicvae.C3b"]
    assert len(choose(every, ["C1"])) == 4
    assert [item.claim.id for item in choose(every, ["controlvae.C1"])] == ["controlvae.C1"]


@pytest.mark.skipif(not REFERENCE.is_dir(), reason="the committed studies aren't there")
def test_the_committed_quick_study_decides_nothing_for_a_paper() -> None:
    found = ledger_for(read_study(REFERENCE / "dynamicvae-quick"), names=["dynamicvae", "controlvae"])
    ran = [item for item in found if item.status != "not run"]
    assert {"dynamicvae.C2", "dynamicvae.C4"} <= {item.claim.id for item in ran}
    assert not any(item.counts for item in found)
    assert all("at quick only" in verdict_words(item) for item in ran)
    # An independent look at one number: DynamicVAE's MIG minus ControlVAE's.
    runs = read_study(REFERENCE / "dynamicvae-quick").runs.set_index(["method", "seed"])["mig"]
    (c2,) = [item for item in ran if item.claim.id == "dynamicvae.C2"]
    (outcome,) = [item for item in c2.outcomes if item.second == "ControlVAE"]
    assert outcome.effect == pytest.approx((runs["dynamic_vae"] - runs["control_vae"]).mean())
