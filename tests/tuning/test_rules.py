"""Which setting wins, on made-up tables; and what reports and files say of it."""

from __future__ import annotations

import csv
import io
import math

import numpy as np
import pytest

from bench.config.tuned import read_winners
from bench.errors import BenchError
from bench.reporting import tuning as report
from bench.results.study import read_study
from bench.train_settings import from_layout
from bench.tuning import winners
from bench.tuning.effort import efforts
from bench.tuning.rules import bound_of, choose, order
from bench.tuning.sensitivity import sensitivities
from bench.tuning.trials import read_trials
from helpers.synthetic import Build
from helpers.tuning import SEEDS, tuning_study

#: β-VAE: the stronger, the better the MIG and the worse the reconstruction.
BETA = [
    ({"beta": 4.0}, (0.30, 0.32, 0.34), 8.0),
    ({"beta": 1.0}, (0.10, 0.12, 0.14), 1.0),
    ({"beta": 2.0}, (0.20, 0.22, 0.24), 3.0),
    ({"beta": 8.0}, (0.40, 0.42, 0.44), 16.0),
    ({"beta": 16.0}, (0.50, 0.52, 0.54), 40.0),
]
FACTOR = [
    ({"gamma": 10.0}, (0.15, 0.17, 0.19), 2.0),
    ({"gamma": 5.0}, (0.25, 0.27, 0.29), 2.5),
    ({"gamma": 50.0}, (0.18, 0.18, 0.18), 9.0),
]


def chosen(study):
    return {method: (found.trial.setting, found.meets_bound) for method, found in choose(read_trials(study)).items()}


def test_the_best_score_within_the_bound_wins(study_builder: Build) -> None:
    study = tuning_study(study_builder(), {"beta_vae": BETA, "factor_vae": FACTOR}, bound="8.5")
    assert chosen(study) == {"beta_vae": ("default", True), "factor_vae": ("draw 1", True)}


@pytest.mark.parametrize(
    ("bound", "nats", "winner"),
    [
        ("none", math.inf, "draw 4"),
        ("3", 3.0, "draw 2"),
        # Eight settings, reconstructions 1, 2, 2.5, 3, 8, 9, 16, 40: four of them reconstruct as well as the fourth.
        ("50%", 3.0, "draw 2"),
        ("", 3.0, "draw 2"),
        ("100%", 40.0, "draw 4"),
        ("8x", 8.0, "default"),
    ],
)
def test_bounds_are_the_same_for_all_methods(study_builder: Build, bound: str, nats: float, winner: str) -> None:
    study = tuning_study(study_builder(), {"beta_vae": BETA, "factor_vae": FACTOR}, bound=bound)
    assert bound_of(read_trials(study)) == nats
    assert chosen(study)["beta_vae"] == (winner, True)


def test_where_no_setting_meets_the_bound_the_best_reconstruction_wins_and_it_is_said(study_builder: Build) -> None:
    study = tuning_study(study_builder(), {"beta_vae": BETA, "factor_vae": FACTOR}, bound="1.5")
    assert chosen(study) == {"beta_vae": ("draw 1", True), "factor_vae": ("default", False)}
    (section,) = report.sections(study)
    assert "default (beyond the bound)" in section.markdown()


def test_other_rules_choose_by_other_numbers(study_builder: Build) -> None:
    # The KL is 5 nats everywhere.
    study = tuning_study(study_builder(), {"beta_vae": BETA}, rule="elbo")
    assert chosen(study) == {"beta_vae": ("draw 1", True)}
    trials = read_trials(study)
    assert trials.methods["beta_vae"][1].value == -6.0


def test_less_of_a_score_can_be_better(study_builder: Build) -> None:
    study = tuning_study(study_builder(), {"beta_vae": BETA}, rule="reconstruction_mse", score="reconstruction_mse")
    assert chosen(study)["beta_vae"] == ("draw 1", True)
    curve = efforts(read_trials(study))["beta_vae"]
    assert curve.best[-1] == pytest.approx(0.12)
    assert (curve.low <= curve.best)[0]
    assert (curve.best <= curve.high)[0]
    assert curve.low[0] < curve.high[0]


