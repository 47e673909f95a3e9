"""dSprites' outlines, and polygons straight to bits.

The geometry was fitted to the authors' frames and follows what they told of their tool (vector shapes drawn
at 64 px without smoothing; https://github.com/google-deepmind/dsprites-dataset, issues 2 and 3). Once
vertices are rounded all is exact integers, and no vertex comes near a tie: the same pixels on every machine.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

FACTORS = {"shape": 3, "scale": 6, "orientation": 40, "pos_x": 32, "pos_y": 32}
#: Values of the factors' classes, as in the authors' ``latents_values`` without its constant colour column.
VALUES: dict[str, NDArray[np.float64]] = {
    "shape": np.arange(1.0, 4.0),
    "scale": np.linspace(0.5, 1, 6),
    "orientation": np.linspace(0, 2 * np.pi, 40),
    "pos_x": np.linspace(0, 1, 32),
    "pos_y": np.linspace(0, 1, 32),
}
#: Vertex coordinates are whole multiples of 1 / UNIT pixel.
UNIT = 256
#: Images that are cut at a time.
BLOCK = 4096


def rasterise(x: NDArray[np.int64], y: NDArray[np.int64], size: int) -> NDArray[np.uint8]:
    """Fill a polygon at every combination of horizontal and vertical positions.

    A pixel is white iff its centre lies inside the polygon by the even-odd rule. A centre exactly on an edge
    belongs to the polygon on a left or bottom edge, not on a right or top one, so polygons that share an edge
    never both claim a pixel. There is no anti-aliasing.

    Parameters
    ----------
    x : ndarray of shape (nx, vertices), int64
        Vertices' horizontal coordinates at each horizontal position, in 1/256 px from the left border.
    y : ndarray of shape (ny, vertices), int64
        Vertices' vertical coordinates at each vertical position, in 1/256 px **upwards** from the bottom.
    size : {8, 16, 32, 64}
        Width and height of the canvas in pixels; what lies outside is cut off.

    Returns
    -------
    ndarray of shape (nx, ny, size, size / 8), uint8
        Pixels as bits in `numpy.packbits` order, top row first.

    Raises
    ------
    ValueError
        If a row of pixels isn't one machine word.
    """
    if size not in (8, 16, 32, 64):
        raise ValueError(f"size={size}: needs 8, 16, 32 or 64 px, one machine word a row")
    vertices = y.shape[1]
    edges = np.stack([np.arange(vertices), np.roll(np.arange(vertices), -1)])
    upward = y[:, edges[0]] < y[:, edges[1]]
    lower = np.where(upward, edges[0], edges[1])
    upper = np.where(upward, edges[1], edges[0])
    y_lower = np.take_along_axis(y, lower, axis=1)
    y_upper = np.take_along_axis(y, upper, axis=1)

    # An edge crosses the rows whose centre line 256 r + 128 lies in [y_lower, y_upper).
    half = UNIT // 2
    first = np.clip(-((half - y_lower) // UNIT), 0, size)
    last = np.clip(-((half - y_upper) // UNIT), 0, size)
    counts = (last - first).ravel()
    crossing = np.repeat(np.arange(counts.size), counts)
    nth = np.arange(len(crossing)) - np.repeat(np.cumsum(counts) - counts, counts)
    row = first.ravel()[crossing] + nth
    line = crossing // vertices * size + row
    order = np.argsort(line, kind="stable")
    crossing, row, line = crossing[order], row[order], line[order]

    lines = np.zeros((y.shape[0] * size, x.shape[0]), dtype=f"u{size // 8}")
    if len(line):
        x_lower = x.T[lower.ravel()[crossing]]
        x_upper = x.T[upper.ravel()[crossing]]
        y_start = y_lower.ravel()[crossing, None]
        rise = y_upper.ravel()[crossing, None] - y_start
        run = (UNIT * row[:, None] + half - y_start) * (x_upper - x_lower) + (x_lower - half) * rise
        column = np.clip(-(-run // (UNIT * rise)), 0, size)
        # Each crossing toggles every pixel from its column to the right border; inside is an odd number.
        right_of = np.array([(1 << (size - c)) - 1 for c in range(size + 1)], dtype=lines.dtype)
        starts = np.flatnonzero(np.diff(line, prepend=-1))
        lines[line[starts]] = np.bitwise_xor.reduceat(right_of[column], starts, axis=0)
    upwards = lines.reshape(y.shape[0], size, x.shape[0])
    downwards = np.ascontiguousarray(upwards[:, ::-1].transpose(2, 0, 1))
    # Big-endian words are `packbits` order: the leftmost pixel is the highest bit of the first byte.
    words = downwards.astype(lines.dtype.newbyteorder(">"))
    return words.view(np.uint8).reshape(x.shape[0], y.shape[0], size, size // 8)


def outline(shape: int) -> NDArray[np.float64]:
    """Vertices of a shape at scale 1 and orientation 0, about its pivot.

    Parameters
    ----------
    shape : {0, 1, 2}
        Square, ellipse, heart.

    Returns
    -------
    ndarray of shape (4, 2), (100, 2) or (150, 2), float64
        Horizontal (rightwards) and vertical (downwards) coordinates, in pixels of the 64 px canvas. Fitted to
        the authors' frames: the curves are these very polygons.
    """
    if shape == 0:
        return 9.6 * np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    t = 2 * np.pi * np.arange(100 if shape == 1 else 150) / (100 if shape == 1 else 150)
    if shape == 1:
        return 9.6 * np.stack([1.33 * np.cos(t), np.sin(t) / 1.33], axis=1)
    lobes = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return 9.6 * np.stack([np.sin(t) ** 3, -(0.15 + lobes / 14.5)], axis=1)


def render(levels: Sequence[Sequence[int]], size: int = 64) -> NDArray[np.uint8]:
    """Render a grid of dSprites.

    The sprite turns counter-clockwise about its pivot; pivots are 32/31 px apart on the 64 px canvas. All
    coordinates scale with the canvas; then vertices are rounded to 1/256 px and `rasterise` draws the pixels.

    Parameters
    ----------
    levels : five sequences of int
        Classes of shape, scale, orientation, pos_x and pos_y.
    size : {64, 32}
        Width and height of the canvas in pixels.

    Returns
    -------
    ndarray of shape (N, size * size / 8), uint8
        The images in C order over `levels`, as bits in `numpy.packbits` order.
    """
    *sprites, pos_x, pos_y = levels
    zoom = UNIT * size / 64
    block = len(pos_x) * len(pos_y)
    packed = np.empty((int(np.prod([len(level) for level in levels])), size * size // 8), dtype=np.uint8)
    centre_x = 16 + 32 * VALUES["pos_x"][list(pos_x), None]
    centre_y = 16 + 32 * VALUES["pos_y"][list(pos_y), None]
    for i, (shape, scale, orientation) in enumerate(itertools.product(*sprites)):
        u, v = VALUES["scale"][scale] * outline(shape).T
        cos, sin = np.cos(VALUES["orientation"][orientation]), np.sin(VALUES["orientation"][orientation])
        x = np.rint(zoom * (centre_x + cos * u + sin * v)).astype(np.int64)
        y = np.rint(zoom * (64 - (centre_y - sin * u + cos * v))).astype(np.int64)
        packed[i * block : (i + 1) * block] = rasterise(x, y, size).reshape(block, -1)
    return packed


def crop(packed: NDArray[np.uint8], size: int, window: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    """Cut packed images to a window that no sprite reaches out of.

    Parameters
    ----------
    packed : ndarray of shape (N, size * size / 8), uint8
        As from `render`.
    size : int
        Width and height of the canvas in pixels.
    window : tuple of int
        First row, row after the last, first column, column after the last; the area is a multiple of 8.

    Returns
    -------
    ndarray of shape (N, height * width / 8), uint8

    Raises
    ------
    ValueError
        If a white pixel would be lost, with the rows and columns that sprites reach over.
    """
    top, bottom, left, right = window
    white = np.unpackbits(np.bitwise_or.reduce(packed, axis=0)).reshape(size, size)
    if white.sum() > white[top:bottom, left:right].sum():
        rows, columns = (np.flatnonzero(white.any(axis=axis)) for axis in (1, 0))
        reach = f"{rows[0]}:{rows[-1] + 1}x{columns[0]}:{columns[-1] + 1}"
        raise ValueError(f"these sprites reach over rows and columns {reach}")
    cut = np.empty((len(packed), (bottom - top) * (right - left) // 8), dtype=np.uint8)
    for start in range(0, len(packed), BLOCK):
        block = np.unpackbits(packed[start : start + BLOCK], axis=1).reshape(-1, size, size)
        cut[start : start + BLOCK] = np.packbits(block[:, top:bottom, left:right].reshape(len(block), -1), axis=1)
    return cut
