"""The network of linear-Gaussian data."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from bench.network import VAE, ImageShape, register_network
from bench.nn.layers import Narrow


class LinearPosterior(nn.Module):
    """Means linear in the data, log-variances that are the same for all, 0 at first: (R, B, n_in) to (R, B, 2 K)."""

    def __init__(self, n_runs: int, n_in: int, latent_dim: int) -> None:
        super().__init__()
        self.mean = Narrow(n_runs, n_in, latent_dim)
        self.logvar = nn.Parameter(torch.zeros(n_runs, 1, latent_dim))

    def forward(self, x: Tensor) -> Tensor:
        """Both, side by side."""
        # The batch stays innermost in memory.
        mean = self.mean(x).transpose(1, 2)
        return torch.cat([mean, self.logvar.transpose(1, 2).expand_as(mean)], dim=1).transpose(1, 2)


@register_network("linear", version=1)
def linear(n_runs: int, shape: ImageShape, latent_dim: int) -> VAE:
    """One linear map each way, and variances that don't depend on the data: all that linear-Gaussian data need.

    Source: our own; the posterior of a linear-Gaussian model is of this form.
    """
    pixels = math.prod(shape)
    encoder = nn.Sequential(nn.Flatten(2), LinearPosterior(n_runs, pixels, latent_dim))
    decoder = nn.Sequential(Narrow(n_runs, latent_dim, pixels), nn.Unflatten(2, shape))
    return VAE(encoder, decoder, latent_dim)
