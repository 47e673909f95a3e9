"""Data sets of the field from their authors' files: found, checked against their checksums, laid out as one array."""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
import math
import os
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from bench.data.rows_file import RowsFile
from bench.data.source import DataFile, cache_folder, checked, data_folder
from bench.dataset import Index
from bench.errors import BenchError, reason
from bench.files import fsync, json_text, read_json, sha256, write_text
from bench.world import World

#: Up to this many bytes images are in memory; above it they are laid out in a file whose rows are read.
IN_MEMORY = 256 * 2**20


class FileWorld(World):
    """Images out of files in ``$BENCH_DATA/<name>/``, or ``disbench/<name>/`` in the user's cache folder.

    A subclass gives `folder`, `files` and `parse`. Nothing is read before images are asked for, and nothing is ever
    downloaded here.

    Attributes
    ----------
    folder : str
        Of the data set, in the data folder.
    files : tuple of DataFile
        All of them; `wanted` says which the options need.
    """

    folder: ClassVar[str]
    files: ClassVar[tuple[DataFile, ...]]

    def wanted(self) -> Sequence[DataFile]:
        """Files that these options need, in the order in which `parse` takes their paths."""
        return self.files

    def detail(self) -> str:
        """What of the options decides what `parse` gives, for the name of what it is laid out in."""
        return "all"

    @abstractmethod
    def parse(self, paths: Sequence[Path]) -> Iterator[NDArray[np.uint8]]:
        """Blocks (n, C, h, w) of native images in the order of the whole grid's rows, all of one size."""

    def native(self, rows: Index) -> NDArray[np.uint8]:
        """Images of rows of the whole grid.

        Raises
        ------
        BenchError
            A file that isn't there, isn't what it should be, or can't be laid out.
        """
        return self._native[rows]

    def identity(self) -> str:
        """SHA-256 of the files' own."""
        return hashlib.sha256(json.dumps(self.checksums).encode()).hexdigest()

    def places(self) -> list[tuple[DataFile, Path]]:
        """Each file of `wanted`, and where it is looked for."""
        return [(file, data_folder() / self.folder / file.name) for file in self.wanted()]

    @functools.cached_property
    def paths_of_files(self) -> list[Path]:
        """Where the files are.

        Raises
        ------
        BenchError
            If one isn't there; it says what should be where.
        """
        for file, path in self.places():
            if not path.is_file():
                urls = (
                    f"; it is published at {file.urls[0]}: bench data fetch {self.folder}"
                    if file.urls
                    else f"; see {self.citation.rsplit(', ')[-1]}"
                )
                raise BenchError(f"{path}: no such file{urls}")
        return [path for _, path in self.places()]

    @functools.cached_property
    def checksums(self) -> list[str]:
        """SHA-256 of each file, checked against what is published; from the record where images are laid out.

        Raises
        ------
        BenchError
            A file that isn't there, or has another checksum.
        """
        record = self._recorded()
        if record is not None:
            return [str(each) for each in record["sources"]]
        return [checked(path, file) for path, file in zip(self.paths_of_files, self.wanted(), strict=True)]

    @property
    def laid_out(self) -> Path:
        """Where the images are or would be laid out; a record of the same name, ``.json``, beside it."""
        return cache_folder() / self.folder / f"{self.detail()}.u8"

    def prepare(self) -> Path:
        """Lay the images out, once, whatever their size; a process that does the same is waited for.

        Raises
        ------
        BenchError
            A file that isn't there or isn't what was published; a full disk; no permission.
        """
        try:
            self.laid_out.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(self.laid_out.with_suffix(".lock")):
                if self._recorded() is None:
                    # Of processes that were killed: no other one writes while this one holds the lock.
                    for left in self.laid_out.parent.glob(f"{self.laid_out.name}.*.part"):
                        left.unlink()
                    paths = self.paths_of_files
                    stamps = {path.name: self._stamp(path) for path in paths}
                    about = {"sources": self.checksums, "stamps": stamps}
                    blocks = self.parse(paths)
                    first = next(blocks)
                    lay_out(self.laid_out, (self.count(), *first.shape[1:]), first, blocks, about)
        except OSError as error:
            raise BenchError(f"{self.laid_out}: can't be written: {reason(error)}") from None
        return self.laid_out

    def verify(self) -> None:
        """Check the files that are there, and what is laid out, byte for byte.

        Raises
        ------
        BenchError
            What isn't what it should be, with both checksums.
        """
        for file, path in self.places():
            if path.is_file():
                checked(path, file)
        record = self._recorded()
        if record is not None:
            found = sha256(self.laid_out)
            if found != record["sha256"]:
                raise BenchError(
                    f"{self.laid_out}: has sha256 {found}; it was laid out with {record['sha256']}; delete it and "
                    f"{self.laid_out.with_suffix('.json').name}, they are made again"
                )

    def _recorded(self) -> dict[str, Any] | None:
        """What is known of the laid out images; None if there are none, or a file has changed since."""
        record = self.laid_out.with_suffix(".json")
        if not record.is_file():
            return None
        found = read_json(record)
        if not isinstance(found, dict) or not {"shape", "sources", "sha256", "stamps"} <= found.keys():
            raise BenchError(f"{record}: isn't a record of laid out images; delete it, it is made again")
        for name, stamp in found["stamps"].items():
            path = data_folder() / self.folder / name
            if path.is_file() and self._stamp(path) != stamp:
                return None
        return found

    @staticmethod
    def _stamp(path: Path) -> list[int]:
        status = path.stat()
        return [status.st_size, status.st_mtime_ns]

    @functools.cached_property
    def _native(self) -> NDArray[np.uint8] | RowsFile:
        record = self._recorded()
        if record is None:
            _ = self.checksums
            blocks = self.parse(self.paths_of_files)
            first = next(blocks)
            shape = (self.count(), *first.shape[1:])
            if math.prod(shape) <= IN_MEMORY:
                images = np.concatenate([first, *blocks])
                _check(images, shape, self.folder)
                if len(images) != self.count():
                    raise BenchError(
                        f"dataset '{self.folder}': its files hold {len(images)} images; needs {self.count()}"
                    )
                return images
            self.prepare()
            record = self._recorded()
            if record is None:
                raise BenchError(f"{self.laid_out}: was taken away, or its files changed, while it was laid out")
        return RowsFile(self.laid_out, tuple(int(size) for size in record["shape"]))


