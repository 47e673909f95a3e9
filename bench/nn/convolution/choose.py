"""Which kernels compute a convolution of R runs, on this device."""

from __future__ import annotations

import functools
import importlib.util

import torch
from torch import Tensor

from bench.nn.convolution.cpu import convolve_one
from bench.nn.convolution.plain import convolve_as_matrix, convolve_grouped, convolve_patches
from bench.nn.convolution.spec import Convolution


def convolve(x: Tensor, weight: Tensor, bias: Tensor, how: Convolution) -> Tensor:
    """R square convolutions by the kernels that suit R and the device.

    Parameters
    ----------
    x : Tensor, (R * B, n_in, H, W)
        The runs' batches one after another.
    weight : Tensor, (R, n_out, n_in, k, k), transposed (R, n_in, n_out, k, k)
    bias : Tensor, (R, n_out)
    how : Convolution

    Returns
    -------
    Tensor, (R * B, n_out, H', W')
    """
    if x.device.type == "cpu":
        return (convolve_one if len(weight) == 1 else convolve_grouped)(x, weight, bias, how)
    if _is_matrix(x, weight, how):
        return convolve_as_matrix(x, weight, bias, how)
    if x.device.type == "cuda" and fusable(x, weight, how) and _has_triton():
        return convolve_fused(x, weight, bias, how)
    return convolve_patches(x, weight, bias, how)


def convolve_fused(x: Tensor, weight: Tensor, bias: Tensor, how: Convolution) -> Tensor:
    """`convolve` by `bench.nn.convolution.gpu`."""
    from bench.nn.convolution import gpu

    if torch.is_autocast_enabled(x.device.type):
        # Autocast doesn't look into functions that bring their own gradient.
        x, weight, bias = (value.to(torch.get_autocast_dtype(x.device.type)) for value in (x, weight, bias))
    return gpu.convolve(x, weight, bias, transposed=how.transposed, relu=how.relu)


def _is_matrix(x: Tensor, weight: Tensor, how: Convolution) -> bool:
    whole = x.shape[2:] == ((1, 1) if how.transposed else weight.shape[3:])
    return how.padding == 0 and (whole or (weight.shape[3] == 1 and how.stride == 1))


def fusable(x: Tensor, weight: Tensor, how: Convolution) -> bool:
    """Whether `bench.nn.convolution.gpu` can compute it: by shapes and types, on whatever device."""
    small, big = weight.shape[1:3]  # channels of the image with fewer pixels, and of the other one
    # Up to 64 they have been run on a GPU; far more would not fit into its shared memory.
    channels = small in (16, 32, 64) and (big < 16 or big in (16, 32, 64))
    halved = how.transposed or (x.shape[2] % 2 == 0 and x.shape[3] % 2 == 0)
    shape = weight.shape[3] == 4 and how.stride == 2 and how.padding == 1
    return shape and halved and channels and x.dtype in (torch.float32, torch.bfloat16)


@functools.cache
def _has_triton() -> bool:
    # NVIDIA's: on AMD's GPUs Triton multiplies float32 in other ways than those asked for.
    return torch.version.hip is None and importlib.util.find_spec("triton") is not None


#: What can do any convolution ("fused": where `fusable`), for those who compare them.
KERNELS = {"grouped": convolve_grouped, "patches": convolve_patches, "fused": convolve_fused}
