"""Noisy-dSprites: sprites in white on coloured noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.dataset import Index, register_dataset
from bench.datasets._row_streams import random_bytes
from bench.datasets._sprite_worlds import CANVAS, SpriteWorld


@register_dataset("noisy_dsprites", label="Noisy-dSprites", groups=("dsprites_variants",))
class NoisyDSprites(SpriteWorld):
    """dSprites in white on noise: each channel of each pixel is uniform in [0, 1] and independent of all others.

    As in disentanglement_lib (Locatello et al. 2019), but that a row keeps its noise (of 256 levels), where theirs
    draws a new one whenever an image is drawn. At another `size` than 64 the noise is averaged with everything else.
    """

    def native(self, rows: Index) -> NDArray[np.uint8]:
        """Images of rows of the whole grid, shape (n, 3, 64, 64); see `bench.world.World.native`."""
        noise = random_bytes("noisy_dsprites", rows, 3 * CANVAS * CANVAS).reshape(-1, 3, CANVAS, CANVAS)
        # 255 is all bits, so `or` is white on the sprite and noise elsewhere.
        noise |= self.masks(rows)[:, None] * np.uint8(255)
        return noise
