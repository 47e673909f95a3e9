"""Pixels that are black in every image: left out of the first layer's products, and nothing else changes."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from bench import checkpoint, engine, forward, networks
from bench.adam import Adam
from bench.batches import ImageStore
from bench.data import Dataset, load_dataset
from bench.expand import expand
from bench.resident import ResidentImages
from bench.study import resolve
from bench.used_pixels import IN_ONE_GO, Product, narrow, used_range

SIDE, FIRST, LAST = 32, 10, 24


class Margins(Dataset):
    """60 images of 32x32 that are black outside of rows 10 to 23: pixels 320 to 767."""

    factor_names = ("row",)
    factor_sizes = (60,)
    image_shape = (1, SIDE, SIDE)
    image_max = 255

    def images(self, index):
        images = np.zeros((60, 1, SIDE, SIDE), dtype=np.uint8)
        shape = images[:, :, FIRST:LAST].shape
        images[:, :, FIRST:LAST] = np.random.default_rng(0).integers(0, 256, shape) * (np.indices(shape)[3] % 3 > 0)
        images[0, 0, FIRST, 0] = images[0, 0, LAST - 1, SIDE - 1] = 9
        return images[index]


class Packed(Margins):
    """The same, of one bit."""

    image_max = 1

    def images(self, index):
        return (super().images(index) > 0).astype(np.uint8)

    def packed(self):
        return np.packbits(self.images(np.arange(60)).reshape(60, -1), axis=1)


def specs_of(name, n_runs=2, **train):
    """Of the preset "smoke", whose images have margins of their own."""
    settings = [f"train.{key}={value}" for key, value in {"steps": 12, "log_every": 3, **train}.items()]
    return expand(resolve("smoke", settings=settings, methods=[name], controls=[], seeds=list(range(n_runs))))


@pytest.fixture(scope="module")
def data():
    engine.settings(1)
    spec = specs_of("vae")[0]
    dataset = load_dataset(spec.dataset.name, spec.dataset.all_options)
    return dataset, ImageStore(dataset)


def trained(specs, data, *stops):
    training = engine.prepare(specs, data[0].image_shape, len(data[0]))
    for until in stops or (None,):
        engine.train(training, *data, until=until)
    return training


@pytest.mark.parametrize("kind", [Margins, Packed])
@pytest.mark.parametrize("limit", [0, 2**30])
def test_what_is_used_is_seen_in_every_form_images_are_kept_in(kind, limit, monkeypatch):
    monkeypatch.setattr("bench.batches.UNPACK_LIMIT", limit)
    dataset = kind(None)
    store = ImageStore(dataset)
    expected = (dataset.images(np.arange(60)) > 0).any(axis=0).reshape(-1)
    np.testing.assert_array_equal(store.used, expected)
    np.testing.assert_array_equal(ResidentImages(dataset, "cpu").used, expected)
    assert used_range(store) == slice(FIRST * SIDE, LAST * SIDE)


def test_black_images_are_used_whole():
    class Black(Margins):
        def images(self, index):
            return np.zeros((60, 1, SIDE, SIDE), dtype=np.uint8)[index]

    assert used_range(ImageStore(Black(None))) == slice(0, SIDE * SIDE)


@pytest.mark.parametrize("rows", [slice(320, 704), slice(0, 32), slice(IN_ONE_GO, 2 * IN_ONE_GO), slice(992, 1024)])
def test_the_product_and_its_gradients_are_the_whole_ones(rows):
    generator = torch.Generator().manual_seed(0)
    x = torch.zeros(3, 5, 1024, dtype=torch.float64)
    x[..., rows] = torch.rand(3, 5, rows.stop - rows.start, generator=generator, dtype=torch.float64)
    weight = torch.randn(3, 1024, 7, generator=generator, dtype=torch.float64).requires_grad_()
    bias, gradient = torch.randn(2, 3, 7, generator=generator, dtype=torch.float64).requires_grad_().unbind()
    gradient = gradient.detach().unsqueeze(1) * torch.arange(5.0)[:, None]
    expected = torch.baddbmm(bias.unsqueeze(1), x, weight)
    theirs = torch.autograd.grad(expected, [bias, weight], gradient)
    leaf = weight.detach()[:, rows].requires_grad_()
    found = Product.apply(bias, x, leaf, weight.detach(), rows, torch.float64)
    ours = torch.autograd.grad(found, [bias, leaf], gradient)
    for mine, other in ((found, expected), (ours[0], theirs[0]), (ours[1], theirs[1][:, rows])):
        torch.testing.assert_close(mine, other, rtol=0, atol=1e-10)
    outside = torch.cat([theirs[1][:, : rows.start], theirs[1][:, rows.stop :]], dim=1)
    assert not outside.any(), "what is left out has no gradient"


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", ["beta_vae", "factor_vae", "two_stage"])
def test_training_is_that_of_the_whole_layer(name, precision, data, monkeypatch):
    specs = specs_of(name, precision=precision)
    ours = trained(specs, data)
    with monkeypatch.context() as patch:
        patch.setattr(forward, "narrow", lambda *_: None)
        whole = trained(specs, data)
    if sums_alike(used_range(data[1]), getattr(torch, precision)):
        assert all(checkpoint.same_bits(ours, run, checkpoint.take(whole, run, data[0].image_shape)) for run in (0, 1))
    # Other libraries may sum in another order; bfloat16 has 8 bits.
    close = {"rtol": 1e-4, "atol": 1e-6} if precision == "float32" else {"rtol": 2e-2, "atol": 2e-4}
    start = engine.prepare(specs, data[0].image_shape, len(data[0]))
    for key, value in ours.vae.state_dict().items():
        torch.testing.assert_close(value, whole.vae.state_dict()[key], **close)
        assert not torch.equal(value, start.vae.state_dict()[key]), key
    mine, first = (each.vae.encoder[1].weight for each in (ours, start))
    changed = (mine != first).any(dim=2)
    used = torch.from_numpy(data[1].used)
    assert changed[:, used].float().mean() > 0.9
    assert not changed[:, ~used].any()


def touchy(rows, dtype):
    """Inputs and weights that cancel in pairs, and their product: nothing but what was rounded, so an order shows."""
    generator, half = torch.Generator().manual_seed(0), (rows.stop - rows.start) // 2
    first, second = slice(rows.start, rows.start + half), slice(rows.stop - half, rows.stop)
    x, weight = torch.zeros(1, 32, 1024), torch.randn(1, 1024, 128, generator=generator)
    weight *= torch.randn(1, 1024, 1, generator=generator).mul(5).exp2()
    weight = weight.to(dtype).float()
    weight[:, second] = -weight[:, first].flip(1)
    x[..., first] = (torch.rand(1, 32, half, generator=generator) < 0.2).float()
    x[..., second] = x[..., first].flip(2)
    return x, weight, torch.baddbmm(torch.zeros(1, 1, 128, dtype=dtype), x.to(dtype), weight.to(dtype))


def sums_alike(rows, dtype):
    """Whether this machine's libraries sum 192 inputs in one go in float32, and from the first one in bfloat16."""
    x, weight, whole = touchy(rows, dtype)
    found = torch.zeros(1, 1, 128, dtype=dtype)
    cuts = [rows.start, *range(192, rows.stop, 192), rows.stop] if dtype == torch.float32 else [0, rows.stop]
    for first, last in pairwise(cut for cut in cuts if cut >= cuts[0]):
        found = torch.baddbmm(found, x[..., first:last].to(dtype), weight[:, first:last].to(dtype))
    return torch.equal(found, whole)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_product_has_the_bits_of_the_whole_one(dtype, data):
    rows = used_range(data[1])
    if not sums_alike(rows, dtype):
        pytest.skip("this machine's libraries sum in another order")
    x, weight, whole = touchy(rows, dtype)
    assert torch.equal(Product.apply(torch.zeros(1, 128), x, weight[:, rows], weight, rows, dtype), whole)


