"""Which configurations are one method over its strength, and each seed's front."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench.results.fronts import MethodFront, is_log, method_fronts, reference, seed_fronts
from bench.results.study import Study, read_study
from helpers.synthetic import Build, StudyBuilder


def run(builder: StudyBuilder, method: str, hyper: dict[str, Any], seed: int = 0, **scores: float) -> None:
    known = {"reconstruction_bce": 5.0, "kl": 5.0, "mig": 0.5}
    builder.run(method, seed, known | scores, hyper=hyper)


def read(builder: StudyBuilder, **extra: Any) -> tuple[Study, str]:
    study = read_study(builder.study(**extra))
    return study, study.datasets[0]


def fronts(builder: StudyBuilder) -> list[MethodFront]:
    return method_fronts(*read(builder))


def test_configurations_stand_in_the_order_of_the_strength(study_builder: Build) -> None:
    builder = study_builder()
    for beta in (8.0, 1.0, 16.0, 2.0):
        run(builder, "beta_vae", {"beta": beta})
    (found,) = fronts(builder)
    assert found.name == "β-VAE"
    assert [label.split("=")[1] for label in found.labels] == ["1)", "2)", "8)", "16)"]
    assert found.strength == "beta 1 to 16"


def test_numbers_that_go_together_are_one_strength(study_builder: Build) -> None:
    builder = study_builder()
    for set_point, step in ((3.0, 0.1), (6.0, 0.2), (4.0, 0.15)):
        run(builder, "control_vae", {"set_point": set_point, "set_point_step": step})
    (found,) = fronts(builder)
    assert found.strength == "set_point 3 to 6, set_point_step 0.1 to 0.2"
    assert "set_point=4" in found.labels[1]


def test_numbers_that_cross_are_no_strength(study_builder: Build) -> None:
    builder = study_builder()
    for set_point, step in ((3.0, 0.1), (4.0, 0.2), (6.0, 0.15)):
        run(builder, "control_vae", {"set_point": set_point, "set_point_step": step})
    assert fronts(builder) == []


def test_two_strengths_are_too_few(study_builder: Build) -> None:
    builder = study_builder()
    for beta in (1.0, 2.0):
        run(builder, "beta_vae", {"beta": beta})
    run(builder, "vae", {})
    assert fronts(builder) == []


def test_what_isnt_a_strength_divides_a_method(study_builder: Build) -> None:
    builder = study_builder()
    for beta, free in [(1.0, 0.0), (2.0, 0.0), (4.0, 0.0), (4.0, 0.1), (4.0, 0.5)]:
        run(builder, "beta_vae", {"beta": beta, "free_bits": free})
    (found,) = fronts(builder)
    assert found.strength == "beta 1 to 4"
    for floor in (0.1, 1.0):
        for set_point in (3.0, 4.0, 5.0):
            run(builder, "dynamic_vae", {"set_point": set_point, "beta_min": floor})
    names = [front.name for front in fronts(builder)]
    assert names == ["β-VAE", "DynamicVAE (beta_min=0.1)", "DynamicVAE (beta_min=1)"]


def test_a_text_that_holds_a_number_is_a_strength_and_any_other_is_none(study_builder: Build) -> None:
    builder = study_builder()
    for base in ("beta=2.0", "beta=10.0", "beta=1.0"):
        run(builder, "two_stage", {"base_hyper": base})
    for mode in ("mean", "sample", "mean_plus_std"):
        run(builder, "info_vae", {"kind": mode})
    (found,) = fronts(builder)
    assert found.strength == "base_hyper.beta 1 to 10"


def test_other_training_is_no_strength(study_builder: Build) -> None:
    builder = study_builder()
    for steps in (100, 200, 300):
        builder.run("beta_vae", 0, {"kl": 1.0, "reconstruction_bce": 1.0}, hyper={"beta": 1.0}, steps=steps)
    assert fronts(builder) == []


def test_runs_that_diverged_are_no_points(study_builder: Build) -> None:
    builder = study_builder()
    for beta in (1.0, 2.0, 4.0):
        run(builder, "beta_vae", {"beta": beta})
    builder.run("beta_vae", 0, {}, hyper={"beta": 8.0}, status="diverged")
    (found,) = fronts(builder)
    assert found.strength == "beta 1 to 4"


def test_the_reference_is_beta_vae_else_the_first(study_builder: Build) -> None:
    named = [MethodFront(name, name, (), "") for name in ("factor_vae", "beta_vae", "dip_vae")]
    assert reference(named) is named[1]
    assert reference(named[::2]) is named[0]
    assert reference(named[:1]) is None


def planted(builder: StudyBuilder, seeds: int = 3, *, lowest: float = 2.0) -> tuple[Study, str, MethodFront]:
    """MIG is 0.1 times the binary logarithm of the distortion, which doubles with beta."""
    for seed in range(seeds):
        for place, beta in enumerate((1.0, 2.0, 4.0)):
            scores = {"reconstruction_bce": lowest * 2**place, "kl": 9.0 - place, "mig": 0.1 * (place + 1)}
            run(builder, "beta_vae", {"beta": beta}, seed, **scores)
    study, dataset = read(builder)
    return study, dataset, method_fronts(study, dataset)[0]


def test_fronts_are_straight_in_the_logarithm_of_the_distortion(study_builder: Build) -> None:
    study, dataset, front = planted(study_builder())
    found = seed_fronts(study, dataset, front, "reconstruction_bce", "mig")
    assert sorted(found) == [0, 1, 2]
    np.testing.assert_allclose(np.exp(found[1].x), [2, 4, 8])
    np.testing.assert_allclose(found[1].y, [0.1, 0.2, 0.3])
    rates = seed_fronts(study, dataset, front, "kl", "reconstruction_bce")[0]
    np.testing.assert_allclose(rates.x, [7, 8, 9])  # rising, though KL falls with beta
    np.testing.assert_allclose(np.exp(rates.y), [8, 4, 2])


def test_a_distortion_of_zero_has_no_logarithm(study_builder: Build) -> None:
    study, dataset, front = planted(study_builder(), lowest=0.0)
    assert not is_log(study, dataset, "reconstruction_bce")
    assert not is_log(study, dataset, "mig")
    assert seed_fronts(study, dataset, front, "reconstruction_bce", "mig") == {}  # all at one distortion


def test_a_seed_with_one_point_left_has_no_front(study_builder: Build) -> None:
    builder = study_builder()
    for seed, betas in ((0, (1.0, 2.0, 4.0)), (1, (2.0,)), (2, (1.0, 4.0))):
        for beta in betas:
            run(builder, "beta_vae", {"beta": beta}, seed, kl=9 - beta)
    study, dataset = read(builder)
    found = seed_fronts(study, dataset, method_fronts(study, dataset)[0], "kl", "mig")
    assert {seed: line.x.size for seed, line in found.items()} == {0: 3, 2: 2}


def test_a_score_that_no_run_has_gives_no_front(study_builder: Build) -> None:
    study, dataset, front = planted(study_builder())
    assert seed_fronts(study, dataset, front, "kl", "dci_disentanglement") == {}


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_the_runs_changes_no_front(study_builder: Build, seed: int) -> None:
    study, dataset, front = planted(study_builder())
    before = seed_fronts(study, dataset, front, "kl", "mig")
    shuffled = study.runs.sample(frac=1, random_state=seed)
    other = Study(
        study.path, study.meta, shuffled, study.specs, study.provenance, [], study.not_applicable, study.marks
    )
    after = seed_fronts(other, dataset, method_fronts(other, dataset)[0], "kl", "mig")
    assert all(np.array_equal(before[s].x, after[s].x) and np.array_equal(before[s].y, after[s].y) for s in before)
