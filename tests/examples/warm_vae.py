"""A method in one file: VAE with a KL warm-up (after Bowman et al., 2016)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from bench.method import Method, Objective, State, Terms, register_method


@register_method("warm_vae", version=1, label="VAE, KL warm-up")
class WarmVAE(Method):
    """VAE with a warm-up: ``min R + beta(t) * KL``, with ``beta(t) = beta * min(1, t / warm_steps)``.

    R is summed over pixels and KL over latents, both averaged over the batch, so ``beta = 1`` ends at the evidence
    lower bound.

    Notes
    -----
    Source: Bowman et al., "Generating Sentences from a Continuous Space", CoNLL 2016, section 3.1. Known deviations:
    the ramp is linear.
    """

    @dataclass(frozen=True)
    class Hyper:
        """Hyper-parameters.

        Attributes
        ----------
        beta : float
            Weight on the KL after the warm-up.
        warm_steps : int
            Length of the warm-up.
        """

        beta: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.0
        warm_steps: Annotated[int, Field(ge=1)] = 60

    def loss(self, terms: Terms, state: State, step: int) -> Objective:
        """Negative evidence lower bound with a ramped KL."""
        beta = self.hyper.beta * self.full(step / self.hyper.warm_steps).clamp(max=1.0)
        return Objective(loss=terms.reconstruction + beta * terms.kl, beta=beta)
