"""Images in memory and the order in which a run sees them."""

from __future__ import annotations

import functools

import numpy as np
import torch
from torch import Tensor

from bench.data import Dataset, Index
from bench.errors import BenchError
from bench.seeds import stream

#: Up to this many bytes a dataset is unpacked to float32 once; above it, batches are unpacked as they are drawn.
UNPACK_LIMIT = 256 * 2**20


class ImageStore:
    """All images of a dataset in memory, once per process, in the most compact form.

    Parameters
    ----------
    dataset : Dataset
        Bit-packed if the dataset gives `packed`, else uint8; float32 if that takes at most `UNPACK_LIMIT`.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.shape = dataset.image_shape
        self.n = len(dataset)
        self._scale = np.float32(1 / dataset.image_max)
        self._packed = dataset.packed()
        self._images: np.ndarray | None = None
        self._floats: Tensor | None = None
        pixels = int(np.prod(self.shape))
        if self.n * pixels * 4 <= UNPACK_LIMIT:
            images = dataset.images(np.arange(self.n, dtype=np.int64))
            self._floats = torch.from_numpy(images.astype(np.float32) * self._scale)
        elif self._packed is None:
            self._images = dataset.images(np.arange(self.n, dtype=np.int64))

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
            images = np.unpackbits(self._packed[flat], axis=1)
        elif self._images is not None:
            images = self._images[flat]
        else:
            raise RuntimeError("the store holds no images")
        return torch.from_numpy(images.astype(np.float32) * self._scale).reshape(*index.shape, *self.shape)


@functools.lru_cache(maxsize=2)
def store_of(dataset: Dataset, device: str = "cpu") -> ImageStore:
    """The dataset's images in memory, the device's if that isn't the CPU, once per process."""
    if device != "cpu":
        from bench.resident import ResidentImages

        return ResidentImages(dataset, device)
    return ImageStore(dataset)


class Order:
    """Which images make up the batch of a step: a function of (seed, stream, step), so it needs no checkpoint.

    Each epoch is a fresh permutation of the whole set; the last, partial batch is dropped.

    Parameters
    ----------
    seed : int
    n : int
        Number of images.
    batch_size : int
    name : str
        Stream; "data" is shared by all methods of a seed.

    Raises
    ------
    BenchError
        If there are fewer images than fit into one batch.
    """

    def __init__(self, seed: int, n: int, batch_size: int, name: str = "data") -> None:
        if batch_size > n:
            raise BenchError(f"batch_size={batch_size} is larger than the dataset ({n} images)")
        self.seed, self.n, self.batch_size, self.name = seed, n, batch_size, name
        self._epoch = -1
        self._permutation: Index = np.zeros(0, dtype=np.int64)

    def __call__(self, step: int) -> Index:
        """Rows of the batch of `step` (from 1), shape (batch_size,)."""
        epoch, batch = divmod(step - 1, self.n // self.batch_size)
        if epoch != self._epoch:
            self._epoch = epoch
            self._permutation = stream(self.seed, f"{self.name}:{epoch}").permutation(self.n)
        return self._permutation[batch * self.batch_size : (batch + 1) * self.batch_size]

    def block(self, first: int, last: int) -> Index:
        """Rows of the batches of the steps from `first` to `last`, shape (last - first + 1, batch_size)."""
        parts = []
        step, per_epoch = first, self.n // self.batch_size
        while step <= last:
            self(step)
            batch = (step - 1) % per_epoch
            n_steps = min(last - step + 1, per_epoch - batch)
            rows = self._permutation[batch * self.batch_size : (batch + n_steps) * self.batch_size]
            parts.append(rows.reshape(n_steps, self.batch_size))
            step += n_steps
        return np.concatenate(parts)
