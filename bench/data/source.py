"""Published files: where they are looked for, and whether they are what was published."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from bench.errors import BenchError, reason

#: Bytes read at a time.
CHUNK = 2**22


@dataclass(frozen=True)
class DataFile:
    """A file as its authors publish it.

    Attributes
    ----------
    name : str
        Under which it lies in the data set's folder.
    urls : tuple of str
        Where it is to be had, mirrors after the first; empty where none was verified.
    checksum : str
        ``"sha256:..."``, ``"md5:..."`` or ``"git-blob-sha1:..."`` (Git's name of the content); empty where none is
        known: the file is then taken as it is.
    size : int
        In bytes; 0 where it isn't known.
    """

    name: str
    urls: tuple[str, ...] = ()
    checksum: str = ""
    size: int = 0


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
        If its size or checksum isn't the published one, with both; if it can't be read.
    """
    kind, _, published = (file.checksum or "sha256:").partition(":")
    try:
        size = path.stat().st_size
        if file.size and size != file.size:
            raise BenchError(f"{path}: has {size:,} bytes; the published file has {file.size:,}")
        digests = {"sha256": hashlib.sha256()}
        if kind == "git-blob-sha1":
            digests[kind] = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
        elif kind not in digests:
            digests[kind] = hashlib.new(kind, usedforsecurity=False)
        with path.open("rb") as content:
            while chunk := content.read(CHUNK):
                for digest in digests.values():
                    digest.update(chunk)
    except OSError as error:
        raise BenchError(f"{path}: can't be read: {reason(error)}") from None
    found = digests[kind].hexdigest()
    if published and found != published:
        raise BenchError(f"{path}: has {kind} {found}; the published file has {published}")
    return digests["sha256"].hexdigest()
