"""How long a run takes here, from a few of its steps."""

from __future__ import annotations

import time
from collections.abc import Sequence

from bench.execution.load import load
from bench.spec import RunSpec
from bench.training.loop import train, train_anew


def seconds_per_step(specs: Sequence[RunSpec], steps: int = 8) -> float:
    """Measure a run's speed by a few steps of its group in this process, after two to warm up; nothing is kept.

    A GPU takes forty times as many, so that recording a step doesn't count.
    """
    steps *= 40 if specs[0].train.device == "cuda" else 1
    tools = load(specs[0])
    dataset, images = tools.dataset, tools.images
    training = train_anew(specs, dataset, images, until=2)
    started = time.perf_counter()
    train(training, dataset, images, until=2 + steps)
    return (time.perf_counter() - started) / (steps * len(specs))
