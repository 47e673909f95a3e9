"""Plan, execute, commit: what is to be done, and the runs' way through a worker."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bench.errors import in_words
from bench.execution import processes
from bench.metrics.measure import known_version
from bench.registry import load_plugin
from bench.results.store import Store, explain
from bench.spec import RunSpec

if TYPE_CHECKING:
    from bench.execution import train_group
    from bench.execution.metric_pool import Measurers
from bench.execution.plan import Action, is_measured

State = Literal["ok", "diverged", "failed", "locked"]


@dataclass(frozen=True)
class Task:
    """One run, as it is handed to a worker: small and picklable."""

    spec: RunSpec
    path: Path
    action: Action = "train"
    plugins: tuple[Path, ...] = ()
    checkpoint_s: float = 60.0
    measurers: int = 1


@dataclass(frozen=True)
class Outcome:
    """What became of one run."""

    run: str
    state: State
    message: str = ""
    scores: dict[str, float] = field(default_factory=dict)
    wall_s: float = 0.0

    @property
    def locked(self) -> bool:
        """Another process holds the run."""
        return self.state == "locked"


def execute(task: Task) -> Outcome:
    """Train, measure and commit one run; in a worker process. All errors come back as outcomes."""
    return execute_together((task,))[0]


def execute_together(tasks: Sequence[Task]) -> list[Outcome]:
    """Train runs in lockstep, then measure and commit each; in a worker process.

    A run that fails, or that another process holds, leaves the others alone. All errors come back as outcomes.
    """
    from bench.execution import metric_pool, train_group

    store = Store(tasks[0].path)
    outcomes: dict[str, Outcome] = {}
    folders: dict[str, Path] = {}
    trained: dict[str, train_group.Trained] = {}
    commits: dict[str, Callable[[], Outcome]] = {}
    with ExitStack() as claims:
        pool = claims.enter_context(metric_pool.processes(tasks[0].measurers, tasks[0].spec.threads))
        for task in tasks:
            run = task.spec.run_id
            with _recorded(store, task, outcomes):
                for plugin in task.plugins:
                    load_plugin(plugin)
                folder = claims.enter_context(store.claim(run))
                if folder is None:
                    outcomes[run] = Outcome(run, "locked")
                elif task.action != "retrain" and store.is_done(run) and is_measured(store, task.spec):
                    # Another process has done it since the plan was made.
                    outcomes[run] = _outcome(store, run, 0.0)
                else:
                    folders[run] = folder
        claimed = [task for task in tasks if task.spec.run_id in folders]
        together = [task.spec for task in claimed if not _has_weights(store, task)]
        if len(together) > 1:
            # An error in one of them stops them all: below each is trained alone, and only that one fails.
            with suppress(Exception):
                places = [folders[spec.run_id] for spec in together]
                results = train_group.train(
                    together, places, checkpoint_s=tasks[0].checkpoint_s, pool=pool, plugins=tasks[0].plugins
                )
                trained = {spec.run_id: result for spec, result in zip(together, results, strict=True)}
        for task in claimed:
            run = task.spec.run_id
            with _recorded(store, task, outcomes):
                commits[run] = _begin(store, task, folders[run], trained.pop(run, None), pool)
                if pool is None:
                    outcomes[run] = commits.pop(run)()
        for task in claimed:
            run = task.spec.run_id
            if run in commits:
                with _recorded(store, task, outcomes):
                    outcomes[run] = commits.pop(run)()
    return [outcomes[task.spec.run_id] for task in tasks]


def _begin(
    store: Store, task: Task, folder: Path, trained: train_group.Trained | None, pool: Measurers | None
) -> Callable[[], Outcome]:
    """Train a run if it isn't trained and begin to measure it; what is returned waits for the scores and commits it."""
    from bench.execution import finish_run, train_group

    run, replace = task.spec.run_id, store.is_done(task.spec.run_id)
    options: Any = {"pool": pool, "plugins": task.plugins}
    if trained is None and _has_weights(store, task):
        trained = finish_run.take(_with_earlier_metrics(task.spec, store), folder, store.runs / run)
    elif trained is None:
        (trained,) = train_group.train([task.spec], [folder], checkpoint_s=task.checkpoint_s, **options)
    clock = time.perf_counter()
    write, took_s = finish_run.begin_measuring(trained, folder, **options), trained.took_s
    took_s += time.perf_counter() - clock

    def commit() -> Outcome:
        clock = time.perf_counter()
        write()
        store.commit(folder, run, replace=replace)
        store.clear_failures(run)
        return _outcome(store, run, took_s + time.perf_counter() - clock)

    return commit


def _has_weights(store: Store, task: Task) -> bool:
    """Whether the run was trained before and is to be kept so."""
    run = task.spec.run_id
    return task.action != "retrain" and store.is_done(run) and store.has_weights(run)


def _outcome(store: Store, run: str, wall_s: float) -> Outcome:
    result = store.result(run)
    return Outcome(run, result["status"], "", result["scores"], wall_s)


def _with_earlier_metrics(spec: RunSpec, store: Store) -> RunSpec:
    """The spec with the metrics that the run has already, where they are still the same: measuring loses nothing."""
    earlier = store.spec(spec.run_id).evaluation.metrics
    kept = {name: v for name, v in earlier.items() if known_version(name) == v}
    evaluation = spec.evaluation.model_copy(update={"metrics": dict(sorted((kept | spec.evaluation.metrics).items()))})
    return spec.model_copy(update={"evaluation": evaluation})


@contextmanager
def _recorded(store: Store, task: Task, outcomes: dict[str, Outcome]) -> Iterator[None]:
    """Turn an error into a record and an outcome of this run."""
    try:
        yield
    except Exception as error:
        message = explain(error, store.path) if isinstance(error, OSError) else in_words(error)
        outcomes[task.spec.run_id] = _record(store, task.spec, message, traceback.format_exc())


def _record(store: Store, spec: RunSpec, message: str, trace: str) -> Outcome:
    try:
        store.fail(spec, message, trace)
    except OSError as error:
        message = f"{message}; and the failure can't be recorded: {error.strerror}"
    return Outcome(spec.run_id, "failed", message)


def _killed(task: Task) -> Outcome:
    message = f"its worker process was killed {processes.MAX_KILLS} times (out of memory?)"
    return _record(Store(task.path), task.spec, message, "")
