"""Drawn digits: strokes where geometry says, factors that do what they say, and no image twice."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.datasets._digit_strokes import distances, outline, placed
from bench.datasets.digits_like import DigitsLike, DigitsLikeOptions
from helpers.dsprites import everything

MIDDLE = {"slant": [4], "thickness": [2], "scale": [5], "rotation": [4]}


def digits(**options: Any) -> DigitsLike:
    return DigitsLike(DigitsLikeOptions(**options))


def pictures(**options: Any) -> NDArray[np.float64]:
    """Return images as coverage from 0 to 1, shape (n, size, size)."""
    return everything(digits(**options))[:, 0] / 255


def test_distances_are_those_of_geometry() -> None:
    segments = np.array([[[[2.5, 4.5], [6.5, 4.5]]], [[[1.5, 1.5], [4.5, 5.5]]]], dtype=np.float32)
    field = distances(segments, 8)
    for x, y, expected in [(4, 4, 0), (4, 6, 2), (2, 1, 3), (7, 5, np.sqrt(2)), (0, 4, 2)]:
        assert field[0, y, x] == pytest.approx(expected, abs=1e-6)
    # Its direction is (3, 4) / 5, so (4, -3) / 5 stands on it: from the middle (3, 3.5) by 2.5 to (5, 2).
    slanted = placed_distance(segments[1, 0], (5.5, 1.5))
    assert field[1, 1, 5] == pytest.approx(slanted, abs=1e-6)
    assert field[1, 7, 7] == pytest.approx(np.hypot(3, 2), abs=1e-6)


def placed_distance(segment: NDArray[np.float32], point: tuple[float, float]) -> float:
    """Return the distance of a point from a segment's line, by the cross product."""
    (ax, ay), (bx, by) = segment.tolist()
    return abs((bx - ax) * (point[1] - ay) - (by - ay) * (point[0] - ax)) / float(np.hypot(bx - ax, by - ay))


def test_points_are_slanted_then_turned_then_enlarged() -> None:
    bar = np.array([[[0.0, -1.0], [0.0, 1.0]]])
    slant, turn, half = np.array([0.0, 0.4, 0.0, 0.4]), np.deg2rad([0.0, 0.0, 90.0, 90.0]), np.full(4, 10.0)
    found = placed(bar, slant, turn, half, 64)[:, 0]
    # The top leans to the right; a quarter turn counter-clockwise takes the top to the left, the right to the top.
    expected = [[(32, 22), (32, 42)], [(36, 22), (28, 42)], [(22, 32), (42, 32)], [(22, 28), (42, 36)]]
    assert np.array_equal(found, expected)


def test_vertices_are_far_from_ties_on_which_machines_could_differ() -> None:
    turn = np.deg2rad(np.linspace(-40, 40, 9))[[0, 1, 2, 3, 5, 6, 7, 8]]
    for digit in range(10):
        for style in (0, 1):
            segments = outline(digit, style)
            for slant in np.linspace(-0.4, 0.4, 9):
                x, y = segments[..., 0], segments[..., 1]
                u = x - slant * y
                cos, sin = np.cos(turn)[:, None, None], np.sin(turn)[:, None, None]
                for scale in np.linspace(0.5, 1, 6):
                    for axis in (cos * u + sin * y, cos * y - sin * u):
                        at = 256 * 20 * scale * axis
                        assert np.abs(at - np.floor(at) - 0.5).min() > 1e-9


def test_thickness_is_the_width_of_a_stroke() -> None:
    for size in (64, 32, 96):
        # The seven's upright is long and straight: a row through it crosses the stroke once.
        widths = pictures(digit=[7], style=[1], slant=[4], scale=[5], rotation=[4], size=size)[:, size // 2].sum(axis=1)
        assert widths == pytest.approx(np.array([2, 3, 4, 5, 6]) * size / 64, abs=0.03)


def test_scale_is_the_height_whatever_the_thickness() -> None:
    images = pictures(digit=[0], style=[1], slant=[4], rotation=[4])
    heights = images.max(axis=2).sum(axis=1).reshape(5, 6)
    thickness, scale = np.meshgrid(np.arange(2, 7), np.linspace(0.5, 1, 6), indexing="ij")
    assert heights == pytest.approx(40 * scale + thickness, abs=0.03)


def test_slant_moves_the_top_to_the_right_in_even_steps() -> None:
    images = pictures(digit=[1], style=[1], thickness=[0], scale=[5], rotation=[4])
    # A bar's crossing 10 px above the centre moves by 10 px of height times 0.1 a class.
    row = images[:, 21]
    crossing = (row * (np.arange(64) + 0.5)).sum(axis=1) / row.sum(axis=1)
    assert np.diff(crossing) == pytest.approx(np.full(8, 10.5 * 0.1), abs=0.05)


def test_rotation_is_counter_clockwise_in_steps_of_ten_degrees() -> None:
    images = pictures(digit=[0], style=[0], slant=[4], thickness=[0], scale=[5])
    across, down = np.meshgrid(np.arange(64) - 31.5, np.arange(64) - 31.5)
    weights = images / images.sum(axis=(1, 2), keepdims=True)
    moments = [(weights * product).sum(axis=(1, 2)) for product in (across**2, down**2, across * down)]
    # The long axis of the zero's ellipse: upright is 0, leaning to the left is counter-clockwise.
    angles = np.rad2deg(0.5 * np.arctan2(2 * moments[2], moments[1] - moments[0]))
    assert angles == pytest.approx(np.linspace(-40, 40, 9), abs=0.5)


@pytest.mark.parametrize("size", [28, 64])
def test_no_image_is_there_twice(size: int) -> None:
    data = digits(size=size, slant="0,4,5,8", rotation="0,3,4,8")
    assert len({hashlib.sha256(image.tobytes()).digest() for image in everything(data)}) == len(data)


def test_the_largest_digits_fit() -> None:
    images = pictures(slant="0,4,8", rotation="0,4,8", scale=[5], thickness=[4])
    assert not images[:, [0, -1]].any()
    assert not images[:, :, [0, -1]].any()


def test_sizes_are_drawings_of_the_same_digits() -> None:
    large, small = pictures(**MIDDLE), pictures(**MIDDLE, size=32)
    means = large.reshape(20, 32, 2, 32, 2).mean(axis=(2, 4))
    assert np.abs(small - means).mean() < 0.01


def test_rows_do_not_depend_on_which_are_asked_for_with_them() -> None:
    data = digits(size=28)
    rows = np.random.default_rng(0).integers(0, len(data), 200)
    together = data.images(rows)
    alone = np.concatenate([data.images(rows[i : i + 1]) for i in range(200)])
    assert np.array_equal(together, alone)


def test_labels_are_the_digits() -> None:
    data = digits(digit="1,7", style=1, slant=1, thickness=2, scale=1, rotation=1)
    assert data.labels(np.arange(len(data))).tolist() == [1, 1, 7, 7]
    assert data.factors(np.arange(len(data)))[:, 0].tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize("size", [28, 64])
def test_images_never_change(size: int) -> None:
    assert digits(size=size).identity() == GOLDEN[size]


GOLDEN = {
    28: "ef54fc338b634610d12280ef9c62f316422bb4d8339c0b425ae3150b9622197a",
    64: "234ad8ef4574c7a127781a05084e212ea211950042f3c57daa5b69a56f3615a1",
}
