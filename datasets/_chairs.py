"""3D Chairs' file: a tar archive of PNGs, whose names say model and view."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.datasets._blocks import BLOCK, grid_order, named
from bench.datasets._pictures import centre, decoded
from bench.errors import BenchError
from bench.npz import DamagedError
from bench.world import resized

#: "rendered_chairs/<model>/renders/image_001_p020_t023_r096.png": angles in degrees, elevation and azimuth.
NAME = re.compile(r"(?:.*/)?([^/]+)/renders/image_\d+_p(\d+)_t(\d+)_r\d+\.png")
#: Of 600x600 pixels those in the middle that are kept, as in the public code for this data set.
CROP = 400
#: No larger file in the archive is read.
MAX_MEMBER = 16 * 2**20


def chair_images(path: Path, full: Mapping[str, int], *, side: int) -> Iterator[NDArray[np.uint8]]:
    """Blocks (n, 3, side, side) in the order of the grid model, elevation, azimuth.

    Models are in the order of their names, elevations and azimuths in that of their angles. Pictures are cropped to
    the 400x400 pixels in the middle, then averaged over areas. One is in memory at a time, and nothing is unpacked to
    disk.

    Parameters
    ----------
    path : Path
        The tar archive, not compressed: it is read in another order than it is written in.
    full : mapping of str to int
        model, elevation, azimuth: number of classes.
    side : int
        Width and height of the images given.

    Raises
    ------
    BenchError
        In one line that names the archive, and the picture in it: no such file, damaged, an image missing or there
        twice, another number of models or angles.
    """
    return named(path, _images(path, full, side))


def _images(path: Path, full: Mapping[str, int], side: int) -> Iterator[NDArray[np.uint8]]:
    with tarfile.open(path, "r:") as archive:
        members = [(member, found) for member in archive if member.isreg() and (found := NAME.fullmatch(member.name))]
        if not members:
            raise BenchError(f"{path}: holds no picture named like .../<model>/renders/image_001_p020_t023_r096.png")
        keys = [(found[1], int(found[2]), int(found[3])) for _, found in members]
        columns = []
        for name, column in zip(full, zip(*keys, strict=True), strict=True):
            values = {value: place for place, value in enumerate(sorted(set(column)))}
            if len(values) != full[name]:
                raise BenchError(f"{path}: holds {len(values)} values of {name}; needs {full[name]}")
            columns.append([values[value] for value in column])
        order = grid_order(path, np.array(columns, dtype=np.int64).T, full)
        for start in range(0, len(order), BLOCK):
            block = [_one(path, archive, members[place][0], side) for place in order[start : start + BLOCK]]
            yield np.concatenate(block)


def _one(path: Path, archive: tarfile.TarFile, member: tarfile.TarInfo, side: int) -> NDArray[np.uint8]:
    if member.size > MAX_MEMBER:
        raise BenchError(f"{path}: '{member.name}' takes {member.size:,} bytes; needs at most {MAX_MEMBER:,}")
    file = archive.extractfile(member)
    if file is None:
        raise DamagedError(f"'{member.name}' has no content")
    picture = decoded(file.read(), f"{path}: '{member.name}'", grey=False)
    return resized(centre(picture, CROP)[None], side)
