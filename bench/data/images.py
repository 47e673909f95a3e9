"""Images in memory, on the host or on a device, in the most compact form that is fast enough."""

from __future__ import annotations

import functools
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.dataset import Dataset, Index

#: Up to this many bytes a dataset is unpacked to float32 once; above it, batches are unpacked as they are drawn.
UNPACK_LIMIT = 256 * 2**20
#: Up to this many bytes images that aren't bit-packed are held as uint8; above it, the dataset gives each batch anew.
HOLD_LIMIT = 2**30
#: Images that are asked of a dataset at a time while all of them are read into memory.
BLOCK = 1024


class Gathers(Protocol):
    """What gives images by their rows."""

    def gather(self, index: Index) -> Tensor:
        """Images of these rows, (*index.shape, C, H, W), float32 in [0, 1]."""


class ImageStore:
    """All images of a dataset, once per process: in memory in the most compact form, or where they are if too many.

    Parameters
    ----------
    dataset : Dataset
        Bit-packed if the dataset gives `packed`, else uint8; float32 if that takes at most `UNPACK_LIMIT`. Of more than
        `HOLD_LIMIT` bytes nothing is held: those of each batch are asked of the dataset, which may read a file.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.shape = dataset.image_shape
        self.n = len(dataset)
        self._scale = np.float32(1 / dataset.image_max)
        self._dataset = dataset
        self._packed = dataset.packed()
        self._held: NDArray[Any] | None = None
        self._floats: Tensor | None = None
        pixels = int(np.prod(self.shape))
        if self.n * pixels * 4 <= UNPACK_LIMIT:
            images = dataset.images(np.arange(self.n, dtype=np.int64))
            self._floats = torch.from_numpy(images.astype(np.float32) * self._scale)
        elif self._packed is None and self.n * pixels <= HOLD_LIMIT:
            self._held = _held(dataset)

    def gather(self, index: Index) -> Tensor:
        """Images of these rows.

        Parameters
        ----------
        index : ndarray of int64, any shape

        Returns
        -------
        Tensor of shape (*index.shape, C, H, W), float32 in [0, 1]
        """
        flat = index.reshape(-1)
        if self._floats is not None:
            # Copies whole rows; indexing by a tensor goes value by value.
            return self._floats.index_select(0, torch.from_numpy(flat)).reshape(*index.shape, *self.shape)
        if self._packed is not None:
            images: NDArray[Any] = np.unpackbits(self._packed[flat], axis=1)
        else:
            images = self._dataset.images(flat) if self._held is None else self._held[flat]
        return torch.from_numpy(images.astype(np.float32) * self._scale).reshape(*index.shape, *self.shape)


def _held(dataset: Dataset) -> NDArray[Any]:
    """All images, read block by block: some datasets make larger ones small on the way."""
    first = dataset.images(np.arange(min(BLOCK, len(dataset)), dtype=np.int64))
    held = np.empty((len(dataset), *dataset.image_shape), dtype=first.dtype)
    held[: len(first)] = first
    for start in range(len(first), len(dataset), BLOCK):
        rows = np.arange(start, min(start + BLOCK, len(dataset)), dtype=np.int64)
        held[rows] = dataset.images(rows)
    return held


@functools.lru_cache(maxsize=2)
def store_of(dataset: Dataset, device: str = "cpu") -> ImageStore:
    """The dataset's images in memory, the device's if that isn't the CPU, once per process."""
    if device != "cpu":
        return ResidentImages(dataset, device)
    return ImageStore(dataset)


class ResidentImages(ImageStore):
    """All images of a dataset on one device.

    Parameters
    ----------
    dataset : Dataset
        Bit-packed if the dataset gives `packed`, else uint8: the whole of dSprites takes 360 MiB.
    device : str

    Attributes
    ----------
    shape : tuple of int
        ``(C, H, W)``.
    n : int
        Number of images.
    """

    def __init__(self, dataset: Dataset, device: str) -> None:
        self.shape = dataset.image_shape
        self.n = len(dataset)
        self._unit = np.float32(1 / dataset.image_max).item()
        packed = dataset.packed()
        images = _held(dataset) if packed is None else packed
        self._rows = torch.from_numpy(np.ascontiguousarray(images)).flatten(1).to(device)
        #: Places of a byte's bits, highest first as in `numpy.packbits`; None where a byte is a pixel.
        self._shifts = None if packed is None else torch.arange(7, -1, -1, dtype=torch.uint8, device=device)

    def gather(self, index: Index | Tensor) -> Tensor:
        """Images of these rows.

        Parameters
        ----------
        index : ndarray or Tensor of int64, any shape

        Returns
        -------
        Tensor of shape (*index.shape, C, H, W), float32 in [0, 1], on the device
        """
        rows = self._rows.index_select(0, torch.as_tensor(index, device=self._rows.device).reshape(-1))
        if self._shifts is not None:
            rows = (rows.unsqueeze(-1) >> self._shifts & 1).flatten(1)
        return (rows.float() * self._unit).reshape(*index.shape, *self.shape)
