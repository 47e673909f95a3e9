"""Weights trained elsewhere: independent plain torch models, saved in the ways people save them, give equal outputs."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import Conv2d, Linear

from bench.external.weight_files import KeyMap, State, read_state
from bench.external.weights import load_vae
from bench.nn import networks
from helpers.errors import refused
from helpers.torch_models import PLAIN, SHAPE, K, assert_same, halves, plain_b, plain_h, plain_kim, save


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
@pytest.mark.parametrize("prefix", ["", "module.", "model.net."])
@pytest.mark.parametrize(("network", "c"), [("H", 1), ("H", 3), ("B", 1), ("kim", 1), ("kim", 3)])
def test_a_plain_model_is_loaded_without_a_key_map(network, c, prefix, suffix, tmp_path):
    net = PLAIN[network](c=c)
    state = {prefix + name: value for name, value in net.state_dict().items()}
    vae = load_vae(network, (c, 64, 64), read_state(save(state, tmp_path / f"net{suffix}")))
    assert vae.latent_dim == K
    decode = net.decoder if hasattr(net, "decoder") else net.decode
    assert_same(vae, lambda x: halves(net, x), decode, c)


def test_the_state_dict_of_a_training_checkpoint_is_found(tmp_path):
    net = plain_h()
    optimizer = torch.optim.Adam(net.parameters())
    halves(net, torch.rand(2, *SHAPE))[0].sum().backward()
    optimizer.step()
    states = {"model_states": {"net": net.state_dict()}, "optim_states": {"optim": optimizer.state_dict()}}
    path = save({"iter": 7, "win_states": {"recon": None}, **states}, tmp_path / "last")
    assert_same(load_vae("H", SHAPE, read_state(path)), lambda x: halves(net, x), net.decoder)


def test_the_format_of_before_zip_files_is_read(tmp_path):
    net = plain_b()
    torch.save({"state_dict": net.state_dict()}, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    state = read_state(tmp_path / "old.pt")
    assert_same(load_vae("B", SHAPE, state), lambda x: halves(net, x), net.decoder)


def test_inside_chooses_among_several_state_dicts(tmp_path):
    net, other = plain_h(), plain_h()
    path = save({"model_states": {"net": net.state_dict(), "ema": other.state_dict()}}, tmp_path / "two.pt")
    line = refused(read_state, path)
    assert "model_states.net, model_states.ema" in line
    assert "did you mean 'model_states.ema'" in refused(read_state, path, "model_states.em")
    vae = load_vae("H", SHAPE, read_state(path, "model_states.ema"))
    assert_same(vae, lambda x: halves(other, x), other.decoder)
    assert "there is the file itself" in refused(read_state, save(net.state_dict(), tmp_path / "flat.pt"), "xyz")


def test_weights_of_our_own_come_back(tmp_path):
    own = networks.build("B", 1, SHAPE, K)
    networks.initialise(own, "torch", [3], "vae")
    state = {name: value[0].contiguous() for name, value in own.state_dict().items()}
    for suffix in (".safetensors", ".pt"):
        vae = load_vae("B", SHAPE, read_state(save(state, tmp_path / f"weights{suffix}")))
        assert all(torch.equal(a, b) for a, b in zip(own.parameters(), vae.parameters(), strict=True))
    # The method's state may matter to its codes: it isn't dropped unless that is said.
    with_state = State(state | {"state.integral": torch.zeros(1)})
    assert "no partner for theirs state.integral (1)" in refused(load_vae, "B", SHAPE, with_state)
    assert load_vae("B", SHAPE, with_state, KeyMap(ignore=["state.*"])).latent_dim == K


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_other_floats_become_float32(dtype):
    net = plain_h().to(dtype)
    vae = load_vae("H", SHAPE, State(net.state_dict()))
    net.float()
    assert_same(vae, lambda x: halves(net, x), net.decoder)


def test_a_dense_layer_written_as_a_convolution_is_the_same_layer():
    net = plain_h()
    net.encoder[10], net.encoder[11] = Conv2d(256, 2 * K, 1), nn.Flatten()
    vae = load_vae("H", SHAPE, State(net.state_dict()))
    assert_same(vae, lambda x: halves(net, x), net.decoder)


def test_a_convolution_written_as_a_dense_layer_is_the_same_layer():
    net = plain_kim()
    net.encode[10], net.encode[11] = nn.Flatten(), Linear(128, 2 * K)
    vae = load_vae("kim", SHAPE, State(net.state_dict()))
    assert_same(vae, lambda x: halves(net, x), net.decode)
