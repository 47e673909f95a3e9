"""MNIST's file format, IDX: a magic number, sizes, bytes; usually in gzip."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.datasets._blocks import BLOCK, unzipped
from bench.errors import BenchError
from bench.npz import DamagedError, reading

#: More than the 60,000 training images of 28x28 pixels.
MAX_BYTES = 64 * 2**20


def read_idx(path: Path, axes: int, *, max_bytes: int = MAX_BYTES) -> NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes, in gzip or plain.

    Parameters
    ----------
    path : Path
    axes : int
        3 for images, 1 for labels.
    max_bytes : int
        No larger array is read.

    Returns
    -------
    ndarray of `axes` axes, uint8

    Raises
    ------
    BenchError
        In one line: no such file, another format, truncated, longer than it says, too large.
    """
    with reading(path), unzipped(path) as file:
        head = file.read(4 + 4 * axes)
        if head[:4] != bytes((0, 0, 8, axes)) or len(head) < 4 + 4 * axes:
            raise DamagedError(f"no IDX file of bytes with {axes} axes")
        shape = struct.unpack(f">{axes}I", head[4:])
        size = math.prod(shape)
        if not 0 < size <= max_bytes:
            raise DamagedError(f"its header says shape {shape}; needs 1 to {max_bytes:,} bytes")
        content = file.read(size + 1)
        if len(content) != size:
            raise DamagedError(f"it is {'shorter' if len(content) < size else 'longer'} than its header says")
        return np.frombuffer(content, dtype=np.uint8).reshape(shape)


def idx_images(path: Path, count: int) -> Iterator[NDArray[np.uint8]]:
    """Blocks (n, 1, 28, 28) of the file's `count` images.

    Raises
    ------
    BenchError
        See `read_idx`; another number or size of images.
    """
    images = read_idx(path, 3)
    if images.shape != (count, 28, 28):
        raise BenchError(f"{path}: holds images of shape {images.shape}; needs ({count}, 28, 28)")
    for start in range(0, count, BLOCK):
        yield images[start : start + BLOCK, None]


def idx_labels(path: Path, count: int, classes: int) -> NDArray[np.int64]:
    """Labels of `count` images, shape (count,).

    Raises
    ------
    BenchError
        See `read_idx`; another number of labels; one that isn't below `classes`.
    """
    labels = read_idx(path, 1)
    if len(labels) != count:
        raise BenchError(f"{path}: holds {len(labels)} labels; needs {count}, one an image")
    if labels.max() >= classes:
        raise BenchError(f"{path}: holds the label {labels.max()}; there are 0 to {classes - 1}")
    return labels.astype(np.int64)
