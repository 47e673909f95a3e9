"""A dense first layer that leaves out the pixels which are black in every image: they have no part in any sum."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bench.adam import Adam
from bench.batches import ImageStore
from bench.layers import Linear
from bench.lockstep import ALIGNED
from bench.networks import VAE

#: Inputs that MKL's float32 product was seen to sum in one go: cut there, sums have the bits they have with the zeros.
IN_ONE_GO = 192

Encode = Callable[[Tensor], tuple[Tensor, Tensor]]


def used_range(images: ImageStore) -> slice:
    """Pixels of a flattened image outside of which all images are black, in whole vector registers; all if none is."""
    used, n_pixels = np.flatnonzero(images.used), len(images.used)
    if not len(used):
        return slice(0, n_pixels)
    return slice(int(used[0]) // ALIGNED * ALIGNED, min(n_pixels, -(-int(used[-1] + 1) // ALIGNED) * ALIGNED))


def narrow(vae: VAE, images: ImageStore, optimizer: Adam) -> tuple[Encode, Tensor, Tensor] | None:
    """An encoder for training on these images whose first layer multiplies no pixel that is black in all of them.

    The weights of such a pixel get no gradient from any image, and Adam leaves them as they are. They are therefore no
    part of what is differentiated or updated here either, which for images with wide margins is most of the layer.

    Parameters
    ----------
    vae : VAE
        Its weights are shared, not copied.
    images : ImageStore
        What it is trained on.
    optimizer : Adam
        Of the network; it is told to update the other weights only.

    Returns
    -------
    tuple or None
        As `VAE.encode`, with the bits of the whole product where the machine's libraries sum as here (see `Product`),
        to rounding elsewhere; the first layer's weights, (R, n_in, n_out); and those that are left, (R, n_used, n_out),
        which take the gradient in their place. None if the encoder does anything else than to flatten the image and
        begin with a dense layer, or if every pixel is used.
    """
    layers = vae.encoder
    if type(vae) is not VAE or type(layers) is not nn.Sequential or len(layers) < 2:
        return None
    if not (isinstance(layers[0], nn.Flatten) and type(layers[1]) is Linear) or _has_hooks(layers):
        return None
    layer, rest, rows = layers[1], layers[2:], used_range(images)
    if rows.stop - rows.start == layer.weight.shape[1]:
        return None
    weight = layer.weight.detach()[:, rows].requires_grad_(layer.weight.requires_grad)
    optimizer.narrow(layer.weight, rows, weight)

    def encode(x: Tensor) -> tuple[Tensor, Tensor]:
        lowered = torch.is_autocast_enabled(x.device.type)
        dtype = torch.get_autocast_dtype(x.device.type) if lowered else x.dtype
        given = layer.bias, x.flatten(2), weight, layer.weight.detach(), rows, dtype
        hidden: Tensor = Product.apply(*given)  # type: ignore[no-untyped-call]
        mean, logvar = rest(hidden).chunk(2, dim=-1)
        return mean, logvar

    return encode, layer.weight, weight


def _has_hooks(layers: nn.Sequential) -> bool:
    return any(part._forward_hooks or part._forward_pre_hooks for part in (layers, layers[0], layers[1]))


class Product(torch.autograd.Function):
    """``bias + x @ whole`` for R runs, where `x` needs no gradient and is 0 outside of `rows`."""

    @staticmethod
    def forward(
        ctx: Any, bias: Tensor, x: Tensor, weight: Tensor, whole: Tensor, rows: slice, dtype: torch.dtype
    ) -> Tensor:
        """Give (R, B, n_out) in `dtype`; `weight` is what stands in these rows of `whole`, and takes the gradient."""
        # In bfloat16 the sum must not be cut, and its order was seen to depend on where it begins, not on its end.
        begin, step = (0, rows.stop) if dtype == torch.bfloat16 else (rows.start, IN_ONE_GO)
        bounds = [begin, *range(begin // step * step + step, rows.stop, step), rows.stop]
        x, out = x[..., : rows.stop].to(dtype), bias.to(dtype).unsqueeze(1)
        for first, last in pairwise(bounds):
            out = torch.baddbmm(out, x[..., first:last], whole[:, first:last].to(dtype))
        ctx.save_for_backward(x[..., rows.start :])
        ctx.dtypes = bias.dtype, weight.dtype
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of bias and weight."""
        (x,), (gradient,) = ctx.saved_tensors, gradients
        of_bias, of_weight = ctx.dtypes
        return gradient.sum(dim=1).to(of_bias), None, (x.mT @ gradient).to(of_weight), None, None, None
