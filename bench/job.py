"""One run in a worker: train (or take what is trained), measure, write all its files into the working folder."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

from bench import checkpoint, engine, evaluate, pictures, provenance
from bench.batches import ImageStore, store_of
from bench.data import Dataset, load_dataset
from bench.errors import BenchError
from bench.measure import Evaluation
from bench.spec import SCHEMA_VERSION, RunSpec
from bench.store import RESULT, write_json

CHECKPOINT = "checkpoint.safetensors"
PROGRESS = "progress"
WEIGHTS = "weights.safetensors"
CURVES = "curves.csv"


def work(
    spec: RunSpec,
    folder: Path,
    *,
    trained: Path | None = None,
    checkpoint_s: float = 60.0,
    plugins: Sequence[Path] = (),
) -> None:
    """Do a run in `folder`, up to and including ``result.json``.

    Parameters
    ----------
    spec : RunSpec
    folder : Path
        Working folder, held by this process; a checkpoint in it is gone on from.
    trained : Path, optional
        Folder of the same run with its weights: it is only measured anew.
    checkpoint_s : float
        Seconds between checkpoints.
    plugins : sequence of Path
        For the record.

    Raises
    ------
    BenchError
        If the data aren't what the spec says.
    """
    for leftover in folder.iterdir():
        # Files of a process that was killed while it wrote; only the checkpoint is worth anything.
        if leftover.name != CHECKPOINT:
            leftover.unlink()
    began = {"wall": time.time(), "clock": time.perf_counter()}
    switches = engine.settings(spec.threads)
    dataset = load_dataset(spec.dataset.name, spec.dataset.all_options)
    if dataset.fingerprint() != spec.dataset.sha256:
        raise BenchError(f"dataset '{spec.dataset.name}': its data have changed since this run was planned")
    images = store_of(dataset)
    training = engine.prepare([spec], dataset.image_shape, len(dataset))
    if trained is None:
        resumed = _train(training, dataset, images, folder, checkpoint_s)
        facts = _facts(training, folder)
        took = time.perf_counter()
        history: dict[str, Any] = {"train_s": round(took - began["clock"], 3), "resumed_at_step": resumed}
    else:
        facts = _take(training, trained, folder)
        took = time.perf_counter()
        before = json.loads((trained / "provenance.json").read_text())
        history = {key: before.get(key) for key in ("train_s", "resumed_at_step")} | {"trained_by": before}
    measured = Evaluation({}, {}, {})
    if facts["status"] == "ok":
        measured = evaluate.evaluate(training, dataset, images)
        pictures.write(training, dataset, images, folder)
    write_json(folder / "spec.json", spec.model_dump(mode="json"))
    ended = time.perf_counter()
    write_json(
        folder / "provenance.json",
        {
            **provenance.collect(),
            **history,
            "settings": switches,
            "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(began["wall"])),
            "evaluate_s": round(ended - took, 3),
            "wall_s": round(ended - began["clock"], 3),
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
        "files": {name: _sha256(folder / name) for name in ("spec.json", CURVES, WEIGHTS)},
    }
    # Last, because it makes the run "done"; the checkpoint goes after it, because until then it is all there is.
    write_json(folder / RESULT, result)
    for name in (CHECKPOINT, PROGRESS):
        (folder / name).unlink(missing_ok=True)


def _train(
    training: engine.Training, dataset: Dataset, images: ImageStore, folder: Path, checkpoint_s: float
) -> int | None:
    """Train to the end; gives the step at which an earlier process's checkpoint was taken over, None if fresh."""
    resumed = None
    file = folder / CHECKPOINT
    if file.exists():
        try:
            checkpoint.load(training, file)
            resumed = training.step
        except BenchError:
            # Cut off by a full disk, or written under another version of torch: start again, don't fail for ever.
            file.unlink()
            fresh = engine.prepare(training.specs, dataset.image_shape, len(dataset))
            training.__dict__.update(fresh.__dict__)
    last = {"checkpoint": time.monotonic(), "progress": 0.0}

    def on_log(state: engine.Training) -> None:
        now = time.monotonic()
        if now - last["progress"] >= 1:
            last["progress"] = now
            (folder / PROGRESS).write_text(str(state.step))
        if now - last["checkpoint"] >= checkpoint_s:
            last["checkpoint"] = now
            checkpoint.save(state, file)

    start = training.step
    engine.train(training, dataset, images, on_log=on_log)
    if training.step > start:
        # A failing measurement must not cost the training.
        checkpoint.save(training, file)
    return resumed


def _facts(training: engine.Training, folder: Path) -> dict[str, Any]:
    """Write curves and weights; what the result says of the training."""
    width = 1 + len(engine.COLUMNS) + training.vae.latent_dim
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


def _take(training: engine.Training, trained: Path, folder: Path) -> dict[str, Any]:
    """Load weights that are trained already, and carry the files of the training over."""
    result = json.loads((trained / RESULT).read_text())
    if _sha256(trained / WEIGHTS) != result["files"][WEIGHTS]:
        raise BenchError(f"'{trained / WEIGHTS}' isn't what the run recorded; remove the run's folder")
    for name in (CURVES, WEIGHTS):
        shutil.copy2(trained / name, folder / name)
    checkpoint.load_weights(training, load_file(folder / WEIGHTS))
    return {key: result[key] for key in ("status", "steps_done", "last_good_step", "final")}


def _write_curves(path: Path, curves: np.ndarray) -> None:
    columns = engine.COLUMNS
    header = ["step", *columns, *(f"kl_{k}" for k in range(curves.shape[1] - 1 - len(columns)))]
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        for row in curves:
            # 7 digits are what float32 holds.
            writer.writerow([int(row[0]), *("" if np.isnan(value) else f"{value:.7g}" for value in row[1:])])


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
