"""Claims about a whole sweep of a hyper-parameter, and across data sets that differ in an option."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench.claims.schema import Claim, Paper, Population, digest
from bench.claims.select import describe
from bench.claims.sweeps import SWEEPS, largest_rise, peak
from bench.claims.verdict import Verdict, ledger
from bench.results.study import read_study
from helpers.synthetic import Build

BETAS = (0.5, 1.0, 2.0, 4.0, 8.0)
TEST = {"measure": "mig", "sweep": "peak", "kind": "threshold", "direction": "greater", "bar": 1.5, "unit": "beta",
        "why": "toy"}  # fmt: skip
CLAIM = {
    "id": "toy.C1",
    "section": "1",
    "statement": "There is a best beta",
    "population": {"method": "beta_vae", "over": "beta"},
    "test": [TEST],
    "least_seeds": 5,
    "run": "toy --seeds {seeds}",
}


def sweep(builder: Any, best: float, seeds: int = 6, skip: tuple[tuple[int, float], ...] = (), **changes: Any) -> None:
    """Scores that are a parabola over log beta, highest at `best` times a factor of its own for every seed."""
    for seed in range(seeds):
        for beta in BETAS:
            own = best * np.exp(0.02 * (seed - (seeds - 1) / 2))
            status = "diverged" if (seed, beta) in skip else "ok"
            score = 1 - np.log(beta / own) ** 2
            builder.run("beta_vae", seed, {"mig": score}, hyper={"beta": beta}, status=status, **changes)


def verdict_of(builder: Any, **changes: Any) -> Verdict:
    paper = Paper.model_validate({"paper": "Toy", "read": "all", "claim": [{**CLAIM, **changes}]})
    (verdict,) = ledger([read_study(builder.study())], papers={"toy": paper})
    return verdict


@pytest.mark.parametrize("best", [0.75, 1.0, 1.7, 5.0])
def test_the_peak_of_a_parabola_is_found_between_settings(best: float) -> None:
    at = np.array(BETAS)
    assert peak(at, 3 - 0.2 * np.log(at / best) ** 2) == pytest.approx(best)


@pytest.mark.parametrize(("best", "end"), [(0.1, 0.5), (30.0, 8.0)])
def test_a_peak_outside_the_grid_is_the_end(best: float, end: float) -> None:
    at = np.array(BETAS)
    assert peak(at, -(np.log(at / best) ** 2)) == end


def test_the_largest_rise_is_between_neighbours() -> None:
    at = np.array([1.0, 2.0, 3.0, 4.0])
    assert largest_rise(at, np.array([5.0, 4.0, 4.25, 1.0])) == 0.25
    assert largest_rise(at, np.array([5.0, 4.0, 3.5, 1.0])) == -0.5


@pytest.mark.parametrize(("best", "status"), [(2.0, "reproduced"), (1.2, "contradicted")])
def test_a_sweep_is_one_observation_per_seed(study_builder: Build, best: float, status: str) -> None:
    sweep(builder := study_builder(), best)
    verdict = verdict_of(builder)
    (outcome,) = verdict.outcomes
    assert (verdict.status, outcome.n, outcome.first) == (status, 6, "β-VAE (over beta)")
    assert outcome.effect == pytest.approx(best, rel=2e-3)
    assert outcome.sd == pytest.approx(0.02 * best * np.std(np.arange(6), ddof=1), rel=0.02)


def test_a_seed_whose_sweep_has_a_hole_has_no_part(study_builder: Build) -> None:
    sweep(builder := study_builder(), 2.0, skip=((4, 8.0),))
    (outcome,) = verdict_of(builder).outcomes
    assert (outcome.n, outcome.n_diverged, outcome.n_without) == (5, 1, 0)


def test_settings_outside_the_populations_bounds_have_no_part(study_builder: Build) -> None:
    sweep(builder := study_builder(), 2.0)
    bounded = {"method": "beta_vae", "over": "beta", "hyper": {"beta": {"min": 2.0}}}
    (outcome,) = verdict_of(builder, population=bounded, test=[{**TEST, "sweep": "highest"}]).outcomes
    assert outcome.effect == pytest.approx(1.0, abs=0.005)
    (outcome,) = verdict_of(builder, population=bounded, test=[{**TEST, "sweep": "lowest"}]).outcomes
    assert outcome.effect == pytest.approx(1 - np.log(4) ** 2, abs=0.01)


def options(law: str, case: str = "S1") -> dict[str, Any]:
    # The data of another law have another checksum.
    return {"dataset": {"name": "linear_gaussian", "version": 1, "options": {"law": law, "case": case}, "sha256": law}}


def test_data_that_differ_in_a_named_option_are_compared(study_builder: Build) -> None:
    builder = study_builder()
    for best, law, case in ((2.0, "gaussian", "S1"), (3.0, "laplace", "S1"), (7.0, "laplace", "S0")):
        sweep(builder, best, **options(law, case))
    laws = [
        {"method": "beta_vae", "over": "beta", "data": {"case": "S1", "law": law}} for law in ("laplace", "gaussian")
    ]
    test = {**TEST, "kind": "equivalence", "direction": None, "bar": None, "margin": 0.1}
    across = {"dataset": "linear_gaussian", "population": laws[0], "against": [laws[1]], "test": [test]}
    verdict = verdict_of(builder, **across)
    (outcome,) = verdict.outcomes
    assert verdict.status == "contradicted"
    assert outcome.effect == pytest.approx(1.0, rel=0.01)
    assert "case=S1, law=laplace" in outcome.first
    alone = verdict_of(builder, dataset="linear_gaussian", population=laws[1])
    assert alone.outcomes[0].effect == pytest.approx(2.0, rel=1e-2)


def test_data_that_differ_in_another_option_are_not(study_builder: Build) -> None:
    builder = study_builder()
    sweep(builder, 2.0, **options("gaussian", "S0"))
    sweep(builder, 3.0, **options("laplace", "S1"))
    laws = [{"method": "beta_vae", "over": "beta", "data": {"law": law}} for law in ("laplace", "gaussian")]
    test = {**TEST, "kind": "superiority", "bar": None, "margin": 0.1}
    across = {"dataset": "linear_gaussian", "population": laws[0], "against": [laws[1]], "test": [test]}
    assert verdict_of(builder, **across).status == "not run"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"population": {"method": "beta_vae"}}, "sweep says what"),
        ({"test": [{**TEST, "sweep": ""}]}, "sweep says what"),
        ({"equal": {"kl": 0.1}}, "of runs, not of sweeps"),
        ({"population": {**CLAIM["population"], "data": {"case": "S1"}}}, "names none"),  # type: ignore[dict-item]
    ],
)
def test_claims_that_make_no_sense_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Claim.model_validate({**CLAIM, **changes})


@pytest.mark.parametrize(
    "changes",
    [
        {"test": [{**TEST, "sweep": name}]} for name in SWEEPS if name != "peak"
    ] + [{"dataset": "linear_gaussian", "population": {**CLAIM["population"], "data": {"case": "S1"}}}],  # type: ignore[dict-item]
)  # fmt: skip
def test_a_digest_sees_sweeps_and_data(changes: dict[str, Any]) -> None:
    same_set = {**CLAIM, **({"dataset": "linear_gaussian"} if "dataset" in changes else {})}
    assert digest(Claim.model_validate(same_set)) != digest(Claim.model_validate({**CLAIM, **changes}))


def test_a_population_is_said_in_words() -> None:
    population = Population(method="beta_vae", over="beta", data={"case": "S1"})
    assert describe(population) == "β-VAE with case = S1 over beta"
