"""Convolutions of R runs by torch's own operations, on any device."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812  (the field's own alias)
from torch import Tensor

from bench.nn.convolution.spec import Convolution, apart


def convolve_grouped(x: Tensor, weight: Tensor, bias: Tensor, how: Convolution) -> Tensor:
    """`convolve` by torch's own grouped convolution, one group per run, on any device.

    On a CPU a group costs what a convolution of its own costs; gathering the patches and multiplying them as a batch
    of matrices costs twice to five times as much (R = 2, 5 and 10, the inner layers of net H).
    """
    r = len(weight)
    function = F.conv_transpose2d if how.transposed else F.conv2d
    channels = apart(x, r).transpose(0, 1).flatten(1, 2)
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
        columns = apart(x.flatten(2), r).transpose(1, 2).flatten(2)
        patches = torch.bmm(weight.flatten(2).mT, columns).view(r, -1, len(x) // r, x[0, 0].numel())
        sides = tuple((side - 1) * how.stride - 2 * how.padding + size for side in x.shape[2:])
        whole = patches.transpose(1, 2).reshape(1, -1, x[0, 0].numel())
        y = F.fold(whole, sides, size, padding=how.padding, stride=how.stride).view(len(x), -1, *sides)
        y = (apart(y, r) + bias[:, None, :, None, None]).flatten(0, 1)
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
