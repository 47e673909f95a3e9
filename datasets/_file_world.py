"""Data sets of the field from their authors' files: found, checked against their checksums, laid out as one array."""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
import math
import os
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from bench.dataset import Index
from bench.errors import BenchError, reason
from bench.files import fsync, json_text, read_json, write_text
from bench.world import World

#: Up to this many bytes the images of a data set are in memory; above it they are laid out in a file that is mapped.
IN_MEMORY = 256 * 2**20


@dataclass(frozen=True)
class DataFile:
    """A file as its authors publish it.

    Attributes
    ----------
    name : str
        Under which it lies in the data set's folder.
    urls : tuple of str
        Where it is to be had; empty where none was verified.
    checksum : str
        ``"sha256:..."`` or ``"md5:..."``; empty where none is known: the file is then taken as it is.
    size : int
        In bytes; 0 where it isn't known.
    """

    name: str
    urls: tuple[str, ...] = ()
    checksum: str = ""
    size: int = 0


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
        return np.asarray(self._native[rows])

    def identity(self) -> str:
        """SHA-256 of the files' own."""
        return hashlib.sha256(json.dumps(self.checksums).encode()).hexdigest()

    @functools.cached_property
    def paths_of_files(self) -> list[Path]:
        """Where the files are.

        Raises
        ------
        BenchError
            If one isn't there; it says what should be where.
        """
        root = data_folder() / self.folder
        for file in self.wanted():
            if not (root / file.name).is_file():
                urls = (
                    f"; it is published at {file.urls[0]}" if file.urls else f"; see {self.citation.rsplit(', ')[-1]}"
                )
                raise BenchError(f"{root / file.name}: no such file{urls}")
        return [root / file.name for file in self.wanted()]

    @functools.cached_property
    def checksums(self) -> list[str]:
        """SHA-256 of each file, checked against what is published; from the record where images are laid out.

        Raises
        ------
        BenchError
            A file that isn't there, or has another checksum.
        """
        record = self._laid_out.with_suffix(".json")
        if record.is_file():
            found = read_json(record)
            if isinstance(found, dict) and isinstance(found.get("sources"), list):
                return [str(each) for each in found["sources"]]
        return [checked(path, file) for path, file in zip(self.paths_of_files, self.wanted(), strict=True)]

    @property
    def _laid_out(self) -> Path:
        return cache_folder() / self.folder / f"{self.detail()}.u8"

    @functools.cached_property
    def _native(self) -> NDArray[np.uint8]:
        total = self.count() if not self.options.full else math.prod(self.options.full.values())
        record = self._laid_out.with_suffix(".json")
        if record.is_file():
            return _mapped(self._laid_out, record)
        sources = self.checksums
        blocks = self.parse(self.paths_of_files)
        first = next(blocks)
        shape = (total, *first.shape[1:])
        if math.prod(shape) <= IN_MEMORY:
            images = np.concatenate([first, *blocks])
            _check(images, shape, self.folder)
            if len(images) != total:
                raise BenchError(f"dataset '{self.folder}': its files hold {len(images)} images; needs {total}")
            return images
        try:
            lay_out(self._laid_out, shape, first, blocks, sources)
        except OSError as error:
            raise BenchError(f"{self._laid_out}: can't be written: {reason(error)}") from None
        return _mapped(self._laid_out, record)


def data_folder() -> Path:
    """Where data sets' files are: ``$BENCH_DATA``, or the user's cache folder."""
    given = os.environ.get("BENCH_DATA", "")
    return Path(given).expanduser() if given else cache_folder()


def cache_folder() -> Path:
    """``disbench`` in ``$XDG_CACHE_HOME``, by default ``~/.cache``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "disbench"


def checked(path: Path, file: DataFile) -> str:
    """SHA-256 of a file that is what it should be.

    Raises
    ------
    BenchError
        If its checksum isn't the published one, with both.
    """
    if file.size and path.stat().st_size != file.size:
        raise BenchError(f"{path}: has {path.stat().st_size:,} bytes; the published file has {file.size:,}")
    kind, _, published = (file.checksum or "sha256:").partition(":")
    digests = {name: hashlib.new(name, usedforsecurity=False) for name in {kind, "sha256"}}
    with path.open("rb") as content:
        while chunk := content.read(2**22):
            for digest in digests.values():
                digest.update(chunk)
    found = digests[kind].hexdigest()
    if published and found != published:
        raise BenchError(f"{path}: has {kind} {found}; the published file has {published}")
    return digests["sha256"].hexdigest()


def lay_out(
    path: Path,
    shape: tuple[int, ...],
    first: NDArray[np.uint8],
    blocks: Iterator[NDArray[np.uint8]],
    sources: Sequence[str],
) -> None:
    """Write images as bytes to a file, and a record of them beside it, which comes last.

    A process that is killed in between leaves a file ``*.part`` and nothing that is taken for whole; of two at once the
    last one's stands, which holds the same.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        rows = 0
        # Not a writable map: a full disk would end the process.
        with part.open("wb") as file:
            for block in itertools.chain([first], blocks):
                _check(block, shape, path)
                file.write(np.ascontiguousarray(block).data)
                rows += len(block)
        if rows != shape[0]:
            raise BenchError(f"{path}: would hold {rows} images; needs {shape[0]}")
        fsync(part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    write_text(path.with_suffix(".json"), json_text({"shape": list(shape), "sources": list(sources)}))


def _check(block: NDArray[Any], shape: tuple[int, ...], where: object) -> None:
    if block.dtype != np.uint8 or block.shape[1:] != shape[1:]:
        raise BenchError(f"{where}: images are {block.dtype} of shape {block.shape[1:]}; needs uint8 {shape[1:]}")


def _mapped(path: Path, record: Path) -> NDArray[np.uint8]:
    shape = tuple(int(size) for size in read_json(record)["shape"])
    if not path.is_file() or path.stat().st_size != math.prod(shape):
        raise BenchError(f"{path}: isn't what {record.name} says; delete both, they are made again")
    return np.memmap(path, dtype=np.uint8, mode="r", shape=shape)
