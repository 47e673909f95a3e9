"""Run a study: record it, see what is left of it, and execute that in worker processes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import groupby
from pathlib import Path

from bench.config.plain_kl import PlainKL
from bench.config.study import StudySpec
from bench.execution import grouping, processes
from bench.execution.plan import Plan, Rerun, plan
from bench.execution.task import Outcome, Task
from bench.execution.worker import execute_batch, killed
from bench.files import sha256
from bench.results.read import write_runs_jsonl
from bench.results.recovery import recover
from bench.results.store import Store
from bench.results.versions import check_versions
from bench.sharing.opening import opened
from bench.spec import RunSpec


class Watcher:
    """Is told how a study goes, and says nothing; `bench.cli.progress` has one for a terminal."""

    def planned(self, study: StudySpec, plan: Plan, store: Store, workers: int, adopted: int) -> None:
        """Say what is to be done by how many processes, and how many runs were taken over from other studies."""

    def warn(self, text: str) -> None:
        """Say what is odd about stored runs, and done about it."""

    def finished(self, outcome: Outcome) -> None:
        """Say what became of a run."""

    def over(self, outcomes: Sequence[Outcome]) -> None:
        """Say what became of all; called however the study ends, with those that there are."""


def run_study(
    study: StudySpec,
    specs: list[RunSpec],
    folder: Path,
    *,
    n_jobs: int = 0,
    rerun: Rerun = "",
    repair: bool = False,
    plugins: Sequence[Path] = (),
    command: str = "",
    mixed: bool = False,
    reuse: Sequence[Path] = (),
    plain_kl: Iterable[PlainKL] = (),
    watcher: Watcher | None = None,
) -> list[Outcome]:
    """Run what isn't done of a study.

    Parameters
    ----------
    study : StudySpec
        As asked for, for the record.
    specs : list of RunSpec
        `bench.config.expand.expand` of it.
    folder : Path
        ``results/<study>``.
    n_jobs : int
        Worker processes; 0: one per core.
    rerun : {"", "diverged", "all"}
        What is done again.
    repair : bool
        Read finished runs whole, and train again what is damaged or has lost its weights.
    plugins : sequence of Path
        Files that the workers import first; recorded with their checksums as they are given.
    command : str
        For the record.
    mixed : bool
        Allow runs of other versions beside those that are stored.
    reuse : sequence of Path
        Folders or archives of other studies, whose finished runs of the same id are taken over if they are whole.
    plain_kl : iterable of PlainKL
        What shares of the plain VAE's KL were shares of, for the record.
    watcher : Watcher, optional

    Returns
    -------
    list of Outcome
        Of the runs that were left to do; a run that fails is one of them and stops nobody.

    Raises
    ------
    BenchError
        If an archive of `reuse` isn't fit to be imported, or the folder can't be written, or holds runs that these
        can't be compared with, or that are damaged and not to be repaired.
    """
    watcher = watcher or Watcher()
    store = Store(folder)
    with ExitStack() as stack:
        others = [Store(stack.enter_context(opened(path, marked=True))) for path in reuse]
        recorded = {path.as_posix(): sha256(path) for path in plugins}
        store.create(study.model_dump(mode="json"), specs, command, recorded, plain_kl)
        if not mixed:
            check_versions(folder, specs)
        for line in recover(store):
            watcher.warn(line)
        adopted = _take_over(specs, others, store, watcher)
    todo = plan(specs, store, rerun, repair=repair)
    jobs = n_jobs or os.cpu_count() or 1
    watcher.planned(study, todo, store, todo.workers(jobs), adopted)
    outcomes: list[Outcome] = []
    try:
        for outcome in execute(todo, store, n_jobs=jobs, plugins=[path.resolve() for path in plugins]):
            outcomes.append(outcome)
            watcher.finished(outcome)
        write_runs_jsonl(folder)
    finally:
        watcher.over(outcomes)
    return outcomes


def _take_over(specs: Iterable[RunSpec], others: Sequence[Store], store: Store, watcher: Watcher) -> int:
    """Copy what others have finished; of what is damaged there nothing is taken, and the watcher is told."""
    taken = 0
    for spec in specs:
        for other in others:
            if store.is_done(spec.run_id) or not other.is_done(spec.run_id):
                continue
            if found := other.faults(spec.run_id, full=True):
                watcher.warn(f"not taken over: {other.runs / spec.run_id / found[0].file} {found[0].what}")
            else:
                taken += store.adopt(other, spec.run_id)
    return taken


def execute(
    plan: Plan, store: Store, *, n_jobs: int, plugins: Sequence[Path] = (), checkpoint_s: float = 60.0
) -> Iterator[Outcome]:
    """Execute what a plan leaves to do; yields each run's outcome as it comes. Never raises for a failing run.

    Where a run is for a GPU, the process that trains evaluates in `n_jobs` others.
    """
    left = plan.left
    if not left:
        return
    path, workers, measurers = store.path.resolve(), plan.workers(n_jobs), n_jobs if plan.on_gpu else 1
    batches = [
        tuple(Task(spec, path, plan.todo[spec.run_id], tuple(plugins), checkpoint_s, measurers) for spec in batch)
        for batch in _batches(plan, store, workers)
    ]
    threads = max(spec.train.threads for spec in left)
    yield from processes.run_all(execute_batch, batches, n_jobs=workers, threads=threads, on_killed=killed)


def _batches(plan: Plan, store: Store, workers: int) -> list[tuple[RunSpec, ...]]:
    """Runs that go to a worker together: groups that are trained, then runs of one data set that are only evaluated."""
    # What has lost its weights is trained anew.
    again = [spec for spec in plan.left if plan.todo[spec.run_id] == "measure" and store.has_weights(spec.run_id)]
    kept = {spec.run_id for spec in again}
    batches = grouping.group([spec for spec in plan.left if spec.run_id not in kept], workers)
    size = grouping.LARGEST_ON_GPU if plan.on_gpu else 1
    for _, alike in groupby(sorted(again, key=_conditions), _conditions):
        some = list(alike)
        batches += [tuple(some[start : start + size]) for start in range(0, len(some), size)]
    return batches


def _conditions(spec: RunSpec) -> str:
    """What a batch loads and sets up once for all of its runs."""
    return f"{spec.dataset.model_dump_json()} {spec.train.threads} {spec.train.precision} {spec.train.device}"
