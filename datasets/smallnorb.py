"""SmallNORB, from the authors' files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from bench.data.source import DataFile
from bench.dataset import register_dataset
from bench.datasets._norb import norb_images
from bench.file_world import FileWorld
from bench.levels import Levels
from bench.neutral import neutral
from bench.world import LikelihoodOptions

URL = "https://cs.nyu.edu/~ylclab/data/norb-v1.0-small/"
TRAIN, TEST = "smallnorb-5x46789x9x18x6x2x96x96-training", "smallnorb-5x01235x9x18x6x2x96x96-testing"
#: Instances that the authors train and test on.
INSTANCES = {"train": (4, 6, 7, 8, 9), "test": (0, 1, 2, 3, 5)}


def _files(split: str, sizes: Sequence[int], *checksums: str) -> tuple[DataFile, ...]:
    names = [f"{split}-{kind}.mat.gz" for kind in ("dat", "cat", "info")]
    return tuple(
        DataFile(name, (f"{URL}{name}",), f"sha256:{checksum}", size)
        for name, checksum, size in zip(names, checksums, sizes, strict=True)
    )


@dataclass(frozen=True, kw_only=True)
class SmallNorbOptions(LikelihoodOptions):
    """Options of `SmallNorb`: those of `bench.world.LikelihoodOptions`, the levels of each factor, and two.

    Attributes
    ----------
    part : {"all", "train", "test"}
        The authors' splits have five instances of each category: "train" is short for ``instance=4,6,7,8,9``, "test"
        for ``instance=0,1,2,3,5``, and kept as that.
    camera : {"left", "right"}
        Of the pair that took each picture.
    """

    full: ClassVar[Mapping[str, int]] = {"category": 5, "instance": 10, "elevation": 9, "azimuth": 18, "lighting": 6}

    category: Levels = neutral("all")
    instance: Levels = neutral("all")
    elevation: Levels = neutral("all")
    azimuth: Levels = neutral("all")
    lighting: Levels = neutral("all")
    part: Literal["all", "train", "test"] = neutral("all")
    camera: Literal["left", "right"] = neutral("left")

    def __post_init__(self) -> None:
        if self.part in INSTANCES:
            if self.instance != "all":
                raise ValueError(f"part={self.part}: chooses instances; leave instance={self.instance} or it out")
            object.__setattr__(self, "instance", INSTANCES[self.part])
            object.__setattr__(self, "part", "all")
        super().__post_init__()


@register_dataset("smallnorb", label="SmallNORB")
class SmallNorb(FileWorld):
    """SmallNORB: 48,600 grey photographs of 50 toys, 96x96 pixels, over elevation, azimuth and lighting, both splits.

    The files hold them in no order; they are sorted into the grid by their info files.
    """

    folder = "smallnorb"
    channels = 1
    #: Width and height of the images in the file.
    side: ClassVar[int] = 96
    files = (
        *_files(
            TRAIN,
            (131_896_188, 0, 0),
            "5ffd6272a07d32695ee1082a26a41a93a37aab8c28da047f8c34ed348d214873",
            "2784e542c1922060691090952b6cd6278879a216c90f81476f0f00256d42cdaa",
            "de7eb932ebe7a4ee16217fead60660d0eb3d23632c2f4d1c51f88c501c17bf32",
        ),
        *_files(
            TEST,
            (130_799_817, 0, 0),
            "cf7104eed3e51174d2f65b66d1e5878b9da233b886f161b0d88f4510ba2c7474",
            "ecaf6d5bb8c3bc5eab9cf0258f6d2198dd474e016e374836fc097f2e5ff509ff",
            "16adf314226327ee006d1a44db8cfef52773c06c829951d5653a9f6f310248a2",
        ),
    )
    licence = "unknown"
    citation = (
        "Y. LeCun, F. J. Huang, L. Bottou: Learning methods for generic object recognition with invariance to pose and "
        "lighting, CVPR 2004, https://cs.nyu.edu/~ylclab/data/norb-v1.0-small/"
    )
    Options = SmallNorbOptions

    def detail(self) -> str:
        """The camera."""
        return str(self.options.camera)

    def parse(self, paths: Sequence[Path]) -> Iterator[NDArray[np.uint8]]:
        """Blocks (n, 1, 96, 96)."""
        splits = [(paths[0], paths[1], paths[2]), (paths[3], paths[4], paths[5])]
        return norb_images(splits, self.options.full, self.options.camera, side=self.side)
