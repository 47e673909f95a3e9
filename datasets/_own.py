"""What the data sets of a user's own images have in common: pixels as `uint8`, factors that may be no grid, labels."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import SkipValidation

from bench.dataset import Dataset, Images, Index
from bench.datasets._pictures import centre
from bench.errors import BenchError
from bench.neutral import neutral
from bench.npz import GIB
from bench.world import Size, resized

#: Trailing or leading axes of at most this many entries are taken for channels.
MAX_CHANNELS = 4


@dataclass(frozen=True, kw_only=True)
class OwnOptions:
    """Options of what is read from a user's files.

    Attributes
    ----------
    path : str
        The file or folder.
    size : {0, 28, 32, 64, 96}
        Width and height in pixels of the square in the middle of each image, after resizing; 0: as they are.
    grey : bool
        One channel of luminance (ITU-R 601) instead of colour.
    likelihood : {"bernoulli", "gaussian"}
        What the reconstruction term is.
    max_memory : float
        GiB that the images may take; more is refused. Part of a run's identity where it isn't the default.
    """

    path: str = ""
    size: Annotated[Literal[0, 28, 32, 64, 96], SkipValidation] = neutral(0)
    grey: bool = neutral(False)
    likelihood: Literal["bernoulli", "gaussian"] = "bernoulli"
    max_memory: float = neutral(8.0)

    def __post_init__(self) -> None:
        if not self.path:
            raise ValueError("path='': needs the file or folder that holds the images")
        if str(self.size) not in ("0", *map(str, get_args(Size))):
            raise ValueError(f"size={self.size!r}: needs 28, 32, 64 or 96, or 0 for images as they are")
        object.__setattr__(self, "size", int(self.size))
        if not 0 < self.max_memory < 1e6:
            raise ValueError(f"max_memory={self.max_memory}: needs GiB, above 0")


class OwnImages(Dataset):
    """Images in memory, with or without factors and labels; a subclass reads them and calls `hold`.

    Attributes
    ----------
    path : Path
        What is read, for messages.
    label_names : tuple of str
        Of the classes, empty where they aren't known.
    """

    paths: ClassVar[tuple[str, ...]] = ("path",)
    named_by: ClassVar[str] = "path"
    label_names: tuple[str, ...] = ()

    def __init__(self, options: Any) -> None:
        super().__init__(options)
        self.path = Path(options.path).expanduser()
        self.likelihood = options.likelihood
        self._pixels: Images
        self._classes: NDArray[np.int64] | None = None
        self._labels: NDArray[np.int64] | None = None
        self._places: dict[bytes, int] | None = None

    def hold(
        self,
        images: tuple[Images, int],
        *,
        factors: NDArray[Any] | None = None,
        sizes: tuple[int, ...] = (),
        names: NDArray[Any] | None = None,
        labels: NDArray[Any] | None = None,
        label_names: NDArray[Any] | None = None,
    ) -> None:
        """Take what was read.

        Parameters
        ----------
        images : ndarray of shape (N, C, h, w), uint8, and int
            And the value that stands for 1.
        factors : ndarray of shape (N, F), integers, optional
            Any values: they are numbered in ascending order.
        sizes : tuple of int
            Without `factors`: number of classes of each factor of a full grid in C order.
        names : ndarray of shape (F,), strings, optional
            Of factors.
        labels : ndarray of shape (N,), integers, optional
            Of any values; without `label_names` these are the names.
        label_names : ndarray of strings, optional
            Name of label 0, 1, ...

        Raises
        ------
        BenchError
            What doesn't fit together, in one line.
        """
        self._pixels, self.image_max = images
        self.image_shape = cast("tuple[int, int, int]", self._pixels.shape[1:])
        self._set_factors(factors, sizes)
        self._set_names(names)
        self._set_labels(labels, label_names)

    def __len__(self) -> int:
        return len(self._pixels)

    def images(self, index: Index) -> Images:
        """Images of the given rows; see `bench.dataset.Dataset.images`."""
        return self._pixels[index]

    def factors(self, index: Index) -> NDArray[np.int64]:
        """Factor classes of the given rows, shape (n, n_factors)."""
        return super().factors(index) if self._classes is None else self._classes[index]

    def labels(self, index: Index) -> NDArray[np.int64] | None:
        """Class labels of the given rows, shape (n,), or None where there are none."""
        return None if self._labels is None else self._labels[index]

    def index(self, factors: NDArray[np.int64]) -> Index:
        """Rows of the given factor classes, shape (n,); the first one where several images share them.

        Raises
        ------
        BenchError
            If no image has these factors, or the factors aren't known.
        """
        if not self.factor_sizes:
            raise BenchError(f"{self.path}: has no factors")
        classes = np.asarray(factors, dtype=np.int64)
        absent = ((classes < 0) | (classes >= np.array(self.factor_sizes))).any(axis=1)
        rows = np.full(len(classes), -1, dtype=np.int64)
        if self._classes is None:
            rows[~absent] = super().index(classes[~absent])
        else:
            if self._places is None:
                self._places = {}
                for row, key in enumerate(self._classes):
                    self._places.setdefault(key.tobytes(), row)
            rows[:] = [self._places.get(key.tobytes(), -1) for key in classes]
        if (rows < 0).any():
            first = classes[np.flatnonzero(rows < 0)[0]]
            named = ", ".join(f"{name}={value}" for name, value in zip(self.factor_names, first, strict=True))
            raise BenchError(f"{self.path}: no image has {named}")
        return rows

    def fingerprint(self) -> str:
        """SHA-256 (hex) of images, factors and labels as they are used, whatever the file's layout."""
        head = [self.image_shape, self.image_max, self.factor_names, self.factor_sizes]
        digest = hashlib.sha256(json.dumps(head).encode())
        digest.update(self._pixels.data)
        if self._classes is not None:
            digest.update(self._classes.data)
        if self._labels is not None:
            digest.update(json.dumps(["labels", self.label_names]).encode())
            digest.update(self._labels.data)
        return digest.hexdigest()

    def _set_factors(self, factors: NDArray[Any] | None, sizes: tuple[int, ...]) -> None:
        count = len(self)
        if factors is None:
            product = int(np.prod(sizes, dtype=object))
            if sizes and product != count:
                shown = " x ".join(map(str, sizes))
                raise BenchError(f"{self.path}: factor_sizes {shown} = {product}, but it has {count} images")
            self.factor_sizes = sizes
            return
        if sizes:
            raise BenchError(f"{self.path}: has 'factors' already; leave factor_sizes out")
        shaped = factors.ndim == 2 and len(factors) == count and factors.shape[1] > 0
        if not shaped or factors.dtype.kind not in "iu":
            needs = f"needs integers of shape ({count}, factors)"
            raise BenchError(f"{self.path}: 'factors' are {factors.dtype} of shape {factors.shape}; {needs}")
        numbered = [np.unique(column, return_inverse=True) for column in factors.T]
        self.factor_sizes = tuple(len(values) for values, _ in numbered)
        rows = np.stack([classes for _, classes in numbered], axis=1).astype(np.int64)
        product = int(np.prod(self.factor_sizes, dtype=object))
        if product != count or (rows != super().factors(np.arange(count))).any():
            self._classes = rows
        different = len(np.unique(rows, axis=0))
        if different != product:
            shown = f"{' x '.join(map(str, self.factor_sizes))} = {product}"
            self.remarks += (f"its factors don't multiply out: {shown} combinations, {different} of which have images",)

    def _set_names(self, names: NDArray[Any] | None) -> None:
        if names is None:
            self.factor_names = tuple(f"factor_{i}" for i in range(len(self.factor_sizes)))
            return
        if names.dtype.kind not in "US" or names.shape != (len(self.factor_sizes),):
            needs = f"needs {len(self.factor_sizes)} strings, one a factor"
            raise BenchError(f"{self.path}: 'factor_names' are {names.dtype} of shape {names.shape}; {needs}")
        self.factor_names = _texts(names)
        if len(set(self.factor_names)) < len(names):
            raise BenchError(f"{self.path}: 'factor_names' repeat: {', '.join(self.factor_names)}")

    def _set_labels(self, labels: NDArray[Any] | None, names: NDArray[Any] | None) -> None:
        if labels is None:
            if names is not None:
                raise BenchError(f"{self.path}: has 'label_names' but no 'labels'")
            return
        if labels.shape != (len(self),) or labels.dtype.kind not in "iu":
            needs = f"needs integers of shape ({len(self)},)"
            raise BenchError(f"{self.path}: 'labels' are {labels.dtype} of shape {labels.shape}; {needs}")
        values, classes = np.unique(labels, return_inverse=True)
        self._labels = classes.reshape(-1).astype(np.int64)
        if names is None:
            self.label_names = tuple(map(str, values.tolist()))
            return
        texts = names.dtype.kind in "US" and names.ndim == 1
        if texts and values[0] >= 0 and values[-1] < len(names):
            self._labels = labels.astype(np.int64)  # places among the names, some of which no image may have
        elif not texts or names.shape != values.shape:
            needs = f"needs {len(values)} strings, one a class that 'labels' hold"
            raise BenchError(f"{self.path}: 'label_names' are {names.dtype} of shape {names.shape}; {needs}")
        self.label_names = _texts(names)
        if len(set(self.label_names)) < len(names):
            raise BenchError(f"{self.path}: 'label_names' repeat: {', '.join(self.label_names)}")


