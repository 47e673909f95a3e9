"""The kernels of `gpu`, in Triton's language: one function is one program of a grid, over blocks of values.

`run` numbers the runs, `row` the pixels of the small image over a run's batch. ``a_channels`` are those of the big
image, ``b_channels`` those of the small one; a tap is one of a patch's 16 places. Pixels outside an image are zeros.
"""

# mypy: disable-error-code="no-untyped-def, untyped-decorator, no-untyped-call"

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def halve(
    big, weight, bias, small, n_rows, height, width, biased: tl.constexpr, relu: tl.constexpr,
    a_channels: tl.constexpr, b_channels: tl.constexpr, columns: tl.constexpr, rows: tl.constexpr,
    precision: tl.constexpr,
):  # fmt: skip
    """Convolution of stride 2: each program makes `rows` pixels of the small image."""
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
def double(
    small, weight, bias, big, n_rows, height, width, biased: tl.constexpr, relu: tl.constexpr,
    a_channels: tl.constexpr, b_channels: tl.constexpr, columns: tl.constexpr, rows: tl.constexpr,
    precision: tl.constexpr,
):  # fmt: skip
    """Transposed convolution: each program makes pixels of one parity, one for each of `rows` of the small image."""
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
def double_few(
    small, weight, bias, big, n_rows, height, width, biased: tl.constexpr, relu: tl.constexpr,
    a_channels: tl.constexpr, b_channels: tl.constexpr, columns: tl.constexpr, rows: tl.constexpr,
    precision: tl.constexpr,
):  # fmt: skip
    """Transposed convolution to few channels: each program makes four pixels for each of `rows` of the small image."""
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
    place = (
        (image[:, None] * 2 * height + 2 * y[:, None] + odd_y[None, :]) * 2 * width + 2 * x[:, None] + odd_x[None, :]
    )
    tl.store(
        big + place * a_channels + a[None, :],
        total.to(big.dtype.element_ty),
        mask=(row[:, None] < n_rows) & wanted[None, :],
    )


@triton.jit
def correlate(
    big, small, parts, n_rows, height, width, per_part: tl.constexpr,
    a_channels: tl.constexpr, b_channels: tl.constexpr, columns: tl.constexpr, rows: tl.constexpr,
    precision: tl.constexpr,
):  # fmt: skip
    """Sum over places of big times small, for `columns` taps and channels of big, over one part of the rows."""
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
def gate(g, y, gated, parts, n_rows, per_part: tl.constexpr, channels: tl.constexpr, rows: tl.constexpr):
    """Zeros where y isn't positive, and the sum of what is left by channel, over one part of the rows."""
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
