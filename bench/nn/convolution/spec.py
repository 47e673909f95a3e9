"""What a convolution of R runs does, and how their batches lie side by side."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Convolution(NamedTuple):
    """What a square convolution does.

    Attributes
    ----------
    stride, padding : int
    transposed : bool
    relu : bool
        Whether negative values of its output become zero.
    """

    stride: int
    padding: int
    transposed: bool
    relu: bool = False


def apart(x: Tensor, n_runs: int) -> Tensor:
    """(R * B, ...) as (R, B, ...)."""
    return x.reshape(n_runs, -1, *x.shape[1:])
