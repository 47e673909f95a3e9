"""SmallNORB's file format: matrices of bytes or integers with a magic number, in gzip; images in no order."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from bench.datasets._blocks import BLOCK, grid_order, unzipped
from bench.errors import BenchError
from bench.npz import DamagedError, reading

TYPES = {0x1E3D4C55: np.dtype(np.uint8), 0x1E3D4C54: np.dtype("<i4")}
#: Images of a pair, left and right camera, and how large the authors' are.
CAMERAS = ("left", "right")
SIDE = 96

#: Paths of the images, the categories and the four other factors of one split.
Split = tuple[Path, Path, Path]


def norb_images(
    splits: Sequence[Split], full: Mapping[str, int], camera: str, *, side: int = SIDE
) -> Iterator[NDArray[np.uint8]]:
    """Blocks (n, 1, side, side) of a camera's images, in the order of the grid.

    Parameters
    ----------
    splits : sequence of (Path, Path, Path)
        Files ``dat``, ``cat`` and ``info`` of each split; together they are the grid.
    full : mapping of str to int
        category, instance, elevation, azimuth, lighting: number of classes.
    camera : {"left", "right"}
    side : int
        Width and height of the images.

    Raises
    ------
    BenchError
        In one line that names the file: no such file, damaged, another shape, an image missing or there twice.
    """
    total = math.prod(full.values())
    images = np.empty((total, side, side), dtype=np.uint8)
    classes: list[NDArray[np.int64]] = []
    read = 0
    for dat, cat, info in splits:
        found = _classes(cat, info)
        if read + len(found) > total:
            raise BenchError(f"{cat}: holds {len(found)} images; {total - read} are left to the grid of {total}")
        _read_images(dat, camera, images[read : read + len(found)])
        read += len(found)
        classes.append(found)
    order = grid_order(splits[-1][2], np.concatenate(classes), full)
    for start in range(0, total, BLOCK):
        yield images[order[start : start + BLOCK], None]


def read_matrix(path: Path, *, most: int) -> NDArray[Any]:
    """Read a whole matrix of at most `most` values.

    Raises
    ------
    BenchError
        No such file, damaged, too large.
    """
    with reading(path), unzipped(path) as file:
        dtype, shape = _header(file)
        if not 0 < math.prod(shape) <= most:
            raise DamagedError(f"its header says shape {shape}; needs 1 to {most} values")
        return np.frombuffer(_exactly(file, math.prod(shape) * dtype.itemsize, last=True), dtype=dtype).reshape(shape)


def _classes(cat: Path, info: Path) -> NDArray[np.int64]:
    category = read_matrix(cat, most=10**6)
    others = read_matrix(info, most=10**6)
    if category.ndim != 1 or others.shape != (len(category), 4):
        raise BenchError(f"{info}: is of shape {others.shape}; needs ({len(category)}, 4), the images of {cat.name}")
    columns = np.column_stack([category, others]).astype(np.int64)
    # Azimuths are numbered 0, 2, ..., 34 in steps of 10 degrees.
    if (columns[:, 3] % 2).any():
        raise BenchError(f"{info}: holds an odd azimuth; those of SmallNORB are even")
    columns[:, 3] //= 2
    return columns


def _read_images(path: Path, camera: str, out: NDArray[np.uint8]) -> None:
    which, (count, side, _) = CAMERAS.index(camera), out.shape
    with reading(path), unzipped(path) as file:
        dtype, shape = _header(file)
        if dtype != np.uint8 or shape != (count, 2, side, side):
            raise BenchError(f"{path}: holds {dtype} of shape {shape}; needs uint8 ({count}, 2, {side}, {side})")
        for row in range(count):
            pair = _exactly(file, 2 * side * side, last=row == count - 1)
            out[row] = np.frombuffer(pair, dtype=np.uint8).reshape(2, side, side)[which]


def _header(file: IO[bytes]) -> tuple[np.dtype[Any], tuple[int, ...]]:
    magic, axes = struct.unpack("<II", _exactly(file, 8))
    if magic not in TYPES or not 1 <= axes <= 4:
        raise DamagedError("no matrix of bytes or integers in SmallNORB's format")
    # Sizes of at least three axes are written, whatever their number.
    sizes = struct.unpack(f"<{max(axes, 3)}I", _exactly(file, 4 * max(axes, 3)))
    return TYPES[magic], sizes[:axes]


def _exactly(file: IO[bytes], size: int, *, last: bool = False) -> bytes:
    content = file.read(size)
    if len(content) < size:
        raise DamagedError("it is shorter than its header says")
    # The read beyond the end is also what verifies gzip's checksum.
    if last and file.read(1):
        raise DamagedError("it is longer than its header says")
    return content
