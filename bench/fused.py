"""Convolutions of R runs on a GPU as one kernel each: patches are multiplied as they are read, and never stored.

A 4x4 convolution with stride 2 joins a big image and one of half its sides. Written out (``patches``), the big image's
patches are four times as large as it is, and moving them takes longer than multiplying them. Three kernels are all it
takes, of a convolution and of a transposed one, forwards and backwards: from big to small (`halve`), from small to big
(`double`), and the sum over all places of their products (`correlate`), which is the weights' gradient. All sums run in
a fixed order. Channels are innermost in memory.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

#: Pixels of the small image that a program of `correlate` and `gate` adds up at once.
DEPTH = 64
#: Taps and channels of the big image that a program of `correlate` takes together.
COLUMNS = 128
#: Programs that keep a large GPU busy; sums are divided into parts until there are so many.
PROGRAMS = 512


@triton.jit
def _halve(
    big, weight, bias, small, n_rows, height, width, biased: tl.constexpr, relu: tl.constexpr,
    a_channels: tl.constexpr, b_channels: tl.constexpr, columns: tl.constexpr, rows: tl.constexpr,
    precision: tl.constexpr,
):  # fmt: skip
    run = tl.program_id(1)
    row = tl.program_id(0) * rows + tl.arange(0, rows)
    image = (run * (n_rows // (height * width)) + row // (height * width)).to(tl.int64)
    y = row // width % height
    x = row % width
    b = tl.arange(0, b_channels)
    weights = weight + run * 16 * a_channels * b_channels
    total = tl.zeros((rows, b_channels), dtype=tl.float32)
    if columns > 0:
        column = tl.arange(0, columns)
        tap = column // a_channels
        yy = 2 * y[:, None] - 1 + tap[None, :] // 4
        xx = 2 * x[:, None] - 1 + tap[None, :] % 4
        inside = (row[:, None] < n_rows) & (tap[None, :] < 16)
        inside = inside & (yy >= 0) & (yy < 2 * height) & (xx >= 0) & (xx < 2 * width)
        place = (image[:, None] * 2 * height + yy) * 2 * width + xx
        tile = tl.load(big + place * a_channels + (column % a_channels)[None, :], mask=inside, other=0.0)
        which = (tap[:, None] * b_channels + b[None, :]) * a_channels + (column % a_channels)[:, None]
        factor = tl.load(weights + which, mask=tap[:, None] < 16, other=0.0)
        total = tl.dot(tile, factor, total, input_precision=precision)
    else:
        a = tl.arange(0, a_channels)
        for tap in range(16):
            yy = 2 * y - 1 + tap // 4
            xx = 2 * x - 1 + tap % 4
            inside = (row < n_rows) & (yy >= 0) & (yy < 2 * height) & (xx >= 0) & (xx < 2 * width)
            place = (image * 2 * height + yy) * 2 * width + xx
            tile = tl.load(big + place[:, None] * a_channels + a[None, :], mask=inside[:, None], other=0.0)
            factor = tl.load(weights + (tap * b_channels + b[None, :]) * a_channels + a[:, None])
            total = tl.dot(tile, factor, total, input_precision=precision)
    if biased:
        total += tl.load(bias + run * b_channels + b)[None, :].to(tl.float32)
    if relu:
        total = tl.where(total < 0, 0.0, total)  # unlike `tl.maximum` it keeps NaN
    place = (image * height + y) * width + x
    tl.store(
        small + place[:, None] * b_channels + b[None, :],
        total.to(small.dtype.element_ty),
        mask=row[:, None] < n_rows,
    )


@triton.jit
def _double(
    small, weight, bias, big, n_rows, height, width, biased: tl.constexpr, relu: tl.constexpr,
    a_channels: tl.constexpr, b_channels: tl.constexpr, columns: tl.constexpr, rows: tl.constexpr,
    precision: tl.constexpr,
):  # fmt: skip
    run = tl.program_id(1)
    # Each pixel of the small image gives four of the big one; all with the same parity take the same weights.
    odd_y = tl.program_id(2) // 2
    odd_x = tl.program_id(2) % 2
    row = tl.program_id(0) * rows + tl.arange(0, rows)
    image = (run * (n_rows // (height * width)) + row // (height * width)).to(tl.int64)
    y = row // width % height
    x = row % width
    b = tl.arange(0, b_channels)
    a = tl.arange(0, columns)
    weights = weight + run * 16 * a_channels * b_channels
    total = tl.zeros((rows, columns), dtype=tl.float32)
    for tap in range(4):
        # An even row has row 1 of the patch of its own pixel and row 3 of that above, an odd one rows 2 and 0.
        far_y = tap // 2
        far_x = tap % 2
        ky = (1 - far_y) * (1 + odd_y) + far_y * (3 - 3 * odd_y)
        kx = (1 - far_x) * (1 + odd_x) + far_x * (3 - 3 * odd_x)
        yy = y + far_y * (2 * odd_y - 1)
        xx = x + far_x * (2 * odd_x - 1)
        inside = (row < n_rows) & (yy >= 0) & (yy < height) & (xx >= 0) & (xx < width)
        place = (image * height + yy) * width + xx
        tile = tl.load(small + place[:, None] * b_channels + b[None, :], mask=inside[:, None], other=0.0)
        which = ((ky * 4 + kx) * a_channels + a[None, :]) * b_channels + b[:, None]
        factor = tl.load(weights + which)
        total = tl.dot(tile, factor, total, input_precision=precision)
    if biased:
        total += tl.load(bias + run * a_channels + a)[None, :].to(tl.float32)
    if relu:
        total = tl.where(total < 0, 0.0, total)  # unlike `tl.maximum` it keeps NaN
    place = (image * 2 * height + 2 * y + odd_y) * 2 * width + 2 * x + odd_x
    tl.store(
        big + place[:, None] * a_channels + a[None, :],
        total.to(big.dtype.element_ty),
        mask=row[:, None] < n_rows,
    )


@triton.jit
def _double_few(
    small, weight, bias, big, n_rows, height, width, biased: tl.constexpr, relu: tl.constexpr,
    a_channels: tl.constexpr, b_channels: tl.constexpr, columns: tl.constexpr, rows: tl.constexpr,
    precision: tl.constexpr,
):  # fmt: skip
    run = tl.program_id(1)
    row = tl.program_id(0) * rows + tl.arange(0, rows)
    image = (run * (n_rows // (height * width)) + row // (height * width)).to(tl.int64)
    y = row // width % height
    x = row % width
    b = tl.arange(0, b_channels)
    # All four pixels at once, so that what they are made of is read once.
    column = tl.arange(0, columns)
    odd_y = column // a_channels // 2
    odd_x = column // a_channels % 2
    a = column % a_channels
    wanted = column < 4 * a_channels
    weights = weight + run * 16 * a_channels * b_channels
    total = tl.zeros((rows, columns), dtype=tl.float32)
    for neighbour in range(9):
        up = neighbour // 3 - 1
        left = neighbour % 3 - 1
        inside = (row < n_rows) & (y + up >= 0) & (y + up < height) & (x + left >= 0) & (x + left < width)
        place = (image * height + y + up) * width + x + left
        tile = tl.load(small + place[:, None] * b_channels + b[None, :], mask=inside[:, None], other=0.0)
        ky = odd_y + 1 - 2 * up
        kx = odd_x + 1 - 2 * left
        met = wanted & (ky >= 0) & (ky < 4) & (kx >= 0) & (kx < 4)
        which = ((ky * 4 + kx) * a_channels + a)[None, :] * b_channels + b[:, None]
        factor = tl.load(weights + which, mask=met[None, :], other=0.0)
        total = tl.dot(tile, factor, total, input_precision=precision)
    if biased:
        total += tl.load(bias + run * a_channels + a)[None, :].to(tl.float32)
    if relu:
        total = tl.where(total < 0, 0.0, total)  # unlike `tl.maximum` it keeps NaN
    place = (image[:, None] * 2 * height + 2 * y[:, None] + odd_y[None, :]) * 2 * width + 2 * x[:, None] + odd_x[None, :]
    tl.store(
        big + place * a_channels + a[None, :],
        total.to(big.dtype.element_ty),
        mask=(row[:, None] < n_rows) & wanted[None, :],
    )


@triton.jit
def _correlate(
    big, small, parts, n_rows, height, width, per_part: tl.constexpr,
    a_channels: tl.constexpr, b_channels: tl.constexpr, columns: tl.constexpr, rows: tl.constexpr,
    precision: tl.constexpr,
):  # fmt: skip
    run = tl.program_id(1)
    part = tl.program_id(2)
    b = tl.arange(0, b_channels)
    # Neighbouring pixels' channels are neighbours in memory, so several taps are read as one.
    column = tl.program_id(0) * columns + tl.arange(0, columns)
    tap = column // a_channels
    a = column % a_channels
    total = tl.zeros((columns, b_channels), dtype=tl.float32)
    last = tl.minimum((part + 1) * per_part, n_rows)
    for start in range(0, per_part, rows):
        row = part * per_part + start + tl.arange(0, rows)
        image = (run * (n_rows // (height * width)) + row // (height * width)).to(tl.int64)
        y = row // width % height
        x = row % width
        yy = 2 * y[:, None] - 1 + tap[None, :] // 4
        xx = 2 * x[:, None] - 1 + tap[None, :] % 4
        inside = (row[:, None] < last) & (tap[None, :] < 16)
        inside = inside & (yy >= 0) & (yy < 2 * height) & (xx >= 0) & (xx < 2 * width)
        place = (image[:, None] * 2 * height + yy) * 2 * width + xx
        left = tl.load(big + place * a_channels + a[None, :], mask=inside, other=0.0)
        place = (image * height + y) * width + x
        right = tl.load(small + place[:, None] * b_channels + b[None, :], mask=row[:, None] < last, other=0.0)
        total = tl.dot(tl.trans(left), right, total, input_precision=precision)
    own = (part * tl.num_programs(1) + run) * 16 * a_channels * b_channels
    tl.store(parts + own + column[:, None] * b_channels + b[None, :], total, mask=tap[:, None] < 16)


@triton.jit
def _gate(g, y, gated, parts, n_rows, per_part: tl.constexpr, channels: tl.constexpr, rows: tl.constexpr):
    run = tl.program_id(0)
    part = tl.program_id(1)
    channel = tl.arange(0, channels)
    total = tl.zeros((channels,), dtype=tl.float32)
    last = tl.minimum((part + 1) * per_part, n_rows)
    for start in range(0, per_part, rows):
        row = part * per_part + start + tl.arange(0, rows)
        inside = (row < last)[:, None]
        place = (run * n_rows + row).to(tl.int64)[:, None] * channels + channel[None, :]
        value = tl.load(g + place, mask=inside, other=0.0)
        value = tl.where(tl.load(y + place, mask=inside, other=0.0) <= 0, 0.0, value)
        tl.store(gated + place, value, mask=inside)
        total += tl.sum(value.to(tl.float32), axis=0)
    tl.store(parts + (part * tl.num_programs(0) + run) * channels + channel, total)


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
    _halve[triton.cdiv(n_rows, rows), runs](
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
    grid, kernel, columns = (triton.cdiv(n_rows, rows), runs, 4), _double, a
    if a < 16:
        grid, kernel, columns = grid[:2], _double_few, max(triton.next_power_of_2(4 * a), 16)
    ordered = weight.permute(0, 3, 4, 2, 1).contiguous()
    kernel[grid](
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
    _correlate[n_columns, runs, len(parts)](
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
    _gate[runs, n_parts](g, y, gated, parts, n_rows, per_part, channels, DEPTH)
    return gated, parts.sum(dim=0)


def _rows(x: Tensor) -> int:
    """Pixels of the small image that a program computes: as many as its registers hold."""
    return 256 // x.itemsize


def _per_part(n_rows: int, n_parts: int) -> int:
    """Rows of each part, a multiple of what is added up at once."""
    n_parts = max(1, min(n_parts, n_rows // (4 * DEPTH)))
    return triton.cdiv(triton.cdiv(n_rows, n_parts), DEPTH) * DEPTH


def _precision() -> str:
    # Three products of TF32 for one of float32: what is left out is of the order of float32's own rounding.
    return "tf32" if torch.backends.cuda.matmul.allow_tf32 else "tf32x3"


class Fused(torch.autograd.Function):
    """A 4x4 convolution of stride 2 and padding 1 with its bias and ReLU; see `bench.layers.convolve`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, transposed: bool, relu: bool) -> Tensor:
        inner = x.movedim(1, 3).contiguous()
        y = (double if transposed else halve)(inner, weight, bias, relu=relu)
        ctx.transposed = transposed
        ctx.save_for_backward(inner, weight, y if relu else None)
        return y.movedim(3, 1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, y = ctx.saved_tensors
        runs = len(weight)
        g = gradients[0].to(x.dtype).movedim(1, 3).contiguous()
        if y is not None and y.shape[3] >= 16:
            g, of_bias = gate(g, y, runs)
        else:
            g = g if y is None else torch.ops.aten.threshold_backward(g, y, 0)
            of_bias = g.unflatten(0, (runs, -1)).sum(dim=(1, 2, 3))
        of_x = None
        if ctx.needs_input_grad[0]:
            of_x = (halve if ctx.transposed else double)(g, weight, None, relu=False).movedim(3, 1)
        big, small = (g, x) if ctx.transposed else (x, g)
        of_weight = correlate(big, small, runs)
        return of_x, of_weight.to(weight.dtype), of_bias.to(weight.dtype), None, None
