"""The training loop: against a plain PyTorch loop, batched, interrupted and resumed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812  (the field's own alias)
from torch import nn

from bench.data.images import ImageStore
from bench.data.order import Order
from bench.errors import BenchError
from bench.method import kl_per_latent
from bench.registry import METHODS
from bench.seeds import torch_stream
from bench.spec import RunSpec
from bench.training import checkpoint, loop, torch_setup
from bench.training.log import final
from bench.training.state import prepare
from bench.training.step import reconstruction
from bench.training.trained import weights
from helpers.blobs import Blobs
from helpers.specs import run_spec

ALL = ["vae", "beta_vae", "annealed_vae", "factor_vae", "control_vae", "dynamic_vae"]


def make(name: str, seed: int = 0, *, steps: int = 12, **hyper) -> RunSpec:
    if name == "factor_vae":
        hyper = {"discriminator_width": 8, "discriminator_layers": 2} | hyper
    return run_spec(name, hyper, seed, steps=steps)


@pytest.fixture(scope="module")
def data():
    torch_setup.settings(1)
    dataset = Blobs()
    return dataset, ImageStore(dataset)


def trained(specs, data, until=None):
    training = prepare(specs, data[0].image_shape, 60)
    loop.train(training, *data, until=until)
    return training


def test_the_loop_equals_a_plain_one(data):
    """β-VAE for 6 steps, written the usual way with torch.nn and Adam."""
    spec = make("beta_vae", steps=6, beta=4.0)
    ours = trained([spec], data)

    start = prepare([spec], (1, 8, 8), 60)

    def mirror(sequence):
        layers = []
        for layer in sequence:
            if hasattr(layer, "fan_in"):
                own = nn.Linear(*layer.weight.shape[1:])
                own.weight.data, own.bias.data = layer.weight[0].T.clone(), layer.bias[0].clone()
                layers.append(own)
            elif isinstance(layer, nn.ReLU):
                layers.append(nn.ReLU())
        return nn.Sequential(*layers)

    encoder, decoder = mirror(start.model.vae.encoder), mirror(start.model.vae.decoder)
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=1e-3)
    order, noise = Order(0, 60, 16), start.streams.noise[0]
    losses = []
    for step in range(1, 7):
        x = torch.from_numpy(data[0].images(order(step))).float().flatten(1)
        mean, logvar = encoder(x).chunk(2, dim=1)
        z = mean + (logvar / 2).exp() * torch.randn(mean.shape, generator=noise)
        rec = F.binary_cross_entropy_with_logits(decoder(z), x, reduction="sum") / 16
        kl = -0.5 * (1 + logvar - mean**2 - logvar.exp()).sum() / 16
        optimizer.zero_grad()
        (rec + 4.0 * kl).backward()
        optimizer.step()
        losses.append((rec.item(), kl.item()))
    means = np.array(losses).reshape(3, 2, 2).mean(axis=1)
    np.testing.assert_allclose(np.array(ours.log.rows)[:, 0, 1:3], means, rtol=2e-5)
    torch.testing.assert_close(ours.model.vae.encoder[1].weight[0].T, encoder[0].weight, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ALL)
def test_batching_equals_single_runs(name, data):
    """Within float32's rounding: the same numbers in another order of summation."""
    together = trained([make(name, seed) for seed in (0, 1, 2)], data)
    for run, seed in enumerate((0, 1, 2)):
        alone = trained([make(name, seed)], data)
        np.testing.assert_allclose(
            np.array(alone.log.rows)[:, 0], np.array(together.log.rows)[:, run], rtol=2e-4, atol=1e-5
        )


def test_batching_with_different_hyper_parameters(data):
    together = trained([make("beta_vae", 0, beta=1.0), make("beta_vae", 0, beta=16.0)], data)
    vae = trained([make("vae", 0)], data)
    curves = np.array(together.log.rows)
    np.testing.assert_allclose(curves[:, 0], np.array(vae.log.rows)[:, 0], rtol=1e-4)
    assert curves[-1, 1, 2] < curves[-1, 0, 2]


