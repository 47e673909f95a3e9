"""A batch of runs in a worker process: claimed, trained, evaluated and committed.

Whatever a run raises fails that run alone, ``sys.exit()`` and `KeyboardInterrupt` included: a worker leaves Ctrl-C to
its parent, so these come from a plug-in.
"""

from __future__ import annotations

import signal
import traceback
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from bench.errors import in_words
from bench.execution import carry_over, finish_run, metric_pool, processes, train_group
from bench.execution.load import Tools, load
from bench.execution.plan import is_measured
from bench.execution.task import Attempt, Outcome, Task
from bench.results.store import Store, explain


def execute_batch(tasks: Sequence[Task]) -> list[Outcome]:
    """Train runs together, then evaluate and commit each; in a worker process.

    A run that fails, or that another process holds, leaves the others alone. All errors come back as outcomes.

    Parameters
    ----------
    tasks : sequence of Task
        Of one study and one data set.
    """
    first, store = tasks[0], Store(tasks[0].path)
    done: dict[str, Outcome] = {}
    attempts: list[Attempt] = []
    with ExitStack() as held:
        for task in tasks:
            with _recorded(store, task, done):
                claimed = _claim(store, task, held)
                if isinstance(claimed, Attempt):
                    attempts.append(claimed)
                else:
                    done[task.spec.run_id] = claimed
        if attempts:
            pool = held.enter_context(metric_pool.processes(first.measurers, first.spec.train.threads))
            try:
                tools = load(first.spec, pool, first.plugins, first.checkpoint_s)
            except BaseException as error:
                _let_ctrl_c_pass(error)
                done |= {attempt.spec.run_id: _record(store, attempt.task, error) for attempt in attempts}
            else:
                done |= _carry_out(store, attempts, tools)
    return [done[task.spec.run_id] for task in tasks]


def _claim(store: Store, task: Task, held: ExitStack) -> Attempt | Outcome:
    """Hold a run, unless another process does or has done it since the plan was made."""
    run = task.spec.run_id
    folder = held.enter_context(store.claim(run))
    if folder is None:
        return Outcome(run, "locked")
    again = task.action != "retrain" and store.is_done(run)
    if again and is_measured(store, task.spec):
        return Outcome.of(store.result(run))
    return Attempt(task, folder, keeps_weights=again and store.has_weights(run))


def _carry_out(store: Store, attempts: Sequence[Attempt], tools: Tools) -> dict[str, Outcome]:
    """Train, evaluate and commit the runs that this process holds."""
    done: dict[str, Outcome] = {}
    together = [attempt for attempt in attempts if not attempt.keeps_weights]
    if len(together) > 1:
        # An error in one of them stops them all: below each is trained alone, and only that one fails.
        try:
            train_group.train(together, tools)
        except BaseException as error:
            _let_ctrl_c_pass(error)
            for attempt in together:
                if attempt.trained is None and not attempt.alone_because:
                    attempt.alone_because = f"training it beside others failed: {in_words(error)}"
    for attempt in attempts:
        with _recorded(store, attempt.task, done):
            if attempt.keeps_weights:
                carry_over.take(attempt, store, tools)
            elif attempt.trained is None:
                train_group.train([attempt], tools)
            finish_run.begin(attempt, tools)
            if tools.pool is None:
                done[attempt.spec.run_id] = _commit(store, attempt, tools)
    for attempt in attempts:
        if attempt.spec.run_id not in done:
            with _recorded(store, attempt.task, done):
                done[attempt.spec.run_id] = _commit(store, attempt, tools)
    return done


def _commit(store: Store, attempt: Attempt, tools: Tools) -> Outcome:
    """Wait for a run's scores, write what is missing of its files, and move its folder into place."""
    outcome = finish_run.finish(attempt, tools)
    store.commit(attempt.folder, outcome.run, replace=store.is_done(outcome.run))
    store.clear_failures(outcome.run)
    return outcome


@contextmanager
def _recorded(store: Store, task: Task, done: dict[str, Outcome]) -> Iterator[None]:
    """Turn an error into a record and an outcome of this run."""
    try:
        yield
    except BaseException as error:
        _let_ctrl_c_pass(error)
        done[task.spec.run_id] = _record(store, task, error)


def _let_ctrl_c_pass(error: BaseException) -> None:
    """Raise an interrupt again where it may be a person's: in any process but a worker, which ignores the signal."""
    if isinstance(error, KeyboardInterrupt) and signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        raise error


def _record(store: Store, task: Task, error: BaseException) -> Outcome:
    message = explain(error, store.path) if isinstance(error, OSError) else in_words(error)
    return _failed(store, task, message, "".join(traceback.format_exception(error)))


def _failed(store: Store, task: Task, message: str, trace: str = "") -> Outcome:
    try:
        store.fail(task.spec, message, trace)
    except OSError as error:
        message = f"{message}; and the failure can't be recorded: {error.strerror}"
    return Outcome(task.spec.run_id, "failed", message)


def killed(task: Task, how: str) -> Outcome:
    """Record a run whose worker was killed as often as it may be; `how` as `processes.run_all` says it."""
    message = f"its worker process ended {processes.MAX_KILLS} times without a word, the last time with {how}"
    return _failed(Store(task.path), task, message)
