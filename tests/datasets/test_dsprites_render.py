"""dSprites' raster: which pixels belong to a polygon."""

from __future__ import annotations

import numpy as np
import pytest

from bench.datasets._dsprites_render import UNIT, VALUES, outline, rasterise


def slow_raster(x: np.ndarray, y: np.ndarray, size: int) -> np.ndarray:
    """Even-odd rule, one pixel centre and one edge at a time, in exact integers."""
    image = np.zeros((size, size), dtype=np.uint8)
    for r in range(size):
        for c in range(size):
            px, py = UNIT * c + UNIT // 2, UNIT * (size - 1 - r) + UNIT // 2
            for (xa, ya), (xb, yb) in zip(
                zip(x, y, strict=True), zip(np.roll(x, -1), np.roll(y, -1), strict=True), strict=True
            ):
                if (ya <= py) != (yb <= py):
                    low, high = ((xa, ya), (xb, yb)) if ya < yb else ((xb, yb), (xa, ya))
                    side = (px - low[0]) * (high[1] - low[1]) - (py - low[1]) * (high[0] - low[0])
                    image[r, c] ^= int(side >= 0)
    return image


@pytest.mark.parametrize("size", [8, 16])
def test_raster_equals_the_rule_pixel_by_pixel(size):
    rng = np.random.default_rng(size)
    x = rng.integers(-UNIT, (size + 1) * UNIT, (3, 7))
    y = rng.integers(-UNIT, (size + 1) * UNIT, (2, 7))
    # Edges that run through pixel centres, and level ones.
    x[2], y[1] = x[2] // 128 * 128, y[1] // 128 * 128
    bits = np.unpackbits(rasterise(x, y, size), axis=3)
    for i in range(3):
        for j in range(2):
            assert np.array_equal(bits[i, j], slow_raster(x[i], y[j], size))


def test_pixel_centres_on_an_edge_belong_to_left_and_bottom():
    # From centre to centre: columns 1 to 4 and, upwards, rows 2 to 5, of which the last ones are left out.
    x = np.array([[1, 4, 4, 1]]) * UNIT + UNIT // 2
    y = np.array([[2, 2, 5, 5]]) * UNIT + UNIT // 2
    bits = np.unpackbits(rasterise(x, y, 8)).reshape(8, 8)
    expected = np.zeros((8, 8), dtype=np.uint8)
    expected[3:6, 1:4] = 1
    assert np.array_equal(bits, expected)


def test_polygons_off_the_canvas_leave_it_black():
    x = np.array([[-9, -5, -5, -9]]) * UNIT
    assert not rasterise(x, -x, 32).any()
    assert not rasterise(x + 5000, x, 32).any()
    with pytest.raises(ValueError, match="size=24: needs 8, 16, 32 or 64"):
        rasterise(x, x, 24)


def test_vertices_stay_clear_of_rounding_ties():
    # So no machine's float64 can change a pixel: cos and sin err by about 1e-11 of a grid step.
    nearest = {64: 1.0, 32: 1.0}
    for shape in range(3):
        for scale in VALUES["scale"]:
            for turn in VALUES["orientation"]:
                u, v = scale * outline(shape).T
                x = 16 + 32 * VALUES["pos_x"][:, None] + np.cos(turn) * u + np.sin(turn) * v
                y = 64 - (16 + 32 * VALUES["pos_y"][:, None] - np.sin(turn) * u + np.cos(turn) * v)
                for size in nearest:
                    grid = np.concatenate([x, y]) * UNIT * size / 64
                    nearest[size] = min(nearest[size], np.abs(grid - np.floor(grid) - 0.5).min())
    assert nearest[64] > 1e-7
    assert nearest[32] > 1e-7
