"""Seeded generators."""

from __future__ import annotations

import numpy as np


def rng(seed: int = 0) -> np.random.Generator:
    """Return a generator that draws the same numbers in every test that asks for `seed`."""
    return np.random.default_rng(seed)
