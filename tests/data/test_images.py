"""The store gives the same images wherever it keeps them, and holds none of a set that is too large."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from bench.data import images
from bench.data.images import ImageStore
from bench.dataset import Dataset, Index


class Counted(Dataset):
    """Grey images of random pixels that remembers the rows that it was asked for."""

    image_shape = (1, 5, 7)
    factor_names = ("only",)
    factor_sizes = (50,)

    def __init__(self) -> None:
        super().__init__(None)
        self.all = np.random.default_rng(0).integers(0, 256, (50, 1, 5, 7), dtype=np.uint8)
        self.asked: list[int] = []

    def images(self, index: Index) -> NDArray[np.uint8]:
        self.asked += index.tolist()
        return self.all[index]


@pytest.mark.parametrize(("unpack", "hold"), [(10**6, 10**6), (0, 10**6), (0, 0)], ids=["float", "uint8", "lazy"])
def test_images_are_the_same_wherever_they_are_kept(unpack: int, hold: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "UNPACK_LIMIT", unpack)
    monkeypatch.setattr(images, "HOLD_LIMIT", hold)
    monkeypatch.setattr(images, "BLOCK", 8)
    data = Counted()
    store = ImageStore(data)
    assert sorted(data.asked) == (list(range(50)) if hold else [])
    rows = np.array([[3, 49, 3], [0, 20, 7]])
    assert torch.equal(store.gather(rows), torch.from_numpy(data.all[rows].astype(np.float32) * np.float32(1 / 255)))
    assert data.asked[50 if hold else 0 :] == ([] if hold else rows.reshape(-1).tolist())


MAPPED = """
import resource, sys
import numpy as np
from bench.data.images import ImageStore
from bench.dataset import Dataset

class Mapped(Dataset):
    image_shape, factor_names, factor_sizes = (3, 64, 64), ("only",), (1_000_000,)

    def __init__(self):
        self.map = np.memmap(sys.argv[1], dtype=np.uint8, mode="r", shape=(len(self), *self.image_shape))

    def images(self, index):
        return self.map[index]

store = ImageStore(Mapped())
rng = np.random.default_rng(0)
for step in range(50):
    assert store.gather(rng.integers(0, store.n, 64)).shape == (64, 3, 64, 64)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="peak memory in KiB and sparse files are Linux's")
def test_twelve_gigabytes_are_mapped_in_little_memory(tmp_path: Path) -> None:
    file = tmp_path / "images.u8"
    with file.open("wb") as sparse:
        sparse.truncate(1_000_000 * 3 * 64 * 64)
    done = subprocess.run(
        [sys.executable, "-c", MAPPED, str(file)], capture_output=True, text=True, check=True, timeout=120
    )
    assert int(done.stdout) * 1024 < 1.5 * 2**30
