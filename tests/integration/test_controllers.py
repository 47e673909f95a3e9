"""Real runs whose controller latches, from training to report: they say so, and go on saying so."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.results.study import read_study

#: With a KL below the set point at first, the integral takes the weight below its floor in one step, and stops there.
LATCHES = "control_vae[set_point=3.0,set_point_start=3.0,ki=1.0,beta_min=0.01,anti_windup=released]"
RECOVERS = "control_vae[set_point=3.0,set_point_start=3.0,ki=1.0,beta_min=0.01,anti_windup=clamped]"
Bench = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(bench: Bench, no_figures: None) -> Bench:
    def call(*more: str) -> tuple[int, str, str]:
        words = [
            "run",
            "--preset",
            "smoke",
            "-m",
            LATCHES,
            "-m",
            RECOVERS,
            "-m",
            "vae",
            "--seeds",
            "1",
            "--study",
            "it",
        ]
        return bench(*words, "--set", "train.steps=200", "--set", "train.log_every=5", "-j", "1", *more)

    return call


def records(folder: Path) -> dict[str, Any]:
    found = {}
    for file in sorted(folder.glob("runs/*/result.json")):
        hyper = json.loads(file.with_name("spec.json").read_text())["method"]["hyper"]
        found[hyper.get("anti_windup", "none")] = json.loads(file.read_text()).get("control")
    return found


def test_a_latched_run_says_so_wherever_it_is_shown(run: Bench, bench: Bench, tmp_path: Path) -> None:
    code, out, _ = run("--metric", "kl")
    assert code == 0
    (line,) = [line for line in out.splitlines() if "latched at the floor" in line and "✓" in line]
    assert "control_vae" in line
    study = tmp_path / "results" / "it"
    first = records(study)
    assert first["none"] is None
    assert first["released"]["latched"] is True
    assert first["released"]["floor_share"] == 1.0
    assert first["released"]["mean_error"] > 1
    assert first["clamped"]["latched"] is False
    table = read_study(study).runs
    assert table["control.latched"].dropna().astype(bool).tolist() in ([True, False], [False, True])
    assert "latched at the floor" in bench("status", "it")[1]
    report = (tmp_path / "reports" / "it" / "report.md").read_text(encoding="utf-8")
    assert "1 of 1 runs never arrived at the set point, 1 latched at the floor" in report

    # Measured anew from stored weights, also where the run was made before there was a record.
    for file in study.glob("runs/*/result.json"):
        old = json.loads(file.read_text())
        for later in ("control", "sizes", "checksum"):
            old.pop(later, None)
        file.write_text(json.dumps(old))
    assert records(study) == dict.fromkeys(first)
    code, _, err = run("--metric", "kl", "--metric", "active_units")
    assert (code, err.count("failed")) == (0, 0)
    assert records(study) == first

    # And it travels.
    assert bench("export", "it", "--out", "it.zip")[0] == 0
    assert bench("import", "it.zip", "--study", "theirs")[0] == 0
    assert records(tmp_path / "results" / "theirs") == first
