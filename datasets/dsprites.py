"""dSprites, rendered on the spot or read from the authors' file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import SkipValidation

from bench.dataset import Dataset, Images, Index, register_dataset
from bench.datasets._dsprites_files import read_source
from bench.datasets._dsprites_render import FACTORS, VALUES, crop, render
from bench.errors import BenchError
from bench.levels import Levels, chosen_classes
from bench.neutral import neutral
from bench.rows import RowOptions, without_rows

#: SHA-256 of all 737,280 images, rendered at 64 px, as packed bits.
GOLDEN = "3a228f4037ef3d42a42588e0e01f1078aa2df13cfa17584e88c95ed9fb5672da"
#: Square, ellipse and heart at the same place: rows 87040, 332800, 578560, those of the published traversals.
QUERY = (2, 5, 0, 0)


@dataclass(frozen=True)
class DSpritesOptions(RowOptions):
    """Options of `DSprites`, beside those of `bench.rows.RowOptions`.

    Each factor takes ``"all"``; an integer n for n levels spread evenly, classes ``floor(i m / n)`` of its m;
    a slice ``"start:stop:step"`` of the classes; or class numbers, as a sequence or ``"0,4,8"``. Whatever the
    spelling, it is kept as the ascending tuple of classes, so equal grids have equal options.

    Attributes
    ----------
    shape, scale, orientation, pos_x, pos_y : tuple of int
        Classes that are used, of 3, 6, 40, 32 and 32.
    size : {64, 32}
        Width and height of the canvas in pixels. 32 draws the same outlines on a canvas of half the size.
    source : str
        The authors' ``.npz`` or ``.hdf5`` file, or a sub-grid of it with its latent values; empty: rendered.
    window : str
        Rows and columns that are kept, such as "10:22x6:26", counted from 0 at the top left; empty: the whole canvas.
        No chosen sprite may reach out of it, and its pixels must fill whole bytes.
    """

    shape: Levels = "all"
    scale: Levels = "all"
    orientation: Levels = "all"
    pos_x: Levels = "all"
    pos_y: Levels = "all"
    size: Annotated[Literal[64, 32], SkipValidation] = 64
    source: str = ""
    window: str = neutral("")

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, total in FACTORS.items():
            object.__setattr__(self, name, chosen_classes(name, getattr(self, name), total))
        if str(self.size) not in ("64", "32"):
            raise ValueError(f"size={self.size!r}: needs 64 or 32")
        object.__setattr__(self, "size", int(self.size))
        if self.source and self.size != 64:
            raise ValueError(f"size={self.size}: a source file holds images of 64 px; leave one of the two out")
        if self.source and Path(self.source).suffix not in (".npz", ".hdf5", ".h5"):
            raise ValueError(f"source={self.source!r}: needs a .npz or .hdf5 file")
        object.__setattr__(self, "window", _window(self.window, self.size))

    @property
    def levels(self) -> tuple[tuple[int, ...], ...]:
        """Chosen classes of each factor, ascending."""
        return tuple(getattr(self, name) for name in FACTORS)

    @property
    def bounds(self) -> tuple[int, int, int, int]:
        """First row, row after the last, first column and column after the last of the window."""
        if not self.window:
            return 0, self.size, 0, self.size
        top, bottom, left, right = map(int, self.window.replace("x", ":").split(":"))
        return top, bottom, left, right


def _window(text: str, size: int) -> str:
    """The window in its one spelling; a `ValueError` says what is wrong in one line."""
    if not text.strip():
        return ""
    try:
        (top, bottom), (left, right) = (map(int, part.split(":")) for part in text.split("x"))
    except ValueError:
        raise ValueError(f"window={text}: needs rows and columns, such as 10:22x6:26") from None
    if not (0 <= top < bottom <= size and 0 <= left < right <= size):
        raise ValueError(f"window={text}: needs rows and columns that grow, from 0 to {size}")
    if (bottom - top) * (right - left) % 8:
        raise ValueError(f"window={text}: {right - left}x{bottom - top} pixels aren't a multiple of 8")
    return f"{top}:{bottom}x{left}:{right}" if (bottom - top, right - left) != (size, size) else ""


@register_dataset("dsprites")
class DSprites(Dataset):
    """dSprites: 737,280 binary images of a square, ellipse or heart over scale, orientation and position.

    Rendered unless a `source` is given. Of 64,834 of the authors' frames all but 9 are reproduced bit for
    bit; those differ by one pixel. Orientation classes 0 and 39 are the same angle and the same image, as
    in the original. Nothing is rendered or read before images are asked for.
    """

    paths: ClassVar[tuple[str, ...]] = ("source",)
    small: ClassVar[Mapping[str, Any]] = {"scale": 2, "orientation": 2, "pos_x": 4, "pos_y": 4, "size": 32}
    Options = DSpritesOptions
    factor_names = tuple(FACTORS)
    image_max = 1
    likelihood = "bernoulli"
    licence = "Apache-2.0"
    citation = (
        "L. Matthey, I. Higgins, D. Hassabis, A. Lerchner: "
        "dSprites: Disentanglement testing Sprites dataset, "
        "2017, https://github.com/google-deepmind/dsprites-dataset"
    )

    def __init__(self, options: DSpritesOptions) -> None:
        super().__init__(options)
        #: Chosen classes of each factor: factor value i is class ``levels[factor][i]`` of the full set.
        self.levels = options.levels
        self.factor_sizes = tuple(len(level) for level in self.levels)
        top, bottom, left, right = options.bounds
        self.image_shape = (1, bottom - top, right - left)
        self._packed: NDArray[np.uint8] | None = None

    def packed(self) -> NDArray[np.uint8]:
        """All images as bits, shape (N, pixels / 8); rendered or read on the first call (full: 360 MiB).

        Raises
        ------
        BenchError
            A bad source file, or a window that a sprite reaches out of.
        """
        if self._packed is None:
            options = self.options
            if options.source:
                packed = read_source(Path(options.source).expanduser(), self.levels)
            else:
                packed = render(self.levels, options.size)
            if options.window:
                try:
                    packed = crop(packed, options.size, options.bounds)
                except ValueError as error:
                    raise BenchError(f"dataset 'dsprites': window={options.window}: {error}") from None
            self._packed = packed
        return self._packed

    def images(self, index: Index) -> Images:
        """Images of the given rows; see `bench.dataset.Dataset.images`."""
        return np.unpackbits(self.packed()[index], axis=1).reshape(-1, *self.image_shape)

    def latents_values(self, index: Index) -> NDArray[np.float64]:
        """Latent values of the given rows as in the authors' file.

        Returns
        -------
        ndarray of shape (n, 6), float64
            Colour (1), shape (1, 2, 3), scale (0.5 to 1), orientation (0 to 2π rad), x and y (0 to 1).
        """
        classes = self.factors(index)
        chosen = [VALUES[name][list(level)] for name, level in zip(FACTORS, self.levels, strict=True)]
        columns = [values[classes[:, i]] for i, values in enumerate(chosen)]
        return np.stack([np.ones(len(classes)), *columns], axis=1)

    def fingerprint(self) -> str:
        """SHA-256 (hex) of packed images and grid shape; of the images alone for the full rendered set."""
        if without_rows(self.options) == DSpritesOptions():
            return GOLDEN
        digest = hashlib.sha256(json.dumps([self.image_shape, self.image_max, self.factor_sizes]).encode())
        digest.update(self.packed().data)
        return digest.hexdigest()

    def query_indices(self) -> Index:
        """Row of each chosen shape at the place that published traversals start from, or nearest to it."""
        return query_rows(self, self.levels)


def query_rows(sprites: Dataset, levels: Sequence[Sequence[int]]) -> Index:
    """Row of each chosen shape at the place that published traversals start from, or nearest to it.

    Parameters
    ----------
    sprites : Dataset
        With dSprites' factors.
    levels : five sequences of int
        Chosen classes of each.
    """
    nearest = [np.abs(np.array(level) - place).argmin() for level, place in zip(levels[1:], QUERY, strict=True)]
    return sprites.index(np.array([[shape, *nearest] for shape in range(len(levels[0]))]))