def test_ties_go_to_the_better_reconstruction_then_to_the_earlier_setting() -> None:
    same = np.array([0.3, 0.3, 0.3])
    assert order(same, np.array([2.0, 1.0, 3.0]), 9.0)[-1] == 1
    assert order(same, np.array([2.0, 2.0, 2.0]), 9.0).tolist() == [2, 1, 0]
    assert order(same, np.array([np.nan, np.nan, np.nan]), math.inf)[-1] == 0


@pytest.mark.parametrize("how", ["diverged", "failed", "without such a score", "not run", "never at their set point"])
def test_a_setting_with_one_bad_run_is_never_chosen(study_builder: Build, how: str, monkeypatch) -> None:
    settings = [*BETA[:4], ({"beta": 16.0}, (0.9, 0.9, 0.9), 2.0)]
    status = {}
    if how == "diverged":
        status = {("beta_vae", 4, 1001): "diverged"}
    elif how == "without such a score":
        settings[4] = ({"beta": 16.0}, (0.9, None, 0.9), 2.0)
    study = tuning_study(study_builder(), {"beta_vae": settings}, bound="none", status=status)
    if how in ("failed", "not run", "never at their set point"):
        runs = study.runs
        bad = (runs["seed"] == 1001) & (runs["hyper.beta"] == 16.0)
        if how == "not run":
            runs = runs[~bad]
        elif how == "failed":
            runs = runs.assign(status=runs["status"].where(~bad, "failed"))
        else:
            runs = runs.assign(**{"control.arrived": [not each for each in bad]})
        study = type(study)(**{**vars(study), "runs": runs})
    assert chosen(study) == {"beta_vae": ("draw 3", True)}
    trial = read_trials(study).methods["beta_vae"][4]
    assert trial.failure == f"1 of 3 runs {how}"
    curve = efforts(read_trials(study))["beta_vae"]
    # Its budget is spent all the same.
    assert curve.best.size == 4
    assert curve.found[0] == pytest.approx(3 / 4)


def test_a_method_whose_settings_all_fail_has_no_winner(study_builder: Build) -> None:
    gone = [(given, (None, None, None), nats) for given, _, nats in FACTOR]
    study = tuning_study(study_builder(), {"beta_vae": BETA, "factor_vae": gone})
    assert chosen(study).keys() == {"beta_vae"}
    assert "none ran well" in report.sections(study)[0].markdown()
    alone = tuning_study(study_builder("alone"), {"factor_vae": gone})
    with pytest.raises(BenchError, match="no setting of any method ran well"):
        winners.winners_of(alone, read_trials(alone))


def test_the_budget_curve_is_that_of_the_draws_within_the_bound(study_builder: Build) -> None:
    study = tuning_study(study_builder(), {"beta_vae": BETA}, bound="20")
    curve = efforts(read_trials(study))["beta_vae"]
    # Of the draws 0.12, 0.22 and 0.42 are within the bound, 0.52 isn't.
    assert curve.default == pytest.approx(0.32)
    assert curve.best[0] == pytest.approx((0.12 + 0.22 + 0.42) / 3)
    assert curve.best[-1] == pytest.approx(0.42)
    # Six pairs, all of which hold one: maxima 0.22, 0.42, 0.42, and the three with the fourth draw.
    assert curve.best[1] == pytest.approx((0.22 + 0.42 + 0.42 + 0.12 + 0.22 + 0.42) / 6)
    assert (curve.low <= curve.best).all()
    assert (curve.high >= curve.low).all()


def test_sensitivities_are_rank_correlations_over_the_draws(study_builder: Build) -> None:
    draws = [({"beta": 5.0 + n}, (0.1 * n, 0.1 * n, 0.1 * n), 2.0 * n) for n in range(6)]
    (found,) = sensitivities(read_trials(tuning_study(study_builder(), {"beta_vae": [BETA[0], *draws]})))
    assert (found.key, found.log, found.score.estimate, found.reconstruction.estimate) == ("beta", True, 1.0, 1.0)
    assert found.score.n == 6  # the default isn't drawn


def test_a_choice_is_sensitive_by_its_order(study_builder: Build) -> None:
    draws = [
        ({"variant": "I" if n % 2 else "II", "lambda_d": 1.0 + n}, (0.1, 0.1, 0.2 - 0.1 * (n % 2)), 2.0)
        for n in range(7)
    ]
    found = {each.key: each for each in sensitivities(read_trials(tuning_study(study_builder(), {"dip_vae": draws})))}
    assert found["variant"].names == ("I", "II")
    # The first of the seven is the default; II scores higher, and comes after I.
    assert found["variant"].score.estimate == 1.0
    assert found["variant"].score.n == 6


