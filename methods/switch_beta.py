"""A control without a controller: β-VAE with a large beta, then a small one for the rest of the training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from bench.method import Method, Objective, State, Terms, register_method
from bench.tunable import Linear, Log

#: Worth tuning: ours. Before the switch as strong as β-VAE's strongest and beyond, then around a plain VAE's weight.
TUNING = {"beta": Log(4.0, 64.0), "beta_late": Log(0.25, 4.0), "late_share": Linear(0.1, 0.9)}


@register_method(
    "switch_beta",
    label="switched β-VAE",
    order=20,
    groups=("control_methods",),
    tuning=TUNING,
    colour="#1B7F8C",
    marker="d",
    dashes=(8, 2, 2, 2),
)
class SwitchBeta(Method):
    """Switched beta: ``min R + beta(t) * KL``, ``beta`` up to a share of the steps and ``beta_late`` after it.

    If this reconstructs like a controlled VAE at the same realised KL and disentangles as well, it is the schedule from
    large to small beta that buys the reconstruction, not the feedback. R is summed over pixels and KL over latents,
    both averaged over the batch: both betas are on the papers' scale.

    Notes
    -----
    Source: ours, a control for the claim that DynamicVAE's gain needs its controller. Known deviations: none, there is
    nothing to deviate from.
    """

    @dataclass(frozen=True)
    class Hyper:
        """Hyper-parameters.

        Attributes
        ----------
        beta : float
            Weight on the KL before the switch.
        beta_late : float
            Weight on the KL after it.
        late_share : float
            Share of the steps after the switch.
        """

        beta: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 16.0
        beta_late: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.0
        late_share: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 0.3

    def loss(self, terms: Terms, state: State, step: int) -> Objective:
        """Weighted negative ELBO with the beta of this step."""
        h = self.hyper
        # 1e-6: (1 - 0.9) * 10 is a little less than 1.
        late = (step > (1 - h.late_share) * self.n_steps + 1e-6).double()
        beta = h.beta + late * (h.beta_late - h.beta)
        return Objective(loss=terms.reconstruction + beta * terms.kl, beta=beta)
