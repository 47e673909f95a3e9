from __future__ import annotations

import json
import pickle
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.dataset import load_dataset, resolve_options
from bench.datasets.npz import NpzImages, NpzOptions
from bench.errors import BenchError


def grey(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def save(path: Path, **arrays: Any) -> str:
    np.savez_compressed(path / "mine.npz", **arrays)
    return str(path / "mine.npz")


def load(path: str, **options: Any) -> NpzImages:
    return NpzImages(NpzOptions(path=path, **options))


@pytest.mark.parametrize(
    ("shape", "axes", "expected"),
    [
        ((5, 9, 7), None, (1, 9, 7)),
        ((5, 9, 7, 3), (0, 3, 1, 2), (3, 9, 7)),
        ((5, 3, 9, 7), (0, 1, 2, 3), (3, 9, 7)),
        ((5, 9, 7, 1), (0, 3, 1, 2), (1, 9, 7)),
        ((5, 1, 28, 28), (0, 1, 2, 3), (1, 28, 28)),
    ],
)
def test_layouts(tmp_path, shape, axes, expected):
    images = grey(*shape)
    data = load(save(tmp_path, images=images))
    assert data.image_shape == expected
    assert data.image_max == 255
    assert len(data) == 5
    shown = data.images(np.array([4, 0, 4]))
    assert shown.dtype == np.uint8
    assert np.array_equal(shown, (images[:, None] if axes is None else images.transpose(axes))[[4, 0, 4]])


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.float32, np.float64])
def test_two_valued_images_are_binary_whatever_their_type(tmp_path, dtype):
    bits = grey(4, 8, 8) > 127
    data = load(save(tmp_path, images=bits.astype(dtype)))
    assert data.image_max == 1
    assert np.array_equal(data.images(np.arange(4))[:, 0], bits)


def test_floats_become_256_levels(tmp_path):
    data = load(save(tmp_path, images=np.linspace(0, 1, 256).reshape(1, 16, 16)))
    assert data.image_max == 255
    assert np.array_equal(data.images(np.array([0])).ravel(), np.arange(256))


def test_without_factors(tmp_path):
    data = load(save(tmp_path, images=grey(5, 8, 8)), likelihood="gaussian")
    assert (data.factor_names, data.factor_sizes, data.likelihood) == ((), (), "gaussian")
    assert data.factors(np.arange(5)).shape == (5, 0)
    assert data.query_indices().max() < 5
    with pytest.raises(BenchError, match="has no factors"):
        data.index(np.zeros((1, 0), dtype=np.int64))


def test_factors_that_are_no_grid_are_looked_up(tmp_path):
    # Values 10, 20, 30 and -1, 4, of which (20, 4) never occurs and (30, -1) occurs twice.
    factors = np.array([[30, -1], [10, 4], [20, -1], [10, -1], [30, 4], [30, -1]])
    path = save(tmp_path, images=grey(6, 8, 8), factors=factors, factor_names=["hue", "side"])
    data = load(path)
    assert data.factor_names == ("hue", "side")
    assert data.factor_sizes == (3, 2)
    classes = data.factors(np.arange(6))
    assert classes.dtype == np.int64
    assert classes.tolist() == [[2, 0], [0, 1], [1, 0], [0, 0], [2, 1], [2, 0]]
    assert data.index(classes).tolist() == [0, 1, 2, 3, 4, 0]
    with pytest.raises(BenchError, match=r"mine\.npz: no image has hue=1, side=1$"):
        data.index(np.array([[0, 0], [1, 1]]))
    with pytest.raises(BenchError, match=r"no image has hue=3, side=0$"):
        data.index(np.array([[3, 0]]))


def test_labels_are_numbered_and_named(tmp_path):
    given = {"images": grey(4, 8, 8), "labels": np.array([7, -1, 7, 3])}
    data = load(save(tmp_path, **given))
    assert data.label_names == ("-1", "3", "7")
    assert data.labels(np.array([0, 1, 3])).tolist() == [2, 0, 1]
    assert data.factor_sizes == ()
    named = load(save(tmp_path, **given, label_names=np.array(["cat", "dog", "owl"])))
    assert named.label_names == ("cat", "dog", "owl")
    assert load(save(tmp_path, images=given["images"])).labels(np.arange(2)) is None


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"labels": np.zeros(3, dtype=int)}, "'labels' are int64 of shape (3,); needs integers of shape (4,)"),
        ({"labels": np.zeros(4)}, "'labels' are float64 of shape (4,); needs integers"),
        ({"labels": np.arange(4), "label_names": np.array(["a", "b"])}, "needs 4 strings, one a class that 'labels'"),
        ({"labels": np.arange(4), "label_names": np.array(list("abca"))}, "'label_names' repeat: a, b, c, a"),
        ({"label_names": np.array(["a"])}, "has 'label_names' but no 'labels'"),
    ],
)
def test_labels_that_do_not_fit_are_refused(tmp_path, arrays, message):
    with pytest.raises(BenchError) as caught:
        load(save(tmp_path, images=grey(4, 8, 8), **arrays))
    assert message in str(caught.value)


