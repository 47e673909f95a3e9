"""NumPy's files from strangers: only the arrays that are asked for, none larger than allowed, no Python object ever."""

from __future__ import annotations

import contextlib
import math
import sys
import warnings
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import BenchError, in_words

GIB = 2**30


class DamagedError(ValueError):
    """An array that isn't what its header or its archive says; in words that need no type of error before them."""


@dataclass(frozen=True)
class Header:
    """What a file says of an array before any of its values is read.

    Attributes
    ----------
    shape : tuple of int
    fortran : bool
        Whether its first axis is the fastest.
    dtype : numpy.dtype
    size : int
        Bytes of the header.
    """

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]
    size: int

    @property
    def nbytes(self) -> int:
        """Bytes of the values."""
        return math.prod(self.shape) * self.dtype.itemsize


@contextlib.contextmanager
def reading(path: Path, where: str = "") -> Iterator[None]:
    """Turn whatever goes wrong while `path` is read into one line that names it.

    Raises
    ------
    BenchError
        No such file, or it is truncated, damaged or of another format.
    """
    where = where or str(path)
    if not path.is_file():
        raise BenchError(f"{where}: {'no plain file' if path.exists() else 'no such file'}")
    try:
        with warnings.catch_warnings():
            # Of damaged headers, whose text Python's parser comments on.
            warnings.simplefilter("ignore")
            yield
    except BenchError:
        raise
    except Exception as error:
        # DamagedError bytes make the zip, zlib, header and HDF5 parsers raise anything, KeyError to zlib.error.
        what = (str(error) if isinstance(error, DamagedError) else in_words(error)).splitlines()[0]
        raise BenchError(f"{where}: damaged or not the right kind of file ({what})") from error


def read_arrays(
    path: Path,
    choose: Callable[[Sequence[str]], Iterable[str]],
    *,
    max_bytes: int,
    where: str = "",
    way_out: str = "",
) -> dict[str, NDArray[Any]]:
    """Read arrays of an ``.npz`` file, or the one of an ``.npy`` file.

    Parameters
    ----------
    path : Path
        Told apart by what is in it, not by its name.
    choose : callable
        Is given the names of all arrays and says which to read; the array of an ``.npy`` file has the name "".
        Nothing else is looked into.
    max_bytes : int
        What the chosen arrays may take in memory together.
    where : str
        How messages name the file; by default its path.
    way_out : str
        What the user can do where that is too little.

    Raises
    ------
    BenchError
        In one line that names the file, and the array where it is one: no such file, damaged, too large, Python
        objects; and what `choose` raises.
    """
    where = where or str(path)
    with reading(path, where), path.open("rb") as file:
        plain = file.read(6) == b"\x93NUMPY"
        file.seek(0)
        if plain:
            header = read_header(file)
            found = dict.fromkeys(choose([""]), header)
            _check(found, max_bytes, where, way_out)
            _check_size(header, path.stat().st_size)
            file.seek(0)
            return {name: _checked(np.lib.format.read_array(file, allow_pickle=False)) for name in found}
        with zipfile.ZipFile(file) as archive:
            members = {info.filename: info for info in archive.infolist()}
            chosen = {}
            for name in choose([_name(member) for member in members]):
                chosen[name] = members.get(f"{name}.npy") or members[name]
                if sum(_name(info.filename) == name for info in archive.infolist()) > 1:
                    raise DamagedError(f"two arrays have the name {name!r}")
            headers = {}
            for name, info in chosen.items():
                with naming(name), archive.open(info) as member:
                    headers[name] = read_header(member)
            _check(headers, max_bytes, where, way_out)
            return {name: read_member(archive, info) for name, info in chosen.items()}


def read_member(archive: zipfile.ZipFile, member: str | zipfile.ZipInfo, *, max_bytes: int | None = None) -> Any:
    """Read one array of an ``.npz`` archive to its end, so that its checksum is verified; never unpickles.

    Raises
    ------
    DamagedError
        Object arrays, more or less bytes than the header says, more than `max_bytes`, bytes that can't be unpacked.
    KeyError
        No such member.
    """
    info = member if isinstance(member, zipfile.ZipInfo) else archive.getinfo(member)
    with naming(_name(info.filename)):
        with archive.open(info) as stream:
            header = read_header(stream)
        _check_size(header, info.file_size)
        if max_bytes is not None and header.nbytes > max_bytes:
            raise DamagedError(f"{header.dtype} of shape {header.shape} is too large")
        with archive.open(info) as stream:
            array = np.lib.format.read_array(stream, allow_pickle=False)
            if stream.read(1):
                raise DamagedError("it is longer than its header says")
        return _checked(array)


def read_header(file: IO[bytes]) -> Header:
    """Read what stands before an array's values, in NumPy's format 1.0 or 2.0.

    Raises
    ------
    DamagedError, ValueError
        No header, or one that no array can have.
    """
    version = np.lib.format.read_magic(file)
    if version == (2, 0) and int.from_bytes(_peek(file, 4), "little") > 2**16:
        raise DamagedError("its header is too long")
    parsers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in parsers:
        raise DamagedError(f"it is in version {version} of NumPy's format, which holds records")
    shape, fortran, dtype = parsers[version](file)
    if any(size < 0 for size in shape) or not dtype.itemsize:
        raise DamagedError(f"no array is {dtype} of shape {shape}")
    return Header(tuple(map(int, shape)), fortran, dtype, file.tell())


def _peek(file: IO[bytes], n: int) -> bytes:
    start = file.tell()
    content = file.read(n)
    file.seek(start)
    return content


def _checked(array: NDArray[Any]) -> NDArray[Any]:
    # NumPy takes any number for a character; Python fails on those that are none, whenever it meets one.
    if array.dtype.kind == "U" and array.size:
        plain = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("=")).reshape(-1)
        if plain.view(np.uint32).max() > sys.maxunicode:
            raise DamagedError("its texts hold what is no character")
    return array


def _name(member: str) -> str:
    return member.removesuffix(".npy")


def _check(found: Mapping[str, Header], max_bytes: int, where: str, way_out: str) -> None:
    for name, header in found.items():
        if header.dtype.hasobject:
            raise BenchError(
                f"{where}: isn't an .npz file of plain arrays: {f'{name!r} holds' if name else 'it holds'} Python "
                "objects (Object arrays cannot be loaded without running code)"
            )
    total = sum(header.nbytes for header in found.values())
    if total > max_bytes:
        sizes = ", ".join(f"{name or 'array'} {header.dtype} {header.shape}" for name, header in found.items())
        raise BenchError(
            f"{where}: would take {total / GIB:,.2f} GiB of memory ({sizes}), more than {max_bytes / GIB:,.2f} GiB"
            + (f"; {way_out}" if way_out else "")
        )


def _check_size(header: Header, size: int) -> None:
    if not header.dtype.hasobject and header.size + header.nbytes != size:
        more = "longer" if size > header.size + header.nbytes else "shorter"
        raise DamagedError(f"it is {more} than its header says")


@contextlib.contextmanager
def naming(name: str) -> Iterator[None]:
    """Put an array's name before what goes wrong with it."""
    try:
        yield
    except Exception as error:
        what = str(error) if isinstance(error, DamagedError) else in_words(error).splitlines()[0]
        raise DamagedError(f"array {name!r}: {what}") from error
