"""Runs measured in processes beside the one that trains: the same bytes, and what fails, fails alone."""

from __future__ import annotations

import hashlib
import json
import os

import pytest

from bench import backends, runner
from bench.expand import expand
from bench.registry import METRICS, load_plugin
from bench.store import Store
from bench.study import resolve

METRIC = '''
import os
import numpy as np
from bench.metric import Score, check_codes, register_metric

@register_metric("moody", version=1, inputs=("codes",), scores={"moody": Score("moody")})
def moody(codes, *, rng):
    """Where it was measured; not of runs whose codes begin with a positive value."""
    if codes[0, 0] > 0:
        raise RuntimeError("not today")
    return {"moody": float(rng.random()), "process": os.getpid()}
'''


def specs_of(metrics=("core",), seeds=range(3), methods=("vae",)):
    settings = ["train.steps=40", "train.score_every=20"]
    options = {"methods": list(methods), "controls": [], "evaluation": {"metrics": list(metrics)}}
    return expand(resolve("smoke", settings=settings, seeds=list(seeds), **options))


def measured(path, specs, measurers, plugins=(), action="train"):
    store = Store(path)
    store.create({}, specs)
    tasks = [runner.Task(spec, store.path, action, tuple(plugins), measurers=measurers) for spec in specs]
    return store, {outcome.run: outcome for outcome in runner.execute_together(tasks)}


def digests(store):
    files = sorted(path for path in store.runs.glob("*/*") if path.name != "provenance.json")
    return {str(path.relative_to(store.runs)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.slow
@pytest.mark.parametrize("method", ["vae", "untrained"])
def test_measured_in_processes_a_run_has_the_same_bytes(method, tmp_path):
    specs = specs_of(methods=[method])
    here, _ = measured(tmp_path / "here", specs, 1)
    there, outcomes = measured(tmp_path / "there", specs, 2)
    assert {outcome.state for outcome in outcomes.values()} == {"ok"}
    assert digests(there) == digests(here)
    assert sum("scores_by_step.csv" in name for name in digests(there)) == (3 if method == "vae" else 0)
    records = [json.loads(path.read_text()) for path in there.runs.glob("*/provenance.json")]
    assert [record["lockstep"] for record in records] == [3, 3, 3]
    assert {"mig", "reconstruction_bce"} <= next(iter(outcomes.values())).scores.keys()


@pytest.mark.slow
def test_runs_are_measured_anew_together(tmp_path):
    few, more = specs_of(["mig"]), specs_of(["kl"])
    store, _ = measured(tmp_path / "study", few, 2)
    assert set(runner.plan(more, store).todo.values()) == {"measure"}
    _, outcomes = measured(store.path, more, 2, action="measure")
    assert all({"mig", "kl"} <= outcome.scores.keys() for outcome in outcomes.values())
    assert runner.plan(more, store).todo == {}


@pytest.mark.slow
def test_a_metric_that_fails_on_one_run_leaves_the_others_alone(tmp_path):
    plugin = tmp_path / "moody_metric.py"
    plugin.write_text(METRIC)
    load_plugin(plugin)
    try:
        specs = specs_of(["moody", "mig"], range(8))
        store, outcomes = measured(tmp_path / "study", specs, 2, [plugin])
    finally:
        del METRICS._entries["moody"]
    failed = {run for run, outcome in outcomes.items() if outcome.state == "failed"}
    assert 0 < len(failed) < len(specs)
    assert {outcomes[run].message for run in failed} == {"RuntimeError: not today"}
    assert {path.name for path in store.runs.iterdir()} == outcomes.keys() - failed
    results = [json.loads((path / "result.json").read_text()) for path in store.runs.iterdir()]
    assert all("mig" in result["scores"] for result in results)
    assert os.getpid() not in {result["details"]["moody"]["process"] for result in results}


def test_a_gpu_has_one_process_and_the_others_measure(tmp_path, monkeypatch):
    specs = specs_of(seeds=range(50), methods=["vae", "untrained"])
    specs = [spec.model_copy(update={"device": "cuda"}) for spec in specs]
    asked = {}

    def catch(function, batches, *, n_jobs, threads, on_killed):
        asked.update(n_jobs=n_jobs, batches=batches)
        return iter(())

    monkeypatch.setattr(backends, "run_all", catch)
    store = Store(tmp_path / "study")
    store.create({}, specs)
    plan = runner.plan(specs, store)
    list(runner.run(plan, store, n_jobs=16))
    assert (plan.workers(16), asked["n_jobs"]) == (1, 1)
    assert sorted(map(len, asked["batches"])) == [10, 10, 40, 40]
    assert {task.measurers for batch in asked["batches"] for task in batch} == {16}
    list(runner.run(runner.Plan(specs, dict.fromkeys(plan.todo, "measure")), store, n_jobs=16))
    assert [len(batch) for batch in asked["batches"]] == [len(specs)]
