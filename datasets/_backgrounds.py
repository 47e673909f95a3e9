"""Pictures that backgrounds are cut from: the user's, or one that is drawn."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.datasets._row_streams import random_bytes
from bench.errors import BenchError

#: Width and height that larger pictures are shrunk into, those of disentanglement_lib.
FRAME = (350, 274)
SUFFIXES = (".png", ".jpg", ".jpeg")
#: Pictures of a folder; they are held in memory, up to 0.3 MB each.
MOST_PICTURES = 2_000
#: Distances in pixels between the points of the drawn picture's lattices.
SPACINGS = (64, 32, 16, 8, 4)


def painting() -> NDArray[np.uint8]:
    """Draw a picture of coloured clouds: value noise of five octaves, each channel stretched to 0 ... 255.

    Returns
    -------
    ndarray of shape (274, 350, 3), uint8
        In whole numbers throughout, so the same on every machine.
    """
    width, height = FRAME
    total = np.zeros((height, width, 3), dtype=np.int64)
    for octave, step in enumerate(SPACINGS):
        points = np.empty((height // step + 2, width // step + 2, 3), dtype=np.int64)
        row, padded = np.array([octave], dtype=np.int64), -(-points.size // 8) * 8
        points[:] = random_bytes("background_dsprites:painting", row, padded)[0, : points.size].reshape(points.shape)
        # Bilinear between lattice points, times step²; an octave's weight is its step.
        (i, y), (j, x) = (np.divmod(np.arange(length), step) for length in (height, width))
        above, below = points[i], points[i + 1]
        down = above * (step - y)[:, None, None] + below * y[:, None, None]
        across = down[:, j] * (step - x)[:, None] + down[:, j + 1] * x[:, None]
        total += across * SPACINGS[0] // step
    total -= total.min(axis=(0, 1))
    return (total * 255 // total.max(axis=(0, 1))).astype(np.uint8)


def read_backgrounds(source: str, *, more_than: int) -> list[NDArray[np.uint8]]:
    """Read a picture, or all of a folder in the order of their names, shrunk to fit into 350×274.

    Parameters
    ----------
    source : str
        A picture of any format that Pillow reads, or a folder whose PNG and JPEG files are read.
    more_than : int
        Pixels that each side must have more of, so that there are pieces to choose from.

    Returns
    -------
    list of ndarray of shape (h, w, 3), uint8

    Raises
    ------
    BenchError
        In one line: nothing there, no pictures or too many, or one that is broken or too small.
    """
    path = Path(source).expanduser()
    files = [path]
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES)
        if not 1 <= len(files) <= MOST_PICTURES:
            count = f"{len(files)} pictures" if files else "no picture"
            raise BenchError(f"{path}: the folder holds {count}; it needs 1 to {MOST_PICTURES} PNG or JPEG files")
    elif not path.is_file():
        raise BenchError(f"{path}: there is no such picture or folder")
    return [_read(file, more_than) for file in files]


def _read(file: Path, more_than: int) -> NDArray[np.uint8]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file) as picture:
                colour = picture.convert("RGB")
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise BenchError(f"{file}: the picture has more than {Image.MAX_IMAGE_PIXELS} pixels") from None
    except (OSError, SyntaxError, ValueError) as error:
        # Pillow reports broken PNG files as syntax errors.
        raise BenchError(f"{file}: no picture that can be read ({error})") from None
    colour.thumbnail(FRAME)
    if min(colour.size) <= more_than:
        width, height = colour.size
        raise BenchError(f"{file}: {width}×{height} pixels; needs more than {more_than} in width and height")
    return np.asarray(colour)
