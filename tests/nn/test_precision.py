"""bfloat16: near float32, in the networks only, reproducible, and another run."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench.config.expand import expand
from bench.config.study import resolve
from bench.data.images import ImageStore
from bench.dataset import Dataset
from bench.errors import BenchError
from bench.evaluation.codes import encode
from bench.nn import layers, networks
from bench.training import loop, torch_setup
from bench.training.state import prepare
from bench.training.trained import weights
from helpers.specs import run_spec

NETWORKS = {"mlp": 8, "H": 64, "B": 64, "kim": 64}


class Blobs(Dataset):
    """40 binary images."""

    factor_names = ("row", "column")
    factor_sizes = (5, 8)
    image_max = 1

    def __init__(self, size):
        super().__init__(None)
        self.image_shape = (1, size, size)

    def images(self, index):
        images = np.random.default_rng(0).random((40, *self.image_shape)) < 0.3
        return images[index].astype(np.uint8)


def make(precision, *, network="mlp", method="beta_vae", steps=1, seed=0):
    hyper = {"discriminator_width": 64, "discriminator_layers": 2} if method == "factor_vae" else {}
    sizes = {"n_codes": 40, "n_images": 40, "metrics": {}}
    return run_spec(
        method, hyper, seed, network=network, steps=steps, log_every=1, evaluation=sizes, precision=precision
    )


def trained(spec, prepared=lambda training: None):
    torch_setup.settings(1)
    data = Blobs(NETWORKS[spec.train.network])
    training = prepare([spec], data.image_shape, 40)
    prepared(training)
    loop.train(training, data, ImageStore(data))
    return training


def watched(spec):
    """Train and note the dtypes of what the layers give and of what a method is given."""
    given, found = {}, set()

    def watch(training):
        inner = training.model.method.loss

        def loss(terms, state, step):
            for part in (terms, terms.encoded):
                given.update({name: value.dtype for name, value in vars(part).items() if torch.is_tensor(value)})
            return inner(terms, state, step)

        training.model.method.loss = loss
        for module in filter(None, (training.model.vae, training.model.modules)):
            for layer in module.modules():
                if isinstance(layer, layers.Linear | layers.Conv | layers.ConvTranspose):
                    layer.register_forward_hook(lambda _, __, out: found.add(out.dtype))

    return trained(spec, watch), given, found


@pytest.mark.parametrize("network", NETWORKS)
def test_one_step_is_near_float32s_and_not_the_same(network):
    """Within 1 %: 8 bits of mantissa are 0.4 % a product, and most of it averages out."""
    one, other = (np.array(trained(make(p, network=network)).log.rows)[0, 0] for p in ("float32", "bfloat16"))
    np.testing.assert_allclose(other[1:3], one[1:3], rtol=0.01)
    assert (other[1:3] != one[1:3]).all()


def test_the_bound_would_see_another_seed():
    """Negative control."""
    one, other = (np.array(trained(make("float32", seed=s)).log.rows)[0, 0] for s in (0, 1))
    assert (abs(other[1:3] / one[1:3] - 1) > 0.01).any()


@pytest.mark.parametrize(("network", "method"), [("mlp", "factor_vae"), ("H", "beta_vae")])
def test_layers_are_in_bfloat16_and_everything_else_in_float32(network, method):
    training, given, found = watched(make("bfloat16", network=network, method=method))
    assert set(given) >= {"reconstruction", "kl_per_latent", "images", "logits", "mean", "logvar", "z"}
    assert set(given.values()) == {torch.float32}
    # The last layer of a convolutional decoder sums its patches in float32.
    assert found == {torch.bfloat16} | ({torch.float32} if network == "H" else set())
    kept = [
        *training.model.vae.parameters(),
        *(training.model.modules.parameters() if training.model.modules is not None else []),
    ]
    kept += [parameter.grad for parameter in kept]
    kept += [
        value for optimizer in training.optimizers for state in optimizer.state.values() for value in state.values()
    ]
    assert {value.dtype for value in kept} == {torch.float32}


def test_float32_has_no_bfloat16():
    _, _, found = watched(make("float32", method="factor_vae"))
    assert found == {torch.float32}


def test_evaluation_is_in_float32():
    training, data = trained(make("bfloat16")), Blobs(8)
    twin = networks.build("mlp", 1, data.image_shape, 4)
    twin.load_state_dict(training.model.vae.state_dict())
    rows = np.arange(40)
    expected = twin.encode(torch.from_numpy(data.images(rows)).float().unsqueeze(0))
    for ours, plain in zip(encode(training.model, ImageStore(data), rows), expected, strict=True):
        assert np.array_equal(ours, plain[0].detach().double().numpy())


@pytest.mark.parametrize(("network", "method"), [("mlp", "factor_vae"), ("H", "dynamic_vae")])
def test_bfloat16_is_reproducible_bit_for_bit(network, method):
    first, second = (trained(make("bfloat16", network=network, method=method, steps=3)) for _ in range(2))
    assert weights(first.model).keys() == weights(second.model).keys()
    for key, value in weights(first.model).items():
        assert torch.equal(value, weights(second.model)[key]), key


def test_it_is_another_run():
    ids = [
        {spec.run_id for spec in expand(resolve("smoke", settings=settings, seeds=[0]))}
        for settings in ([], ["train.precision=bfloat16"])
    ]
    assert len(ids[0]) == len(ids[1]) == 6
    assert not ids[0] & ids[1]


def test_an_unknown_precision_is_refused():
    with pytest.raises(BenchError, match=r"train\.precision='float16'.*'float32', 'tf32' or 'bfloat16'"):
        resolve("smoke", settings=["train.precision=float16"])


def test_precisions_are_not_batched():
    with pytest.raises(ValueError, match="batched runs"):
        prepare([make("float32"), make("bfloat16", seed=1)], (1, 8, 8), 40)
