"""The user's own images, from one ``.npz`` file."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

from bench.dataset import register_dataset
from bench.datasets._own import OwnImages, as_uint8
from bench.errors import BenchError
from bench.neutral import neutral
from bench.npz import GIB, read_arrays
from bench.rows import RowOptions


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
class NpzImages(OwnImages):
    """Your own images, with or without factors.

    The file holds ``images``, of shape (N, H, W), (N, H, W, C) or (N, C, H, W) with at most four channels,
    `uint8`, `bool` or floating point in [0, 1] (rounded to 256 levels); optionally ``factors``, integers of
    shape (N, F), and ``factor_names``, F strings; optionally ``labels``, whole numbers of shape (N,), the class of each
    image, and ``label_names``, a string per class. Values of factors and labels may be any integers: they are numbered
    from 0 in ascending order, but for labels that are places among `label_names`. Images of only two values, 0 and 1,
    are binary. Pickled objects are refused.

    Raises
    ------
    BenchError
        Missing or damaged files, and arrays that don't fit together, in one line.
    """

    Options = NpzOptions

    def __init__(self, options: NpzOptions) -> None:
        super().__init__(options)
        arrays = read_arrays(
            self.path,
            self._choose,
            max_bytes=round(options.max_memory * GIB),
            way_out="the option max_memory (GiB) allows more",
        )
        self.hold(
            as_uint8(arrays["images"], self.path),
            factors=arrays.get("factors"),
            sizes=cast("tuple[int, ...]", options.factor_sizes),
            names=arrays.get("factor_names"),
            labels=arrays.get("labels"),
            label_names=arrays.get("label_names"),
        )

    def _choose(self, names: Sequence[str]) -> list[str]:
        if names == [""]:
            raise ValueError("one array without a name; numpy.savez(path, images=...) gives it one")
        if "images" not in names:
            raise BenchError(f"{self.path}: has no array 'images'; it has: {', '.join(names) or 'none'}")
        return [name for name in ("images", "factors", "factor_names", "labels", "label_names") if name in names]
