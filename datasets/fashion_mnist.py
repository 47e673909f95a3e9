"""Fashion-MNIST, from the published files, which have MNIST's format, names and numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from bench.data.source import DataFile
from bench.dataset import register_dataset
from bench.datasets.mnist import Mnist, MnistOptions


@dataclass(frozen=True, kw_only=True)
class FashionMnistOptions(MnistOptions):
    """Options of `FashionMnist`, those of `bench.datasets.mnist.MnistOptions`."""


@register_dataset("fashion_mnist", label="Fashion-MNIST")
class FashionMnist(Mnist):
    """Fashion-MNIST: 70,000 articles of clothing in grey, 28x28 pixels, in two parts; the kind is the label.

    Factors aren't known. No address or checksum of the files has been verified: put them where they are looked for.
    """

    folder = "fashion_mnist"
    label_names = (
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    )  # fmt: skip
    files: ClassVar[tuple[DataFile, ...]] = tuple(DataFile(file.name) for file in Mnist.files)
    licence = "MIT"
    citation = (
        "H. Xiao, K. Rasul, R. Vollgraf: Fashion-MNIST: a novel image dataset for benchmarking machine learning "
        "algorithms, arXiv:1708.07747, 2017, https://github.com/zalandoresearch/fashion-mnist"
    )
    Options = FashionMnistOptions
