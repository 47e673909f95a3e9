"""Weights trained elsewhere: independent plain torch models, saved in the ways people save them, give equal outputs."""

from __future__ import annotations

import math
import pickle
import tomllib
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn
from torch.nn import Conv2d, ConvTranspose2d, Linear, ReLU

from bench.errors import BenchError
from bench.external.weight_files import KeyMap, State, read_key_map, read_state
from bench.external.weights import key_map_template, load_vae
from bench.nn import networks

K = 6
SHAPE = (1, 64, 64)


def plain_h(k=K, c=1):
    net = nn.Module()
    net.encoder = nn.Sequential(
        *(Conv2d(c, 32, 4, 2, 1), ReLU(), Conv2d(32, 32, 4, 2, 1), ReLU(), Conv2d(32, 64, 4, 2, 1), ReLU()),
        *(Conv2d(64, 64, 4, 2, 1), ReLU(), Conv2d(64, 256, 4, 1), ReLU(), nn.Flatten(), Linear(256, 2 * k)),
    )
    net.decoder = nn.Sequential(
        *(Linear(k, 256), nn.Unflatten(1, (256, 1, 1)), ReLU(), ConvTranspose2d(256, 64, 4), ReLU()),
        *(ConvTranspose2d(64, 64, 4, 2, 1), ReLU(), ConvTranspose2d(64, 32, 4, 2, 1), ReLU()),
        *(ConvTranspose2d(32, 32, 4, 2, 1), ReLU(), ConvTranspose2d(32, c, 4, 2, 1)),
    )
    return lively(net)


def plain_b(k=K, c=1):
    net = nn.Module()
    net.encoder = nn.Sequential(
        *(Conv2d(c, 32, 4, 2, 1), ReLU(), *[m for _ in range(3) for m in (Conv2d(32, 32, 4, 2, 1), ReLU())]),
        *(nn.Flatten(), Linear(512, 256), ReLU(), Linear(256, 256), ReLU(), Linear(256, 2 * k)),
    )
    net.decoder = nn.Sequential(
        *(Linear(k, 256), ReLU(), Linear(256, 256), ReLU(), Linear(256, 512), ReLU(), nn.Unflatten(1, (32, 4, 4))),
        *[m for _ in range(3) for m in (ConvTranspose2d(32, 32, 4, 2, 1), ReLU())],
        ConvTranspose2d(32, c, 4, 2, 1),
    )
    return lively(net)


def plain_kim(k=K, c=1):
    width = 128 if c == 1 else 256
    net = nn.Module()
    net.encode = nn.Sequential(
        *(Conv2d(c, 32, 4, 2, 1), ReLU(), Conv2d(32, 32, 4, 2, 1), ReLU(), Conv2d(32, 64, 4, 2, 1), ReLU()),
        *(Conv2d(64, 64, 4, 2, 1), ReLU(), Conv2d(64, width, 4, 1), ReLU(), Conv2d(width, 2 * k, 1), nn.Flatten()),
    )
    net.decode = nn.Sequential(
        *(nn.Unflatten(1, (k, 1, 1)), Conv2d(k, width, 1), ReLU(), ConvTranspose2d(width, 64, 4), ReLU()),
        *(ConvTranspose2d(64, 64, 4, 2, 1), ReLU(), ConvTranspose2d(64, 32, 4, 2, 1), ReLU()),
        *(ConvTranspose2d(32, 32, 4, 2, 1), ReLU(), ConvTranspose2d(32, c, 4, 2, 1)),
    )
    return lively(net)


class NamedLayers(nn.Module):
    """Net B with a name per layer, one of them out of alphabetical order, and a head that goes by turns."""

    def __init__(self, k=K):
        super().__init__()
        self.encoder, self.decoder = nn.Module(), nn.Module()
        self.encoder.conv1 = Conv2d(1, 32, 4, 2, 1)
        self.encoder.conv2 = Conv2d(32, 32, 4, 2, 1)
        self.encoder.conv3 = Conv2d(32, 32, 4, 2, 1)
        self.encoder.conv_64 = Conv2d(32, 32, 4, 2, 1)
        self.encoder.lin1 = Linear(512, 256)
        self.encoder.lin2 = Linear(256, 256)
        self.encoder.mu_logvar = Linear(256, 2 * k)
        self.decoder.lin1 = Linear(k, 256)
        self.decoder.lin2 = Linear(256, 256)
        self.decoder.lin3 = Linear(256, 512)
        self.decoder.up_64 = ConvTranspose2d(32, 32, 4, 2, 1)
        self.decoder.up1 = ConvTranspose2d(32, 32, 4, 2, 1)
        self.decoder.up2 = ConvTranspose2d(32, 32, 4, 2, 1)
        self.decoder.up3 = ConvTranspose2d(32, 1, 4, 2, 1)
        lively(self)

    def encode(self, x):
        e = self.encoder
        for layer in (e.conv1, e.conv2, e.conv3, e.conv_64):
            x = layer(x).relu()
        rows = e.mu_logvar(e.lin2(e.lin1(x.flatten(1)).relu()).relu())
        return rows.view(len(x), -1, 2).unbind(-1)

    def decode(self, z):
        d = self.decoder
        for layer in (d.lin1, d.lin2, d.lin3):
            z = layer(z).relu()
        x = z.view(-1, 32, 4, 4)
        for layer in (d.up_64, d.up1, d.up2):
            x = layer(x).relu()
        return d.up3(x)


