"""Generators of the whole process, which no run's seed sets and no checkpoint holds."""

from __future__ import annotations

import random

import numpy as np
import torch


def states() -> dict[str, object]:
    """The state of each, by the name that an error message calls it; equal as long as nothing is drawn."""
    _, keys, *rest = np.random.get_state()  # noqa: NPY002  (to see whether somebody drew from it)
    return {
        "torch's global generator": torch.get_rng_state().numpy().tobytes(),
        "NumPy's global generator": (np.asarray(keys).tobytes(), *rest),
        "Python's module random": random.getstate(),
    }


def moved(before: dict[str, object]) -> str:
    """The first that has been drawn from since `states` gave these; empty if none has."""
    after = states() if before else {}
    return next((name for name in before if before[name] != after[name]), "")
