"""The convolutions of a single run on a CPU, with channels innermost in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

if TYPE_CHECKING:
    from bench.nn.convolution.spec import Convolution


def convolve_one(x: Tensor, weight: Tensor, bias: Tensor, how: Convolution) -> Tensor:
    """`convolve` for R = 1 on a CPU.

    Where the kernel sees the whole image, or makes a whole image of one pixel, a convolution is a matrix product.
    """
    # Not by index, whose gradient is a tensor of zeros with a copy of this one in it.
    w, b = weight.squeeze(0), bias.squeeze(0)
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
    @once_differentiable
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
