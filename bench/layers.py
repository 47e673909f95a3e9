"""Layers with a leading run axis R on every parameter, and the kernels they are computed by.

R runs are computed by batched matrix products and grouped convolutions. A single run on a CPU takes faster kernels
(`convolve_one`), and runs on a GPU take others again (`bench.fused`); what they give is the same but for rounding. One
run's slice of each parameter has the shape of the `torch.nn` layer's of the same name, but for `Linear`, whose weight
is stored transposed so that its gradient comes in the layout the optimiser needs.
"""

from __future__ import annotations

import functools
import importlib.util
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812  (the field's own alias)
from torch import Tensor, nn

from bench.one_run import convolve_one


class Linear(nn.Module):
    """R linear layers: (R, B, n_in) to (R, B, n_out)."""

    def __init__(self, n_runs: int, n_in: int, n_out: int) -> None:
        super().__init__()
        self.fan_in = n_in
        self.weight = nn.Parameter(torch.empty(n_runs, n_in, n_out))
        self.bias = nn.Parameter(torch.empty(n_runs, n_out))

    def forward(self, x: Tensor) -> Tensor:
        """Batched affine map."""
        return torch.baddbmm(self.bias.unsqueeze(1), x, self.weight)


class Narrow(Linear):
    """R linear layers of few inputs and outputs: with the batch innermost in memory it is some ten times as fast."""

    def forward(self, x: Tensor) -> Tensor:
        """Batched affine map."""
        # Copies: products of transposed views round by where a run's matrix begins.
        weight, columns = self.weight.transpose(1, 2).contiguous(), x.transpose(1, 2).contiguous()
        return torch.baddbmm(self.bias.unsqueeze(2), weight, columns).transpose(1, 2)


class Conv(nn.Module):
    """R convolutions, 4x4 unless said: (R * B, n_in, H, W) to (R * B, n_out, H', W')."""

    def __init__(self, n_runs: int, n_in: int, n_out: int, *, kernel: int = 4, stride: int = 2, padding: int = 1):
        super().__init__()
        self.fan_in = n_in * kernel * kernel
        self.stride, self.padding = stride, padding
        self.weight = nn.Parameter(torch.empty(n_runs, n_out, n_in, kernel, kernel))
        self.bias = nn.Parameter(torch.empty(n_runs, n_out))

    def forward(self, x: Tensor, relu: bool = False) -> Tensor:
        """Convolve each run's images with its own weights."""
        how = Convolution(self.stride, self.padding, transposed=False, relu=relu)
        return convolve(x, self.weight, self.bias, how)


class ConvTranspose(nn.Module):
    """R transposed 4x4 convolutions: (R * B, n_in, H, W) to (R * B, n_out, H', W')."""

    def __init__(self, n_runs: int, n_in: int, n_out: int, *, stride: int = 2, padding: int = 1) -> None:
        super().__init__()
        self.fan_in = n_out * 16  # what torch takes for a transposed convolution's fan-in
        self.stride, self.padding = stride, padding
        self.weight = nn.Parameter(torch.empty(n_runs, n_in, n_out, 4, 4))
        self.bias = nn.Parameter(torch.empty(n_runs, n_out))

    def forward(self, x: Tensor, relu: bool = False) -> Tensor:
        """Convolve each run's images, transposed, with its own weights."""
        how = Convolution(self.stride, self.padding, transposed=True, relu=relu)
        return convolve(x, self.weight, self.bias, how)


class Layers(nn.Sequential):
    """Layers in a row; a convolution and the ReLU that follows it are one operation."""

    def forward(self, x: Tensor) -> Tensor:
        """Apply them in turn."""
        layers = list(self)
        for layer, before, after in zip(layers, [None, *layers], [*layers[1:], None], strict=False):
            if isinstance(layer, Conv | ConvTranspose):
                x = layer(x, relu=isinstance(after, nn.ReLU))
            elif not (isinstance(layer, nn.ReLU) and isinstance(before, Conv | ConvTranspose)):
                x = layer(x)
        return x


class ToPlanes(nn.Module):
    """(R, B, C, H, W) to what convolutions take, (R * B, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        """Put the runs' batches one after another."""
        return x.flatten(0, 1)


class FromPlanes(nn.Module):
    """(R * B, C, H, W) back to (R, B, C, H, W)."""

    def __init__(self, n_runs: int) -> None:
        super().__init__()
        self.n_runs = n_runs

    def forward(self, x: Tensor) -> Tensor:
        """Take the runs' batches apart."""
        return _apart(x, self.n_runs)


class Convolution(NamedTuple):
    """What a square convolution does.

    Attributes
    ----------
    stride, padding : int
    transposed : bool
    relu : bool
        Whether negative values of its output become zero.
    """

    stride: int
    padding: int
    transposed: bool
    relu: bool = False


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


def convolve_grouped(x: Tensor, weight: Tensor, bias: Tensor, how: Convolution) -> Tensor:
    """`convolve` by torch's own grouped convolution, one group per run, on any device.

    On a CPU a group costs what a convolution of its own costs; gathering the patches and multiplying them as a batch
    of matrices costs twice to five times as much (R = 2, 5 and 10, the inner layers of net H).
    """
    r = len(weight)
    function = F.conv_transpose2d if how.transposed else F.conv2d
    channels = _apart(x, r).transpose(0, 1).flatten(1, 2)
    y = function(channels, weight.flatten(0, 1), bias.flatten(), stride=how.stride, padding=how.padding, groups=r)
    y = y.view(len(y), r, -1, *y.shape[2:]).transpose(0, 1).flatten(0, 1)
    return y.relu() if how.relu else y


def convolve_patches(x: Tensor, weight: Tensor, bias: Tensor, how: Convolution) -> Tensor:
    """`convolve` by gathering the patches and multiplying them as a batch of R matrices, on any device."""
    r, size = len(weight), weight.shape[3]
    if not how.transposed:
        height, width = ((side + 2 * how.padding - size) // how.stride + 1 for side in x.shape[2:])
        # All images as channels of one: torch's own loop over a batch launches a kernel per image.
        patches = F.unfold(x.flatten(0, 1)[None], size, padding=how.padding, stride=how.stride)
        columns = patches.view(r, -1, weight[0, 0].numel(), height * width).transpose(1, 2).flatten(2)
        y = torch.baddbmm(bias[:, :, None], weight.flatten(2), columns)
        y = y.view(r, -1, len(x) // r, height, width).transpose(1, 2).flatten(0, 1)
    else:
        columns = _apart(x.flatten(2), r).transpose(1, 2).flatten(2)
        patches = torch.bmm(weight.flatten(2).mT, columns).view(r, -1, len(x) // r, x[0, 0].numel())
        sides = tuple((side - 1) * how.stride - 2 * how.padding + size for side in x.shape[2:])
        whole = patches.transpose(1, 2).reshape(1, -1, x[0, 0].numel())
        y = F.fold(whole, sides, size, padding=how.padding, stride=how.stride).view(len(x), -1, *sides)
        y = (_apart(y, r) + bias[:, None, :, None, None]).flatten(0, 1)
    return y.relu() if how.relu else y


def convolve_as_matrix(x: Tensor, weight: Tensor, bias: Tensor, how: Convolution) -> Tensor:
    """`convolve` where every input pixel meets every weight once: a kernel of one pixel, or one that sees the image.

    Channels are innermost in memory in what it gives.
    """
    r, inner = len(weight), x.movedim(1, 3)
    if weight.shape[3] == 1:
        matrix = weight.flatten(2) if how.transposed else weight.flatten(2).mT
        y = torch.baddbmm(bias[:, None], inner.reshape(r, -1, x.shape[1]), matrix).view(*inner.shape[:3], -1)
    elif how.transposed:
        size = weight.shape[3]
        matrix = weight.permute(0, 1, 3, 4, 2).flatten(2)
        y = torch.baddbmm(bias.repeat(1, size**2)[:, None], x.view(r, -1, x.shape[1]), matrix)
        y = y.view(len(x), size, size, -1)
    else:
        matrix = weight.permute(0, 3, 4, 2, 1).flatten(1, 3)
        y = torch.baddbmm(bias[:, None], inner.reshape(r, len(x) // r, -1), matrix).view(len(x), 1, 1, -1)
    y = y.movedim(3, 1)
    return y.relu() if how.relu else y


def convolve_fused(x: Tensor, weight: Tensor, bias: Tensor, how: Convolution) -> Tensor:
    """`convolve` by `bench.fused`."""
    from bench import fused

    if torch.is_autocast_enabled(x.device.type):
        # Autocast doesn't look into functions that bring their own gradient.
        x, weight, bias = (value.to(torch.get_autocast_dtype(x.device.type)) for value in (x, weight, bias))
    return fused.convolve(x, weight, bias, transposed=how.transposed, relu=how.relu)


def _is_matrix(x: Tensor, weight: Tensor, how: Convolution) -> bool:
    whole = x.shape[2:] == ((1, 1) if how.transposed else weight.shape[3:])
    return how.padding == 0 and (whole or (weight.shape[3] == 1 and how.stride == 1))


def fusable(x: Tensor, weight: Tensor, how: Convolution) -> bool:
    """Whether `bench.fused` can compute it: by shapes and types, on whatever device."""
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


def _apart(x: Tensor, n_runs: int) -> Tensor:
    """(R * B, ...) as (R, B, ...)."""
    return x.reshape(n_runs, -1, *x.shape[1:])
