"""A white square at every place of a black canvas."""

from __future__ import annotations

import numpy as np

from bench.dataset import Dataset, Images, Index, register_dataset


@register_dataset("squares", version=1)
class Squares(Dataset):
    """16 × 16 pixels on a 32 × 32 canvas: two factors of 17 values, 289 images."""

    factor_names = ("x", "y")
    factor_sizes = (17, 17)
    image_shape = (1, 32, 32)
    image_max = 1
    licence = "Apache-2.0"
    citation = "Disbench"

    def images(self, index: Index) -> Images:
        """Draw the given rows, shape (n, 1, 32, 32), uint8 in {0, 1}."""
        x, y = self.factors(index).T[:, :, None]
        pixel = np.arange(32)
        across, down = (pixel >= x) & (pixel < x + 16), (pixel >= y) & (pixel < y + 16)
        square: Images = (down[:, None, :, None] & across[:, None, None, :]).astype(np.uint8)
        return square
