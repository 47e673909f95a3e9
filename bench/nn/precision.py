"""The arithmetic in which networks are computed while they train."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor

Precision = Literal["float32", "tf32", "bfloat16"]


def in_precision(function: Callable[..., Any], precision: Precision, device: str) -> Callable[..., Any]:
    """A network's forward pass, and with it the backward pass, in the arithmetic of a run.

    With "bfloat16" the layers' products and convolutions take inputs, weights and biases rounded to bfloat16 (8 bits of
    mantissa), sum in float32 and give bfloat16, to the activations too; the gradients of all of these are rounded
    likewise. That is torch's autocast. Everything else is float32: parameters and their gradients as the optimiser
    sees them, its moments, the images the loss compares with, posteriors as they leave the encoder, samples, KL,
    reconstruction and the method's own terms. With "tf32", on a GPU, products take factors rounded to 10 bits of
    mantissa instead, and all else stays float32. With "float32" the convolutions of a GPU sum three such
    products for each, within 2e-6 of the result's norm. Networks are evaluated in float32 whatever they were trained
    in.

    Parameters
    ----------
    function : callable
        From tensors to a tensor or a tuple of tensors.
    precision : {"float32", "tf32", "bfloat16"}
    device : str

    Returns
    -------
    callable
        `function` itself unless it is "bfloat16": "tf32" is a switch of the process (`bench.training.torch_setup`).
        Otherwise it gives float32 as well.
    """
    if precision != "bfloat16":
        return function

    def lowered(*inputs: Tensor) -> Any:
        with torch.autocast(device, torch.bfloat16):
            out = function(*inputs)
        return out.float() if isinstance(out, Tensor) else tuple(part.float() for part in out)

    return lowered
