"""Digits as strokes: their outlines, and how far each pixel is from them.

Vertices are rounded to 1/256 px, as dSprites' are, and distances take nothing but sums, products, quotients and square
roots, which every machine rounds alike: the same pixels everywhere.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

STYLES = ("round", "angular")
#: Points of an outline are whole multiples of 1 / GRID of half a digit's height.
GRID = 1024
#: Vertices in an image are whole multiples of 1 / UNIT pixel.
UNIT = 256
#: Degrees between the vertices of an arc, about.
STEP = 12.0

Points = Sequence[tuple[float, float]]


@functools.cache
def outline(digit: int, style: int) -> NDArray[np.float64]:
    """Segments of a digit's strokes, upright, about its centre.

    Parameters
    ----------
    digit : int
        0 to 9.
    style : {0, 1}
        Round, as written by hand, or angular, as on a display of seven segments.

    Returns
    -------
    ndarray of shape (S, 2, 2), float64
        Start and end of each segment; horizontal (rightwards, about -0.6 to 0.6) and vertical (downwards, -1 to 1).
    """
    strokes = (_round if style == 0 else _angular)(digit)
    pieces = [np.stack([stroke[:-1], stroke[1:]], axis=1) for stroke in (np.array(each) for each in strokes)]
    return np.asarray(np.rint(GRID * np.concatenate(pieces)) / GRID)


def _arc(x: float, y: float, rx: float, ry: float, start: float, stop: float) -> Points:
    """Points on an ellipse; degrees counter-clockwise, 0 is to the right."""
    angles = np.deg2rad(np.linspace(start, stop, round(abs(stop - start) / STEP) + 1))
    return [(x + rx * float(np.cos(angle)), y - ry * float(np.sin(angle))) for angle in angles]


def _round(digit: int) -> list[Points]:
    strokes: dict[int, list[Points]] = {
        0: [_arc(0, 0, 0.58, 1, 90, 450)],
        1: [[(-0.3, -0.6), (0.1, -1), (0.1, 1)]],
        2: [[*_arc(0, -0.46, 0.54, 0.54, 165, -35), (-0.55, 1), (0.58, 1)]],
        3: [[*_arc(0, -0.5, 0.48, 0.5, 150, -90), *_arc(0, 0.5, 0.56, 0.5, 90, -150)[1:]]],
        4: [[(0.28, 1), (0.28, -1), (-0.6, 0.4), (0.6, 0.4)]],
        5: [[(0.5, -1), (-0.4, -1), (-0.46, -0.06), *_arc(-0.02, 0.36, 0.58, 0.64, 138, -140)]],
        6: [[*_arc(0.46, 0.42, 1.02, 1.42, 95, 180), *_arc(0, 0.42, 0.56, 0.58, 180, 540)[1:]]],
        7: [[(-0.55, -1), (0.55, -1), (-0.15, 1)]],
        8: [[*_arc(0, -0.5, 0.46, 0.5, -90, 270), *_arc(0, 0.5, 0.56, 0.5, 90, 450)[1:]]],
        9: [[*_arc(0, -0.42, 0.54, 0.58, 0, 360), (0.36, 1)]],
    }
    return strokes[digit]


def _angular(digit: int) -> list[Points]:
    left, right = -0.52, 0.52
    box = [(left, -1.0), (right, -1.0), (right, 1.0), (left, 1.0), (left, -1.0)]
    middle = [(left, 0.0), (right, 0.0)]
    strokes: dict[int, list[Points]] = {
        0: [box],
        1: [[(-0.35, -0.65), (0, -1), (0, 1)], [(-0.35, 1), (0.35, 1)]],
        2: [[(left, -1), (right, -1), (right, 0), (left, 0), (left, 1), (right, 1)]],
        3: [[(left, -1), (right, -1), (right, 1), (left, 1)], middle],
        4: [[(left, -1), (left, 0), (right, 0)], [(right, -1), (right, 1)]],
        5: [[(right, -1), (left, -1), (left, 0), (right, 0), (right, 1), (left, 1)]],
        6: [[(right, -1), (left, -1), (left, 1), (right, 1), (right, 0), (left, 0)]],
        7: [[(left, -1), (right, -1), (right, 1)]],
        8: [box, middle],
        9: [[(right, 0), (left, 0), (left, -1), (right, -1), (right, 1), (left, 1)]],
    }
    return strokes[digit]


def placed(
    segments: NDArray[np.float64],
    slant: NDArray[np.float64],
    turn: NDArray[np.float64],
    half_height: NDArray[np.float64],
    size: int,
) -> NDArray[np.float32]:
    """Segments in an image: slanted, then turned about the centre, then enlarged.

    Parameters
    ----------
    segments : ndarray of shape (S, 2, 2), float64
        As from `outline`.
    slant : ndarray of shape (n,), float64
        How far a point is moved to the right per unit of its height.
    turn : ndarray of shape (n,), float64
        Counter-clockwise, in rad.
    half_height : ndarray of shape (n,), float64
        Of the upright digit, in pixels.
    size : int
        Width and height of the image in pixels.

    Returns
    -------
    ndarray of shape (n, S, 2, 2), float32
        In pixels from the left and from the top, whole multiples of 1/256.
    """
    x, y = segments[None, ..., 0], segments[None, ..., 1]
    slant, turn, half_height = (each[:, None, None] for each in (slant, turn, half_height))
    u = x - slant * y
    cos, sin = np.cos(turn), np.sin(turn)
    points = np.stack([cos * u + sin * y, cos * y - sin * u], axis=-1)
    pixels = size / 2 + half_height[..., None] * points
    return (np.rint(UNIT * pixels) / UNIT).astype(np.float32)


def distances(segments: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Distance of each pixel's centre from the nearest segment.

    Parameters
    ----------
    segments : ndarray of shape (n, S, 2, 2), float32
        Of non-zero length, in pixels from the left and from the top.
    size : int
        Width and height of the image in pixels.

    Returns
    -------
    ndarray of shape (n, size, size), float32
        In pixels.
    """
    centres = np.arange(size, dtype=np.float32) + np.float32(0.5)
    nearest = np.full((len(segments), size, size), np.inf, dtype=np.float32)
    for number in range(segments.shape[1]):
        start, end = segments[:, number, 0], segments[:, number, 1]
        dx, dy = (end - start).T[:, :, None, None]
        x = centres[None, None, :] - start[:, 0, None, None]
        y = centres[None, :, None] - start[:, 1, None, None]
        square = dx * dx + dy * dy
        along = x * (dx / square) + y * (dy / square)
        np.clip(along, 0, 1, out=along)
        across = x - along * dx
        across *= across
        along *= dy
        along -= y
        along *= along
        across += along
        np.minimum(nearest, across, out=nearest)
    return np.sqrt(nearest, out=nearest)
