"""Plan, execute, commit: what is to be done, one run from spec to committed folder, and how far it is."""

from __future__ import annotations

import csv
import hashlib
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from bench import backends
from bench.errors import BenchError
from bench.spec import SCHEMA_VERSION, RunSpec
from bench.store import RESULT, Store, explain, write_json

State = Literal["ok", "diverged", "failed", "locked"]
Rerun = Literal["", "diverged", "all"]
CHECKPOINT = "checkpoint.safetensors"


@dataclass(frozen=True)
class Task:
    """One run, as it is handed to a worker: small and picklable."""

    spec: RunSpec
    path: Path
    plugins: tuple[Path, ...]
    replace: bool
    checkpoint_s: float


@dataclass(frozen=True)
class Outcome:
    """What became of one run."""

    run: str
    state: State
    message: str = ""
    scores: dict[str, float] = field(default_factory=dict)
    wall_s: float = 0.0

    @property
    def locked(self) -> bool:
        """Another process holds the run."""
        return self.state == "locked"


@dataclass(frozen=True)
class Plan:
    """The runs of a study, seed by seed, and those that are still to do."""

    specs: list[RunSpec]
    todo: list[RunSpec]
    replace: bool = False


def plan(specs: Sequence[RunSpec], store: Store, rerun: Rerun = "") -> Plan:
    """Which runs are to be done: those without a committed result, and what `rerun` says.

    Runs that failed have no result and are tried again. The order is by seed, then by method, so that a study that is
    stopped early has every method at the same seeds.
    """
    ordered = sorted(specs, key=lambda spec: spec.seed)
    todo = [spec for spec in ordered if not store.is_done(spec.run_id) or _again(store, spec.run_id, rerun)]
    return Plan(ordered, todo, replace=bool(rerun))


def run(
    plan: Plan, store: Store, *, n_jobs: int, plugins: Sequence[Path] = (), checkpoint_s: float = 60.0
) -> Iterator[Outcome]:
    """Execute what a plan leaves to do; yields each run's outcome as it comes. Never raises for a failing run."""
    tasks = [Task(spec, store.path.resolve(), tuple(plugins), plan.replace, checkpoint_s) for spec in plan.todo]
    if not tasks:
        return
    yield from backends.run_all(
        execute, tasks, n_jobs=n_jobs, threads=max(task.spec.threads for task in tasks), on_killed=_killed
    )


def execute(task: Task) -> Outcome:
    """Train, evaluate and commit one run; in a worker process. All errors come back as outcomes."""
    spec, store, started = task.spec, Store(task.path), time.perf_counter()
    try:
        from bench.registry import load_plugin

        for plugin in task.plugins:
            load_plugin(plugin)
        with store.claim(spec.run_id) as folder:
            if folder is None:
                return Outcome(spec.run_id, "locked")
            if not store.is_done(spec.run_id) or task.replace:
                _work(task, folder)
                store.commit(folder, spec.run_id, replace=task.replace)
                store.clear_failures(spec.run_id)
        result = store.result(spec.run_id)
        return Outcome(spec.run_id, result["status"], "", result["scores"], time.perf_counter() - started)
    except Exception as error:
        message = str(error) if isinstance(error, BenchError) else f"{type(error).__name__}: {error}"
        if isinstance(error, OSError):
            message = explain(error, store.path)
        return _record(store, spec, message, traceback.format_exc())


def progress(store: Store, run: str) -> int:
    """Last step that a run in work has reported, 0 if none."""
    try:
        return int((store.work / run / "progress").read_text())
    except (OSError, ValueError):
        return 0


def seconds_per_step(spec: RunSpec, steps: int = 8) -> float:
    """Measure a run's speed by a few steps of it in this process, after two to warm up; nothing is kept."""
    from bench import engine
    from bench.batches import store_of
    from bench.data import load_dataset

    engine.settings(spec.threads)
    dataset = load_dataset(spec.dataset.name, spec.dataset.all_options)
    images = store_of(dataset)
    training = engine.prepare([spec], dataset.image_shape)
    engine.train(training, dataset, images, until=2)
    started = time.perf_counter()
    engine.train(training, dataset, images, until=2 + steps)
    return (time.perf_counter() - started) / steps


