"""Making images and drawing batches, against a DataLoader."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, TensorDataset

from bench.data.images import ImageStore
from bench.data.order import Order
from bench.dataset import Dataset
from bench.execution import processes
from bench.registry import DATASETS
from bench.speed.timing import Case, Row, Section, interleave, rows

#: Levels of the five factors. Of these grids the smaller is kept as floats, the larger as bits.
FLOATS, BITS = (3, 6, 10, 8, 8), (3, 6, 10, 10, 10)
ALL = (3, 6, 40, 32, 32)
BATCH_SIZES = (64, 128)


def measure(*, repeats: int, full: bool) -> Section:
    """Images of dSprites at 64 px; one thread, in a process of its own."""
    section: Section = processes.call(_measure, repeats, full, threads=1)
    return section


def _measure(repeats: int, full: bool) -> Section:
    from bench.training.torch_setup import settings

    settings(1)
    found = rendering(repeats, FLOATS)
    if full:
        found += rendering(1, ALL)
    for form, levels in (("floats", FLOATS), ("bits", BITS)):
        for batch_size in BATCH_SIZES:
            found += batches(repeats, form, levels, batch_size)
    notes = [
        "Batches: one epoch in random order from memory. The DataLoader has the same images as a TensorDataset of "
        "float32 and no worker processes."
    ]
    return Section("data", "Images and batches", found, notes, precision="float32 batches, uint8 images")


def rendering(repeats: int, levels: Sequence[int]) -> list[Row]:
    """Render a grid of dSprites as bits, and pack and unpack the images of at most 16,384 of its rows."""
    n = int(np.prod(levels))
    packed = _rendered(levels)[:16_384]
    images = np.unpackbits(packed, axis=1)
    cases = [
        Case(f"dSprites rendered, {n:,} images", partial(_rendered, levels), n, "images"),
        Case(f"bits packed, {len(images):,} images", partial(np.packbits, images, axis=1), len(images), "images"),
        Case(f"bits unpacked, {len(images):,} images", partial(np.unpackbits, packed, axis=1), len(images), "images"),
    ]
    return rows(cases, interleave(cases, repeats=repeats, warmup=0))


def batches(repeats: int, form: str, levels: Sequence[int], batch_size: int) -> list[Row]:
    """Draw an epoch's batches from an `ImageStore` and from a DataLoader."""
    dataset = _dsprites(levels)
    store = ImageStore(dataset)
    everything = torch.from_numpy(dataset.images(np.arange(len(dataset))).astype(np.float32))
    loader = DataLoader(TensorDataset(everything), batch_size=batch_size, shuffle=True, drop_last=True)
    n = len(dataset) // batch_size * batch_size
    cases = [
        Case(f"DataLoader, {batch_size} of {n:,}", partial(_load, loader), n, "images"),
        Case(f"store of {form}, {batch_size} of {n:,}", partial(_gather, dataset, store, batch_size), n, "images"),
    ]
    return rows(cases, interleave(cases, repeats=repeats), versus=cases[0].name)


def _dsprites(levels: Sequence[int]) -> Dataset:
    """A grid of dSprites with so many levels of each factor; made anew at every call."""
    cls = DATASETS.get("dsprites").value
    dataset: Dataset = cls(cls.Options(**dict(zip(cls.factor_names, levels, strict=True))))
    return dataset


def _rendered(levels: Sequence[int]) -> NDArray[np.uint8]:
    packed = _dsprites(levels).packed()
    if packed is None:
        raise RuntimeError("dSprites at 64 px is kept as bits")
    return packed


def _load(loader: DataLoader[tuple[torch.Tensor, ...]]) -> None:
    for _ in loader:
        pass


def _gather(dataset: Dataset, store: ImageStore, batch_size: int) -> None:
    order = Order(0, len(dataset), batch_size)
    for step in range(1, len(dataset) // batch_size + 1):
        store.gather(order(step))
