"""MPI3D, from the authors' files."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from bench.data.source import DataFile
from bench.dataset import register_dataset
from bench.datasets._arrays import npz_images
from bench.file_world import FileWorld
from bench.levels import Levels
from bench.neutral import neutral
from bench.world import WorldOptions

URL = "https://storage.googleapis.com/disentanglement_dataset/Final_Dataset/"


@dataclass(frozen=True, kw_only=True)
class Mpi3DOptions(WorldOptions):
    """Options of `Mpi3D`: those of `bench.world.WorldOptions`, the levels of each factor, and one.

    Attributes
    ----------
    variant : {"toy", "realistic", "real", "complex"}
        Rendered simply; rendered realistically; photographed; everyday objects photographed, of which there are four
        shapes in four colours instead of six in six.
    """

    full: ClassVar[Mapping[str, int]] = {
        "object_color": 6,
        "object_shape": 6,
        "object_size": 2,
        "camera_height": 3,
        "background_color": 3,
        "horizontal_axis": 40,
        "vertical_axis": 40,
    }

    object_color: Levels = neutral("all")
    object_shape: Levels = neutral("all")
    object_size: Levels = neutral("all")
    camera_height: Levels = neutral("all")
    background_color: Levels = neutral("all")
    horizontal_axis: Levels = neutral("all")
    vertical_axis: Levels = neutral("all")
    variant: Literal["toy", "realistic", "real", "complex"] = "toy"

    def __post_init__(self) -> None:
        if self.variant == "complex":
            object.__setattr__(self, "full", {**self.full, "object_color": 4, "object_shape": 4})
        super().__post_init__()


@register_dataset("mpi3d", label="MPI3D")
class Mpi3D(FileWorld):
    """MPI3D: 1,036,800 colour images of an object on a robot's arm, 64x64 pixels, over seven factors; three domains.

    A fourth variant, "complex", has 460,800 images; no address or checksum of its file has been verified. 12 GB
    unpacked: the images are laid out once in a file whose rows are read, and never in memory together.
    """

    folder = "mpi3d"
    likelihood = "bernoulli"
    files = (
        DataFile("mpi3d_toy.npz", (f"{URL}mpi3d_toy.npz",), "md5:55889cb7c7dfc655d6e0277beee88868"),
        DataFile("mpi3d_realistic.npz", (f"{URL}mpi3d_realistic.npz",), "md5:59a6225b88b635365f70c91b3e52f70f"),
        DataFile("mpi3d_real.npz", (f"{URL}mpi3d_real.npz",), "md5:0f33f609918fb5c97996692f91129802"),
        DataFile("mpi3d_complex.npz"),
    )
    licence = "CC BY 4.0"
    citation = (
        "M. W. Gondal, M. Wuthrich, D. Miladinovic, F. Locatello and others: On the transfer of inductive bias from "
        "simulation to the real world: a new disentanglement dataset, NeurIPS 2019, "
        "https://github.com/rr-learning/disentanglement_dataset"
    )
    Options = Mpi3DOptions

    def detail(self) -> str:
        """The variant."""
        return str(self.options.variant)

    def wanted(self) -> Sequence[DataFile]:
        """The variant's file."""
        return [file for file in self.files if file.name == f"mpi3d_{self.options.variant}.npz"]

    def parse(self, paths: Sequence[Path]) -> Iterator[NDArray[np.uint8]]:
        """Blocks (n, 3, 64, 64)."""
        return npz_images(paths[0], "images", (math.prod(self.options.full.values()), 64, 64, 3))
