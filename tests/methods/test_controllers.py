"""Controllers and schedules against vectors computed by hand from the published update rules."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench.controllers import (
    IncrementalState,
    PositionalState,
    hybrid,
    incremental_pi,
    linear_capacity,
    positional_pi,
    staircase,
)

KL = [5, 4, 3, 2, 1, 0.5, 0.25, 0]
DYNAMIC = [
    50.003724593,
    50.011858350,
    50.022198915,
    50.034088770,
    50.046741418,
    50.053820184,
    50.056755671,
    50.056621765,
]
CONTROL = [1.014390131, 1.017706878, 1.019741418, 1.020175745, 1.018724593, 1.0175, 1.016628235, 1.015525407]


def t(value: float) -> torch.Tensor:
    return torch.tensor([value], dtype=torch.float64)


def incremental(kls, set_points, *, beta0, window, anti_windup="released", ki=0.005):
    state = IncrementalState(t(beta0), t(0.0), torch.zeros(1, window, dtype=torch.float64))
    betas, raws = [], []
    for kl, set_point in zip(kls, set_points, strict=True):
        beta, state = incremental_pi(
            state, t(kl), t(set_point), kp=t(0.01), ki=t(ki), floor=t(0.1), anti_windup=anti_windup
        )
        betas.append(beta.item())
        raws.append(state.raw.item())
    return np.array(betas), np.array(raws)


def positional(kls, set_point, anti_windup="released", **settings):
    state = PositionalState(t(0.0), t(1.0))
    betas = []
    for kl in kls:
        beta, state = positional_pi(
            state,
            t(kl),
            t(set_point),
            kp=t(0.01),
            ki=t(0.001),
            floor=t(1.0),
            anti_windup=anti_windup,
            **settings,
        )
        betas.append(beta.item())
    return np.array(betas), state


def released_set_point(step: int) -> float:
    return hybrid(step, start=t(0.5), stop=t(20.0), increment=t(0.15), every=6000, ramp=1000).item()


def test_incremental_pi_matches_its_vector():
    betas, _ = incremental(KL, [0.5] * 8, beta0=50.0, window=5)
    np.testing.assert_allclose(betas, DYNAMIC, rtol=0, atol=1e-9)


@pytest.mark.parametrize("wrong", ["delayed", "sign", "no average"])
def test_a_wrong_incremental_pi_would_be_seen(wrong):
    kls = {"delayed": [0, *KL[:-1]], "sign": [-kl for kl in KL], "no average": KL}[wrong]
    betas, _ = incremental(kls, [0.5] * 8, beta0=50.0, window=1 if wrong == "no average" else 5)
    assert np.abs(betas - DYNAMIC).max() > 1e-4


@pytest.mark.parametrize(("steps", "drop"), [(1000, 2.5012), (6000, 15.0012), (12_000, 34.1277)])
def test_incremental_pi_under_the_released_set_point(steps, drop):
    betas, _ = incremental([0.0] * steps, [released_set_point(s) for s in range(1, steps + 1)], beta0=50.0, window=5)
    assert 50 - betas[-1] == pytest.approx(drop, abs=5e-5)


def test_step_at_which_the_floor_is_reached():
    n = 16_040
    betas, _ = incremental([0.0] * n, [released_set_point(s) for s in range(1, n + 1)], beta0=50.0, window=5)
    assert int(np.argmax(betas <= 0.1)) + 1 == 16_037


def test_released_anti_windup_latches_and_the_clamped_one_recovers():
    kls, set_points = [10, 10, 40, 40, 40, 60], [20.0] * 6
    betas, raws = incremental(kls, set_points, beta0=0.12, window=1)
    assert (betas == 0.1).all()
    np.testing.assert_allclose(raws, [0.065, 0.065, 0.075, 0.075, 0.075, 0.075], atol=5e-5)
    betas, raws = incremental(kls, set_points, beta0=0.12, window=1, anti_windup="clamped")
    assert betas[-1] == pytest.approx(0.61, abs=0.01)
    assert (raws >= 0.1).all()


def test_positional_pi_matches_its_vector():
    betas, _ = positional(KL, 0.5)
    np.testing.assert_allclose(betas, CONTROL, rtol=0, atol=1e-9)


def test_positional_pi_latches_as_released_and_not_when_clamped():
    betas, state = positional([0.0] * 50, 18.0)
    assert (betas == 1.0).all()
    assert state.integral.item() == pytest.approx(-0.018, abs=1e-9)
    betas, _ = positional([0.0] * 50 + [60.0] * 3, 18.0)
    assert (betas == 1.0).all()
    betas, _ = positional([0.0] * 50 + [60.0] * 3, 18.0, anti_windup="clamped")
    assert betas[-1] > 1.05


def test_linear_proportional_part():
    betas, _ = positional([2.0], 0.5, proportional="linear")
    assert betas[0] == pytest.approx(0.01 * 1.5 + 1.0 + 0.001 * 1.5)


@pytest.mark.parametrize(
    ("step", "set_point"),
    [
        (5999, 0.5),
        (6000, 0.50015),
        (6500, 0.57515),
        (6999, 0.65),
        (12_000, 0.65015),
        (100_000, 2.9),
        (780_999, 20),
    ],
)
def test_hybrid_annealing(step, set_point):
    assert released_set_point(step) == pytest.approx(set_point, abs=1e-9)


def test_hybrid_annealing_reaches_its_cap_where_it_should():
    assert released_set_point(780_998) < 20
    assert released_set_point(780_999) == pytest.approx(20, abs=1e-9)


def test_closed_form_of_hybrid_annealing_equals_the_loop():
    value, every, ramp = 0.5, 60, 10
    for step in range(1, 500):
        if step >= every and step % every < ramp:
            value += 0.15 / ramp
        closed = hybrid(step, start=t(0.5), stop=t(1.3), increment=t(0.15), every=every, ramp=ramp).item()
        assert closed == pytest.approx(min(value, 1.3), abs=1e-12)


def test_ramp_of_one_is_the_staircase():
    for step in range(1, 400):
        ours = hybrid(step, start=t(0.5), stop=t(3.0), increment=t(0.15), every=50, ramp=1)
        assert ours.item() == pytest.approx(
            staircase(step, start=t(0.5), stop=t(3.0), increment=t(0.15), every=50).item()
        )


@pytest.mark.parametrize(("cap", "step"), [(16, 520_000), (18, 585_000), (19, 620_000), (20, 650_000), (25, 820_000)])
def test_staircase_reaches_its_cap_where_it_should(cap, step):
    def at(s):
        return staircase(s, start=t(0.5), stop=t(cap), increment=t(0.15), every=5000).item()

    assert at(4999) == 0.5
    assert at(5000) == pytest.approx(0.65)
    assert at(step - 1) < cap - 1e-9
    assert at(step) == pytest.approx(cap, abs=1e-9)


def test_linear_capacity():
    def at(s):
        return linear_capacity(s, start=t(0.5), stop=t(15.0), iterations=100_000).item()

    assert at(1) == 0.5
    assert at(50_000) == pytest.approx(7.5)
    assert at(100_000) == at(300_000) == 15.0


def test_batched_runs_are_controlled_apart():
    one = [incremental([kl], [c], beta0=b, window=3)[0][0] for kl, c, b in [(5, 1, 50), (2, 8, 1)]]
    state = IncrementalState(torch.tensor([50.0, 1.0]).double(), torch.zeros(2).double(), torch.zeros(2, 3).double())
    gains = {"kp": t(0.01), "ki": t(0.005), "floor": t(0.1)}
    both, _ = incremental_pi(state, torch.tensor([5.0, 2.0]), torch.tensor([1.0, 8.0]), **gains)
    np.testing.assert_array_equal(both.numpy(), one)


def test_stability_boundary_on_a_static_plant():
    """KL = -q beta, measured one step later, is stable iff (kp / 2 + ki) q < 2 (and kp q < 4)."""
    ki, shares = 0.005, [0.999, 1.001, 0.999, 1.001]
    kp = torch.tensor([0.01, 0.01, 1.0, 1.0], dtype=torch.float64)
    q = torch.tensor(shares, dtype=torch.float64) * torch.minimum(2 / (kp / 2 + ki), 4 / kp)
    tiny, none = torch.full((4,), 1e-6, dtype=torch.float64), torch.zeros(4, dtype=torch.float64)
    state, beta, size = IncrementalState(tiny, none, none[:, None]), tiny, []
    for _ in range(30_000):
        beta, state = incremental_pi(state, -q * beta, none, kp=kp, ki=none + ki, floor=none - 1e9)
        size.append(beta.abs())
    # Small deviations only: there the sigmoid is linear and the theorem applies.
    early, late = (torch.stack(part).amax(dim=0) for part in (size[5000:5100], size[-100:]))
    assert (late < early).tolist() == [share < 1 for share in shares]
