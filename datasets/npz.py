"""The user's own images, from one ``.npz`` file."""

from __future__ import annotations

import hashlib
import json
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, cast

import numpy as np
from numpy.typing import NDArray

from bench.dataset import Dataset, Images, Index, register_dataset
from bench.errors import BenchError
from bench.neutral import neutral
from bench.npz import GIB, read_arrays
from bench.rows import RowOptions

#: Trailing or leading axes of at most this many entries are taken for channels.
MAX_CHANNELS = 4


@dataclass(frozen=True)
class NpzOptions(RowOptions):
    """Options of `NpzImages`, beside those of `bench.rows.RowOptions`.

    Attributes
    ----------
    path : str
        The file.
    factor_sizes : tuple of int
        Number of values of each factor, for images stored as a full grid in C order (last factor fastest) in
        a file without ``factors``; written as ``"3,6,40"``, a sequence or, for one factor, an integer.
    likelihood : {"bernoulli", "gaussian"}
        What the reconstruction term is.
    max_memory : float
        GiB that the file's arrays may take as they are stored; a file that says it takes more is refused unread. Part
        of a run's identity where it isn't the default.
    """

    path: str = ""
    factor_sizes: int | str | tuple[int, ...] = ()
    likelihood: Literal["bernoulli", "gaussian"] = "bernoulli"
    max_memory: float = neutral(8.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.path:
            raise ValueError("path='': needs the .npz file that holds the images")
        if not 0 < self.max_memory < 1e6:
            raise ValueError(f"max_memory={self.max_memory}: needs GiB, above 0")
        object.__setattr__(self, "factor_sizes", _sizes(self.factor_sizes))


def _sizes(value: int | str | tuple[int, ...]) -> tuple[int, ...]:
    parts = value.split(",") if isinstance(value, str) else [value] if isinstance(value, int) else value
    try:
        sizes = tuple(int(p) if isinstance(p, str) else operator.index(p) for p in parts if p != "")
    except (TypeError, ValueError):
        sizes = (0,)
    if any(size < 1 for size in sizes):
        raise ValueError(f"factor_sizes={value!r}: needs positive integers such as 3,6,40")
    return sizes


@register_dataset("npz")
class NpzImages(Dataset):
    """Your own images, with or without factors.

    The file holds ``images``, of shape (N, H, W), (N, H, W, C) or (N, C, H, W) with at most four channels,
    `uint8`, `bool` or floating point in [0, 1] (rounded to 256 levels); optionally ``factors``, integers of
    shape (N, F), and ``factor_names``, F strings. Factor values may be any integers: they are numbered from 0
    in ascending order. Images of only two values, 0 and 1, are binary. Pickled objects are refused.

    Raises
    ------
    BenchError
        Missing or damaged files, and arrays that don't fit together, in one line.
    """

    paths: ClassVar[tuple[str, ...]] = ("path",)
    named_by: ClassVar[str] = "path"
    Options = NpzOptions

    def __init__(self, options: NpzOptions) -> None:
        super().__init__(options)
        self.path = Path(options.path).expanduser()
        arrays = read_arrays(
            self.path,
            self._choose,
            max_bytes=round(options.max_memory * GIB),
            way_out="the option max_memory (GiB) allows more",
        )
        self._images, self.image_max = self._as_uint8(arrays["images"])
        self.image_shape = cast("tuple[int, int, int]", self._images.shape[1:])
        self.likelihood = options.likelihood
        self._factors: NDArray[np.int64] | None = None
        self._rows: dict[bytes, int] | None = None
        self._set_factors(arrays.get("factors"), cast("tuple[int, ...]", options.factor_sizes))
        self._set_names(arrays.get("factor_names"))

    def _choose(self, names: Sequence[str]) -> list[str]:
        if names == [""]:
            raise ValueError("one array without a name; numpy.savez(path, images=...) gives it one")
        if "images" not in names:
            raise BenchError(f"{self.path}: has no array 'images'; it has: {', '.join(names) or 'none'}")
        return [name for name in ("images", "factors", "factor_names") if name in names]

    def __len__(self) -> int:
        return len(self._images)

    def images(self, index: Index) -> Images:
        """Images of the given rows; see `bench.dataset.Dataset.images`."""
        return self._images[index]

    def factors(self, index: Index) -> NDArray[np.int64]:
        """Factor classes of the given rows, shape (n, n_factors)."""
        return super().factors(index) if self._factors is None else self._factors[index]

    def index(self, factors: NDArray[np.int64]) -> Index:
        """Rows of the given factor classes, shape (n,); the first one where several images share them.

        Raises
        ------
        BenchError
            If no image has these factors, or the factors aren't known.
        """
        if not self.factor_sizes:
            raise BenchError(f"{self.path}: has no factors")
        classes = np.asarray(factors, dtype=np.int64)
        absent = ((classes < 0) | (classes >= np.array(self.factor_sizes))).any(axis=1)
        rows = np.full(len(classes), -1, dtype=np.int64)
        if self._factors is None:
            rows[~absent] = super().index(classes[~absent])
        else:
            if self._rows is None:
                self._rows = {}
                for row, key in enumerate(self._factors):
                    self._rows.setdefault(key.tobytes(), row)
            rows[:] = [self._rows.get(key.tobytes(), -1) for key in classes]
        if (rows < 0).any():
            first = classes[np.flatnonzero(rows < 0)[0]]
            named = ", ".join(f"{name}={value}" for name, value in zip(self.factor_names, first, strict=True))
            raise BenchError(f"{self.path}: no image has {named}")
        return rows

    def fingerprint(self) -> str:
        """SHA-256 (hex) of images and factors as they are used, whatever the file's layout."""
        head = [self.image_shape, self.image_max, self.factor_names, self.factor_sizes]
        digest = hashlib.sha256(json.dumps(head).encode())
        digest.update(self._images.data)
        if self._factors is not None:
            digest.update(self._factors.data)
        return digest.hexdigest()

    def _as_uint8(self, images: NDArray[Any]) -> tuple[Images, int]:
        where = f"{self.path}: 'images' of shape {images.shape}"
        if images.ndim == 3:
            images = images[:, None]
        elif images.ndim == 4:
            last, first = images.shape[3] <= MAX_CHANNELS, images.shape[1] <= MAX_CHANNELS
            if last == first:
                raise BenchError(f"{where}: can't tell channels (1 to {MAX_CHANNELS}) from height and width")
            images = np.moveaxis(images, 3, 1) if last else images
        else:
            raise BenchError(f"{where}: needs (N, H, W), (N, H, W, C) or (N, C, H, W)")
        if images.size == 0:
            raise BenchError(f"{where}: is empty")
        if images.dtype.kind == "f":
            if not ((images >= 0) & (images <= 1)).all():
                raise BenchError(f"{where}: floating-point values must lie in [0, 1]")
            binary = bool(((images == 0) | (images == 1)).all())
            images = images if binary else np.rint(images * 255)
        elif images.dtype == np.uint8 or images.dtype == np.bool_:
            binary = bool(images.max() <= 1)
        else:
            raise BenchError(f"{where}: are {images.dtype}; needs uint8, bool or floating point in [0, 1]")
        return np.ascontiguousarray(images, dtype=np.uint8), 1 if binary else 255

    def _set_factors(self, factors: NDArray[Any] | None, sizes: tuple[int, ...]) -> None:
        count = len(self)
        if factors is None:
            product = int(np.prod(sizes, dtype=object))
            if sizes and product != count:
                shown = " x ".join(map(str, sizes))
                raise BenchError(f"{self.path}: factor_sizes {shown} = {product}, but it has {count} images")
            self.factor_sizes = sizes
            return
        if sizes:
            raise BenchError(f"{self.path}: has 'factors' already; leave factor_sizes out")
        shaped = factors.ndim == 2 and len(factors) == count and factors.shape[1] > 0
        if not shaped or factors.dtype.kind not in "iu":
            needs = f"needs integers of shape ({count}, factors)"
            raise BenchError(f"{self.path}: 'factors' are {factors.dtype} of shape {factors.shape}; {needs}")
        numbered = [np.unique(column, return_inverse=True) for column in factors.T]
        self.factor_sizes = tuple(len(values) for values, _ in numbered)
        rows = np.stack([classes for _, classes in numbered], axis=1).astype(np.int64)
        product = int(np.prod(self.factor_sizes, dtype=object))
        if product != count or (rows != super().factors(np.arange(count))).any():
            self._factors = rows

    def _set_names(self, names: NDArray[Any] | None) -> None:
        if names is None:
            self.factor_names = tuple(f"factor_{i}" for i in range(len(self.factor_sizes)))
            return
        if names.dtype.kind not in "US" or names.shape != (len(self.factor_sizes),):
            needs = f"needs {len(self.factor_sizes)} strings, one a factor"
            raise BenchError(f"{self.path}: 'factor_names' are {names.dtype} of shape {names.shape}; {needs}")
        self.factor_names = tuple(
            name.decode(errors="backslashreplace") if isinstance(name, bytes) else str(name) for name in names
        )
        if len(set(self.factor_names)) < len(names):
            raise BenchError(f"{self.path}: 'factor_names' repeat: {', '.join(self.factor_names)}")
