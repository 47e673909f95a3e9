"""Convolutions as one kernel each against torch's own: on a GPU where there is one, else in Triton's interpreter."""

from __future__ import annotations

import pytest
import torch

from bench.nn.convolution import choose, spec
from bench.nn.convolution.plain import convolve_grouped
from bench.training import torch_setup

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
INTERPRETED = ("TRITON_INTERPRET", "0" if DEVICE == "cuda" else "1")
with pytest.MonkeyPatch.context() as patch:
    patch.setenv(*INTERPRETED)  # looked at when kernels are defined, Triton's own ones too
    pytest.importorskip("triton", reason="Triton isn't installed")
    from bench.nn.convolution import gpu


@pytest.fixture(autouse=True)
def interpreted(monkeypatch):
    monkeypatch.setenv(*INTERPRETED)


# n_in, n_out, size, transposed: grey, colour and inner ones; 5 images, so that the last program has rows to spare.
KINDS = {
    "first, grey": (1, 32, 16, False),
    "first, colour": (3, 16, 8, False),
    "inner": (32, 64, 8, False),
    "inner, up": (64, 32, 4, True),
    "last, colour": (16, 3, 4, True),
    "last, grey": (32, 1, 8, True),
}
#: Largest error of a tensor, relative to its norm. The interpreter's products are float32's whatever is asked for.
BOUNDS = {"float32": 2e-6, "tf32": 2e-3, "bfloat16": 2e-2}


def tensors(kind, n_runs, dtype, n_images=5):
    n_in, n_out, size, transposed = KINDS[kind]
    generator = torch.Generator().manual_seed(0)
    ends = (n_in, n_out) if transposed else (n_out, n_in)
    shapes = [(n_runs * n_images, n_in, size, size), (n_runs, *ends, 4, 4), (n_runs, n_out)]
    made = [torch.randn(shape, generator=generator).to(DEVICE, dtype).requires_grad_() for shape in shapes]
    return made, spec.Convolution(2, 1, transposed)


def output_and_gradients(function, inputs):
    y = function(*inputs)
    g = torch.randn(y.shape, generator=torch.Generator().manual_seed(1)).to(y)
    return [y, *torch.autograd.grad(y, inputs, g)]


@pytest.mark.parametrize("precision", ["float32", "tf32", "bfloat16"])
@pytest.mark.parametrize("n_runs", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_output_and_gradients_are_those_of_torchs_own_convolution(kind, n_runs, precision):
    if DEVICE == "cpu" and precision != "float32":
        pytest.skip("the interpreter computes in float32")
    torch_setup.settings(1, precision)
    inputs, how = tensors(kind, n_runs, torch.bfloat16 if precision == "bfloat16" else torch.float32)
    mine = output_and_gradients(lambda *x: gpu.convolve(*x, transposed=how.transposed, relu=False), inputs)
    exact = [value.detach().double().requires_grad_() for value in inputs]
    its = output_and_gradients(lambda *x: convolve_grouped(*x, how), exact)
    for ours, other in zip(mine, its, strict=True):
        assert ours.shape == other.shape
        assert (ours.double() - other).norm() < BOUNDS[precision] * other.norm()


@pytest.mark.parametrize("kind", ["inner", "inner, up", "last, colour"])
def test_relu_stops_values_and_gradients_below_zero_and_keeps_nan(kind):
    torch_setup.settings(1)
    inputs, how = tensors(kind, 2, torch.float32)
    plain = gpu.convolve(*inputs, transposed=how.transposed, relu=False)
    y = gpu.convolve(*inputs, transposed=how.transposed, relu=True)
    assert torch.equal(y, plain.relu())
    assert (plain < 0).any()
    g = torch.randn(y.shape, generator=torch.Generator().manual_seed(1)).to(y)
    through = torch.autograd.grad(y, inputs, g)
    expected = torch.autograd.grad(plain, inputs, g * (plain > 0))
    for ours, other in zip(through, expected, strict=True):
        torch.testing.assert_close(ours, other, rtol=1e-4, atol=1e-4)
    with torch.no_grad():
        inputs[0][0] = torch.nan
        assert gpu.convolve(*inputs, transposed=how.transposed, relu=True)[0].isnan().all()


@pytest.mark.parametrize("kind", ["inner", "inner, up", "last, grey"])
def test_sums_in_several_parts_are_the_whole_sum(kind, monkeypatch):
    """As for real batches: here the last part is shorter than the others."""
    monkeypatch.setattr(gpu, "DEPTH", 16)
    torch_setup.settings(1)
    inputs, how = tensors(kind, 2, torch.float32, n_images=29)
    n_rows = 29 * (KINDS[kind][2] // (1 if how.transposed else 2)) ** 2
    n_parts = n_rows / gpu._per_part(n_rows, 8)
    assert n_parts > 2
    assert n_parts % 1 > 0
    mine = output_and_gradients(lambda *x: gpu.convolve(*x, transposed=how.transposed, relu=True), inputs)
    exact = [value.detach().double().requires_grad_() for value in inputs]
    its = output_and_gradients(lambda *x: convolve_grouped(*x, how._replace(relu=True)), exact)
    for ours, other in zip(mine, its, strict=True):
        assert (ours.double() - other).norm() < BOUNDS["float32"] * other.norm()


def test_autocast_computes_in_bfloat16_and_gives_float32s_gradients():
    inputs, how = tensors("inner", 2, torch.float32)
    with torch.autocast(DEVICE, torch.bfloat16):
        y = choose.convolve_fused(*inputs, how)
    assert y.dtype == torch.bfloat16
    if DEVICE == "cuda":  # the interpreter takes bfloat16's bits for whole numbers
        its = convolve_grouped(*(value.detach().double() for value in inputs), how)
        assert (y.double() - its).norm() < BOUNDS["bfloat16"] * its.norm()
    assert all(g.dtype == torch.float32 for g in torch.autograd.grad(y.float().sum(), inputs))


def test_repeated_calls_give_the_same_bits():
    torch_setup.settings(1)
    inputs, how = tensors("inner", 2, torch.float32)
    once, again = (
        output_and_gradients(lambda *x: gpu.convolve(*x, transposed=how.transposed, relu=True), inputs) for _ in "ab"
    )
    assert all(torch.equal(a, b) for a, b in zip(once, again, strict=True))


def test_only_the_gradients_that_are_asked_for_are_computed(monkeypatch):
    (x, weight, bias), how = tensors("first, grey", 2, torch.float32)
    y = gpu.convolve(x.detach(), weight, bias, transposed=how.transposed, relu=False)
    monkeypatch.setattr(gpu, "double", lambda *_, **__: pytest.fail("nobody asked for the images' gradient"))
    of_weight, of_bias = torch.autograd.grad(y.sum(), [weight, bias])
    assert of_weight.shape == weight.shape
    torch.testing.assert_close(of_bias, torch.full_like(of_bias, float(y[:, 0].numel() // 2)))
