"""Runs in lockstep: every run gets the bits that it gets alone, whatever happens to the runs beside it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from rich.console import Console

from bench import adam, checkpoint, engine, evaluate, job, lockstep, progress, runner
from bench.batches import ImageStore
from bench.data import Dataset
from bench.errors import BenchError
from bench.expand import expand
from bench.method import Objective, resolve_hyper
from bench.registry import METHODS, load_plugin
from bench.spec import RunSpec
from bench.store import Store
from bench.study import resolve

TRAINED = [entry.name for entry in METHODS if entry.info.get("trains", True)]
FILES = ("result.json", "spec.json", "curves.csv", "weights.safetensors", "traversals.png", "reconstructions.png")


class Blobs(Dataset):
    """60 binary 6x8 images."""

    factor_names = ("row", "column")
    factor_sizes = (6, 10)
    image_shape = (1, 6, 8)
    image_max = 1

    def images(self, index):
        images = np.random.default_rng(0).random((60, 1, 6, 8)) < 0.3
        return images[index].astype(np.uint8)


def make(name: str, seed: int = 0, *, steps: int = 12, latent_dim: int = 8, **hyper) -> RunSpec:
    if name == "factor_vae":
        hyper = {"discriminator_width": 32, "discriminator_layers": 2} | hyper
    return RunSpec(
        method={"name": name, "version": 1, "hyper": resolve_hyper(name, hyper)},
        dataset={"name": "blobs", "version": 1, "sha256": "0"},
        network={"name": "mlp", "version": 1, "latent_dim": latent_dim, "init": "he"},
        optimizer={"name": "adam", "lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8},
        batch_size=32,
        steps=steps,
        seed=seed,
        log_every=3,
        evaluation={"n_codes": 60, "n_images": 60, "metrics": {}},
        threads=1,
    )


@pytest.fixture(scope="module")
def data():
    engine.settings(1)
    dataset = Blobs(None)
    return dataset, ImageStore(dataset)


def trained(specs, data, until=None):
    training = engine.prepare(specs, data[0].image_shape, 60)
    engine.train(training, *data, until=until)
    return training


@pytest.mark.parametrize("name", TRAINED)
def test_lockstep_gives_each_run_its_bits(name, data):
    specs = [make(name, seed) for seed in range(3)]
    together = trained(specs, data)
    for run, spec in enumerate(specs):
        assert checkpoint.same_bits(together, run, trained([spec], data))


def test_runs_of_different_hyper_parameters_keep_their_bits(data):
    """A run without free bits takes the same way with and without a neighbour that has them."""
    specs = [make("beta_vae", 0), make("beta_vae", 0, beta=16.0), make("beta_vae", 1, free_bits=0.3)]
    together = trained(specs, data)
    for run, spec in enumerate(specs):
        assert checkpoint.same_bits(together, run, trained([spec], data))


def test_handing_whole_tensors_to_the_optimiser_would_change_bits(data, monkeypatch):
    """Negative control: of the runs' test, and of the check that is made before a group is trained."""
    specs = [make("vae", seed, latent_dim=5) for seed in range(3)]
    assert lockstep.agrees(specs, *data)
    monkeypatch.setattr(adam, "VECTOR", 1)
    assert not lockstep.agrees(specs, *data)
    together = trained(specs, data)
    assert not all(checkpoint.same_bits(together, run, trained([spec], data)) for run, spec in enumerate(specs))


def test_adam_is_adam():
    """Against Kingma & Ba's algorithm 1, in float64, with a parameter that gets no gradient in the first step."""
    rng = np.random.default_rng(0)
    start, grads = rng.normal(size=(2, 2, 5)), rng.normal(size=(4, 2, 2, 5))
    parameters = [torch.nn.Parameter(torch.from_numpy(value).float()) for value in start]
    optimizer = adam.Adam(parameters, lr=0.1, betas=(0.8, 0.9), eps=1e-3)
    value, mean, square, count = start.copy(), np.zeros_like(start), np.zeros_like(start), np.zeros(2)
    for step, grad in enumerate(grads):
        for number, parameter in enumerate(parameters):
            if step or number:
                parameter.grad = torch.from_numpy(grad[number]).float()
                count[number] += 1
                mean[number] = 0.8 * mean[number] + 0.2 * grad[number]
                square[number] = 0.9 * square[number] + 0.1 * grad[number] ** 2
                t = count[number]
                step_size = 0.1 * (mean[number] / (1 - 0.8**t)) / (np.sqrt(square[number] / (1 - 0.9**t)) + 1e-3)
                value[number] -= step_size
        optimizer.step()
        optimizer.zero_grad()
    np.testing.assert_allclose([p.detach().numpy() for p in parameters], value, rtol=1e-5)


