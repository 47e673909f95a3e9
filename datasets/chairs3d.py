"""3D Chairs, from the authors' archive of pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from bench.data.source import DataFile
from bench.dataset import register_dataset
from bench.datasets._chairs import chair_images
from bench.file_world import FileWorld
from bench.levels import Levels
from bench.neutral import neutral
from bench.world import LikelihoodOptions


@dataclass(frozen=True, kw_only=True)
class Chairs3DOptions(LikelihoodOptions):
    """Options of `Chairs3D`: those of `bench.world.LikelihoodOptions`, and the levels of each factor."""

    full: ClassVar[Mapping[str, int]] = {"model": 1393, "elevation": 2, "azimuth": 31}

    model: Levels = neutral("all")
    elevation: Levels = neutral("all")
    azimuth: Levels = neutral("all")


@register_dataset("chairs3d", label="3D Chairs")
class Chairs3D(FileWorld):
    """3D Chairs: 86,366 colour images of 1,393 chairs from 62 sides, 600x600 pixels, cropped to the middle 400x400.

    Factors are read from the files' names: models in the order of their names, views in that of their angles. No
    checksum of the archive is known.
    """

    folder = "chairs3d"
    files = (
        DataFile(
            "rendered_chairs.tar", ("https://www.di.ens.fr/willow/research/seeing3Dchairs/data/rendered_chairs.tar",)
        ),
    )
    licence = "unknown"
    citation = (
        "M. Aubry, D. Maturana, A. A. Efros, B. C. Russell, J. Sivic: Seeing 3D chairs: exemplar part-based 2D-3D "
        "alignment using a large dataset of CAD models, CVPR 2014, https://www.di.ens.fr/willow/research/seeing3Dchairs"
    )
    Options = Chairs3DOptions

    def detail(self) -> str:
        """Pixels a side: pictures are made small once, from the published ones."""
        return str(self.options.size)

    def parse(self, paths: Sequence[Path]) -> Iterator[NDArray[np.uint8]]:
        """Blocks (n, 3, size, size)."""
        return chair_images(paths[0], self.options.full, side=self.options.size)
