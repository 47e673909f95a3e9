"""A small dense network."""

from __future__ import annotations

import math

from torch import nn

from bench.network import VAE, ImageShape, dense, register_network


@register_network("mlp", version=1)
def mlp(n_runs: int, shape: ImageShape, latent_dim: int) -> VAE:
    """Our small dense net for the quick preset: pixels-128-128-2K and its mirror, ReLU; any image size.

    Source: our own.
    """
    r, k, pixels = n_runs, latent_dim, math.prod(shape)
    encoder = nn.Sequential(nn.Flatten(2), *dense(r, [pixels, 128, 128, 2 * k], nn.ReLU()))
    decoder = nn.Sequential(*dense(r, [k, 128, 128, pixels], nn.ReLU()), nn.Unflatten(2, shape))
    return VAE(encoder, decoder, k)
