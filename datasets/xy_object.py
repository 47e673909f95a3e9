"""XYObject: one square of varying place, size and colour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from bench.dataset import Index, register_dataset
from bench.levels import Levels
from bench.neutral import neutral
from bench.world import World, WorldOptions

CANVAS = 64
#: Pixels from a place to the next.
SPACING = 2
#: Width of the square by its scale, in pixels.
WIDTHS = np.array([7, 9, 11, 13, 15])
#: Red, yellow, green, cyan, blue, magenta.
HUES = np.array([[255, 0, 0], [255, 255, 0], [0, 255, 0], [0, 255, 255], [0, 0, 255], [255, 0, 255]])
#: Colours by class, shape (24, 3): a quarter, half, three quarters and the whole of each hue in turn.
COLORS = (np.arange(1, 5)[:, None, None] * HUES // 4).reshape(-1, 3).astype(np.uint8)


@dataclass(frozen=True, kw_only=True)
class XYObjectOptions(WorldOptions):
    """Options of `XYObject`.

    Attributes
    ----------
    x, y, scale, color : int, str or sequence of int
        Classes that are used, of 25, 25, 5 and 24; see `bench.levels.chosen_classes`.
    """

    full: ClassVar[Mapping[str, int]] = {"x": 25, "y": 25, "scale": 5, "color": 24}

    x: Levels = neutral("all")
    y: Levels = neutral("all")
    scale: Levels = neutral("all")
    color: Levels = neutral("all")


@register_dataset("xy_object", label="XYObject", groups=("toys",))
class XYObject(World):
    """One square on black at 25 × 25 places that overlap, in 5 sizes (7 to 15 px) and 24 colours: 75,000 images.

    Pixel for pixel the images of disent's ``XYObjectData`` with its defaults since version 0.3.0 (palette "rainbow_4":
    six hues in each of four shades). Hue and shade are one factor, "color", on purpose: a model may well take apart
    what the factors hold together.
    """

    Options = XYObjectOptions
    small: ClassVar[Mapping[str, Any]] = {"x": 4, "y": 4, "scale": 2, "color": 3, "size": 32}
    licence = "MIT (disent's definition, drawn by this file)"
    citation = "N. J. Michlo: disent, 2021, https://github.com/nmichlo/disent"

    def native(self, rows: Index) -> NDArray[np.uint8]:
        """Images of rows of the whole grid, shape (n, 3, 64, 64); see `bench.world.World.native`."""
        x, y, scale, color = np.unravel_index(rows, tuple(self.options.full.values()))
        width = WIDTHS[scale]
        # Sizes share their centre.
        margin = (WIDTHS[-1] - width) // 2
        across, down = (_bar(SPACING * place + margin, width) for place in (x, y))
        images: NDArray[np.uint8] = (down[:, :, None] & across[:, None, :])[:, None] * COLORS[color][:, :, None, None]
        return images


def _bar(first: NDArray[np.int64], width: NDArray[np.int64]) -> NDArray[np.bool_]:
    pixels = np.arange(CANVAS)
    return (pixels >= first[:, None]) & (pixels < (first + width)[:, None])
