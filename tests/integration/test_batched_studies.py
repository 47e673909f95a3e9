"""Whole batched runs: which go together, and the bytes each leaves whatever happens to the others."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest
import torch
from rich.console import Console

from bench.cli import progress
from bench.evaluation import codes
from bench.execution import grouping, plan, worker
from bench.execution import run as execution_run
from bench.execution.load import load
from bench.execution.task import Outcome, Task
from bench.method import Objective
from bench.registry import METHODS, load_plugin
from bench.results.store import CHECKPOINT, PROGRESS
from bench.training import checkpoint, loop
from bench.training.state import prepare
from helpers import files
from helpers.specs import specs_of
from helpers.stores import store_of

FILES = (
    "result.json",
    "spec.json",
    "curves.csv",
    "weights.safetensors",
    "traversals.png",
    "reconstructions.png",
    "samples.png",
)


def smoke(seeds, methods=("vae", "factor_vae"), *, controls=()):
    measured = {"metrics": ["kl", "reconstruction"]}
    return specs_of(methods, "train.steps=40", seeds=seeds, controls=controls, evaluation=measured)


@dataclass(frozen=True)
class Poison:
    """poison: what happens to a run after 20 steps."""

    beta: float = 1.0
    poison: float = 0.0


class Poisoned(METHODS.get("vae").value):
    """VAE; 1 diverges, 2 raises, 3 kills its process."""

    Hyper = Poison

    def loss(self, terms, state, step):
        if step > 20 and (self.hyper.poison == 2).any():
            raise RuntimeError("no luck")
        if step > 20 and (self.hyper.poison == 3).any():
            import os
            import signal

            os.kill(os.getpid(), signal.SIGKILL)
        bad = torch.where((self.hyper.poison == 1) & (step > 20), torch.nan, 1.0)
        return Objective(loss=(terms.reconstruction + terms.kl) * bad, beta=self.full(1.0))


class Mixing(METHODS.get("vae").value):
    """A method with a fault: a run's weight on the KL is the mean of all runs' KL."""

    def loss(self, terms, state, step):
        return Objective(loss=terms.reconstruction + terms.kl.mean() * terms.kl, beta=self.full(1.0))


@pytest.fixture
def plugin_methods():
    with METHODS.override():
        METHODS.register("poisoned", version=1, label="poisoned")(Poisoned)
        METHODS.register("mixing", version=1, label="mixing")(Mixing)
        yield


def tasks_of(store, specs, **options):
    return [Task(spec, store.path, **options) for spec in specs]


def digests(store):
    return files.digests(store.runs, without=["provenance.json"])


def provenance(store, spec):
    return json.loads((store.runs / spec.run_id / "provenance.json").read_text())


def one_by_one(path, specs):
    store = store_of(path, specs)
    for task in tasks_of(store, specs):
        worker.execute_batch((task,))[0]
    assert len(list(store.runs.iterdir())) == len(specs)
    return store


def interrupt(tasks, step, monkeypatch):
    """Run a group up to its checkpoint at this step."""
    save = checkpoint.save

    def save_then_die(training, *paths):
        save(training, *paths)
        if training.log.step == step and sum(path is not None for path in paths) > 1:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save", save_then_die)
        with pytest.raises(KeyboardInterrupt):
            worker.execute_batch(tasks)


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    return one_by_one(tmp_path_factory.mktemp("batched") / "study", smoke(range(3), controls=["untrained"]))


@pytest.mark.slow
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_batched_study_has_the_same_bytes(n_jobs, reference, tmp_path):
    specs = smoke(range(3), controls=["untrained"])
    store = store_of(tmp_path / "study", specs)
    outcomes = list(execution_run.execute(plan.plan(specs, store), store, n_jobs=n_jobs))
    assert {outcome.state for outcome in outcomes} == {"ok"}
    assert len(outcomes) == 9
    assert digests(store) == digests(reference)
    runs = [provenance(store, spec) for spec in specs if spec.train.steps]
    assert sorted(run["lockstep"] for run in runs) == ([3] * 6 if n_jobs == 1 else [1, 2, 2, 3, 3, 3])
    assert all(run["wall_s"] == pytest.approx(run["train_s"] + run["evaluate_s"], abs=0.01) for run in runs)


def test_an_interrupted_group_goes_on_in_another_batch(reference, tmp_path, monkeypatch):
    specs = smoke(range(3), ["factor_vae"])
    store = store_of(tmp_path / "study", specs)
    interrupt(tasks_of(store, specs, checkpoint_s=0.0), 20, monkeypatch)
    assert not list(store.runs.iterdir())
    for batch in (specs[1:], specs[:1]):
        assert {outcome.state for outcome in worker.execute_batch(tasks_of(store, batch))} == {"ok"}
    assert [provenance(store, spec)["resumed_at_step"] for spec in specs] == [20, 20, 20]
    mine = digests(store)
    assert len(mine) == 3 * len(FILES)
    assert mine == {key: value for key, value in digests(reference).items() if key in mine}


def test_runs_at_different_steps_are_brought_to_the_end(reference, tmp_path):
    specs = smoke(range(3), ["vae"])
    store = store_of(tmp_path / "study", specs)
    tools = load(specs[0])
    dataset, images = tools.dataset, tools.images
    for spec, until in ((specs[0], 10), (specs[2], 30)):
        training = prepare([spec], dataset.image_shape, len(dataset))
        loop.train(training, dataset, images, until=until)
        (store.work / spec.run_id).mkdir()
        checkpoint.save(training, store.work / spec.run_id / CHECKPOINT)
    assert {outcome.state for outcome in worker.execute_batch(tasks_of(store, specs))} == {"ok"}
    assert [provenance(store, spec)["resumed_at_step"] for spec in specs] == [10, None, 30]
    mine = digests(store)
    assert mine == {key: value for key, value in digests(reference).items() if key in mine}


def test_a_run_that_another_process_holds_is_left_out(reference, tmp_path):
    specs = smoke(range(3), ["vae"])
    store = store_of(tmp_path / "study", specs)
    with store.claim(specs[1].run_id):
        outcomes = worker.execute_batch(tasks_of(store, specs))
    assert [outcome.state for outcome in outcomes] == ["ok", "locked", "ok"]
    assert provenance(store, specs[0])["lockstep"] == 2
    again = worker.execute_batch(tasks_of(store, specs))
    assert [outcome.state for outcome in again] == ["ok"] * 3
    mine = digests(store)
    assert mine == {key: value for key, value in digests(reference).items() if key in mine}


@pytest.mark.parametrize("interrupted", [False, True])
def test_a_run_that_diverges_ends_as_it_would_alone(interrupted, plugin_methods, tmp_path, monkeypatch):
    specs = [
        spec for value in (0, 1) for spec in smoke(range(2), [f"poisoned[poison={value}.0]"]) if value == 0 or spec.seed
    ]
    assert len(specs) == 3
    alone = one_by_one(tmp_path / "alone", specs)
    store = store_of(tmp_path / "study", specs)
    if interrupted:
        # Where the divergence is seen, with all runs at the same step.
        interrupt(tasks_of(store, specs, checkpoint_s=0.0), 30, monkeypatch)
        steps = [checkpoint.step_of(store.work / spec.run_id / CHECKPOINT, spec) for spec in specs]
        assert steps == [30, 30, 30]
    outcomes = worker.execute_batch(tasks_of(store, specs))
    assert [outcome.state for outcome in outcomes] == ["ok", "ok", "diverged"]
    diverged = store.result(specs[2].run_id)
    assert (diverged["last_good_step"], diverged["steps_done"], diverged["scores"]) == (20, 30, {})
    assert digests(store) == digests(alone)


def test_a_run_that_cannot_be_measured_leaves_the_others_alone(reference, tmp_path, monkeypatch):
    specs = smoke(range(3), ["vae"])
    store = store_of(tmp_path / "study", specs)
    inputs_of = codes.inputs_of

    def broken(run, *rest):
        if run.spec.seed == 1:
            raise RuntimeError("a metric is broken")
        return inputs_of(run, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(codes, "inputs_of", broken)
        outcomes = worker.execute_batch(tasks_of(store, specs))
    assert [outcome.state for outcome in outcomes] == ["ok", "failed", "ok"]
    assert outcomes[1].message == "RuntimeError: a metric is broken"
    assert [outcome.state for outcome in worker.execute_batch(tasks_of(store, specs))] == ["ok"] * 3
    assert provenance(store, specs[1])["resumed_at_step"] == 40
    mine = digests(store)
    assert mine == {key: value for key, value in digests(reference).items() if key in mine}


def test_a_run_that_fails_in_training_fails_alone(plugin_methods, tmp_path):
    specs = smoke(range(1), ["poisoned[poison=0.0,2.0]", "poisoned[beta=2,poison=0.0]"])
    store = store_of(tmp_path / "study", specs)
    outcomes = {o.run: o for o in worker.execute_batch(tasks_of(store, specs))}
    assert [outcomes[spec.run_id].state for spec in specs] == ["ok", "failed", "ok"]
    assert outcomes[specs[1].run_id].message == "RuntimeError: no luck"
    assert len(list(store.failed.iterdir())) == 1
    alone = one_by_one(tmp_path / "alone", [specs[0], specs[2]])
    assert digests(store) == digests(alone)


def test_a_method_that_mixes_its_runs_gets_none(plugin_methods, tmp_path):
    specs = smoke(range(3), ["mixing"])
    store = store_of(tmp_path / "study", specs)
    assert {outcome.state for outcome in worker.execute_batch(tasks_of(store, specs))} == {"ok"}
    assert [provenance(store, spec)["lockstep"] for spec in specs] == [1, 1, 1]
    assert digests(store) == digests(one_by_one(tmp_path / "alone", specs))


PLUGIN = '''
import os, signal
from dataclasses import dataclass
from bench.method import Method, Objective, register_method

@register_method("deadly")
class Deadly(Method):
    """VAE; with poison its process is killed."""

    @dataclass(frozen=True)
    class Hyper:
        """poison: whether."""

        poison: float = 0.0

    def loss(self, terms, state, step):
        if step > 20 and self.hyper.poison.any():
            os.kill(os.getpid(), signal.SIGKILL)
        return Objective(loss=terms.reconstruction + terms.kl, beta=self.full(1.0))
'''


@pytest.mark.slow
def test_of_a_killed_group_only_the_guilty_run_fails(tmp_path):
    plugin = tmp_path / "deadly.py"
    plugin.write_text(PLUGIN)
    with METHODS.override():
        load_plugin(plugin)
        specs = smoke(range(2), ["deadly[poison=0.0]"]) + smoke(range(1), ["deadly[poison=1.0]"])
        assert [len(group) for group in grouping.group(specs, 1)] == [3]
        store = store_of(tmp_path / "study", specs)
        outcomes = {o.run: o for o in execution_run.execute(plan.plan(specs, store), store, n_jobs=1, plugins=[plugin])}
        assert [outcomes[spec.run_id].state for spec in specs] == ["ok", "ok", "failed"]
        assert "3 times without a word, the last time with SIGKILL" in outcomes[specs[2].run_id].message


def test_progress_counts_every_run_of_a_group_and_never_goes_back(tmp_path):
    specs = smoke(range(3), ["vae"])
    store = store_of(tmp_path / "study", specs)
    display = progress._Display(Console(quiet=True), store, specs)
    for spec in specs:
        (store.work / spec.run_id).mkdir()
        (store.work / spec.run_id / PROGRESS).write_text("30")
    assert display.steps() == 90
    # Committed, but the others of its group aren't: nothing reports its steps.
    (store.work / specs[0].run_id / PROGRESS).unlink()
    assert display.steps() == 90
    display.finished(Outcome(specs[0].run_id, "ok"))
    assert display.steps() == 100
    assert display.total == 120
