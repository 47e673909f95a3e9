"""Images that live on the device they are used on."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from bench.batches import ImageStore
from bench.data import Dataset, Index


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
        images = dataset.images(np.arange(self.n, dtype=np.int64)) if packed is None else packed
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
