"""Runs measured in processes beside the one that trains: the same bytes, and what fails, fails alone."""

from __future__ import annotations

import json
import os
from concurrent.futures import Future
from dataclasses import dataclass

import pytest
from loky.process_executor import TerminatedWorkerError

from bench.config.expand import expand
from bench.config.study import resolve
from bench.execution import metric_pool, processes, worker
from bench.execution import plan as execution_plan
from bench.execution import run as execution_run
from bench.execution.task import Task
from bench.registry import METRICS, load_plugin
from bench.results.store import Store
from helpers import files

METRIC = '''
import os
import numpy as np
from bench.metric import Score, check_codes, register_metric

class Moody(Exception):
    def __init__(self, mood, day):
        super().__init__(f"{mood} {day}")

@register_metric("moody", version=1, inputs=("codes",), scores={"moody": Score("moody")})
def moody(codes, *, rng):
    """Where it was measured; not of runs whose codes begin with a positive value."""
    if codes[0, 0] > 0:
        raise Moody("not", "today")
    return {"moody": float(rng.random()), "process": os.getpid()}

@register_metric("homesick", version=1, inputs=("codes",), scores={"homesick": Score("homesick")})
def homesick(codes, *, rng):
    """Takes a process with it that isn't the one where it was asked for."""
    if os.getpid() != int(os.environ["HOME_PROCESS"]):
        os._exit(1)
    return {"homesick": float(rng.random())}

@register_metric("unlucky", version=1, inputs=("codes",), scores={"unlucky": Score("unlucky")})
def unlucky(codes, *, rng):
    """Takes the first process with it that asks, wherever that is."""
    try:
        open(os.environ["BAD_LUCK"], "x").close()
    except FileExistsError:
        return {"unlucky": float(rng.random()), "process": os.getpid()}
    os._exit(1)
'''


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    file = tmp_path / "moody_metrics.py"
    file.write_text(METRIC)
    monkeypatch.setenv("HOME_PROCESS", str(os.getpid()))
    monkeypatch.setenv("BAD_LUCK", str(tmp_path / "bad_luck"))
    with METRICS.override():
        load_plugin(file)
        yield file


def specs_of(metrics=("core",), seeds=range(3), methods=("vae",), **changes):
    train = {"steps": 40, "score_every": 20} | changes
    settings = [f"train.{key}={value}" for key, value in train.items()]
    options = {"methods": list(methods), "controls": [], "evaluation": {"metrics": list(metrics)}}
    return expand(resolve("smoke", settings=settings, seeds=list(seeds), **options))


def measured(path, specs, measurers, plugins=(), action="train"):
    store = Store(path)
    store.create({}, specs)
    tasks = [Task(spec, store.path, action, tuple(plugins), measurers=measurers) for spec in specs]
    return store, {outcome.run: outcome for outcome in worker.execute_batch(tasks)}


def digests(store):
    return files.digests(store.runs, without=["provenance.json"])


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
    assert set(execution_plan.plan(more, store).todo.values()) == {"measure"}
    _, outcomes = measured(store.path, more, 2, action="measure")
    assert all({"mig", "kl"} <= outcome.scores.keys() for outcome in outcomes.values())
    assert execution_plan.plan(more, store).todo == {}


@pytest.mark.slow
def test_a_metric_that_fails_on_one_run_leaves_the_others_alone(plugin, tmp_path):
    """Also if what it raises can't be put together again from what is sent of it."""
    specs = specs_of(["moody", "mig"], range(8), score_every=0)
    store, outcomes = measured(tmp_path / "study", specs, 2, [plugin])
    failed = {run for run, outcome in outcomes.items() if outcome.state == "failed"}
    assert 0 < len(failed) < len(specs)
    assert {outcomes[run].message for run in failed} == {"Moody: not today"}
    assert "in moody" in json.loads(store.failures(min(failed))[0].read_text())["traceback"]
    assert {path.name for path in store.runs.iterdir()} == outcomes.keys() - failed
    results = [json.loads((path / "result.json").read_text()) for path in store.runs.iterdir()]
    assert all("mig" in result["scores"] for result in results)
    assert os.getpid() not in {result["details"]["moody"]["process"] for result in results}


@pytest.mark.slow
def test_a_metric_that_fails_on_the_way_leaves_the_others_alone(plugin, tmp_path):
    """It stops the training of all; then each goes alone, with the same processes beside it."""
    specs = specs_of(["moody"], range(8), score_every=20)
    store, outcomes = measured(tmp_path / "study", specs, 2, [plugin])
    failed = {run for run, outcome in outcomes.items() if outcome.state == "failed"}
    assert 0 < len(failed) < len(specs)
    assert {outcomes[run].message for run in failed} == {"Moody: not today"}
    records = [json.loads(path.read_text()) for path in store.runs.glob("*/provenance.json")]
    assert [record["lockstep"] for record in records] == [1] * (len(specs) - len(failed))
    assert len(list(store.runs.glob("*/scores_by_step.csv"))) == len(records)