@pytest.mark.parametrize("name", ["factor_vae", "dynamic_vae", "two_stage"])
def test_runs_go_on_in_another_company(name, data, tmp_path):
    specs = [make(name, seed) for seed in range(3)]
    files = [tmp_path / f"{run}" for run in range(3)]
    checkpoint.save(trained(specs, data, until=9), *files)
    whole = [trained([spec], data) for spec in specs]
    for company in ([2, 0], [1]):
        again = engine.prepare([specs[run] for run in company], (1, 6, 8), 60)
        checkpoint.load(again, *(files[run] for run in company))
        assert again.step == 9
        engine.train(again, *data)
        assert all(checkpoint.same_bits(again, place, whole[run]) for place, run in enumerate(company))


def test_a_run_is_taken_out_whole(data):
    specs = [make("factor_vae", seed) for seed in range(3)]
    alone = checkpoint.take(trained(specs, data, until=6), 1, (1, 6, 8))
    engine.train(alone, *data)
    assert alone.specs == [specs[1]]
    assert checkpoint.same_bits(alone, 0, trained([specs[1]], data))


def test_checkpoints_of_other_runs_or_steps_are_refused(data, tmp_path):
    specs = [make("vae", seed) for seed in range(2)]
    files = [tmp_path / "0", tmp_path / "1"]
    checkpoint.save(trained(specs, data, until=6), *files)
    assert [checkpoint.step_of(file, spec) for file, spec in zip(files, specs, strict=True)] == [6, 6]
    assert checkpoint.step_of(files[0], specs[1]) is None
    assert checkpoint.step_of(tmp_path / "none", specs[1]) is None
    both = engine.prepare(specs, (1, 6, 8), 60)
    with pytest.raises(BenchError, match="belongs to another run"):
        checkpoint.load(both, *reversed(files))
    checkpoint.save(trained(specs, data, until=9), None, files[1])
    assert checkpoint.step_of(files[0], specs[0]) == 6, "None: this run's file is left as it is"
    with pytest.raises(BenchError, match="aren't at the same step"):
        checkpoint.load(both, *files)
    files[1].write_bytes(files[1].read_bytes()[:-100])
    assert checkpoint.step_of(files[1], specs[1]) is None


# Groups.


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
    monkeypatch.setattr(lockstep, "LARGEST", 10)
    specs = smoke(range(n_runs), ["vae"])
    groups = lockstep.group(specs, n_jobs)
    assert [len(group) for group in groups] == sizes
    assert [spec for group in groups for spec in group] == specs


def test_a_group_is_never_larger_than_the_largest(monkeypatch):
    monkeypatch.setattr(lockstep, "LARGEST", 4)
    assert [len(group) for group in lockstep.group(smoke(range(10), ["vae"]), 1)] == [4, 4, 2]


def test_groups_are_of_one_kind_and_begin_with_the_first_seeds_of_all():
    specs = sorted(smoke(range(4), ["beta_vae[beta=1,4]", "factor_vae"]), key=lambda spec: spec.seed)
    groups = lockstep.group(specs, 1)
    assert sorted(spec.run_id for group in groups for spec in group) == sorted(spec.run_id for spec in specs)
    assert [(group[0].method.name, group[0].seed, len(group)) for group in groups] == [
        ("beta_vae", 0, 8),
        ("factor_vae", 0, 4),
    ]
    assert not {spec.digest for spec in lockstep.group([], 1)}
    for group in groups:
        engine.prepare(group, (1, 32, 32), 192)


def test_the_costliest_groups_go_first_and_what_costs_nothing_last():
    """A step of FactorVAE calls twice the layers of a VAE's; the order of seeds decides between equal groups."""
    specs = sorted(smoke(range(10), ["vae", "beta_vae", "factor_vae"], controls=["untrained"]), key=lambda s: s.seed)
    groups = lockstep.group(specs, 2)
    assert [(group[0].method.name, group[0].seed, len(group)) for group in groups[:9]] == [
        ("factor_vae", 0, 5),
        ("factor_vae", 5, 3),
        ("vae", 0, 5),
        ("beta_vae", 0, 5),
        ("factor_vae", 8, 2),
        ("vae", 5, 3),
        ("beta_vae", 5, 3),
        ("vae", 8, 2),
        ("beta_vae", 8, 2),
    ]
    assert [(group[0].method.name, group[0].seed) for group in groups[9:]] == [("untrained", s) for s in range(10)]


