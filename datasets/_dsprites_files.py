"""The dSprites authors' file, ``.npz`` or HDF5, read a block at a time."""

from __future__ import annotations

import contextlib
import functools
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.dataset import Index
from bench.datasets._dsprites_render import FACTORS, VALUES
from bench.errors import BenchError
from bench.npz import read_header, read_member, reading

#: Images read at a time.
BLOCK = 1024

#: Latent values of the full set, six of eight bytes each.
LATENT_BYTES = 737_280 * 6 * 8

#: Number of images, latent values (N, 5 or 6), and blocks of consecutive images of at most `BLOCK` rows.
Source = tuple[int, Callable[[], NDArray[Any]], Iterator[NDArray[Any]]]


def read_source(path: Path, levels: Sequence[Sequence[int]]) -> NDArray[np.uint8]:
    """Read a grid of dSprites from the authors' file, a block at a time; never unpickles.

    Parameters
    ----------
    path : Path
        ``.npz`` or HDF5 with ``imgs``: the full set, or a full sub-grid in C order with its latent values.
    levels : five sequences of int
        Classes of each factor, ascending.

    Returns
    -------
    ndarray of shape (N, 512), uint8
        As from `render`.

    Raises
    ------
    BenchError
        No such file; damaged; not dSprites; lacking one of `levels`; h5py not installed.
    """
    with reading(path), (_open_npz if path.suffix == ".npz" else _open_hdf5)(path) as (count, values, blocks):
        rows = _grid_rows(path, None if count == 737_280 else values(), count, levels)
        packed = np.empty((len(rows), 512), dtype=np.uint8)
        start = 0
        for block in blocks:
            if block.max() > 1:
                raise BenchError(f"{path}: 'imgs' holds values other than 0 and 1")
            first, last = np.searchsorted(rows, [start, start + len(block)])
            packed[first:last] = np.packbits(block[rows[first:last] - start].reshape(-1, 4096), axis=1)
            start += len(block)
    return packed


def _grid_rows(path: Path, values: NDArray[Any] | None, count: int, levels: Sequence[Sequence[int]]) -> Index:
    """Rows of a file that hold the grid `levels`; `values` is None for the full set, whose order is known."""
    held = [np.arange(total) for total in FACTORS.values()]
    if values is not None:
        if values.shape not in ((count, 5), (count, 6)):
            raise BenchError(f"{path}: latent values of shape {values.shape}; needs ({count}, 6)")
        pairs = list(zip(values[:, -5:].T, VALUES.values(), strict=True))
        classes = [np.abs(column[:, None] - known).argmin(axis=1) for column, known in pairs]
        if not np.allclose([known[i] for i, (_, known) in zip(classes, pairs, strict=True)], values[:, -5:].T):
            raise BenchError(f"{path}: its latent values aren't those of dSprites")
        held = [np.unique(column) for column in classes]
        grid = np.stack(np.meshgrid(*held, indexing="ij")).reshape(5, -1)
        if grid.shape[1] != count or (grid != classes).any():
            sizes = " x ".join(str(len(has)) for has in held)
            raise BenchError(f"{path}: its {count} images aren't the full grid {sizes} in C order")
    for name, level, has in zip(FACTORS, levels, held, strict=True):
        absent = sorted(set(level) - set(has.tolist()))
        if absent:
            choose = f"choose {name}={','.join(map(str, has))}"
            raise BenchError(f"{path}: has no images of {name} class {absent[0]}; {choose}")
    chosen = [np.searchsorted(has, level) for has, level in zip(held, levels, strict=True)]
    return np.ravel_multi_index(np.ix_(*chosen), [len(has) for has in held]).ravel().astype(np.int64)


def _check_header(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    if dtype != np.uint8 or len(shape) != 3 or shape[1:] != (64, 64) or not 1 <= shape[0] <= 737_280:
        raise BenchError(f"{path}: 'imgs' are {dtype} of shape {shape}; needs uint8 (737280, 64, 64)")


@contextlib.contextmanager
def _open_npz(path: Path) -> Iterator[Source]:
    # `np.load` would inflate all 2.8 GiB at once.
    with zipfile.ZipFile(path) as archive, archive.open("imgs.npy") as member:
        header = read_header(member)
        shape = header.shape
        _check_header(path, shape, header.dtype)
        if header.fortran:
            raise BenchError(f"{path}: 'imgs' are in Fortran order; needs C order")

        def blocks() -> Iterator[NDArray[Any]]:
            for start in range(0, shape[0], BLOCK):
                rows = min(BLOCK, shape[0] - start)
                yield np.frombuffer(member.read(rows * 4096), dtype=np.uint8).reshape(rows, 64, 64)
            # Reading to the end is also what verifies the checksum.
            if member.read(1):
                raise BenchError(f"{path}: 'imgs' is longer than its header says")

        yield shape[0], functools.partial(read_member, archive, "latents_values.npy", max_bytes=LATENT_BYTES), blocks()


@contextlib.contextmanager
def _open_hdf5(path: Path) -> Iterator[Source]:
    try:
        import h5py
    except ImportError:
        raise BenchError(f"{path}: HDF5 needs h5py; install disbench[hdf5]") from None
    with h5py.File(path, "r") as file:
        images = file["imgs"]
        _check_header(path, images.shape, images.dtype)
        latents = file["latents/values"]
        if latents.nbytes > LATENT_BYTES:
            raise BenchError(f"{path}: latent values of shape {latents.shape}; needs ({len(images)}, 6)")
        blocks = (images[start : start + BLOCK] for start in range(0, len(images), BLOCK))
        yield len(images), lambda: latents[()], blocks
