"""Layers with a leading run axis R on every parameter.

R runs are computed by batched matrix products and grouped convolutions. A single run on a CPU takes faster kernels
(`bench.nn.convolution.cpu`), and runs on a GPU take others again (`bench.nn.convolution.gpu`); what they give is the
same but for rounding. One run's slice of each parameter has the shape of the `torch.nn` layer's of the same name, but
for `Linear`, whose weight is stored transposed so that its gradient comes in the layout the optimiser needs.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bench.nn.convolution import choose
from bench.nn.convolution.spec import Convolution, apart


class Linear(nn.Module):
    """R linear layers: (R, B, n_in) to (R, B, n_out)."""

    def __init__(self, n_runs: int, n_in: int, n_out: int) -> None:
        super().__init__()
        self.fan_in = n_in
        self.weight = nn.Parameter(torch.empty(n_runs, n_in, n_out))
        self.bias = nn.Parameter(torch.empty(n_runs, n_out))

    def forward(self, x: Tensor) -> Tensor:
        """Batched affine map."""
        return torch.baddbmm(self.bias.unsqueeze(1), x, self.weight)


class Narrow(Linear):
    """R linear layers of few inputs and outputs: with the batch innermost in memory it is some ten times as fast."""

    def forward(self, x: Tensor) -> Tensor:
        """Batched affine map."""
        # Copies: products of transposed views round by where a run's matrix begins.
        weight, columns = self.weight.transpose(1, 2).contiguous(), x.transpose(1, 2).contiguous()
        return torch.baddbmm(self.bias.unsqueeze(2), weight, columns).transpose(1, 2)


class Conv(nn.Module):
    """R convolutions, 4x4 unless said: (R * B, n_in, H, W) to (R * B, n_out, H', W')."""

    def __init__(self, n_runs: int, n_in: int, n_out: int, *, kernel: int = 4, stride: int = 2, padding: int = 1):
        super().__init__()
        self.fan_in = n_in * kernel * kernel
        self.stride, self.padding = stride, padding
        self.weight = nn.Parameter(torch.empty(n_runs, n_out, n_in, kernel, kernel))
        self.bias = nn.Parameter(torch.empty(n_runs, n_out))

    def forward(self, x: Tensor, relu: bool = False) -> Tensor:
        """Convolve each run's images with its own weights."""
        how = Convolution(self.stride, self.padding, transposed=False, relu=relu)
        return choose.convolve(x, self.weight, self.bias, how)


class ConvTranspose(nn.Module):
    """R transposed 4x4 convolutions: (R * B, n_in, H, W) to (R * B, n_out, H', W')."""

    def __init__(self, n_runs: int, n_in: int, n_out: int, *, stride: int = 2, padding: int = 1) -> None:
        super().__init__()
        self.fan_in = n_out * 16  # what torch takes for a transposed convolution's fan-in
        self.stride, self.padding = stride, padding
        self.weight = nn.Parameter(torch.empty(n_runs, n_in, n_out, 4, 4))
        self.bias = nn.Parameter(torch.empty(n_runs, n_out))

    def forward(self, x: Tensor, relu: bool = False) -> Tensor:
        """Convolve each run's images, transposed, with its own weights."""
        how = Convolution(self.stride, self.padding, transposed=True, relu=relu)
        return choose.convolve(x, self.weight, self.bias, how)


class Layers(nn.Sequential):
    """Layers in a row; a convolution and the ReLU that follows it are one operation."""

    def forward(self, x: Tensor) -> Tensor:
        """Apply them in turn."""
        layers = list(self)
        for layer, before, after in zip(layers, [None, *layers], [*layers[1:], None], strict=False):
            if isinstance(layer, Conv | ConvTranspose):
                x = layer(x, relu=isinstance(after, nn.ReLU))
            elif not (isinstance(layer, nn.ReLU) and isinstance(before, Conv | ConvTranspose)):
                x = layer(x)
        return x


class ToPlanes(nn.Module):
    """(R, B, C, H, W) to what convolutions take, (R * B, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        """Put the runs' batches one after another."""
        return x.flatten(0, 1)


class FromPlanes(nn.Module):
    """(R * B, C, H, W) back to (R, B, C, H, W)."""

    def __init__(self, n_runs: int) -> None:
        super().__init__()
        self.n_runs = n_runs

    def forward(self, x: Tensor) -> Tensor:
        """Take the runs' batches apart."""
        return apart(x, self.n_runs)
