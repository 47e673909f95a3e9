"""Images in a file of plain bytes, read row by row.

Not a memory map: the pages that batches have touched would count as the process's memory, and after an epoch they are
the whole file.
"""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.dataset import Index
from bench.errors import BenchError, reason


class RowsFile:
    """A file of images, one after the other; nothing stays open or in memory between two reads.

    Parameters
    ----------
    path : Path
    shape : tuple of int
        ``(n, C, h, w)``.

    Raises
    ------
    BenchError
        If the file has another size.
    """

    def __init__(self, path: Path, shape: tuple[int, ...]) -> None:
        self.path, self.shape = path, shape
        size = path.stat().st_size if path.is_file() else -1
        if size != math.prod(shape):
            raise BenchError(f"{path}: isn't what {path.stem}.json says; delete both, they are made again")

    def __getitem__(self, rows: Index) -> NDArray[np.uint8]:
        """Images of the given rows, shape (n, C, h, w).

        Raises
        ------
        BenchError
            If they can't be read.
        """
        images = np.empty((len(rows), *self.shape[1:]), dtype=np.uint8)
        if not len(rows):
            return images
        size, flat = math.prod(self.shape[1:]), images.reshape(-1).data
        # Where a row isn't the one after the last, the next read begins.
        starts = np.flatnonzero(np.diff(rows, prepend=-2) != 1).tolist()
        try:
            with self.path.open("rb", buffering=0) as file:
                if hasattr(os, "posix_fadvise") and len(starts) > 1:
                    # The system would read far beyond each row.
                    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
                for start, stop in zip(starts, [*starts[1:], len(rows)], strict=True):
                    file.seek(int(rows[start]) * size)
                    here = flat[start * size : stop * size]
                    while here:
                        got = file.readinto(here)
                        if not got:
                            raise BenchError(f"{self.path}: ends before row {int(rows[stop - 1]):,}")
                        here = here[got:]
        except OSError as error:
            raise BenchError(f"{self.path}: can't be read: {reason(error)}") from None
        return images
