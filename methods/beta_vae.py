"""β-VAE (Higgins et al., 2017), with a fixed beta ("β-VAE-H")."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from bench.method import Method, Objective, State, Terms, register_method


@register_method("beta_vae", label="β-VAE", order=2, groups=("all",))
class BetaVAE(Method):
    """β-VAE: ``min R + beta * KL``.

    R is summed over pixels and KL over latents, both averaged over the batch: this ``beta`` is the paper's. (Code that
    averages over pixels or latents needs another number for the same objective.)

    Notes
    -----
    Source: Higgins et al., "beta-VAE", ICLR 2017, eq. 4. Default beta: the ControlVAE code's default for its β-VAE
    baseline (4). Known deviations: none in the objective; network and optimiser are the preset's.
    """

    @dataclass(frozen=True)
    class Hyper:
        """beta: weight on the KL."""

        beta: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 4.0

    def loss(self, terms: Terms, state: State, step: int) -> Objective:
        """Weighted negative ELBO."""
        return Objective(loss=terms.reconstruction + self.hyper.beta * terms.kl, beta=self.hyper.beta)