def _texts(names: NDArray[Any]) -> tuple[str, ...]:
    return tuple(name.decode(errors="backslashreplace") if isinstance(name, bytes) else str(name) for name in names)


def as_uint8(images: NDArray[Any], path: Path) -> tuple[Images, int]:
    """Images of shape (N, C, h, w) as `uint8`, and the value that stands for 1.

    Parameters
    ----------
    images : ndarray of shape (N, h, w), (N, h, w, C) or (N, C, h, w)
        uint8, bool, or floating point in [0, 1], which is rounded to 256 levels.
    path : Path
        For messages.

    Raises
    ------
    BenchError
        Another shape, type or range.
    """
    where = f"{path}: 'images' of shape {images.shape}"
    if images.ndim == 3:
        images = images[:, None]
    elif images.ndim == 4:
        last, first = images.shape[3] <= MAX_CHANNELS, images.shape[1] <= MAX_CHANNELS
        if last == first:
            raise BenchError(f"{where}: can't tell channels (1 to {MAX_CHANNELS}) from height and width")
        images = np.moveaxis(images, 3, 1) if last else images
    else:
        raise BenchError(f"{where}: needs (N, H, W), (N, H, W, C) or (N, C, H, W)")
    if images.size == 0:
        raise BenchError(f"{where}: is empty")
    if images.dtype.kind == "f":
        if not ((images >= 0) & (images <= 1)).all():
            raise BenchError(f"{where}: floating-point values must lie in [0, 1]")
        binary = bool(((images == 0) | (images == 1)).all())
        images = images if binary else np.rint(images * 255)
    elif images.dtype == np.uint8 or images.dtype == np.bool_:
        binary = bool(images.max() <= 1)
    else:
        raise BenchError(f"{where}: are {images.dtype}; needs uint8, bool or floating point in [0, 1]")
    return np.ascontiguousarray(images, dtype=np.uint8), 1 if binary else 255


