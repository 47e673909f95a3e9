"""Worlds whose images are a geometry, rendered once, times colours or lights, chosen when an image is asked for."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from bench.dataset import Index
from bench.world import World

#: Images that are composed at a time: their layers stay in the processor's cache.
BLOCK = 16
#: Images that are looked at to tell versions of a stand-in apart; each may cost a geometry.
PROBE = 32


class Composed(World):
    """Images that are sums of layers: each layer of a geometry takes a colour, or a lamp's strength.

    A geometry's layers are rendered when they are first needed and kept, at the size that the options ask for. They
    are whole numbers, and so are the sums of their products, exactly, in whatever order they are added.

    Attributes
    ----------
    geometries, layers : int
        Number of geometries of the whole grid, and of each one's layers.
    """

    geometries: ClassVar[int]
    layers: ClassVar[int]

    def __init__(self, options: Any) -> None:
        super().__init__(options)
        # Takes memory where it is written to only.
        self._layers = np.zeros((self.geometries, self.layers, options.size**2), dtype=np.uint8)
        self._rendered = np.zeros(self.geometries, dtype=bool)

    @abstractmethod
    def render(self, geometry: int) -> NDArray[np.uint8]:
        """Layers of a geometry, shape (layers, size * size): 255 where a layer is all that one sees, fully lit."""

    @abstractmethod
    def compose(self, rows: Index) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Geometry (n,) of rows of the whole grid, and what each layer adds to each channel (n, channels, layers)."""

    def native(self, rows: Index) -> NDArray[np.uint8]:
        """Images of rows of the whole grid; see `bench.world.World.native`."""
        geometry, strengths = self.compose(rows)
        for missing in np.unique(geometry[~self._rendered[geometry]]).tolist():
            self._layers[missing] = self.render(missing)
            self._rendered[missing] = True
        size = self.options.size
        images = np.empty((len(rows), self.channels, size * size), dtype=np.uint8)
        for start in range(0, len(rows), BLOCK):
            block = slice(start, start + BLOCK)
            sums = strengths[block] @ self._layers[geometry[block]].astype(np.float32)
            sums *= np.float32(1 / 255)
            np.minimum(sums, 255, out=sums)
            images[block] = np.rint(sums, out=sums)
        return images.reshape(-1, self.channels, size, size)

    @property
    def kept_bytes(self) -> int:
        """Bytes that the layers of the chosen geometries take once all have been rendered."""
        chosen = len(np.unique(self.compose(self.rows_of_whole_grid(np.arange(len(self))))[0]))
        return chosen * self.layers * self.options.size**2

    def identity(self) -> str:
        """What tells these images from others, of chosen geometries only; see `bench.world.World.identity`."""
        return self.checksum(np.unique(np.linspace(0, len(self) - 1, PROBE).astype(np.int64)))

    def checksum(self, index: Index) -> str:
        """SHA-256 (hex) of the native images of rows of the chosen grid."""
        return hashlib.sha256(self.native(self.rows_of_whole_grid(index)).tobytes()).hexdigest()
