"""What ``bench speed gpu`` does, on a CPU: there it measures nothing, and its parts give what they promise."""

from __future__ import annotations

import pytest
import torch

from bench.speed import gpu, kernels
from bench.speed._jobs import LEVELS
from bench.speed.timing import Row


@pytest.fixture(autouse=True)
def few_images(monkeypatch):
    monkeypatch.setattr(gpu, "DATA", LEVELS)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_nothing_is_measured_and_the_section_says_so():
    for section in (gpu.measure(repeats=1, full=True), kernels.measure(repeats=1, full=True)):
        assert section.rows == []
        assert section.notes == ["torch sees no GPU here: nothing was measured."]


def test_the_plan_is_hours_of_all_steps_and_faster_is_less():
    row = Row("x", 10_000.0, "steps/s", 8_000.0, 12_000.0, 2.0, 1.9, 2.1, "y")
    planned = gpu.plan(row)
    assert planned.value == pytest.approx(40 * 300_000 / 10_000 / 3600)
    assert planned.low < planned.value < planned.high
    assert planned.unit == "h"
    assert planned.ratio is planned.ratio_low is planned.ratio_high is None


def test_recorded_steps_and_plain_ones_are_both_timed():
    chosen = [gpu.Setting(1), gpu.Setting(1, recorded=False), gpu.Setting(2, "bfloat16")]
    found = gpu.training("cpu", chosen, repeats=1, steps={1: 1, 2: 1})
    assert [row.name for row in found] == [
        "1 run, plain loop",
        "1 run, float32, recorded",
        "1 run, float32, kernel by kernel",
        "2 runs, bfloat16, recorded",
    ]
    assert all(row.value > 0 for row in found)


def test_every_other_method_that_can_be_recorded_is_timed_beside_beta_vae(monkeypatch):
    monkeypatch.setattr(gpu, "trained_on_images", lambda: ["beta_vae", "factor_vae", "two_stage"])
    (row,) = gpu.methods("cpu", 1, repeats=1, steps={1: 1})
    assert row.name == "factor_vae, 1 run, bfloat16, recorded"
    assert row.versus == "1 run, bfloat16, recorded"
    assert row.value > 0
    assert row.ratio is not None


def test_every_convolution_of_the_network_is_timed_by_both_kernels(monkeypatch):
    monkeypatch.setattr(kernels, "BATCH_SIZE", 2)
    found = kernels.convolution("cpu", "float32", n_runs=2, repeats=1)
    assert len(found) == 2 * 10
    assert {row.name.rpartition(", ")[2] for row in found} == {"grouped", "patches"}


def test_agreement_is_a_relative_difference(monkeypatch):
    assert gpu.agreement("cpu", 1) == 0
    rows = iter([torch.tensor([[100.0, 2.0]]), torch.tensor([[101.0, 2.0]])])
    monkeypatch.setattr(gpu, "_few_steps", lambda *_: next(rows))
    assert gpu.agreement("cpu") == pytest.approx(0.01)