def stacked(pictures: Iterable[tuple[str, NDArray[np.uint8]]], *, size: int, max_memory: float) -> tuple[Images, int]:
    """Pictures as one array (N, C, h, w), and the value that stands for 1.

    Parameters
    ----------
    pictures : iterable of (str, ndarray of shape (1 or 3, h, w), uint8)
        At least one. Grey ones become colour ones where there are both.
    size : int
        Width and height of the square in the middle of each after resizing; 0: as they are, all equally large.
    max_memory : float
        GiB that they may take.

    Raises
    ------
    BenchError
        In one line that names the picture: of another size than the first, or one more than memory is for.
    """
    first = ""
    kept: list[NDArray[np.uint8]] = []
    total = 0
    for name, picture in pictures:
        image = resized(centre(picture)[None], size)[0] if size else picture
        if kept and image.shape[1:] != kept[0].shape[1:]:
            (height, width), (first_height, first_width) = image.shape[1:], kept[0].shape[1:]
            raise BenchError(
                f"{name}: is {width}x{height}, but {first} is {first_width}x{first_height}; "
                "the option size=64 makes all squares of one size"
            )
        total += image.nbytes
        if total > max_memory * GIB:
            raise BenchError(f"{name}: takes the images beyond {max_memory:g} GiB; the option max_memory allows more")
        first = first or name
        kept.append(image)
    channels = max(map(len, kept))
    images = np.empty((len(kept), channels, *kept[0].shape[1:]), dtype=np.uint8)
    for row, image in enumerate(kept):
        images[row] = image  # one channel is repeated
    return images, 255


def fitted(images: Images, image_max: int, *, size: int, grey: bool) -> tuple[Images, int]:
    """Images (N, C, h, w) as the options `size` and `grey` ask for them, and the value that stands for 1.

    Raises
    ------
    ValueError
        If they have neither one channel nor three, and have to change.
    """
    if not size and not (grey and images.shape[1] > 1):
        return images, image_max
    if images.shape[1] not in (1, 3):
        raise ValueError(f"images of {images.shape[1]} channels can't be resized or made grey; needs 1 or 3")
    whole = images if image_max == 255 else images * np.uint8(255)
    if not size:
        red, green, blue = (whole[:, [i]].astype(np.float32) for i in range(3))
        return np.rint(0.299 * red + 0.587 * green + 0.114 * blue).astype(np.uint8), 255
    return np.concatenate([resized(centre(image)[None], size, grey=grey) for image in whole]), 255


def numbered(values: Sequence[str]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Classes of texts, and each class's text: in the order of numbers where all are numbers, else in the alphabet's.

    Examples
    --------
    >>> numbered(["10", "9", "10"])
    (array([1, 0, 1]), ('9', '10'))
    """
    different = sorted(set(values))
    try:
        different.sort(key=float)
    except ValueError:
        different.sort()
    place = {value: number for number, value in enumerate(different)}
    return np.array([place[value] for value in values], dtype=np.int64), tuple(different)
