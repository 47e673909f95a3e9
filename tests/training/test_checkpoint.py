"""Checkpoints that are damaged: seen, set aside, and gone on from the one before."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from bench.errors import BenchError
from bench.training import checkpoint, loop
from bench.training.state import prepare
from helpers.specs import run_spec


def trained(data, until, seed=0):
    training = prepare([run_spec("dynamic_vae", seed=seed)], data[0].image_shape, 60)
    loop.train(training, *data, until=until)
    return training


@pytest.fixture
def saved(blobs, tmp_path):
    """A run's two checkpoints, of steps 4 and 8."""
    path = tmp_path / "checkpoint.safetensors"
    for until in (4, 8):
        checkpoint.save(trained(blobs, until), path)
    return path


def flip(path, place, bit):
    content = bytearray(path.read_bytes())
    content[place] ^= 1 << bit
    path.write_bytes(content)


def test_every_flipped_bit_is_seen(saved):
    spec, size = run_spec("dynamic_vae"), saved.stat().st_size
    assert checkpoint.step_of(saved, spec) == 8
    rng = np.random.default_rng(0)
    places = [*range(0, 64, 8), *rng.integers(0, size, 150), size - 1]
    for place in places:
        bit = int(rng.integers(8))
        flip(saved, place, bit)
        assert checkpoint.step_of(saved, spec) is None, (place, bit)
        with pytest.raises(BenchError, match="can't be used"):
            checkpoint.load(prepare([spec], (1, 8, 8), 60), saved)
        flip(saved, place, bit)
    assert checkpoint.step_of(saved, spec) == 8


@pytest.mark.parametrize("change", ["step", "shape", "missing", "more"])
def test_tensors_that_were_written_anew_are_refused(saved, change):
    tensors = load_file(saved)
    if change == "step":
        tensors["step"] += 1
    elif change == "shape":
        tensors["curves"] = tensors["curves"][:, :-1].clone()
    elif change == "missing":
        del tensors["own"]
    else:
        tensors["other"] = torch.zeros(1, 3)
    save_file(tensors, saved)
    assert checkpoint.step_of(saved, run_spec("dynamic_vae")) is None


def test_a_step_that_no_run_has_is_refused_although_its_checksum_is_right(blobs, tmp_path):
    training = trained(blobs, 8)
    training.log.step = 4503599627370516
    checkpoint.save(training, tmp_path / "file")
    with pytest.raises(BenchError, match="says step 4503599627370516 of 12"):
        checkpoint.load(prepare(training.specs, (1, 8, 8), 60), tmp_path / "file")


def test_a_damaged_one_is_set_aside_for_the_one_before(saved):
    spec = run_spec("dynamic_vae")
    assert checkpoint.recover(saved, spec) == (8, "")
    flip(saved, saved.stat().st_size - 5, 3)
    step, warning = checkpoint.recover(saved, spec)
    assert step == 4
    assert "checksum is wrong" in warning
    assert "went on from the one before, step 4" in warning
    assert saved.with_name(f"{saved.name}.damaged").exists()
    assert checkpoint.recover(saved, spec) == (4, ""), "from now on it is a checkpoint like any other"
    flip(saved, saved.stat().st_size - 5, 3)
    step, warning = checkpoint.recover(saved, spec)
    assert step is None
    assert warning.endswith("it began again")
    assert checkpoint.recover(saved, spec) == (None, "")


def test_a_kill_between_two_checkpoints_leaves_one(saved):
    saved.unlink()
    assert checkpoint.recover(saved, run_spec("dynamic_vae")) == (4, "")


def test_where_there_are_no_links_the_one_before_is_a_copy(blobs, saved, monkeypatch):
    def refuse(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(type(saved), "hardlink_to", refuse)
    checkpoint.save(trained(blobs, 12), saved)
    spec = run_spec("dynamic_vae")
    assert checkpoint.step_of(saved, spec) == 12
    assert checkpoint.step_of(checkpoint.previous(saved), spec) == 8