@pytest.mark.parametrize("sizes", ["2,3", " 2, 3", [2, 3], (2, 3)])
def test_full_grid_without_factors(tmp_path, sizes):
    path = save(tmp_path, images=grey(6, 8, 8))
    data = load_dataset("npz", {"path": path, "factor_sizes": sizes})
    rows = np.arange(6)
    assert data.factor_names == ("factor_0", "factor_1")
    assert data.factors(rows).tolist() == [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]]
    assert np.array_equal(data.index(data.factors(rows)), rows)
    with pytest.raises(BenchError, match="no image has factor_0=0, factor_1=3"):
        data.index(np.array([[0, 3]]))


def test_grid_stored_as_factors_is_the_same_data_set(tmp_path):
    images, grid = grey(6, 8, 8), np.stack(np.unravel_index(np.arange(6), (2, 3)), axis=1)
    plain = load(save(tmp_path, images=images), factor_sizes="2,3")
    listed = load(save(tmp_path, images=images, factors=grid.astype(np.uint8) * 7))
    assert listed.fingerprint() == plain.fingerprint()
    assert np.array_equal(listed.index(grid), np.arange(6))
    assert listed.factors(np.array([4])).tolist() == [[1, 1]]


def test_fingerprint_follows_the_arrays_not_the_file(tmp_path):
    images, factors = grey(6, 8, 9), np.array([[0], [1], [1], [0], [2], [2]])
    names = np.array(["hue"])
    prints = [
        load(save(tmp_path, images=images, factors=factors, factor_names=names)).fingerprint(),
        load(
            save(tmp_path, images=images[..., None], factors=factors + 5, factor_names=np.array([b"hue"]))
        ).fingerprint(),
        load(save(tmp_path, images=images, factors=factors)).fingerprint(),
        load(save(tmp_path, images=images, factors=factors[::-1], factor_names=names)).fingerprint(),
        load(save(tmp_path, images=images.reshape(6, 9, 8), factors=factors, factor_names=names)).fingerprint(),
        load(save(tmp_path, images=images ^ np.uint8(1), factors=factors, factor_names=names)).fingerprint(),
        load(save(tmp_path, images=images)).fingerprint(),
    ]
    assert prints[0] == prints[1]
    assert len(set(prints)) == len(prints) - 1


def test_options_survive_json():
    resolved = resolve_options("npz", {"path": "a.npz", "factor_sizes": "3,6,40"})
    assert json.loads(json.dumps(resolved))["factor_sizes"] == [3, 6, 40]
    assert resolve_options("npz", json.loads(json.dumps(resolved))) == resolved
    assert NpzOptions("a.npz", 10) == NpzOptions("a.npz", "10") == NpzOptions("a.npz", (10,))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "path='': needs the .npz file that holds the images"),
        (
            {"path": "a.npz", "factor_sizes": "3,0"},
            "factor_sizes='3,0': needs positive integers such as 3,6,40",
        ),
        (
            {"path": "a.npz", "factor_sizes": "3x6"},
            "factor_sizes='3x6': needs positive integers such as 3,6,40",
        ),
        (
            {"path": "a.npz", "likelihood": "poisson"},
            "likelihood='poisson': Input should be 'bernoulli' or 'gaussian'",
        ),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(BenchError) as caught:
        resolve_options("npz", options)
    assert str(caught.value) == f"dataset 'npz': {message}"


