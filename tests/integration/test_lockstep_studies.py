"""Whole runs in lockstep: which go together, and the bytes each leaves whatever happens to the others."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

import pytest
import torch
from rich.console import Console

from bench.cli import progress
from bench.config.expand import expand
from bench.config.study import resolve
from bench.evaluation import codes
from bench.execution import grouping, plan, worker
from bench.execution import run as execution_run
from bench.execution.load import load
from bench.execution.task import Outcome, Task
from bench.method import Objective
from bench.registry import METHODS, load_plugin
from bench.results.store import CHECKPOINT, PROGRESS, Store
from bench.training import checkpoint, loop
from bench.training.state import prepare

FILES = ("result.json", "spec.json", "curves.csv", "weights.safetensors", "traversals.png", "reconstructions.png")


def smoke(seeds, methods=("vae", "factor_vae"), *, controls=(), steps=40, settings=()):
    return expand(
        resolve(
            "smoke",
            settings=[f"train.steps={steps}", *settings],
            methods=list(methods),
            controls=list(controls),
            seeds=list(seeds),
            evaluation={"metrics": ["kl", "reconstruction"]},
        )
    )


@pytest.mark.parametrize(
    ("n_runs", "n_jobs", "sizes"),
    [(10, 1, [10]), (10, 2, [5, 3, 2]), (10, 4, [3, 2, 2, 2, 1]), (3, 2, [2, 1]), (10, 16, [1] * 10), (1, 1, [1])],
)
def test_groups_keep_all_workers_busy(n_runs, n_jobs, sizes, monkeypatch):
    monkeypatch.setattr(grouping, "LARGEST", 10)
    specs = smoke(range(n_runs), ["vae"])
    groups = grouping.group(specs, n_jobs)
    assert [len(group) for group in groups] == sizes
    assert [spec for group in groups for spec in group] == specs


def test_a_group_is_never_larger_than_the_largest(monkeypatch):
    monkeypatch.setattr(grouping, "LARGEST", 4)
    monkeypatch.setattr(grouping, "LARGE", 4)
    assert [len(group) for group in grouping.group(smoke(range(10), ["vae"]), 1)] == [4, 4, 2]


def test_groups_are_of_one_kind_and_begin_with_the_first_seeds_of_all():
    specs = sorted(smoke(range(4), ["beta_vae[beta=1,4]", "factor_vae"]), key=lambda spec: spec.seed)
    groups = grouping.group(specs, 1)
    assert sorted(spec.run_id for group in groups for spec in group) == sorted(spec.run_id for spec in specs)
    assert [(group[0].method.name, group[0].seed, len(group)) for group in groups] == [
        ("beta_vae", 0, 8),
        ("factor_vae", 0, 4),
    ]
    assert not {spec.digest for spec in grouping.group([], 1)}
    for group in groups:
        prepare(group, (1, 32, 32), 192)


def test_the_costliest_groups_go_first_and_what_costs_nothing_last():
    """A step of FactorVAE calls twice the layers of a VAE's; the order of seeds decides between equal groups."""
    specs = sorted(smoke(range(10), ["vae", "beta_vae", "factor_vae"], controls=["untrained"]), key=lambda s: s.seed)
    groups = grouping.group(specs, 2)
    assert [(group[0].method.name, group[0].seed, len(group)) for group in groups[:5]] == [
        ("factor_vae", 0, 10),
        ("vae", 0, 10),
        ("beta_vae", 0, 5),
        ("beta_vae", 5, 3),
        ("beta_vae", 8, 2),
    ]
    assert [(group[0].method.name, group[0].seed) for group in groups[5:]] == [("untrained", s) for s in range(10)]


def test_runs_that_go_alone_take_no_share_from_groups_on_a_gpu():
    specs = [s.with_train(device="cuda") for s in smoke(range(10), ["pca", "beta_vae", "vae"])]
    for order in (specs, sorted(specs, key=lambda spec: spec.seed)):
        sizes = [len(group) for group in grouping.group(order, 1)]
        assert sorted(sizes) == [1] * 10 + [10, 10]


