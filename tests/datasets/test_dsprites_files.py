"""The authors' files of dSprites, in miniature: what is read of them, and what is refused."""

from __future__ import annotations

import contextlib
import pickle
import sys
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from bench.errors import BenchError
from helpers.dsprites import SMALL, dsprites


def write(path: Path, images: np.ndarray, values: np.ndarray, **more: np.ndarray) -> Path:
    if path.suffix == ".npz":
        np.savez_compressed(path, imgs=images, latents_values=values, **more)
    else:
        with h5py.File(path, "w") as file:
            file.create_dataset("imgs", data=images, chunks=True, compression="gzip")
            file.create_dataset("latents/values", data=values)
    return path


def miniature(path: Path) -> Path:
    """A file like the authors', of the grid `SMALL`, with their pickled metadata."""
    data = dsprites(**SMALL)
    rows = np.arange(len(data))
    metadata = np.array({"title": "dSprites"}, dtype=object)
    return write(path, data.images(rows)[:, 0], data.latents_values(rows), metadata=metadata)


@pytest.mark.parametrize("name", ["dsprites.npz", "dsprites.hdf5", "dsprites.h5"])
def test_files_load_as_they_were_rendered(tmp_path, monkeypatch, name):
    monkeypatch.setattr("bench.datasets._dsprites_files.BLOCK", 50)
    path = str(miniature(tmp_path / name))
    assert np.array_equal(dsprites(source=path, **SMALL).packed(), dsprites(**SMALL).packed())
    assert dsprites(source=path, **SMALL).fingerprint() == dsprites(**SMALL).fingerprint()
    fewer = SMALL | {"shape": "0,2", "pos_x": "8:32:16", "scale": "5,"}
    assert np.array_equal(dsprites(source=path, **fewer).packed(), dsprites(**fewer).packed())
    with pytest.raises(BenchError, match=r"has no images of scale class 0; choose scale=2,5$"):
        dsprites(source=path, **SMALL | {"scale": 1}).packed()


@pytest.mark.parametrize("name", ["dsprites.npz", "dsprites.hdf5"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda images, values: (images * 255, values), "'imgs' holds values other than 0 and 1"),
        (lambda images, values: (images.astype(float), values), "'imgs' are float64 of shape"),
        (lambda images, values: (images[:, :32], values), r"'imgs' are uint8 of shape \(288, 32, 64\)"),
        (
            lambda images, values: (images[:-1], values[:-1]),
            "its 287 images aren't the full grid 3 x 2 x 4 x 4 x 3",
        ),
        (
            lambda images, values: (images[::-1], values[::-1]),
            "aren't the full grid 3 x 2 x 4 x 4 x 3 in C order",
        ),
        (
            lambda images, values: (images, values[:-1]),
            r"latent values of shape \(287, 6\); needs \(288, 6\)",
        ),
        (lambda images, values: (images, values + 0.01), "its latent values aren't those of dSprites"),
        (lambda images, values: (images, values * np.nan), "its latent values aren't those of dSprites"),
    ],
)
def test_files_with_other_contents_are_refused(tmp_path, name, change, message):
    data = dsprites(**SMALL)
    rows = np.arange(len(data))
    path = write(tmp_path / name, *change(data.images(rows)[:, 0], data.latents_values(rows)))
    with pytest.raises(BenchError, match=message) as caught:
        dsprites(source=str(path), **SMALL).packed()
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize("name", ["dsprites.npz", "dsprites.hdf5"])
def test_damaged_files_are_refused_in_one_line(tmp_path, name):
    whole = miniature(tmp_path / name).read_bytes()
    path = tmp_path / f"damaged{Path(name).suffix}"
    for stop in (0, 1, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:stop])
        with pytest.raises(BenchError) as caught:
            dsprites(source=str(path), **SMALL).packed()
        assert str(caught.value).startswith(f"{path}: damaged or not the right kind of file (")
        assert "\n" not in str(caught.value)
    path.unlink()
    with pytest.raises(BenchError, match="no such file"):
        dsprites(source=str(path), **SMALL).packed()


def test_flipped_bits_never_pass_unseen(tmp_path):
    whole = miniature(tmp_path / "dsprites.npz").read_bytes()
    with zipfile.ZipFile(tmp_path / "dsprites.npz") as archive:
        size = archive.getinfo("imgs.npy").compress_size
    path = tmp_path / "flipped.npz"
    expected = dsprites(**SMALL).packed()
    rng = np.random.default_rng(0)
    passed = 0
    for at in rng.integers(0, 60 + size, 100).tolist():
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << int(rng.integers(8))]) + whole[at + 1 :])
        with contextlib.suppress(BenchError):
            assert np.array_equal(dsprites(source=str(path), **SMALL).packed(), expected)
            passed += 1
    # Of the header's bytes some don't matter: time stamps, say.
    assert passed < 10


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return exec, ("import sys; sys.exploded = True",)


def test_pickles_are_never_opened(tmp_path):
    bombs = np.empty((2, 64, 64), dtype=object)
    bombs[...] = Bomb()
    np.savez(tmp_path / "imgs.npz", imgs=bombs)
    np.savez(tmp_path / "values.npz", imgs=np.zeros((2, 64, 64), np.uint8), latents_values=bombs[0, :2, :6])
    (tmp_path / "raw.npz").write_bytes(pickle.dumps(Bomb()))
    for name in ("imgs", "values", "raw"):
        with pytest.raises(BenchError, match=rf"{name}\.npz: "):
            dsprites(source=str(tmp_path / f"{name}.npz")).packed()
    assert not hasattr(sys, "exploded")


def test_hdf5_without_h5py_says_what_to_install(tmp_path, monkeypatch):
    path = miniature(tmp_path / "dsprites.hdf5")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(BenchError, match=r"HDF5 needs h5py; install disbench\[hdf5\]$"):
        dsprites(source=str(path), **SMALL).packed()
