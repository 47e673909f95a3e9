"""DIP-VAE I and II (Kumar et al., 2018)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field

from bench.method import Method, Objective, State, Terms, register_method
from bench.tunable import Choice, Log

#: Worth tuning: disentanglement_lib's study sweeps lambda_od over 1, 2, 5, 10, 20, 50, with lambda_d equal to it for
#: variant II and ten times as large for variant I: both lie in these ranges.
TUNING = {"variant": Choice(("I", "II")), "lambda_od": Log(1.0, 50.0), "lambda_d": Log(1.0, 500.0)}


@register_method("dip_vae", label="DIP-VAE", order=8, tuning=TUNING, colour="#B8A800", marker="h", dashes=(6, 1, 1, 1))
class DIPVAE(Method):
    """DIP-VAE: ``min R + KL + lambda_od * sum_{i != j} C_ij^2 + lambda_d * sum_i (C_ii - 1)^2``.

    C is a covariance over the batch: of the posterior means (variant I), or of z, that is ``Cov(mean) + E[diag(var)]``
    (variant II). R is summed over pixels and KL over latents, both averaged over the batch; the lambdas are the
    paper's on that scale. The weight on the KL is 1.

    Notes
    -----
    Source: Kumar, Sattigeri & Balakrishnan, "Variational Inference of Disentangled Latent Concepts from Unlabeled
    Observations", ICLR 2018, eqs. 5 to 7. Defaults: variant II with lambda_od = lambda_d = 10. disentanglement_lib
    sets lambda_d to 10 times lambda_od for variant I and to lambda_od for variant II: for variant I set lambda_d=100.
    Known deviations: none.
    """

    @dataclass(frozen=True)
    class Hyper:
        """Hyper-parameters.

        Attributes
        ----------
        variant : {"I", "II"}
            I penalises the covariance of posterior means, II that of sampled codes.
        lambda_od : float
            Weight on the squared covariances off the diagonal.
        lambda_d : float
            Weight on the squared deviations of the variances from 1.
        """

        variant: Literal["I", "II"] = "II"
        lambda_od: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 10.0
        lambda_d: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 10.0

    def loss(self, terms: Terms, state: State, step: int) -> Objective:
        """Negative ELBO plus the distance of the codes' covariance from the identity."""
        mean = terms.encoded.mean
        centred = mean - mean.mean(dim=1, keepdim=True)
        covariance = centred.transpose(1, 2) @ centred / mean.shape[1]
        diagonal = covariance.diagonal(dim1=1, dim2=2)
        off_diagonal = covariance.square().sum(dim=(1, 2)) - diagonal.square().sum(dim=1)
        if self.hyper.variant == "II":
            diagonal = diagonal + terms.encoded.logvar.exp().mean(dim=1)
        penalty = self.hyper.lambda_od * off_diagonal + self.hyper.lambda_d * (diagonal - 1).square().sum(dim=1)
        return Objective(loss=terms.reconstruction + terms.kl + penalty, beta=torch.ones_like(self.hyper.lambda_d))
