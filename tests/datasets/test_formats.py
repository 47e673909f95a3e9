"""The formats of published data sets, read by the real code from tiny files, and MNIST's real test files."""

from __future__ import annotations

import gzip
import itertools
import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from bench.datasets._arrays import h5_images, npz_images
from bench.datasets._chairs import chair_images
from bench.datasets._faces import face_attributes, face_images
from bench.datasets._idx import idx_images, idx_labels, read_idx
from bench.datasets._meshes import mesh_images, read_mesh
from bench.datasets._norb import norb_images, read_matrix
from bench.errors import BenchError
from bench.files import sha256
from helpers import files_of_worlds as write
from helpers.own_files import encoded, pixels

NORB = {"category": 2, "instance": 2, "elevation": 3, "azimuth": 2, "lighting": 2}
CARS = {"elevation": 2, "azimuth": 3, "object": 4}


def whole(blocks: Any) -> np.ndarray:
    return np.concatenate(list(blocks))


def grid(sizes: dict[str, int]) -> np.ndarray:
    return np.array(list(itertools.product(*map(range, sizes.values()))))


def test_real_mnist_test_files_are_read_whole():
    folder = Path(os.environ.get("BENCH_DATA", "")) / "mnist"
    if not (folder / "t10k-images-idx3-ubyte.gz").is_file():
        pytest.skip("BENCH_DATA has no MNIST")
    images = whole(idx_images(folder / "t10k-images-idx3-ubyte.gz", 10_000))
    labels = idx_labels(folder / "t10k-labels-idx1-ubyte.gz", 10_000, 10)
    assert (images.shape, images.dtype) == ((10_000, 1, 28, 28), np.uint8)
    # The published numbers of digits 0 to 9 in the test set.
    assert np.bincount(labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    with gzip.open(folder / "t10k-images-idx3-ubyte.gz") as file:
        assert sha256(images.tobytes()) == sha256(file.read()[16:])
    published = "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"
    assert sha256(folder / "t10k-images-idx3-ubyte.gz") == published


@pytest.mark.parametrize("name", ["a.gz", "a.idx"])
def test_idx_in_gzip_or_plain(tmp_path, name):
    images = pixels(5, 28, 28)
    assert np.array_equal(whole(idx_images(write.idx(tmp_path / name, images), 5))[:, 0], images)
    labels = np.array([0, 3, 9], dtype=np.uint8)
    assert idx_labels(write.idx(tmp_path / "labels", labels), 3, 10).tolist() == [0, 3, 9]


def test_idx_that_is_not_what_it_says_is_one_line(tmp_path):
    path = write.idx(tmp_path / "a.gz", pixels(5, 28, 28))
    content = gzip.decompress(path.read_bytes())
    for damaged, message in [
        (path.read_bytes()[:-30], "a.gz: damaged"),
        (gzip.compress(content[:-1]), "shorter than its header says"),
        (gzip.compress(content + b"x"), "longer than its header says"),
        (gzip.compress(b"\0\0\x09" + content[3:]), "no IDX file of bytes with 3 axes"),
        (gzip.compress(content[:4] + b"\xff" * 12), "needs 1 to 67,108,864 bytes"),
    ]:
        path.write_bytes(damaged)
        with pytest.raises(BenchError, match=message):
            read_idx(path, 3)
    with pytest.raises(BenchError, match=r"holds images of shape \(4, 28, 28\); needs \(5, 28, 28\)"):
        whole(idx_images(write.idx(tmp_path / "a.gz", pixels(4, 28, 28)), 5))
    with pytest.raises(BenchError, match="holds the label 12; there are 0 to 9"):
        idx_labels(write.idx(tmp_path / "labels", np.array([12], dtype=np.uint8)), 1, 10)


def norb(folder: Path, order: np.ndarray) -> tuple[list[Any], np.ndarray]:
    """Write two splits, one instance each, in the given order of the grid's rows; return files and pairs of images."""
    pairs, classes = pixels(len(order), 2, 6, 6), grid(NORB)
    splits = []
    for instance in range(2):
        rows = order[classes[order][:, 1] == instance]
        splits.append(write.norb_split(folder, f"split{instance}", classes[rows], pairs[rows]))
    return splits, pairs


@pytest.mark.parametrize("camera", ["left", "right"])
def test_norb_is_sorted_into_the_grid(tmp_path, camera):
    splits, pairs = norb(tmp_path, np.random.default_rng(1).permutation(48))
    images = whole(norb_images(splits, NORB, camera, side=6))
    assert np.array_equal(images[:, 0], pairs[:, ("left", "right").index(camera)])


def test_norb_that_is_no_grid_is_one_line(tmp_path):
    splits, _ = norb(tmp_path, np.arange(48))
    with pytest.raises(BenchError, match="instance=0, elevation=0, azimuth=0, lighting=0 is there twice"):
        whole(norb_images([splits[0], splits[0]], NORB, "left", side=6))
    with pytest.raises(BenchError, match=r"info.mat.gz: .*instance=1, elevation=0, azimuth=0, lighting=0 is missing"):
        whole(norb_images(splits[:1], NORB, "left", side=6))
    with pytest.raises(BenchError, match=r"dat.mat.gz: holds uint8 of shape \(24, 2, 6, 6\); needs uint8 \(24, 2, 96"):
        whole(norb_images(splits, NORB, "left"))
    dat = splits[0][0]
    dat.write_bytes(dat.read_bytes()[:-40])
    with pytest.raises(BenchError, match=r"split0-dat.mat.gz: damaged"):
        whole(norb_images(splits, NORB, "left", side=6))
    dat.write_bytes(b"text" * 9)
    with pytest.raises(BenchError, match="no matrix of bytes or integers"):
        read_matrix(dat, most=10)


@pytest.mark.parametrize("version", ["5", "7.3"])
def test_cars_are_sorted_into_the_grid(tmp_path, version):
    meshes = pixels(4, 8, 8, 3, 3, 2)
    files = {f"data/cars/car_{n:03}.mat": write.mesh(meshes[n], version) for n in (2, 0, 3, 1)}
    path = write.tar(tmp_path / "cars.tar.gz", {"data/README": b"x", "data/sprites/a.mat": b"x"} | files)
    images = whole(mesh_images(path, CARS, side=8))
    for row, (elevation, azimuth, number) in enumerate(grid(CARS)):
        assert np.array_equal(images[row], meshes[number][..., azimuth, elevation].transpose(2, 0, 1))


def test_cars_that_do_not_fit_are_one_line(tmp_path):
    good = write.mesh(pixels(8, 8, 3, 3, 2), "5")
    names = [f"cars/{n}.mat" for n in range(5)]
    for files, message in [
        (dict.fromkeys(names[:3], good), "holds 3 meshes, cars/.*; needs 4"),
        (dict.fromkeys(names, good), "holds more than 4 meshes; 'cars/4.mat' is one too many"),
        (
            {"cars/0.mat": write.mesh(pixels(8, 8, 3, 2, 2), "5")},
            r"'cars/0.mat': 'im' is uint8 of shape \(8, 8, 3, 2, 2",
        ),
        ({"cars/0.mat": good[:200]}, "'cars/0.mat': damaged or no MATLAB file"),
        ({"cars/0.mat": b""}, "'cars/0.mat': damaged or no MATLAB file"),
    ]:
        with pytest.raises(BenchError, match=message):
            whole(mesh_images(write.tar(tmp_path / "cars.tar.gz", files), CARS, side=8))
    path = tmp_path / "cars.tar.gz"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(BenchError, match=r"cars.tar.gz: damaged"):
        whole(mesh_images(path, CARS, side=8))
    with pytest.raises(BenchError, match="here: has no array 'im'"):
        read_mesh(write.mesh(np.zeros((1, 1), np.uint8), "7.3").replace(b"im\0", b"xx\0"), "here", (1, 1))


def test_npz_and_hdf5_are_read_by_blocks(tmp_path):
    images = pixels(1100, 4, 4, 3)
    np.savez_compressed(tmp_path / "a.npz", images=images, other=np.array([{}], dtype=object))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["images"] = images
    for blocks in (
        npz_images(tmp_path / "a.npz", "images", images.shape),
        h5_images(tmp_path / "a.h5", "images", images.shape),
    ):
        found = list(blocks)
        assert [len(block) for block in found] == [512, 512, 76]
        assert np.array_equal(np.concatenate(found), np.moveaxis(images, -1, 1))


def test_arrays_that_do_not_fit_are_one_line(tmp_path):
    images = pixels(6, 4, 4, 3)
    np.savez(tmp_path / "a.npz", images=images)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["images"] = images
    for read, name in ((npz_images, "a.npz"), (h5_images, "a.h5")):
        path = tmp_path / name
        with pytest.raises(BenchError, match=r"is uint8 of shape \(6, 4, 4, 3\); needs uint8 \(7, 4, 4, 3\)"):
            whole(read(path, "images", (7, 4, 4, 3)))
        with pytest.raises(BenchError, match="has no array 'imgs'; it has: images"):
            whole(read(path, "imgs", images.shape))
        path.write_bytes(path.read_bytes()[:-300])
        with pytest.raises(BenchError, match=f"{name}: damaged"):
            whole(read(path, "images", images.shape))
        with pytest.raises(BenchError, match="no such file"):
            whole(read(tmp_path / "absent", "images", images.shape))


def test_chairs_are_sorted_into_the_grid_by_their_names(tmp_path):
    path, levels = write.chairs(tmp_path / "chairs.tar", 3, 2, 4)
    images = whole(chair_images(path, {"model": 3, "elevation": 2, "azimuth": 4}, side=8))
    assert images.shape == (24, 3, 8, 8)
    assert (images == levels[:, None, None, None]).all()
    with pytest.raises(BenchError, match="holds 3 values of model; needs 5"):
        whole(chair_images(path, {"model": 5, "elevation": 2, "azimuth": 4}, side=8))


def test_chairs_are_cropped_to_their_middle(tmp_path):
    wide = np.zeros((600, 600, 3), dtype=np.uint8)
    wide[100:500, 100:500] = 200
    path = write.tar(tmp_path / "a.tar", {"r/m/renders/image_000_p020_t011_r096.png": encoded(wide)})
    one = {"model": 1, "elevation": 1, "azimuth": 1}
    assert (whole(chair_images(path, one, side=8)) == 200).all()
    write.tar(path, {"r/m/renders/image_000_p020_t011_r096.png": encoded(wide)[:500]})
    with pytest.raises(BenchError, match=r"a.tar: 'r/m/renders/image_000.*': can't be read as a picture"):
        whole(chair_images(path, one, side=8))
    with pytest.raises(BenchError, match="holds no picture named like"):
        whole(chair_images(write.tar(path, {"a.png": b""}), one, side=8))


def test_faces_are_cropped_and_in_the_order_of_names(tmp_path):
    faces = []
    for level in (10, 120, 240):
        face = np.zeros((218, 178, 3), dtype=np.uint8)
        face[35:183, 15:163] = level
        faces.append(encoded(face, "JPEG"))
    files = {f"img_align_celeba/00000{n}.jpg": faces[n] for n in (1, 0, 2)}
    path = write.zipped(tmp_path / "faces.zip", {"img_align_celeba/": b""} | files)
    images = whole(face_images(path, 3, side=64))
    assert images.shape == (3, 3, 64, 64)
    # JPEG's blocks of 8 pixels mix what is at the edge of the crop.
    assert np.abs(images[:, :, 8:-8, 8:-8].mean(axis=(1, 2, 3)) - [10, 120, 240]).max() < 2
    with pytest.raises(BenchError, match=r"holds 3 pictures .jpg; needs 4"):
        whole(face_images(path, 4, side=64))
    write.zipped(path, {"a.jpg": faces[0][:300]})
    with pytest.raises(BenchError, match=r"faces.zip: 'a.jpg': can't be read as a picture"):
        whole(face_images(path, 1, side=64))


def test_attributes_of_faces(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("2\nBald  Smiling\n0.jpg -1  1\n1.jpg  1 -1\n")
    names, attributes, values = face_attributes(path)
    assert (names, attributes, values.tolist()) == (
        ("0.jpg", "1.jpg"),
        ("Bald", "Smiling"),
        [[False, True], [True, False]],
    )
    for text, message in [
        ("2\nBald\n0.jpg 1\n", "has 1 lines of pictures; its first line says 2"),
        ("1\nBald\n0.jpg 0\n", "line 3 needs a name and 1 values 1 or -1"),
        ("x\nBald\n", "damaged"),
    ]:
        path.write_text(text)
        with pytest.raises(BenchError, match=message):
            face_attributes(path)
