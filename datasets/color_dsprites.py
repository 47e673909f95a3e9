"""Colour-dSprites: each sprite in a colour of its own that is no factor."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.dataset import Index, register_dataset
from bench.datasets._row_streams import random_words, uniform
from bench.datasets._sprite_worlds import SpriteWorld


@register_dataset("color_dsprites", label="Colour-dSprites", groups=("dsprites_variants",))
class ColorDSprites(SpriteWorld):
    """dSprites whose sprites have a colour each, uniform in [0.5, 1] per channel, on black; the colour is no factor.

    As in disentanglement_lib (Locatello et al. 2019), but that a row keeps its colour (rounded to 256 levels), where
    theirs draws a new one whenever an image is drawn.
    """

    def native(self, rows: Index) -> NDArray[np.uint8]:
        """Images of rows of the whole grid, shape (n, 3, 64, 64); see `bench.world.World.native`."""
        colors = np.rint(255 * (0.5 + 0.5 * uniform(random_words("color_dsprites", rows, 3)))).astype(np.uint8)
        return self.masks(rows)[:, None] * colors[:, :, None, None]
