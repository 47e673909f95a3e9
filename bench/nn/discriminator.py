"""A two-class dense network whose output is used twice: one backward pass through its layers serves both losses."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from bench.nn.layers import Linear
from bench.nn.networks import dense

#: Of LeakyReLU, below zero.
SLOPE = 0.2


class Discriminator(nn.Sequential):
    """R dense networks with LeakyReLU 0.2 and two logits, whose difference d is the log ratio of two densities.

    A GAN's losses ask the discriminator for two gradients: that of a penalty on d with respect to its inputs, and that
    of its own loss with respect to its weights. Both go back through all layers, although every layer treats a row of
    the batch by itself: with G_l the gradient of row i's d_i with respect to the output of layer l, a loss of which the
    derivative with respect to d_i is s_i has the gradients ::

        inputs    s_i G_0
        weights   x_l^T (s * G_l)      x_l: inputs of layer l, one row for each i; s scales rows
        biases    sum_i s_i G_l

    so that the G_l, which need all weights but no loss, are computed once. The cross-entropy with two logits is
    ``-log sigmoid(d)`` for class 0 and ``-log sigmoid(-d)`` for class 1, which no confidence makes overflow.

    Parameters
    ----------
    n_runs : int
        R.
    widths : list of int
        Of the inputs and the hidden layers.
    """

    def __init__(self, n_runs: int, widths: list[int]) -> None:
        super().__init__(*dense(n_runs, [*widths, 2], nn.LeakyReLU(SLOPE)))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Difference of the logits, class 0 less class 1.

        Parameters
        ----------
        x : Tensor, (R, N, n_in)

        Returns
        -------
        for_inputs, for_weights : Tensor, (R, N)
            The same values: the first has gradients with respect to `x` only, the second with respect to the weights
            only.
        """
        layers = [layer for layer in self if isinstance(layer, Linear)]
        differentiated = torch.is_grad_enabled()
        with torch.no_grad():
            there = _Pass(x, layers, differentiated=differentiated)
        parameters = [value for layer in layers for value in (layer.weight, layer.bias)]
        for_inputs: Tensor = _ForInputs.apply(x, there)  # type: ignore[no-untyped-call]
        for_weights: Tensor = _ForWeights.apply(there, *parameters)  # type: ignore[no-untyped-call]
        return for_inputs, for_weights


class _Pass:
    """The way through the layers and back.

    Attributes
    ----------
    d : Tensor, (R, N)
    inputs : list of Tensor, (R, N, n)
        x_l of every layer.
    gradients : list of Tensor, (R, N, n)
        G_0, then G_l of every layer; empty unless `differentiated`.
    """

    def __init__(self, x: Tensor, layers: list[Linear], *, differentiated: bool) -> None:
        weights: list[Tensor] = [layer.weight for layer in layers]
        device = x.device.type
        if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
            # Autocast doesn't look into functions that bring their own gradient.
            lower = torch.get_autocast_dtype(device)
            x, *weights = (value.to(lower) for value in (x, *weights))
        self.inputs = [x]
        for layer, weight in zip(layers, weights, strict=True):
            bias = layer.bias.to(weight.dtype).unsqueeze(1)
            x = torch.baddbmm(bias, self.inputs[-1], weight)
            if layer is not layers[-1]:
                self.inputs.append(torch.nn.functional.leaky_relu_(x, SLOPE))
        logits = x.to(torch.promote_types(x.dtype, torch.float32))
        self.d = logits[..., 0] - logits[..., 1]
        self.gradients: list[Tensor] = []
        if not differentiated:
            return
        g = torch.ones_like(x)
        g[..., 1].neg_()
        self.gradients.append(g)
        for number in range(len(layers) - 1, -1, -1):
            g = torch.bmm(g, weights[number].transpose(1, 2))
            if number:
                # Its result has the sign of its input.
                g = torch.ops.aten.leaky_relu_backward(g, self.inputs[number], SLOPE, True)
            self.gradients.insert(0, g)


class _ForInputs(torch.autograd.Function):
    """d as a function of the inputs."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, there: _Pass) -> Tensor:
        ctx.there, ctx.dtype = there, x.dtype
        return there.d.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        return gradients[0].unsqueeze(2) * ctx.there.gradients[0].to(ctx.dtype), None


class _ForWeights(torch.autograd.Function):
    """d as a function of weights and biases, which come in pairs."""

    @staticmethod
    def forward(ctx: Any, there: _Pass, *parameters: Tensor) -> Tensor:
        ctx.there, ctx.dtype = there, parameters[0].dtype
        return there.d.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        there: _Pass = ctx.there
        found: list[Tensor | None] = [None]
        for x, g in zip(there.inputs, there.gradients[1:], strict=True):
            scaled = g * gradients[0].unsqueeze(2).to(g.dtype)
            found += [torch.bmm(x.transpose(1, 2), scaled).to(ctx.dtype), scaled.sum(dim=1).to(ctx.dtype)]
        return tuple(found)
