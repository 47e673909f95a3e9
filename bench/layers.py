"""Layers with a leading run axis R on every parameter, and the kernels they are computed by.

R runs are computed by batched matrix products and grouped convolutions. A single run on a CPU takes faster kernels
(`convolve_one`), and so does a GPU (`bench.fused`); what they give is the same but for rounding. One run's slice of each parameter has the shape of the
`torch.nn` layer's of the same name, but for `Linear`, whose weight is stored transposed so that its gradient comes in
the layout the optimiser needs.
"""

from __future__ import annotations

import functools
import importlib.util
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812  (the field's own alias)
from torch import Tensor, nn


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
        return x.unflatten(0, (self.n_runs, -1))


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
    if x.device.type == "cuda" and _fusable(weight, how):
        return convolve_fused(x, weight, bias, how)
    return convolve_patches(x, weight, bias, how)


def convolve_grouped(x: Tensor, weight: Tensor, bias: Tensor, how: Convolution) -> Tensor:
    """`convolve` by torch's own grouped convolution, one group per run, on any device.

    On a CPU a group costs what a convolution of its own costs; gathering the patches and multiplying them as a batch
    of matrices costs twice to five times as much (R = 2, 5 and 10, the inner layers of net H).
    """
    r = len(weight)
    function = F.conv_transpose2d if how.transposed else F.conv2d
    channels = x.unflatten(0, (r, -1)).transpose(0, 1).flatten(1, 2)
    y = function(channels, weight.flatten(0, 1), bias.flatten(), stride=how.stride, padding=how.padding, groups=r)
    y = y.unflatten(1, (r, -1)).transpose(0, 1).flatten(0, 1)
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
        columns = x.flatten(2).unflatten(0, (r, -1)).transpose(1, 2).flatten(2)
        patches = torch.bmm(weight.flatten(2).mT, columns).view(r, -1, len(x) // r, x[0, 0].numel())
        sides = tuple((side - 1) * how.stride - 2 * how.padding + size for side in x.shape[2:])
        whole = patches.transpose(1, 2).reshape(1, -1, x[0, 0].numel())
        y = F.fold(whole, sides, size, padding=how.padding, stride=how.stride).view(len(x), -1, *sides)
        y = (y.unflatten(0, (r, -1)) + bias[:, None, :, None, None]).flatten(0, 1)
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
    from bench.fused import Fused

    if torch.is_autocast_enabled(x.device.type):
        # Autocast doesn't look into functions that bring their own gradient.
        x, weight, bias = (value.to(torch.get_autocast_dtype(x.device.type)) for value in (x, weight, bias))
    y: Tensor = Fused.apply(x, weight, bias, how.transposed, how.relu)  # type: ignore[no-untyped-call]
    return y


def _is_matrix(x: Tensor, weight: Tensor, how: Convolution) -> bool:
    whole = x.shape[2:] == ((1, 1) if how.transposed else weight.shape[3:])
    return how.padding == 0 and (whole or (weight.shape[3] == 1 and how.stride == 1))


def _fusable(weight: Tensor, how: Convolution) -> bool:
    small, big = weight.shape[1:3]  # channels of the image with fewer pixels, and of the other one
    powers = small >= 16 and small.bit_count() == 1 and (big < 16 or big.bit_count() == 1)
    return weight.shape[3] == 4 and how.stride == 2 and how.padding == 1 and powers and _has_triton()


@functools.cache
def _has_triton() -> bool:
    # Torch for NVIDIA's and AMD's GPUs brings it, but not on every system.
    return importlib.util.find_spec("triton") is not None


def convolve_one(x: Tensor, weight: Tensor, bias: Tensor, how: Convolution) -> Tensor:
    """`convolve` for R = 1 on a CPU.

    Where the kernel sees the whole image, or makes a whole image of one pixel, a convolution is a matrix product.
    """
    w, b = weight[0], bias[0]
    if torch.is_autocast_enabled("cpu"):
        # Autocast doesn't look into functions that bring their own gradient.
        x, w, b = (value.to(torch.get_autocast_dtype("cpu")) for value in (x, w, b))
    if how.padding == 0 and not how.transposed and x.shape[2:] == w.shape[2:]:
        y = torch.addmm(b, _pixels(x), _pixels(w).t())[:, :, None, None]
    elif how.padding == 0 and how.transposed and x.shape[2:] == (1, 1):
        size = w.shape[2]
        y = torch.addmm(b.repeat(size * size), x.flatten(1), _pixels(w)).view(len(x), size, size, -1).movedim(3, 1)
    else:
        made: Tensor = _Convolution.apply(x, w, b, how)  # type: ignore[no-untyped-call]
        return made
    return y.relu() if how.relu else y


class _Convolution(torch.autograd.Function):
    """A convolution with its channels innermost in memory.

    Against `F.conv2d` and `F.conv_transpose2d` with their own gradients: images of one channel are laid out so that
    their neighbours needn't be reordered; a transposed convolution to one or three channels is a matrix product (the
    library's kernels compute 16 channels at least); ReLU works in place; and the bias has a gradient of its own,
    because asking for it together with the weights' takes other kernels, twice as slow for transposed convolutions.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor, b: Tensor, how: Convolution) -> Tensor:
        x, w = channels_last(x), channels_last(w)
        ctx.how, ctx.settings = how, ([how.stride] * 2, [how.padding] * 2, [1, 1], how.transposed, [0, 0], 1)
        if how[:3] == (2, 1, True) and w.shape[1] <= 3 and w.shape[2] == 4:
            y = _double(x, w).add_(b[:, None, None])
        else:
            y = torch.ops.aten.convolution(x, w, b, *ctx.settings)
        if how.relu:
            y.relu_()
        ctx.save_for_backward(x, w, y if how.relu else None)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, w, y = ctx.saved_tensors
        g = channels_last(gradients[0].to(x.dtype))
        if ctx.how.relu:
            g = torch.ops.aten.threshold_backward(g, y, 0)
        wanted = [*ctx.needs_input_grad[:2], False]
        of_x, of_w, _ = torch.ops.aten.convolution_backward(g, x, w, None, *ctx.settings, wanted)
        return of_x, of_w, g.sum(dim=(0, 2, 3)), None


def channels_last(x: Tensor) -> Tensor:
    """`x` of shape (B, C, H, W) with its channels innermost in memory; a copy where they aren't."""
    if x.shape[1] > 1:
        return x.contiguous(memory_format=torch.channels_last)
    # With one channel both orders are the same bytes, but torch takes the usual strides to mean the usual order.
    return x.contiguous().flatten(1, 2).unsqueeze(3).movedim(3, 1)


def _pixels(x: Tensor) -> Tensor:
    """(n, C, H, W) to (n, H * W * C), which is no copy where channels are innermost."""
    return x.movedim(1, 3).flatten(1)


def _double(x: Tensor, w: Tensor) -> Tensor:
    """Transposed 4x4 convolution with stride 2 and padding 1: every pixel's patch, then their sum, in float32."""
    n, _, height, width = x.shape
    patches = torch.bmm(w.flatten(1).t().expand(n, -1, -1), x.flatten(2))
    patches = patches.to(torch.promote_types(x.dtype, torch.float32)).view(n, -1, 4, 4, height, width)
    # An even row of the output has row 1 of the patch of its pixel and row 3 of that above, an odd one rows 2 and 0.
    rows = patches[:, :, 1:3]
    rows[:, :, 0, :, 1:] += patches[:, :, 3, :, :-1]
    rows[:, :, 1, :, :-1] += patches[:, :, 0, :, 1:]
    pairs = rows[:, :, :, 1:3]
    pairs[:, :, :, 0, :, 1:] += rows[:, :, :, 3, :, :-1]
    pairs[:, :, :, 1, :, :-1] += rows[:, :, :, 0, :, 1:]
    return pairs.permute(0, 1, 4, 2, 5, 3).reshape(n, -1, 2 * height, 2 * width)
