"""Cars3D, from the authors' archive of meshes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from bench.data.source import DataFile
from bench.dataset import register_dataset
from bench.datasets._meshes import mesh_images
from bench.file_world import FileWorld
from bench.levels import Levels
from bench.neutral import neutral
from bench.world import WorldOptions


@dataclass(frozen=True, kw_only=True)
class Cars3DOptions(WorldOptions):
    """Options of `Cars3D`: those of `bench.world.WorldOptions`, and the levels of each factor."""

    full: ClassVar[Mapping[str, int]] = {"elevation": 4, "azimuth": 24, "object": 183}

    elevation: Levels = neutral("all")
    azimuth: Levels = neutral("all")
    object: Levels = neutral("all")


@register_dataset("cars3d", label="Cars3D")
class Cars3D(FileWorld):
    """Cars3D: 17,568 colour images of 183 cars, 128x128 pixels, over elevation and azimuth.

    Objects are numbered in the order of their files' names.
    """

    folder = "cars3d"
    likelihood = "bernoulli"
    #: Width and height of the images in the file.
    side: ClassVar[int] = 128
    files = (
        DataFile(
            "nips2015-analogy-data.tar.gz",
            ("http://www.scottreed.info/files/nips2015-analogy-data.tar.gz",),
            "md5:4e866a7919c1beedf53964e6f7a23686",
        ),
    )
    licence = "unknown"
    citation = (
        "S. Reed, Y. Zhang, Y. Zhang, H. Lee: Deep visual analogy-making, NeurIPS 2015, "
        "http://www.scottreed.info/files/nips2015-analogy-data.tar.gz"
    )
    Options = Cars3DOptions

    def parse(self, paths: Sequence[Path]) -> Iterator[NDArray[np.uint8]]:
        """Blocks (n, 3, 128, 128)."""
        return mesh_images(paths[0], self.options.full, side=self.side)
