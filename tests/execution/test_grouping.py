"""Batched runs: every run gets the bits that it gets alone, whatever happens to the runs beside it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench.data.images import ImageStore
from bench.errors import BenchError
from bench.nn import adam
from bench.registry import METHODS
from bench.spec import RunSpec
from bench.training import agreement, checkpoint, loop, state, torch_setup
from bench.training.trained import take, weights
from helpers.blobs import Blobs
from helpers.specs import run_spec

TRAINED = [entry.name for entry in METHODS if entry.info.trains]


def make(name: str, seed: int = 0, *, steps: int = 12, latent_dim: int = 8, **hyper) -> RunSpec:
    if name == "factor_vae":
        hyper = {"discriminator_width": 32, "discriminator_layers": 2} | hyper
    return run_spec(name, hyper, seed, latent_dim=latent_dim, steps=steps, batch_size=32, log_every=3)


@pytest.fixture(scope="module")
def data():
    torch_setup.settings(1)
    dataset = Blobs(6, 8)
    return dataset, ImageStore(dataset)


def trained(specs, data, until=None):
    training = state.prepare(specs, data[0].image_shape, 60)
    loop.train(training, *data, until=until)
    return training


@pytest.mark.parametrize("name", TRAINED)
def test_batching_gives_each_run_its_bits(name, data):
    specs = [make(name, seed) for seed in range(3)]
    together = trained(specs, data)
    for run, spec in enumerate(specs):
        assert checkpoint.same_bits(together, run, trained([spec], data))


def test_runs_of_different_hyper_parameters_keep_their_bits(data):
    """A run without free bits takes the same way with and without a neighbour that has them."""
    specs = [make("beta_vae", 0), make("beta_vae", 0, beta=16.0), make("beta_vae", 1, free_bits=0.3)]
    together = trained(specs, data)
    for run, spec in enumerate(specs):
        assert checkpoint.same_bits(together, run, trained([spec], data))


def test_handing_whole_tensors_to_the_optimiser_would_change_bits(data, monkeypatch):
    """Negative control: of the runs' test, and of the check that is made before a group is trained."""
    specs = [make("vae", seed, latent_dim=5) for seed in range(3)]
    assert agreement.agrees(specs, *data)
    monkeypatch.setattr(adam, "VECTOR", 1)
    assert not agreement.agrees(specs, *data)
    together = trained(specs, data)
    assert not all(checkpoint.same_bits(together, run, trained([spec], data)) for run, spec in enumerate(specs))


def test_adam_is_adam():
    """Against Kingma & Ba's algorithm 1, in float64, with a parameter that gets no gradient in the first step."""
    rng = np.random.default_rng(0)
    start, grads = rng.normal(size=(2, 2, 5)), rng.normal(size=(4, 2, 2, 5))
    parameters = [torch.nn.Parameter(torch.from_numpy(value).float()) for value in start]
    optimizer = adam.Adam(parameters, lr=0.1, betas=(0.8, 0.9), eps=1e-3)
    value, mean, square, count = start.copy(), np.zeros_like(start), np.zeros_like(start), np.zeros(2)
    for step, grad in enumerate(grads):
        for number, parameter in enumerate(parameters):
            if step or number:
                parameter.grad = torch.from_numpy(grad[number]).float()
                count[number] += 1
                mean[number] = 0.8 * mean[number] + 0.2 * grad[number]
                square[number] = 0.9 * square[number] + 0.1 * grad[number] ** 2
                t = count[number]
                step_size = 0.1 * (mean[number] / (1 - 0.8**t)) / (np.sqrt(square[number] / (1 - 0.9**t)) + 1e-3)
                value[number] -= step_size
        optimizer.step()
        optimizer.zero_grad()
    np.testing.assert_allclose([p.detach().numpy() for p in parameters], value, rtol=1e-5)


@pytest.mark.parametrize("name", ["factor_vae", "dynamic_vae", "two_stage"])
def test_runs_go_on_in_another_batch(name, data, tmp_path):
    specs = [make(name, seed) for seed in range(3)]
    files = [tmp_path / f"{run}" for run in range(3)]
    checkpoint.save(trained(specs, data, until=9), *files)
    whole = [trained([spec], data) for spec in specs]
    for chosen in ([2, 0], [1]):
        again = state.prepare([specs[run] for run in chosen], (1, 6, 8), 60)
        checkpoint.load(again, *(files[run] for run in chosen))
        assert again.log.step == 9
        loop.train(again, *data)
        assert all(checkpoint.same_bits(again, place, whole[run]) for place, run in enumerate(chosen))


def test_a_run_is_taken_out_whole(data):
    specs = [make("factor_vae", seed) for seed in range(3)]
    taken, alone = take(trained(specs, data, until=6), 1), take(trained([specs[1]], data, until=6), 0)
    assert taken.spec == specs[1]
    assert (taken.log.step, taken.log.diverged) == (6, [None])
    np.testing.assert_array_equal(taken.log.rows, alone.log.rows)
    for mine, its in ((taken.model.vae, alone.model.vae), (taken.model.modules, alone.model.modules)):
        assert all(torch.equal(value, its.state_dict()[name]) for name, value in mine.state_dict().items())


def test_a_run_that_was_taken_out_stays_as_it_was(data):
    training = trained([make("vae", seed) for seed in range(2)], data, until=6)
    taken = take(training, 1)
    before = weights(taken.model)
    loop.train(training, *data)
    assert taken.log.step == 6
    assert all(torch.equal(value, before[name]) for name, value in weights(taken.model).items())


def test_checkpoints_of_other_runs_or_steps_are_refused(data, tmp_path):
    specs = [make("vae", seed) for seed in range(2)]
    files = [tmp_path / "0", tmp_path / "1"]
    checkpoint.save(trained(specs, data, until=6), *files)
    assert [checkpoint.step_of(file, spec) for file, spec in zip(files, specs, strict=True)] == [6, 6]
    assert checkpoint.step_of(files[0], specs[1]) is None
    assert checkpoint.step_of(tmp_path / "none", specs[1]) is None
    both = state.prepare(specs, (1, 6, 8), 60)
    with pytest.raises(BenchError, match="belongs to another run"):
        checkpoint.load(both, *reversed(files))
    checkpoint.save(trained(specs, data, until=9), None, files[1])
    assert checkpoint.step_of(files[0], specs[0]) == 6, "None: this run's file is left as it is"
    with pytest.raises(BenchError, match="aren't at the same step"):
        checkpoint.load(both, *files)
    files[1].write_bytes(files[1].read_bytes()[:-100])
    assert checkpoint.step_of(files[1], specs[1]) is None


# Groups.
