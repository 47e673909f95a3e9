"""Plan, execute, commit: what is to be done, and the runs' way through a worker."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bench import backends, lockstep
from bench.errors import in_words
from bench.measure import known_version
from bench.registry import load_plugin
from bench.spec import RunSpec
from bench.store import Store, explain

if TYPE_CHECKING:
    from bench import train
    from bench.measuring import Measurers

State = Literal["ok", "diverged", "failed", "locked"]
Rerun = Literal["", "diverged", "all"]
#: ``train``: nothing is there; ``measure``: trained, but not measured as the spec asks; ``retrain``: whatever is there.
Action = Literal["train", "measure", "retrain"]


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


@dataclass(frozen=True)
class Plan:
    """The runs of a study, seed by seed, and what is still to do."""

    specs: list[RunSpec]
    todo: dict[str, Action]

    @property
    def left(self) -> list[RunSpec]:
        """Specs of the runs that are still to do."""
        return [spec for spec in self.specs if spec.run_id in self.todo]

    @property
    def on_gpu(self) -> bool:
        """Whether a run that is left is for a GPU: one process then has it, and its runs go in lockstep."""
        return any(spec.device == "cuda" for spec in self.left)

    def workers(self, n_jobs: int) -> int:
        """Processes that train, of `n_jobs` that there may be."""
        return 1 if self.on_gpu else min(n_jobs, max(1, len(self.todo)))


def plan(specs: Sequence[RunSpec], store: Store, rerun: Rerun = "") -> Plan:
    """What is to be done: runs without a committed result, those not measured as asked, and what `rerun` says.

    Runs that failed have no result and are tried again. The order is by seed, then by method, so that a study that is
    stopped early has every method at the same seeds.
    """
    ordered = sorted(specs, key=lambda spec: spec.seed)
    actions: dict[str, Action] = {}
    for spec in ordered:
        if not store.is_done(spec.run_id):
            actions[spec.run_id] = "train"
        elif rerun == "all" or (rerun == "diverged" and store.result(spec.run_id)["status"] == "diverged"):
            actions[spec.run_id] = "retrain"
        elif not is_measured(store, spec):
            actions[spec.run_id] = "measure"
    return Plan(ordered, actions)


def is_measured(store: Store, spec: RunSpec) -> bool:
    """Whether a committed run has what the spec wants measured, from the same sample at the same versions."""
    if store.result(spec.run_id)["status"] == "diverged":
        return True
    done, wanted = store.spec(spec.run_id).evaluation, spec.evaluation
    same_sample = done.model_copy(update={"metrics": {}}) == wanted.model_copy(update={"metrics": {}})
    return same_sample and wanted.metrics.items() <= done.metrics.items()


def run(
    plan: Plan, store: Store, *, n_jobs: int, plugins: Sequence[Path] = (), checkpoint_s: float = 60.0
) -> Iterator[Outcome]:
    """Execute what a plan leaves to do; yields each run's outcome as it comes. Never raises for a failing run.

    Where a run is for a GPU, the process that trains measures in `n_jobs` others.
    """
    left = plan.left
    if not left:
        return
    path, actions = store.path.resolve(), plan.todo
    workers, measurers = plan.workers(n_jobs), n_jobs if plan.on_gpu else 1
    # What has lost its weights is trained anew.
    again = [spec for spec in left if actions[spec.run_id] == "measure" and store.has_weights(spec.run_id)]
    kept = {spec.run_id for spec in again}
    groups = lockstep.group([spec for spec in left if spec.run_id not in kept], workers)
    size = lockstep.LARGEST_ON_GPU if plan.on_gpu else 1
    groups += [tuple(again[start : start + size]) for start in range(0, len(again), size)]
    batches = [
        tuple(Task(spec, path, actions[spec.run_id], tuple(plugins), checkpoint_s, measurers) for spec in group)
        for group in groups
    ]
    threads = max(spec.threads for spec in left)
    yield from backends.run_all(execute_together, batches, n_jobs=workers, threads=threads, on_killed=_killed)


def execute(task: Task) -> Outcome:
    """Train, measure and commit one run; in a worker process. All errors come back as outcomes."""
    return execute_together((task,))[0]


def execute_together(tasks: Sequence[Task]) -> list[Outcome]:
    """Train runs in lockstep, then measure and commit each; in a worker process.

    A run that fails, or that another process holds, leaves the others alone. All errors come back as outcomes.
    """
    from bench import measuring, train

    store = Store(tasks[0].path)
    outcomes: dict[str, Outcome] = {}
    folders: dict[str, Path] = {}
    trained: dict[str, train.Trained] = {}
    commits: dict[str, Callable[[], Outcome]] = {}
    with ExitStack() as claims:
        pool = claims.enter_context(measuring.processes(tasks[0].measurers, tasks[0].spec.threads))
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
                results = train.train(
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
    store: Store, task: Task, folder: Path, trained: train.Trained | None, pool: Measurers | None
) -> Callable[[], Outcome]:
    """Train a run if it isn't trained and begin to measure it; what is returned waits for the scores and commits it."""
    from bench import job, train

    run, replace = task.spec.run_id, store.is_done(task.spec.run_id)
    options: Any = {"pool": pool, "plugins": task.plugins}
    if trained is None and _has_weights(store, task):
        trained = job.take(_with_earlier_metrics(task.spec, store), folder, store.runs / run)
    elif trained is None:
        (trained,) = train.train([task.spec], [folder], checkpoint_s=task.checkpoint_s, **options)
    clock = time.perf_counter()
    write, took_s = job.begin_measuring(trained, folder, **options), trained.took_s
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


def progress(store: Store, run: str) -> int:
    """Last step that a run in work has reported, 0 if none."""
    try:
        return int((store.work / run / "progress").read_text())
    except (OSError, ValueError):
        return 0


def seconds_per_step(specs: Sequence[RunSpec], steps: int = 8) -> float:
    """Measure a run's speed by a few steps of its group in this process, after two to warm up; nothing is kept.

    A GPU takes forty times as many, so that recording a step doesn't count.
    """
    from bench import engine
    from bench.batches import store_of
    from bench.data import load_dataset

    spec = specs[0]
    engine.settings(spec.threads, spec.precision)
    steps *= 40 if spec.device == "cuda" else 1
    dataset = load_dataset(spec.dataset.name, spec.dataset.all_options)
    images = store_of(dataset, spec.device)
    training = engine.prepare(specs, dataset.image_shape, len(dataset), dataset.known_decoder())
    engine.train(training, dataset, images, until=2)
    started = time.perf_counter()
    engine.train(training, dataset, images, until=2 + steps)
    return (time.perf_counter() - started) / (steps * len(specs))


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
    message = f"its worker process was killed {backends.MAX_KILLS} times (out of memory?)"
    return _record(Store(task.path), task.spec, message, "")
