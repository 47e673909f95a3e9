"""Published data sets as a whole, from tiny files of the real formats: contracts, checksums, what is laid out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from bench import file_world
from bench.data.source import DataFile
from bench.dataset import load_dataset
from bench.errors import BenchError
from bench.file_world import FileWorld
from bench.registry import DATASETS
from bench.testing.checks import checks_of
from helpers import files_of_worlds as write
from helpers.own_files import encoded, pixels

TINY: dict[str, dict[str, int]] = {
    "shapes3d": {"floor_hue": 2, "wall_hue": 2, "object_hue": 2, "scale": 2, "shape": 2, "orientation": 3},
    "cars3d": {"elevation": 2, "azimuth": 3, "object": 4},
    "smallnorb": {"category": 2, "instance": 10, "elevation": 2, "azimuth": 2, "lighting": 2},
    "mpi3d": dict(zip(("object_color", "object_shape", "object_size", "camera_height"), (3, 2, 2, 2), strict=True))
    | {"background_color": 2, "horizontal_axis": 2, "vertical_axis": 2},
    "chairs3d": {"model": 3, "elevation": 2, "azimuth": 4},
}


def shapes3d(folder: Path, full: dict[str, int]) -> None:
    with h5py.File(folder / "3dshapes.h5", "w") as file:
        file["images"] = pixels(np.prod(list(full.values())), 64, 64, 3)


def cars3d(folder: Path, full: dict[str, int]) -> None:
    meshes = {f"data/cars/{n}.mat": write.mesh(pixels(128, 128, 3, 3, 2, seed=n), "5") for n in range(4)}
    write.tar(folder / "nips2015-analogy-data.tar.gz", meshes)


def smallnorb(folder: Path, full: dict[str, int]) -> None:
    classes = np.stack(np.unravel_index(np.arange(160), list(full.values())), axis=1)
    for part, (name, instances) in enumerate([("5x46789", [4, 6, 7, 8, 9]), ("5x01235", [0, 1, 2, 3, 5])]):
        some = classes[np.isin(classes[:, 1], instances)]
        # Each image is its row of the grid: left as it is, right inverted.
        rows = np.ravel_multi_index(tuple(some.T), list(full.values())).astype(np.uint8)
        pairs = np.broadcast_to(np.stack([rows, ~rows], axis=1)[:, :, None, None], (len(some), 2, 96, 96)).copy()
        kind = ("training", "testing")[part]
        write.norb_split(folder, f"smallnorb-{name}x9x18x6x2x96x96-{kind}", some, pairs)


def mpi3d(folder: Path, full: dict[str, int]) -> None:
    np.savez(folder / "mpi3d_toy.npz", images=pixels(np.prod(list(full.values())), 64, 64, 3))


def chairs3d(folder: Path, full: dict[str, int]) -> None:
    write.chairs(folder / "rendered_chairs.tar", 3, 2, 4, side=64)


def mnist(folder: Path, full: dict[str, int]) -> None:
    write.idx(folder / "train-images-idx3-ubyte.gz", pixels(20, 28, 28))
    write.idx(folder / "train-labels-idx1-ubyte.gz", np.arange(20, dtype=np.uint8) % 10)


def celeba(folder: Path, full: dict[str, int]) -> None:
    write.zipped(
        folder / "img_align_celeba.zip", {f"{n:06}.jpg": encoded(pixels(218, 178, 3), "JPEG") for n in range(9)}
    )
    rows = "".join(f"{n:06}.jpg {1 - 2 * (n % 2)} -1\n" for n in range(9))
    (folder / "list_attr_celeba.txt").write_text(f"9\nSmiling Male\n{rows}")


WRITERS: dict[str, Callable[[Path, dict[str, int]], None]] = {
    "shapes3d": shapes3d,
    "cars3d": cars3d,
    "smallnorb": smallnorb,
    "mpi3d": mpi3d,
    "chairs3d": chairs3d,
    "mnist": mnist,
    "fashion_mnist": mnist,
    "celeba": celeba,
}


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Path]]:
    """Return a writer of a data set's tiny files, whose classes then ask for no more; it returns their folder."""
    from bench.dataset import _load

    monkeypatch.setenv("BENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    _load.cache_clear()

    def make(name: str) -> Path:
        cls: Any = DATASETS.get(name).value
        folder = tmp_path / "data" / name
        folder.mkdir(parents=True, exist_ok=True)
        WRITERS[name](folder, TINY.get(name, {}))
        if name in TINY:
            monkeypatch.setattr(cls.Options, "full", TINY[name])
        monkeypatch.setattr(cls, "files", tuple(DataFile(file.name, file.urls) for file in cls.files))
        if name.endswith("mnist"):
            monkeypatch.setattr(cls, "counts", {"train": 20, "test": 10})
        if name == "celeba":
            monkeypatch.setattr(cls, "total", 9)
        return folder

    yield make
    _load.cache_clear()


@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize("name", WRITERS)
def test_a_data_set_keeps_to_its_contract(tiny, monkeypatch, name, in_memory):
    monkeypatch.setattr(file_world, "IN_MEMORY", file_world.IN_MEMORY if in_memory else 0)
    tiny(name)
    for check in checks_of("dataset"):
        check(name, {})
        check(name, {"size": 28, "grey": True})
    assert load_dataset(name, {}).sources(np.arange(2)) is None


def test_every_data_set_of_files_says_what_it_is():
    worlds = [entry.value for entry in DATASETS if issubclass(entry.value, FileWorld)]
    assert len(worlds) >= len(WRITERS)
    for world in worlds:
        assert world.files
        assert world.citation.rsplit(", ")[-1].startswith("http")
        assert world.licence
        for file in world.files:
            assert not file.checksum or len(file.checksum.partition(":")[2]) in (32, 64)


def test_published_sizes_are_those_of_the_papers():
    sizes = {name: int(np.prod(list(DATASETS.get(name).value.Options.full.values()))) for name in TINY}
    assert sizes == {"shapes3d": 480_000, "cars3d": 17_568, "smallnorb": 48_600, "mpi3d": 1_036_800, "chairs3d": 86_366}
    options = DATASETS.get("mpi3d").value.Options(variant="complex")
    assert np.prod(list(options.full.values())) == 460_800


def test_splits_of_smallnorb_are_instances_and_cameras_are_two(tiny):
    tiny("smallnorb")
    full = list(TINY["smallnorb"].values())
    train: Any = load_dataset("smallnorb", {"part": "train", "size": 96})
    rows = train.images(np.arange(len(train)))[:, 0, 0, 0]
    assert np.unique(np.unravel_index(rows, full)[1]).tolist() == [4, 6, 7, 8, 9]
    right: Any = load_dataset("smallnorb", {"camera": "right", "size": 96})
    assert np.array_equal(right.images(np.arange(160))[:, 0, 0, 0], 255 - np.arange(160))
    with pytest.raises(BenchError, match="part=test: chooses instances"):
        load_dataset("smallnorb", {"part": "test", "instance": 3})


def test_labels_are_those_of_the_file(tiny):
    tiny("mnist")
    tiny("celeba")
    digits: Any = load_dataset("mnist", {})
    assert digits.labels(np.array([3, 19, 0])).tolist() == [3, 9, 0]
    faces: Any = load_dataset("celeba", {})
    assert faces.labels(np.arange(4)).tolist() == [1, 0, 1, 0]
    with pytest.raises(BenchError, match=r"attribute=Smilin: .* has none; did you mean 'Smiling'"):
        load_dataset("celeba", {"attribute": "Smilin"}).labels(np.arange(4))


def test_a_file_that_is_not_there_is_one_line(tiny):
    path = tiny("shapes3d") / "3dshapes.h5"
    path.unlink()
    data = load_dataset("shapes3d", {})
    with pytest.raises(BenchError, match=r"3dshapes.h5: no such file; it is published at https://storage") as error:
        data.images(np.array([0]))
    assert str(path) in str(error.value)


@pytest.mark.parametrize("kind", ["sha256", "md5"])
def test_a_file_with_another_checksum_is_never_used(tiny, monkeypatch, kind):
    path = tiny("shapes3d") / "3dshapes.h5"
    data: Any = load_dataset("shapes3d", {})
    wrong = "0" * (64 if kind == "sha256" else 32)
    monkeypatch.setattr(type(data), "files", (DataFile("3dshapes.h5", (), f"{kind}:{wrong}"),))
    before = path.read_bytes()
    with pytest.raises(BenchError, match=f"3dshapes.h5: has {kind} [0-9a-f]+; the published file has {wrong}"):
        data.images(np.array([0]))
    monkeypatch.setattr(type(data), "files", (DataFile("3dshapes.h5", (), "", 7),))
    with pytest.raises(BenchError, match=r"the published file has 7$"):
        data.images(np.array([0]))
    assert path.read_bytes() == before


def test_what_is_laid_out_is_used_without_the_file_and_checked(tiny, monkeypatch, tmp_path):
    monkeypatch.setattr(file_world, "IN_MEMORY", 0)
    path = tiny("mpi3d") / "mpi3d_toy.npz"
    first: Any = load_dataset("mpi3d", {})
    images, identity = first.images(np.arange(len(first))), first.fingerprint()
    path.unlink()
    again: Any = type(first)(first.options)
    assert np.array_equal(again.images(np.arange(len(first))), images)
    assert again.fingerprint() == identity
    laid = tmp_path / "cache" / "disbench" / "mpi3d" / "toy.u8"
    assert sorted(file.name for file in laid.parent.iterdir() if file.suffix != ".lock") == ["toy.json", "toy.u8"]
    laid.write_bytes(laid.read_bytes()[:-1])
    with pytest.raises(BenchError, match=r"toy.u8: isn't what toy.json says; delete both"):
        type(first)(first.options).images(np.array([0]))


def test_nothing_is_left_of_what_could_not_be_laid_out(tiny, monkeypatch, tmp_path):
    monkeypatch.setattr(file_world, "IN_MEMORY", 0)
    path = tiny("mpi3d") / "mpi3d_toy.npz"
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(BenchError, match=r"mpi3d_toy.npz: damaged"):
        load_dataset("mpi3d", {}).images(np.array([0]))
    tiny("mpi3d")

    def full(_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(file_world, "fsync", full)
    with pytest.raises(BenchError, match=r"toy.u8: can't be written: No space left on device"):
        load_dataset("mpi3d", {}).images(np.array([0]))
    left = (tmp_path / "cache" / "disbench" / "mpi3d").iterdir()
    assert [file for file in left if file.suffix != ".lock"] == []


def test_real_mnist_as_a_data_set():
    if not (Path(os.environ.get("BENCH_DATA", "")) / "mnist" / "t10k-images-idx3-ubyte.gz").is_file():
        pytest.skip("BENCH_DATA has no MNIST")
    data: Any = load_dataset("mnist", {"part": "test", "size": 28})
    assert data.images(np.arange(10_000)).shape == (10_000, 1, 28, 28)
    assert np.bincount(data.labels(np.arange(10_000))).tolist() == [
        980,
        1135,
        1032,
        1010,
        982,
        892,
        958,
        1028,
        974,
        1009,
    ]


def test_fashion_mnist_is_the_authors_files_and_not_mnists() -> None:
    files, others = DATASETS.get("fashion_mnist").value.files, DATASETS.get("mnist").value.files
    assert [file.name for file in files] == [file.name for file in others]
    assert len({file.checksum for file in (*files, *others)}) == 8
    assert all(file.checksum.startswith("md5:") and len(file.checksum) == 36 for file in files)
    assert all(file.urls[0].endswith(f"amazonaws.com/{file.name}") for file in files)
