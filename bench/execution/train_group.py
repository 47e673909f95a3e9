"""Training in a worker: runs of a group together, with checkpoints to go on from."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.data.images import ImageStore, store_of
from bench.dataset import Dataset, load_dataset
from bench.errors import BenchError
from bench.execution import grouping, metric_pool
from bench.execution.metric_pool import Measurers
from bench.metrics.measure import Evaluation
from bench.results import scores_by_step
from bench.spec import RunSpec
from bench.training import checkpoint, loop, state, torch_setup

CHECKPOINT = "checkpoint.safetensors"
PROGRESS = "progress"


@dataclass(frozen=True)
class Trained:
    """A run after its training, before it is measured.

    Attributes
    ----------
    training : Training
        Of this run alone.
    facts : dict or None
        What ``result.json`` says of the training; None while its files are to be written.
    history : dict
        What ``provenance.json`` says of it.
    began : float
        When its group began, seconds since the epoch.
    took_s : float
        Its share of the time since then.
    """

    training: state.Training
    facts: dict[str, Any] | None
    history: dict[str, Any]
    began: float
    took_s: float


def train(
    specs: Sequence[RunSpec],
    folders: Sequence[Path],
    *,
    checkpoint_s: float = 60.0,
    pool: Measurers | None = None,
    plugins: Sequence[Path] = (),
) -> list[Trained]:
    """Train runs to the end, together where their checkpoints are at the same step.

    Parameters
    ----------
    specs : sequence of RunSpec
        A group of `bench.execution.grouping.group`.
    folders : sequence of Path
        Their working folders, held by this process; checkpoints in them are gone on from.
    checkpoint_s : float
        Seconds between checkpoints.
    pool : Measurers or None
        Of `bench.execution.metric_pool.processes`, for the scores of `RunSpec.score_every`.
    plugins : sequence of Path
        Loaded in its processes.

    Raises
    ------
    BenchError
        If the data aren't what the specs say.
    """
    for folder in folders:
        clear(folder)
    dataset, images = data_of(specs[0])
    at_step: dict[int | None, list[int]] = {}
    for run, (spec, folder) in enumerate(zip(specs, folders, strict=True)):
        at_step.setdefault(checkpoint.step_of(folder / CHECKPOINT, spec), []).append(run)
    trained: dict[int, Trained] = {}
    for step, runs in at_step.items():
        together = len(runs) == 1 or grouping.agrees([specs[run] for run in runs], dataset, images)
        for some in [runs] if together else [[run] for run in runs]:
            places = [folders[run] for run in some]
            part = _Part([specs[run] for run in some], places, step, checkpoint_s, pool, plugins)
            trained |= dict(zip(some, part.train(dataset, images), strict=True))
    return [trained[run] for run in range(len(specs))]


class _Part:
    """Runs that are trained in lockstep from the same step on."""

    def __init__(
        self,
        specs: list[RunSpec],
        folders: list[Path],
        step: int | None,
        checkpoint_s: float,
        pool: Measurers | None,
        plugins: Sequence[Path],
    ) -> None:
        self.specs, self.folders, self.step, self.checkpoint_s = specs, folders, step, checkpoint_s
        self.pool, self.plugins = pool, plugins
        self.files = [folder / CHECKPOINT for folder in folders]
        #: Runs that have diverged, as they were when it was seen: alone, they would have stopped there.
        self.ended: dict[int, state.Training] = {}
        self.last = {"checkpoint": time.monotonic(), "progress": 0.0}

    def train(self, dataset: Dataset, images: ImageStore) -> list[Trained]:
        began, clock = time.time(), time.perf_counter()
        self.shape = dataset.image_shape
        self.data = dataset, images
        training = self._start(dataset)
        start = training.step
        self._set_aside(training)
        loop.train(training, dataset, images, on_log=self._on_log)
        if training.step > start:
            # A failing measurement must not cost the training.
            self._save(training)
        alone = [self.ended.get(run) or checkpoint.take(training, run, self.shape) for run in range(len(self.specs))]
        took_s = (time.perf_counter() - clock) / len(self.specs)
        history = {"train_s": round(took_s, 3), "resumed_at_step": self.step, "lockstep": len(self.specs)}
        return [Trained(one, None, history, began, took_s) for one in alone]

    def _start(self, dataset: Dataset) -> state.Training:
        training = state.prepare(self.specs, self.shape, len(dataset), dataset.known_decoder())
        if self.step is not None:
            try:
                checkpoint.load(training, *self.files)
                return training
            except BenchError:
                self.step = None
        for file in self.files:
            # Cut off by a full disk, or written under another version of torch: start again, don't fail for ever.
            file.unlink(missing_ok=True)
        return state.prepare(self.specs, self.shape, len(dataset), dataset.known_decoder())

    def _on_log(self, training: state.Training) -> None:
        self._set_aside(training)
        self._measure(training)
        now = time.monotonic()
        if now - self.last["progress"] >= 1:
            self.last["progress"] = now
            for folder in self.folders:
                (folder / PROGRESS).write_text(str(training.step))
        if now - self.last["checkpoint"] >= self.checkpoint_s:
            self.last["checkpoint"] = now
            self._save(training)

    def _measure(self, training: state.Training) -> None:
        """Take the scores of `RunSpec.score_every`; those at the end are taken by `bench.execution.finish_run`."""
        every = self.specs[0].score_every
        if not every or training.step % every or training.step == self.specs[0].steps:
            return
        begun = {}
        for run, folder in enumerate(self.folders):
            if training.diverged[run] is None:
                alone = checkpoint.take(training, run, self.shape)
                measured = metric_pool.begin(alone, *self.data, self.pool, self.plugins)
                if self.pool is None:
                    self._add(folder, measured(), training.step)
                else:
                    begun[folder] = measured
        for folder, measured in begun.items():
            self._add(folder, measured(), training.step)

    def _add(self, folder: Path, measured: Evaluation, step: int) -> None:
        scores_by_step.add(folder / scores_by_step.NAME, scores_by_step.row(step, measured, self.data[0].factor_names))

    def _set_aside(self, training: state.Training) -> None:
        for run, good in enumerate(training.diverged):
            if good is not None and run not in self.ended and len(self.specs) > 1:
                self.ended[run] = checkpoint.take(training, run, self.shape)
                checkpoint.save(self.ended[run], self.files[run])

    def _save(self, training: state.Training) -> None:
        checkpoint.save(training, *[None if run in self.ended else file for run, file in enumerate(self.files)])


def data_of(spec: RunSpec) -> tuple[Dataset, ImageStore]:
    """The run's images in memory, once per process, with the process set up as the run wants it."""
    torch_setup.settings(spec.threads, spec.precision)
    dataset = load_dataset(spec.dataset.name, spec.dataset.all_options)
    if dataset.fingerprint() != spec.dataset.sha256:
        raise BenchError(f"dataset '{spec.dataset.name}': its data have changed since this run was planned")
    return dataset, store_of(dataset, spec.device)


def clear(folder: Path) -> None:
    """Empty a working folder but for its checkpoint and the scores that were taken on the way to it."""
    for leftover in folder.iterdir():
        # Files of a process that was killed while it wrote; only the checkpoint is worth anything, and what was
        # measured on the way to it. Rows after it will be measured again.
        if leftover.name not in (CHECKPOINT, scores_by_step.NAME):
            leftover.unlink()
    if not (folder / CHECKPOINT).exists():
        (folder / scores_by_step.NAME).unlink(missing_ok=True)
