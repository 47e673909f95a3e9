"""A data set that is small enough to train on within a second."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.dataset import Dataset


class Blobs(Dataset):
    """60 binary images, 3 of 10 pixels white at random."""

    factor_names = ("row", "column")
    factor_sizes = (6, 10)
    image_max = 1

    def __init__(self, height: int = 8, width: int = 8) -> None:
        super().__init__(None)
        self.image_shape = (1, height, width)

    def images(self, index: NDArray[np.int64]) -> NDArray[Any]:
        """Return the images of some rows."""
        images = np.random.default_rng(0).random((len(self), *self.image_shape)) < 0.3
        return images[index].astype(np.uint8)
