"""The order in which a run sees its images."""

from __future__ import annotations

import numpy as np

from bench.dataset import Dataset, Index
from bench.errors import BenchError
from bench.seeds import stream


class Order:
    """Which images make up the batch of a step: a function of (seed, stream, step), so it needs no checkpoint.

    Each epoch is a fresh permutation of all images to train on; the last, partial batch is dropped.

    Parameters
    ----------
    seed : int
    n : int
        Number of images.
    batch_size : int
    name : str
        Stream; "data" is shared by all methods of a seed.
    rows : ndarray of shape (n,), int64, optional
        The images of an epoch, if they aren't rows 0 to n - 1.

    Raises
    ------
    BenchError
        If there are fewer images than fit into one batch.
    """

    def __init__(self, seed: int, n: int, batch_size: int, name: str = "data", *, rows: Index | None = None) -> None:
        if batch_size > n:
            which = "dataset" if rows is None else "part of the dataset that is trained on"
            raise BenchError(f"batch_size={batch_size} is larger than the {which} ({n} images)")
        self.rows = rows
        self.seed, self.n, self.batch_size, self.name = seed, n, batch_size, name
        self._epoch = -1
        self._permutation: Index = np.zeros(0, dtype=np.int64)

    def __call__(self, step: int) -> Index:
        """Rows of the batch of `step` (from 1), shape (batch_size,)."""
        epoch, batch = divmod(step - 1, self.n // self.batch_size)
        if epoch != self._epoch:
            self._epoch = epoch
            places = stream(self.seed, f"{self.name}:{epoch}").permutation(self.n)
            self._permutation = places if self.rows is None else self.rows[places]
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


def order_of(dataset: Dataset, seed: int, batch_size: int, name: str = "data") -> Order:
    """The order in which a run of this seed sees what of a data set is trained on.

    Raises
    ------
    BenchError
        As `Order`.
    """
    return Order(seed, dataset.n_train, batch_size, name, rows=dataset.training_rows())