PLAIN = {"H": plain_h, "B": plain_b, "kim": plain_kim}
#: Theirs of the layers of net B above, in the order of ours.
NAMED = "encoder: conv1 conv2 conv3 conv_64 lin1 lin2 mu_logvar; decoder: lin1 lin2 lin3 up_64 up1 up2 up3"


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def lively(net):
    """Weights with which outputs depend on inputs: torch's own fade out from layer to layer."""
    with torch.no_grad():
        for parameter in net.parameters():
            parameter *= math.sqrt(6)
    return net


def halves(net, x):
    """Posterior of a plain model whose head is stacked."""
    return (net.encoder if hasattr(net, "encoder") else net.encode)(x).chunk(2, dim=1)


def assert_same(vae, posterior, decode, c=1):
    """Equal to a plain model in both directions, with codes that reach every ReLU."""
    x, z = torch.rand(3, c, 64, 64), 3 * torch.randn(3, vae.latent_dim)
    with torch.no_grad():
        for ours, theirs in zip(vae.encode(x.unsqueeze(0)), posterior(x), strict=True):
            assert theirs.std(dim=0).min() > 1e-3
            torch.testing.assert_close(ours[0], theirs, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(vae.decode(z.unsqueeze(0))[0], decode(z), rtol=1e-5, atol=1e-5)


def save(state, path):
    save_file(state, path) if path.suffix == ".safetensors" else torch.save(state, path)
    return path


def names_of(network):
    return [name for name, _ in networks.build(network, 1, SHAPE, K).named_parameters()]


def map_for_named_layers():
    theirs = [
        f"{part}.{layer}"
        for part, layers in (half.split(": ") for half in NAMED.split("; "))
        for layer in layers.split()
    ]
    return dict(zip(names_of("B"), [f"{layer}.{kind}" for layer in theirs for kind in ("weight", "bias")], strict=True))


def refused(*args, **kwargs):
    """The one line with which something is refused."""
    function, *rest = args
    with pytest.raises(BenchError) as caught:
        function(*rest, **kwargs)
    line = str(caught.value)
    assert "\n" not in line
    assert len(line) < 500
    return line


# What people save, and how.


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


# Order: safetensors files are sorted by name.


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


# The head.


@settings(max_examples=6, deadline=None)
@given(k=st.integers(1, 40), second=st.sampled_from(["logvar", "log_sigma"]), interleaved=st.booleans())
def test_every_layout_of_the_head_gives_the_posterior_it_means(k, second, interleaved):
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


# What doesn't fit is refused.


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


# Key maps as files.


@pytest.mark.parametrize("network", ["H", "B", "kim", "mlp"])
def test_the_template_names_every_parameter_and_can_be_filled_in(network, tmp_path):
    vae = networks.build(network, 1, SHAPE, K)
    networks.initialise(vae, "torch", [0], "vae")
    template = key_map_template(vae)
    names = [name for name, _ in vae.named_parameters()]
    assert list(tomllib.loads(template)["keys"]) == names
    path = tmp_path / "map.toml"
    path.write_text(template)
    assert not any(read_key_map(path).keys.values())
    state = State({f"theirs {name}": value[0] for name, value in vae.state_dict().items()}, ordered=False)
    for name in names:
        if "Linear" in type(vae.get_submodule(name.rsplit(".", 1)[0])).__name__ and name.endswith("weight"):
            state.tensors[f"theirs {name}"] = state.tensors[f"theirs {name}"].T
    assert "nothing is said of" in refused(load_vae, network, SHAPE, state, read_key_map(path))
    path.write_text(
        "\n".join(line.replace('""', f'"theirs {line[1:].split(chr(34))[0]}"') for line in template.split("\n"))
    )
    again = load_vae(network, SHAPE, state, read_key_map(path))
    assert all(torch.equal(a, b) for a, b in zip(vae.parameters(), again.parameters(), strict=True))
    # What is offered as comments is understood, too.
    options = [line[2:] for line in template.split("\n") if line.startswith("# ") and " = " in line.split("#")[1]]
    both_heads = [line for line in options if not line.startswith("head")]
    for text in (both_heads, [line for line in options if not line.startswith(("mean", "logvar"))]):
        path.write_text("\n".join(line for line in text if '"' in line))
        assert read_key_map(path).second == "log_sigma"


def test_names_need_no_quotes_in_a_key_map(tmp_path):
    (tmp_path / "map.toml").write_text("[keys]\nencoder.1.weight = 'a.b'\n'encoder.1.bias' = 'c'\n")
    assert read_key_map(tmp_path / "map.toml").keys == {"encoder.1.weight": "a.b", "encoder.1.bias": "c"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("heads = 'stacked'", "unknown key 'heads'; did you mean 'head'?"),
        ("head = 'interlaced'", "head='interlaced': Input should be 'stacked' or 'interleaved'"),
        ("second = 'sigma'", "second='sigma': Input should be 'logvar' or 'log_sigma'"),
        ("mean = 'a'", "give both or neither"),
        ("head = 'stacked'\nmean = 'a'\nlogvar = 'b'", "give one or the other"),
        ("[keys]\nencoder.1.weight = 3", "keys.encoder.1.weight=3: Input should be a valid string"),
        ("keys = 'all'", "keys='all'"),
        ("[keys", "can't be read"),
    ],
)
def test_a_malformed_key_map_is_refused(text, says, tmp_path):
    (tmp_path / "map.toml").write_text(text)
    assert says in refused(read_key_map, tmp_path / "map.toml")


