"""Tier 1: every method trained for some steps on a small grid, and one method on every network.

In the environment that stored them, curves and weights are the same to the bit; elsewhere the logged numbers and scores
lie within bounds that were measured when they were stored (`bench.check.repeat`).
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.check import environment, repeat, trials
from bench.check.baselines import Measured, Numbers
from bench.check.finding import Finding
from bench.check.request import Request
from bench.check.run import check_numbers
from bench.data.images import store_of
from bench.evaluation import codes
from bench.registry import METHODS, NETWORKS, MethodEntry, NetworkEntry, load_plugin
from bench.spec import RunSpec
from bench.training import loop, state, torch_setup
from bench.training.log import COLUMNS
from bench.training.trained import take, weights

FILE = "check_trajectories.json"
#: Least bounds of columns in which rounding shows at all: absolute, and relative above 1. Rounding errors are mostly
#: 1e-8, but may decide on which side of zero a unit is, and what follows is as large as this (`docs/check.md`).
LEAST = {
    "reconstruction": 2e-3,
    "kl": 1.5e-2,
    "beta": 1e-2,
    "score reconstruction_bce": 2e-2,
    "score reconstruction_mse": 2e-3,
    "score psnr_db": 1e-2,
    "score kl": 2e-2,
    "score mig": 4e-2,
}
#: The method whose trajectory stands for a network.
CARRIER = "vae"


def follow(spec: RunSpec, size: int = 32, *, nudge: int = 0) -> tuple[Numbers, dict[str, str]]:
    """Train a small run; its logged numbers and scores, and digests of its curves and weights.

    Parameters
    ----------
    spec : RunSpec
    size : {32, 64}
        Of the images, pixels.
    nudge : int
        Above 0 every initial weight is a unit in the last place off, up or down as this seed has it.
    """
    torch_setup.settings(spec.train.threads)
    data = trials.dataset(size)
    images = store_of(data)
    training = state.prepare_for([spec], data)
    if nudge:
        generator = torch.Generator().manual_seed(nudge)
        with torch.no_grad():
            for parameter in training.model.vae.parameters():
                up = torch.randint(0, 2, parameter.shape, generator=generator)
                parameter.mul_(1 + (2 * up - 1) * 2.0**-23)
    loop.train(training, data, images)
    numbers: Numbers = {}
    for row in training.log.rows:
        for name, value in zip(COLUMNS, row[0, 1:5], strict=True):
            # No set point, and no KL of codes without noise, isn't a number that went wrong.
            if not (name in ("set_point", "kl") and np.isnan(value)):
                numbers.setdefault(name, {})[f"step {int(row[0, 0])}"] = float(value)
    run = take(training, 0)
    measured = codes.evaluate(run, data, images)
    for name, score in measured.scores.items():
        numbers.setdefault(f"score {name}", {})["the end"] = score
    digest = hashlib.sha256()
    for name, value in sorted(weights(run.model).items()):
        digest.update(name.encode() + value.numpy().tobytes())
    curves = hashlib.sha256(np.array(training.log.rows).tobytes())
    return numbers, {"curves": curves.hexdigest(), "weights": digest.hexdigest()}


def measure(entry: MethodEntry, *, threads: int = 1, nudge: int = 0) -> Measured:
    """One method's trajectory on the dense net."""
    spec = trials.spec(entry, steps=trials.STEPS[0], log_every=trials.STEPS[1], threads=threads)
    return _measured(f"method {entry.name}", spec, nudge=nudge)


def measure_network(entry: NetworkEntry, *, threads: int = 1, nudge: int = 0) -> Measured:
    """One network's trajectory under a plain VAE."""
    method = METHODS.get(CARRIER)
    spec = trials.spec(
        method,
        steps=trials.STEPS_64[0],
        log_every=trials.STEPS_64[1],
        network=entry.name,
        size=64,
        threads=threads,
    )
    return _measured(f"network {entry.name}", spec, size=64, nudge=nudge)


def subjects(request: Request, *, threads: int = 1, nudge: int = 0) -> Iterator[tuple[str, Callable[[], Measured]]]:
    """What there is to measure: name and how. Networks belong to no single method."""
    for entry in request.chosen_methods():
        yield f"method {entry.name}", partial(measure, entry, threads=threads, nudge=nudge)
    for network in NETWORKS if request.everything else ():
        if network.name != trials.NETWORK:
            yield f"network {network.name}", partial(measure_network, network, threads=threads, nudge=nudge)


def check(request: Request, *, threads: int = 1) -> list[Finding]:
    """Tier 1."""
    facts = environment.facts(threads)
    here = environment.key(facts)
    return check_numbers(
        1,
        request,
        FILE,
        subjects(request, threads=threads),
        inputs=trials.checksum(),
        environment=(here, facts),
        bounds=partial(repeat.bounds, request),
    )


def _measured(subject: str, spec: RunSpec, *, size: int = 32, nudge: int = 0) -> Measured:
    numbers, digests = follow(spec, size, nudge=nudge)
    bounds = {name: LEAST.get(name, 1e-2) for name in numbers}
    return Measured(subject, trials.versions(spec), numbers, bounds, digests)


def _answer(asked: dict[str, Any]) -> dict[str, Numbers]:
    for path in asked["plugins"]:
        load_plugin(Path(path))
    listed = subjects(Request(baselines=Path()), **asked["settings"])
    return {name: measure().numbers for name, measure in listed if name in asked["subjects"]}


if __name__ == "__main__":
    # What `repeat.elsewhere` asks of a process of its own.
    sys.stdout.write(json.dumps(_answer(json.loads(sys.argv[1]))) + "\n")
