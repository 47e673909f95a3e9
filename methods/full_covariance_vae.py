"""β-VAE whose latents may be correlated given the data: what a diagonal covariance costs is what it does better."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from bench.method import Method, Objective, State, Terms, kl_per_latent, register_method
from bench.nn import networks
from bench.nn.networks import VAE, ImageShape
from bench.tunable import Log

#: Worth tuning: the range of the study inference_optimum, ours.
TUNING = {"beta": Log(0.25, 40.0)}


@register_method("full_covariance_vae", label="β-VAE, full covariance", order=3, tuning=TUNING)
class FullCovarianceVAE(Method):
    """β-VAE with a free posterior covariance: ``min R + beta * KL``, ``q(z|x) = N(K x + b, L L')``.

    L is lower triangular and, as K, b and the linear decoder, trained; it is the same for all data. On linear-Gaussian
    data the best posteriors are of this form. R is half the squared error, summed over pixels, and KL the whole
    divergence from N(0, I), both averaged over the batch. Whatever network the run asks for, this method's is
    "linear" and L: the log-variances are those of a latent given those before it, ``2 log L_jj``, and the KL per
    latent is that by the chain rule, ``E KL(q(z_j | z_1 ... z_(j-1), x) || N(0, 1))``.

    Notes
    -----
    Source: Kingma & Welling, "An Introduction to Variational Autoencoders", 2019, section 2.5.1, for the posterior;
    Higgins et al., "beta-VAE", ICLR 2017, eq. 4, for the objective. Known deviations: there L depends on the data.
    """

    data = "vectors"
    network = "linear"

    @dataclass(frozen=True)
    class Hyper:
        """Hyper-parameters.

        Attributes
        ----------
        beta : float
            Weight on the KL.
        """

        beta: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 4.0

    def __init__(self, hypers: Sequence[Any], **context: Any) -> None:
        super().__init__(hypers, **context)
        # (R, K, K), of which what is below the diagonal counts; trained with the encoder, once there is one.
        self.lower = torch.zeros(self.n_runs, self.latent_dim, self.latent_dim, device=self.device)

    def build(self, shape: ImageShape) -> VAE:
        """Give the linear network, its encoder with L below the diagonal."""
        vae = networks.build(self.network, self.n_runs, shape, self.latent_dim)
        self.lower = nn.Parameter(self.lower.to(vae.decoder[0].weight.device))
        vae.encoder.register_parameter("lower", self.lower)
        return vae

    def code(self, mean: Tensor, logvar: Tensor, noise: Tensor, state: State, step: int) -> Tensor:
        """Sample ``mean + L noise``."""
        own = mean + (0.5 * logvar).exp() * noise
        strict = self.lower.tril(-1)
        # Column by column, which are few: a product of so small matrices rounds by where they lie in memory.
        for column in range(self.latent_dim - 1):
            own = own + strict[:, None, :, column] * noise[:, :, column, None]
        return own

    def kl_per_latent(self, mean: Tensor, logvar: Tensor) -> Tensor:
        """``[m_j² + L_jj² + sum_(i < j) L_ji² - 1 - log L_jj²] / 2``."""
        return kl_per_latent(mean, logvar) + 0.5 * self.lower.tril(-1).square().sum(dim=2)

    def covariance(self, logvar: Tensor) -> Tensor:
        """``L L'``, (R, B, K, K), float64."""
        factor = torch.diag_embed((0.5 * logvar.double()).exp()) + self.lower.double().tril(-1).unsqueeze(1)
        return factor @ factor.mT

    def loss(self, terms: Terms, state: State, step: int) -> Objective:
        """Weighted negative ELBO."""
        return Objective(loss=terms.reconstruction + self.hyper.beta * terms.kl, beta=self.hyper.beta)
