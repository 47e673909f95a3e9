"""Networks: parameter counts of the papers, initialisation, and batched runs against single ones."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from bench.errors import BenchError
from bench.nn import layers, networks

SHAPES = {
    **{"H": [(1, 64, 64), (3, 64, 64)], "B": [(1, 64, 64), (3, 64, 64)], "kim": [(1, 64, 64), (3, 64, 64)]},
    "conv": [(1, 28, 28), (3, 28, 28), (1, 32, 32), (3, 64, 96), (1, 96, 96)],
    "mlp": [(1, 32, 32), (3, 96, 64)],
}
EVERY = [(name, shape) for name, shapes in SHAPES.items() for shape in shapes]


@pytest.mark.parametrize(
    ("name", "shape", "count"),
    [
        ("H", (1, 64, 64), 763_285),
        ("H", (3, 64, 64), 765_335),
        ("B", (1, 64, 64), 502_005),
        ("kim", (1, 64, 64), 497_045),
        ("kim", (3, 64, 64), 765_335),
        ("B", (3, 64, 64), 502_005 + 2 * 2 * 32 * 16 + 2),  # two more channels at either end, and their biases
    ],
)
def test_parameter_counts_of_the_papers(name, shape, count):
    vae = networks.build(name, 1, shape, 10)
    assert sum(p.numel() for p in vae.parameters()) == count


@pytest.mark.parametrize(
    ("shape", "count"),
    [
        ((1, 28, 28), 1_683_669),
        ((1, 32, 32), 633_045),
        ((3, 32, 32), 635_095),
        # Net H's, but for the biases before the first transposed convolution: 64 * 4 * 4 instead of 64.
        ((1, 64, 64), 763_285 + 64 * 4 * 4 - 64),
        ((3, 64, 64), 765_335 + 64 * 4 * 4 - 64),
        ((1, 96, 96), 1_420_885),
        ((3, 96, 64), 1_028_951),
    ],
)
def test_parameter_counts_of_the_convolutional_network(shape, count):
    vae = networks.build("conv", 1, shape, 10)
    assert sum(p.numel() for p in vae.parameters()) == count


@pytest.mark.parametrize(
    ("shape", "sides"),
    [
        ((1, 28, 28), [(14, 14), (7, 7)]),
        ((1, 32, 32), [(16, 16), (8, 8), (4, 4)]),
        ((3, 64, 96), [(32, 48), (16, 24), (8, 12), (4, 6)]),
        ((1, 96, 96), [(48, 48), (24, 24), (12, 12), (6, 6)]),
    ],
)
def test_depth_of_the_convolutional_network_follows_the_size(shape, sides):
    vae = networks.build("conv", 1, shape, 10)
    networks.initialise(vae, "he", [0], "vae")
    seen = []
    for module in vae.modules():
        if isinstance(module, layers.Conv | layers.ConvTranspose):
            module.register_forward_hook(lambda _module, _given, out: seen.append(tuple(out.shape[1:])))
    with torch.no_grad():
        vae.decode(vae.encode(torch.zeros(1, 2, *shape))[0])
    n = len(sides)
    widths = [32] * (n - n // 2) + [64] * (n // 2)
    down = [(width, *side) for width, side in zip(widths, sides, strict=True)]
    assert seen == [*down, *down[-2::-1], shape]


def test_parameter_count_of_the_discriminator():
    dense = nn.Sequential(*networks.dense(1, [10, *[1000] * 5, 2], nn.LeakyReLU(0.2)))
    assert sum(p.numel() for p in dense.parameters()) == 4_017_002


@pytest.mark.parametrize(("name", "shape"), EVERY)
def test_batched_runs_equal_single_runs(name, shape):
    seeds = [3, 5, 8]
    torch.manual_seed(0)
    x = torch.rand(3, 4, *shape, dtype=torch.float64)
    together = networks.build(name, 3, shape, 6).double()
    networks.initialise(together, "he", seeds, "vae")
    mean, logvar = together.encode(x)
    logits = together.decode(mean)
    assert mean.shape == logvar.shape == (3, 4, 6)
    assert logits.shape == x.shape
    for run, seed in enumerate(seeds):
        alone = networks.build(name, 1, shape, 6).double()
        networks.initialise(alone, "he", [seed], "vae")
        own_mean, _ = alone.encode(x[run : run + 1])
        torch.testing.assert_close(own_mean[0], mean[run], rtol=0, atol=1e-12)
        torch.testing.assert_close(alone.decode(own_mean)[0], logits[run], rtol=0, atol=1e-12)


def test_layers_equal_torchs_own():
    r, x = 2, torch.rand(2 * 3, 5, 8, 8, dtype=torch.float64)
    conv, up = layers.Conv(r, 5, 7).double(), layers.ConvTranspose(r, 5, 7).double()
    dense = layers.Linear(r, 5, 7).double()
    for layer in (conv, up, dense):
        networks.initialise(nn.Sequential(layer), "torch", [0, 1], "x")
    own_conv = nn.Conv2d(5, 7, 4, 2, 1).double()
    own_up = nn.ConvTranspose2d(5, 7, 4, 2, 1).double()
    own_dense = nn.Linear(5, 7).double()
    for run in range(r):
        own_images = slice(3 * run, 3 * run + 3)
        for ours, own in ((conv, own_conv), (up, own_up)):
            own.load_state_dict({"weight": ours.weight[run].detach(), "bias": ours.bias[run].detach()})
            torch.testing.assert_close(own(x[own_images]), ours(x)[own_images])
        own_dense.load_state_dict({"weight": dense.weight[run].detach().T, "bias": dense.bias[run].detach()})
        flat = torch.rand(r, 3, 5, dtype=torch.float64)
        torch.testing.assert_close(own_dense(flat[run]), dense(flat)[run])


def test_he_initialisation_leaves_transposed_convolutions_to_torch():
    vae = networks.build("H", 1, (1, 64, 64), 10)
    networks.initialise(vae, "he", [0], "vae")
    conv = vae.encoder[7]
    assert isinstance(conv, layers.Conv)
    assert conv.weight.std().item() == pytest.approx(math.sqrt(2 / (64 * 16)), rel=0.02)
    assert conv.bias.abs().max() == 0
    up = vae.decoder[4]
    assert isinstance(up, layers.ConvTranspose)
    bound = 1 / math.sqrt(64 * 16)
    assert up.weight.abs().max() <= bound
    assert up.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.02)
    assert up.bias.abs().max() > 0
    # The same bound as torch's own layer has.
    torch.manual_seed(0)
    assert nn.ConvTranspose2d(256, 64, 4, 1, 0).weight.abs().max().item() == pytest.approx(bound, rel=1e-3)


def test_normal002_initialisation():
    vae = networks.build("kim", 1, (1, 64, 64), 10)
    networks.initialise(vae, "normal002", [0], "vae")
    conv = vae.encoder[9]
    assert isinstance(conv, layers.Conv)
    assert conv.weight.std().item() == pytest.approx(0.02, rel=0.02)


def test_initialisation_depends_on_seed_and_role_only():
    def first(seed, role):
        vae = networks.build("mlp", 1, (1, 32, 32), 10)
        networks.initialise(vae, "he", [seed], role)
        return vae.encoder[1].weight.clone()

    assert torch.equal(first(0, "a"), first(0, "a"))
    assert not torch.equal(first(0, "a"), first(1, "a"))
    assert not torch.equal(first(0, "a"), first(0, "b"))


def test_a_network_that_does_not_fit_says_so():
    with pytest.raises(BenchError, match="network 'H' is for 64x64 images, the dataset's are 32x32"):
        networks.build("H", 1, (1, 32, 32), 10)


@pytest.mark.parametrize(
    ("shape", "instead"),
    [((1, 28, 28), "conv"), ((3, 96, 96), "conv"), ((3, 96, 64), "conv"), ((1, 50, 50), "mlp"), ((1, 64, 1), "mlp")],
)
def test_a_network_that_does_not_fit_names_one_that_does(shape, instead):
    with pytest.raises(BenchError, match=f"the dataset's are {shape[2]}x{shape[1]}; try '{instead}'$"):
        networks.build("H", 1, shape, 10)
    networks.build(instead, 1, shape, 10)


@pytest.mark.parametrize("shape", [(1, 30, 30), (1, 160, 120), (3, 218, 178), (1, 4, 4), (2, 7, 11)])
def test_the_convolutional_network_refuses_sides_that_do_not_halve(shape):
    with pytest.raises(BenchError, match=f"sides halve .* the dataset's are {shape[2]}x{shape[1]}; try 'mlp'$"):
        networks.build("conv", 1, shape, 10)


def test_unknown_network():
    with pytest.raises(BenchError, match="unknown network 'h'"):
        networks.build("h", 1, (1, 64, 64), 10)