def test_runs_that_go_alone_keep_their_order():
    """What is stopped after days has every method at the same seeds."""
    specs = smoke(range(3), ["vae", "factor_vae"], settings=["train.threads=2"])
    specs.sort(key=lambda spec: spec.seed)
    assert [spec for group in lockstep.group(specs, 2) for spec in group] == specs


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
    assert [len(group) for group in lockstep.group(specs, 1)] == ([1, 1] if alone else [2])


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
    METHODS.register("poisoned", version=1, label="poisoned")(Poisoned)
    METHODS.register("mixing", version=1, label="mixing")(Mixing)
    yield
    for name in ("poisoned", "mixing"):
        del METHODS._entries[name]


def store_of(path, specs):
    store = Store(path)
    store.create({}, specs)
    return store


def tasks_of(store, specs, **options):
    return [runner.Task(spec, store.path, **options) for spec in specs]


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
        runner.execute(task)
    assert len(list(store.runs.iterdir())) == len(specs)
    return store


def interrupt(tasks, step, monkeypatch):
    """Run a group up to its checkpoint at this step."""
    save = checkpoint.save

    def save_then_die(training, *paths):
        save(training, *paths)
        if training.step == step and len(paths) > 1:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save", save_then_die)
        with pytest.raises(KeyboardInterrupt):
            runner.execute_together(tasks)


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    return one_by_one(tmp_path_factory.mktemp("lockstep") / "study", smoke(range(3), controls=["untrained"]))


@pytest.mark.slow
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_study_in_lockstep_has_the_same_bytes(n_jobs, reference, tmp_path):
    specs = smoke(range(3), controls=["untrained"])
    store = store_of(tmp_path / "study", specs)
    outcomes = list(runner.run(runner.plan(specs, store), store, n_jobs=n_jobs))
    assert {outcome.state for outcome in outcomes} == {"ok"}
    assert len(outcomes) == 9
    assert digests(store) == digests(reference)
    runs = [provenance(store, spec) for spec in specs if spec.steps]
    assert sorted(run["lockstep"] for run in runs) == ([3] * 6 if n_jobs == 1 else [1, 1, 2, 2, 2, 2])
    assert all(run["wall_s"] == pytest.approx(run["train_s"] + run["evaluate_s"], abs=0.01) for run in runs)


def test_an_interrupted_group_goes_on_in_another_company(reference, tmp_path, monkeypatch):
    specs = smoke(range(3), ["factor_vae"])
    store = store_of(tmp_path / "study", specs)
    interrupt(tasks_of(store, specs, checkpoint_s=0.0), 20, monkeypatch)
    assert not list(store.runs.iterdir())
    for company in (specs[1:], specs[:1]):
        assert {outcome.state for outcome in runner.execute_together(tasks_of(store, company))} == {"ok"}
    assert [provenance(store, spec)["resumed_at_step"] for spec in specs] == [20, 20, 20]
    mine = digests(store)
    assert len(mine) == 3 * len(FILES)
    assert mine == {key: value for key, value in digests(reference).items() if key in mine}


def test_runs_at_different_steps_are_brought_to_the_end(reference, tmp_path):
    specs = smoke(range(3), ["vae"])
    store = store_of(tmp_path / "study", specs)
    dataset, images = job._data(specs[0])
    for spec, until in ((specs[0], 10), (specs[2], 30)):
        training = engine.prepare([spec], dataset.image_shape, len(dataset))
        engine.train(training, dataset, images, until=until)
        (store.work / spec.run_id).mkdir()
        checkpoint.save(training, store.work / spec.run_id / job.CHECKPOINT)
    assert {outcome.state for outcome in runner.execute_together(tasks_of(store, specs))} == {"ok"}
    assert [provenance(store, spec)["resumed_at_step"] for spec in specs] == [10, None, 30]
    mine = digests(store)
    assert mine == {key: value for key, value in digests(reference).items() if key in mine}


