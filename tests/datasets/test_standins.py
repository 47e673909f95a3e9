"""Rendered stand-ins: the grids of the real sets, bytes that don't depend on the machine, factors that do one thing."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest

from bench.dataset import load_dataset
from bench.datasets import shapes3d_like, smallnorb_like
from bench.datasets._composed import Composed
from bench.datasets._solids import Solid, rod, rotation, shadowed, solid, visible
from bench.registry import DATASETS

NAMES = ("shapes3d_like", "smallnorb_like")
#: SHA-256 of twelve images, spread evenly.
GOLDEN = {
    "shapes3d_like": "92e4969c5ec6912fd000efc1422e343197e2be57c5215c2b7390e9247a89708a",
    "smallnorb_like": "26e7602b42a0ff4ed8ecde6bab0cb007f4131e8017423b1575f26ea8a5426457",
}


def load(name: str, **options: Any) -> Composed:
    data = load_dataset(name, options)
    assert isinstance(data, Composed)
    return data


def spread(data: Composed, n: int) -> np.ndarray:
    return np.linspace(0, len(data) - 1, n).astype(np.int64)


@pytest.mark.parametrize(
    ("name", "sizes", "shape"),
    [("shapes3d_like", (10, 10, 10, 8, 4, 15), (3, 64, 64)), ("smallnorb_like", (5, 5, 9, 18, 6), (1, 64, 64))],
)
def test_grid_is_that_of_the_real_set(name, sizes, shape):
    data = load(name)
    assert data.factor_sizes == sizes
    assert data.image_shape == shape
    assert "stand-in" in DATASETS.get(name).info.label


@pytest.mark.parametrize("name", NAMES)
def test_bytes_are_golden(name):
    data = load(name)
    assert hashlib.sha256(data.images(spread(data, 12)).tobytes()).hexdigest() == GOLDEN[name]


@pytest.mark.parametrize(
    ("name", "module", "value"), [(NAMES[0], shapes3d_like, "EYE"), (NAMES[1], smallnorb_like, "AIM")]
)
def test_no_byte_hangs_on_a_machines_last_bits(name, module, value, monkeypatch):
    here = load(name, size=32)
    geometries = np.linspace(0, here.geometries - 1, 24).astype(int).tolist()
    before = [here.render(each) for each in geometries]
    monkeypatch.setattr(module, value, getattr(module, value) + 1e-11)
    assert all(np.array_equal(here.render(each), old) for each, old in zip(geometries, before, strict=True))
    monkeypatch.setattr(module, value, getattr(module, value) + 1e-2)
    assert not any(np.array_equal(here.render(each), old) for each, old in zip(geometries, before, strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_images_are_the_rounded_sums_of_layers_whatever_was_rendered_before(name):
    data = load(name, size=28)
    rows = np.random.default_rng(0).integers(0, len(data), 40)
    images = data.images(rows)
    geometry, strengths = data.compose(rows)
    for image, each, strength in zip(images, geometry.tolist(), strengths, strict=True):
        sums = strength.astype(np.int64) @ data.render(each).astype(np.int64)
        # No sum is halfway: 255 is odd.
        assert np.array_equal(image.reshape(len(image), -1), np.minimum((2 * sums + 255) // 510, 255))
    one_by_one = type(data)(data.options)
    assert np.array_equal(np.concatenate([one_by_one.images(rows[i : i + 1]) for i in range(40)]), images)


@pytest.mark.parametrize(
    ("name", "levels"), [(NAMES[0], {"wall_hue": "3,7", "scale": 1}), (NAMES[1], {"lighting": "2,"})]
)
def test_sub_grid_renders_its_own_geometries_only(name, levels):
    data = load(name, size=28, **levels, **({"orientation": 2} if name == NAMES[0] else {"category": 1, "azimuth": 2}))
    images = data.images(np.arange(len(data)))
    assert 0 < data._rendered.sum() == len(np.unique(data.compose(data.rows_of_whole_grid(np.arange(len(data))))[0]))
    whole = load(name, size=28)
    rows = data.rows_of_whole_grid(spread(data, 20))
    assert np.array_equal(whole.images(rows), images[spread(data, 20)])


@pytest.mark.parametrize(("factor", "layer"), [(0, 1), (1, 2), (2, 0)])
def test_a_hue_changes_its_own_region_and_no_other(factor, layer):
    data = load("shapes3d_like")
    place = np.array([[1, 3, 5, 4, 2, 3]])
    other = place.copy()
    other[0, factor] = 8
    before, after = (data.images(data.index(each))[0].astype(int) for each in (place, other))
    region = data.render(int(data.index(place)[0]) % 480)[layer].reshape(64, 64)
    changed = (before != after).any(axis=0)
    assert not changed[region == 0].any()
    assert changed[region > 100].all()


def test_shapes_grow_with_scale_and_rooms_turn():
    data = load("shapes3d_like")
    area = [[(data.render((scale * 4 + shape) * 15 + 7)[0] > 0).sum() for scale in range(8)] for shape in range(4)]
    assert (np.diff(area, axis=1) > 0).all()
    left, right = (data.render(15 * 2 + place)[2].reshape(64, 64) > 0 for place in (0, 14))
    # The room is square and the camera in its middle plane: turned the other way, it is its mirror image.
    assert np.array_equal(left, right[:, ::-1])
    assert not np.array_equal(left, right)


def test_shadow_falls_to_the_right_whatever_the_orientation():
    data = load("shapes3d_like")
    for orientation in (0, 7, 14):
        floor = data.render((3 * 4 + 2) * 15 + orientation)[1].reshape(64, 64)[45:]
        dark = (floor > 0) & (floor < 0.8 * floor.max())
        assert dark[:, 32:].sum() > 5 * dark[:, :32].sum()


def test_lighting_changes_brightness_and_not_the_toy():
    data = load("smallnorb_like")
    place = np.array([[4, 1, 4, 5, lighting] for lighting in range(6)])
    geometry, _ = data.compose(data.index(place))
    assert len(set(geometry.tolist())) == 1
    images = data.images(data.index(place))
    assert len({image.tobytes() for image in images}) == 6
    assert (data.images(data.index(place))[:, 0, 0, 0] > 100).all(), "the table is light"


def test_labels_are_categories_of_the_whole_grid():
    data = load("smallnorb_like", category="1,3", instance=1, elevation=1, azimuth=1, lighting=1)
    assert isinstance(data, smallnorb_like.SmallNORBLike)
    assert [data.label_names[label] for label in data.labels(np.arange(2))] == ["human", "chair"]


def test_all_toys_differ_and_stay_in_the_picture():
    data = load("smallnorb_like")
    seen = set()
    for category in range(5):
        for instance in range(5):
            for azimuth in (0, 5, 10):
                image = data.images(data.index(np.array([[category, instance, 0, azimuth, 5]])))[0, 0].astype(int)
                seen.add(image.tobytes())
                toy = image < 0.45 * image[0, 0]
                assert toy.sum() > 30
                border = np.concatenate([toy[0], toy[-1], toy[:, 0], toy[:, -1]])
                assert not border.any()
    assert len(seen) == 75


@pytest.mark.parametrize(
    ("thing", "distance", "normal"),
    [
        (solid("ellipsoid", (0, 0, -5), (1, 2, 0.5)), 4.5, (0, 0, 1)),
        (solid("box", (0, 0, -5), (1, 2, 0.5)), 4.5, (0, 0, 1)),
        (solid("box", (0, 0, -5), (3, 2, 0.5), yaw=90), 2.0, (0, 0, 1)),
        (solid("cylinder", (0, 0, -5), (1, 2, 1)), 4.0, (0, 0, 1)),
        (rod((0, 0, -6), (0, 0, -4), 0.3), 4.0, (0, 0, 1)),
        (solid("box", (9, 0, -5), (1, 1, 1)), np.inf, (0, 0, 0)),
        (solid("box", (0, 0, 5), (1, 1, 1)), np.inf, (0, 0, 0)),
    ],
)
def test_a_ray_meets_a_solid_where_geometry_says(thing: Solid, distance, normal):
    reached, normals = visible([thing], np.zeros(3), np.array([[0.0], [0.0], [-1.0]]))
    assert reached[0] == pytest.approx(distance)
    assert normals[:, 0] == pytest.approx(normal, abs=1e-12)


def test_the_nearest_solid_is_seen_and_casts_its_shadow():
    near, far = solid("ellipsoid", (0, 0, -3), (1, 1, 1)), solid("box", (0, 0, -6), (1, 1, 1))
    ray = np.array([[0.0], [0.0], [-1.0]])
    assert visible([far, near], np.zeros(3), ray)[0][0] == pytest.approx(2)
    points = np.array([[0.0, 3.0, 0.0], [-2.0, -2.0, 2.0], [-3.0, -3.0, -3.0]])
    light = rotation(0, 0.1) @ np.array([0.0, 1.0, 0.0])
    assert shadowed([near], points, light).tolist() == [True, False, False]