def test_a_key_map_that_is_not_there(tmp_path):
    assert "no such file" in refused(read_key_map, tmp_path / "map.toml")
    assert "can't be read" in refused(read_key_map, tmp_path)


# Files that are no weights.


class Touch:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_that_needs_code_is_refused_and_not_run(zipped, tmp_path):
    mark, path = tmp_path / "mark", tmp_path / "net.pt"
    torch.save({"net": plain_h().state_dict(), "extra": Touch(mark)}, path, _use_new_zipfile_serialization=zipped)
    line = refused(read_state, path)
    assert not mark.exists()
    assert "would run code" in line
    assert "unsafe" in line
    assert "safetensors" in line
    # The control: loading it the unsafe way does run it.
    torch.load(path, weights_only=False)
    assert mark.exists()


def test_a_bare_pickle_is_refused_and_not_run(tmp_path):
    path = tmp_path / "net.pkl"
    path.write_bytes(pickle.dumps(Touch(tmp_path / "mark")))
    refused(read_state, path)
    assert not (tmp_path / "mark").exists()


def test_a_whole_module_is_refused_by_its_class(tmp_path):
    torch.save(nn.Sequential(Linear(2, 2)), tmp_path / "net.pt")
    assert "would run code (torch.nn.modules.container.Sequential)" in refused(read_state, tmp_path / "net.pt")


@pytest.mark.parametrize("content", [[torch.ones(3)], torch.ones(3), {}, {"epoch": 3}, {"net": {}}, {0: torch.ones(3)}])
def test_a_file_without_a_state_dict_is_refused(content, tmp_path):
    torch.save(content, tmp_path / "x.pt")
    assert "holds no state dict" in refused(read_state, tmp_path / "x.pt")


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", "-old.pt"])
def test_damaged_files_are_refused(suffix, tmp_path):
    path = tmp_path / f"net{suffix}"
    old = {"_use_new_zipfile_serialization": False} if "old" in suffix else {}
    state = {"a.weight": torch.ones(30, 30)}
    torch.save(state, path, **old) if path.suffix == ".pt" else save_file(state, path)
    content = path.read_bytes()
    read_state(path)
    for damaged in (b"", b"hello world", content[:40], content[: len(content) // 2], content[:-30]):
        path.write_bytes(damaged)
        assert "can't be read" in refused(read_state, path)


def test_a_file_that_is_not_there(tmp_path):
    assert "no such file" in refused(read_state, tmp_path / "net.pt")
    assert "no such file" in refused(read_state, tmp_path)
