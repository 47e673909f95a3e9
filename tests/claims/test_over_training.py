"""Claims on scores that were taken during the training."""

from __future__ import annotations

import pytest

from bench.claims.presets import is_shipped
from bench.claims.verdict import ledger
from bench.results import scores_by_step
from bench.results.study import read_study
from helpers.claims import CLAIM, SEEDS, SPREAD, TEST, pair, paper_of, ship, verdict_of
from helpers.synthetic import Build

CURVES = "step,reconstruction,kl,beta,set_point\n1000,1,1,1,\n3000,1,1,1,\n"
LATE = {**TEST, "measure": "mig_range_late", "kind": "threshold", "direction": "less", "bar": 0.5}
OVER = {**CLAIM, "against": [], "test": [LATE], "run": "toy --seeds {seeds} --set train.score_every={score_every}"}


def test_scores_by_step_are_read_from_the_runs_folders(study_builder: Build) -> None:
    builder = study_builder()
    for seed in range(10):
        run = builder.run("beta_vae", seed, {"mig": 0.4}, curves=CURVES, score_every=500)
        path = builder.root / "runs" / run / scores_by_step.NAME
        for step, mig in ((500, 9.0), (1500, 0.2 + 0.01 * SPREAD[seed]), (2000, 0.45), (3000, 0.4)):
            scores_by_step.add(path, {"step": step, "mig": mig})
    (outcome,) = verdict_of(builder, OVER).outcomes
    assert (outcome.n, outcome.status) == (10, "reproduced")
    assert outcome.effect == pytest.approx(0.25)
    both = {**OVER, "test": [LATE, {**LATE, "measure": "mig_since_arrival"}]}
    assert verdict_of(builder, both).why == "no run has mig_since_arrival"


def test_runs_that_were_scored_at_the_end_only_say_so_and_what_to_run(study_builder: Build) -> None:
    path = ship(pair(study_builder(), 0.5).study(), "quick")
    (verdict,) = ledger([read_study(path)], papers=paper_of(OVER))
    assert (verdict.status, verdict.why) == ("not run", "no run has scores during training")
    assert verdict.next == "bench run toy --seeds 10 --set train.score_every=15000"
    (at_quick,) = ledger([read_study(path)], papers=paper_of({**OVER, "least_preset": "quick"}))
    assert at_quick.next == "bench run toy --seeds 10 --set train.score_every=900"


def test_how_often_scores_were_taken_keeps_a_study_the_presets_own_and_its_runs_comparable(
    study_builder: Build,
) -> None:
    builder = study_builder()
    path = ship(builder.study(), "quick")
    text = (path / "study.toml").read_text(encoding="utf-8")
    (path / "study.toml").write_text(text.replace("score_every = 0", "score_every = 900"), encoding="utf-8")
    for seed in range(10):
        builder.run("beta_vae", seed, {"mig": SEEDS[seed] + 0.5 + 0.1 * SPREAD[seed]}, score_every=900)
        builder.run("vae", seed, {"mig": SEEDS[seed]})
    study = read_study(path)
    assert "score_every = 900" in (path / "study.toml").read_text(encoding="utf-8")
    assert is_shipped(study)
    assert ledger([study], papers=paper_of(CLAIM))[0].status == "reproduced"
