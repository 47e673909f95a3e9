"""Which runs of small models are trained together in one process, and whether that changes nothing here.

A small model's step is mostly the cost of calling the kernels, which R runs in lockstep share. What a run becomes
doesn't depend on the runs beside it, so groups are made as it suits the workers.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench.spec import RunSpec

if TYPE_CHECKING:
    from bench.batches import ImageStore
    from bench.data import Dataset

#: Runs in one group: more gain nothing, and a group's runs are all lost together to an error.
LARGEST = 10
#: Multiply-adds of one step's forward pass above which a single run keeps a core busy by itself.
SMALL = 100_000_000
#: Values in two vector registers, which is what torch's loops take at once. What is left over is rounded otherwise, and
#: matrices that begin off these bounds are multiplied otherwise.
ALIGNED = 32
#: Steps after which runs trained together are compared with the same runs trained alone.
STEPS_COMPARED = 3


def group(specs: Sequence[RunSpec], n_jobs: int) -> list[tuple[RunSpec, ...]]:
    """Divide runs into groups that go in lockstep, in the order of their first runs.

    Groups of one kind get smaller towards the end, so that all workers are busy up to the end.

    Parameters
    ----------
    specs : sequence of RunSpec
    n_jobs : int
        Workers that share the runs.
    """
    kinds: dict[str, list[int]] = {}
    small: dict[str, bool] = {}
    for place, spec in enumerate(specs):
        kind = _kind(spec)
        if kind not in small:
            try:
                small[kind] = is_small(spec)
            except Exception:
                # The run itself will say what is wrong, and be recorded as failed.
                small[kind] = False
        kinds.setdefault(kind if small[kind] else spec.digest, []).append(place)
    groups = []
    for places in kinds.values():
        least = 2 if len(places) >= 2 * n_jobs else 1
        while places:
            size = min(LARGEST, max(least, math.ceil(len(places) / n_jobs)))
            groups.append(places[:size])
            places = places[size:]
    return [tuple(specs[place] for place in places) for places in sorted(groups)]


def is_small(spec: RunSpec) -> bool:
    """Whether a run gains by company and keeps its bits in it.

    It gains if it has few multiply-adds a step. Kernels were seen to give every run the bits that it gets alone in
    dense layers on one thread of a CPU, if a run's part of each tensor fills whole vector registers.
    """
    import torch

    from bench import networks
    from bench.data import load_dataset
    from bench.layers import Linear
    from bench.method import Method
    from bench.registry import METHODS

    entry = METHODS.get(spec.method.name)
    cls = entry.value
    fitted = cls.build is not Method.build or cls.fit is not Method.fit
    if spec.steps == 0 or fitted or (spec.device, spec.threads) != ("cpu", 1):
        return False
    shape = load_dataset(spec.dataset.name, spec.dataset.all_options).image_shape
    hyper = cls.Hyper(**spec.method.hyper)
    with torch.device("meta"):
        vae = networks.build(spec.network.name, 1, shape, spec.network.latent_dim)
        own = cls([hyper], latent_dim=spec.network.latent_dim, n_steps=spec.steps).modules()
    layers = [layer for module in (vae, own) if module is not None for layer in module.modules()]
    holders = [layer for layer in layers if list(layer.parameters(recurse=False))]
    if spec.batch_size % ALIGNED or not all(isinstance(layer, Linear) for layer in holders):
        return False
    sizes = [layer.weight.numel() for layer in holders if isinstance(layer, Linear)]
    return all(size % ALIGNED == 0 for size in sizes) and sum(sizes) * spec.batch_size <= SMALL


def agrees(specs: Sequence[RunSpec], dataset: Dataset, images: ImageStore) -> bool:
    """Whether the first steps of these runs together leave the bits that each leaves alone, on this machine.

    Other libraries under torch, or a method that mixes runs, could part them; then they must go alone.
    """
    from bench import checkpoint, engine

    def first_steps(some: Sequence[RunSpec]) -> engine.Training:
        training = engine.prepare(some, dataset.image_shape, len(dataset))
        engine.train(training, dataset, images, until=STEPS_COMPARED)
        return training

    together = first_steps(specs)
    return all(checkpoint.same_bits(together, run, first_steps([spec])) for run, spec in enumerate(specs))


def _kind(spec: RunSpec) -> str:
    from bench import engine

    return json.dumps(engine.shared(spec), sort_keys=True)
