"""Named random streams.

A stream is keyed by a hash of (seed, name), never drawn from another one: adding a metric or a method can't shift
anybody else's numbers, and all methods share ``init`` and ``data`` per seed, so comparisons by seed are paired.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def stream_key(seed: int, name: str) -> int:
    """64-bit key of the stream `name` of `seed` (first 8 bytes of SHA-256 of ``"seed:name"``)."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{name}".encode()).digest()[:8], "big")


def stream(seed: int, name: str) -> np.random.Generator:
    """NumPy generator of the stream `name` ("data", "metric:mig", ...) of `seed`."""
    return np.random.Generator(np.random.PCG64(stream_key(seed, name)))


def torch_stream(seed: int, name: str, device: str = "cpu") -> torch.Generator:
    """Torch generator of the stream `name` ("init", "noise", ...) of `seed`."""
    import torch

    generator = torch.Generator(device=device)
    # Torch takes the full unsigned 64-bit range, but seeds above 2**63 are printed as negative numbers.
    generator.manual_seed(stream_key(seed, name) >> 1)
    return generator