@pytest.mark.parametrize("name", ALL)
def test_resumed_equals_uninterrupted_bit_for_bit(name, data, tmp_path):
    spec = make(name)
    whole = trained([spec], data)
    first = trained([spec], data, until=6)
    checkpoint.save(first, tmp_path / "c.safetensors")
    second = prepare([spec], (1, 8, 8), 60)
    checkpoint.load(second, tmp_path / "c.safetensors")
    assert second.log.step == 6
    loop.train(second, *data)
    assert np.array_equal(np.array(whole.log.rows), np.array(second.log.rows), equal_nan=True)
    for key, value in weights(whole.model).items():
        assert torch.equal(value, weights(second.model)[key])


def test_a_checkpoint_without_the_controller_would_be_seen(data, tmp_path):
    """Negative control: the released DynamicVAE code loses its controller on resume, and its numbers change."""
    spec = make("dynamic_vae")
    whole = trained([spec], data)
    first = trained([spec], data, until=6)
    checkpoint.save(first, tmp_path / "c.safetensors")
    second = prepare([spec], (1, 8, 8), 60)
    checkpoint.load(second, tmp_path / "c.safetensors")
    second.model.state = second.model.method.initial_state()
    loop.train(second, *data)
    assert not np.array_equal(np.array(whole.log.rows), np.array(second.log.rows), equal_nan=True)


