"""Convolutions of many runs on a GPU, one kernel against another."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from bench.execution import processes
from bench.nn.convolution import choose
from bench.nn.convolution.spec import Convolution
from bench.nn.layers import Conv, ConvTranspose
from bench.nn.precision import Precision, in_precision
from bench.speed._ceiling import layers_of
from bench.speed.gpu import BATCH_SIZE, NETWORK, PLAN_RUNS, PRECISIONS
from bench.speed.timing import Case, Row, Section, interleave, rows


def measure(*, repeats: int, full: bool) -> Section:
    """Every convolution of the network, in bfloat16 or in every precision; no rows where torch sees no GPU."""
    title = "Convolutions on a GPU"
    if not torch.cuda.is_available():
        return Section("kernels", title, [], ["torch sees no GPU here: nothing was measured."])
    chosen = PRECISIONS if full else PRECISIONS[-1:]
    found: list[Row] = processes.call(_measure, repeats, chosen, threads=1)
    notes = [
        f"Net {NETWORK}, {PLAN_RUNS} runs with batches of {BATCH_SIZE}, forwards and backwards, with the calls of each "
        "kernel by Python: what a recorded step saves. Grouped: torch's own convolution, a group per run. Patches: "
        "gathered, then multiplied as a batch of matrices. Fused: multiplied as they are read.",
    ]
    return Section("kernels", title, found, notes, better="lower", precision="")


def _measure(repeats: int, chosen: tuple[Precision, ...]) -> list[Row]:
    return [row for precision in chosen for row in convolution("cuda", precision, n_runs=PLAN_RUNS, repeats=repeats)]


def convolution(device: str, precision: Precision, *, n_runs: int, repeats: int) -> list[Row]:
    """A forward and backward pass through every convolution of the network, by each kernel that can do it."""
    from bench.training import torch_setup

    torch_setup.settings(1, precision)
    found = []
    for name, x, weight, bias, how in convolutions(device, n_runs):
        cases = []
        kernels = ("grouped", "patches", "fused") if device == "cuda" and how.stride == 2 else ("grouped", "patches")
        for kernel in kernels:
            function = in_precision(choose.KERNELS[kernel], precision, device)
            call = functools.partial(_there_and_back, function, x, weight, bias, how)
            cases.append(Case(f"{name}, {precision}, {kernel}", call, 1, "s"))
        found += rows(cases, interleave(cases, repeats=repeats, warmup=2), versus=cases[0].name)
    return found


def convolutions(device: str, n_runs: int) -> Iterator[tuple[str, Tensor, Tensor, Tensor, Convolution]]:
    """Inputs, weights and biases of every convolution of the network, for that many runs."""
    for layer, shape, _ in layers_of(NETWORK, (1, 64, 64), BATCH_SIZE, latent_dim=10):
        if isinstance(layer, Conv | ConvTranspose):
            transposed = isinstance(layer, ConvTranspose)
            x = torch.randn(n_runs * shape[0], *shape[1:], device=device, requires_grad=True)
            weight = torch.randn(n_runs, *layer.weight.shape[1:], device=device, requires_grad=True)
            bias = torch.randn(n_runs, layer.bias.shape[1], device=device, requires_grad=True)
            ends = " to ".join(str(n) for n in (shape[1], layer.bias.shape[1]))
            name = f"{'up' if transposed else 'down'}, {ends}, {shape[2]} px, {n_runs} runs"
            yield name, x, weight, bias, Convolution(layer.stride, layer.padding, transposed)


def _there_and_back(function: Callable[..., Tensor], *inputs: Any) -> None:
    y = function(*inputs)
    torch.autograd.grad(y.sum(), inputs[:3])
    if y.device.type == "cuda":
        torch.cuda.synchronize()
