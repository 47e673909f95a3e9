"""DynamicVAE (Shao et al., 2020/2022)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field

from bench.controllers import IncrementalState, hybrid, incremental_pi
from bench.method import Method, Objective, State, Terms, register_method


@register_method("dynamic_vae", label="DynamicVAE", order=6, groups=("all",))
class DynamicVAE(Method):
    """DynamicVAE: ``min R + beta(t) * KL``, beta from an incremental PI controller on the moving-average KL.

    beta starts high and falls as the set point is raised by hybrid annealing (steps, each spread over a ramp). beta is
    a number taken from the same batch's KL before the gradient step; no gradient passes through it. R is summed over
    pixels and KL over latents, both averaged over the batch: set point and gains are on that scale.

    Notes
    -----
    Source: Shao et al., "DynamicVAE", arXiv 2009.06795 ("Rethinking Controllable Variational Autoencoders", CVPR 2022),
    and its released code, whose dSprites constants are the defaults: beta0 50, floor 0.1, no upper bound, Kp 0.01,
    Ki 0.005 (written as -0.005 there), uniform mean of T = 5 zero-padded values, set point from 0.5 in steps of 0.15
    every 6,000 iterations, ramps of 1,000, to 20. Ablations: ``window=1`` (no average), ``ramp=1`` (steps only),
    ``ramp=set_point_every`` (ramp only). Known deviations: none under the defaults; ``anti_windup="clamped"`` is ours
    (the released one latches at the floor).
    """

    @dataclass(frozen=True)
    class Hyper:
        """set_point*: end, start, step height (nats), iterations between; ramp, window: iterations; the controller."""

        set_point: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 20.0
        set_point_start: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.5
        set_point_step: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.15
        set_point_every: Annotated[int, Field(ge=1)] = 6_000
        ramp: Annotated[int, Field(ge=1)] = 1_000
        beta0: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 50.0
        beta_min: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.1
        kp: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.01
        ki: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.005
        window: Annotated[int, Field(ge=1)] = 5
        anti_windup: Literal["released", "clamped"] = "released"

        def __post_init__(self) -> None:
            if self.set_point_start > self.set_point:
                raise ValueError(
                    f"set_point={self.set_point} lies below set_point_start={self.set_point_start}; it can only grow"
                )
            if self.ramp > self.set_point_every:
                raise ValueError(f"ramp={self.ramp} is longer than set_point_every={self.set_point_every}")

    def initial_state(self) -> State:
        """beta0, no error yet, an empty window."""
        window = torch.zeros(self.n_runs, self.hyper.window, dtype=torch.float64, device=self.device)
        return {"raw": self.full(self.hyper.beta0), "error": self.full(0.0), "window": window}

    def loss(self, terms: Terms, state: State, step: int) -> Objective:
        """Negative ELBO with the controller's beta."""
        h = self.hyper
        target = hybrid(
            step,
            start=h.set_point_start,
            stop=h.set_point,
            increment=h.set_point_step,
            every=h.set_point_every,
            ramp=h.ramp,
        )
        beta, new = incremental_pi(
            IncrementalState(state["raw"], state["error"], state["window"]),
            terms.kl.detach(),
            target,
            kp=h.kp,
            ki=h.ki,
            floor=h.beta_min,
            anti_windup=h.anti_windup,
        )
        return Objective(
            loss=terms.reconstruction + beta * terms.kl,
            beta=beta,
            set_point=target,
            state={"raw": new.raw, "error": new.error, "window": new.window},
        )
