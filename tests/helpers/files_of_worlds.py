"""Tiny files in the formats that data sets of the field are published in."""

from __future__ import annotations

import gzip
import io
import itertools
import struct
import tarfile
import zipfile
from pathlib import Path

import h5py
import numpy as np
import scipy.io
from numpy.typing import NDArray

from helpers.own_files import encoded


def idx(path: Path, array: NDArray[np.uint8]) -> Path:
    """Write MNIST's format, in gzip where the name says so."""
    content = bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def norb_matrix(path: Path, array: NDArray[np.generic]) -> Path:
    """Write SmallNORB's format, in gzip: at least three sizes are written."""
    magic = {"uint8": 0x1E3D4C55, "int32": 0x1E3D4C54}[str(array.dtype)]
    sizes = (*array.shape, 1, 1)[: max(array.ndim, 3)]
    path.write_bytes(gzip.compress(struct.pack(f"<II{len(sizes)}I", magic, array.ndim, *sizes) + array.tobytes()))
    return path


def norb_split(
    folder: Path, name: str, classes: NDArray[np.int64], images: NDArray[np.uint8]
) -> tuple[Path, Path, Path]:
    """Write a split: classes (n, 5) of category, instance, elevation, azimuth, lighting; pairs (n, 2, h, w)."""
    info = classes[:, 1:].astype(np.int32)
    info[:, 2] *= 2
    return (
        norb_matrix(folder / f"{name}-dat.mat.gz", images),
        norb_matrix(folder / f"{name}-cat.mat.gz", classes[:, 0].astype(np.int32)),
        norb_matrix(folder / f"{name}-info.mat.gz", info),
    )


def mesh(array: NDArray[np.uint8], version: str) -> bytes:
    """Return a MATLAB file with the array ``im``, in version "5" or "7.3"."""
    file = io.BytesIO()
    if version == "5":
        scipy.io.savemat(file, {"im": array, "other": np.zeros(3)}, do_compression=True)
        return file.getvalue()
    with h5py.File(file, "w", userblock_size=512) as content:
        content["im"] = array.T
    head = b"MATLAB 7.3 MAT-file".ljust(512)
    return head + file.getvalue()[512:]


def tar(path: Path, files: dict[str, bytes]) -> Path:
    """Write a tar archive, in gzip where the name says so."""
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    """Write a zip archive."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def chairs(path: Path, models: int, elevations: int, azimuths: int, side: int = 12) -> tuple[Path, NDArray[np.uint8]]:
    """Write pictures of one colour each in an order of chance; return their grey levels in the grid's order."""
    grid = list(itertools.product(range(models), range(elevations), range(azimuths)))
    levels = np.arange(len(grid), dtype=np.uint8) * 3
    files = {
        f"rendered_chairs/model{model}/renders/image_{n:03}_p{20 + 10 * p:03}_t{11 + 12 * t:03}_r096.png": encoded(
            np.full((side, side, 3), levels[n], dtype=np.uint8)
        )
        for n, (model, p, t) in enumerate(grid)
    }
    names = list(np.random.default_rng(0).permutation(list(files)))
    return tar(path, {"rendered_chairs/all_chair_names.mat": b"x"} | {name: files[name] for name in names}), levels
