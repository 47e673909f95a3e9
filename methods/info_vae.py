"""InfoVAE with maximum mean discrepancy (Zhao et al., 2019), "MMD-VAE"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from bench.method import Method, Objective, State, Terms, register_method
from bench.tunable import Linear, Log

#: Worth tuning: ours, three decades around the default. The objective needs alpha + lambda_ of at least 1.
TUNING = {"alpha": Linear(0.0, 1.0), "lambda_": Log(10.0, 10_000.0)}


@register_method("info_vae", label="InfoVAE", order=9, tuning=TUNING, colour="#8C564B", marker="p", dashes=(3, 2))
class InfoVAE(Method):
    """InfoVAE: ``min R + (1 - alpha) * KL + (alpha + lambda_ - 1) * MMD^2(q(z), p(z))``.

    MMD by the unbiased estimator with the kernel ``exp(-|a - b|^2 / (2 K))`` between the batch's codes and as many
    draws from the prior. R is summed over pixels and KL over latents, both averaged over the batch; ``lambda_`` is on
    that scale (with R averaged over pixels it would be smaller by their number). The recorded beta is 1 - alpha.

    Notes
    -----
    Source: Zhao, Song & Ermon, "InfoVAE: Balancing Learning and Inference in Variational Autoencoders", AAAI 2019,
    eq. 6. Defaults are ours: alpha 0 and lambda_ 1000. Known deviations: the kernel's width, which the paper leaves
    open.
    """

    @dataclass(frozen=True)
    class Hyper:
        """Hyper-parameters.

        Attributes
        ----------
        alpha : float
            Part of the KL that is taken out: its weight is 1 - alpha.
        lambda_ : float
            Total weight on the divergence of the aggregated posterior from the prior.
        """

        alpha: Annotated[float, Field(le=1, allow_inf_nan=False)] = 0.0
        lambda_: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1000.0

        def __post_init__(self) -> None:
            if self.alpha + self.lambda_ < 1:
                raise ValueError(f"alpha + lambda_ = {self.alpha + self.lambda_:g} is below 1: the MMD would grow")

    def loss(self, terms: Terms, state: State, step: int) -> Objective:
        """Negative ELBO with part of the KL exchanged for the MMD."""
        h = self.hyper
        divergence = mmd(terms.encoded.z, terms.normal(*terms.encoded.z.shape[1:]))
        beta = 1 - h.alpha
        return Objective(
            loss=terms.reconstruction + beta * terms.kl + (h.alpha + h.lambda_ - 1) * divergence, beta=beta
        )


def mmd(a: Tensor, b: Tensor) -> Tensor:
    """Unbiased squared maximum mean discrepancy of two samples, (R, B, K) each, to (R,).

    Zero on average for samples of one distribution, hence sometimes negative; at most 2.
    """
    n = a.shape[1]

    def kernel(x: Tensor, y: Tensor) -> Tensor:
        squared = (x.unsqueeze(2) - y.unsqueeze(1)).square().sum(dim=3)
        return torch.exp(-squared / (2 * x.shape[2]))

    def within(x: Tensor) -> Tensor:
        # The diagonal is 1: a point with itself doesn't count.
        return (kernel(x, x).sum(dim=(1, 2)) - n) / (n * (n - 1))

    return within(a) + within(b) - 2 * kernel(a, b).mean(dim=(1, 2))