def test_winners_are_written_whole_and_read_back(study_builder: Build, tmp_path) -> None:
    study = tuning_study(study_builder(), {"beta_vae": BETA, "factor_vae": FACTOR}, bound="8.5")
    found = winners.winners_of(study, read_trials(study))
    winners.write(found, tmp_path / "tuned.toml")
    again = read_winners(tmp_path / "tuned.toml")
    assert again == found
    assert again.method["beta_vae"].hyper == {"beta": 4.0, "free_bits": 0.0}
    assert (again.rule, again.bound, again.seeds, again.draws) == ("mig", 8.5, list(SEEDS), 4)
    assert again.method["factor_vae"].value == pytest.approx(0.27)
    assert again.method["factor_vae"].reconstruction == 2.5
    assert again.train["steps"] == 3000
    assert "device" not in again.train
    text = (tmp_path / "tuned.toml").read_text()
    assert text.startswith("# What `bench tune` chose.")
    winners.write(again, tmp_path / "twice.toml")
    assert (tmp_path / "twice.toml").read_text().splitlines()[1:] == text.splitlines()[1:]


def test_the_report_lists_every_setting_and_the_curves(study_builder: Build) -> None:
    study = tuning_study(study_builder(), {"beta_vae": BETA, "factor_vae": FACTOR}, bound="8.5")
    (section,) = report.sections(study)
    rows = list(csv.DictReader(io.StringIO(section.files[report.TRIALS_CSV])))
    assert len(rows) == 8
    assert [row["setting"] for row in rows if row["chosen"] == "True"] == ["default", "draw 1"]
    assert [row["meets_bound"] for row in rows if row["method"] == "beta_vae"] == ["True"] * 3 + ["False"] * 2
    curves = list(csv.DictReader(io.StringIO(section.files[report.BUDGET_CSV])))
    assert [(row["method"], row["draws"]) for row in curves][:4] == [("beta_vae", str(k)) for k in (1, 2, 3, 4)]
    text = section.markdown()
    assert "best mean MIG among settings whose mean reconstruction is at most 8.5 nats" in text
    assert "| β-VAE | 0.320 | 0.320 | default |" in text


def test_other_studies_say_nothing_of_tuning(study_builder: Build) -> None:
    builder = study_builder()
    builder.run("vae", 0, {"mig": 0.3})
    builder.study()
    from bench.results.study import read_study

    assert report.sections(read_study(builder.root)) == []
    with pytest.raises(BenchError, match="tried no settings"):
        read_trials(read_study(builder.root))


def test_runs_of_an_earlier_call_with_another_training_count_for_nothing(study_builder: Build) -> None:
    builder = study_builder()
    tuning_study(builder, {"beta_vae": BETA}, bound="none")
    for seed in SEEDS:
        scores = {"reconstruction_bce": 1.0, "kl": 5.0, "mig": 0.99}
        builder.run("beta_vae", seed, scores, hyper={"beta": 4.0}, steps=500)
    study = read_study(builder.root)
    study.meta["train"] = from_layout(builder.spec("beta_vae", 0, {}))["train"]
    trials = read_trials(study)
    assert trials.methods["beta_vae"][0].values.tolist() == [0.30, 0.32, 0.34]
    assert winners.winners_of(study, trials).train["steps"] == 3000


def test_settings_tried_on_several_data_sets_are_refused(study_builder: Build) -> None:
    builder = study_builder()
    data = builder.spec("beta_vae", 0, {})["dataset"] | {"sha256": "cd" * 32}
    builder.run("vae", SEEDS[0], {"reconstruction_bce": 1.0, "mig": 0.9}, dataset=data)
    tuning_study(builder, {"beta_vae": BETA, "vae": [({}, (None, 0.1, 0.1), 1.0)]}, bound="none")
    study = read_study(builder.root)
    study.meta["seeds"] = [SEEDS[0]]
    study.meta["tuning"]["trials"]["vae"] = [{}]
    with pytest.raises(BenchError, match="tried on several data sets"):
        read_trials(study)
