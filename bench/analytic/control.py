"""How a controller of the KL settles, when the encoder follows β without delay.

An integral controller changes β by ``-k_i (C - R(β))`` a step, with R the KL at the optimum for β (`oracle.rate` or
`learned.rate`), and rests at the β with R(β) = C, whatever its gain. With learned decoder and n latents alive
``dR/dβ = -n / (2 β)``. A real encoder lags behind and its KL is noisy: these are the numbers without that.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bench.analytic.model import Floats


def settling_steps(slope: float, ki: float) -> float:
    """Steps in which a small deviation falls to 1/e: ``-1 / log|1 + k_i R'(β)|``, about ``1 / (k_i |R'|)`` if many.

    With n latents alive and a learned decoder, about ``2 β / (k_i n)``.

    Parameters
    ----------
    slope : float
        R'(β) < 0 where it rests, nats per unit of β.
    ki : float
        Gain, positive.

    Returns
    -------
    float
        0 if one step lands on it; infinite if ``k_i |R'| >= 2``, from where on it doesn't settle.

    Raises
    ------
    ValueError
        For a slope or a gain of the wrong sign.
    """
    if not (slope < 0 < ki):
        raise ValueError(f"needs slope < 0 < ki, got slope={slope} and ki={ki}")
    kept = abs(1 + ki * slope)
    if kept >= 1:
        return float("inf")
    return -1 / float(np.log(kept)) if kept > 0 else 0.0


def largest_stable_ki(slope: float) -> float:
    """``2 / |R'(β)|``: below it the resting point is stable. ``4 β / n`` with a learned decoder and n latents alive."""
    if not slope < 0:
        raise ValueError(f"needs slope < 0, got {slope}")
    return -2 / slope


def approach_steps(start: float, end: float, ki: float, error: float) -> float:
    """Steps from one β to another at a constant error ``C - R``, in nats: ``|start - end| / (k_i |error|)``.

    From far above the collapse of all latents the error is C, so that the way takes ``(β_0 - β_c) / (k_i C)`` steps.
    """
    return abs(start - end) / (ki * abs(error))


def integral_trajectory(
    rate: Callable[[float], float], start: float, target: float, *, ki: float, n_steps: int, floor: float = 1e-6
) -> Floats:
    """``β_(t+1) = max(floor, β_t - k_i (C - R(β_t)))``.

    Parameters
    ----------
    rate : callable
        R(β), nats.
    start : float
        β_0.
    target : float
        C, nats.
    ki, floor : float
        Gain, and the lowest β.
    n_steps : int

    Returns
    -------
    ndarray of shape (n_steps + 1,), float64
        β before the first step and after each.
    """
    betas = np.empty(n_steps + 1)
    betas[0] = start
    for step in range(n_steps):
        betas[step + 1] = max(floor, betas[step] - ki * (target - rate(float(betas[step]))))
    return betas
