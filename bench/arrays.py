"""Tables of numbers of any library as NumPy's."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np


def as_numpy(value: Any) -> Any:
    """Give a tensor as an array, anything else as it is.

    Parameters
    ----------
    value : object
        Tensors of torch (with a gradient, on another device, sparse, quantised, of bfloat16 or float16), SciPy's sparse
        matrices and CuPy's arrays become ndarrays, torch's floats of float64. Lists, DataFrames and all else pass.

    Examples
    --------
    >>> import torch
    >>> as_numpy(torch.ones(2, dtype=torch.bfloat16, requires_grad=True))
    array([1., 1.])
    """
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        dense = value.detach().to_dense() if value.layout is not torch.strided else value.detach()
        dense = dense.dequantize() if dense.is_quantized else dense
        dense = dense.cpu().resolve_conj().resolve_neg()
        return (dense.double() if dense.is_floating_point() else dense).numpy()
    if isinstance(value, np.ndarray | dict) or not hasattr(value, "shape"):
        return value
    for convert in ("toarray", "get"):
        # SciPy's sparse matrices; arrays of CuPy, which refuse to be copied from their device silently.
        method = getattr(value, convert, None)
        if callable(method) and not hasattr(value, "index"):  # pandas' ``get`` is another thing
            return method()
    return value
