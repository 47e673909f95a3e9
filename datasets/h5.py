"""The user's own images, from one HDF5 file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.dataset import register_dataset
from bench.datasets._own import OwnImages, OwnOptions, as_uint8, fitted
from bench.errors import BenchError
from bench.npz import GIB, reading

#: Arrays that are read where they are there; nothing else in the file is looked at.
ARRAYS = ("images", "factors", "factor_names", "labels", "label_names")


@dataclass(frozen=True, kw_only=True)
class H5Options(OwnOptions):
    """Options of `H5Images`: those of `bench.datasets._own.OwnOptions`."""


@register_dataset("h5")
class H5Images(OwnImages):
    """Your own images in an HDF5 file, with or without factors and labels; needs ``disbench[hdf5]``.

    The file holds at its top ``images``, of shape (N, H, W), (N, H, W, C) or (N, C, H, W) with at most four channels,
    `uint8`, `bool` or floating point in [0, 1] (rounded to 256 levels); optionally ``factors``, integers of shape
    (N, F), and ``factor_names``, F strings; ``labels``, N integers, and ``label_names``, strings.

    Raises
    ------
    BenchError
        Missing or damaged files, and arrays that don't fit together, in one line.
    """

    licence = "yours"
    Options = H5Options

    def __init__(self, options: H5Options) -> None:
        super().__init__(options)
        arrays = self._read(options.max_memory)
        images, image_max = as_uint8(arrays.pop("images"), self.path)
        try:
            images, image_max = fitted(images, image_max, size=options.size, grey=options.grey)
        except ValueError as error:
            raise BenchError(f"{self.path}: {error}") from None
        self.hold(
            (images, image_max),
            factors=arrays.get("factors"),
            names=arrays.get("factor_names"),
            labels=arrays.get("labels"),
            label_names=arrays.get("label_names"),
        )

    def _read(self, max_memory: float) -> dict[str, NDArray[Any]]:
        try:
            import h5py
        except ImportError:
            raise BenchError(f"{self.path}: HDF5 needs h5py; install disbench[hdf5]") from None
        with reading(self.path), h5py.File(self.path, "r") as file:
            found = {name: file[name] for name in ARRAYS if isinstance(file.get(name), h5py.Dataset)}
            if "images" not in found:
                raise BenchError(f"{self.path}: has no array 'images'; it has: {', '.join(list(file)[:10]) or 'none'}")
            total = sum(array.nbytes for array in found.values())
            if total > max_memory * GIB:
                raise BenchError(
                    f"{self.path}: would take {total / GIB:,.2f} GiB of memory, more than {max_memory:,.2f} GiB; "
                    "the option max_memory (GiB) allows more"
                )
            return {name: _plain(name, array) for name, array in found.items()}


def _plain(name: str, array: Any) -> NDArray[Any]:
    if not name.endswith("_names") or array.dtype.kind == "S":
        values: NDArray[Any] = array[()]
        return values
    # HDF5's strings of any length are objects to NumPy.
    return np.array(array.asstr()[()].tolist(), dtype=np.str_)
