"""Which runs of small models are trained together in one process, and whether that changes nothing here.

Much of a small model's step is the cost of calling the kernels, which R batched runs share. What a run becomes
doesn't depend on the runs beside it, so groups are made as it suits the workers.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import torch
from torch.nn import Module

from bench.dataset import load_dataset
from bench.method_kinds import ClosedFormMethod
from bench.nn import networks
from bench.nn.layers import Conv, ConvTranspose, Linear, Narrow
from bench.registry import METHODS
from bench.spec import RunSpec
from bench.training.state import shared

#: Runs in one group, whatever their size: a group's runs are all lost together to an error.
LARGEST = 10
#: Multiply-adds of one step's forward pass of a whole group up to which it may be larger than that, of `LARGE` runs:
#: 40 runs of quick's net, which are faster by a tenth (float32) or a fifth (bfloat16) than 10 and 10.
GAINING, LARGE = 260_000_000, 40
#: Runs in one group on a GPU: what β-VAEs of net H keep there took at most 10.5 GiB.
LARGEST_ON_GPU = 40
#: Multiply-adds likewise up to which it may be of `MANY` runs: all of them take about as long as one. Such a group
#: isn't divided among workers.
TINY, MANY = 1_000_000, 64
#: Multiply-adds of one step's forward pass above which a single run keeps a core busy by itself.
SMALL = 100_000_000
#: Values in two vector registers, which is what torch's loops take at once. What is left over is rounded otherwise, and
#: matrices that begin off these bounds are multiplied otherwise.
ALIGNED = 32


def group(specs: Sequence[RunSpec], n_jobs: int) -> list[tuple[RunSpec, ...]]:
    """Divide runs into groups that are trained together, the costliest first; runs that go alone follow in their order.

    Groups get smaller towards the end of the study, kinds of costly runs being divided first. Handed to whichever
    worker is free, the costliest first, they leave none idle for long at the end; groups of equal cost keep the order
    of their first runs. Where runs take hours on a CPU each goes alone, and a study that is stopped has every method at
    the same seeds.

    Parameters
    ----------
    specs : sequence of RunSpec
    n_jobs : int
        Workers that share the runs.
    """
    kinds: dict[str, list[int]] = {}
    most: dict[str, int] = {}
    cost: dict[str, int] = {}
    for place, spec in enumerate(specs):
        kind = _kind(spec)
        if kind not in most:
            cost[kind] = 0
            try:
                most[kind] = group_limit(spec)
                # A GPU's one worker takes them as they come.
                cost[kind] = _calls(spec) if most[kind] > 1 and spec.train.device == "cpu" else 0
            except Exception:
                # The run itself will say what is wrong, and be recorded as failed.
                most[kind] = 1
        kinds.setdefault(kind if most[kind] > 1 else spec.digest, []).append(place)
    groups: list[tuple[int, list[int]]] = []
    left = sum(len(places) * max(1, cost[kind]) for kind, places in kinds.items() if most.get(kind, 1) > 1)
    for kind, places in sorted(kinds.items(), key=lambda item: -cost.get(item[0], 0)):
        largest = most.get(kind, 1)
        least = 2 if len(places) >= 2 * n_jobs else 1
        if specs[places[0]].train.device == "cpu" and largest > LARGE:
            least = largest
        each = max(1, cost.get(kind, 0))
        while places:
            size = min(largest, max(least, math.ceil(left / (n_jobs * each))))
            taken, places = places[:size], places[size:]
            groups.append((-len(taken) * cost.get(kind, 0), taken))
            left -= len(taken) * each if largest > 1 else 0
    return [tuple(specs[place] for place in places) for _, places in sorted(groups)]


def group_limit(spec: RunSpec) -> int:
    """Runs that may be batched with this one, itself counted: 1 if it wouldn't gain or, on a CPU, keep its bits.

    On a GPU every run gains that is trained by gradients, or not at all but measured beside others; what it becomes
    depends, to rounding, on how many runs are beside it, which its provenance says. On a CPU it gains if it has few
    multiply-adds a step. Kernels were seen to give every run the bits that it gets alone in dense layers on one thread,
    if a run's part of each tensor fills whole vector registers, and in narrow layers.
    """
    if issubclass(METHODS.get(spec.method.name).value, ClosedFormMethod):
        return 1
    if spec.train.device == "cuda":
        return LARGEST_ON_GPU
    if spec.train.steps == 0 or spec.train.threads != 1:
        return 1
    layers = _layers(spec)
    if spec.train.batch_size % ALIGNED or any(isinstance(layer, Conv | ConvTranspose) for layer in layers):
        return 1
    dense = [layer for layer in layers if isinstance(layer, Linear)]
    if any(layer.weight.numel() % ALIGNED for layer in dense if not isinstance(layer, Narrow)):
        return 1
    cost = sum(layer.weight.numel() for layer in dense) * spec.train.batch_size
    if cost > SMALL:
        return 1
    return min(MANY, TINY // cost) if TINY // cost > LARGE else max(LARGEST, min(LARGE, GAINING // cost))


def _calls(spec: RunSpec) -> int:
    """Dense layers of a run's networks: a small model's step takes about as long as there are kernels to call."""
    return sum(isinstance(layer, Linear) for layer in _layers(spec))


def _layers(spec: RunSpec) -> list[Module]:
    """All modules of a run's network and of its method's own, without memory for their weights."""
    cls = METHODS.get(spec.method.name).value
    shape = load_dataset(spec.dataset.name, spec.dataset.all_options).image_shape
    hyper = cls.Hyper(**spec.method.hyper)
    with torch.device("meta"):
        method = cls([hyper], latent_dim=spec.train.latent_dim, n_steps=spec.train.steps)
        vae = method.build(shape) or networks.build(spec.train.network, 1, shape, spec.train.latent_dim)
        own = method.modules()
    return [layer for module in (vae, own) if module is not None for layer in module.modules()]


def _kind(spec: RunSpec) -> str:

    return json.dumps(shared(spec), sort_keys=True)
