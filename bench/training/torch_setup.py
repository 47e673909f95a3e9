"""What torch would otherwise choose by itself, pinned."""

from __future__ import annotations

from typing import Any

import torch

from bench.nn.precision import Precision


def settings(threads: int, precision: Precision = "float32") -> dict[str, Any]:
    """Pin what torch would otherwise choose by itself, in the process that trains; returns what was set.

    A worker process of loky starts with another number of threads than the parent: numbers would depend on ``-j``.
    """
    torch.set_num_threads(threads)
    # The same switch as `torch.use_deterministic_algorithms`, which imports a compiler first: a second or two.
    torch.set_deterministic_debug_mode("error")
    # Filling every new tensor with NaN finds reads of uninitialised memory, and costs a third of a small net's step.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False
    # "float32" means float32, by three products for each in `bench.nn.convolution.gpu`: a GPU would otherwise round the
    # factors of its products to 10 bits, which is "tf32".
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    return {"threads": threads, "deterministic_algorithms": True, "cudnn_benchmark": False}
