"""A user's own folder of pictures, with a table of factors where they are known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from bench.dataset import register_dataset
from bench.datasets._csv import read_table
from bench.datasets._own import OwnImages, OwnOptions, stacked
from bench.datasets._pictures import decoded
from bench.errors import BenchError
from bench.npz import reading

ENDINGS = (".png", ".jpg", ".jpeg")
#: No larger file is read.
MAX_FILE = 256 * 2**20


@dataclass(frozen=True, kw_only=True)
class FolderOptions(OwnOptions):
    """Options of `FolderImages`: those of `bench.datasets._own.OwnOptions`, and one.

    Attributes
    ----------
    table : str
        CSV of factors and labels: a heading; the first column names the files, a column "label" is the class label,
        each other one a factor. Empty: neither is known.
    """

    table: str = ""


@register_dataset("folder")
class FolderImages(OwnImages):
    """Your own PNG and JPEG files in a folder, those in its subfolders included.

    In the order of their names. All are of one size unless `size` makes them squares; where some are grey and some in
    colour, all are in colour; what is transparent stands on white. Files and folders whose names begin with a dot are
    left out. Values of a factor are numbered in the order of numbers where all are numbers, else in the alphabet's.
    Factors need not multiply out: `remarks` says so where they don't.

    Raises
    ------
    BenchError
        In one line that names the file: no pictures, a broken one, one of another size, a table that doesn't fit.
    """

    paths: ClassVar[tuple[str, ...]] = ("path", "table")
    licence = "yours"
    Options = FolderOptions

    def __init__(self, options: FolderOptions) -> None:
        super().__init__(options)
        names = self._names()
        table: dict[str, Any] = read_table(Path(options.table).expanduser(), names) if options.table else {}
        self.hold(stacked(self._pictures(names), size=options.size, max_memory=options.max_memory), **table)

    def _names(self) -> list[str]:
        if not self.path.is_dir():
            raise BenchError(f"{self.path}: {'no folder' if self.path.exists() else 'no such folder'}")
        files = (file.relative_to(self.path) for file in self.path.rglob("*") if file.suffix.lower() in ENDINGS)
        names = [file.as_posix() for file in files if not any(part.startswith(".") for part in file.parts)]
        if not names:
            raise BenchError(f"{self.path}: holds no picture, {', '.join(ENDINGS)}")
        return sorted(names)

    def _pictures(self, names: list[str]) -> Iterator[tuple[str, NDArray[np.uint8]]]:
        for name in names:
            file = self.path / name
            with reading(file):
                if file.stat().st_size > MAX_FILE:
                    raise BenchError(f"{file}: takes more than {MAX_FILE:,} bytes")
                content = file.read_bytes()
            yield str(file), decoded(content, str(file), grey=True if self.options.grey else None)