def test_a_costly_kind_is_divided_before_it_is_more_than_a_workers_share():
    """FactorVAE's ten runs are half the work of all thirty."""
    groups = grouping.group(smoke(range(10), ["vae", "beta_vae", "factor_vae"]), 4)
    cost = {"vae": 1, "beta_vae": 1, "factor_vae": 2}
    load = [0] * 4
    for runs in groups:
        load[load.index(min(load))] += len(runs) * cost[runs[0].method.name]
    assert sorted(load) == [10, 10, 10, 10]
    assert len(groups) < 12


def test_runs_that_go_alone_keep_their_order():
    """What is stopped after days has every method at the same seeds."""
    specs = smoke(range(3), ["vae", "factor_vae"], settings=["train.threads=2"])
    specs.sort(key=lambda spec: spec.seed)
    assert [spec for group in grouping.group(specs, 2) for spec in group] == specs


@pytest.mark.parametrize(
    ("methods", "settings", "alone"),
    [
        ("vae", [], False),
        ("factor_vae", [], False),
        ("untrained", [], True),
        ("pca", [], True),
        ("vae", ["train.threads=2"], True),
        ("vae", ["train.network=H", "dsprites.size=64"], True),
        ("vae", ["train.batch_size=128", "dsprites.size=64"], True),
        ("vae", ["train.precision=bfloat16"], False),
        ("factor_vae", ["factor_vae.discriminator_width=2000"], True),
        ("factor_vae", ["factor_vae.discriminator_width=33"], True),
        ("vae", ["train.batch_size=33"], True),
    ],
)
def test_only_small_dense_models_on_one_thread_have_company(methods, settings, alone):
    specs = smoke(range(2), [methods], settings=settings)
    assert [len(group) for group in grouping.group(specs, 1)] == ([1, 1] if alone else [2])


def test_groups_are_the_larger_the_smaller_the_network():
    quick, wide = (
        expand(resolve("quick", methods=["vae"], controls=[], seeds=[0], settings=[f"dsprites.window={window}"]))[0]
        for window in ("10:22x6:26", "")
    )
    assert [grouping.company(spec) for spec in (quick, wide)] == [grouping.LARGE, 13]
    assert grouping.company(quick.with_train(batch_size=512)) == grouping.LARGEST


# Studies.


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


def store_of(path, specs):
    store = Store(path)
    store.create({}, specs)
    return store


def tasks_of(store, specs, **options):
    return [Task(spec, store.path, **options) for spec in specs]


def digests(store):
    return {
        f"{run.name}/{name}": hashlib.sha256((run / name).read_bytes()).hexdigest()
        for run in sorted(store.runs.iterdir())
        for name in FILES
        if (run / name).exists()
    }


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
    return one_by_one(tmp_path_factory.mktemp("lockstep") / "study", smoke(range(3), controls=["untrained"]))


@pytest.mark.slow
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_study_in_lockstep_has_the_same_bytes(n_jobs, reference, tmp_path):
    specs = smoke(range(3), controls=["untrained"])
    store = store_of(tmp_path / "study", specs)
    outcomes = list(execution_run.execute(plan.plan(specs, store), store, n_jobs=n_jobs))
    assert {outcome.state for outcome in outcomes} == {"ok"}
    assert len(outcomes) == 9
    assert digests(store) == digests(reference)
    runs = [provenance(store, spec) for spec in specs if spec.train.steps]
    assert sorted(run["lockstep"] for run in runs) == ([3] * 6 if n_jobs == 1 else [1, 2, 2, 3, 3, 3])
    assert all(run["wall_s"] == pytest.approx(run["train_s"] + run["evaluate_s"], abs=0.01) for run in runs)


def test_an_interrupted_group_goes_on_in_another_company(reference, tmp_path, monkeypatch):
    specs = smoke(range(3), ["factor_vae"])
    store = store_of(tmp_path / "study", specs)
    interrupt(tasks_of(store, specs, checkpoint_s=0.0), 20, monkeypatch)
    assert not list(store.runs.iterdir())
    for company in (specs[1:], specs[:1]):
        assert {outcome.state for outcome in worker.execute_batch(tasks_of(store, company))} == {"ok"}
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
    measure = codes.evaluate

    def broken(run, *rest):
        if run.spec.seed == 1:
            raise RuntimeError("a metric is broken")
        return measure(run, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(codes, "evaluate", broken)
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
        assert "killed 3 times" in outcomes[specs[2].run_id].message


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
