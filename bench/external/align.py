"""Rows of several files put in one order, so that what is compared row by row shows the same images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import BenchError
from bench.external.codes import Representation

WAY_OUT = "give each file an 'index' of its rows and say --dataset, or write all files in one order"


def aligned_rows(representations: Sequence[Representation]) -> tuple[list[NDArray[np.int64]], str]:
    """Rows of each representation that show the same images in the same order, in that of the first.

    Parameters
    ----------
    representations : sequence of Representation
        Told apart by their rows of a dataset where they have these, else by their factors.

    Returns
    -------
    rows : list of ndarray of shape (n,), int64
        The images that all of them have.
    warning : str
        That nothing tells which images they show, so that row n of each is taken for the same one; else empty.

    Raises
    ------
    BenchError
        Images that are in a file twice, factors that don't tell which image is which, or hardly an image in common.
    """
    first, names = representations[0], [item.name for item in representations]
    keys = [_identity(item, first) for item in representations]
    with_keys = [key for key in keys if key is not None]
    if len(with_keys) < len(keys):
        _same_length(representations)
        if any(key != with_keys[0] for key in with_keys):
            without = ", ".join(name for name, key in zip(names, keys, strict=True) if key is None)
            raise BenchError(f"rows are in different orders, and nothing tells those of {without}; {WAY_OUT}")
        everything = np.arange(len(first.inputs["codes"]))
        return [everything] * len(keys), (
            "nothing tells which images the files' rows show: row n of each is taken for the same one; an 'index' with "
            "--dataset, or 'factors', would tell"
        )
    if all(key == with_keys[0] for key in with_keys):
        return [np.arange(len(with_keys[0]))] * len(keys), ""
    places = []
    for name, key in zip(names, with_keys, strict=True):
        place = {value: row for row, value in enumerate(key)}
        if len(place) < len(key):
            what = "images" if first.rows is not None else "combinations of factors"
            raise BenchError(
                f"{name}: {len(key) - len(place):,} of {len(key):,} rows repeat {what} of others, and its order isn't "
                f"that of {names[0] if name != names[0] else 'the other files'}: which rows belong together can't be "
                f"told; {WAY_OUT}"
            )
        places.append(place)
    common = [value for value in with_keys[0] if all(value in place for place in places)]
    if len(common) < min(len(key) for key in with_keys) / 2:
        raise BenchError(
            f"{', '.join(names)} have {len(common):,} images in common, of {min(map(len, with_keys)):,} at least: "
            "encode the same images with every model"
        )
    return [np.array([place[value] for value in common], dtype=np.int64) for place in places], ""


def _identity(item: Representation, first: Representation) -> list[Any] | None:
    """What tells the images of a representation's rows, row by row; None where nothing does."""
    if item.rows is not None:
        return list(item.rows.tolist())
    if "factors" not in item.inputs:
        return None
    factors, order = item.inputs["factors"], list(range(len(item.factor_names)))
    if len(factors) != len(item.inputs["codes"]):
        raise BenchError(f"{item.name}: {len(factors):,} rows of factors for {len(item.inputs['codes']):,} codes")
    if item.factor_names != first.factor_names:
        if sorted(item.factor_names) != sorted(first.factor_names) or len(set(item.factor_names)) < len(order):
            ours, theirs = ", ".join(first.factor_names), ", ".join(item.factor_names)
            raise BenchError(f"{first.name} and {item.name} have other factors ({ours}; {theirs}); {WAY_OUT}")
        order = [item.factor_names.index(name) for name in first.factor_names]
    return list(map(tuple, factors[:, order].tolist()))


def _same_length(representations: Sequence[Representation]) -> None:
    sizes = [len(item.inputs["codes"]) for item in representations]
    if len(set(sizes)) > 1:
        raise BenchError(f"all models need codes of the same images, got {sizes} rows; {WAY_OUT}")
