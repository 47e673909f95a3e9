"""Images that lie as one array in an ``.npz`` or HDF5 file, read a block at a time."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.datasets._blocks import BLOCK, named
from bench.errors import BenchError
from bench.npz import DamagedError, read_header


def npz_images(path: Path, name: str, shape: tuple[int, ...]) -> Iterator[NDArray[np.uint8]]:
    """Blocks (n, C, h, w) of the array `name` of an ``.npz`` file, whose other arrays aren't looked into.

    No more than a block is in memory: `numpy.load` would inflate the whole array. Nothing is unpickled.

    Parameters
    ----------
    path : Path
    name : str
    shape : tuple of int
        (N, h, w, C) that the array must have.

    Raises
    ------
    BenchError
        In one line that names the file: no such file or array, damaged, another shape or type.
    """
    return named(path, _npz(path, name, shape))


def h5_images(path: Path, name: str, shape: tuple[int, ...]) -> Iterator[NDArray[np.uint8]]:
    """Blocks (n, C, h, w) of the array `name` of an HDF5 file; parameters and errors as in `npz_images`.

    Raises
    ------
    BenchError
        Also if h5py isn't installed.
    """
    return named(path, _h5(path, name, shape))


def _npz(path: Path, name: str, shape: tuple[int, ...]) -> Iterator[NDArray[np.uint8]]:
    size = math.prod(shape[1:])
    with zipfile.ZipFile(path) as archive:
        arrays = [member.removesuffix(".npy") for member in archive.namelist()]
        if arrays.count(name) != 1:
            raise BenchError(f"{path}: has no array '{name}'; it has: {', '.join(arrays[:10]) or 'none'}")
        with archive.open(f"{name}.npy") as member:
            header = read_header(member)
            if header.dtype != np.uint8 or header.shape != shape or header.fortran:
                raise BenchError(f"{path}: '{name}' is {header.dtype} of shape {header.shape}; needs uint8 {shape}")
            for start in range(0, shape[0], BLOCK):
                rows = min(BLOCK, shape[0] - start)
                content = member.read(rows * size)
                if len(content) < rows * size:
                    raise DamagedError(f"array {name!r}: it is shorter than its header says")
                yield np.moveaxis(np.frombuffer(content, dtype=np.uint8).reshape(rows, *shape[1:]), -1, 1)
            # Reading to the end is also what verifies the checksum.
            if member.read(1):
                raise DamagedError(f"array {name!r}: it is longer than its header says")


def _h5(path: Path, name: str, shape: tuple[int, ...]) -> Iterator[NDArray[np.uint8]]:
    try:
        import h5py
    except ImportError:
        raise BenchError(f"{path}: HDF5 needs h5py; install disbench[hdf5]") from None
    with h5py.File(path, "r") as file:
        images = file.get(name)
        if not isinstance(images, h5py.Dataset):
            raise BenchError(f"{path}: has no array '{name}'; it has: {', '.join(list(file)[:10]) or 'none'}")
        if images.dtype != np.uint8 or images.shape != shape:
            raise BenchError(f"{path}: '{name}' is {images.dtype} of shape {images.shape}; needs uint8 {shape}")
        for start in range(0, shape[0], BLOCK):
            yield np.moveaxis(images[start : start + BLOCK], -1, 1)
