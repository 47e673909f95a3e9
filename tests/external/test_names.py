"""Headings of files that are scored side by side."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bench.external.names import distinct_names


@pytest.mark.parametrize(
    ("files", "names"),
    [
        (["a.npz", "b.npz"], ["a", "b"]),
        (["x/a.npz", "y/b.npz"], ["a", "b"]),
        (["x/model.pt", "y/model.pt", "c.npz"], ["x/model", "y/model", "c"]),
        (["r/x/run/m.pt", "r/y/run/m.pt"], ["x/run/m", "y/run/m"]),
        (["r/x/run/m.pt", "r/y/run/m.pt", "s/x/run/m.pt"], ["r/x/run/m", "r/y/run/m", "s/x/run/m"]),
        (["a.npz", "a.pt"], ["a.npz", "a.pt"]),
        (["x/a.npz", "x/a.pt", "y/a.pt"], ["a.npz", "x/a.pt", "y/a.pt"]),
        (["a.npz", "a.npz", "x/a.npz"], ["p/a", "p/a", "x/a"]),
        (["/q/p/a.npz", "a.npz"], ["q/p/a", "here/p/a"]),
        ([], []),
    ],
)
def test_the_shortest_path_that_tells_them_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: list[str], names: list[str]
) -> None:
    folder = tmp_path / "here" / "p"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    assert distinct_names([Path(file) for file in files]) == names


def test_two_files_of_one_name_are_two_columns(bench, tmp_path: Path) -> None:
    draws = np.random.default_rng(0)
    for folder in ("one", "two"):
        Path(folder).mkdir()
        np.savez(f"{folder}/codes.npz", codes=draws.normal(size=(60, 3)), factors=draws.integers(0, 3, (60, 2)))
    code, out, _ = bench("score", "one/codes.npz", "two/codes.npz", "--metric", "mig", "--json")
    assert code == 0
    assert [item["name"] for item in json.loads(out)["representations"]] == ["one/codes", "two/codes"]
    assert "one/codes | two/codes" in bench("score", "one/codes.npz", "two/codes.npz", "--metric", "mig")[1]
