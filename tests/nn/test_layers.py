"""Convolutions: the kernels of a single run against torch's own, to float64's rounding, gradients too."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bench.nn import layers, networks
from bench.nn.convolution import choose, cpu, spec
from bench.nn.convolution.plain import convolve_as_matrix, convolve_grouped, convolve_patches

# n_in, n_out, size, kernel, stride, padding, transposed: every kind there is in the networks.
KINDS = {
    "first, grey": (1, 32, 64, 4, 2, 1, False),
    "first, colour": (3, 32, 64, 4, 2, 1, False),
    "inner": (32, 64, 16, 4, 2, 1, False),
    "to one pixel": (64, 256, 4, 4, 1, 0, False),
    "of one pixel": (256, 20, 1, 1, 1, 0, False),
    "from one pixel": (256, 64, 1, 4, 1, 0, True),
    "inner, up": (64, 32, 8, 4, 2, 1, True),
    "last, colour": (32, 3, 32, 4, 2, 1, True),
    "last, grey": (32, 1, 32, 4, 2, 1, True),
}
TIGHT = {"rtol": 0, "atol": 1e-10}


def tensors(kind, n_runs=1, n_images=3):
    n_in, n_out, size, kernel, stride, padding, transposed = KINDS[kind]
    generator = torch.Generator().manual_seed(0)
    ends = (n_in, n_out) if transposed else (n_out, n_in)
    shapes = [(n_runs * n_images, n_in, size, size), (n_runs, *ends, kernel, kernel), (n_runs, n_out)]
    made = [torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_() for shape in shapes]
    return made, spec.Convolution(stride, padding, transposed)


def output_and_gradients(function, kind, relu, n_runs=1):
    inputs, how = tensors(kind, n_runs)
    y = function(*inputs, how._replace(relu=relu))
    # A gradient that differs from place to place, in the order in which the next layer's would come.
    g = torch.randn(y.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return [y, *torch.autograd.grad(y, inputs, g)]


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_one_run_equals_torchs_own_convolution(kind, relu):
    ours = output_and_gradients(cpu.convolve_one, kind, relu)
    plain = output_and_gradients(convolve_grouped, kind, relu)
    assert bool((ours[0] < 0).any()) is not relu
    for mine, its in zip(ours, plain, strict=True):
        torch.testing.assert_close(mine, its, **TIGHT)


@pytest.mark.parametrize("n_runs", [1, 3])
@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_patches_equal_torchs_own_convolution(kind, relu, n_runs):
    patches = output_and_gradients(convolve_patches, kind, relu, n_runs)
    plain = output_and_gradients(convolve_grouped, kind, relu, n_runs)
    for mine, its in zip(patches, plain, strict=True):
        torch.testing.assert_close(mine, its, **TIGHT)


@pytest.mark.parametrize("n_runs", [1, 3])
@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("kind", ["to one pixel", "of one pixel", "from one pixel"])
def test_a_matrix_product_equals_torchs_own_convolution(kind, relu, n_runs):
    matrix = output_and_gradients(convolve_as_matrix, kind, relu, n_runs)
    plain = output_and_gradients(convolve_grouped, kind, relu, n_runs)
    for mine, its in zip(matrix, plain, strict=True):
        torch.testing.assert_close(mine, its, **TIGHT)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_those_of_finite_differences(kind):
    inputs, how = tensors(kind, n_images=2)
    assert torch.autograd.gradcheck(lambda *values: cpu.convolve_one(*values, how), inputs, fast_mode=True, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_group_of_runs_equals_each_run_alone(kind):
    (x, weight, bias), how = tensors(kind, n_runs=2)
    together = choose.convolve(x, weight, bias, how)
    parts = zip(x.chunk(2), together.chunk(2), strict=True)
    for run, (own, expected) in enumerate(parts):
        alone = choose.convolve(own, weight[run : run + 1], bias[run : run + 1], how)
        torch.testing.assert_close(alone, expected, **TIGHT)


def test_a_wrong_padding_would_be_seen():
    """Negative control: the comparison above isn't true of anything that has the right shape."""
    inputs, how = tensors("inner")
    shifted = cpu.convolve_one(inputs[0].roll(1, dims=3), *inputs[1:], how)
    assert (shifted - convolve_grouped(*inputs, how)).abs().max() > 1


def test_kernels_are_chosen_by_runs_and_device(monkeypatch):
    taken = []
    for name in ("convolve_one", "convolve_grouped", "convolve_patches"):
        monkeypatch.setattr(choose, name, lambda *_, name=name: taken.append(name))
    for n_runs, device in ((1, "cpu"), (2, "cpu"), (1, "meta")):
        (x, weight, bias), how = tensors("inner", n_runs)
        choose.convolve(x.to(device), weight, bias, how)
    assert taken == ["convolve_one", "convolve_grouped", "convolve_patches"]


