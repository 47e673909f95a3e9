"""Convolutions of R runs on a GPU as one kernel each: patches are multiplied as they are read, and never stored.

A 4x4 convolution with stride 2 joins a big image and one of half its sides. Written out, the big image's patches are
four times as large as it is, and moving them takes longer than multiplying them. Three kernels are all it takes, of a
convolution and of a transposed one, forwards and backwards: from big to small (`halve`), from small to big (`double`),
and the sum over all places of their products (`correlate`), which is the weights' gradient. All sums run in a fixed
order. Channels are innermost in memory.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import triton
from torch import Tensor
from torch.autograd.function import once_differentiable

from bench.nn.convolution import triton as convolution_triton

#: Pixels of the small image that a program of `correlate` and `gate` adds up at once.
DEPTH = 64
#: Taps and channels of the big image that a program of `correlate` takes together.
COLUMNS = 128
#: Programs that keep a large GPU busy; sums are divided into parts until there are so many.
PROGRAMS = 512


def halve(big: Tensor, weight: Tensor, bias: Tensor | None, *, relu: bool) -> Tensor:
    """Convolution with stride 2: (R*B, 2H, 2W, A) and (R, B, A, 4, 4) to (R*B, H, W, B)."""
    n, height, width = big.shape[0], big.shape[1] // 2, big.shape[2] // 2
    runs, b, a = weight.shape[:3]
    small = big.new_empty(n, height, width, b)
    n_rows = n // runs * height * width
    rows = _rows(big)
    columns = triton.next_power_of_2(16 * a) if a < 16 else 0
    # The channels that are summed over come innermost, as matrix units want them.
    ordered = weight.permute(0, 3, 4, 1, 2).contiguous()
    convolution_triton.halve[triton.cdiv(n_rows, rows), runs](
        big, ordered, bias, small, n_rows, height, width, bias is not None, relu, a, b, columns, rows, _precision(),
    )  # fmt: skip
    return small


def double(small: Tensor, weight: Tensor, bias: Tensor | None, *, relu: bool) -> Tensor:
    """Transposed convolution with stride 2: (R*B, H, W, B) and (R, B, A, 4, 4) to (R*B, 2H, 2W, A)."""
    n, height, width, b = small.shape
    runs, _, a = weight.shape[:3]
    big = small.new_empty(n, 2 * height, 2 * width, a)
    n_rows = n // runs * height * width
    rows = _rows(small)
    programs = triton.cdiv(n_rows, rows)
    if a < 16:
        program = convolution_triton.double_few[programs, runs]
        columns = max(triton.next_power_of_2(4 * a), 16)
    else:
        program, columns = convolution_triton.double[programs, runs, 4], a
    ordered = weight.permute(0, 3, 4, 2, 1).contiguous()
    program(
        small, ordered, bias, big, n_rows, height, width, bias is not None, relu, a, b, columns, rows, _precision(),
    )  # fmt: skip
    return big


def correlate(big: Tensor, small: Tensor, runs: int) -> Tensor:
    """Gradient of the weights, (R, B, A, 4, 4) in float32, from (R*B, 2H, 2W, A) and (R*B, H, W, B)."""
    n, height, width, b = small.shape
    a = big.shape[3]
    n_rows = n // runs * height * width
    columns = min(triton.next_power_of_2(16 * a), COLUMNS)
    n_columns = triton.cdiv(16 * a, columns)
    per_part = _per_part(n_rows, PROGRAMS // (runs * n_columns))
    parts = big.new_empty(triton.cdiv(n_rows, per_part), runs, 4, 4, a, b, dtype=torch.float32)
    # Both factors are summed over what is outermost in memory. Of float32 the pipelined copies would go value by value.
    how = {"num_warps": 4, "num_stages": 3} if big.itemsize == 2 else {"num_warps": 8, "num_stages": 1}
    convolution_triton.correlate[n_columns, runs, len(parts)](
        big, small, parts, n_rows, height, width, per_part, a, b, columns, DEPTH, _precision(), **how
    )
    return parts.sum(dim=0).permute(0, 4, 3, 1, 2)


def gate(g: Tensor, y: Tensor, runs: int) -> tuple[Tensor, Tensor]:
    """Gradient behind a ReLU that gave y, both (R*B, H, W, C), and its sum over all but run and channel, (R, C)."""
    channels = g.shape[3]
    n_rows = g.numel() // runs // channels
    per_part = _per_part(n_rows, 4 * PROGRAMS // runs)
    n_parts = triton.cdiv(n_rows, per_part)
    gated, parts = torch.empty_like(g), g.new_empty(n_parts, runs, channels, dtype=torch.float32)
    convolution_triton.gate[runs, n_parts](g, y, gated, parts, n_rows, per_part, channels, DEPTH)
    return gated, parts.sum(dim=0)


def _rows(x: Tensor) -> int:
    """Pixels of the small image that a program computes: as many as its registers hold."""
    return 256 // x.itemsize


def _per_part(n_rows: int, n_parts: int) -> int:
    """Rows of each part, a multiple of what is added up at once."""
    n_parts = max(1, min(n_parts, n_rows // (4 * DEPTH)))
    return math.ceil(math.ceil(n_rows / n_parts) / DEPTH) * DEPTH


def _precision() -> str:
    # Three products of TF32 for one of float32: what is left out is of the order of float32's own rounding.
    return "tf32" if torch.backends.cuda.matmul.allow_tf32 else "tf32x3"


def convolve(x: Tensor, weight: Tensor, bias: Tensor, *, transposed: bool, relu: bool) -> Tensor:
    """R 4x4 convolutions of stride 2 and padding 1 with their bias and ReLU; see `choose.convolve`.

    Parameters
    ----------
    x : Tensor, (R*B, n_in, H, W)
    weight : Tensor, (R, n_out, n_in, 4, 4), transposed (R, n_in, n_out, 4, 4)
        What `bench.nn.convolution.choose.fusable` allows.
    bias : Tensor, (R, n_out)
    transposed, relu : bool

    Returns
    -------
    Tensor, (R*B, n_out, H', W')
    """
    y: Tensor = _Convolution.apply(x, weight, bias, transposed, relu)  # type: ignore[no-untyped-call]
    return y


class _Convolution(torch.autograd.Function):
    """`convolve` with its gradients."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, transposed: bool, relu: bool) -> Tensor:
        inner = x.movedim(1, 3).contiguous()
        y = (double if transposed else halve)(inner, weight, bias, relu=relu)
        ctx.transposed = transposed
        ctx.save_for_backward(inner, weight, y if relu else None)
        return y.movedim(3, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, y = ctx.saved_tensors
        runs = len(weight)
        g = gradients[0].to(x.dtype).movedim(1, 3).contiguous()
        if y is not None and y.shape[3] >= 16:
            g, of_bias = gate(g, y, runs)
        else:
            g = g if y is None else torch.ops.aten.threshold_backward(g, y, 0)
            of_bias = g.view(runs, -1, g.shape[3]).sum(dim=1)
        of_x = None
        if ctx.needs_input_grad[0]:
            of_x = (halve if ctx.transposed else double)(g, weight, None, relu=False).movedim(3, 1)
        big, small = (g, x) if ctx.transposed else (x, g)
        of_weight = correlate(big, small, runs)
        return of_x, of_weight.to(weight.dtype), of_bias.to(weight.dtype), None, None
