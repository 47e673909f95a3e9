"""Which runs of a study a claim is judged on, and which of them are compared."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
import tomli_w

from bench.claims.verdict import ledger
from bench.config.plain_kl import key_of_plain
from bench.method import resolve_hyper
from bench.results.study import read_study
from helpers.claims import CLAIM, SEEDS, SPREAD, TEST, controllers, fill, pair, paper_of, verdict_of, with_test
from helpers.synthetic import Build


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


def test_settings_of_the_study_may_be_shares(study_builder: Build) -> None:
    builder = study_builder()
    dynamic(builder, 1.0 + 0.1 * SPREAD, set_point=8.0, set_point_every=75, ramp=30)
    dynamic(builder, 2.0 + 0.1 * SPREAD, set_point=9.0, set_point_every=75, ramp=30)
    test = {**TEST, "kind": "threshold", "bar": -1.0}
    claim = {**CLAIM, "population": {"method": "dynamic_vae"}, "against": [], "test": [test]}
    plain = json.loads(key_of_plain(builder.spec("dynamic_vae", 0, {})))
    path = builder.study()
    asked = {"method": {"dynamic_vae": {"set_point": "90%", "set_point_every": "2.5%", "ramp": "1%"}}}
    kl = {"kl": 10.0, "sd": 0.1, "n_seeds": 5, "training": plain}
    text = (path / "study.toml").read_text()
    (path / "study.toml").write_text(text + tomli_w.dumps(asked))
    assert ledger([read_study(path)], papers=paper_of(claim))[0].status == "not run", "nobody says what 90 % are"
    (path / "study.toml").write_text(text + tomli_w.dumps(asked | {"record": {"schema_version": 1, "plain_kl": [kl]}}))
    (outcome,) = ledger([read_study(path)], papers=paper_of(claim))[0].outcomes
    assert outcome.effect == pytest.approx(2.0)


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
    assert verdict_of(builder, hyper="published").status == "undecided"


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
