"""The network contract.

A network is one file in ``bench/networks/`` with one function, ``f(n_runs, shape, latent_dim) -> VAE``, which builds
the encoder and the decoder of R runs without giving their layers values: `bench.nn.networks.initialise` does that, from
the runs' seeds and the names of the layers. A layer that is renamed or moved makes another network: raise ``version``.

* Every parameter and buffer begins with the run axis R. Torch's own layers with weights have none and are refused;
  those of `bench.nn.layers` do. Layers without weights (``nn.ReLU``, ``nn.Flatten(2)``) are torch's as they are.
* The encoder takes images of shape (R, B, C, H, W) in [0, 1] and gives (R, B, 2 K): K means, then K log-variances. The
  decoder takes codes of shape (R, B, K) and gives logits of shape (R, B, C, H, W). Neither mixes runs, nor images.
* Images of a size that it isn't made for are refused with a `BenchError`; `require_size` does that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bench.errors import BenchError
from bench.nn.networks import VAE as VAE  # networks take all of these from here
from bench.nn.networks import ImageShape as ImageShape
from bench.nn.networks import dense as dense
from bench.registry import NETWORKS

#: Number of runs R, shape (C, H, W) of the images, number of latents K.
NetworkFunction = Callable[[int, ImageShape, int], VAE]


def register_network(name: str, *, version: int = 1, **info: Any) -> Callable[[NetworkFunction], NetworkFunction]:
    """Register a network.

    Parameters
    ----------
    name : str
        Name in ``train.network`` and on the command line.
    version : int
        Raised by every change of the architecture, of a layer's name, or of the values that it begins with.
    **info
        The fields of `bench.info.NetworkInfo`.

    Raises
    ------
    BenchError
        In one line, if a keyword is unknown, or the name is taken.

    Examples
    --------
    >>> from torch import nn
    >>> @register_network("one_pixel")
    ... def one_pixel(n_runs, shape, latent_dim):
    ...     encoder = nn.Sequential(nn.Flatten(2), *dense(n_runs, [1, 2 * latent_dim], nn.Tanh()))
    ...     decoder = nn.Sequential(*dense(n_runs, [latent_dim, 1], nn.Tanh()), nn.Unflatten(2, shape))
    ...     return VAE(encoder, decoder, latent_dim)
    >>> sum(weight.numel() for weight in one_pixel(3, (1, 1, 1), 4).parameters())  # three runs of 8 + 8 + 4 + 1
    63
    """
    return NETWORKS.register(name, version=version, **info)


def square(size: int) -> Callable[[ImageShape], bool]:
    """Whether images are of ``size`` by ``size`` pixels, whatever their channels."""
    return lambda shape: shape[1:] == (size, size)


def nearest(shape: ImageShape) -> str:
    """Name of the first network that says it fits images of this shape: a convolutional one where there is one.

    ``mlp``, which takes any, comes last.
    """
    names = [entry.name for entry in NETWORKS if entry.info.fits is not None and entry.info.fits(shape)]
    return next(iter(names), "mlp")


def require_size(name: str, shape: ImageShape, size: int) -> None:
    """Refuse images of any other size than ``size`` by ``size`` pixels, whatever their channels.

    Raises
    ------
    BenchError
        In one line that names a network for images of this shape.
    """
    if shape[1:] != (size, size):
        raise BenchError(
            f"network '{name}' is for {size}x{size} images, the dataset's are {shape[2]}x{shape[1]}; "
            f"try '{nearest(shape)}'"
        )
