"""A data set of Hugging Face's that lies on disk as Parquet, its pictures as bytes in a column."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.dataset import register_dataset
from bench.datasets._blocks import named
from bench.datasets._own import OwnImages, OwnOptions, numbered, stacked
from bench.datasets._pictures import decoded
from bench.errors import BenchError, did_you_mean

#: Rows read at a time.
ROWS = 256


@dataclass(frozen=True, kw_only=True)
class ParquetOptions(OwnOptions):
    """Options of `ParquetImages`: those of `bench.datasets._own.OwnOptions`, and which columns hold what.

    Attributes
    ----------
    image : str
        Column of pictures: PNG or JPEG as bytes, or Hugging Face's structure with a field ``bytes``.
    label : str
        Column of class labels, integers or texts; empty: none. The default need not be there.
    factors : str or tuple of str
        Columns of factors, written as ``"hue,shape"`` or a sequence.
    """

    image: str = "image"
    label: str = "label"
    factors: str | tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        parts = self.factors.split(",") if isinstance(self.factors, str) else self.factors
        object.__setattr__(self, "factors", tuple(part.strip() for part in parts if part.strip()))


@register_dataset("parquet")
class ParquetImages(OwnImages):
    """A Hugging Face data set on disk, from one Parquet file or a folder of them; needs ``disbench[parquet]``.

    Files of a folder are taken in the order of their names, and must have the same columns. All pictures are of one
    size unless `size` makes them squares. Names of labels are those that Hugging Face's metadata give.

    Raises
    ------
    BenchError
        In one line that names the file, and the row in it: missing, damaged, no such column, a broken picture.
    """

    licence = "yours"
    Options = ParquetOptions

    def __init__(self, options: ParquetOptions) -> None:
        super().__init__(options)
        pyarrow = _pyarrow(self.path)
        files = [self.path]
        if self.path.is_dir():
            files = sorted(self.path.rglob("*.parquet"))
            if not files:
                raise BenchError(f"{self.path}: holds no .parquet file")
        self._values: dict[str, list[Any]] = {name: [] for name in options.factors}
        self._label_names: tuple[str, ...] = ()
        self._names_from: Path | None = None
        rows = (row for file in files for row in self._rows_of(file, pyarrow))
        first = next(rows, None)
        if first is None:
            raise BenchError(f"{self.path}: has no rows")
        images = stacked(itertools.chain([first], rows), size=options.size, max_memory=options.max_memory)
        found = {name: numbered([str(value) for value in self._values.pop(name)])[0] for name in options.factors}
        labels, label_names = self._labels_of(self._values.get(options.label))
        self.hold(
            images,
            factors=np.stack(list(found.values()), axis=1) if found else None,
            names=np.array(list(found)) if found else None,
            labels=labels,
            label_names=label_names,
        )

    def _rows_of(self, file: Path, pyarrow: Any) -> Iterator[tuple[str, NDArray[np.uint8]]]:
        """Names and pictures of a file's rows; what its other columns hold goes to `_values`."""
        return named(file, self._rows_read(file, pyarrow))

    def _rows_read(self, file: Path, pyarrow: Any) -> Iterator[tuple[str, NDArray[np.uint8]]]:
        image, label = self.options.image, self.options.label
        with pyarrow.ParquetFile(file) as parquet:
            schema = parquet.schema_arrow
            others = [
                *self.options.factors,
                *([label] if label and (label != "label" or label in schema.names) else []),
            ]
            for name in (image, *others):
                if name not in schema.names:
                    near = did_you_mean(name, schema.names)
                    raise BenchError(f"{file}: has no column '{name}'{near}; it has: {', '.join(schema.names)}")
            names = _class_names(schema.metadata or {}, label)
            if self._names_from and names != self._label_names:
                raise BenchError(f"{file}: column '{label}' has other names of classes than in {self._names_from}")
            self._label_names, self._names_from = names, file
            before = 0
            for batch in parquet.iter_batches(batch_size=ROWS, columns=[image, *others]):
                table = batch.to_pydict()
                for name in others:
                    self._values.setdefault(name, []).extend(table[name])
                for place, value in enumerate(table[image]):
                    where = f"{file}: row {before + place + 1}"
                    content = value.get("bytes") if isinstance(value, dict) else value
                    if not isinstance(content, bytes):
                        raise BenchError(f"{where}: column '{image}' holds no picture as bytes")
                    if any(table[name][place] is None for name in others):
                        raise BenchError(f"{where}: a factor or the label is missing")
                    yield where, decoded(content, where, grey=True if self.options.grey else None)
                before += len(table[image])

    def _labels_of(self, values: list[Any] | None) -> tuple[NDArray[np.int64] | None, NDArray[np.str_] | None]:
        if values is None:
            return None, None
        if self._label_names and all(isinstance(value, int) for value in values):
            # Places among the names, of which -1, Hugging Face's "not known", is none.
            last = len(self._label_names) - 1
            row = next((row for row, value in enumerate(values, start=1) if not 0 <= value <= last), None)
            if row is not None:
                raise BenchError(
                    f"{self.path}: column '{self.options.label}' holds {values[row - 1]} in row {row} of all; its "
                    f"names of classes go from 0 to {last}"
                )
            return np.array(values, dtype=np.int64), np.array(self._label_names)
        classes, texts = numbered([str(value) for value in values])
        return classes, np.array(texts)


def _pyarrow(path: Path) -> Any:
    try:
        import pyarrow.parquet
    except ImportError:
        raise BenchError(f"{path}: Parquet needs PyArrow; install disbench[parquet]") from None
    return pyarrow.parquet


def _class_names(metadata: Mapping[bytes, bytes], column: str) -> tuple[str, ...]:
    """Names that Hugging Face's metadata give to the classes of a column; none where they don't."""
    try:
        names = json.loads(metadata[b"huggingface"])["info"]["features"][column]["names"]
    except (KeyError, TypeError, ValueError):
        return ()
    return tuple(map(str, names)) if isinstance(names, list) else ()