@pytest.mark.parametrize("damage", ["truncated", "empty", "other"])
def test_a_damaged_checkpoint_is_refused(damage, data, tmp_path):
    path = tmp_path / "c.safetensors"
    checkpoint.save(trained([make("vae")], data, until=6), path)
    content = path.read_bytes()
    if damage == "other":
        checkpoint.save(trained([make("factor_vae")], data, until=6), path)
    else:
        path.write_bytes(content[: len(content) // 2] if damage == "truncated" else b"")
    with pytest.raises(BenchError, match="can't be used"):
        checkpoint.load(prepare([make("dynamic_vae")], (1, 8, 8), 60), path)


def test_methods_share_init_and_data_order(data):
    curves = {name: np.array(trained([make(name, steps=1)], data).log.rows)[0, 0, 1:3] for name in ALL}
    for name in ALL:
        assert np.array_equal(curves[name], curves["vae"]), name


def test_seeds_differ(data):
    a, b = (np.array(trained([make("vae", seed)], data).log.rows) for seed in (0, 1))
    assert not np.array_equal(a, b, equal_nan=True)


def test_a_diverging_run_stops_and_keeps_its_last_good_step(data):
    class Exploding(METHODS.get("vae").value):
        def loss(self, terms, state, step):
            objective = super().loss(terms, state, step)
            return type(objective)(loss=objective.loss * (float("nan") if step > 6 else 1.0), beta=objective.beta)

    training = prepare([make("vae", steps=40)], (1, 8, 8), 60)
    training.model.method = Exploding([METHODS.get("vae").value.Hyper()], latent_dim=4)
    loop.train(training, *data)
    assert training.log.diverged == [6]
    assert training.log.step == 8


def test_runs_that_differ_in_more_than_floats_are_not_batched():
    pairs = [
        (make("factor_vae", discriminator_lr=1e-4), make("factor_vae", discriminator_lr=1e-2)),
        (make("dynamic_vae"), make("dynamic_vae", window=3)),
        (make("vae"), make("vae", steps=13)),
        (make("vae"), make("beta_vae")),
    ]
    for pair in pairs:
        with pytest.raises(ValueError, match="batched runs"):
            prepare(pair, (1, 8, 8), 60)


def test_one_diverged_run_leaves_its_neighbours_alone(data):
    together = prepare([make("vae", 0), make("vae", 1)], (1, 8, 8), 60)
    with torch.no_grad():
        together.model.vae.encoder[1].weight[0].fill_(float("nan"))
    loop.train(together, *data)
    assert together.log.diverged[0] is not None
    assert together.log.diverged[1] is None
    alone = trained([make("vae", 1)], data)
    np.testing.assert_allclose(np.array(alone.log.rows)[:, 0, 1:4], np.array(together.log.rows)[:, 1, 1:4], rtol=2e-4)


def test_order_covers_each_epoch_once_and_is_a_function_of_the_step():
    order = Order(0, 50, 10)
    epoch = np.concatenate([order(step) for step in range(1, 6)])
    assert sorted(epoch) == list(range(50))
    later = Order(0, 50, 10)
    assert np.array_equal(later(7), [*map(int, order(7))])
    assert not np.array_equal(order(1), order(6))
    assert not np.array_equal(Order(0, 50, 10, "data:second")(1), order(1))


def test_batch_larger_than_the_data():
    with pytest.raises(BenchError, match=r"batch_size=64 is larger than the dataset \(60 images\)"):
        Order(0, 60, 64)


def test_factor_vae_uses_an_independent_second_batch_and_trains_its_discriminator(data):
    training = prepare([make("factor_vae")], (1, 8, 8), 60)
    before = [p.clone() for p in training.model.modules.parameters()]
    loop.train(training, *data)
    assert all(not torch.equal(a, b) for a, b in zip(before, training.model.modules.parameters(), strict=True))


def test_gaussian_reconstruction_has_no_half():
    logits, x = torch.zeros(1, 2, 1, 2, 2), torch.ones(1, 2, 1, 2, 2)
    assert reconstruction(logits, x, "gaussian").item() == pytest.approx(4 * 0.25)
    assert reconstruction(logits, x, "bernoulli").item() == pytest.approx(4 * np.log(2))


def test_kl_is_summed_over_latents_and_averaged_over_the_batch():
    mean = torch.tensor([[[1.0, 0.0], [3.0, 0.0]]])
    assert kl_per_latent(mean, torch.zeros_like(mean))[0].tolist() == [2.5, 0.0]


def prepared(name, **hyper):
    return prepare([make(name, **hyper)], (1, 8, 8), 60)


def advanced(training, data, until=None):
    loop.train(training, *data, until=until)
    return training


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def test_the_discriminators_loss_does_not_reach_the_vae_nor_the_other_way_round(data):
    plain = trained([make("factor_vae")], data, 1)
    leaky = prepared("factor_vae")
    loss = leaky.model.method.loss

    def with_a_term_that_would_move_the_encoder(terms, state, step):
        objective = loss(terms, state, step)
        return type(objective)(objective.loss, objective.beta, auxiliary=objective.auxiliary + terms.encoded.z.sum())

    leaky.model.method.loss = with_a_term_that_would_move_the_encoder
    assert same(plain.model.vae, advanced(leaky, data, 1).model.vae)
    other = trained([make("factor_vae", gamma=0.0)], data, 1)
    assert same(plain.model.modules, other.model.modules)
    assert not same(plain.model.vae, other.model.vae)


def test_autoencoder_draws_no_noise(data):
    def with_noise(name, seed):
        training = prepared(name)
        training.streams = replace(training.streams, noise=(torch_stream(seed, "noise"),))
        return np.array(advanced(training, data).log.rows)

    assert np.array_equal(with_noise("autoencoder", 0), with_noise("autoencoder", 1), equal_nan=True)
    assert not np.array_equal(with_noise("vae", 0), with_noise("vae", 1), equal_nan=True)


def test_autoencoder_has_no_kl_rather_than_none_of_it(data):
    training = trained([make("autoencoder", steps=200)], data)
    curves = np.array(training.log.rows)[:, 0]
    assert np.isnan(curves[:, [2, *range(5, curves.shape[1])]]).all()
    assert final(curves)["kl"] is None
    assert training.log.diverged == [None]
    assert curves[-1, 1] < 0.8 * curves[0, 1]
