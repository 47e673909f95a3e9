"""CelebA, from the authors' files of aligned faces."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from bench.data.source import DataFile
from bench.dataset import Index, register_dataset
from bench.datasets._faces import face_attributes, face_images
from bench.errors import BenchError, did_you_mean
from bench.file_world import FileWorld
from bench.neutral import neutral
from bench.world import LikelihoodOptions


@dataclass(frozen=True, kw_only=True)
class CelebAOptions(LikelihoodOptions):
    """Options of `CelebA`: those of `bench.world.LikelihoodOptions`, and one.

    Attributes
    ----------
    attribute : str
        The one of the 40 attributes that is the label.
    """

    attribute: str = neutral("Smiling")


@register_dataset("celeba", label="CelebA")
class CelebA(FileWorld):
    """CelebA: 202,599 aligned faces in colour, 178x218 pixels, cropped to the middle 148x148; one attribute as label.

    Factors aren't known. No address or checksum of the files has been verified: put them where they are looked for.
    """

    folder = "celeba"
    label_names = ("no", "yes")
    #: Number of images.
    total: ClassVar[int] = 202_599
    files = (DataFile("img_align_celeba.zip"), DataFile("list_attr_celeba.txt"))
    licence = "non-commercial research only"
    citation = (
        "Z. Liu, P. Luo, X. Wang, X. Tang: Deep learning face attributes in the wild, ICCV 2015, "
        "http://mmlab.ie.cuhk.edu.hk/projects/CelebA.html"
    )
    Options = CelebAOptions

    def count(self) -> int:
        """Number of images."""
        return self.total

    def detail(self) -> str:
        """Pixels a side: pictures are made small once, from the published ones."""
        return str(self.options.size)

    def parse(self, paths: Sequence[Path]) -> Iterator[NDArray[np.uint8]]:
        """Blocks (n, 3, size, size)."""
        return face_images(paths[0], self.total, side=self.options.size)

    def labels(self, index: Index) -> NDArray[np.int64] | None:
        """Whether each face has the attribute, 0 or 1, shape (n,).

        Raises
        ------
        BenchError
            No such attribute; a list of other faces.
        """
        return self._labels[index]

    @functools.cached_property
    def _labels(self) -> NDArray[np.int64]:
        path, wanted = self.paths_of_files[1], self.options.attribute
        names, attributes, values = face_attributes(path)
        if wanted not in attributes:
            near = did_you_mean(wanted, attributes)
            raise BenchError(f"dataset 'celeba': attribute={wanted}: {path} has none{near}")
        if len(names) != self.total or list(names) != sorted(set(names)):
            raise BenchError(f"{path}: lists {len(names)} pictures; needs {self.total}, each once, in order")
        return values[:, attributes.index(wanted)].astype(np.int64)
