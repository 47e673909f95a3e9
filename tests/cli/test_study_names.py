"""Names of studies that nobody named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.cli.common import resolve_study
from bench.errors import BenchError
from bench.selectors import parse_seeds


def save(path: str, seed: int) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, images=np.random.default_rng(seed).integers(0, 2, (40, 8, 8), dtype=np.uint8))


def resolved(*data: str, config: str | None = None) -> tuple[list[Any], str]:
    settings = ["train.network=mlp"]
    asked = resolve_study("smoke", config, settings, ["vae"], list(data), None, "1", None, None, None, Path("results"))
    return asked.specs, asked.name


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_own_data_name_their_study_by_file() -> None:
    save("a/digits.npz", 0)
    save("a/my faces (2).npz", 1)
    assert resolved("dsprites")[1] == "smoke-dsprites"
    assert resolved("npz[path=a/digits.npz]")[1] == "smoke-npz-digits"
    assert resolved("npz[path=a/my faces (2).npz]", "dsprites")[1] == "smoke-dsprites-npz-my-faces-2"
    assert resolved("npz[path=a/digits.npz]", config="beta_sweep")[1] == "beta_sweep-smoke-npz-digits"


def test_another_file_of_the_same_name_gets_another_study() -> None:
    save("a/d.npz", 0)
    save("b/d.npz", 1)
    specs, name = resolved("npz[path=a/d.npz]")
    for spec in specs:
        folder = Path("results") / name / "runs" / spec.run_id
        folder.mkdir(parents=True)
        (folder / "spec.json").write_text(json.dumps(spec.model_dump(mode="json")))
    assert resolved("npz[path=a/d.npz]")[1] == name
    others, other = resolved("npz[path=b/d.npz]")
    assert other == f"{name}-{others[0].dataset.sha256[:6]}"
    Path("a/d.npz").rename("c.npz")
    assert resolved("npz[path=c.npz]")[1] == "smoke-npz-c"


@pytest.mark.parametrize("name", ["CON", "nul", "aux.txt", "Com1.study.x", "LPT9"])
def test_names_of_devices_are_refused(name: str) -> None:
    settings = ["train.network=mlp"]
    with pytest.raises(BenchError, match="Windows keeps that name for a device"):
        resolve_study("smoke", None, settings, ["vae"], None, None, "1", name, None, None, Path("results"))


@pytest.mark.parametrize("seeds", ["10000000000", "0-99999999999", "1,5-9999999999", "9" * 6_000, f"1-{'9' * 6_000}"])
def test_seeds_beyond_any_study_are_one_line(seeds: str) -> None:
    with pytest.raises(BenchError, match=r"--seeds.*(at most 100,000 are taken|is no seed)"):
        parse_seeds(seeds)


@pytest.mark.parametrize("setting", ["train.steps", "beta_vae.beta", "dsprites.sizes"])
def test_numbers_of_thousands_of_digits_are_one_line(setting: str) -> None:
    with pytest.raises(BenchError):
        resolve_study(
            "smoke",
            None,
            [f"{setting}={'9' * 6_000}"],
            ["beta_vae"],
            None,
            None,
            "1",
            None,
            None,
            None,
            Path("results"),
        )
