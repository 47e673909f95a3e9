"""A convolutional network for images of many sizes."""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from bench.errors import BenchError
from bench.network import VAE, ImageShape, nearest, register_network
from bench.nn.layers import Conv, ConvTranspose, FromPlanes, Layers, Linear, ToPlanes

#: Sides are halved while both stay at least this long, and at least so often; then at most this many pixels are left.
LEAST_SIDE, LEAST_HALVINGS, MOST_PIXELS = 4, 2, 64
#: Channels of the first half of the convolutions, rounded up, and of the others; units of the dense layer.
FIRST, OTHERS, UNITS = 32, 64, 256


def halvings(shape: ImageShape) -> int:
    """How often both sides are halved: 2 at 28 x 28, 3 at 32, 4 at 64 and 96; 0 for images that don't fit."""
    height, width = shape[1:]
    n = 0
    while height % 2 == width % 2 == 0 and min(height, width) >= 2 * LEAST_SIDE:
        height, width, n = height // 2, width // 2, n + 1
    return n if n >= LEAST_HALVINGS and height * width <= MOST_PIXELS else 0


@register_network("conv", fits=lambda shape: halvings(shape) > 0)
def conv(n_runs: int, shape: ImageShape, latent_dim: int) -> VAE:
    """H for other sizes: a convolution each time both sides halve, down to 4 to 7 pixels, then a dense layer of 256.

    4x4 convolutions of stride 2 halve both sides while these are even and leave at least 4 pixels: twice at 28x28 (to
    7x7), three times at 32x32 (4x4), four times at 64x64 (4x4) and 96x96 (6x6), four times at 64x96 (4x6). The first
    half of them, rounded up, have 32 channels and the others 64. Then come a dense layer of 256, and means and
    log-variances. The decoder is the mirror. Images are taken that can be halved twice at least, to 64 pixels at most.
    At 64x64 it is net H but for the decoder's second dense layer, whose biases are one a pixel; parameters with ten
    latents: 1,683,669 at 1x28x28, 633,045 at 1x32x32, 764,245 at 1x64x64, 1,420,885 at 1x96x96.

    Source: our own, after net H.
    """
    n = halvings(shape)
    if not n:
        raise BenchError(
            f"network 'conv' is for images whose sides halve at least {LEAST_HALVINGS} times, to at most {MOST_PIXELS} "
            f"pixels, the dataset's are {shape[2]}x{shape[1]}; try '{nearest(shape)}'"
        )
    r, k = n_runs, latent_dim
    widths = [shape[0], *[FIRST] * (n - n // 2), *[OTHERS] * (n // 2)]
    planes = (widths[-1], shape[1] >> n, shape[2] >> n)
    pixels = planes[0] * planes[1] * planes[2]
    down: list[nn.Module] = []
    up: list[nn.Module] = []
    for outer, inner in pairwise(widths):
        down += [Conv(r, outer, inner), nn.ReLU()]
        up = [nn.ReLU(), ConvTranspose(r, inner, outer), *up]
    encoder = Layers(
        *(ToPlanes(), *down, FromPlanes(r), nn.Flatten(2)),
        *(Linear(r, pixels, UNITS), nn.ReLU(), Linear(r, UNITS, 2 * k)),
    )
    decoder = Layers(
        *(Linear(r, k, UNITS), nn.ReLU(), Linear(r, UNITS, pixels)),
        *(up[0], nn.Unflatten(2, planes), ToPlanes(), *up[1:], FromPlanes(r)),
    )
    return VAE(encoder, decoder, k)
