"""The simulated loop, against closed forms and against the controllers that it stands for."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from bench.analytic.loop import Loop, Plant, damping, overshoot, ramp_error, simulate
from bench.controllers import IncrementalState, PositionalState, hybrid, incremental_pi, positional_pi

#: KL = 10 - 2 log β: a slope of 2 nats per unit of β at β = 1.
PLANT = Plant(weights=(math.exp(-5), math.exp(5)), kls=(20.0, 0.0), lag=100.0)
LOOP = Loop(
    kp=0.01, ki=0.002, floor=0.1, weight=5.0, latches=False, start=6.0, stop=10.0, increment=0.5, every=1000, ramp=200
)  # fmt: skip


def test_the_plant_is_read_in_both_directions() -> None:
    assert PLANT.kl(1.0) == pytest.approx(10)
    assert PLANT.weight(10.0) == pytest.approx(1)
    assert PLANT.slope(10.0) == pytest.approx(2, rel=0.03)
    assert PLANT.kl(1e-9) == 20
    assert PLANT.kl(1e9) == 0
    half = Plant(weights=(1.0, math.e), kls=(10.0, 8.0), lag=1.0)
    assert half.kl(math.e**2) == pytest.approx(6)


def test_the_set_point_is_the_controllers() -> None:
    for ramp in (1, 7, 50):
        loop = replace(LOOP, start=0.5, stop=2.0, increment=0.4, every=50, ramp=ramp)
        steps = torch.arange(1, 301)
        number = torch.tensor
        theirs = [
            float(
                hybrid(int(step), start=number([0.5]), stop=number([2.0]), increment=number([0.4]), every=50, ramp=ramp)
            )
            for step in steps
        ]
        assert [loop.set_point(int(step)) for step in steps] == pytest.approx(theirs)
        assert theirs[loop.ends - 1] == pytest.approx(2.0)
        assert theirs[loop.ends - 2] < 2.0 - 1e-6


@pytest.mark.parametrize("latches", [True, False])
@pytest.mark.parametrize("form", ["positional", "incremental"])
def test_the_simulation_is_the_controller_on_that_plant(form: str, latches: bool) -> None:
    loop = replace(LOOP, floor=0.9, ki=0.01, weight=0.9 if form == "positional" else 5.0, latches=latches)
    gains = {
        key: torch.tensor([value], dtype=torch.float64)
        for key, value in vars(loop).items()
        if key in ("kp", "ki", "floor")
    }
    number = lambda value: torch.tensor([value], dtype=torch.float64)  # noqa: E731
    windup = "released" if latches else "clamped"
    positional = PositionalState(number(0.0), number(loop.weight))
    incremental = IncrementalState(number(loop.weight), number(0.0), number([0.0]))
    kl = PLANT.kl(loop.weight)
    for step in range(1, 8001):
        target = number(loop.set_point(step))
        if form == "positional":
            beta, positional = positional_pi(
                positional, number(kl), target, anti_windup=windup, bias=number(loop.weight - loop.kp / 2), **gains
            )
        else:
            beta, incremental = incremental_pi(incremental, number(kl), target, anti_windup=windup, **gains)
        kl += (PLANT.kl(float(beta)) - kl) * (1 - math.exp(-1 / PLANT.lag))
    found = simulate(loop, PLANT, 8000)
    assert (found.weight, found.kl) == (pytest.approx(float(beta), abs=1e-6), pytest.approx(kl, abs=1e-6))


def test_a_calm_loop_arrives() -> None:
    found = simulate(LOOP, PLANT, 20_000)
    assert (found.weight, found.kl, found.error) == (
        pytest.approx(1, abs=0.01),
        pytest.approx(10, abs=0.01),
        pytest.approx(0, abs=0.01),
    )
    assert found.stuck is None


def test_long_strides_end_at_the_same_place() -> None:
    near, far = simulate(LOOP, PLANT, 20_000), simulate(LOOP, PLANT, 20_000, most=1_000)
    assert far.kl == pytest.approx(near.kl, abs=0.01)
    assert far.weight == pytest.approx(near.weight, abs=0.01)


def test_a_loop_whose_integral_stops_below_the_floor_latches_where_a_clamped_one_recovers() -> None:
    ringing = replace(LOOP, ki=0.1, every=100, ramp=1, increment=2.0)
    lost, kept = (simulate(replace(ringing, latches=latches), PLANT, 20_000) for latches in (True, False))
    assert lost.stuck is not None
    assert lost.error > 1
    assert lost.weight == 0.1
    assert kept.stuck is None
    assert abs(kept.error) < 0.5


def test_a_floor_above_the_resting_weight_keeps_the_kl_below_its_set_point() -> None:
    found = simulate(replace(LOOP, floor=2.0), PLANT, 20_000)
    assert found.weight == 2.0
    assert found.error == pytest.approx(PLANT.kl(2.0) - 10, abs=0.01)


def test_the_error_on_a_ramp_is_the_closed_form() -> None:
    # A plant that is linear in β, of slope 2, over a narrow range of it.
    weights = tuple(np.linspace(1.0, 5.0, 400))
    plant = Plant(weights, tuple(20 - 2 * weight for weight in weights), lag=50.0)
    loop = replace(LOOP, weight=4.0, start=12.0, stop=17.0, increment=0.001, every=2, ramp=2, ki=0.01)
    found = simulate(loop, plant, 6000)
    assert loop.ends > 6000
    assert -found.error == pytest.approx(ramp_error(0.0005, 2.0, 0.01), rel=0.1)


def test_damping_and_overshoot_are_those_of_a_second_order_loop() -> None:
    assert overshoot(0.5) == pytest.approx(0.163, abs=5e-4)
    assert overshoot(1.0) == 0
    assert damping(1.0, 0.005, 500.0) == pytest.approx(0.316, abs=5e-4)
    assert overshoot(damping(1.0, 0.005, 500.0)) == pytest.approx(0.351, abs=5e-4)
