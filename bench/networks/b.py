"""Net B, the network of β-VAE at DeepMind."""

from __future__ import annotations

from torch import nn

from bench.network import VAE, ImageShape, register_network, require_size, square
from bench.nn.layers import Conv, ConvTranspose, FromPlanes, Layers, Linear, ToPlanes


@register_network("B", version=2, fits=square(64))
def b(n_runs: int, shape: ImageShape, latent_dim: int) -> VAE:
    """Net B of Burgess et al. 2018: four convolutions of 32, two dense layers of 256; 502,005 parameters (1x64x64).

    Source: Burgess et al., "Understanding disentangling in β-VAE", 2018, appendix.
    """
    require_size("B", shape, 64)
    r, k, c = n_runs, latent_dim, shape[0]
    encoder = Layers(
        ToPlanes(),
        *(Conv(r, c, 32), nn.ReLU(), Conv(r, 32, 32), nn.ReLU(), Conv(r, 32, 32), nn.ReLU()),
        *(Conv(r, 32, 32), nn.ReLU(), FromPlanes(r), nn.Flatten(2)),
        *(Linear(r, 512, 256), nn.ReLU(), Linear(r, 256, 256), nn.ReLU(), Linear(r, 256, 2 * k)),
    )
    decoder = Layers(
        *(Linear(r, k, 256), nn.ReLU(), Linear(r, 256, 256), nn.ReLU(), Linear(r, 256, 512), nn.ReLU()),
        *(nn.Unflatten(2, (32, 4, 4)), ToPlanes(), ConvTranspose(r, 32, 32), nn.ReLU()),
        *(ConvTranspose(r, 32, 32), nn.ReLU(), ConvTranspose(r, 32, 32), nn.ReLU(), ConvTranspose(r, 32, c)),
        FromPlanes(r),
    )
    return VAE(encoder, decoder, k)
