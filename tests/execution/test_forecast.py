"""What is said before a study runs, against what became of runs with these settings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench.analytic.loop import Loop, Plant, simulate
from bench.execution.forecast import LAG, at_work, fit, key_of, miss, packaged, warnings
from bench.results.store import Store
from helpers.specs import specs_of

NOWHERE = Store(Path("nowhere"))
#: Steps of quick, after 60 % of which the set points below have their end value.
STEPS = 18_000


def dynamic(set_point: float, ki: float, *, latches: bool = True) -> Loop:
    return Loop(
        kp=0.01, ki=ki, floor=0.1, weight=50.0, latches=latches, start=0.5, stop=set_point,
        increment=(set_point - 0.5) / 24, every=450, ramp=90,
    )  # fmt: skip


def control(set_point: float, floor: float, ki: float = 0.01) -> Loop:
    return Loop(
        kp=0.01, ki=ki, floor=floor, weight=floor, latches=True, start=0.5, stop=set_point,
        increment=(set_point - 0.5) / 24, every=450,
    )  # fmt: skip


@pytest.fixture(scope="module")
def quick() -> Plant:
    (plant,) = packaged(key_of(specs_of(["vae"], preset="quick")[0]))
    return plant


@pytest.mark.parametrize(
    "loop",
    [
        dynamic(4, 0.05), dynamic(8, 0.05), dynamic(9, 0.01), dynamic(9.5, 0.01), dynamic(11, 0.01), dynamic(8.7, 0.01),
        control(4, 1.0), control(8, 1.0), control(9, 0.1), *(control(8.7, 0.1, ki) for ki in (0.005, 0.01, 0.02, 0.05)),
    ],
)  # fmt: skip
def test_nothing_is_said_of_settings_with_which_runs_arrived(quick: Plant, loop: Loop) -> None:
    assert miss(loop, quick, STEPS) == ""


def test_controlvae_with_five_times_the_gain_latches_at_a_higher_set_point(quick: Plant) -> None:
    assert miss(control(9.5, 0.1, 0.05), quick, STEPS).startswith("forecast to latch at its floor from about step ")


@pytest.mark.parametrize("set_point", [9.5, 11])
def test_the_settings_with_which_all_runs_latched_are_forecast_to(quick: Plant, set_point: float) -> None:
    said = miss(dynamic(set_point, 0.05), quick, STEPS)
    assert said.startswith("forecast to latch at its floor from about step ")
    assert said.endswith("; ki=0.01 is forecast to arrive")
    # They latched between 8,700 and 10,500 of 18,000 steps.
    assert 7_000 < (simulate(dynamic(set_point, 0.05), quick, STEPS).stuck or 0) < 11_500


def test_a_set_point_above_what_the_floor_allows_is_told(quick: Plant) -> None:
    said = miss(control(9.5, 1.0), quick, STEPS)
    assert said.startswith("its set point lies above the ")
    assert said.endswith("so a lower beta_min")


def test_a_gain_that_is_too_small_to_follow_is_told(quick: Plant) -> None:
    said = miss(dynamic(8, 0.0005), quick, STEPS)
    assert said.startswith("forecast to end -")
    assert "nats behind" in said
    assert said.endswith("is forecast to arrive")


def test_plan_and_run_say_it_once_for_all_seeds(bench: Callable[..., tuple[int, str, str]]) -> None:
    method = "dynamic_vae[set_point=9.5,set_point_start=0.5,set_point_step=0.375,set_point_every=450,ramp=90,ki=0.05]"
    code, out, _ = bench("plan", "--preset", "quick", "--method", method, "--seeds", "3")
    told = [line for line in out.splitlines() if line.startswith("warning: ")]
    assert code == 0
    assert len(told) == 1
    assert told[0].startswith(
        "warning: dynamic_vae[set_point=9.5,ki=0.05,beta_min=0.1]: forecast to latch at its floor"
    )


def test_a_schedule_that_outlasts_the_training_is_told_without_any_plant() -> None:
    schedule = "set_point=5.0,set_point_start=0.5,set_point_step=0.15,set_point_every=20"
    method = f"control_vae[{schedule},ki=0.1,beta_min=1.0]"
    assert warnings(specs_of([method], "train.steps=300"), NOWHERE) == [
        "control_vae[set_point=5,ki=0.1,beta_min=1]: its set point gets to 2.75 of 5 nats in 300 steps; the schedule "
        "ends after 600"
    ]


def test_nothing_is_said_of_what_isnt_known() -> None:
    calm = "control_vae[set_point=5.0,set_point_step=1.0,set_point_every=20]"
    assert warnings(specs_of([calm], "train.steps=300", "train.lr=0.0123"), NOWHERE) == []
    assert warnings(specs_of(["vae", "annealed_vae"]), NOWHERE) == []
    # 40 nats are more than quick's plant was measured at.
    far = "control_vae[set_point=40.0,set_point_step=10.0]"
    assert warnings(specs_of([far], preset="quick"), NOWHERE) == []


def test_a_plant_is_fitted_from_what_runs_did_after_their_start() -> None:
    weights = np.concatenate([np.full(50, 30.0), np.geomspace(8, 0.5, 950)])
    kls = np.where(weights == 30.0, 7.7, 10 - 2 * np.log(weights))
    rows = at_work(pd.DataFrame({"step": np.arange(1, 1001.0), "beta": weights, "kl": kls}), 0.1)
    plant = fit(rows, LAG)
    assert plant is not None
    assert plant.lag == LAG
    assert max(plant.weights) < 8
    assert [plant.kl(weight) for weight in (0.7, 1.0, 4.0)] == pytest.approx(10 - 2 * np.log([0.7, 1.0, 4.0]), abs=0.05)
    assert plant.kls == tuple(sorted(plant.kls, reverse=True))


def test_one_weight_is_no_plant() -> None:
    assert fit(pd.DataFrame({"beta": np.full(40, 1.0), "kl": np.full(40, 9.0)}), LAG) is None


@pytest.mark.parametrize(
    "curves",
    [
        {"step": [10.0, 20.0], "beta": [0.1, 0.1], "kl": [5.0, 5.0]},
        {"step": [10.0, 20.0], "beta": [2.0, 1.0], "kl": [np.nan, np.nan]},
        {"step": [10.0, 20.0], "beta": [0.0, 0.0], "kl": [5.0, 5.0]},
        {"step": [], "beta": [], "kl": []},
    ],
    ids=["always at the floor", "diverged", "weight 0", "no rows"],
)
def test_runs_that_show_no_plant_are_none(curves: dict[str, list[float]]) -> None:
    table = pd.DataFrame(curves, dtype=float)
    assert fit(at_work(table, 0.1), LAG) is None
    assert fit(at_work(table, 0.0), LAG) is None


def test_rows_at_the_floor_count_only_at_first() -> None:
    table = pd.DataFrame({"step": np.arange(1, 101.0), "beta": [1.0] * 40 + [0.1] * 60, "kl": [5.0] * 40 + [9.0] * 60})
    assert list(at_work(table, 0.1)["step"]) == [*range(16, 41), *range(41, 46)]


def test_a_run_that_never_left_its_floor_shows_no_plant() -> None:
    table = pd.DataFrame({"step": np.arange(1, 101.0), "beta": np.full(100, 1.0), "kl": np.full(100, 8.0)})
    assert fit(at_work(table, 1.0), LAG) is None
    assert fit(at_work(table[:0], 1.0), LAG) is None


def test_a_weight_of_nothing_is_left_out_of_a_fit() -> None:
    weights = np.concatenate([np.geomspace(8, 0.1, 90), np.zeros(10)])
    table = pd.DataFrame(
        {"step": np.arange(1, 101.0), "beta": weights, "kl": 10 - 2 * np.log(np.maximum(weights, 0.1))}
    )
    rows = at_work(table, 0.0)
    assert rows["beta"].min() > 0
    assert fit(pd.concat([rows] * 10), LAG) is not None
