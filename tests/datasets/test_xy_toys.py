"""XYSquares and XYObject against their definitions, square by square."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench.datasets.xy_object import XYObject, XYObjectOptions
from bench.datasets.xy_squares import XYSquares, XYSquaresOptions
from helpers.dsprites import everything

#: 3 × 2 × 2 × 1 × 2 × 2 places of the three squares: 48 images.
FEW = {"x_red": "0,3,7", "y_red": 2, "x_green": "1,6", "y_green": [5], "x_blue": 2, "y_blue": "0,7"}


def squares(**options: Any) -> XYSquares:
    return XYSquares(XYSquaresOptions(**options))


def objects(**options: Any) -> XYObject:
    return XYObject(XYObjectOptions(**options))


@pytest.mark.parametrize(("spacing", "margin"), [(8, 0), (4, 14), (1, 24)])
def test_three_squares_stand_at_their_places(spacing: int, margin: int) -> None:
    data = squares(spacing=spacing)
    rows = np.random.default_rng(0).integers(0, len(data), 200)
    expected = np.zeros((200, 3, 64, 64), dtype=np.uint8)
    for image, places in zip(expected, data.factors(rows).reshape(-1, 3, 2), strict=True):
        for channel, (x, y) in enumerate(places):
            left, top = margin + spacing * x, margin + spacing * y
            image[channel, top : top + 8, left : left + 8] = 1
    assert np.array_equal(data.images(rows), expected)


def test_squares_differ_by_the_same_amount_however_far_they_moved() -> None:
    bars = squares(y_red=1, x_green=1, y_green=1, x_blue=1, y_blue=1)
    images = everything(bars).reshape(8, -1).astype(int)
    apart = np.abs(images[:, None] - images[None]).sum(axis=2)
    assert np.array_equal(apart, 128 * (1 - np.eye(8, dtype=int)))


def test_overlapping_squares_differ_the_more_the_farther_they_moved() -> None:
    bars = squares(y_red=1, x_green=1, y_green=1, x_blue=1, y_blue=1, spacing=1)
    images = everything(bars).reshape(8, -1).astype(int)
    apart = np.abs(images[0] - images).sum(axis=1)
    assert np.array_equal(apart, 16 * np.arange(8))


def test_bits_are_the_images_where_they_are_binary() -> None:
    data = squares(**FEW)
    packed = data.packed()
    assert packed is not None
    assert np.array_equal(np.unpackbits(packed, axis=1).reshape(-1, 3, 64, 64), everything(data))
    assert data.image_max == 1
    for options in ({"size": 32}, {"size": 96}, {"grey": True}):
        other = squares(**FEW, **options)
        assert other.packed() is None
        assert other.image_max == 255
    half, whole = everything(squares(**FEW, size=32)), everything(data)
    assert np.array_equal(half, 255 * whole[:, :, ::2, ::2])


@pytest.mark.parametrize("spacing", [0, 9, 2.5, "x", True])
def test_impossible_spacings_are_refused(spacing: object) -> None:
    with pytest.raises(ValueError, match="spacing"):
        squares(spacing=spacing)


def test_one_square_has_its_place_size_and_colour() -> None:
    data = objects()
    assert len(data) == 75_000
    rows = np.random.default_rng(0).integers(0, len(data), 300)
    hues = [(1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 1, 1), (0, 0, 1), (1, 0, 1)]
    expected = np.zeros((300, 3, 64, 64), dtype=np.uint8)
    for image, (x, y, scale, color) in zip(expected, data.factors(rows), strict=True):
        width = 7 + 2 * scale
        left, top = 2 * x + (15 - width) // 2, 2 * y + (15 - width) // 2
        shade = 255 * (color // 6 + 1) // 4
        colour = np.array(hues[color % 6]) * shade
        image[:, top : top + width, left : left + width] = colour[:, None, None]
    assert np.array_equal(data.images(rows), expected)


def test_the_outermost_squares_touch_what_they_should() -> None:
    data = objects(scale=[4], color=[5])
    images = everything(data)[:, 0]
    assert images[0, :15, :15].all()
    # 24 steps of 2 px and 15 px of square: the last column of the canvas stays empty.
    assert images[-1, 48:63, 48:63].all()
    assert not images[:, 63].any()


@pytest.mark.parametrize(("data", "expected"), [(squares, "SQUARES"), (objects, "OBJECTS")])
def test_images_never_change(data: Any, expected: str) -> None:
    assert data().identity() == GOLDEN[expected]


GOLDEN = {
    "SQUARES": "f806f17c1e697d76513af7ea3d9c6eb3819316db456cfb89fb197db82741e504",
    "OBJECTS": "85787c25c942606dd534d9e4970820cd7ec4ea6718f58815040f4ee42512e75e",
}
