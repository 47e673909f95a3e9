"""CelebA's files: a zip of JPEGs, and a text with the attributes of each."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from bench.datasets._blocks import BLOCK, named
from bench.datasets._pictures import centre, decoded
from bench.errors import BenchError
from bench.npz import DamagedError, reading
from bench.world import resized

#: Of 178x218 pixels those in the middle that are kept.
CROP = 148
#: No larger file in the archive is read, nor a larger text.
MAX_MEMBER, MAX_TEXT = 4 * 2**20, 128 * 2**20


def face_images(path: Path, count: int, *, side: int) -> Iterator[NDArray[np.uint8]]:
    """Blocks (n, 3, side, side) of the `count` pictures of a zip archive, in the order of their names.

    Pictures are cropped to the 148x148 pixels in the middle, then averaged over areas. Nothing is unpacked to disk.

    Raises
    ------
    BenchError
        In one line that names the archive, and the picture in it: no such file, damaged, another number.
    """
    return named(path, _images(path, count, side))


def face_attributes(path: Path) -> tuple[tuple[str, ...], tuple[str, ...], NDArray[np.bool_]]:
    """Pictures' names (N), attributes' names (F), and which picture has which attribute, shape (N, F).

    Parameters
    ----------
    path : Path
        ``list_attr_celeba.txt``: the number of pictures; the attributes; a line for each picture of its name and 1 or
        -1 for each attribute.

    Raises
    ------
    BenchError
        In one line that names the file, and the line in it.
    """
    with reading(path):
        if path.stat().st_size > MAX_TEXT:
            raise DamagedError(f"more than {MAX_TEXT:,} bytes")
        first, heading, *lines = path.read_text(encoding="utf-8").splitlines()
        attributes, total = tuple(heading.split()), int(first)
        names, rows = [], []
        for number, line in enumerate(filter(str.strip, lines), start=3):
            name, *values = line.split()
            if len(values) != len(attributes) or not {*values} <= {"1", "-1"}:
                raise BenchError(f"{path}: line {number} needs a name and {len(attributes)} values 1 or -1")
            names.append(name)
            rows.append([value == "1" for value in values])
        if len(names) != total:
            raise BenchError(f"{path}: has {len(names)} lines of pictures; its first line says {total}")
    return tuple(names), attributes, np.array(rows, dtype=np.bool_)


def face_names(path: Path) -> list[str]:
    """Names of a zip archive's pictures, in the order in which `face_images` gives them.

    Raises
    ------
    BenchError
        No such file, damaged.
    """
    with reading(path), zipfile.ZipFile(path) as archive:
        return sorted(_members(archive))


def _members(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    return {
        PurePosixPath(info.filename).name: info
        for info in archive.infolist()
        if PurePosixPath(info.filename).suffix.lower() in (".jpg", ".jpeg")
    }


def _images(path: Path, count: int, side: int) -> Iterator[NDArray[np.uint8]]:
    with zipfile.ZipFile(path) as archive:
        members = _members(archive)
        if len(members) != count:
            raise BenchError(f"{path}: holds {len(members)} pictures .jpg; needs {count}")
        names = sorted(members)
        for start in range(0, count, BLOCK):
            yield np.concatenate([_one(path, archive, members[name], side) for name in names[start : start + BLOCK]])


def _one(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo, side: int) -> NDArray[np.uint8]:
    if info.file_size > MAX_MEMBER:
        raise BenchError(f"{path}: '{info.filename}' takes {info.file_size:,} bytes; needs at most {MAX_MEMBER:,}")
    picture = decoded(archive.read(info), f"{path}: '{info.filename}'", grey=False)
    return resized(centre(picture, CROP)[None], side)
