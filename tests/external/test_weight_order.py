"""Which layer is which: by a key map, by the order of the file, by the layout of the head."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import Linear

from bench.external.weight_files import KeyMap, State, read_key_map, read_state
from bench.external.weights import load_vae
from helpers.errors import refused
from helpers.torch_models import (
    SHAPE,
    K,
    NamedLayers,
    assert_same,
    halves,
    map_for_named_layers,
    names_of,
    plain_b,
    plain_h,
    save,
)


def test_layers_with_names_of_their_own_go_by_the_order_of_definition_where_the_file_keeps_it(tmp_path):
    net = NamedLayers()
    key_map = KeyMap(head="interleaved")
    vae = load_vae("B", SHAPE, read_state(save(net.state_dict(), tmp_path / "model.pt")), key_map)
    assert_same(vae, net.encode, net.decode)
    line = refused(load_vae, "B", SHAPE, read_state(save(net.state_dict(), tmp_path / "m.safetensors")), key_map)
    assert "nothing tells the order of the layers; a key map (--keys)" in line


def test_a_key_map_loads_what_has_no_order(tmp_path):
    net = NamedLayers()
    keys = "\n".join(f'"{ours}" = "{theirs}"' for ours, theirs in map_for_named_layers().items())
    (tmp_path / "map.toml").write_text(f'prefix = "vae."\nhead = "interleaved"\n[keys]\n{keys}\n')
    state = {f"vae.{name}": value for name, value in net.state_dict().items()}
    read = read_state(save(state, tmp_path / "model.safetensors"))
    vae = load_vae("B", SHAPE, read, read_key_map(tmp_path / "map.toml"))
    assert_same(vae, net.encode, net.decode)


def test_a_file_whose_order_contradicts_its_names_is_refused():
    state = plain_b().state_dict()
    moved = ["encoder.2", "encoder.4"]
    shuffled = {}
    for name, value in state.items():
        layer, kind = name.rsplit(".", 1)
        other = dict(zip(moved, reversed(moved), strict=True)).get(layer, layer)
        shuffled[f"{other}.{kind}"] = value
    assert shuffled.keys() == state.keys()
    line = refused(load_vae, "B", SHAPE, State(shuffled))
    assert "the numbers in the names and the order in the file disagree" in line


def test_a_decoder_defined_before_the_encoder_is_told_by_its_names():
    net = plain_h()
    state = net.state_dict()
    turned = {name: state[name] for name in sorted(state, key=lambda name: name.startswith("encoder"))}
    assert next(iter(turned)).startswith("decoder")
    assert_same(load_vae("H", SHAPE, State(turned)), lambda x: halves(net, x), net.decoder)
    # Without telling names the order stands, and doesn't fit.
    unnamed = {name.replace("encoder", "q").replace("decoder", "p"): value for name, value in turned.items()}
    line = refused(load_vae, "H", SHAPE, State(unnamed))
    assert f"'encoder.1.weight' (32, 1, 4, 4) would be 'p.0.weight' (256, {K})" in line


def test_two_layers_swapped_by_a_wrong_key_map_change_the_output():
    net = NamedLayers()
    keys = map_for_named_layers()
    x = torch.rand(1, 5, *SHAPE)
    right = load_vae("B", SHAPE, State(net.state_dict()), KeyMap(head="interleaved", keys=keys))
    first, second = names_of("B")[2], names_of("B")[4]
    assert keys[first] == "encoder.conv2.weight"
    keys[first], keys[second] = keys[second], keys[first]
    wrong = load_vae("B", SHAPE, State(net.state_dict()), KeyMap(head="interleaved", keys=keys))
    assert (right.encode(x)[0] - wrong.encode(x)[0]).abs().max() > 1e-3


@settings(max_examples=6, deadline=None, derandomize=True)
@given(k=st.integers(1, 40), second=st.sampled_from(["logvar", "log_sigma"]), interleaved=st.booleans())
def test_every_layout_of_the_head_gives_the_posterior_it_means(k, second, interleaved):
    # An example has the same weights whichever came before it.
    torch.manual_seed(k)
    net = plain_h(k)

    def posterior(x):
        rows = net.encoder(x)
        mean, scale = (rows[:, ::2], rows[:, 1::2]) if interleaved else (rows[:, :k], rows[:, k:])
        # Both are read as a variance: sigma squared, or exp of the log-variance.
        variance = scale.exp() ** 2 if second == "log_sigma" else scale.exp()
        return mean, variance.log()

    vae = load_vae(
        "H", SHAPE, State(net.state_dict()), KeyMap(head="interleaved" if interleaved else "stacked", second=second)
    )
    assert vae.latent_dim == k
    assert_same(vae, posterior, net.decoder)


@pytest.mark.parametrize("second", ["logvar", "log_sigma"])
@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
@pytest.mark.parametrize("at_the_end", [False, True])
def test_two_layers_of_a_head_become_one(second, suffix, at_the_end, tmp_path):
    net = plain_h()
    body, net.encoder = net.encoder, net.encoder[:11]
    decoder = net.decoder
    if not at_the_end:
        del net.decoder
    net.fc_mu, net.fc_var = Linear(256, K), Linear(256, K)
    net.decoder = decoder
    assert len(body) == len(net.encoder) + 1

    def posterior(x):
        features = net.encoder(x)
        return net.fc_mu(features), net.fc_var(features) * (2 if second == "log_sigma" else 1)

    state = read_state(save(net.state_dict(), tmp_path / f"net{suffix}"))
    vae = load_vae("H", SHAPE, state, KeyMap(mean="fc_mu", logvar="fc_var", second=second))
    assert_same(vae, posterior, decoder)
    swapped = load_vae("H", SHAPE, state, KeyMap(mean="fc_var", logvar="fc_mu", second=second))
    assert not torch.allclose(swapped.encode(torch.ones(1, 1, *SHAPE))[0], vae.encode(torch.ones(1, 1, *SHAPE))[0])
    assert "mean and logvar are two layers" in refused(load_vae, "H", SHAPE, state)
    assert "no tensor 'fc_lv.weight' for the head" in refused(
        load_vae, "H", SHAPE, state, KeyMap(mean="fc_mu", logvar="fc_lv")
    )


def test_two_layers_of_a_head_go_with_keys_for_the_rest():
    net = NamedLayers()
    state = net.state_dict()
    for kind in ("weight", "bias"):
        rows = state.pop(f"encoder.mu_logvar.{kind}")
        state[f"mu.{kind}"], state[f"lv.{kind}"] = rows[::2], rows[1::2]
    keys = {ours: theirs for ours, theirs in map_for_named_layers().items() if "mu_logvar" not in theirs}
    vae = load_vae("B", SHAPE, State(state), KeyMap(mean="mu", logvar="lv", keys=keys))
    assert_same(vae, net.encode, net.decode)
    keys["encoder.14.weight"] = "encoder.lin2.weight"
    assert "'encoder.14.weight' is no parameter to be filled" in refused(
        load_vae, "B", SHAPE, State(state), KeyMap(mean="mu", logvar="lv", keys=keys)
    )
