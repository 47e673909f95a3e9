"""Evaluate many runs at once: runs on a GPU end their training together, and metrics run on the other CPU cores."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loky import ProcessPoolExecutor

from bench.data.images import ImageStore
from bench.dataset import Dataset
from bench.errors import BenchError, in_words
from bench.evaluation import codes
from bench.execution.processes import start_worker, worker_environment
from bench.metrics.measure import Evaluation, find_metric, measure
from bench.registry import load_plugin
from bench.spec import RunSpec
from bench.training import torch_setup
from bench.training.trained import TrainedRun

#: Inputs too large to be sent to another process: their metrics are evaluated in the calling process.
STAYS = {"images", "decoded", "generated", "train_images", "train_decoded"}

#: Times that a part may be lost with its process before it is evaluated in the calling process.
LOSSES = 2


@dataclass(frozen=True)
class Part:
    """One metric of one run, picklable."""

    inputs: dict[str, Any]
    metric: str
    spec: RunSpec
    reasons: dict[str, str]
    plugins: tuple[Path, ...]

    def measure(self) -> Evaluation:
        """Measure it in the calling process."""
        return measure(self.inputs, [self.metric], seed=self.spec.seed, reasons=self.reasons)


@dataclass(frozen=True)
class Failure:
    """What a metric raised elsewhere, as text: not every exception survives being sent back."""

    message: str
    trace: str


@dataclass(eq=False)
class Begun:
    """A part under way in another process, and how often it was lost with one."""

    part: Part
    future: Future[Evaluation | Failure]
    pool: Measurers
    losses: int = 0

    def result(self) -> Evaluation:
        """Wait for it; raises a `BenchError` that says what the metric raised."""
        return self.pool.wait_for(self)


@dataclass(frozen=True)
class Pending:
    """The scores of a run: parts that are there and parts that are under way."""

    parts: Sequence[Evaluation | Begun]

    def result(self) -> Evaluation:
        """Wait for all parts and put them together."""
        whole = Evaluation({}, {}, {})
        for part in self.parts:
            one = part.result() if isinstance(part, Begun) else part
            whole.scores.update(one.scores)
            whole.not_applicable.update(one.not_applicable)
            whole.details.update(one.details)
        return whole


class Measurers:
    """Processes beside the one that trains, started when there is something to evaluate.

    One that is killed takes all parts with it that are under way. These are begun again in new processes, and those
    that are lost `LOSSES` times are evaluated in the calling process, one after another. A metric that kills every
    process so sends the parts beside it there, too; if it kills that process as well, `processes.run_all` finds
    out which run it is.

    Parameters
    ----------
    n : int
        Their number.
    threads : int
        In each.
    """

    def __init__(self, n: int, threads: int) -> None:
        self.n, self.threads = n, threads
        self._pool: ProcessPoolExecutor | None = None
        self._under_way: list[Begun] = []

    def begin(self, part: Part) -> Begun | Evaluation:
        """Evaluate a part in the next free process, or in this one where processes keep dying."""
        # Each time that the processes are found gone, something under way loses one of its lives.
        for _ in range(LOSSES + 1):
            try:
                begun = Begun(part, self._submit(part), self)
            except BrokenProcessPool:
                self._begin_again()
            else:
                self._under_way.append(begun)
                return begun
        return part.measure()

    def stop(self) -> None:
        """End the processes, whatever they are at."""
        self._under_way.clear()
        if self._pool is not None:
            self._pool.shutdown(wait=True, kill_workers=True)
            self._pool = None

    def _submit(self, part: Part) -> Future[Evaluation | Failure]:
        if self._pool is None:
            environment = worker_environment(self.threads)
            self._pool = ProcessPoolExecutor(self.n, env=environment, initializer=start_worker)
        future: Future[Evaluation | Failure] = self._pool.submit(_measure, part)
        return future

    def wait_for(self, begun: Begun) -> Evaluation:
        """Wait for a part, which is evaluated in this process once it was lost too often; see `Begun.result`."""
        try:
            while begun in self._under_way and begun.losses < LOSSES:
                try:
                    found = begun.future.result()
                except BrokenProcessPool:
                    self._begin_again()
                    continue
                if isinstance(found, Failure):
                    raise BenchError(found.message) from RuntimeError(found.trace)
                return found
        finally:
            if begun in self._under_way:
                self._under_way.remove(begun)
        return begun.part.measure()

    def _begin_again(self) -> None:
        """Begin all parts again that were lost with the processes, in new ones."""
        wait([begun.future for begun in self._under_way])
        lost = [begun for begun in self._under_way if isinstance(begun.future.exception(), BrokenProcessPool)]
        if self._pool is not None:
            self._pool.shutdown(wait=True, kill_workers=True)
            self._pool = None
        for begun in lost:
            begun.losses += 1
            if begun.losses < LOSSES:
                # If these processes are gone already, too, the next wait for this part finds out.
                with suppress(BrokenProcessPool):
                    begun.future = self._submit(begun.part)


@contextmanager
def processes(n: int, threads: int) -> Iterator[Measurers | None]:
    """`n` processes that evaluate metrics, with a worker's environment; None for one: the calling process."""
    if n <= 1:
        yield None
        return
    measurers = Measurers(n, threads)
    try:
        yield measurers
    finally:
        measurers.stop()


def begin(
    run: TrainedRun, dataset: Dataset, images: ImageStore, pool: Measurers | None, plugins: Sequence[Path] = ()
) -> Pending:
    """Begin to evaluate a run, each metric by itself in the next free process.

    Scores are those of `codes.evaluate`: a metric sees nothing of the others, and draws from its own stream.

    Parameters
    ----------
    run : TrainedRun
        It is encoded here and now, and metrics that need its images are evaluated here; without a pool, all are.
    pool : Measurers or None
    plugins : sequence of Path
        Loaded in the other processes before they evaluate.
    """
    inputs, reasons = codes.inputs_of(run, dataset, images)
    parts: list[Evaluation | Begun] = []
    for name in run.spec.evaluation.metrics:
        metric = find_metric(name)
        given = {key: inputs[key] for key in (*metric.inputs, *metric.optional) if key in inputs}
        part = Part(given, name, run.spec, reasons, tuple(plugins))
        parts.append(part.measure() if pool is None or STAYS & given.keys() else pool.begin(part))
    return Pending(parts)


def _measure(part: Part) -> Evaluation | Failure:
    """Measure a part in a process that may be new."""
    torch_setup.settings(part.spec.train.threads, part.spec.train.precision)
    try:
        for plugin in part.plugins:
            load_plugin(plugin)
        return part.measure()
    except Exception as error:
        return Failure(in_words(error), traceback.format_exc())
