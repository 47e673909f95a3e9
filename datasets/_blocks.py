"""What files of data sets have in common: they are read a block of images at a time, and put into the grid's order."""

from __future__ import annotations

import contextlib
import gzip
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, TypeVar

import numpy as np
from numpy.typing import NDArray

from bench.dataset import Index
from bench.errors import BenchError
from bench.npz import reading

#: Images read at a time.
BLOCK = 512

T = TypeVar("T")


def named(path: Path, items: Iterable[T]) -> Iterator[T]:
    """The same items; what goes wrong on the way to the next one becomes one line that names the file.

    Raises
    ------
    BenchError
        See `bench.npz.reading`, in which no generator may be suspended.
    """
    source = iter(items)
    while True:
        with reading(path):
            try:
                item = next(source)
            except StopIteration:
                return
        yield item


@contextlib.contextmanager
def unzipped(path: Path) -> Iterator[IO[bytes]]:
    """A file's content, unpacked on the way if it is gzip's, whatever its name says."""
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if not packed:
            yield file
            return
        with gzip.GzipFile(fileobj=file) as content:
            yield content


def grid_order(path: Path, classes: NDArray[np.int64], full: Mapping[str, int]) -> Index:
    """Where in a file the images of a whole grid lie.

    Parameters
    ----------
    path : Path
        For messages.
    classes : ndarray of shape (n, n_factors), int64
        Of the file's images.
    full : mapping of str to int
        Number of classes of each factor, the last one fastest.

    Returns
    -------
    ndarray of shape (n,), int64
        Place in the file of each row of the grid.

    Raises
    ------
    BenchError
        A class that there isn't; an image that is missing, or there twice.
    """
    sizes = np.array(list(full.values()))
    outside = ((classes < 0) | (classes >= sizes)).any(axis=1)
    if outside.any():
        raise BenchError(f"{path}: {_image(classes[outside][0], full)} is outside of the grid {_shown(full)}")
    rows = np.ravel_multi_index(tuple(classes.T), tuple(full.values()))
    count = np.bincount(rows, minlength=math.prod(full.values()))
    for wrong, what in ((count > 1, "is there twice"), (count == 0, "is missing")):
        if wrong.any():
            first = np.stack(np.unravel_index(np.flatnonzero(wrong)[0], tuple(full.values())))
            raise BenchError(f"{path}: of the grid {_shown(full)} the image {_image(first, full)} {what}")
    order: Index = np.argsort(rows).astype(np.int64)
    return order


def _image(classes: NDArray[np.int64], full: Mapping[str, int]) -> str:
    return ", ".join(f"{name}={value}" for name, value in zip(full, classes, strict=True))


def _shown(full: Mapping[str, int]) -> str:
    return " x ".join(f"{name} {size}" for name, size in full.items())
