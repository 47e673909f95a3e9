"""Set points as shares of the plain VAE's KL."""

from __future__ import annotations

import json
from typing import Any

import pytest
import tomli_w

from bench.claims import shares
from bench.claims.render import render, verdict_words
from bench.claims.shares import LEAST_SEEDS, in_words
from bench.claims.verdict import ledger
from bench.config.plain_kl import PlainKL, key_of_plain
from bench.method import resolve_hyper
from bench.results.study import read_study
from helpers.claims import CLAIM, SPREAD, TEST, paper_of, verdict_of
from helpers.synthetic import Build, StudyBuilder

RANGE = {"min": 0.7, "max": 0.9}
SHARED: dict[str, Any] = {
    **CLAIM,
    "population": {"method": "dynamic_vae", "free": ["set_point"], "set_point_share": RANGE},
    "against": [],
    "test": [{**TEST, "kind": "threshold", "bar": 0.0}],
}


def plain(builder: StudyBuilder, kl: float, *, seeds: int = 4, method: str = "vae", **changes: Any) -> StudyBuilder:
    """Write runs of a plain VAE whose KL has this mean over an even number of seeds."""
    hyper = {"beta": 1.0} if method == "beta_vae" else {}
    for seed in range(seeds):
        final = {"reconstruction": 1.0, "kl": kl + (-1) ** seed, "beta": 1.0, "set_point": None}
        builder.run(method, seed, {"mig": 0.0}, hyper=hyper, result={"final": final}, **changes)
    return builder


def controlled(builder: StudyBuilder, *set_points: float, off: float = 0.0, **changes: Any) -> StudyBuilder:
    """Write ten runs at each set point, whose MIG is a tenth of it, and whose KL lies beside it."""
    for point in set_points:
        for seed in range(10):
            final = {"reconstruction": 1.0, "kl": point + off, "beta": 1.0, "set_point": point}
            hyper = resolve_hyper("dynamic_vae", {"set_point": point})
            scores = {"mig": point / 10 + 0.01 * SPREAD[seed]}
            builder.run("dynamic_vae", seed, scores, hyper=hyper, result={"final": final}, **changes)
    return builder


def test_set_points_are_taken_by_their_share_of_the_plain_vaes_kl(study_builder: Build) -> None:
    verdict = verdict_of(controlled(plain(study_builder(), 10.0), 4.0, 7.0, 8.2, 9.5), SHARED)
    assert verdict.status == "reproduced"
    assert [item.effect for item in verdict.outcomes] == pytest.approx([0.7, 0.82])
    assert verdict.outcomes[1].first == "DynamicVAE (set_point=8.2, set point at 0.82)"
    assert verdict.regime == "at set points of 0.70 to 0.82 of the plain VAE's KL"
    assert verdict.plain_kl == "10.0 nats, the mean of 4 runs of a plain VAE"
    assert verdict_words(verdict) == f"reproduced {verdict.regime} (at quick with changes only)"
    assert f"A plain VAE's KL at quick is {verdict.plain_kl}." in render([verdict], ".md")
    assert verdict.regime in render([verdict], ".csv")
    assert verdict.plain_kl in render([verdict], ".json")


def test_the_share_frees_no_set_point(study_builder: Build) -> None:
    own = {**SHARED, "population": {"method": "dynamic_vae", "set_point_share": RANGE}}
    builder = controlled(plain(study_builder("a"), 10.0), 8.0, 20.0)
    # The study's own set point is 20, two plain VAEs' KLs.
    verdict = verdict_of(builder, own)
    assert verdict.status == "not run"
    assert verdict.why == (
        "no run of DynamicVAE at set points of 0.7 to 0.9 of the plain VAE's KL at quick, only at 2.00"
    )
    (outcome,) = verdict_of(controlled(plain(study_builder("b"), 25.0), 8.0, 20.0), own).outcomes
    assert outcome.effect == pytest.approx(2.0)


