"""Evaluate a run again that was trained before: its weights are taken over."""

from __future__ import annotations

import json
import shutil
import time
from typing import Any

from bench.errors import BenchError
from bench.execution.load import Tools
from bench.execution.task import Attempt, Trained
from bench.metrics.measure import known_version
from bench.results import scores_by_step
from bench.results.record import WEIGHTS
from bench.results.store import CURVES, Store
from bench.spec import RunSpec
from bench.training.log import Log
from bench.training.trained import TrainedRun, restore


def take(attempt: Attempt, store: Store, tools: Tools) -> None:
    """Carry a training over from the committed folder of the same run.

    Raises
    ------
    BenchError
        If its files aren't what the run recorded.
    """
    for leftover in attempt.folder.iterdir():
        # Of a training of the same run that was interrupted.
        leftover.unlink()
    began, clock = time.time(), time.perf_counter()
    run_id = attempt.spec.run_id
    source = store.runs / run_id
    if damaged := store.faults(run_id, full=True, weights=True):
        raise BenchError(f"'{source / damaged[0].file}' {damaged[0].what}; {damaged[0].way_out}")
    earlier, result = store.spec(run_id), store.result(run_id)
    spec = _with_earlier_metrics(attempt.spec, earlier)
    for name in (CURVES, WEIGHTS):
        shutil.copy2(source / name, attempt.folder / name)
    if (source / scores_by_step.NAME).exists() and _comparable(earlier, spec):
        shutil.copy2(source / scores_by_step.NAME, attempt.folder / scores_by_step.NAME)
    model = restore(spec, tools.dataset, attempt.folder / WEIGHTS)
    facts = {key: result[key] for key in ("status", "steps_done", "last_good_step", "final")}
    before: dict[str, Any] = json.loads((source / "provenance.json").read_text(encoding="utf-8"))
    history = {key: before.get(key) for key in ("train_s", "resumed_at_step", "lockstep")} | {"trained_by": before}
    run = TrainedRun(spec, model, Log(step=result["steps_done"]))
    attempt.trained = Trained(run, facts, history, began, time.perf_counter() - clock)


def _with_earlier_metrics(spec: RunSpec, earlier: RunSpec) -> RunSpec:
    """The spec with the metrics added that the run has already at today's versions, so that no score is lost."""
    measured = earlier.evaluation.metrics
    kept = {name: version for name, version in measured.items() if known_version(name) == version}
    metrics = dict(sorted((kept | spec.evaluation.metrics).items()))
    return spec.model_copy(update={"evaluation": spec.evaluation.model_copy(update={"metrics": metrics})})


def _comparable(before: RunSpec, now: RunSpec) -> bool:
    """Whether a run that was evaluated with these settings had the same sample, protocol and versions of metrics."""
    earlier, wanted = before.evaluation, now.evaluation
    same = earlier.model_copy(update={"metrics": {}}) == wanted.model_copy(update={"metrics": {}})
    return same and all(earlier.metrics.get(name, version) == version for name, version in wanted.metrics.items())
