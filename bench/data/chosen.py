"""Some of a data set's images, as if they were all of it."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.data.images import ImageStore
from bench.dataset import Dataset, Index


class ChosenImages(ImageStore):
    """Rows of a store, under the numbers 0 to n - 1.

    Parameters
    ----------
    store : ImageStore
        Nothing of it is copied.
    rows : ndarray of shape (n,), int64
        May repeat.
    """

    def __init__(self, store: ImageStore, rows: Index) -> None:
        self.shape = store.shape
        self.n = len(rows)
        self._store = store
        self._chosen = rows

    def gather(self, index: Index | Tensor) -> Tensor:
        """Images of these rows; see `bench.data.images.ImageStore.gather`."""
        places = index.cpu().numpy() if isinstance(index, torch.Tensor) else index
        return self._store.gather(self._chosen[places])


def training_images(dataset: Dataset, store: ImageStore) -> ImageStore:
    """The images of an epoch: the store itself where all are trained on alike."""
    rows = dataset.training_rows()
    return store if rows is None else ChosenImages(store, rows)
