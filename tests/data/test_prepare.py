"""Images are laid out once: by two processes at once, after one that was killed, on a full disk, never half."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.data.source import DataFile
from bench.errors import BenchError
from bench.file_world import FileWorld
from bench.registry import DATASETS, Entry
from bench.world import WorldOptions

BLOCKS, ROWS = 20, 50

PROCESS = """
import sys, time
sys.path.insert(0, sys.argv[1])
import test_prepare
test_prepare.PAUSE = float(sys.argv[2])
print(test_prepare.Grey(test_prepare.WorldOptions()).prepare())
"""
PAUSE = 0.0


class Grey(FileWorld):
    """A thousand grey images, each of one level, from a file of levels; says in `parsed` how often it was read."""

    folder = "grey"
    channels = 1
    files = (DataFile("levels"),)
    Options = WorldOptions

    def count(self) -> int:
        return BLOCKS * ROWS

    def parse(self, paths: Sequence[Path]) -> Iterator[NDArray[np.uint8]]:
        with paths[0].with_name("parsed").open("a") as log:
            log.write("once\n")
        levels = np.frombuffer(paths[0].read_bytes(), dtype=np.uint8).reshape(-1, ROWS)
        for block in levels:
            time.sleep(PAUSE)
            yield np.broadcast_to(block[:, None, None, None], (len(block), 1, 64, 64))


@pytest.fixture
def levels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("bench.file_world.IN_MEMORY", 0)
    file = tmp_path / "data" / "grey" / "levels"
    file.parent.mkdir(parents=True)
    file.write_bytes(bytes(i % 256 for i in range(BLOCKS * ROWS)))
    return file


def start(pause: float) -> subprocess.Popen[str]:
    code = [sys.executable, "-c", PROCESS, str(Path(__file__).parent), str(pause)]
    return subprocess.Popen(code, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def laid_out() -> Path:
    return Grey(WorldOptions()).laid_out


def assert_whole() -> None:
    data, rows = Grey(WorldOptions()), np.array([0, 999, 300])
    assert (data.images(rows) == (rows % 256).astype(np.uint8)[:, None, None, None]).all()
    data.verify()
    left = [path.name for path in laid_out().parent.iterdir() if path.suffix != ".lock"]
    assert sorted(left) == ["all.json", "all.u8"]


@pytest.mark.slow
def test_of_two_processes_one_lays_out_and_the_other_waits(levels: Path) -> None:
    both = [start(0.05), start(0.05)]
    assert [(*process.communicate(timeout=60), process.returncode)[1:] for process in both] == [("", 0), ("", 0)]
    assert levels.with_name("parsed").read_text() == "once\n"
    assert_whole()


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="kills as POSIX does")
def test_after_a_kill_in_the_middle_it_is_laid_out_anew(levels: Path) -> None:
    killed = start(0.3)
    folder = laid_out().parent
    for _ in range(600):
        if any(part.stat().st_size > 0 for part in folder.glob("*.part")):
            break
        time.sleep(0.05)
    killed.send_signal(signal.SIGKILL)
    killed.communicate(timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert [path.suffix for path in folder.iterdir() if path.suffix != ".lock"] == [".part"]
    assert_whole()


def test_a_full_disk_leaves_nothing(levels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Path.open

    class Full:
        def __init__(self, file: Any) -> None:
            self.file, self.left = file, 3

        def __enter__(self) -> Full:
            return self

        def __exit__(self, *_: object) -> None:
            self.file.close()

        def write(self, content: bytes) -> int:
            self.left -= 1
            if not self.left:
                raise OSError(28, "No space left on device")
            return int(self.file.write(content))

    def full(path: Path, mode: str = "r", *args: Any, **options: Any) -> Any:
        file = opened(path, mode, *args, **options)
        return Full(file) if path.suffix == ".part" and mode == "wb" else file

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(BenchError, match=r"all.u8: can't be written: No space left on device$"):
        Grey(WorldOptions()).prepare()
    assert [path for path in laid_out().parent.iterdir() if path.suffix != ".lock"] == []
    monkeypatch.undo()


def test_a_folder_that_may_not_be_written_to_is_one_line(levels: Path) -> None:
    laid_out().parent.parent.parent.mkdir(parents=True)
    laid_out().parent.parent.write_bytes(b"no folder")
    with pytest.raises(BenchError, match=r"all.u8: can't be written: "):
        Grey(WorldOptions()).prepare()


def test_a_changed_file_is_laid_out_anew(levels: Path) -> None:
    Grey(WorldOptions()).prepare()
    before, known = json.loads(laid_out().with_suffix(".json").read_text()), Grey(WorldOptions()).identity()
    levels.write_bytes(bytes(BLOCKS * ROWS))
    os.utime(levels, (1, 1))
    data = Grey(WorldOptions())
    assert data.images(np.array([300])).max() == 0
    after = json.loads(laid_out().with_suffix(".json").read_text())
    assert before["sources"] != after["sources"]
    assert data.identity() != known


def test_tampered_bytes_are_found(levels: Path) -> None:
    path = Grey(WorldOptions()).prepare()
    content = bytearray(path.read_bytes())
    content[7] ^= 1
    path.write_bytes(content)
    with pytest.raises(BenchError, match=r"all.u8: has sha256 [0-9a-f]{64}; it was laid out with [0-9a-f]{64}; delete"):
        Grey(WorldOptions()).verify()


def test_the_command_line_prepares_and_verifies(bench: Any, levels: Path) -> None:
    entry = Entry("grey", Grey, 1, DATASETS.get("mnist").info)
    with DATASETS.override({"grey": entry}):
        assert bench("data", "verify", "grey") == (0, f"{levels}: there; no checksum of it is known\n", "")
        assert bench("data", "prepare", "grey") == (0, f"{laid_out()}: ready\n", "")
        assert bench("data", "path", "grey") == (0, f"{levels.parent}\n", "")
        code, out, _ = bench("data", "info", "grey")
        assert (code, "1,000 images of 1 x 64 x 64, 4 MiB as bytes" in out) == (0, True)
        assert "grey" in bench("data", "list")[1]
        levels.unlink()
        assert bench("data", "verify", "grey")[0] == 1
        code, out, err = bench("data", "fetch", "--offline", "grey")
        assert (code, out) == (2, "")
        assert err.splitlines()[-1] == f"bench: {levels}: isn't there, and --offline allows no download"
        assert bench("data", "fetch", "grey")[0] == 2
        assert "has no published files" in bench("data", "verify", "dsprites")[2]


def test_info_says_what_a_rendered_set_keeps(bench: Any) -> None:
    code, out, _ = bench("data", "info", "shapes3d_like")
    assert (code, "480,000 images of 3 x 64 x 64, 5,625 MiB as bytes" in out) == (0, True)
    layers = DATASETS.get("shapes3d_like").value.layers
    assert f"once all have been, {480 * layers * 64 * 64 / 2**20:,.1f} MiB are kept" in out
    # One shape of four: a quarter of the geometries.
    assert f"{120 * layers * 64 * 64 / 2**20:,.1f} MiB" in bench("data", "info", "shapes3d_like[shape=1]")[1]


def test_info_says_what_a_user_should_know_of_own_images(bench: Any, tmp_path: Path) -> None:
    factors = np.array([[0, 0], [0, 1], [1, 0]])
    np.savez(tmp_path / "own.npz", images=np.zeros((3, 32, 32), dtype=np.uint8), factors=factors)
    code, out, _ = bench("data", "info", f"npz[path={tmp_path / 'own.npz'}]")
    assert (code, "  its factors don't multiply out: 2 x 2 = 4 combinations, 3 of which have images" in out) == (
        0,
        True,
    )
