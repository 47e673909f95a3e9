"""Rows with one value of a factor, drawn by the metrics that fix a factor or vary it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.metric import Ints

#: Draws worked on at once: 10 MB at 64 rows of 10 codes. Part of the draw order, hence not a setting.
CHUNK = 2_000


class Slices:
    """Rows of a table sorted by the value of one factor."""

    def __init__(self, column: Ints) -> None:
        _, label, self.counts = np.unique(column, return_inverse=True, return_counts=True)
        self.label: NDArray[np.intp] = label
        self.order = np.argsort(label, kind="stable")
        self.starts = np.cumsum(self.counts) - self.counts

    def draw(self, anchors: Ints, batch_size: int, rng: np.random.Generator) -> Ints:
        """Draw `batch_size` rows with the value of each anchor row, shape (len(anchors), batch_size)."""
        value = self.label[anchors]
        place = rng.integers(0, self.counts[value][:, None], size=(len(anchors), batch_size))
        return np.asarray(self.order[self.starts[value][:, None] + place])
