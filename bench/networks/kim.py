"""The network of FactorVAE."""

from __future__ import annotations

from torch import nn

from bench.network import VAE, ImageShape, register_network, require_size, square
from bench.nn.layers import Conv, ConvTranspose, FromPlanes, Layers, ToPlanes


@register_network("kim", version=2, fits=square(64))
def kim(n_runs: int, shape: ImageShape, latent_dim: int) -> VAE:
    """FactorVAE's net: as H with 128 features on grey images (497,045 parameters), 256 on colour (765,335).

    Source: Kim and Mnih, "Disentangling by Factorising", ICML 2018, appendix A.
    """
    require_size("kim", shape, 64)
    r, k, c = n_runs, latent_dim, shape[0]
    width = 128 if c == 1 else 256
    encoder = Layers(
        ToPlanes(),
        *(Conv(r, c, 32), nn.ReLU(), Conv(r, 32, 32), nn.ReLU(), Conv(r, 32, 64), nn.ReLU()),
        *(Conv(r, 64, 64), nn.ReLU(), Conv(r, 64, width, stride=1, padding=0), nn.ReLU()),
        *(Conv(r, width, 2 * k, kernel=1, stride=1, padding=0), FromPlanes(r), nn.Flatten(2)),
    )
    decoder = Layers(
        *(
            nn.Unflatten(2, (k, 1, 1)),
            ToPlanes(),
            Conv(r, k, width, kernel=1, stride=1, padding=0),
            nn.ReLU(),
        ),
        *(ConvTranspose(r, width, 64, stride=1, padding=0), nn.ReLU(), ConvTranspose(r, 64, 64), nn.ReLU()),
        *(ConvTranspose(r, 64, 32), nn.ReLU(), ConvTranspose(r, 32, 32), nn.ReLU(), ConvTranspose(r, 32, c)),
        FromPlanes(r),
    )
    return VAE(encoder, decoder, k)
