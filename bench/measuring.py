"""Many runs measured at once: a GPU's runs end their training together, and metrics are work for the other cores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from loky import ProcessPoolExecutor

from bench import backends, evaluate
from bench.batches import ImageStore
from bench.data import Dataset
from bench.engine import Training
from bench.measure import Evaluation, find_metric, measure
from bench.registry import load_plugin

#: Inputs too large to be sent to another process for what their metrics take.
STAYS = {"images", "decoded"}

#: Waits for a measurement and gives it.
Measured = Callable[[], Evaluation]


@contextmanager
def processes(n: int, threads: int) -> Iterator[Executor | None]:
    """`n` processes to measure in, with a worker's environment; None for one, which is the calling process itself."""
    if n <= 1:
        yield None
        return
    pool = ProcessPoolExecutor(n, env=backends.worker_environment(threads), initializer=backends.start_worker)
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, kill_workers=True)


def begin(
    training: Training, dataset: Dataset, images: ImageStore, pool: Executor | None, plugins: Sequence[Path] = ()
) -> Measured:
    """Begin to measure a run, each metric by itself in the pool's next free process.

    Scores are those of `bench.evaluate.evaluate`: a metric sees nothing of the others, and draws from its own stream.

    Parameters
    ----------
    training : Training
        Of one run, trained. It is encoded here and now.
    pool : Executor or None
        Where to; without one nothing happens until the result is asked for.
    plugins : sequence of Path
        Loaded in the other processes before they measure.

    Returns
    -------
    callable
        Gives the `Evaluation`, or raises what a metric raised.
    """
    if pool is None:
        return partial(evaluate.evaluate, training, dataset, images)
    spec = training.specs[0]
    inputs, reasons = evaluate.inputs_of(training, dataset, images)
    parts: list[Evaluation | Future[Evaluation]] = []
    for name in spec.evaluation.metrics:
        metric = find_metric(name)
        given = {key: inputs[key] for key in (*metric.inputs, *metric.optional) if key in inputs}
        if STAYS & given.keys():
            parts.append(measure(given, [name], seed=spec.seed, reasons=reasons))
        else:
            parts.append(pool.submit(_measure, given, name, spec.seed, reasons, tuple(plugins)))
    return partial(_join, parts)


def _measure(
    inputs: dict[str, Any], name: str, seed: int, reasons: dict[str, str], plugins: tuple[Path, ...]
) -> Evaluation:
    for plugin in plugins:
        load_plugin(plugin)
    return measure(inputs, [name], seed=seed, reasons=reasons)


def _join(parts: Sequence[Evaluation | Future[Evaluation]]) -> Evaluation:
    whole = Evaluation({}, {}, {})
    for part in parts:
        one = part.result() if isinstance(part, Future) else part
        whole.scores.update(one.scores)
        whole.not_applicable.update(one.not_applicable)
        whole.details.update(one.details)
    return whole