@pytest.mark.slow
def test_what_a_killed_process_had_is_measured_in_new_ones(plugin, tmp_path, monkeypatch):
    """All that was lost with it, and none of it at home: that would take as many times as long as there are cores."""
    specs = specs_of(["mig", "unlucky"], range(8), score_every=0)
    monkeypatch.setattr(metric_pool.Part, "measure", lambda part: pytest.fail(f"{part.metric} was measured at home"))
    store, outcomes = measured(tmp_path / "study", specs, 2, [plugin])
    assert (tmp_path / "bad_luck").exists()
    assert {outcome.state for outcome in outcomes.values()} == {"ok"}
    results = [json.loads((path / "result.json").read_text()) for path in store.runs.iterdir()]
    assert len(results) == 8
    assert os.getpid() not in {result["details"]["unlucky"]["process"] for result in results}
    assert all("mig" in result["scores"] for result in results)


class Pool:
    """Stands for processes of which the first so many parts break them, at once or when they are waited for."""

    def __init__(self, *deaths):
        self.deaths = iter(deaths)
        self.dead = False

    def __call__(self, *_, **__):
        self.dead = False
        return self

    def shutdown(self, **_):
        pass

    def submit(self, function, part):
        if self.dead:
            raise TerminatedWorkerError("gone")
        future = Future()
        death = next(self.deaths, "")
        if isinstance(death, Exception):
            raise death
        if death:
            self.dead = death == "early"
            future.set_exception(TerminatedWorkerError("killed"))
        else:
            future.set_result(metric_pool.Evaluation({part: 1.0}, {}, {}))
        return future


@dataclass(frozen=True)
class Named:
    """A part that says where it was measured."""

    metric: str

    def measure(self):
        return f"{self.metric} at home"


@pytest.mark.parametrize(
    ("deaths", "at_home"),
    [
        ((), 0),
        (("late",), 0),
        (("early",), 0),
        (("late", "late", "late"), 0),
        (("late", "", "late"), 0),
        (("late", "", "", "late"), 1),
        (("early", "early"), 1),
        (("late",) * 6, 3),
    ],
)
def test_a_part_is_measured_at_home_once_it_was_lost_twice(deaths, at_home, monkeypatch):
    monkeypatch.setattr(metric_pool, "ProcessPoolExecutor", Pool(*deaths))
    measurers = metric_pool.Measurers(2, 1)
    waits = [measurers.begin(Named(name)) for name in "abc"]
    found = [one.result() if isinstance(one, metric_pool.Begun) else one for one in waits]
    assert sum(isinstance(one, str) for one in found) == at_home
    assert measurers._under_way == []


def test_what_cannot_be_begun_keeps_nobody_waiting(monkeypatch):
    monkeypatch.setattr(metric_pool, "ProcessPoolExecutor", Pool(OSError("no memory"), "late"))
    measurers = metric_pool.Measurers(2, 1)
    with pytest.raises(OSError, match="no memory"):
        measurers.begin(Named("a"))
    assert not isinstance(measurers.begin(Named("b")).result(), str)


@pytest.mark.slow
def test_what_kills_every_process_is_measured_at_home(plugin, tmp_path):
    specs = specs_of(["homesick", "mig"])
    there, outcomes = measured(tmp_path / "there", specs, 2, [plugin])
    assert {outcome.state for outcome in outcomes.values()} == {"ok"}
    here, _ = measured(tmp_path / "here", specs, 1, [plugin])
    assert digests(there) == digests(here)


@pytest.mark.slow
def test_a_diverged_run_is_not_measured(tmp_path):
    store, outcomes = measured(tmp_path / "study", specs_of(lr=1e20), 2)
    assert {outcome.state for outcome in outcomes.values()} == {"diverged"}
    assert all(store.result(run)["scores"] == {} for run in outcomes)


def test_a_gpu_has_one_process_and_the_others_measure(tmp_path, monkeypatch):
    specs = specs_of(seeds=range(50), methods=["vae", "untrained"])
    specs = [spec.with_train(device="cuda") for spec in specs]
    asked = {}

    def catch(function, batches, *, n_jobs, threads, on_killed):
        asked.update(n_jobs=n_jobs, batches=batches)
        return iter(())

    monkeypatch.setattr(processes, "run_all", catch)
    store = Store(tmp_path / "study")
    store.create({}, specs)
    plan = execution_plan.plan(specs, store)
    list(execution_run.execute(plan, store, n_jobs=16))
    assert (plan.workers(16), asked["n_jobs"]) == (1, 1)
    assert sorted(map(len, asked["batches"])) == [10, 10, 40, 40]
    assert {task.measurers for batch in asked["batches"] for task in batch} == {16}
    again = execution_plan.Plan(specs, dict.fromkeys(plan.todo, "measure"))
    list(execution_run.execute(again, store, n_jobs=16))
    assert sorted(map(len, asked["batches"])) == [10, 10, 40, 40], "without weights they are trained anew"
    monkeypatch.setattr(Store, "has_weights", lambda *_: True)
    list(execution_run.execute(again, store, n_jobs=16))
    assert [len(batch) for batch in asked["batches"]] == [40, 40, 20]
    one = execution_plan.Plan(specs[:1], {specs[0].run_id: "train"})
    list(execution_run.execute(one, store, n_jobs=16))
    assert {task.measurers for batch in asked["batches"] for task in batch} == {16}, "also the metrics of a single run"
