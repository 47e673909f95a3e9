"""Net H of the ControlVAE and DynamicVAE code."""

from __future__ import annotations

from torch import nn

from bench.network import VAE, ImageShape, register_network, require_size, square
from bench.nn.layers import Conv, ConvTranspose, FromPlanes, Layers, Linear, ToPlanes


@register_network("H", version=2, fits=square(64))
def h(n_runs: int, shape: ImageShape, latent_dim: int) -> VAE:
    """Net H of the ControlVAE and DynamicVAE code: five convolutions to 256 features; 763,285 parameters (1x64x64).

    Source: the released code of Shao et al., "ControlVAE: Controllable Variational Autoencoder", ICML 2020.
    """
    require_size("H", shape, 64)
    r, k, c = n_runs, latent_dim, shape[0]
    encoder = Layers(
        ToPlanes(),
        *(Conv(r, c, 32), nn.ReLU(), Conv(r, 32, 32), nn.ReLU(), Conv(r, 32, 64), nn.ReLU()),
        *(Conv(r, 64, 64), nn.ReLU(), Conv(r, 64, 256, stride=1, padding=0), nn.ReLU()),
        *(FromPlanes(r), nn.Flatten(2), Linear(r, 256, 2 * k)),
    )
    decoder = Layers(
        *(Linear(r, k, 256), nn.ReLU(), nn.Unflatten(2, (256, 1, 1)), ToPlanes()),
        *(ConvTranspose(r, 256, 64, stride=1, padding=0), nn.ReLU(), ConvTranspose(r, 64, 64), nn.ReLU()),
        *(ConvTranspose(r, 64, 32), nn.ReLU(), ConvTranspose(r, 32, 32), nn.ReLU(), ConvTranspose(r, 32, c)),
        FromPlanes(r),
    )
    return VAE(encoder, decoder, k)
