"""Runs in a worker: train (or take what is trained), measure each, write all its files into its working folder."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

from bench import by_step, checkpoint, engine, lockstep, measuring, pictures, provenance
from bench.batches import ImageStore, store_of
from bench.data import Dataset, load_dataset
from bench.errors import BenchError
from bench.forward import COLUMNS
from bench.measure import Evaluation
from bench.spec import SCHEMA_VERSION, RunSpec
from bench.store import RESULT, write_json

CHECKPOINT = "checkpoint.safetensors"
PROGRESS = "progress"
WEIGHTS = "weights.safetensors"
CURVES = "curves.csv"


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

    training: engine.Training
    facts: dict[str, Any] | None
    history: dict[str, Any]
    began: float
    took_s: float


def train(
    specs: Sequence[RunSpec],
    folders: Sequence[Path],
    *,
    checkpoint_s: float = 60.0,
    pool: Executor | None = None,
    plugins: Sequence[Path] = (),
) -> list[Trained]:
    """Train runs to the end, together where their checkpoints are at the same step.

    Parameters
    ----------
    specs : sequence of RunSpec
        A group of `bench.lockstep.group`.
    folders : sequence of Path
        Their working folders, held by this process; checkpoints in them are gone on from.
    checkpoint_s : float
        Seconds between checkpoints.
    pool : Executor or None
        Of `bench.measuring.processes`, for the scores of `RunSpec.score_every`.
    plugins : sequence of Path
        Loaded in its processes.

    Raises
    ------
    BenchError
        If the data aren't what the specs say.
    """
    for folder in folders:
        _clear(folder)
    dataset, images = _data(specs[0])
    by_step: dict[int | None, list[int]] = {}
    for run, (spec, folder) in enumerate(zip(specs, folders, strict=True)):
        by_step.setdefault(checkpoint.step_of(folder / CHECKPOINT, spec), []).append(run)
    trained: dict[int, Trained] = {}
    for step, runs in by_step.items():
        together = len(runs) == 1 or lockstep.agrees([specs[run] for run in runs], dataset, images)
        for some in [runs] if together else [[run] for run in runs]:
            places = [folders[run] for run in some]
            part = _Part([specs[run] for run in some], places, step, checkpoint_s, pool, plugins)
            trained |= dict(zip(some, part.train(dataset, images), strict=True))
    return [trained[run] for run in range(len(specs))]


def take(spec: RunSpec, folder: Path, source: Path) -> Trained:
    """Carry a training over from the folder of the same run, so that it is only measured anew.

    Raises
    ------
    BenchError
        If the data aren't what the spec says, or the weights not what the run recorded.
    """
    _clear(folder)
    began, clock = time.time(), time.perf_counter()
    dataset, _ = _data(spec)
    training = engine.prepare([spec], dataset.image_shape, len(dataset), dataset.known_decoder())
    result = json.loads((source / RESULT).read_text())
    if _sha256(source / WEIGHTS) != result["files"][WEIGHTS]:
        raise BenchError(f"'{source / WEIGHTS}' isn't what the run recorded; remove the run's folder")
    for name in (CURVES, WEIGHTS):
        shutil.copy2(source / name, folder / name)
    if (source / by_step.NAME).exists() and _comparable(json.loads((source / "spec.json").read_text()), spec):
        shutil.copy2(source / by_step.NAME, folder / by_step.NAME)
    checkpoint.load_weights(training, load_file(folder / WEIGHTS))
    facts = {key: result[key] for key in ("status", "steps_done", "last_good_step", "final")}
    before = json.loads((source / "provenance.json").read_text())
    history = {key: before.get(key) for key in ("train_s", "resumed_at_step", "lockstep")} | {"trained_by": before}
    return Trained(training, facts, history, began, time.perf_counter() - clock)


def finish(
    trained: Trained, folder: Path, *, pool: Executor | None = None, plugins: Sequence[Path] = ()
) -> Callable[[], None]:
    """Begin to measure a run; what is returned waits for its scores and writes what is missing of its files.

    Parameters
    ----------
    trained : Trained
    folder : Path
        Working folder, held by this process; ``result.json`` is written last.
    pool : Executor or None
        Of `bench.measuring.processes`.
    plugins : sequence of Path
        For the record, and loaded in the pool's processes.
    """
    clock = time.perf_counter()
    training = trained.training
    dataset, images = _data(training.specs[0])
    facts = trained.facts or _facts(training, folder)
    measured = None
    if facts["status"] == "ok":
        measured = measuring.begin(training, dataset, images, pool, plugins)
        if dataset.likelihood != "gaussian_unit":
            pictures.write(training, dataset, images, folder)
    began_s = time.perf_counter() - clock
    return partial(_write, trained, facts, measured, folder, began_s, plugins)


def _write(
    trained: Trained,
    facts: dict[str, Any],
    scores: measuring.Measured | None,
    folder: Path,
    began_s: float,
    plugins: Sequence[Path],
) -> None:
    """Wait for a run's scores and write all that isn't in its folder yet."""
    clock = time.perf_counter()
    spec = trained.training.specs[0]
    dataset, _ = _data(spec)
    measured = Evaluation({}, {}, {})
    if scores is not None:
        measured = scores()
        if spec.score_every:
            by_step.add(folder / by_step.NAME, by_step.row(spec.steps, measured, dataset.factor_names))
    write_json(folder / "spec.json", spec.model_dump(mode="json"))
    evaluate_s = began_s + time.perf_counter() - clock
    write_json(
        folder / "provenance.json",
        {
            **provenance.collect(),
            **trained.history,
            "settings": engine.settings(spec.threads, spec.precision),
            "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(trained.began)),
            "evaluate_s": round(evaluate_s, 3),
            "wall_s": round(trained.took_s + evaluate_s, 3),
            "plugins": {path.name: _sha256(path) for path in plugins},
        },
    )
    result = {
        "schema_version": SCHEMA_VERSION,
        "run": spec.run_id,
        **facts,
        "scores": measured.scores,
        "not_applicable": measured.not_applicable,
        "details": measured.details,
        "factor_names": list(dataset.factor_names),
        "files": {name: _sha256(folder / name) for name in _files(folder)},
    }
    # Last, because it makes the run "done"; the checkpoint goes after it, because until then it is all there is.
    write_json(folder / RESULT, result)
    for name in (CHECKPOINT, PROGRESS):
        (folder / name).unlink(missing_ok=True)


class _Part:
    """Runs that are trained in lockstep from the same step on."""

    def __init__(
        self,
        specs: list[RunSpec],
        folders: list[Path],
        step: int | None,
        checkpoint_s: float,
        pool: Executor | None,
        plugins: Sequence[Path],
    ) -> None:
        self.specs, self.folders, self.step, self.checkpoint_s = specs, folders, step, checkpoint_s
        self.pool, self.plugins = pool, plugins
        self.files = [folder / CHECKPOINT for folder in folders]
        #: Runs that have diverged, as they were when it was seen: alone, they would have stopped there.
        self.ended: dict[int, engine.Training] = {}
        self.last = {"checkpoint": time.monotonic(), "progress": 0.0}

    def train(self, dataset: Dataset, images: ImageStore) -> list[Trained]:
        began, clock = time.time(), time.perf_counter()
        self.shape = dataset.image_shape
        self.data = dataset, images
        training = self._start(dataset)
        start = training.step
        self._set_aside(training)
        engine.train(training, dataset, images, on_log=self._on_log)
        if training.step > start:
            # A failing measurement must not cost the training.
            self._save(training)
        alone = [self.ended.get(run) or checkpoint.take(training, run, self.shape) for run in range(len(self.specs))]
        took_s = (time.perf_counter() - clock) / len(self.specs)
        history = {"train_s": round(took_s, 3), "resumed_at_step": self.step, "lockstep": len(self.specs)}
        return [Trained(one, None, history, began, took_s) for one in alone]

    def _start(self, dataset: Dataset) -> engine.Training:
        training = engine.prepare(self.specs, self.shape, len(dataset), dataset.known_decoder())
        if self.step is not None:
            try:
                checkpoint.load(training, *self.files)
                return training
            except BenchError:
                self.step = None
        for file in self.files:
            # Cut off by a full disk, or written under another version of torch: start again, don't fail for ever.
            file.unlink(missing_ok=True)
        return engine.prepare(self.specs, self.shape, len(dataset), dataset.known_decoder())

    def _on_log(self, training: engine.Training) -> None:
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

    def _measure(self, training: engine.Training) -> None:
        """Take the scores of `RunSpec.score_every`; those at the end are `finish`'s."""
        every, dataset = self.specs[0].score_every, self.data[0]
        if not every or training.step % every or training.step == self.specs[0].steps:
            return
        begun = {}
        for run, folder in enumerate(self.folders):
            if training.diverged[run] is None:
                alone = checkpoint.take(training, run, self.shape)
                begun[folder] = measuring.begin(alone, *self.data, self.pool, self.plugins)
        for folder, measured in begun.items():
            by_step.add(folder / by_step.NAME, by_step.row(training.step, measured(), dataset.factor_names))

    def _set_aside(self, training: engine.Training) -> None:
        for run, good in enumerate(training.diverged):
            if good is not None and run not in self.ended and len(self.specs) > 1:
                self.ended[run] = checkpoint.take(training, run, self.shape)
                checkpoint.save(self.ended[run], self.files[run])

    def _save(self, training: engine.Training) -> None:
        checkpoint.save(training, *[None if run in self.ended else file for run, file in enumerate(self.files)])


