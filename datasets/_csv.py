"""A table of factors and labels beside a folder of images."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.datasets._own import numbered
from bench.errors import BenchError
from bench.npz import DamagedError, reading

#: The column of class labels; the first column names the files, all others are factors.
LABEL = "label"
MAX_BYTES = 256 * 2**20


def read_table(path: Path, pictures: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Factors and labels of pictures, for `bench.datasets._own.OwnImages.hold`.

    Parameters
    ----------
    path : Path
        CSV with a heading. The first column holds names of files, in the folder's terms or alone where that is clear;
        a column "label" the class label; each other one a factor, of which equal texts are equal values.
    pictures : sequence of str
        The pictures, ``"cars/red.png"``.

    Returns
    -------
    dict
        ``factors`` (N, F) int64 and ``names`` (F,), ``labels`` (N,) int64 and ``label_names``, where there are any; in
        the order of `pictures`.

    Raises
    ------
    BenchError
        In one line that names the file, and the row in it: unreadable, a row too many, twice or missing, an empty or
        missing value, a heading that repeats.
    """
    with reading(path):
        if path.stat().st_size > MAX_BYTES:
            raise DamagedError(f"more than {MAX_BYTES:,} bytes")
        with path.open(encoding="utf-8-sig", newline="") as file:
            heading, *rows = list(csv.reader(file)) or [[]]
    columns = [name.strip() for name in heading[1:]]
    if not columns or not all(columns) or len(set(columns)) < len(columns):
        shown = ",".join(heading)
        raise BenchError(f"{path}: its first line is '{shown}'; needs 'file' and the names of factors, each once")
    found = _by_picture(path, rows, pictures, columns)
    table = list(zip(*(found[picture] for picture in pictures), strict=True))
    numbers = {name: numbered(values) for name, values in zip(columns, table, strict=True)}
    result: dict[str, NDArray[Any]] = {}
    if LABEL in numbers:
        result["labels"], texts = numbers.pop(LABEL)
        result["label_names"] = np.array(texts)
    if numbers:
        result["factors"] = np.stack([classes for classes, _ in numbers.values()], axis=1)
        result["names"] = np.array(list(numbers))
    return result


def _by_picture(
    path: Path, rows: Sequence[Sequence[str]], pictures: Sequence[str], columns: Sequence[str]
) -> dict[str, list[str]]:
    whole: dict[str, list[str]] = {}
    for picture in pictures:
        whole.setdefault(PurePosixPath(picture).name, []).append(picture)
    known, found = set(pictures), {}
    for number, row in enumerate(rows, start=2):
        if not any(map(str.strip, row)):
            continue
        if len(row) != len(columns) + 1 or not all(map(str.strip, row)):
            raise BenchError(f"{path}: row {number} needs {len(columns) + 1} values, a file's name and {len(columns)}")
        name, values = row[0].strip().removeprefix("./"), [value.strip() for value in row[1:]]
        alone = whole.get(name, [])
        if name not in known and len(alone) > 1:
            raise BenchError(f"{path}: row {number} names '{name}', which may be '{alone[0]}' or '{alone[1]}'")
        if name not in known and not alone:
            raise BenchError(f"{path}: row {number} names '{name}', which isn't in the folder")
        picture = name if name in known else alone[0]
        if picture in found:
            raise BenchError(f"{path}: row {number} names '{name}' a second time")
        found[picture] = values
    missing = [picture for picture in pictures if picture not in found]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise BenchError(f"{path}: has no row for '{missing[0]}'{more}")
    return found
