"""The answers that a report opens with are those that were planted, and say where they can't be given."""

from __future__ import annotations

from pathlib import Path

from bench.reporting.answers import Answer, answers
from bench.reporting.fronts import front_rows
from bench.results.study import read_study
from helpers.fronts import planted_fronts
from helpers.synthetic import Build


def answers_of(path: Path) -> dict[str, Answer]:
    study = read_study(path)
    fronts = {dataset: rows for dataset in study.datasets if (rows := front_rows(study, dataset))}
    return {each.question: each for each in answers(study, fronts)}


def test_the_planted_front_is_the_best_at_equal_distortion(study_builder: Build) -> None:
    builder = planted_fronts(study_builder(), methods=("beta_vae", "control_vae"))
    found = answers_of(builder.study())
    assert len(found) <= 6
    assert found["Best"].text.startswith("ControlVAE disentangles best at equal distortion: its MIG lies 0.1")
    assert "above β-VAE's" in found["Best"].text
    assert found["Best"].section == "Fronts (dsprites)"
    assert found["Can't be told apart"].text == "The only pair of methods is told apart in MIG."
    assert "ControlVAE +10." in found["Price"].text or "ControlVAE +9." in found["Price"].text
    assert "; reduced data set" in found["World"].text


def test_few_seeds_prove_nothing(study_builder: Build) -> None:
    found = answers_of(planted_fronts(study_builder(), seeds=3).study())
    assert found["Best"].text.startswith("3 seeds prove nothing")
    assert "Can't be told apart" not in found
    assert "Price" not in found


def test_single_settings_are_not_called_equal_in_distortion(study_builder: Build) -> None:
    builder = study_builder()
    builder.fill(range(6), ["vae", "beta_vae", "untrained"])
    found = answers_of(builder.study())
    assert "aren't at equal distortion" in found["Best"].text
    assert "untrained" not in "".join(each.text for each in found.values())
    assert "against VAE's: β-VAE +" in found["Price"].text


def test_a_study_without_factors_has_no_best(study_builder: Build) -> None:
    builder = study_builder()
    for seed in range(6):
        builder.run("vae", seed, {"reconstruction_bce": 20.0 + seed})
        builder.run("beta_vae", seed, {"reconstruction_bce": 30.0 + seed})
    assert answers_of(builder.study()).keys() == {"World", "Images"}