def _clear(folder: Path) -> None:
    for leftover in folder.iterdir():
        # Files of a process that was killed while it wrote; only the checkpoint is worth anything, and what was
        # measured on the way to it. Rows after it will be measured again.
        if leftover.name not in (CHECKPOINT, by_step.NAME):
            leftover.unlink()
    if not (folder / CHECKPOINT).exists():
        (folder / by_step.NAME).unlink(missing_ok=True)


def _comparable(before: dict[str, Any], spec: RunSpec) -> bool:
    """Whether a run that was measured by these settings had the same sample, protocol and versions of metrics."""
    then, now = before["evaluation"], spec.evaluation.model_dump(mode="json")
    metrics, others = (each.pop("metrics") for each in (then, now))
    return bool(then == now) and all(others.get(name, version) == version for name, version in metrics.items())


def _files(folder: Path) -> list[str]:
    names = ("spec.json", CURVES, WEIGHTS, by_step.NAME)
    return [name for name in names if (folder / name).exists()]


def _data(spec: RunSpec) -> tuple[Dataset, ImageStore]:
    """The run's images in memory, once per process, with the process set up as the run wants it."""
    engine.settings(spec.threads, spec.precision)
    dataset = load_dataset(spec.dataset.name, spec.dataset.all_options)
    if dataset.fingerprint() != spec.dataset.sha256:
        raise BenchError(f"dataset '{spec.dataset.name}': its data have changed since this run was planned")
    return dataset, store_of(dataset, spec.device)


def _facts(training: engine.Training, folder: Path) -> dict[str, Any]:
    """Write curves and weights; what the result says of the training."""
    width = 1 + len(COLUMNS) + training.vae.latent_dim
    curves = np.array(training.curves)[:, 0] if training.curves else np.zeros((0, width))
    _write_curves(folder / CURVES, curves)
    weights = checkpoint.weights(training, 0)
    checkpoint.save_atomically(weights, folder / WEIGHTS)
    good = training.diverged[0]
    finite = all(bool(torch.isfinite(value).all()) for value in weights.values())
    return {
        "status": "ok" if good is None and finite else "diverged",
        "steps_done": training.step,
        "last_good_step": training.step if good is None else good,
        "final": engine.final(curves),
    }


def _write_curves(path: Path, curves: np.ndarray) -> None:
    header = ["step", *COLUMNS, *(f"kl_{k}" for k in range(curves.shape[1] - 1 - len(COLUMNS)))]
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        for row in curves:
            # 7 digits are what float32 holds.
            writer.writerow([int(row[0]), *("" if np.isnan(value) else f"{value:.7g}" for value in row[1:])])


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