def _work(task: Task, folder: Path) -> None:
    import torch

    from bench import checkpoint, engine, evaluate, networks, pictures, provenance
    from bench.batches import store_of
    from bench.data import load_dataset
    from bench.evaluate import Evaluation

    spec = task.spec
    started = {"wall": time.time(), "clock": time.perf_counter()}
    switches = engine.settings(spec.threads)
    dataset = load_dataset(spec.dataset.name, spec.dataset.all_options)
    images = store_of(dataset)
    training, resumed = _prepare(spec, dataset.image_shape, folder)
    last = {"checkpoint": time.monotonic(), "progress": 0.0}

    def on_log(state: engine.Training) -> None:
        now = time.monotonic()
        if now - last["progress"] >= 1:
            last["progress"] = now
            (folder / "progress").write_text(str(state.step))
        if now - last["checkpoint"] >= task.checkpoint_s and state.step < spec.steps:
            last["checkpoint"] = now
            checkpoint.save(state, folder / CHECKPOINT)

    engine.train(training, dataset, images, on_log=on_log)
    trained = time.perf_counter()

    curves = np.array(training.curves)[:, 0] if training.curves else np.zeros((0, 5 + spec.network.latent_dim))
    good = training.diverged[0]
    weights = checkpoint.weights(training, 0)
    finite = all(bool(torch.isfinite(value).all()) for value in weights.values())
    status = "ok" if good is None and finite else "diverged"
    measured = Evaluation({}, {}, {}, {})
    if status == "ok":
        vae = networks.build(spec.network.name, 1, dataset.image_shape, spec.network.latent_dim)
        vae.load_state_dict({name: value.unsqueeze(0) for name, value in weights.items()})
        vae.to(spec.device)
        measured = evaluate.evaluate(vae, dataset, images, spec.evaluation, seed=spec.seed, device=spec.device)
        codes, logvar = measured.table["codes"], measured.table["logvar"]
        kl = 0.5 * (codes**2 + np.exp(logvar) - 1 - logvar).mean(axis=0)
        pictures.write(vae, dataset, images, kl, folder, spec.device)
    _write_curves(folder / "curves.csv", curves)
    checkpoint.save_atomically(weights, folder / "weights.safetensors")
    write_json(folder / "spec.json", spec.model_dump(mode="json"))
    for leftover in (CHECKPOINT, "progress"):
        (folder / leftover).unlink(missing_ok=True)
    ended = time.perf_counter()
    write_json(
        folder / "provenance.json",
        {
            **provenance.collect(),
            "settings": switches,
            "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started["wall"])),
            "train_s": round(trained - started["clock"], 3),
            "evaluate_s": round(ended - trained, 3),
            "wall_s": round(ended - started["clock"], 3),
            "resumed_at_step": resumed,
            "plugins": {path.name: _sha256(path) for path in task.plugins},
        },
    )
    # Last, because it makes the run "done".
    write_json(
        folder / RESULT,
        {
            "schema_version": SCHEMA_VERSION,
            "run": spec.run_id,
            "status": status,
            "steps_done": training.step,
            "last_good_step": training.step if good is None else good,
            "scores": measured.scores,
            "not_applicable": measured.not_applicable,
            "details": measured.details,
            "final": engine.final(curves),
            "files": {name: _sha256(folder / name) for name in ("spec.json", "curves.csv", "weights.safetensors")},
        },
    )


def _prepare(spec: RunSpec, shape: tuple[int, int, int], folder: Path) -> tuple[Any, int | None]:
    """A fresh training state, or an earlier process's checkpoint and the step it stands at."""
    from bench import checkpoint, engine

    file = folder / CHECKPOINT
    training = engine.prepare([spec], shape)
    if not file.exists():
        return training, None
    try:
        checkpoint.load(training, file)
    except BenchError:
        # Cut off while the disk was full, or from another version: start again rather than fail for ever.
        file.unlink()
        return engine.prepare([spec], shape), None
    return training, training.step


def _write_curves(path: Path, curves: np.ndarray) -> None:
    from bench.engine import COLUMNS

    header = ["step", *COLUMNS, *(f"kl_{k}" for k in range(curves.shape[1] - 1 - len(COLUMNS)))]
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        for row in curves:
            # 7 digits are what float32 holds.
            writer.writerow([int(row[0]), *("" if np.isnan(value) else f"{value:.7g}" for value in row[1:])])


def _record(store: Store, spec: RunSpec, message: str, trace: str) -> Outcome:
    try:
        store.fail(spec, message, trace)
    except OSError as error:
        message = f"{message}; and the failure can't be recorded: {error.strerror}"
    return Outcome(spec.run_id, "failed", message)


def _killed(task: Task) -> Outcome:
    message = f"its worker process was killed {backends.MAX_KILLS} times (out of memory?)"
    return _record(Store(task.path), task.spec, message, "")


def _again(store: Store, run: str, rerun: Rerun) -> bool:
    return rerun == "all" or (rerun == "diverged" and store.result(run)["status"] == "diverged")


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