def lay_out(
    path: Path,
    shape: tuple[int, ...],
    first: NDArray[np.uint8],
    blocks: Iterator[NDArray[np.uint8]],
    about: Mapping[str, Any],
) -> None:
    """Write images as bytes to a file, and a record of them beside it, which comes last.

    A process that is killed in between leaves a file ``*.part`` and nothing that is taken for whole.
    """
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    digest = hashlib.sha256()
    try:
        rows = 0
        # Not a writable map: a full disk would end the process.
        with part.open("wb") as file:
            for block in itertools.chain([first], blocks):
                _check(block, shape, path)
                content = np.ascontiguousarray(block).data
                file.write(content)
                digest.update(content)
                rows += len(block)
        if rows != shape[0]:
            raise BenchError(f"{path}: would hold {rows} images; needs {shape[0]}")
        fsync(part)
        # Of other bytes until the new one is written.
        path.with_suffix(".json").unlink(missing_ok=True)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    record = {"shape": list(shape), "sha256": digest.hexdigest(), **about}
    write_text(path.with_suffix(".json"), json_text(record))


def _check(block: NDArray[Any], shape: tuple[int, ...], where: object) -> None:
    if block.dtype != np.uint8 or block.shape[1:] != shape[1:]:
        raise BenchError(f"{where}: images are {block.dtype} of shape {block.shape[1:]}; needs uint8 {shape[1:]}")
