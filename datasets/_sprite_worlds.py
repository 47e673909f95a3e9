"""What the variants of dSprites share: its factors, and the sprites themselves as masks."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from bench.dataset import Index
from bench.datasets._dsprites_render import FACTORS, render
from bench.datasets.dsprites import GOLDEN, DSprites, query_rows
from bench.levels import Levels
from bench.neutral import neutral
from bench.world import World, WorldOptions

#: Pixels of the canvas on which everything is drawn.
CANVAS = 64
LOCATELLO = (
    "F. Locatello, S. Bauer, M. Lucic, G. Rätsch, S. Gelly, B. Schölkopf, O. Bachem: Challenging Common Assumptions in "
    "the Unsupervised Learning of Disentangled Representations, ICML 2019, https://arxiv.org/abs/1811.12359"
)


@dataclass(frozen=True, kw_only=True)
class SpriteOptions(WorldOptions):
    """Options of a `SpriteWorld`.

    Attributes
    ----------
    shape, scale, orientation, pos_x, pos_y : int, str or sequence of int
        Classes that are used, of 3, 6, 40, 32 and 32; see `bench.levels.chosen_classes`.
    """

    full: ClassVar[Mapping[str, int]] = FACTORS

    shape: Levels = neutral("all")
    scale: Levels = neutral("all")
    orientation: Levels = neutral("all")
    pos_x: Levels = neutral("all")
    pos_y: Levels = neutral("all")


class SpriteWorld(World):
    """dSprites with something else about it, drawn at 64 px for each row of the whole grid.

    A sub-grid therefore shows the very images of the whole one, and another `size` is these images, resized.
    """

    Options = SpriteOptions
    small: ClassVar[Mapping[str, Any]] = {"scale": 2, "orientation": 2, "pos_x": 4, "pos_y": 4, "size": 32}
    licence = DSprites.licence
    citation = f"{DSprites.citation}; {LOCATELLO}"

    def __init__(self, options: SpriteOptions) -> None:
        super().__init__(options)
        self._sprites = Sprites()

    def masks(self, rows: Index) -> NDArray[np.bool_]:
        """Pixels of the sprites of rows of the whole grid, shape (n, 64, 64)."""
        return self._sprites.masks(rows)

    def identity(self) -> str:
        """Checksum of dSprites, whose images these begin with, and of a sprite's images at a quarter of its places."""
        places = np.arange(0, FACTORS["pos_x"] * FACTORS["pos_y"], 4)
        return hashlib.sha256(GOLDEN.encode() + self.native(places).tobytes()).hexdigest()

    def query_indices(self) -> Index:
        """Row of each chosen shape at the place that published traversals start from, or nearest to it."""
        return query_rows(self, self.levels)


class Sprites:
    """dSprites at any rows, drawn when they are first asked for: all positions of a sprite at once."""

    def __init__(self) -> None:
        self._positions = FACTORS["pos_x"] * FACTORS["pos_y"]
        self._turned = (FACTORS["shape"], FACTORS["scale"], FACTORS["orientation"])
        self._drawn = np.zeros(int(np.prod(self._turned)), dtype=bool)
        self._packed = np.empty((0, 0, 0), dtype=np.uint8)

    def masks(self, rows: Index) -> NDArray[np.bool_]:
        """Pixels of the sprites of rows of the whole grid, shape (n, 64, 64)."""
        sprites, positions = np.divmod(rows, self._positions)
        if not self._packed.size:
            # The system gives memory (360 MiB for all) as it is written to, so for sprites that are drawn alone.
            self._packed = np.empty((len(self._drawn), self._positions, CANVAS * CANVAS // 8), dtype=np.uint8)
        wanted = np.unique(sprites)
        for sprite in wanted[~self._drawn[wanted]]:
            shape, scale, orientation = (int(level) for level in np.unravel_index(sprite, self._turned))
            everywhere = (range(FACTORS["pos_x"]), range(FACTORS["pos_y"]))
            self._packed[sprite] = render(([shape], [scale], [orientation], *everywhere), CANVAS)
            self._drawn[sprite] = True
        bits = np.unpackbits(self._packed[sprites, positions], axis=1)
        return bits.reshape(-1, CANVAS, CANVAS).view(np.bool_)
