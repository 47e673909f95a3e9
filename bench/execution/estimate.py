"""How long a run takes here, from a few of its steps."""

from __future__ import annotations

import time
from collections.abc import Sequence

from bench.spec import RunSpec


def seconds_per_step(specs: Sequence[RunSpec], steps: int = 8) -> float:
    """Measure a run's speed by a few steps of its group in this process, after two to warm up; nothing is kept.

    A GPU takes forty times as many, so that recording a step doesn't count.
    """
    from bench.data.images import store_of
    from bench.dataset import load_dataset
    from bench.training import loop, state, torch_setup

    spec = specs[0]
    torch_setup.settings(spec.threads, spec.precision)
    steps *= 40 if spec.device == "cuda" else 1
    dataset = load_dataset(spec.dataset.name, spec.dataset.all_options)
    images = store_of(dataset, spec.device)
    training = state.prepare(specs, dataset.image_shape, len(dataset), dataset.known_decoder())
    loop.train(training, dataset, images, until=2)
    started = time.perf_counter()
    loop.train(training, dataset, images, until=2 + steps)
    return (time.perf_counter() - started) / (steps * len(specs))
