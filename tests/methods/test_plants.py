"""DynamicVAE's controller in closed loop with plants whose behaviour is known in closed form."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench.controllers import IncrementalState, PositionalState, incremental_pi, positional_pi

NO_FLOOR = -1e9
#: (Kp, Ki) to the critical slope q of a static plant for averages over T = 2, 5 and 10 values.
CRITICAL = {
    (0.01, 0.005): {2: 312.3, 5: 233.7, 10: 115.7},
    (0.01, 0.001): {2: 626.0, 5: 1014.0, 10: 820.6},
    (0.01, 0.01): {2: 183.0, 5: 107.6, 10: 53.3},
    (1.0, 0.005): {2: 7.89, 5: 19.2, 10: 35.4},
}


def tensor(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def at_rest(beta: torch.Tensor, window: int, kl: float = 0.0) -> IncrementalState:
    full = torch.full((len(beta), window), kl, dtype=torch.float64)
    return IncrementalState(beta, torch.zeros_like(beta), full)


def spectral_radius(q: float, kp: float, ki: float, window: int) -> float:
    """Of ``x_t = x_{t-1} - Kp q / (4 T) (x_{t-1} - x_{t-T-1}) - Ki q / T (x_{t-1} + ... + x_{t-T})``.

    From ``KL_t = -q x_{t-1}``, its mean over T, and S'(0) = -1/4.
    """
    companion = np.eye(window + 1, k=-1)
    companion[0, 0] += 1 - kp * q / (4 * window)
    companion[0, window] += kp * q / (4 * window)
    companion[0, :window] -= ki * q / window
    return float(np.abs(np.linalg.eigvals(companion)).max())


@pytest.mark.parametrize("window", [2, 5, 10])
@pytest.mark.parametrize("gains", CRITICAL)
def test_critical_slope_of_the_linearised_loop(gains, window):
    low, high = 1e-3, 1e5
    for _ in range(80):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if spectral_radius(middle, *gains, window) < 1 + 1e-12 else (low, middle)
    assert low == pytest.approx(CRITICAL[gains][window], rel=1.5e-3)  # the table has three or four digits


@pytest.mark.parametrize("window", [2, 5, 10])
def test_critical_slope_of_the_controller_itself(window):
    """All four pairs of gains just below and just above their limits, batched; small, hence linear, deviations."""
    rows = [(*gains, share * q[window]) for gains, q in CRITICAL.items() for share in (0.98, 1.02)]
    kp, ki, q = tensor(*np.array(rows).T.ravel()).reshape(3, -1)
    state = at_rest(torch.full_like(q, 1e-7), window)
    beta, sizes = state.raw, []
    for _ in range(2500):
        beta, state = incremental_pi(state, -q * beta, torch.zeros_like(q), kp=kp, ki=ki, floor=tensor(NO_FLOOR))
        sizes.append(beta.abs())
    size = torch.stack(sizes)
    grows = size[-100:].amax(dim=0) > size[400:500].amax(dim=0)
    assert grows.tolist() == [False, True] * len(CRITICAL)


def test_overshoot_on_a_lagged_plant():
    """``KL += (g(beta) - KL) / tau`` with slope -q: a second-order loop of damping ``1 / (2 sqrt(q Ki tau))``."""
    q, tau, ki = tensor(1.0, 0.2, 1.0), tensor(500.0, 500.0, 2000.0), 0.005
    state = at_rest(torch.zeros_like(q), window=5)
    kl, highest, peak = torch.zeros_like(q), torch.zeros_like(q), torch.zeros_like(q)
    for step in range(1, 4001):
        beta, state = incremental_pi(state, kl, tensor(1.0), kp=tensor(0.01), ki=tensor(ki), floor=tensor(NO_FLOOR))
        kl = kl + (-q * beta - kl) / tau
        peak = torch.where(kl > highest, float(step), peak)
        highest = torch.maximum(highest, kl)
    zeta = 1 / (2 * (q * ki * tau).sqrt())
    damped = (1 - zeta**2).sqrt()
    torch.testing.assert_close(highest - 1, torch.exp(-torch.pi * zeta / damped), rtol=0, atol=0.03)
    torch.testing.assert_close(peak, torch.pi / (damped * (q * ki / tau).sqrt()), rtol=0.05, atol=0)


def follow(anti_windup: str) -> list[float]:
    """beta on a plant that gives at most 10 nats, asked first for 20 and then for 5; a value per 1000 steps."""
    state, kl, betas = at_rest(tensor(5.0), window=5, kl=5.0), tensor(5.0), []
    gains = {"kp": tensor(0.01), "ki": tensor(0.005), "floor": tensor(0.1)}
    for step in range(1, 4001):
        set_point = tensor(20.0 if step <= 1000 else 5.0)
        beta, state = incremental_pi(state, kl, set_point, **gains, anti_windup=anti_windup)
        kl = kl + (torch.clamp(10 - beta, min=0) - kl) / 100
        if step % 1000 == 0:
            betas.append(beta.item())
    return betas


def test_a_set_point_out_of_reach_latches_as_released():
    assert follow("released") == [0.1] * 4


def test_a_set_point_out_of_reach_is_forgotten_when_clamped():
    betas = follow("clamped")
    assert betas[0] == 0.1
    assert betas[-1] == pytest.approx(5.0, abs=0.2)


def test_the_positional_form_latches_too():
    state, kl = PositionalState(tensor(0.0), tensor(1.0)), tensor(5.0)
    for step in range(1, 2001):
        set_point = tensor(20.0 if step <= 1000 else 5.0)
        beta, state = positional_pi(state, kl, set_point, kp=tensor(0.01), ki=tensor(0.001), floor=tensor(1.0))
        kl = kl + (torch.clamp(10 - beta, min=0) - kl) / 100
    assert beta.item() == 1.0
    assert kl.item() == pytest.approx(9.0, abs=1e-3)
