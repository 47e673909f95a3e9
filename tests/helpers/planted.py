"""Plug-ins of a few lines, each with one fault planted into a sound method."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.registry import DATASETS, METHODS, METRICS, NETWORKS

TEMPLATE = '''
import itertools
import random

import numpy as np
import torch
from torch import nn

from bench.method import Method, Objective, register_method
from bench.networks.mlp import mlp
from bench.nn import layers
from bench.registry import NETWORKS

MADE = itertools.count()


class Own(nn.Module):
    """Parameters and buffers of its own."""

    def __init__(self, **tensors):
        super().__init__()
        for name, value in tensors.items():
            if name.startswith("buffer"):
                self.register_buffer(name, value)
            else:
                self.register_parameter(name, nn.Parameter(value))


@NETWORKS.register("own_net", version=1)
def own_net(n_runs, shape, latent_dim):
    """The network `mlp` with something beside it."""
    vae = mlp(n_runs, shape, latent_dim)
    {network}
    return vae


@register_method("{name}")
class Planted(Method):
    """VAE with a fault."""

    def __init__(self, hypers, **context):
        super().__init__(hypers, **context)
        self.calls, self.made, self.own = 0, next(MADE), None

    def initial_state(self):
        return {state}

    {build}

    def modules(self):
        self.own = {modules}
        return self.own

    def loss(self, terms, state, step):
        self.calls += 1
        factor, auxiliary = 1.0, None
        {loss}
        objective = terms.reconstruction + factor * terms.kl
        return Objective(loss=objective, beta=self.full(1.0), auxiliary=auxiliary, state=state)
'''


def write(
    folder: Path,
    name: str,
    *,
    loss: str = "pass",
    modules: str = "None",
    state: str = "{}",
    build: str = "",
    network: str = "pass",
) -> Path:
    """Write a plug-in file that registers a method and the network ``own_net``; the words are Python, on one line."""
    words = {"name": name, "loss": loss, "modules": modules, "state": state, "network": network}
    text = TEMPLATE.replace("{build}", f"def build(self, shape): {build}" if build else "")
    for word, value in words.items():
        text = text.replace("{" + word + "}", value)
    path = folder / f"{name}.py"
    path.write_text(text, encoding="utf-8")
    return path


@contextmanager
def forgotten() -> Iterator[None]:
    """Leave the registries as they were, so that no other test sees the plug-ins of this one."""
    with METHODS.override(), DATASETS.override(), METRICS.override(), NETWORKS.override():
        modules = set(sys.modules)
        yield
    for name in set(sys.modules) - modules:
        if name.startswith("disbench_"):
            del sys.modules[name]
