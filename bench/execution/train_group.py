"""Training in a worker: runs of a group together, with checkpoints to go on from."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from bench.errors import BenchError
from bench.execution import left_behind
from bench.execution.load import Tools
from bench.execution.task import Attempt, Trained
from bench.execution.watch import Watch
from bench.files import write_bytes
from bench.results.record import WEIGHTS
from bench.results.store import CHECKPOINT, CURVES
from bench.training import checkpoint, loop
from bench.training.agreement import STEPS_COMPARED, agrees, check_repeatable
from bench.training.log import final, to_csv
from bench.training.state import Training, prepare_for
from bench.training.trained import TrainedRun, take, weights

#: Why runs that were to be trained together are not.
PARTED = f"beside other runs its first {STEPS_COMPARED} steps don't leave the bits that they leave alone"


def train(attempts: Sequence[Attempt], tools: Tools) -> None:
    """Train runs to the end, together where their checkpoints are at the same step.

    Parameters
    ----------
    attempts : sequence of Attempt
        A group of `bench.execution.grouping.group`; each gets its `Attempt.trained`. Checkpoints in their folders are
        gone on from.
    tools : Tools

    Raises
    ------
    BenchError
        If a plug-in's numbers aren't a function of the run's spec.
    """
    at_step: dict[int | None, list[Attempt]] = {}
    for attempt in attempts:
        at_step.setdefault(left_behind.sort_out(attempt), []).append(attempt)
    check_repeatable(attempts[0].spec, tools.dataset, tools.images)
    for step, some in at_step.items():
        together = len(some) == 1 or agrees([one.spec for one in some], tools.dataset, tools.images)
        if not together:
            for one in some:
                one.alone_because = PARTED
        for part in [some] if together else [[one] for one in some]:
            _train_part(part, tools, step)


def _train_part(attempts: Sequence[Attempt], tools: Tools, step: int | None) -> None:
    """Train runs together from their checkpoints' step on; leaves curves and weights in each run's folder."""
    began, clock = time.time(), time.perf_counter()
    training = _prepared(attempts, tools, go_on=step is not None)
    start = training.log.step
    watch = Watch(attempts, tools)
    watch.set_aside(training)
    loop.train(training, tools.dataset, tools.images, on_log=watch.on_log)
    if training.log.step > start:
        # A failing evaluation must not cost the training.
        watch.save(training)
    alone = [watch.ended.get(run) or take(training, run) for run in range(len(attempts))]
    took_s = (time.perf_counter() - clock) / len(attempts)
    common = {"train_s": round(took_s, 3), "resumed_at_step": start or None, "lockstep": len(attempts)}
    for attempt, run in zip(attempts, alone, strict=True):
        said = {"alone_because": attempt.alone_because, "warning": attempt.warning}
        history = common | {key: text for key, text in said.items() if text}
        attempt.trained = Trained(run, record(run, attempt.folder), history, began, took_s)


def _prepared(attempts: Sequence[Attempt], tools: Tools, *, go_on: bool) -> Training:
    """Runs as their checkpoints have them, or at their beginning."""
    specs = [attempt.spec for attempt in attempts]
    training = prepare_for(specs, tools.dataset)
    if go_on:
        try:
            checkpoint.load(training, *(attempt.folder / CHECKPOINT for attempt in attempts))
        except BenchError:
            # Whole, but from a version of this project that kept other tensors, say; it may be half restored by now.
            for attempt in attempts:
                left_behind.begin_again(attempt)
            return prepare_for(specs, tools.dataset)
    return training


def record(run: TrainedRun, folder: Path) -> dict[str, Any]:
    """Write a run's curves and weights; what ``result.json`` says of its training."""
    log = run.log
    (curves,) = log.curves(run.model.vae.latent_dim)
    write_bytes(folder / CURVES, to_csv(curves).encode())
    tensors = weights(run.model)
    checkpoint.save_atomically(tensors, folder / WEIGHTS)
    good = log.diverged[0]
    finite = all(bool(torch.isfinite(value).all()) for value in tensors.values())
    return {
        "status": "ok" if good is None and finite else "diverged",
        "steps_done": log.step,
        "last_good_step": log.step if good is None else good,
        "final": final(curves),
    }