@pytest.mark.parametrize(
    ("x", "weight", "how", "expected"),
    [
        ((1, 8, 8), (32, 1, 4, 4), {}, True),
        ((32, 8, 12), (64, 32, 4, 4), {}, True),
        ((32, 9, 8), (64, 32, 4, 4), {}, False),  # an odd side: the last row of the patches would be another
        ((64, 9, 9), (64, 32, 4, 4), {"transposed": True}, True),
        ((32, 8, 8), (48, 32, 4, 4), {}, False),  # not a power of 2
        ((512, 8, 8), (512, 512, 4, 4), {}, False),  # too many for a GPU's shared memory
        ((32, 8, 8), (64, 32, 3, 3), {}, False),
        ((32, 8, 8), (64, 32, 4, 4), {"stride": 1}, False),
        ((32, 8, 8), (64, 32, 4, 4), {"padding": 0}, False),
    ],
)
def test_what_the_gpus_kernels_can_compute_goes_to_them(x, weight, how, expected):
    how = spec.Convolution(**{"stride": 2, "padding": 1, "transposed": False, **how})
    x, weight = torch.zeros(2, *x, device="meta"), torch.zeros(2, *weight, device="meta")
    assert choose.fusable(x, weight, how) is expected
    assert not choose.fusable(x.double(), weight, how)


@pytest.mark.parametrize("kind", KINDS)
def test_on_other_devices_a_convolution_is_a_matrix_product_where_it_can_be(kind, monkeypatch):
    taken = []
    for name in ("convolve_patches", "convolve_as_matrix"):
        monkeypatch.setattr(choose, name, lambda *_, name=name: taken.append(name))
    (x, weight, bias), how = tensors(kind, 2)
    choose.convolve(x.to("meta"), weight, bias, how)
    assert taken == ["convolve_as_matrix" if "one pixel" in kind else "convolve_patches"]


def test_a_convolution_and_its_relu_are_one_operation_with_the_same_result(monkeypatch):
    row = layers.Layers(layers.Conv(1, 1, 4), nn.ReLU(), layers.ConvTranspose(1, 4, 1), nn.Flatten(), nn.ReLU())
    networks.initialise(row, "torch", [0], "x")
    x = torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    found = []
    with torch.no_grad():
        one, two = row[0](x).relu(), row[2](row[0](x).relu()).flatten(1).relu()
        assert torch.equal(row(x), two)
        for layer in (row[0], row[2]):
            layer.register_forward_hook(lambda _, __, out: found.append(out))
        monkeypatch.setattr(nn.ReLU, "forward", lambda self, value: pytest.fail("twice") if value.ndim == 4 else value)
        row(x)
    assert torch.equal(found[0], one)
    assert (found[1] < 0).any()


def test_only_the_gradients_that_are_asked_for_are_computed():
    (x, weight, bias), how = tensors("first, grey")
    y = cpu.convolve_one(x.detach(), weight, bias, how)
    of_weight, of_bias = torch.autograd.grad(y.sum(), [weight, bias])
    assert of_weight.shape == weight.shape
    torch.testing.assert_close(of_bias, torch.full_like(of_bias, float(y[:, 0].numel())))


@pytest.mark.parametrize("channels", [1, 3])
def test_channels_last_keeps_the_values_and_is_what_torch_calls_so(channels):
    x = torch.arange(2 * channels * 6.0).reshape(2, channels, 2, 3)
    again = cpu.channels_last(x)
    assert torch.equal(again, x)
    assert again.stride() == (6 * channels, 1, 3 * channels, channels)


@pytest.mark.parametrize("name", ["H", "B", "kim"])
@pytest.mark.parametrize("channels", [1, 3])
def test_networks_of_one_run_have_the_gradients_of_the_plain_kernels(name, channels, monkeypatch):
    def gradients():
        vae = networks.build(name, 1, (channels, 64, 64), 10).double()
        networks.initialise(vae, "he", [0], "vae")
        x = torch.rand(1, 2, channels, 64, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        mean, logvar = vae.encode(x)
        loss = vae.decode(mean).square().sum() + logvar.square().sum()
        return torch.autograd.grad(loss, list(vae.parameters()))

    fast = gradients()
    monkeypatch.setattr(choose, "convolve_one", convolve_grouped)
    for mine, its in zip(fast, gradients(), strict=True):
        torch.testing.assert_close(mine, its, rtol=1e-10, atol=1e-10)
