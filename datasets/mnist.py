"""MNIST, from the published files."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from bench.data.source import DataFile, checked
from bench.dataset import Index, register_dataset
from bench.datasets._idx import idx_images, idx_labels
from bench.file_world import FileWorld
from bench.world import WorldOptions

URL = "https://storage.googleapis.com/cvdf-datasets/mnist/"


@dataclass(frozen=True, kw_only=True)
class MnistOptions(WorldOptions):
    """Options of `Mnist`: those of `bench.world.WorldOptions`, and one.

    Attributes
    ----------
    part : {"train", "test"}
        60,000 or 10,000 images, as published.
    """

    coloured: ClassVar[bool] = False

    part: Literal["train", "test"] = "train"


@register_dataset("mnist", label="MNIST")
class Mnist(FileWorld):
    """MNIST: 70,000 handwritten digits in grey, 28x28 pixels, in two parts; the digit is the label.

    Factors aren't known.
    """

    folder = "mnist"
    channels = 1
    likelihood = "bernoulli"
    label_names: tuple[str, ...] = tuple("0123456789")
    #: Images of each part.
    counts: ClassVar[dict[str, int]] = {"train": 60_000, "test": 10_000}
    files: ClassVar[tuple[DataFile, ...]] = (
        DataFile(
            "train-images-idx3-ubyte.gz",
            (f"{URL}train-images-idx3-ubyte.gz",),
            "sha256:440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            9_912_422,
        ),
        DataFile(
            "train-labels-idx1-ubyte.gz",
            (f"{URL}train-labels-idx1-ubyte.gz",),
            "sha256:3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            28_881,
        ),
        DataFile(
            "t10k-images-idx3-ubyte.gz",
            (f"{URL}t10k-images-idx3-ubyte.gz",),
            "sha256:8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            1_648_877,
        ),
        DataFile(
            "t10k-labels-idx1-ubyte.gz",
            (f"{URL}t10k-labels-idx1-ubyte.gz",),
            "sha256:f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            4_542,
        ),
    )
    licence = "CC BY-SA 3.0"
    citation = (
        "Y. LeCun, L. Bottou, Y. Bengio, P. Haffner: Gradient-based learning applied to document recognition, "
        "Proceedings of the IEEE 86(11), 1998, http://yann.lecun.com/exdb/mnist/"
    )
    Options = MnistOptions

    def count(self) -> int:
        """Number of images of the part."""
        return self.counts[self.options.part]

    def detail(self) -> str:
        """The part."""
        return str(self.options.part)

    def wanted(self) -> Sequence[DataFile]:
        """Images and labels of the part."""
        return self.files[:2] if self.options.part == "train" else self.files[2:]

    def parse(self, paths: Sequence[Path]) -> Iterator[NDArray[np.uint8]]:
        """Blocks (n, 1, 28, 28)."""
        return idx_images(paths[0], self.count())

    def labels(self, index: Index) -> NDArray[np.int64] | None:
        """Class of each image, shape (n,)."""
        return self._labels[index]

    @functools.cached_property
    def _labels(self) -> NDArray[np.int64]:
        path = self.paths_of_files[1]
        checked(path, self.wanted()[1])
        return idx_labels(path, self.count(), len(self.label_names))
