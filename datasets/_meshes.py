"""Cars3D's files: one MATLAB array a car, version 5 or 7.3, in a tar archive."""

from __future__ import annotations

import io
import math
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.datasets._blocks import BLOCK
from bench.errors import BenchError, in_words
from bench.npz import DamagedError, reading

SIDE = 128
#: No larger file in the archive is read: an array of the authors' takes 4.7 MB.
MAX_MEMBER = 64 * 2**20


def mesh_images(path: Path, full: Mapping[str, int], *, side: int = SIDE) -> Iterator[NDArray[np.uint8]]:
    """Blocks (n, 3, side, side), in the order of the grid elevation, azimuth, object.

    The archive is read once and nothing of it is unpacked to disk; all images are in memory meanwhile, 0.9 GB of the
    authors'. Objects are in the order of their files' names.

    Parameters
    ----------
    path : Path
        A tar archive, compressed or not, with one ``.mat`` file per object in a folder ``cars``.
    full : mapping of str to int
        elevation, azimuth, object: number of classes.
    side : int
        Width and height of the images.

    Raises
    ------
    BenchError
        In one line that names the archive, and the file in it: no such file, damaged, another number or shape.
    """
    elevations, azimuths, objects = full.values()
    images = np.empty((elevations, azimuths, objects, 3, side, side), dtype=np.uint8)
    names: list[str] = []
    shape = (side, side, 3, azimuths, elevations)
    with reading(path), tarfile.open(path, "r|*") as archive:
        for member in archive:
            name = PurePosixPath(member.name)
            if name.suffix != ".mat" or name.parent.name != "cars" or not member.isreg():
                continue
            if len(names) == objects:
                raise BenchError(f"{path}: holds more than {objects} meshes; '{name}' is one too many")
            if member.size > MAX_MEMBER:
                raise BenchError(f"{path}: '{name}' takes {member.size:,} bytes; needs at most {MAX_MEMBER:,}")
            file = archive.extractfile(member)
            if file is None:
                raise DamagedError(f"'{name}' has no content")
            mesh = read_mesh(file.read(), f"{path}: '{name}'", shape)
            images[:, :, len(names)] = mesh.transpose(4, 3, 2, 0, 1)
            names.append(name.name)
    if len(names) != objects or len(set(names)) != objects:
        raise BenchError(f"{path}: holds {len(set(names))} meshes, cars/*.mat; needs {objects}")
    order = np.argsort(names)
    for row in range(0, math.prod(full.values()), BLOCK):
        places = np.arange(row, min(row + BLOCK, math.prod(full.values())))
        elevation, azimuth, number = np.unravel_index(places, tuple(full.values()))
        yield images[elevation, azimuth, order[number]]


def read_mesh(content: bytes, where: str, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Read the array ``im`` of a MATLAB file and nothing else.

    Parameters
    ----------
    content : bytes
        Of a file in version 5, or in version 7.3, which is HDF5.
    where : str
        How messages name it.
    shape : tuple of int
        What the array must have, as MATLAB counts axes.

    Raises
    ------
    BenchError
        Damaged; no such array; another shape or type; h5py not installed.
    """
    try:
        hdf5 = content[512:520] == b"\x89HDF\r\n\x1a\n" or content[:8] == b"\x89HDF\r\n\x1a\n"
        return (_version_7_3 if hdf5 else _version_5)(content, where, shape)
    except BenchError:
        raise
    except Exception as error:
        # Both libraries raise anything on damaged bytes.
        raise BenchError(f"{where}: damaged or no MATLAB file ({in_words(error).splitlines()[0]})") from error


def _version_5(content: bytes, where: str, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    from scipy.io import loadmat, whosmat

    # Says shapes before anything is read.
    arrays = {name: (found, kind) for name, found, kind in whosmat(io.BytesIO(content))}
    _check(where, "im" in arrays, *arrays.get("im", ((), "")), shape)
    mesh: NDArray[np.uint8] = loadmat(io.BytesIO(content), variable_names=["im"])["im"]
    return mesh


def _version_7_3(content: bytes, where: str, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    try:
        import h5py
    except ImportError:
        raise BenchError(f"{where}: MATLAB 7.3 needs h5py; install disbench[hdf5]") from None
    with h5py.File(io.BytesIO(content), "r") as file:
        found: Any = file.get("im")
        plain = isinstance(found, h5py.Dataset)
        # MATLAB's first axis is the fastest, HDF5's the slowest.
        _check(where, plain, found.shape[::-1] if plain else (), str(found.dtype) if plain else "", shape)
        mesh: NDArray[np.uint8] = found[()].T
        return mesh


def _check(where: str, there: bool, found: tuple[int, ...], kind: str, shape: tuple[int, ...]) -> None:
    if not there:
        raise BenchError(f"{where}: has no array 'im'")
    if tuple(found) != shape or kind != "uint8":
        raise BenchError(f"{where}: 'im' is {kind} of shape {tuple(found)}; needs uint8 {shape}")
