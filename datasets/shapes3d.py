"""Shapes3D, from the authors' file."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from bench.data.source import DataFile
from bench.dataset import register_dataset
from bench.datasets._arrays import h5_images
from bench.file_world import FileWorld
from bench.levels import Levels
from bench.neutral import neutral
from bench.world import WorldOptions


@dataclass(frozen=True, kw_only=True)
class Shapes3DOptions(WorldOptions):
    """Options of `Shapes3D`: those of `bench.world.WorldOptions`, and the levels of each factor."""

    full: ClassVar[Mapping[str, int]] = {
        "floor_hue": 10, "wall_hue": 10, "object_hue": 10, "scale": 8, "shape": 4, "orientation": 15,
    }  # fmt: skip

    floor_hue: Levels = neutral("all")
    wall_hue: Levels = neutral("all")
    object_hue: Levels = neutral("all")
    scale: Levels = neutral("all")
    shape: Levels = neutral("all")
    orientation: Levels = neutral("all")


@register_dataset("shapes3d", label="Shapes3D")
class Shapes3D(FileWorld):
    """Shapes3D: 480,000 colour images of a solid in a room, 64x64 pixels, over hues, scale, shape and orientation."""

    folder = "shapes3d"
    likelihood = "bernoulli"
    files = (
        DataFile(
            "3dshapes.h5",
            ("https://storage.googleapis.com/3d-shapes/3dshapes.h5",),
            "sha256:0a0f6ed98baff276a50f3a081a7434d788da63cb135a98189b2a5b5769be1785",
            267_573_662,
        ),
    )
    licence = "Apache-2.0"
    citation = "C. Burgess, H. Kim: 3D Shapes Dataset, 2018, https://github.com/google-deepmind/3d-shapes"
    Options = Shapes3DOptions

    def parse(self, paths: Sequence[Path]) -> Iterator[NDArray[np.uint8]]:
        """Blocks (n, 3, 64, 64)."""
        return h5_images(paths[0], "images", (math.prod(self.options.full.values()), 64, 64, 3))
