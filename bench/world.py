"""What data sets of images have in common: levels of their factors, size, colour.

A data set gives the images of its whole grid as they are; `World` chooses among them, makes them grey and resizes them.
"""

from __future__ import annotations

import hashlib
import json
import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any, ClassVar, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import SkipValidation

from bench.dataset import Dataset, Images, Index
from bench.levels import chosen_classes
from bench.neutral import neutral
from bench.rows import RowOptions, row_settings

Size = Literal[28, 32, 64, 96]

#: Images that are looked at to tell versions of a world apart.
PROBE = 256
#: Native images that are in memory at a time: they may be many times as large as what is made of them.
BLOCK = 1024


@dataclass(frozen=True, kw_only=True)
class WorldOptions(RowOptions):
    """Options of every `World`; a subclass has a field for each factor, ``floor_hue: Levels = neutral("all")``.

    Attributes
    ----------
    full : mapping of str to int
        Number of classes of each factor of the whole grid, the last one fastest; empty where factors aren't known.
    coloured : bool
        Whether native images have colour; where they don't `grey` changes nothing, and is kept as False.
    size : {28, 32, 64, 96}
        Width and height in pixels. Images of another size are averaged over areas, or interpolated if they grow.
    grey : bool
        One channel of luminance (ITU-R 601) instead of colour.
    """

    full: ClassVar[Mapping[str, int]] = {}
    coloured: ClassVar[bool] = True

    size: Annotated[Size, SkipValidation] = 64
    grey: bool = neutral(False)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, total in self.full.items():
            chosen = chosen_classes(name, getattr(self, name), total)
            object.__setattr__(self, name, "all" if len(chosen) == total else chosen)
        sizes = get_args(Size)
        if str(self.size) not in map(str, sizes):
            raise ValueError(f"size={self.size!r}: needs {', '.join(map(str, sizes[:-1]))} or {sizes[-1]}")
        object.__setattr__(self, "size", int(self.size))
        if not self.coloured:
            object.__setattr__(self, "grey", False)

    @property
    def levels(self) -> tuple[tuple[int, ...], ...]:
        """Chosen classes of each factor, ascending."""
        return tuple(chosen_classes(name, getattr(self, name), total) for name, total in self.full.items())


@dataclass(frozen=True, kw_only=True)
class LikelihoodOptions(WorldOptions):
    """Options of worlds on which published code disagrees about the reconstruction term.

    Attributes
    ----------
    likelihood : {"bernoulli", "gaussian"}
        The cross-entropy, as FactorVAE's public code has it on every data set; or the squared error, summed over pixels
        and channels, as DynamicVAE's has it on 3D Chairs, CelebA and SmallNORB.
    """

    likelihood: Literal["bernoulli", "gaussian"] = neutral("bernoulli")


class World(Dataset):
    """Images, native in size and colour, of which the options of `WorldOptions` choose.

    A subclass gives `native`, and `count` where factors aren't known. It may stay lazy: nothing is read or rendered
    before images are asked for.

    Attributes
    ----------
    channels : int
        Of native images: 1 or 3.
    levels : tuple of tuple of int
        Chosen classes of each factor: factor value i is class ``levels[factor][i]`` of the whole grid.
    """

    Options: ClassVar[type] = WorldOptions
    channels: ClassVar[int] = 3

    def __init__(self, options: Any) -> None:
        super().__init__(options)
        self.levels: tuple[tuple[int, ...], ...] = options.levels
        self.factor_names = tuple(options.full)
        self.factor_sizes = tuple(len(level) for level in self.levels)
        self.image_shape = (1 if options.grey else self.channels, options.size, options.size)
        if isinstance(options, LikelihoodOptions):
            self.likelihood = options.likelihood

    @abstractmethod
    def native(self, rows: Index) -> NDArray[np.uint8]:
        """Images of rows of the whole grid.

        Parameters
        ----------
        rows : ndarray of shape (n,), int64
            Of the whole grid in C order, the last factor fastest; rows of the file where factors aren't known.

        Returns
        -------
        ndarray of shape (n, channels, h, w), uint8
            Of any size.
        """

    def count(self) -> int:
        """Number of native images: of the whole grid, or, where factors aren't known, what a subclass says.

        Raises
        ------
        NotImplementedError
            If there are no factors and no subclass says it.
        """
        if not self.options.full:
            raise NotImplementedError(f"{type(self).__name__} has neither factors nor a count")
        return math.prod(self.options.full.values())

    def __len__(self) -> int:
        return super().__len__() if self.factor_sizes else self.count()

    def rows_of_whole_grid(self, index: Index) -> Index:
        """Rows of the whole grid that hold the given rows of the chosen one."""
        if not self.factor_sizes:
            return index
        classes = Dataset.factors(self, index)
        chosen = [np.array(level)[classes[:, i]] for i, level in enumerate(self.levels)]
        rows: Index = np.ravel_multi_index(chosen, tuple(self.options.full.values())).astype(np.int64)
        return rows

    def images(self, index: Index) -> Images:
        """Images of the given rows; see `bench.dataset.Dataset.images`."""
        images = np.empty((len(index), *self.image_shape), dtype=np.uint8)
        for start in range(0, len(index), BLOCK):
            native = self.native(self.rows_of_whole_grid(index[start : start + BLOCK]))
            images[start : start + BLOCK] = resized(native, self.options.size, grey=self.options.grey)
        return images

    def identity(self) -> str:
        """What tells these native images from others: a checksum of some of them, spread evenly over the whole.

        Data sets that are read from files give the checksum of those instead.
        """
        total = self.count()
        rows = np.unique(np.linspace(0, total - 1, min(PROBE, total)).astype(np.int64))
        return hashlib.sha256(self.native(rows).tobytes()).hexdigest()

    def fingerprint(self) -> str:
        """SHA-256 (hex) of `identity` and the options; hashing every image of some worlds would take minutes."""
        apart = {*self.paths, *row_settings(self.options), "likelihood"}  # none of which changes an image
        chosen = {key: value for key, value in asdict(self.options).items() if key not in apart}
        head = [self.identity(), chosen, self.image_shape, self.image_max, self.factor_sizes]
        return hashlib.sha256(json.dumps(head, sort_keys=True).encode()).hexdigest()


def resized(images: NDArray[np.uint8], size: int, *, grey: bool = False) -> NDArray[np.uint8]:
    """Square images of a size, one channel of luminance if `grey`.

    Parameters
    ----------
    images : ndarray of shape (n, C, h, w), uint8
        C is 1 or 3.
    size : int
        Width and height in pixels.
    grey : bool
        Colour becomes ITU-R 601 luminance, ``0.299 R + 0.587 G + 0.114 B``.

    Returns
    -------
    ndarray of shape (n, 1 or C, size, size), uint8
        Averaged over areas if they shrink, bilinear if they grow.

    Examples
    --------
    >>> resized(np.full((1, 3, 128, 128), 7, dtype=np.uint8), 64, grey=True).shape
    (1, 1, 64, 64)
    """
    n, channels, height, width = images.shape
    grey = grey and channels == 3
    if (height, width) == (size, size) and not grey:
        return images
    out = np.empty((n, 1 if grey else channels, size, size), dtype=np.uint8)
    how = Image.Resampling.BOX if size <= min(height, width) else Image.Resampling.BILINEAR
    for place, image in enumerate(images):
        picture = Image.fromarray(np.ascontiguousarray(image[0] if channels == 1 else np.moveaxis(image, 0, -1)))
        pixels = np.asarray((picture.convert("L") if grey else picture).resize((size, size), how))
        out[place] = pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, -1, 0)
    return out
