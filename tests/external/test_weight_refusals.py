"""Weights that don't fit the network are refused in one line."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bench.external.weight_files import KeyMap, State
from bench.external.weights import load_vae
from helpers.errors import refused
from helpers.torch_models import SHAPE, K, assert_same, halves, names_of, plain_h


def test_batch_normalisation_is_refused():
    net = plain_h()
    net.encoder.insert(1, nn.BatchNorm2d(32))
    line = refused(load_vae, "H", SHAPE, State(net.state_dict()))
    assert (
        f"network 'H' with {K} latents: no partner for theirs encoder.1.weight (32), encoder.1.running_mean (32)"
        in line
    )
    assert "--keys" in line


def test_missing_and_foreign_layers_are_listed_with_their_shapes():
    net = plain_h()
    state = net.state_dict()
    del state["decoder.3.weight"]
    state["decoder.3.weights"] = torch.zeros(256, 32, 4, 4)
    line = refused(load_vae, "H", SHAPE, State(state))
    assert "no partner for ours decoder.4.weight (256, 64, 4, 4), theirs decoder.3.weights (256, 32, 4, 4);" in line
    only_encoder = {name: value for name, value in net.state_dict().items() if name.startswith("encoder")}
    assert "ours decoder.0.weight (256, 6), decoder.0.bias (256)" in refused(load_vae, "H", SHAPE, State(only_encoder))


def test_colour_weights_on_a_grey_dataset_are_refused():
    line = refused(load_vae, "H", (1, 64, 64), State(plain_h(c=3).state_dict()))
    assert "encoder.1.weight (32, 1, 4, 4)" in line
    assert "encoder.0.weight (32, 3, 4, 4)" in line


def test_a_given_latent_dim_must_be_the_heads():
    state = State(plain_h().state_dict())
    assert load_vae("H", SHAPE, state, latent_dim=K).latent_dim == K
    line = refused(load_vae, "H", SHAPE, state, latent_dim=10)
    assert "encoder.13.weight (20, 256), encoder.13.bias (20), decoder.0.weight (256, 10), theirs" in line
    assert f"encoder.11.weight ({2 * K}, 256)" in line


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(value):
    state = plain_h().state_dict()
    state["decoder.5.bias"][3] = value
    assert "'decoder.5.bias' holds values that are NaN or infinite" in refused(load_vae, "H", SHAPE, State(state))


@pytest.mark.parametrize("change", [torch.Tensor.int, torch.Tensor.to_sparse, lambda value: value.to("meta")])
def test_tensors_that_are_no_arrays_of_floats_are_refused(change):
    state = plain_h().state_dict()
    state["decoder.5.bias"] = change(state["decoder.5.bias"])
    assert "'decoder.5.bias' is no dense array of floats" in refused(load_vae, "H", SHAPE, State(state))


def test_tensors_beside_the_network_must_be_ignored_by_name():
    net = plain_h()
    state = net.state_dict() | {"critic.0.weight": torch.zeros(1000, K), "critic.0.bias": torch.zeros(1000)}
    assert "no partner for theirs critic.0.weight (1000, 6)" in refused(load_vae, "H", SHAPE, State(state))
    vae = load_vae("H", SHAPE, State(state), KeyMap(ignore=["critic.*"]))
    assert_same(vae, lambda x: halves(net, x), net.decoder)
    keys = dict(zip(names_of("H"), net.state_dict(), strict=True))
    line = refused(load_vae, "H", SHAPE, State(state), KeyMap(keys=keys))
    assert "critic.0.weight (1000, 6), critic.0.bias (1000) would be left out" in line
    vae = load_vae("H", SHAPE, State(state), KeyMap(keys=keys, ignore=["critic.*"]))
    assert_same(vae, lambda x: halves(net, x), net.decoder)
    assert "no tensor 'crtic.*' to ignore" in refused(load_vae, "H", SHAPE, State(state), KeyMap(ignore=["crtic.*"]))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            {"encoder.2.weight": "encoder.0.weight"},
            "'encoder.2.weight' is no parameter to be filled here; did you mean",
        ),
        ({"head": "interleaved"}, "'head' is no parameter to be filled here; it belongs above [keys]"),
        ({"encoder.1.weight": "encoder.0.wieght"}, "no tensor 'encoder.0.wieght' for 'encoder.1.weight'; did you mean"),
        ({"encoder.1.weight": ""}, "nothing is said of encoder.1.weight (32, 1, 4, 4)"),
        ({"encoder.1.bias": "encoder.2.bias"}, "named more than once: encoder.2.bias"),
        (
            {"encoder.1.weight": "encoder.2.weight", "encoder.3.weight": "encoder.0.weight"},
            "'encoder.1.weight' is (32, 1, 4, 4), 'encoder.2.weight' is (32, 32, 4, 4)",
        ),
    ],
)
def test_a_wrong_key_map_is_refused(change, says):
    state = plain_h().state_dict()
    keys = dict(zip(names_of("H"), state, strict=True)) | change
    assert says in refused(load_vae, "H", SHAPE, State(state), KeyMap(keys=keys))


def test_a_wrong_prefix_is_refused():
    state = State(plain_h().state_dict())
    line = refused(load_vae, "H", SHAPE, state, KeyMap(prefix="module."))
    assert "no name begins with the prefix 'module.'; there is encoder.0.weight" in line
    both = State(state.tensors | {"a.encoder.0.weight": torch.zeros(1)})
    assert "two tensors have the same name" in refused(load_vae, "H", SHAPE, both, KeyMap(prefix="a."))


def test_names_in_a_file_cannot_break_the_line():
    state = plain_h().state_dict() | {"a\nb\x1b[31m": torch.zeros(3)}
    assert "a\\nb\\x1b[31m (3)" in refused(load_vae, "H", SHAPE, State(state))