@pytest.mark.parametrize(
    ("arrays", "options", "message"),
    [
        ({"imgs": grey(2, 8, 8)}, {}, "has no array 'images'; it has: imgs$"),
        ({}, {}, "has no array 'images'; it has: none$"),
        ({"images": grey(8, 8)}, {}, r"'images' of shape \(8, 8\): needs \(N, H, W\), "),
        ({"images": grey(2, 9, 8, 7)}, {}, r"can't tell channels \(1 to 4\) from height and width"),
        ({"images": grey(2, 3, 8, 3)}, {}, r"can't tell channels \(1 to 4\) from height and width"),
        ({"images": grey(0, 8, 8)}, {}, "is empty"),
        ({"images": grey(2, 8, 8).astype(int)}, {}, "are int64; needs uint8, bool or floating point"),
        ({"images": np.full((2, 8, 8), 1.01)}, {}, r"floating-point values must lie in \[0, 1\]"),
        ({"images": np.full((2, 8, 8), np.nan)}, {}, r"floating-point values must lie in \[0, 1\]"),
        ({"images": grey(7, 8, 8)}, {"factor_sizes": "2,3"}, "factor_sizes 2 x 3 = 6, but it has 7 images"),
        (
            {"images": grey(2, 8, 8)},
            {"factor_sizes": [2**40, 2**40]},
            "factor_sizes 1099511627776 x 1099511627776 = 1208925819614629174706176, but it has 2 images",
        ),
        (
            {"images": grey(2, 8, 8), "factors": [[0], [1]]},
            {"factor_sizes": 2},
            "has 'factors' already; leave factor_sizes out",
        ),
        ({"images": grey(2, 8, 8), "factors": [[0.5], [1]]}, {}, r"'factors' are float64 of shape \(2, 1\)"),
        ({"images": grey(2, 8, 8), "factors": [0, 1]}, {}, r"needs integers of shape \(2, factors\)"),
        ({"images": grey(2, 8, 8), "factors": [[0]]}, {}, r"'factors' are int64 of shape \(1, 1\)"),
        (
            {"images": grey(2, 8, 8), "factors": [[0], [1]], "factor_names": ["a", "b"]},
            {},
            r"'factor_names' are <U1 of shape \(2,\); needs 1 strings",
        ),
        (
            {"images": grey(2, 8, 8), "factors": [[0, 0], [1, 1]], "factor_names": ["a", "a"]},
            {},
            "'factor_names' repeat: a, a",
        ),
        ({"images": grey(2, 8, 8), "factor_names": ["a"]}, {}, "needs 0 strings"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path, arrays, options, message):
    path = save(tmp_path, **arrays)
    with pytest.raises(BenchError, match=message) as caught:
        load(path, **options)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_damaged_files_are_refused_in_one_line(tmp_path):
    whole = Path(save(tmp_path, images=grey(20, 16, 16), factors=np.arange(20)[:, None])).read_bytes()
    path = tmp_path / "damaged.npz"
    for stop in range(0, len(whole), 97):
        path.write_bytes(whole[:stop])
        with pytest.raises(BenchError) as caught:
            load(str(path))
        assert str(caught.value).startswith(f"{path}: damaged or not the right kind of file (")
        assert "\n" not in str(caught.value)
    np.save(tmp_path / "plain.npy", grey(2, 8, 8))
    with pytest.raises(BenchError, match=r"plain\.npy: damaged or not the right kind of file"):
        load(str(tmp_path / "plain.npy"))
    with pytest.raises(BenchError, match=r"none\.npz: no such file"):
        load(str(tmp_path / "none.npz"))


def test_flipped_bits_in_the_images_are_noticed(tmp_path):
    path = Path(save(tmp_path, images=grey(20, 16, 16)))
    whole = path.read_bytes()
    for at in np.random.default_rng(0).integers(200, 5000, 60).tolist():
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 16]) + whole[at + 1 :])
        with pytest.raises(BenchError):
            load(str(path))


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return exec, ("import sys; sys.exploded_npz = True",)


def test_pickles_are_never_opened(tmp_path):
    bombs = np.empty((2, 1), dtype=object)
    bombs[...] = Bomb()
    images = grey(2, 8, 8)
    for arrays in (
        {"images": bombs},
        {"images": images, "factors": bombs},
        {"images": images, "factor_names": bombs},
    ):
        with pytest.raises(BenchError, match="Object arrays cannot be loaded"):
            load(save(tmp_path, **arrays))
    # An array under another name is left alone, pickled or not.
    assert len(load(save(tmp_path, images=images, metadata=bombs))) == 2
    raw = tmp_path / "raw.npz"
    raw.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(BenchError, match="damaged or not the right kind of file"):
        load(str(raw))
    with zipfile.ZipFile(raw, "w") as archive:
        archive.writestr("images.npy", pickle.dumps(Bomb()))
    with pytest.raises(BenchError, match="damaged or not the right kind of file"):
        load(str(raw))
    assert not hasattr(sys, "exploded_npz")