def test_a_run_that_another_process_holds_is_left_out(reference, tmp_path):
    specs = smoke(range(3), ["vae"])
    store = store_of(tmp_path / "study", specs)
    with store.claim(specs[1].run_id):
        outcomes = runner.execute_together(tasks_of(store, specs))
    assert [outcome.state for outcome in outcomes] == ["ok", "locked", "ok"]
    assert provenance(store, specs[0])["lockstep"] == 2
    again = runner.execute_together(tasks_of(store, specs))
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
        steps = [checkpoint.step_of(store.work / spec.run_id / job.CHECKPOINT, spec) for spec in specs]
        assert steps == [30, 30, 30]
    outcomes = runner.execute_together(tasks_of(store, specs))
    assert [outcome.state for outcome in outcomes] == ["ok", "ok", "diverged"]
    diverged = store.result(specs[2].run_id)
    assert (diverged["last_good_step"], diverged["steps_done"], diverged["scores"]) == (20, 30, {})
    assert digests(store) == digests(alone)


def test_a_run_that_cannot_be_measured_leaves_the_others_alone(reference, tmp_path, monkeypatch):
    specs = smoke(range(3), ["vae"])
    store = store_of(tmp_path / "study", specs)
    measure = evaluate.evaluate

    def broken(training, *rest):
        if training.specs[0].seed == 1:
            raise RuntimeError("a metric is broken")
        return measure(training, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(evaluate, "evaluate", broken)
        outcomes = runner.execute_together(tasks_of(store, specs))
    assert [outcome.state for outcome in outcomes] == ["ok", "failed", "ok"]
    assert outcomes[1].message == "RuntimeError: a metric is broken"
    assert [outcome.state for outcome in runner.execute_together(tasks_of(store, specs))] == ["ok"] * 3
    assert provenance(store, specs[1])["resumed_at_step"] == 40
    mine = digests(store)
    assert mine == {key: value for key, value in digests(reference).items() if key in mine}


def test_a_run_that_fails_in_training_fails_alone(plugin_methods, tmp_path):
    specs = smoke(range(1), ["poisoned[poison=0.0,2.0]", "poisoned[beta=2,poison=0.0]"])
    store = store_of(tmp_path / "study", specs)
    outcomes = {o.run: o for o in runner.execute_together(tasks_of(store, specs))}
    assert [outcomes[spec.run_id].state for spec in specs] == ["ok", "failed", "ok"]
    assert outcomes[specs[1].run_id].message == "RuntimeError: no luck"
    assert len(list(store.failed.iterdir())) == 1
    alone = one_by_one(tmp_path / "alone", [specs[0], specs[2]])
    assert digests(store) == digests(alone)


def test_a_method_that_mixes_its_runs_gets_none(plugin_methods, tmp_path):
    specs = smoke(range(3), ["mixing"])
    store = store_of(tmp_path / "study", specs)
    assert {outcome.state for outcome in runner.execute_together(tasks_of(store, specs))} == {"ok"}
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
    load_plugin(plugin)
    try:
        specs = smoke(range(2), ["deadly[poison=0.0]"]) + smoke(range(1), ["deadly[poison=1.0]"])
        assert [len(group) for group in lockstep.group(specs, 1)] == [3]
        store = store_of(tmp_path / "study", specs)
        outcomes = {o.run: o for o in runner.run(runner.plan(specs, store), store, n_jobs=1, plugins=[plugin])}
        assert [outcomes[spec.run_id].state for spec in specs] == ["ok", "ok", "failed"]
        assert "killed 3 times" in outcomes[specs[2].run_id].message
    finally:
        del METHODS._entries["deadly"]


def test_progress_counts_every_run_of_a_group_and_never_goes_back(tmp_path):
    specs = smoke(range(3), ["vae"])
    store = store_of(tmp_path / "study", specs)
    display = progress._Display(Console(quiet=True), store, specs)
    for spec in specs:
        (store.work / spec.run_id).mkdir()
        (store.work / spec.run_id / job.PROGRESS).write_text("30")
    assert display.steps() == 90
    # Committed, but the others of its group aren't: nothing reports its steps.
    (store.work / specs[0].run_id / job.PROGRESS).unlink()
    assert display.steps() == 90
    display.finished(runner.Outcome(specs[0].run_id, "ok"))
    assert display.steps() == 100
    assert display.total == 120
