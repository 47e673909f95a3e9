"""A network with one hidden layer each way."""

from __future__ import annotations

import math

from torch import nn

from bench.network import VAE, ImageShape, dense, register_network


@register_network("one_layer", version=1)
def one_layer(n_runs: int, shape: ImageShape, latent_dim: int) -> VAE:
    """Pixels, 256 tanh units, 2 K outputs, and the mirror of it; any image size.

    Source: our own.
    """
    pixels = math.prod(shape)
    encoder = nn.Sequential(nn.Flatten(2), *dense(n_runs, [pixels, 256, 2 * latent_dim], nn.Tanh()))
    decoder = nn.Sequential(*dense(n_runs, [latent_dim, 256, pixels], nn.Tanh()), nn.Unflatten(2, shape))
    return VAE(encoder, decoder, latent_dim)
