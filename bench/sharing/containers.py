"""Files packed into one, as zip or as tar.xz: written the same every time, and unpacked no further than they are read.

A reader trusts nothing that a header says: what isn't a plain file is refused whatever it is called, and sizes are
counted while they are read.
"""

from __future__ import annotations

import io
import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from bench.errors import BenchError

#: Most files of an archive: 8,000 runs with their pictures.
MAX_FILES = 50_000
#: Most bytes of one file, and of all together, after unpacking. Real files have up to a few hundred kilobytes.
MAX_FILE_BYTES = 16 * 2**20
MAX_BYTES = 512 * 2**20

#: Ends of the names of archives, the default first.
SUFFIXES = (".zip", ".tar.xz")

#: What a damaged container makes the standard library raise.
DAMAGED = (
    zipfile.BadZipFile, zlib.error, struct.error, lzma.LZMAError, tarfile.TarError,
    EOFError, NotImplementedError, OSError, RuntimeError, ValueError,
)  # fmt: skip

_ZIP, _XZ = b"PK", b"\xfd7zXZ\0"
_END = 22  # bytes of the record at the end of a zip
_ENTRY = 46 + 300  # bytes of an entry of the directory before it: its header, and more than the longest name
_BLOCK = tarfile.BLOCKSIZE
#: Most memory to unpack xz with: twice what `xz -9` asks for.
_XZ_MEMORY = 128 * 2**20


@dataclass(frozen=True)
class Member:
    """A file in a container.

    Attributes
    ----------
    name : str
        As it stands there, unchecked.
    read : callable
        Called once, before the next member is asked for, with the most bytes wanted: gives the content if it has no
        more, else None.
    """

    name: str
    read: Callable[[int], bytes | None]


def pack(files: Iterable[tuple[str, bytes]], suffix: str) -> bytes:
    """Pack files in the order given.

    Parameters
    ----------
    files : iterable of (str, bytes)
        Names and contents.
    suffix : str
        Of `SUFFIXES`.

    Returns
    -------
    bytes
        The same files give the same bytes (with the same zlib or liblzma): times are fixed, nobody owns them.

    Raises
    ------
    ValueError
        If a name is too long for the container.
    """
    out = io.BytesIO()
    if suffix == ".zip":
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
            for name, content in files:
                entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
                entry.compress_type = zipfile.ZIP_DEFLATED
                # Else it says on which system it was written.
                entry.create_system = 3
                entry.external_attr = (stat.S_IFREG | 0o644) << 16
                packed.writestr(entry, content)
        return out.getvalue()
    with (
        lzma.open(out, "wb", format=lzma.FORMAT_XZ, preset=6) as stream,
        tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for name, content in files:
            header = tarfile.TarInfo(name)
            header.size = len(content)
            tar.addfile(header, io.BytesIO(content))
    return out.getvalue()


def members(content: bytes, first: str) -> Iterator[Member]:
    """Go through what is packed; the container is recognised by its first bytes.

    Parameters
    ----------
    content : bytes
        What `pack` gave, or something that pretends to be.
    first : str
        Name of the file that has to come first: a zip is read from there, a tar begins with it.

    Yields
    ------
    Member
        Plain files, of different names.

    Raises
    ------
    BenchError
        No container, or one with something in it that `pack` doesn't write, or with too much.
    Exception
        One of `DAMAGED`.
    """
    if content.startswith(_ZIP):
        return _zip_members(content, first)
    if content.startswith(_XZ):
        return _tar_members(content)
    raise BenchError("is no archive of `bench export`: it doesn't begin as one")


def _zip_members(content: bytes, first: str) -> Iterator[Member]:
    _check_directory(content)
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        entries = packed.infolist()
        seen: set[str] = set()
        for entry in entries:
            name = entry.filename
            if entry.orig_filename != name or stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG):
                raise BenchError(f"holds {name!r}, which is no plain file")
            if entry.flag_bits & 1 or entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise BenchError(f"holds {name!r}, which is encrypted or packed in another way than an export's files")
            _count(name, seen)

        def read(entry: zipfile.ZipInfo, most: int) -> bytes | None:
            with packed.open(entry) as stream:
                found = stream.read(most + 1)
            return found if len(found) <= most else None

        for entry in sorted(entries, key=lambda entry: entry.filename != first):
            yield Member(entry.filename, lambda most, entry=entry: read(entry, most))  # type: ignore[misc]


def _check_directory(content: bytes) -> None:
    """Refuse a directory of millions of entries before the standard library makes objects of them."""
    end = content[-_END:]
    if len(end) < _END or not end.startswith(b"PK\x05\x06") or end[-2:] != b"\0\0":
        raise BenchError("is no archive of `bench export`: it doesn't end as one")
    wide = content[-_END - 20 :].startswith(b"PK\x06\x07")
    if wide or int.from_bytes(end[12:16], "little") > MAX_FILES * _ENTRY:
        raise BenchError(f"has more files than a study's archive may have ({MAX_FILES:,})")


def _tar_members(content: bytes) -> Iterator[Member]:
    """Read block by block: the standard library would follow headers that hold long names, links and sparse files."""
    stream = _Xz(content)
    seen: set[str] = set()
    while (block := stream.read(_BLOCK)) != bytes(_BLOCK):
        header = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
        if header.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or header.size < 0:
            raise BenchError(f"holds {header.name!r}, which is no plain file")
        _count(header.name, seen)
        taken = False

        def read(most: int, size: int = header.size) -> bytes | None:
            nonlocal taken
            if size > most:
                return None
            taken = True
            return stream.read(size + -size % _BLOCK)[:size]

        yield Member(header.name, read)
        if not taken:
            raise ValueError("a file was left unread")
    if stream.rest(tarfile.RECORDSIZE).strip(b"\0"):
        raise BenchError("is damaged: something follows its end")


def _count(name: str, seen: set[str]) -> None:
    """Refuse one file too many, and two names that are one file on some systems since they differ in case only."""
    if name.casefold() in seen:
        raise BenchError(f"holds {name!r} twice")
    seen.add(name.casefold())
    if len(seen) > MAX_FILES + 1:
        raise BenchError(f"has more files than a study's archive may have ({MAX_FILES:,})")


class _Xz:
    """What one xz stream holds, unpacked only as far as it is asked for."""

    def __init__(self, content: bytes) -> None:
        self._unpacker = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)
        self._packed = content

    def read(self, size: int) -> bytes:
        """Exactly `size` bytes."""
        found = self._up_to(size)
        if len(found) < size:
            raise EOFError("it ends too early")
        return found

    def rest(self, most: int) -> bytes:
        """What is left up to the end, which has to come within `most` bytes."""
        found = self._up_to(most + 1)
        if len(found) > most or self._unpacker.unused_data:
            raise BenchError("is damaged: something follows its end")
        if not self._unpacker.eof:
            raise EOFError("it ends too early")
        return found

    def _up_to(self, size: int) -> bytes:
        parts = []
        while size and not self._unpacker.eof:
            part = self._unpacker.decompress(self._packed, size)
            self._packed = b""
            if not part and self._unpacker.needs_input:
                break
            parts.append(part)
            size -= len(part)
        return b"".join(parts)
