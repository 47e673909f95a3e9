"""What the runner and the store add to a run."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from bench.config.study import StudySpec
from bench.execution import processes
from bench.results.store import Store
from bench.spec import RunSpec
from bench.speed.timing import Case, Row, Section, interleave, rows

#: Runs that one worker process does, which shares its start among them.
N_RUNS = 4


def measure(*, repeats: int, full: bool) -> Section:
    """Runs of one step of the smoke preset; one thread."""
    section: Section = processes.call(_measure, repeats, threads=1)
    return section


def _measure(repeats: int) -> Section:
    from bench.training.torch_setup import settings

    settings(1)
    notes = [
        "A VAE of the smoke preset, one step of training. The store keeps weights, curves, pictures, measurements and "
        f"provenance, and flushes them to disk (here in {tempfile.gettempdir()}).",
    ]
    title = "Overhead of a run"
    return Section("overhead", title, runs(repeats, N_RUNS), notes, better="lower")


def runs(repeats: int, n_runs: int) -> list[Row]:
    """Time one run without a store, in a store, and started by the runner in a worker process of its own."""
    from bench.config.expand import expand
    from bench.config.study import resolve

    study = resolve("smoke", settings=["train.steps=1"], methods=["vae"], controls=[], seeds=list(range(n_runs)))
    specs = expand(study)
    cases = [
        Case("training and measuring alone", partial(_alone, specs[0]), 1, "s"),
        Case("the same run in a store", partial(_in_store, study, specs[:1], _execute), 1, "s"),
        Case(f"each of {n_runs} runs by the runner", partial(_in_store, study, specs, _plan_and_run), n_runs, "s"),
    ]
    alone, stored, run = rows(cases, interleave(cases, repeats=repeats), versus=cases[0].name)
    return [
        alone,
        replace(stored, note=f"{stored.value - alone.value:+.3f} s a run"),
        replace(run, note=f"{run.value - alone.value:+.3f} s a run, the worker's start and its imports included"),
    ]


def _alone(spec: RunSpec) -> None:
    from bench.data.images import store_of
    from bench.dataset import load_dataset
    from bench.evaluation.codes import evaluate
    from bench.training import loop, state
    from bench.training.trained import take

    dataset = load_dataset(spec.dataset.name, spec.dataset.all_options)
    images = store_of(dataset)
    training = state.prepare_for([spec], dataset)
    loop.train(training, dataset, images)
    evaluate(take(training, 0), dataset, images)


def _in_store(study: StudySpec, specs: list[RunSpec], do: Callable[[list[RunSpec], Store], None]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "speed")
        store.create(study.model_dump(mode="json"), specs)
        do(specs, store)


def _execute(specs: list[RunSpec], store: Store) -> None:
    from bench.execution.task import Task
    from bench.execution.worker import execute_batch

    for spec in specs:
        (outcome,) = execute_batch((Task(spec, store.path),))
        if outcome.state != "ok":
            raise RuntimeError(f"the run {outcome.state}: {outcome.message}")


def _plan_and_run(specs: list[RunSpec], store: Store) -> None:
    from bench.execution.plan import plan
    from bench.execution.run import execute

    for outcome in execute(plan(specs, store), store, n_jobs=1):
        if outcome.state != "ok":
            raise RuntimeError(f"the run {outcome.state}: {outcome.message}")
