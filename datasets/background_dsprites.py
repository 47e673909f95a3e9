"""Background-dSprites: sprites as the negative of a piece of a picture."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from bench.dataset import Index, register_dataset
from bench.datasets._backgrounds import painting, read_backgrounds
from bench.datasets._row_streams import random_words, uniform
from bench.datasets._sprite_worlds import CANVAS, SpriteOptions, SpriteWorld
from bench.neutral import neutral


@dataclass(frozen=True, kw_only=True)
class BackgroundOptions(SpriteOptions):
    """Options of `BackgroundDSprites`.

    Attributes
    ----------
    source : str
        The user's picture, or a folder of PNG and JPEG files; empty: a drawn picture of coloured clouds.
    """

    source: str = neutral("")


@register_dataset("background_dsprites", label="Background-dSprites", groups=("dsprites_variants",))
class BackgroundDSprites(SpriteWorld):
    """dSprites as the negative of a piece of a tinted picture; piece and tint are no factors.

    Each row has a 64 px piece of a picture (the `source`, shrunk to 350×274 if it is larger), averaged with a colour
    that is uniform in [0, 1] per channel; on the sprite it is inverted. With a scan of Munch's The Scream as `source`
    this is Scream-dSprites as in disentanglement_lib (Locatello et al. 2019), but that a row keeps its piece and
    colour, where theirs draws them whenever an image is drawn. Nobody may ship that scan, so the default is a stand-in:
    a picture of coloured clouds that is drawn here, and scores on it aren't those of Scream-dSprites.

    Raises
    ------
    BenchError
        If the source is missing, no picture, too small or too large, in one line, when images are first asked for.
    """

    paths: ClassVar[tuple[str, ...]] = ("source",)
    named_by: ClassVar[str] = "source"
    Options = BackgroundOptions

    def __init__(self, options: BackgroundOptions) -> None:
        super().__init__(options)
        self._pictures: list[NDArray[np.uint8]] = []

    def pictures(self) -> list[NDArray[np.uint8]]:
        """Pictures that backgrounds are cut from, each of shape (h, w, 3); read or drawn on the first call."""
        if not self._pictures:
            source = self.options.source
            self._pictures = read_backgrounds(source, more_than=CANVAS) if source else [painting()]
        return self._pictures

    def native(self, rows: Index) -> NDArray[np.uint8]:
        """Images of rows of the whole grid, shape (n, 3, 64, 64); see `bench.world.World.native`."""
        pictures = self.pictures()
        drawn = uniform(random_words("background_dsprites", rows, 6))
        chosen = (drawn[:, 0] * len(pictures)).astype(int).tolist()
        tints = 255 * drawn[:, 3:]
        images = np.empty((len(rows), 3, CANVAS, CANVAS), dtype=np.uint8)
        for place, (number, down, across) in enumerate(zip(chosen, drawn[:, 1], drawn[:, 2], strict=True)):
            height, width, _ = pictures[number].shape
            top, left = int(down * (height - CANVAS)), int(across * (width - CANVAS))
            piece = pictures[number][top : top + CANVAS, left : left + CANVAS]
            images[place] = np.moveaxis(np.rint((piece + tints[place]) / 2), -1, 0)
        # 255 - x inverts all bits of a byte x.
        images ^= self.masks(rows)[:, None] * np.uint8(255)
        return images

    def identity(self) -> str:
        """Checksum of all pictures, and of some images as of every `SpriteWorld`."""
        digest = hashlib.sha256(super().identity().encode())
        for picture in self.pictures():
            digest.update(f"{picture.shape}".encode() + picture.tobytes())
        return digest.hexdigest()
