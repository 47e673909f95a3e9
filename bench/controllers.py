"""Controllers of beta and schedules of the set point: pure functions on tensors with a leading run axis R.

Everything is float64: beta0 = 150 with increments of 1e-6 doesn't fit into float32. Nothing here calls ``.item()``,
so a controller stays on the device.

Notation: ``kl`` is the batch's total KL (nats per image, mean over batch), ``e = set_point - kl``, and
``S(e) = 1 / (1 + exp(e))``, the sigmoid of *minus* e.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

AntiWindup = Literal["released", "clamped"]


@dataclass(frozen=True)
class PositionalState:
    """State of `positional_pi`.

    Attributes
    ----------
    integral : Tensor, (R,), float64
        Integral part.
    raw : Tensor, (R,), float64
        Last output before the floor.
    """

    integral: Tensor
    raw: Tensor


@dataclass(frozen=True)
class IncrementalState:
    """State of `incremental_pi`.

    Attributes
    ----------
    raw : Tensor, (R,), float64
        Output before the floor.
    error : Tensor, (R,), float64
        Last error.
    window : Tensor, (R, T), float64
        The last T KL values, newest last, zeros before the start.
    """

    raw: Tensor
    error: Tensor
    window: Tensor


def positional_pi(
    state: PositionalState,
    kl: Tensor,
    set_point: Tensor,
    *,
    kp: Tensor,
    ki: Tensor,
    floor: Tensor,
    bias: Tensor | None = None,
    anti_windup: AntiWindup = "released",
    proportional: Literal["sigmoid", "linear"] = "sigmoid",
) -> tuple[Tensor, PositionalState]:
    """One step of ControlVAE's positional PI controller.

    ``I -= ki * e`` unless frozen; ``u = P(e) + bias + I``; ``beta = max(u, floor)``; P is ``kp * S(e)``, or
    ``-kp * e`` in the linear variant.

    Parameters
    ----------
    state : PositionalState
        From the step before.
    kl, set_point : Tensor, (R,)
        Of the current batch, before its gradient step; nats.
    kp, ki, floor : Tensor, (R,), float64
        Gains (both positive) and the lower bound of beta. There is no upper bound.
    bias : Tensor, (R,), float64, optional
        Output at no error and no integral but for P; the floor by default, as released.
    anti_windup : {"released", "clamped"}
        ``released``: the integral is frozen while the *unclamped* previous output is below the floor, for either sign
        of e, as in the authors' code; it can latch for good. ``clamped``: the integral is cut back so that the
        output never goes below the floor, hence it recovers at once.
    proportional : {"sigmoid", "linear"}
        Form of the proportional part.

    Returns
    -------
    beta : Tensor, (R,), float64
    state : PositionalState

    References
    ----------
    Shao et al., "ControlVAE: Controllable Variational Autoencoder", ICML 2020, and its released code.
    """
    bias = floor if bias is None else bias
    e = set_point.double() - kl.double()
    p = kp * torch.sigmoid(-e) if proportional == "sigmoid" else -kp * e
    integral = state.integral - ki * e
    if anti_windup == "released":
        integral = torch.where(state.raw >= floor, integral, state.integral)
    else:
        integral = torch.maximum(integral, floor - bias - p)
    raw = p + bias + integral
    return torch.maximum(raw, floor), PositionalState(integral, raw)


def incremental_pi(
    state: IncrementalState,
    kl: Tensor,
    set_point: Tensor,
    *,
    kp: Tensor,
    ki: Tensor,
    floor: Tensor,
    anti_windup: AntiWindup = "released",
) -> tuple[Tensor, IncrementalState]:
    """One step of DynamicVAE's incremental (velocity) PI controller on the moving-average KL.

    ``d = kp * (S(e) - S(e_previous)) - ki * e``; ``raw += d``; ``beta = max(raw, floor)``, where e is measured against
    the plain mean of the last T values of the KL, this one included.

    Parameters
    ----------
    state : IncrementalState
        From the step before; the width of ``window`` is T.
    kl, set_point : Tensor, (R,)
        Of the current batch, before its gradient step; nats.
    kp, ki, floor : Tensor, (R,), float64
        Gains (both positive) and the lower bound of beta. There is no upper bound.
    anti_windup : {"released", "clamped"}
        ``released``: ``raw`` is kept unclamped and its integral part is off while ``raw < floor``, as in the authors'
        code. It latches: below the floor only the proportional part (at most kp) can lift it. ``clamped``: ``raw``
        itself is kept at or above the floor.

    Returns
    -------
    beta : Tensor, (R,), float64
    state : IncrementalState

    References
    ----------
    Shao et al., "DynamicVAE", arXiv 2009.06795 / CVPR 2022, and its released code.
    """
    window = torch.cat([state.window[:, 1:], kl.double().unsqueeze(1)], dim=1)
    e = set_point.double() - window.mean(dim=1)
    proportional = kp * (torch.sigmoid(-e) - torch.sigmoid(-state.error))
    integral = -ki * e
    if anti_windup == "released":
        raw = state.raw + proportional + torch.where(state.raw >= floor, integral, torch.zeros_like(integral))
    else:
        raw = torch.maximum(state.raw + proportional + integral, floor)
    return torch.maximum(raw, floor), IncrementalState(raw, e, window)


def staircase(step: int | Tensor, *, start: Tensor, stop: Tensor, increment: Tensor, every: int) -> Tensor:
    """ControlVAE's set point: ``min(stop, start + increment * (step // every))``, nats, shape (R,).

    `step` counts from 1, so the first jump is at ``step == every``.
    """
    return torch.minimum(stop, start + increment * (step // every))


def hybrid(step: int | Tensor, *, start: Tensor, stop: Tensor, increment: Tensor, every: int, ramp: int) -> Tensor:
    """DynamicVAE's hybrid annealing: steps of `increment`, each spread over `ramp` iterations; nats, shape (R,).

    Parameters
    ----------
    step : int or Tensor of shape ()
        Iteration, from 1. The first ramp begins at ``step == every``.
    start, stop, increment : Tensor, (R,), float64
        Set point at the beginning, its cap, and the height of one step.
    every, ramp : int
        Iterations between steps and length of a ramp, ``1 <= ramp <= every``; ``ramp=1`` is the pure staircase,
        ``ramp=every`` the pure ramp.
    """
    step = torch.as_tensor(step, dtype=torch.float64)
    raised = step // every - 1 + (step % every + 1).clamp(max=ramp) / ramp
    return torch.minimum(stop, start + increment * raised.clamp(min=0))


def linear_capacity(step: int | Tensor, *, start: Tensor, stop: Tensor, iterations: int) -> Tensor:
    """Burgess et al.'s capacity: ``clip(stop * step / iterations, start, stop)``, nats, shape (R,)."""
    return torch.minimum(stop, torch.maximum(start, stop * (step / iterations)))
