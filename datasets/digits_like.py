"""Drawn digits whose factors are known: a stand-in for MNIST."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from bench.dataset import Index, register_dataset
from bench.datasets._digit_strokes import distances, outline, placed
from bench.levels import Levels
from bench.neutral import neutral
from bench.world import World, WorldOptions

#: Values of the factors' classes: movement to the right per unit of height, pixels (of an image of 64), share of the
#: largest size, and rad counter-clockwise.
SLANTS = np.linspace(-0.4, 0.4, 9)
THICKNESSES = np.linspace(2, 6, 5)
SCALES = np.linspace(0.5, 1, 6)
ROTATIONS = np.deg2rad(np.linspace(-40, 40, 9))
#: Half the height of the largest upright digit, in pixels of an image of 64: with its slant it fits however it turns.
HALF_HEIGHT = 20.0
#: Outlines that are drawn at a time: few enough for the processor's cache.
BLOCK = 16


@dataclass(frozen=True, kw_only=True)
class DigitsLikeOptions(WorldOptions):
    """Options of `DigitsLike`.

    Attributes
    ----------
    digit, style, slant, thickness, scale, rotation : int, str or sequence of int
        Classes that are used, of 10, 2, 9, 5, 6 and 9; see `bench.levels.chosen_classes`.
    """

    coloured: ClassVar[bool] = False
    full: ClassVar[Mapping[str, int]] = {
        "digit": 10, "style": 2, "slant": 9, "thickness": 5, "scale": 6, "rotation": 9,
    }  # fmt: skip

    digit: Levels = neutral("all")
    style: Levels = neutral("all")
    slant: Levels = neutral("all")
    thickness: Levels = neutral("all")
    scale: Levels = neutral("all")
    rotation: Levels = neutral("all")


@register_dataset("digits_like", label="Digits-like (drawn)", groups=("like",))
class DigitsLike(World):
    """Ten digits drawn as strokes, over style, slant, thickness, scale and rotation: 48,600 grey images, with labels.

    A stand-in, not MNIST: nobody wrote these digits, all of a digit and style are one outline, and scores on them are
    no scores on MNIST. What MNIST lacks is known here, the factors; the digit is a factor and the class label.

    The styles are round (as by hand) and angular (as on a seven-segment display). Slants are -0.4 to 0.4 of a digit's
    height, strokes 2 to 6 px wide at 64 px whatever the scale, scales 0.5 to 1, and rotations -40° to 40°, which leaves
    6 and 9 apart. Edges are smoothed. Each `size` is drawn, not resized.
    """

    Options = DigitsLikeOptions
    channels = 1
    label_names: tuple[str, ...] = tuple("0123456789")
    small: ClassVar[Mapping[str, Any]] = {
        "digit": 3, "style": 2, "slant": 2, "thickness": 2, "scale": 2, "rotation": 2, "size": 28,
    }  # fmt: skip
    licence = "Apache-2.0 (drawn by this file)"

    def labels(self, index: Index) -> NDArray[np.int64]:
        """Digits that the given rows show, 0 to 9, shape (n,)."""
        digits: NDArray[np.int64] = np.array(self.levels[0])[self.factors(index)[:, 0]]
        return digits

    def native(self, rows: Index) -> NDArray[np.uint8]:
        """Images of rows of the whole grid, shape (n, 1, size, size); see `bench.world.World.native`."""
        size = self.options.size
        zoom = size / 64
        classes = np.stack(np.unravel_index(rows, tuple(self.options.full.values())), axis=1)
        radius = (zoom / 2 * THICKNESSES[classes[:, 3]]).astype(np.float32)
        # Images that differ in thickness alone share an outline, and so all distances.
        outlines, of_row = np.unique(classes[:, [0, 1, 2, 4, 5]], axis=0, return_inverse=True)
        order = np.argsort(of_row.ravel(), kind="stable")
        ends = np.cumsum(np.bincount(of_row.ravel(), minlength=len(outlines)))
        images = np.empty((len(rows), 1, size, size), dtype=np.uint8)
        for first, last in _blocks(outlines):
            digit, style = outlines[first, :2].tolist()
            slant, scale, turn = outlines[first:last, 2:].T
            segments = placed(
                outline(digit, style), SLANTS[slant], ROTATIONS[turn], zoom * HALF_HEIGHT * SCALES[scale], size
            )
            field = distances(segments, size)
            some = order[ends[first - 1] if first else 0 : ends[last - 1]]
            # A pixel is covered as far as its centre lies inside of the stroke's edge: half if on it.
            cover = radius[some, None, None] + np.float32(0.5) - field[of_row.ravel()[some] - first]
            images[some, 0] = np.rint(255 * np.clip(cover, 0, 1))
        return images


def _blocks(outlines: NDArray[np.int64]) -> list[tuple[int, int]]:
    """First and one after the last of runs of at most `BLOCK` outlines of one digit and style; they are sorted."""
    kinds = outlines[:, 0] * 2 + outlines[:, 1]
    edges = [0, *(np.flatnonzero(np.diff(kinds)) + 1).tolist(), len(kinds)]
    pairs = list(itertools.pairwise(edges))
    return [(first, min(first + BLOCK, stop)) for start, stop in pairs for first in range(start, stop, BLOCK)]
