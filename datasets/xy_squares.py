"""XYSquares: three squares that a pixel-wise loss can't put in order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import SkipValidation

from bench.dataset import Index, register_dataset
from bench.levels import Levels
from bench.neutral import neutral
from bench.world import World, WorldOptions

#: Width of the canvas and of a square in pixels; 8 × 8 squares fill the canvas.
CANVAS, SQUARE = 64, 8
#: Images that are packed at a time.
BLOCK = 4096


@dataclass(frozen=True, kw_only=True)
class XYSquaresOptions(WorldOptions):
    """Options of `XYSquares`.

    Attributes
    ----------
    x_red, y_red, x_green, y_green, x_blue, y_blue : int, str or sequence of int
        Places that are used, of 8 each, from the left and from the top; see `bench.levels.chosen_classes`.
    spacing : int
        Pixels from a place to the next, 1 to 8. Below 8 neighbouring places overlap, so that a square's distance in
        pixel space grows as it moves away; the 8 × 8 places stay centred.
    """

    full: ClassVar[Mapping[str, int]] = dict.fromkeys(("x_red", "y_red", "x_green", "y_green", "x_blue", "y_blue"), 8)

    x_red: Levels = neutral("all")
    y_red: Levels = neutral("all")
    x_green: Levels = neutral("all")
    y_green: Levels = neutral("all")
    x_blue: Levels = neutral("all")
    y_blue: Levels = neutral("all")
    spacing: Annotated[int, SkipValidation] = neutral(SQUARE)

    def __post_init__(self) -> None:
        super().__post_init__()
        if str(self.spacing) not in map(str, range(1, SQUARE + 1)):
            raise ValueError(f"spacing={self.spacing!r}: needs whole pixels from 1 to {SQUARE}")
        object.__setattr__(self, "spacing", int(self.spacing))


@register_dataset("xy_squares", label="XYSquares", groups=("toys",))
class XYSquares(World):
    """A red, a green and a blue square of 8 px, each at any of 8 × 8 places on black: 262,144 images.

    Pixel for pixel the images of disent's ``XYSquaresData`` (its factors x_R, y_R, ... are x_red, y_red, ... here; with
    ``spacing`` below 8 its ``grid_size=8, grid_spacing=spacing``). Places don't overlap, so two images differ by the
    same amount per square that moved, however far it moved: a pixel-wise reconstruction term tells an autoencoder
    nothing about the order of places.

    At 64 px in colour every channel of a pixel is 0 or 1, and images are kept as bits: 384 MiB in all.
    """

    Options = XYSquaresOptions
    small: ClassVar[Mapping[str, Any]] = {
        "x_red": 4, "y_red": 2, "x_green": 2, "y_green": 2, "x_blue": 2, "y_blue": 2, "size": 32,
    }  # fmt: skip
    licence = "MIT (disent's definition, drawn by this file)"
    citation = "N. J. Michlo: disent, 2021, https://github.com/nmichlo/disent"

    def __init__(self, options: XYSquaresOptions) -> None:
        super().__init__(options)
        self._binary = options.size == CANVAS and not options.grey
        self.image_max = 1 if self._binary else 255
        self._packed: NDArray[np.uint8] | None = None

    def native(self, rows: Index) -> NDArray[np.uint8]:
        """Images of rows of the whole grid, shape (n, 3, 64, 64); see `bench.world.World.native`."""
        places = np.stack(np.unravel_index(rows, tuple(self.options.full.values())), axis=1).reshape(-1, 3, 2)
        spacing = self.options.spacing
        first = (CANVAS - (SQUARE + 7 * spacing)) // 2 + spacing * np.arange(8)[:, None]
        bars = ((np.arange(CANVAS) >= first) & (np.arange(CANVAS) < first + SQUARE)).astype(np.uint8)
        across, down = bars[places[..., 0]], bars[places[..., 1]] * np.uint8(self.image_max)
        images: NDArray[np.uint8] = down[:, :, :, None] * across[:, :, None, :]
        return images

    def packed(self) -> NDArray[np.uint8] | None:
        """All images as bits where they are binary, shape (N, 1536); drawn on the first call."""
        if self._binary and self._packed is None:
            packed = np.empty((len(self), 3 * CANVAS * CANVAS // 8), dtype=np.uint8)
            for start in range(0, len(self), BLOCK):
                images = self.images(np.arange(start, min(start + BLOCK, len(self))))
                packed[start : start + BLOCK] = np.packbits(images.reshape(len(images), -1), axis=1)
            self._packed = packed
        return self._packed
