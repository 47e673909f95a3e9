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
from bench.data.rows_file import RowsFile
from bench.dataset import Dataset, Index
from bench.errors import BenchError


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


LARGE = """
import sys
from pathlib import Path
import numpy as np
from bench.data.images import ImageStore
from bench.data.rows_file import RowsFile
from bench.dataset import Dataset

class Large(Dataset):
    image_shape, factor_names, factor_sizes = (3, 64, 64), ("only",), (1_000_000,)

    def __init__(self):
        self.file = RowsFile(Path(sys.argv[1]), (len(self), *self.image_shape))

    def images(self, index):
        return self.file[index]

store = ImageStore(Large())
rng = np.random.default_rng(0)
for step in range(2000):
    assert store.gather(rng.integers(0, store.n, 64)).shape == (64, 3, 64, 64)
# Not `ru_maxrss`, which begins with what the parent has.
status = Path("/proc/self/status").read_text(encoding="utf-8")
print(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="peak memory in KiB and sparse files are Linux's")
def test_batches_of_twelve_gigabytes_take_little_memory(tmp_path: Path) -> None:
    file = tmp_path / "images.u8"
    with file.open("wb") as sparse:
        sparse.truncate(1_000_000 * 3 * 64 * 64)
    done = subprocess.run(
        [sys.executable, "-c", LARGE, str(file)], capture_output=True, text=True, check=True, timeout=120
    )
    assert int(done.stdout) * 1024 < 1.5 * 2**30


@pytest.mark.parametrize("rows", [[], [3], [0, 1, 2, 9], [9, 8, 8, 0], list(range(10))])
def test_rows_of_a_file_are_those_of_the_array(rows: list[int], tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 256, (10, 2, 3, 4), dtype=np.uint8)
    array.tofile(tmp_path / "a.u8")
    index = np.array(rows, dtype=np.int64)
    assert np.array_equal(RowsFile(tmp_path / "a.u8", array.shape)[index], array[index])


def test_a_file_that_became_shorter_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.u8"
    path.write_bytes(bytes(40))
    images = RowsFile(path, (10, 1, 2, 2))
    with pytest.raises(BenchError, match=r"a.u8: isn't what a.json says; delete both"):
        RowsFile(path, (11, 1, 2, 2))
    path.write_bytes(bytes(39))
    with pytest.raises(BenchError, match=r"a.u8: ends before row 9$"):
        images[np.array([9])]
    path.unlink()
    with pytest.raises(BenchError, match=r"a.u8: can't be read: No such file"):
        images[np.array([0])]
