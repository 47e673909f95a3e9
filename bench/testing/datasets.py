"""What every dataset keeps to."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.dataset import Dataset, load_dataset, resolve_options
from bench.errors import BenchError
from bench.registry import DATASETS
from bench.seeds import stream
from bench.testing.checks import Check, ContractError, require

Settings = Mapping[str, Any]
#: Of a larger dataset so many rows are looked at, the first and the last among them.
MOST_ROWS = 2_000


def load(name: str, settings: Settings) -> Dataset:
    """The dataset with these options."""
    return load_dataset(name, _options(name, settings))


def rows(dataset: Dataset) -> NDArray[np.int64]:
    """All rows in order, or a random choice of them."""
    n = len(dataset)
    if n <= MOST_ROWS:
        return np.arange(n)
    chosen = stream(0, "contract").choice(n, MOST_ROWS - 2, replace=False)
    return np.unique(np.concatenate([[0], chosen, [n - 1]])).astype(np.int64)


def images_are_as_described(name: str, settings: Settings) -> None:
    """Its images have the shape, type and range that it says."""
    dataset = load(name, settings)
    require(len(dataset) > 0, "it has no images")
    images = dataset.images(rows(dataset)[:50])
    shape = images.shape[1:]
    require(shape == dataset.image_shape, f"images are {shape}, image_shape says {dataset.image_shape}")
    known = ("bernoulli", "gaussian", "gaussian_unit")
    require(dataset.likelihood in known, f"likelihood is '{dataset.likelihood}'; it is {', '.join(known)}")
    if dataset.likelihood == "gaussian_unit":
        require(images.dtype == np.float32, f"vectors are {images.dtype}, not float32")
        require(np.isfinite(images).all(), "vectors aren't finite")
    else:
        require(images.dtype == np.uint8, f"images are {images.dtype}, not uint8")
        require(images.max() <= dataset.image_max, f"a pixel is {images.max()}, image_max {dataset.image_max}")


def rows_do_not_depend_on_the_other_rows_asked_for(name: str, settings: Settings) -> None:
    """A row's image doesn't depend on the rows it is asked for with."""
    dataset = load(name, settings)
    some = rows(dataset)[:6]
    together, backwards = dataset.images(some), dataset.images(some[::-1].copy())
    require(np.array_equal(together, backwards[::-1]), "images of the same rows in another order are others")


def index_and_factors_are_inverse(name: str, settings: Settings) -> None:
    """Factors of a row and the row of factors are each other's inverse, where rows can be looked up."""
    dataset = load(name, settings)
    some, n_factors = rows(dataset), len(dataset.factor_names)
    factors = dataset.factors(some)
    require(factors.shape == (len(some), n_factors), f"factors are {factors.shape}, not {(len(some), n_factors)}")
    sizes = dataset.factor_sizes
    require(len(sizes) == n_factors, f"{n_factors} factor_names, {len(sizes)} factor_sizes")
    if n_factors:
        require(((factors >= 0) & (factors < np.array(sizes))).all(), "a factor's class isn't below its factor_sizes")
        try:
            back = dataset.index(factors)
        except BenchError:
            return  # rows drawn at random: not every combination of factors has one
        require(np.array_equal(back, some), "index(factors(row)) isn't the row")


def labels_are_classes(name: str, settings: Settings) -> None:
    """Class labels, where there are any, are one whole number a row, from 0, and have names or none."""
    dataset = load(name, settings)
    some = rows(dataset)
    labels, names = dataset.labels(some), dataset.label_names
    if labels is None:
        require(not names, "it has label_names and no labels")
        return
    require(labels.shape == (len(some),), f"labels are {labels.shape}, not {(len(some),)}")
    require(labels.dtype == np.int64, f"labels are {labels.dtype}, not int64")
    require(labels.min() >= 0, f"a label is {labels.min()}, below 0")
    require(not names or labels.max() < len(names), f"a label is {labels.max()}, there are {len(names)} label_names")
    require(len(set(names)) == len(names), "label_names repeat")


def packed_bits_are_the_images(name: str, settings: Settings) -> None:
    """Packed bits, where there are any, are the images."""
    dataset = load(name, settings)
    packed = dataset.packed()
    if packed is not None:
        some = rows(dataset)
        images = dataset.images(some).reshape(len(some), -1)
        bits = np.packbits(images.astype(np.uint8), axis=1)
        require(len(packed) == len(dataset), f"packed has {len(packed)} rows, the dataset {len(dataset)}")
        require(np.array_equal(packed[some], bits), "packed() doesn't hold the bits of images()")


def fingerprint_repeats(name: str, settings: Settings) -> None:
    """Its fingerprint is a checksum that repeats."""
    dataset = load(name, settings)
    again = type(dataset)(dataset.options)
    found = dataset.fingerprint()
    require(re.fullmatch("[0-9a-f]{64}", found), f"the fingerprint '{found}' isn't 64 hex digits")
    require(found == again.fingerprint(), "a second object of the same options has another fingerprint")


def resolved_options_are_a_fixed_point(name: str, settings: Settings) -> None:
    """Resolved options resolve to themselves, and unknown ones are refused."""
    options = resolve_options(name, _options(name, settings))
    again = resolve_options(name, options)
    require(again == options, f"options {options} resolve to {again}")
    try:
        resolve_options(name, options | {"nonsense": 1})
    except BenchError as error:
        require("unknown option 'nonsense'" in str(error), f"'nonsense' was refused for another reason: {error}")
    else:
        raise ContractError("the option 'nonsense' was taken")


def query_images_exist(name: str, settings: Settings) -> None:
    """The images that are shown in reports exist."""
    dataset = load(name, settings)
    shown = dataset.query_indices()
    require(((shown >= 0) & (shown < len(dataset))).all(), f"query_indices {shown.tolist()} aren't all rows")


def states_its_licence(name: str, settings: Settings) -> None:
    """It states its licence and documents itself."""
    require(load(name, settings).licence, "licence is empty: say 'unknown' if it is")
    require(inspect.getdoc(DATASETS.get(name).value), "it has no docstring")


def _options(name: str, settings: Settings) -> dict[str, Any]:
    return {**DATASETS.get(name).value.small, **settings}


CHECKS: list[Check] = [
    images_are_as_described,
    rows_do_not_depend_on_the_other_rows_asked_for,
    index_and_factors_are_inverse,
    labels_are_classes,
    packed_bits_are_the_images,
    fingerprint_repeats,
    resolved_options_are_a_fixed_point,
    query_images_exist,
    states_its_licence,
]
