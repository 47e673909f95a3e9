"""Training in a worker: runs of a group together, with checkpoints to go on from."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from bench.errors import BenchError
from bench.execution import metric_pool
from bench.execution.load import Tools
from bench.execution.task import Attempt, Trained
from bench.files import write_bytes
from bench.metrics.measure import Evaluation
from bench.results import scores_by_step
from bench.results.store import CHECKPOINT, CURVES, PROGRESS, WEIGHTS
from bench.training import checkpoint, loop
from bench.training.agreement import agrees
from bench.training.log import final, to_csv
from bench.training.state import Training, prepare
from bench.training.trained import TrainedRun, take, weights


def train(attempts: Sequence[Attempt], tools: Tools) -> None:
    """Train runs to the end, together where their checkpoints are at the same step.

    Parameters
    ----------
    attempts : sequence of Attempt
        A group of `bench.execution.grouping.group`; each gets its `Attempt.trained`. Checkpoints in their folders are
        gone on from.
    tools : Tools
    """
    at_step: dict[int | None, list[Attempt]] = {}
    for attempt in attempts:
        clear(attempt.folder)
        at_step.setdefault(checkpoint.step_of(attempt.folder / CHECKPOINT, attempt.spec), []).append(attempt)
    for step, some in at_step.items():
        together = len(some) == 1 or agrees([one.spec for one in some], tools.dataset, tools.images)
        for part in [some] if together else [[one] for one in some]:
            _Part(part, tools, step).train()


class _Part:
    """Runs that are trained together from the same step on."""

    def __init__(self, attempts: Sequence[Attempt], tools: Tools, step: int | None) -> None:
        self.attempts, self.tools, self.step = attempts, tools, step
        self.specs = [attempt.spec for attempt in attempts]
        self.files = [attempt.folder / CHECKPOINT for attempt in attempts]
        #: Runs that have diverged, as they were when it was seen: alone, they would have stopped there.
        self.ended: dict[int, TrainedRun] = {}
        self.last = {"checkpoint": time.monotonic(), "progress": 0.0}

    def train(self) -> None:
        """Train them to the end; leaves curves and weights in each run's folder."""
        began, clock = time.time(), time.perf_counter()
        training = self._start()
        start = training.log.step
        self._set_aside(training)
        loop.train(training, self.tools.dataset, self.tools.images, on_log=self._on_log)
        if training.log.step > start:
            # A failing measurement must not cost the training.
            self._save(training)
        alone = [self.ended.get(run) or take(training, run) for run in range(len(self.specs))]
        took_s = (time.perf_counter() - clock) / len(self.specs)
        history = {"train_s": round(took_s, 3), "resumed_at_step": self.step, "lockstep": len(self.specs)}
        for attempt, run in zip(self.attempts, alone, strict=True):
            attempt.trained = Trained(run, record(run, attempt.folder), history, began, took_s)

    def _start(self) -> Training:
        """The runs at their checkpoint's step, or at the beginning where a checkpoint is no good."""
        dataset = self.tools.dataset
        training = prepare(self.specs, dataset.image_shape, len(dataset), dataset.known_decoder())
        if self.step is not None:
            try:
                checkpoint.load(training, *self.files)
            except BenchError:
                # Cut off by a full disk, or written under another version of torch: don't fail for ever.
                self.step = None
                return self._start()
        else:
            for file in self.files:
                file.unlink(missing_ok=True)
        return training

    def _on_log(self, training: Training) -> None:
        self._set_aside(training)
        self._measure(training)
        now = time.monotonic()
        if now - self.last["progress"] >= 1:
            self.last["progress"] = now
            for attempt in self.attempts:
                (attempt.folder / PROGRESS).write_text(str(training.log.step))
        if now - self.last["checkpoint"] >= self.tools.checkpoint_s:
            self.last["checkpoint"] = now
            self._save(training)

    def _measure(self, training: Training) -> None:
        """Take the scores of `TrainSettings.score_every`; those at the end are taken by `finish_run`."""
        settings, step = self.specs[0].train, training.log.step
        if not settings.score_every or step % settings.score_every or step == settings.steps:
            return
        well = [run for run, good in enumerate(training.log.diverged) if good is None]
        tools = self.tools
        begun = [
            metric_pool.begin(take(training, run), tools.dataset, tools.images, tools.pool, tools.plugins)
            for run in well
        ]
        for run, pending in zip(well, begun, strict=True):
            self._add(self.attempts[run].folder, pending.result(), step)

    def _add(self, folder: Path, measured: Evaluation, step: int) -> None:
        row = scores_by_step.row(step, measured, self.tools.dataset.factor_names)
        scores_by_step.add(folder / scores_by_step.NAME, row)

    def _set_aside(self, training: Training) -> None:
        for run, good in enumerate(training.log.diverged):
            if good is not None and run not in self.ended and len(self.specs) > 1:
                self.ended[run] = take(training, run)
                checkpoint.save(training, *[file if other == run else None for other, file in enumerate(self.files)])

    def _save(self, training: Training) -> None:
        checkpoint.save(training, *[None if run in self.ended else file for run, file in enumerate(self.files)])


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


def clear(folder: Path) -> None:
    """Empty a working folder but for its checkpoint and the scores that were taken on the way to it."""
    for leftover in folder.iterdir():
        # Files of a process that was killed while it wrote; only the checkpoint is worth anything, and what was
        # measured on the way to it. Rows after it will be measured again.
        if leftover.name not in (CHECKPOINT, scores_by_step.NAME):
            leftover.unlink()
    if not (folder / CHECKPOINT).exists():
        (folder / scores_by_step.NAME).unlink(missing_ok=True)