class OwnEncode(networks.VAE):
    def encode(self, x):
        return super().encode(1 - x)


@pytest.mark.parametrize("change", ["encode", "layer", "hook", "order"])
def test_an_encoder_that_does_anything_else_is_left_as_it_is(change, data):
    vae = networks.build("mlp", 1, (1, SIDE, SIDE), 4)
    assert narrow(vae, data[1], Adam(vae.parameters(), lr=1e-3)) is not None
    flatten, layer, *rest = vae.encoder
    if change == "encode":
        vae = OwnEncode(vae.encoder, vae.decoder, 4)
    elif change == "layer":
        layer.__class__ = type("Centred", (type(layer),), {})
    elif change == "hook":
        layer.register_forward_pre_hook(lambda _, inputs: (inputs[0] - 0.5,))
    else:
        vae.encoder = torch.nn.Sequential(torch.nn.Sigmoid(), flatten, layer, *rest)
    assert narrow(vae, data[1], Adam(vae.parameters(), lr=1e-3)) is None


def test_a_network_of_the_methods_own_is_left_as_it_is(data):
    """The method may use its weights in other ways than to encode."""
    training = engine.prepare(specs_of("vae", 1), data[0].image_shape, len(data[0]))
    whole = training.vae.encoder[1].weight
    assert not any(value is whole for value in forward.Forward(training, "bernoulli", data[1]).vae_parameters)
    training = engine.prepare(specs_of("vae", 1), data[0].image_shape, len(data[0]))
    method = type(training.method)
    training.method.__class__ = type("Own", (method,), {"build": lambda self, shape: None})
    whole = training.vae.encoder[1].weight
    assert any(value is whole for value in forward.Forward(training, "bernoulli", data[1]).vae_parameters)


def test_training_goes_on_where_it_stopped(data):
    """A second call makes the optimiser's views anew: the count of steps must come along."""
    specs = specs_of("beta_vae")
    assert checkpoint.same_bits(trained([specs[1]], data, 6, 12), 0, trained([specs[1]], data))
    together = trained(specs, data, 3, 6, 12)
    assert all(checkpoint.same_bits(together, run, trained([spec], data)) for run, spec in enumerate(specs))


def test_moments_are_kept_for_the_whole_layer(data):
    training = trained(specs_of("vae", 1), data)
    moments = training.optimizers[0].state[0]["exp_avg"]
    assert moments.shape == training.vae.encoder[1].weight.shape
    rows = used_range(data[1])
    assert moments[:, rows].any()
    assert not moments[:, : rows.start].any()


@pytest.mark.parametrize("name", ["H", "linear"])
def test_other_first_layers_are_left_as_they_are(name, data):
    shape = (1, 64, 64) if name == "H" else (1, 1, 6)
    vae = networks.build(name, 1, shape, 4)
    assert narrow(vae, data[1], Adam(vae.parameters(), lr=1e-3)) is None


def test_a_layer_whose_pixels_are_all_used_is_left_as_it_is():
    class Full(Margins):
        def images(self, index):
            return np.full((60, 1, SIDE, SIDE), 7, dtype=np.uint8)[index]

    vae = networks.build("mlp", 1, (1, SIDE, SIDE), 4)
    assert narrow(vae, ImageStore(Full(None)), Adam(vae.parameters(), lr=1e-3)) is None