def test_beta_vae_with_beta_1_is_a_plain_vae_and_with_another_isnt(study_builder: Build) -> None:
    builder = controlled(plain(study_builder("a"), 10.0, method="beta_vae"), 8.0)
    assert verdict_of(builder, SHARED).plain_kl == "10.0 nats, the mean of 4 runs of a plain VAE"
    # Where both are there the VAE counts, and counts once.
    both = plain(plain(study_builder("b"), 10.0, method="beta_vae"), 16.0)
    assert verdict_of(controlled(both, 8.0, 13.0), SHARED).plain_kl == "16.0 nats, the mean of 4 runs of a plain VAE"
    other = study_builder("c")
    for seed in range(10):
        final = {"reconstruction": 1.0, "kl": 10.0, "beta": 4.0, "set_point": None}
        other.run("beta_vae", seed, {}, hyper={"beta": 4.0}, result={"final": final})
    assert verdict_of(controlled(other, 8.0), SHARED).why == "the plain VAE's KL isn't known at quick"


@pytest.mark.parametrize(
    "changes",
    [
        {"seeds": LEAST_SEEDS - 1},
        {"status": "diverged"},
        {"steps": 2999},
        {"batch_size": 65},
    ],
)
def test_a_plain_vae_trained_otherwise_or_too_seldom_tells_nothing(study_builder: Build, changes: Any) -> None:
    verdict = verdict_of(controlled(plain(study_builder(), 10.0, **changes), 8.0), SHARED)
    assert (verdict.status, verdict.why) == ("not run", "the plain VAE's KL isn't known at quick")


def test_a_plain_vae_that_was_logged_and_scored_otherwise_is_the_same(study_builder: Build) -> None:
    builder = controlled(plain(study_builder(), 10.0), 8.0, log_every=10, score_every=100, precision="bfloat16")
    assert verdict_of(builder, SHARED).status == "reproduced"


def test_without_runs_of_it_what_the_study_recorded_and_then_the_table_tells(
    study_builder: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    builder = controlled(study_builder(), 7.2, 8.0)
    training = json.loads(key_of_plain(builder.spec("vae", 0, {})))
    entry = PlainKL(kl=9.0, sd=0.1, n_seeds=7, training=training)
    monkeypatch.setattr(shares, "packaged_kls", lambda: {entry.key: entry})
    verdict = verdict_of(builder, SHARED)
    assert verdict.plain_kl == "9.0 nats, the mean of 7 seeds, from the table of Disbench"
    assert verdict.regime == "at set points of 0.80 to 0.89 of the plain VAE's KL"
    own = {**entry.model_dump(), "kl": 10.0, "n_seeds": 4}
    path = builder.study()
    text = (path / "study.toml").read_text(encoding="utf-8") + tomli_w.dumps(
        {"record": {"schema_version": 1, "plain_kl": [own]}}
    )
    (path / "study.toml").write_text(text, encoding="utf-8")
    (verdict,) = ledger([read_study(path)], papers=paper_of(SHARED))
    assert verdict.plain_kl == "10.0 nats, the mean of 4 seeds, recorded by the study"
    assert verdict.regime == "at set points of 0.72 to 0.80 of the plain VAE's KL"


def test_runs_whose_kl_is_not_at_the_set_point_are_counted_aloud(study_builder: Build) -> None:
    verdict = verdict_of(controlled(plain(study_builder(), 10.0), 8.0, off=6.9), SHARED)
    assert verdict.status == "reproduced"
    assert verdict.why == "in 10 of 10 runs the KL isn't at its set point, by more than 0.2 nats"
    assert not verdict_of(controlled(plain(study_builder("held"), 10.0), 8.0, off=0.19), SHARED).why


def test_shares_in_words() -> None:
    assert in_words([0.801, float("nan"), 0.799]) == "at a set point of 0.80 of the plain VAE's KL"
    assert in_words([float("nan")]) == ""
