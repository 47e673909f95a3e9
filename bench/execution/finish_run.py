"""What becomes of a trained run in a worker: it is measured, and all its files go into its working folder."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

from bench import provenance
from bench.errors import BenchError
from bench.evaluation import montages
from bench.execution import metric_pool
from bench.execution.metric_pool import Measurers
from bench.execution.train_group import CHECKPOINT, PROGRESS, Trained, clear, data_of
from bench.files import write_json
from bench.metrics.measure import Evaluation
from bench.results import scores_by_step
from bench.results.store import RESULT, WEIGHTS
from bench.spec import SCHEMA_VERSION, RunSpec
from bench.training import checkpoint, loop, state, torch_setup
from bench.training.state import COLUMNS

CURVES = "curves.csv"


def take(spec: RunSpec, folder: Path, source: Path) -> Trained:
    """Carry a training over from the folder of the same run, so that it is only measured anew.

    Raises
    ------
    BenchError
        If the data aren't what the spec says, or the weights not what the run recorded.
    """
    clear(folder)
    began, clock = time.time(), time.perf_counter()
    dataset, _ = data_of(spec)
    training = state.prepare([spec], dataset.image_shape, len(dataset), dataset.known_decoder())
    result = json.loads((source / RESULT).read_text())
    if _sha256(source / WEIGHTS) != result["files"][WEIGHTS]:
        raise BenchError(f"'{source / WEIGHTS}' isn't what the run recorded; remove the run's folder")
    for name in (CURVES, WEIGHTS):
        shutil.copy2(source / name, folder / name)
    if (source / scores_by_step.NAME).exists() and _comparable(json.loads((source / "spec.json").read_text()), spec):
        shutil.copy2(source / scores_by_step.NAME, folder / scores_by_step.NAME)
    checkpoint.load_weights(training, load_file(folder / WEIGHTS))
    facts = {key: result[key] for key in ("status", "steps_done", "last_good_step", "final")}
    before = json.loads((source / "provenance.json").read_text())
    history = {key: before.get(key) for key in ("train_s", "resumed_at_step", "lockstep")} | {"trained_by": before}
    return Trained(training, facts, history, began, time.perf_counter() - clock)


def begin_measuring(
    trained: Trained, folder: Path, *, pool: Measurers | None = None, plugins: Sequence[Path] = ()
) -> Callable[[], None]:
    """Begin to measure a run; what is returned waits for its scores and writes what is missing of its files.

    Parameters
    ----------
    trained : Trained
    folder : Path
        Working folder, held by this process; ``result.json`` is written last.
    pool : Measurers or None
        Of `bench.execution.metric_pool.processes`.
    plugins : sequence of Path
        For the record, and loaded in the pool's processes.

    Returns
    -------
    callable
        What it writes as ``evaluate_s`` is this process's time, waiting for others included, not theirs.
    """
    clock = time.perf_counter()
    training = trained.training
    dataset, images = data_of(training.specs[0])
    facts = trained.facts or _facts(training, folder)
    measured = None
    if facts["status"] == "ok":
        measured = metric_pool.begin(training, dataset, images, pool, plugins)
        if dataset.likelihood != "gaussian_unit":
            montages.write(training, dataset, images, folder)
    began_s = time.perf_counter() - clock
    return partial(_finish, trained, facts, measured, folder, began_s, plugins)


def _finish(
    trained: Trained,
    facts: dict[str, Any],
    begun: metric_pool.Measured | None,
    folder: Path,
    began_s: float,
    plugins: Sequence[Path],
) -> None:
    """Wait for a run's scores and write all that isn't in its folder yet."""
    clock = time.perf_counter()
    spec = trained.training.specs[0]
    dataset, _ = data_of(spec)
    measured = Evaluation({}, {}, {})
    if begun is not None:
        measured = begun()
        if spec.score_every:
            scores_by_step.add(
                folder / scores_by_step.NAME, scores_by_step.row(spec.steps, measured, dataset.factor_names)
            )
    write_json(folder / "spec.json", spec.model_dump(mode="json"))
    evaluate_s = began_s + time.perf_counter() - clock
    write_json(
        folder / "provenance.json",
        {
            **provenance.collect(),
            **trained.history,
            "settings": torch_setup.settings(spec.threads, spec.precision),
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


def _comparable(before: dict[str, Any], spec: RunSpec) -> bool:
    """Whether a run that was measured by these settings had the same sample, protocol and versions of metrics."""
    then, now = before["evaluation"], spec.evaluation.model_dump(mode="json")
    metrics, others = (each.pop("metrics") for each in (then, now))
    return bool(then == now) and all(others.get(name, version) == version for name, version in metrics.items())


def _files(folder: Path) -> list[str]:
    names = ("spec.json", CURVES, WEIGHTS, scores_by_step.NAME)
    return [name for name in names if (folder / name).exists()]


def _facts(training: state.Training, folder: Path) -> dict[str, Any]:
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
        "final": loop.final(curves),
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
