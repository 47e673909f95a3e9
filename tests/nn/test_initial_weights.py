"""The first weights of every network that runs have been trained with, and the names that weight files know them by.

A run's weights hang on its seed and on the names of its layers, since each layer draws from a stream of its own: one
that is renamed or moved changes every run without a change of its id.
"""

from __future__ import annotations

import hashlib

import pytest
import torch

from bench.nn import networks

#: Network, images, scheme, seed: hash of the parameters' names and shapes, and a sum over all weights of one run.
PINNED = {
    ("H", (1, 64, 64), "he", 0): ("c5459ee441cc7f31", 6.969958),
    ("H", (3, 64, 64), "torch", 3): ("b9d54fa614914063", 28.243181),
    ("B", (1, 64, 64), "he", 0): ("2524ba0c56aafb88", -2.361518),
    ("B", (3, 64, 64), "normal002", 3): ("26dd680c7aad118e", 6.629440),
    ("kim", (1, 64, 64), "normal002", 0): ("f53b6b91b6f5d6a9", 6.045010),
    ("kim", (3, 64, 64), "he", 3): ("2baa3c76933b551c", -24.503599),
    ("mlp", (1, 32, 32), "he", 0): ("ac561ef9d1a68754", 29.833245),
    ("mlp", (1, 20, 12), "torch", 3): ("3fad2037a3cc291b", -7.502582),
    ("linear", (1, 1, 20), "he", 0): ("fd67f3e1069396ca", -6.798053),
}


def fingerprint(name: str, shape: tuple[int, int, int], scheme: networks.Init, seed: int) -> tuple[str, float]:
    """Hash of names and shapes in order, and the sum of all weights, each times the cosine of its number.

    The sum moves in its last digits from one processor to the next, as the normal distribution does in torch, and by
    whole units if any layer's weights come from another place of another stream.
    """
    vae = networks.build(name, 2, shape, 10)
    networks.initialise(vae, scheme, [seed, seed + 1], "vae")
    own = {key: value.detach()[1] for key, value in vae.named_parameters()}
    names = hashlib.sha256(str([(key, tuple(value.shape)) for key, value in own.items()]).encode()).hexdigest()[:16]
    weights = torch.cat([value.flatten() for value in own.values()]).double()
    return names, float((weights * torch.arange(len(weights), dtype=torch.float64).cos()).sum())


@pytest.mark.parametrize(("name", "shape", "scheme", "seed"), PINNED)
def test_first_weights_are_those_that_runs_were_trained_from(name, shape, scheme, seed):
    names, total = fingerprint(name, shape, scheme, seed)
    pinned_names, pinned_total = PINNED[name, shape, scheme, seed]
    assert names == pinned_names
    assert total == pytest.approx(pinned_total, abs=1e-3)
