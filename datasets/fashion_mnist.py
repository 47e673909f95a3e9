"""Fashion-MNIST, from the published files, which have MNIST's format, names and numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from bench.data.source import DataFile
from bench.dataset import register_dataset
from bench.datasets.mnist import Mnist, MnistOptions

#: Addresses and checksums are those of the authors' README, https://github.com/zalandoresearch/fashion-mnist.
URL = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
MD5 = {
    "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
    "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
    "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
}


@dataclass(frozen=True, kw_only=True)
class FashionMnistOptions(MnistOptions):
    """Options of `FashionMnist`, those of `bench.datasets.mnist.MnistOptions`."""


@register_dataset("fashion_mnist", label="Fashion-MNIST")
class FashionMnist(Mnist):
    """Fashion-MNIST: 70,000 articles of clothing in grey, 28x28 pixels, in two parts; the kind is the label.

    Factors aren't known. Addresses and checksums of the files are those of the authors' README.
    """

    folder = "fashion_mnist"
    label_names = (
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    )  # fmt: skip
    files: ClassVar[tuple[DataFile, ...]] = tuple(
        DataFile(file.name, (f"{URL}{file.name}",), f"md5:{MD5[file.name]}") for file in Mnist.files
    )
    licence = "MIT"
    citation = (
        "H. Xiao, K. Rasul, R. Vollgraf: Fashion-MNIST: a novel image dataset for benchmarking machine learning "
        "algorithms, arXiv:1708.07747, 2017, https://github.com/zalandoresearch/fashion-mnist"
    )
    Options = FashionMnistOptions
