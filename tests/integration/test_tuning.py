"""Tuning from end to end: killed, gone on with, chosen, and run on fresh seeds."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

TUNE = ["tune", "--preset", "smoke", "-m", "beta_vae,vae", "--draws", "3", "--seeds", "2", "--bound", "none", "-j", "1"]
STEPS = ["--set", "train.steps=40", "--metric", "reconstruction,kl,mig"]


def records(folder: Path) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in folder.glob("runs/*/result.json")}


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    """A small tuning study that was killed after its first run, and gone on with by the same command."""
    folder = tmp_path_factory.mktemp("tuned")
    command = [sys.executable, "-m", "bench", *TUNE, *STEPS]
    study = folder / "results/smoke-dsprites-tuning"
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        until = time.monotonic() + 120
        while not records(study) and time.monotonic() < until and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    before = records(study)
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return folder, before, done.stdout


@pytest.mark.slow
def test_a_killed_study_goes_on_and_keeps_what_it_had(tuned):
    folder, before, out = tuned
    after = records(folder / "results/smoke-dsprites-tuning")
    assert before
    assert len(after) == (1 + 3) * 2 + 2 + 2  # β-VAE, VAE, untrained
    assert before.items() <= after.items()
    assert f"12 runs, {len(before)} done already" in out
    again = "-m beta_vae,vae --metric reconstruction,kl,mig --set train.steps=40"
    assert f"next: bench run --preset smoke {again} --tuned results/smoke-dsprites-tuning/tuned.toml" in out
    report = (folder / "reports/smoke-dsprites-tuning/report.md").read_text()
    assert "## Tuning" in report
    assert "![fig_budget]" in report
    assert "## Claims" not in report
    assert 'id="tuning"' in (folder / "reports/smoke-dsprites-tuning/report.html").read_text()


@pytest.mark.slow
def test_another_rule_chooses_anew_from_the_same_runs(tuned, bench, monkeypatch):
    folder, _, _ = tuned
    monkeypatch.chdir(folder)
    for rule in ("udr", "elbo"):
        code, out, err = bench(*TUNE, *STEPS, "--rule", rule, "--out", f"{rule}.toml")
        assert (code, err) == (0, "")
        assert "12 runs, 12 done already" in out
        content = tomllib.loads((folder / f"{rule}.toml").read_text())
        assert (content["rule"], "bound" in content) == (rule, False)
        assert set(content["method"]) == {"beta_vae", "vae"}
    measured = json.loads((folder / "results/smoke-dsprites-tuning/udr.json").read_text())
    assert len(measured) == 12
    assert all(0 <= value <= 1 for value in measured.values())


@pytest.mark.slow
def test_winners_run_on_fresh_seeds_beside_the_defaults(tuned, bench, monkeypatch):
    folder, _, _ = tuned
    monkeypatch.chdir(folder)
    # Whatever won: so that tuned and default are two settings.
    file = folder / "mine.toml"
    text = (folder / "results/smoke-dsprites-tuning/tuned.toml").read_text()
    won = tomllib.loads(text)["method"]["beta_vae"]["hyper"]["beta"]
    file.write_text(text.replace(f"beta = {won}", "beta = 1.5"))
    run = ["run", "--preset", "smoke", "-m", "beta_vae,vae", "--tuned", "mine.toml", *STEPS, "-j", "1"]
    code, _, err = bench(*run, "--seeds", "1001-1002")
    assert (code, err.strip()) == (
        2,
        "bench: seeds 1001 were used for tuning: settings that were chosen on them look too good there; take others "
        "than 1000-1001",
    )
    assert not (folder / "results/smoke-dsprites-tuned").exists()
    code, _, err = bench(*run, "--seeds", "3")
    assert (code, err) == (0, "")
    assert len(records(folder / "results/smoke-dsprites-tuned")) == 3 * (2 + 1 + 1)
    report = (folder / "reports/smoke-dsprites-tuned/report.md").read_text()
    assert "## Tuned against default" in report
    assert "| β-VAE | MIG |" in report


@pytest.mark.slow
def test_a_dry_run_says_how_long_and_does_nothing(bench):
    code, out, _ = bench(*TUNE, *STEPS, "--dry-run")
    assert code == 0
    assert "12 runs of preset 'smoke', 0 done" in out
    assert "this study will take about" in out
    assert not Path("results").exists()


@pytest.mark.slow
def test_a_method_without_a_winner_is_told_and_left_out_of_what_comes_next(bench):
    # A set point of 500 nats is beyond reach, so that no run arrives.
    asked = ["-m", "beta_vae,control_vae[set_point=500]", "--set", "control_vae.set_point_step=400"]
    code, out, err = bench(
        "tune", "--preset", "smoke", *asked, *STEPS, "--draws", "1", "--seeds", "1", "--bound", "none", "-j", "1"
    )
    assert code == 0
    assert "no winner: control_vae: no setting ran well at all tuning seeds, see table_tuning.csv" in err
    assert "next: bench run --preset smoke -m beta_vae --metric" in out
    content = tomllib.loads(Path("results/smoke-dsprites-tuning/tuned.toml").read_text())
    assert set(content["method"]) == {"beta_vae"}
