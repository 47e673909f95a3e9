"""Encoders, decoders and discriminator of the papers, with a leading run axis R on every parameter."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.errors import BenchError
from bench.nn.layers import Conv, ConvTranspose, FromPlanes, Layers, Linear, Narrow, ToPlanes
from bench.registry import NETWORKS
from bench.seeds import torch_stream

Init = Literal["he", "normal002", "torch"]
ImageShape = tuple[int, int, int]


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


class VAE(nn.Module):
    """Encoder and decoder of R runs.

    Attributes
    ----------
    latent_dim : int
        K.
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, latent_dim: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.latent_dim = latent_dim

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Posterior means and log-variances.

        Parameters
        ----------
        x : Tensor, (R, B, C, H, W), float32 in [0, 1]

        Returns
        -------
        mean, logvar : Tensor, (R, B, K)
        """
        mean, logvar = self.encoder(x).chunk(2, dim=-1)
        return mean, logvar

    def decode(self, z: Tensor) -> Tensor:
        """Logits of the pixels, (R, B, C, H, W), for codes of shape (R, B, K)."""
        logits: Tensor = self.decoder(z)
        return logits


def _need_64(name: str, shape: ImageShape) -> None:
    if shape[1:] != (64, 64):
        raise BenchError(f"network '{name}' is for 64x64 images, the dataset's are {shape[2]}x{shape[1]}; try 'mlp'")


@NETWORKS.register("H", version=2)
def network_h(n_runs: int, shape: ImageShape, latent_dim: int) -> VAE:
    """Net H of the ControlVAE and DynamicVAE code: five convolutions to 256 features; 763,285 parameters (1x64x64)."""
    _need_64("H", shape)
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


@NETWORKS.register("B", version=2)
def network_b(n_runs: int, shape: ImageShape, latent_dim: int) -> VAE:
    """Net B of Burgess et al. 2018: four convolutions of 32, two dense layers of 256; 502,005 parameters (1x64x64)."""
    _need_64("B", shape)
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


@NETWORKS.register("kim", version=2)
def network_kim(n_runs: int, shape: ImageShape, latent_dim: int) -> VAE:
    """FactorVAE's net: as H with 128 features on grey images (497,045 parameters), 256 on colour (765,335)."""
    _need_64("kim", shape)
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


@NETWORKS.register("mlp", version=1)
def network_mlp(n_runs: int, shape: ImageShape, latent_dim: int) -> VAE:
    """Our small dense net for the quick preset: pixels-128-128-2K and its mirror, ReLU; any image size."""
    r, k, pixels = n_runs, latent_dim, math.prod(shape)
    encoder = nn.Sequential(nn.Flatten(2), *dense(r, [pixels, 128, 128, 2 * k], nn.ReLU()))
    decoder = nn.Sequential(*dense(r, [k, 128, 128, pixels], nn.ReLU()), nn.Unflatten(2, shape))
    return VAE(encoder, decoder, k)


@NETWORKS.register("linear", version=1)
def network_linear(n_runs: int, shape: ImageShape, latent_dim: int) -> VAE:
    """One linear map each way, and variances that don't depend on the data: all that linear-Gaussian data need."""
    pixels = math.prod(shape)
    encoder = nn.Sequential(nn.Flatten(2), LinearPosterior(n_runs, pixels, latent_dim))
    decoder = nn.Sequential(Narrow(n_runs, latent_dim, pixels), nn.Unflatten(2, shape))
    return VAE(encoder, decoder, latent_dim)


def linear_decoder(vae: VAE, known: NDArray[np.float64]) -> Linear:
    """The one layer of a linear decoder, into which a known map of shape (d, K) fits.

    Raises
    ------
    BenchError
        If the decoder isn't linear or has another number of latents.
    """
    layers = [module for module in vae.decoder.modules() if list(module.parameters(recurse=False))]
    if len(layers) == 1 and isinstance(layers[0], Linear) and layers[0].weight.shape[1:] == known.T.shape:
        return layers[0]
    raise BenchError(
        f"the data come with a linear decoder of {known.shape[1]} latents, which the network can't take: set "
        f"train.network=linear and train.latent_dim={known.shape[1]}, or the dataset's decoder=learned"
    )


def fix_decoder(vae: VAE, known: NDArray[np.float64]) -> None:
    """Set a linear decoder to a known map of shape (d, K), without a bias, and take it out of the training."""
    layer = linear_decoder(vae, known)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(known.T.copy()))
        layer.bias.zero_()
    vae.decoder.requires_grad_(False)


def dense(n_runs: int, widths: Sequence[int], activation: nn.Module) -> list[nn.Module]:
    """Linear layers of these widths with the activation between them, none after the last."""
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(widths):
        layers += [Linear(n_runs, n_in, n_out), activation]
    return layers[:-1]


def build(name: str, n_runs: int, shape: ImageShape, latent_dim: int) -> VAE:
    """Uninitialised network `name` for R runs.

    Raises
    ------
    BenchError
        Unknown network, or one that doesn't take images of this shape.
    """
    vae: VAE = NETWORKS.get(name).value(n_runs, shape, latent_dim)
    return vae


def initialised(module: nn.Module) -> Iterator[tuple[str, Linear | Conv | ConvTranspose]]:
    """Layers that `initialise` fills, by name; what else has parameters keeps those that it was constructed with."""
    for name, layer in module.named_modules():
        if isinstance(layer, Linear | Conv | ConvTranspose):
            yield name, layer


def initialise(module: nn.Module, scheme: Init, seeds: Sequence[int], role: str) -> None:
    """Fill linear and convolution layers in place, run r from its own seed's streams ``init:<role>.<layer>``.

    Parameters
    ----------
    module : nn.Module
        Made of the layers of `bench.nn.layers`.
    scheme : {"he", "normal002", "torch"}
        For linear and convolution layers: He-normal (fan-in, gain sqrt 2) or N(0, 0.02) weights with zero biases, or
        torch's default. Transposed convolutions keep torch's default under every scheme, as in the released code.
    seeds : sequence of int
        One per run.
    role : str
        Keeps the streams of several networks of one run apart.
    """
    for name, layer in initialised(module):
        bound = 1 / math.sqrt(layer.fan_in)
        for run, seed in enumerate(seeds):
            generator = torch_stream(seed, f"init:{role}.{name}")
            with torch.no_grad():
                if scheme == "torch" or isinstance(layer, ConvTranspose):
                    layer.weight[run].uniform_(-bound, bound, generator=generator)
                    layer.bias[run].uniform_(-bound, bound, generator=generator)
                else:
                    std = math.sqrt(2) * bound if scheme == "he" else 0.02
                    layer.weight[run].normal_(0.0, std, generator=generator)
                    layer.bias[run].zero_()
