"""Options of dSprites: sub-grids, windows, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from bench.dataset import load_dataset, resolve_options
from bench.datasets.dsprites import GOLDEN, DSpritesOptions
from bench.errors import BenchError
from helpers.dsprites import SMALL, dsprites, everything


@pytest.mark.parametrize(
    "spelling",
    [
        16,
        "16",
        " 16 ",
        "0:32:2",
        "0::2",
        "::2",
        ":31:2",
        list(range(0, 32, 2)),
        ",".join(map(str, range(0, 32, 2))),
    ],
)
def test_equal_grids_have_equal_options(spelling):
    resolved = resolve_options("dsprites", {"pos_x": spelling})
    assert resolved == resolve_options("dsprites", {"pos_x": tuple(range(0, 32, 2))})
    assert DSpritesOptions(pos_x=spelling) == DSpritesOptions(pos_x=16)
    # What a stored spec holds resolves to itself.
    stored = json.loads(json.dumps(resolved))
    assert json.dumps(resolve_options("dsprites", stored)) == json.dumps(resolved)


def test_all_levels_are_the_default_and_order_is_ascending():
    assert DSpritesOptions() == DSpritesOptions(shape=3, scale="0:6", orientation=40, pos_x="all", pos_y=":")
    assert DSpritesOptions(shape="2,0").shape == (0, 2)
    assert DSpritesOptions(orientation=10).orientation == tuple(range(0, 40, 4))
    assert DSpritesOptions(scale=4).scale == (0, 1, 3, 4)
    assert DSpritesOptions(shape="1,").shape == DSpritesOptions(shape=[1]).shape == (1,)
    assert resolve_options("dsprites", {"size": "32"})["size"] == 32


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pos_x": 0}, "pos_x=0: needs 1 to 32 levels"),
        ({"pos_x": "0"}, "pos_x=0: needs 1 to 32 levels"),
        ({"scale": 7}, "scale=7: needs 1 to 6 levels"),
        ({"scale": -1}, "scale=-1: needs 1 to 6 levels"),
        ({"shape": []}, "shape=: needs 1 to 3 levels"),
        ({"pos_y": "5:5"}, "pos_y=5:5: needs 1 to 32 levels"),
        ({"pos_y": "0:64:2"}, "pos_y=0:64:2: the classes go from 0 to 31"),
        ({"pos_y": "-4:"}, "pos_y=-4:: needs 1 to 32 levels"),
        ({"pos_y": "-4:4"}, "pos_y=-4:4: the classes go from 0 to 31"),
        ({"orientation": "0,40"}, "orientation=0,40: the classes go from 0 to 39"),
        ({"orientation": [1, 1]}, "orientation=1,1: names a class twice"),
        ({"size": 48}, "size=48: needs 64 or 32"),
        (
            {"size": 32, "source": "a.npz"},
            "size=32: a source file holds images of 64 px; leave one of the two out",
        ),
        ({"source": "dsprites.zip"}, "source='dsprites.zip': needs a .npz or .hdf5 file"),
        ({"window": "a"}, "window=a: needs rows and columns, such as 10:22x6:26"),
        ({"window": "8:16"}, "window=8:16: needs rows and columns, such as 10:22x6:26"),
        ({"window": "8:16x4:4"}, "window=8:16x4:4: needs rows and columns that grow, from 0 to 64"),
        ({"window": "0:40x0:32", "size": 32}, "window=0:40x0:32: needs rows and columns that grow, from 0 to 32"),
        ({"window": "0:3x0:5"}, "window=0:3x0:5: 5x3 pixels aren't a multiple of 8"),
        ({"pos": 3}, "unknown option 'pos'; did you mean 'pos_y'?; it has: "),
    ],
)
def test_impossible_options_are_refused_in_one_line(options, message):
    with pytest.raises(BenchError) as caught:
        resolve_options("dsprites", options)
    assert str(caught.value).startswith(f"dataset 'dsprites': {message}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", ["many", "1:2:3:4", "::0", "1:x", "1,x", 2.5, [0.5], True, None, {"a": 1}])
def test_levels_of_no_known_form_are_refused(value):
    with pytest.raises(BenchError, match=r'needs "all", a number of levels, a slice such as 0:32:2, or classes'):
        resolve_options("dsprites", {"pos_x": value})


def test_images_are_uint8_of_zero_and_one():
    images = dsprites(**SMALL).images(np.array([5, 3, 5]))
    assert images.shape == (3, 1, 64, 64)
    assert images.dtype == np.uint8
    assert set(np.unique(images)) == {0, 1}
    assert np.array_equal(images[0], images[2])


def test_latent_values_are_those_of_the_authors_file():
    values = dsprites().latents_values(np.array([0, 40 * 1024 - 1, 737_279]))
    assert values.dtype == np.float64
    expected = [[1, 1, 0.5, 0, 0, 0], [1, 1, 0.5, 2 * np.pi, 1, 1], [1, 3, 1, 2 * np.pi, 1, 1]]
    assert np.array_equal(values, expected)


def test_planning_needs_no_image(monkeypatch):
    def refuse(*_: Any) -> None:
        raise AssertionError("rendered")

    monkeypatch.setattr("bench.datasets.dsprites.render", refuse)
    data = dsprites()
    assert len(data) == 737_280
    assert data.fingerprint() == GOLDEN
    assert data.query_indices().tolist() == [87_040, 332_800, 578_560]
    with pytest.raises(AssertionError, match="rendered"):
        data.images(np.array([0]))


def test_query_images_are_the_nearest_of_a_sub_grid():
    data = dsprites(shape="0,2", scale="1,5", orientation=10, pos_x="3:32", pos_y=4)
    rows = data.query_indices()
    assert len(rows) == 2
    assert data.factors(rows).tolist() == [[0, 0, 1, 0, 0], [1, 0, 1, 0, 0]]


def test_fingerprints_tell_grids_apart():
    grids = [SMALL, SMALL | {"size": 32}, SMALL | {"pos_y": "1:32:10"}, {"size": 32, "shape": 1, "scale": 1}]
    prints = [dsprites(**grid).fingerprint() for grid in grids]
    assert len(set(prints)) == len(grids)
    assert prints[0] == load_dataset("dsprites", dict(SMALL)).fingerprint()
    # The same images under two shapes of grid are two data sets.
    turns = [dsprites(scale="5,", orientation=pair, pos_x=1, pos_y=1) for pair in ("0,39", [0])]
    assert turns[0].fingerprint() != turns[1].fingerprint()


@pytest.mark.parametrize("size", [64, 32])
@pytest.mark.parametrize("axis", [0, 1])
def test_a_window_keeps_the_pixels_it_names(size, axis, monkeypatch):
    monkeypatch.setattr("bench.datasets._dsprites_render.BLOCK", 50)
    whole = dsprites(**SMALL, size=size)
    reach = np.flatnonzero(everything(whole).any(axis=(0, 1, 3 - axis)))
    bounds = [[0, size], [0, size]]
    bounds[axis] = [int(reach[0]), int(reach[-1]) + 1]
    (top, bottom), (left, right) = bounds
    cut = dsprites(**SMALL, size=size, window=f" {top}:{bottom} x {left}:{right}")
    assert cut.image_shape == (1, bottom - top, right - left) != whole.image_shape
    assert cut.packed().shape == (len(cut), (bottom - top) * (right - left) // 8)
    assert np.array_equal(everything(cut), everything(whole)[:, :, top:bottom, left:right])
    assert cut.fingerprint() != whole.fingerprint()
    assert cut.query_indices().tolist() == whole.query_indices().tolist()


@pytest.mark.parametrize("window", ["11:27x6:26", "10:21x6:22", "8:22x7:27", "8:22x5:25"])
def test_a_window_that_cuts_a_sprite_is_refused(window):
    data = dsprites(size=32, scale=4, orientation=1, pos_x="8:24", pos_y="12:20", window=window)
    with pytest.raises(BenchError, match=rf"window={window}: these sprites reach over rows and columns 10:22x6:26"):
        data.packed()


def test_the_whole_canvas_is_no_window():
    """It doesn't rename the runs that were made before there were any."""
    whole = resolve_options("dsprites", {"size": 32, "window": "0:32x0:32"})
    assert whole == resolve_options("dsprites", {"size": 32})
    assert "window" not in whole
    assert resolve_options("dsprites", {"window": " 8:16 x 4:20"})["window"] == "8:16x4:20"
