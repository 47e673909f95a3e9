"""What a step would cost if a network's convolutions and matrix products were all there is to it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from bench.nn import networks
from bench.nn.convolution.cpu import channels_last
from bench.nn.layers import Conv, ConvTranspose, Linear
from bench.nn.networks import ImageShape

Call = Callable[[], object]
#: Calls per candidate, of which the fastest counts.
TRIES = 5
#: Of the square matrix in `one_product`.
SIDE = 512


def products(
    network: str, shape: ImageShape, batch_size: int, dtype: torch.dtype, latent_dim: int, n_runs: int = 1
) -> list[Call]:
    """The forward and backward products of one step, each in the form that is fastest here.

    Every layer's output, its gradient with respect to weights and, but for the first layer, with respect to its input,
    without biases, from inputs and to outputs of their own. The candidates for a convolution are torch's kernels in
    both memory layouts, and a matrix product where it is one; the sum of patches that completes the last layer is left
    out. Those for the matrices of batched runs are one batch of them, and one run after another.

    Parameters
    ----------
    network : str
    shape : tuple of int
        ``(C, H, W)`` of the images.
    batch_size : int
    dtype : torch.dtype
    latent_dim : int
    n_runs : int
        Batched; more than one for networks of dense layers only.
    """
    chosen: list[Call] = []
    for number, (layer, *shapes) in enumerate(layers_of(network, shape, batch_size, latent_dim, n_runs)):
        x, g = (torch.randn(shape).to(dtype) for shape in shapes)
        chosen += [min(calls, key=_fastest) for calls in forms(layer, x, g, first=number == 0)]
    return chosen


def discriminator_products(batch_size: int, dtype: torch.dtype, latent_dim: int, width: int = 1000) -> list[Call]:
    """The products of FactorVAE's discriminator in one step, each in the form that is fastest here.

    It sees the codes and as many permuted ones. Its own gradient takes all products of both; that of the codes takes
    theirs once more, back to the codes.
    """
    chosen: list[Call] = []
    for number, (n_in, n_out) in enumerate(pairwise([latent_dim, *[width] * 5, 2])):
        x, w, g = (torch.randn(shape).to(dtype) for shape in ((batch_size, n_in), (n_in, n_out), (batch_size, n_out)))
        own = [_matrix(x, w, g, first=number == 0) for _ in ("codes", "permuted")]
        chosen += [call for calls in own for call in calls]
        chosen.append(lambda g=g, w=w: g @ w.t())  # type: ignore[misc]
    return chosen


def one_product(
    network: str, shape: ImageShape, batch_size: int, dtype: torch.dtype, latent_dim: int, n_runs: int = 1
) -> list[Call]:
    """As many multiplications as `products` has, as one product of large matrices: what this machine does at best."""
    count = 0
    for number, (layer, taken, given) in enumerate(layers_of(network, shape, batch_size, latent_dim, n_runs)):
        # Each weight meets each image once at every place of the smaller of the two planes.
        places = 1 if isinstance(layer, Linear) else min(taken[2:].numel(), given[2:].numel())
        count += (2 if number == 0 else 3) * layer.weight.numel() * batch_size * places
    a, b = (torch.randn(shape).to(dtype) for shape in ((count // SIDE**2, SIDE), (SIDE, SIDE)))
    return [lambda: a @ b]


def layers_of(
    network: str, shape: ImageShape, batch_size: int, latent_dim: int, n_runs: int = 1
) -> Iterator[tuple[Any, torch.Size, torch.Size]]:
    """Layers with the shapes of what goes in and comes out, in the order of the forward pass."""
    vae = networks.build(network, n_runs, shape, latent_dim)
    networks.initialise(vae, "he", range(n_runs), "vae")
    seen: list[tuple[nn.Module, torch.Size, torch.Size]] = []

    def note(layer: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        seen.append((layer, inputs[0].shape, output.shape))

    for layer in vae.modules():
        if isinstance(layer, Linear | Conv | ConvTranspose):
            layer.register_forward_hook(note)
    with torch.no_grad():
        mean, _ = vae.encode(torch.zeros(n_runs, batch_size, *shape))
        vae.decode(mean)
    yield from seen


def forms(layer: Any, x: Tensor, g: Tensor, *, first: bool) -> Iterator[list[Call]]:
    """For each of a layer's products the ways to compute it, from its input and its output's gradient."""
    w = layer.weight.detach().to(x.dtype)
    if isinstance(layer, Linear):
        runs = [_matrix(*each, first=first) for each in zip(x, w, g, strict=True)]
        in_turn = ((lambda calls=calls: [call() for call in calls]) for calls in zip(*runs, strict=True))
        yield from (list(ways) for ways in zip(_matrix(x, w, g, first=first), in_turn, strict=True))
    elif len(w) > 1:
        raise ValueError(f"the products of convolutions are those of one run, not of {len(w)}")
    else:
        yield from _convolution(layer, x, w[0], g, first=first)


def _matrix(x: Tensor, w: Tensor, g: Tensor, *, first: bool) -> list[Call]:
    calls: list[Call] = [lambda: x @ w, lambda: x.mT @ g]
    return calls if first else [*calls, lambda: g @ w.mT]


def _convolution(layer: Any, x: Tensor, w: Tensor, g: Tensor, *, first: bool) -> Iterator[list[Call]]:
    transposed = isinstance(layer, ConvTranspose)
    how = [layer.stride] * 2, [layer.padding] * 2, [1, 1], transposed, [0, 0], 1
    forward: list[Call] = []
    both: list[Call] = []
    for layout in (torch.Tensor.contiguous, channels_last):
        a, b, c = layout(x), layout(w), layout(g)
        forward.append(lambda a=a, b=b: torch.ops.aten.convolution(a, b, None, *how))  # type: ignore[misc]
        both.append(
            lambda a=a, b=b, c=c: torch.ops.aten.convolution_backward(  # type: ignore[misc]
                c, a, b, None, *how, [not first, True, False]
            )
        )
    if (g if not transposed else x).shape[2:] == (1, 1):
        matrix = w.flatten(1) if transposed else w.flatten(1).t()
        one, *others = _matrix(x.flatten(1), matrix, g.flatten(1), first=first)
        forward.append(one)
        both.append(lambda: [call() for call in others])
    elif transposed and w.shape[1] <= 3:
        matrix, pixels = w.flatten(1), x.movedim(1, 3).flatten(0, 2)
        forward.append(lambda: pixels @ matrix)
    yield forward
    yield both


def _fastest(call: Call) -> float:
    times = []
    for _ in range(TRIES):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)
