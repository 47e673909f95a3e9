"""A VAE of R runs: built by the name of its network, and given the values that each run begins with."""

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
from bench.nn.layers import Conv, ConvTranspose, Linear
from bench.registry import NETWORKS
from bench.seeds import torch_stream

Init = Literal["he", "normal002", "torch"]
ImageShape = tuple[int, int, int]


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
