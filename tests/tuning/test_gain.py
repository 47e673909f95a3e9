"""What tuning bought, on made-up tables."""

from __future__ import annotations

from typing import Any

import pytest

from bench.results.study import Study, read_study
from bench.train_settings import from_layout
from bench.tuning.gain import gains
from helpers.synthetic import Build, StudyBuilder

WINNERS: dict[str, Any] = {
    "study": "smoke-tuning",
    "preset": "smoke",
    "rule": "mig",
    "draws": 4,
    "seeds": [1000],
    "data": {"name": "dsprites", "version": 1, "sha256": "ab" * 32},
    "train": {},
    "method": {"beta_vae": {"version": 1, "setting": "draw 2", "tried": 5, "value": 0.5, "hyper": {"beta": 2.0}}},
}
SEEDS = range(5)


def add(builder: StudyBuilder, beta: float, mig: float, **changes: Any) -> None:
    for seed in SEEDS:
        scores = {"reconstruction_bce": 10 * beta, "mig": mig + 0.01 * seed}
        builder.run("beta_vae", seed, scores, hyper={"beta": beta}, **changes)


def opened(builder: StudyBuilder, **meta: Any) -> Study:
    study = read_study(builder.study())
    study.meta.update({"tuned": WINNERS, "terms": "tuned"} | meta)
    return study


def test_tuned_minus_default_within_seeds(study_builder: Build) -> None:
    builder = study_builder()
    add(builder, 2.0, 0.3)
    add(builder, 6.0, 0.1)
    found = gains(opened(builder, method={"beta_vae": {"beta": 6.0}}))
    assert [(each.method, each.score, each.n) for each in found] == [
        ("beta_vae", "mig", 5),
        ("beta_vae", "reconstruction_bce", 5),
    ]
    assert [each.found.difference.estimate for each in found] == pytest.approx([0.2, -40.0])
    assert (found[0].default, found[0].tuned) == pytest.approx((0.12, 0.32))


def test_runs_of_other_winners_or_another_training_have_no_part(study_builder: Build) -> None:
    builder = study_builder()
    add(builder, 2.0, 0.3)
    add(builder, 6.0, 0.1)
    # An earlier file of winners, and an earlier call with fewer steps, in the same folder.
    add(builder, 9.0, 0.9)
    add(builder, 2.0, 0.7, steps=500)
    train = from_layout(builder.spec("beta_vae", 0, {}))["train"]
    found = gains(opened(builder, method={"beta_vae": {"beta": 6.0}}, train=train))
    assert [each.found.difference.estimate for each in found] == pytest.approx([0.2, -40.0])


def test_a_method_whose_default_won_has_no_gain(study_builder: Build) -> None:
    builder = study_builder()
    add(builder, 2.0, 0.3)
    assert gains(opened(builder, method={"beta_vae": {"beta": 2.0}})) == []
