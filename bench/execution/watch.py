"""What is done for runs each time that they log, while they train together."""

from __future__ import annotations

import time
from collections.abc import Sequence

from bench.execution import metric_pool
from bench.execution.load import Tools
from bench.execution.task import Attempt
from bench.results import scores_by_step
from bench.results.store import CHECKPOINT, PROGRESS
from bench.training import checkpoint
from bench.training.agreement import check_draws, states_to_watch
from bench.training.state import Training
from bench.training.trained import TrainedRun, take


class Watch:
    """Watches batched runs each time that they log: which diverged, what to evaluate, what to save."""

    def __init__(self, attempts: Sequence[Attempt], tools: Tools) -> None:
        self.attempts, self.tools = attempts, tools
        #: Runs that have diverged, as they were when it was seen: alone, they would have stopped there.
        self.ended: dict[int, TrainedRun] = {}
        self.saved, self.told = time.monotonic(), 0.0
        #: Of generators that only somebody else's code would draw from.
        self.generators = states_to_watch(attempts[0].spec)

    def on_log(self, training: Training) -> None:
        """See `bench.training.loop.train`."""
        # A method may draw for the first time long after the steps that were compared.
        check_draws(self.attempts[0].spec, self.generators)
        self.set_aside(training)
        self.measure(training)
        self.generators = states_to_watch(self.attempts[0].spec)
        now = time.monotonic()
        if now - self.told >= 1:
            self.told = now
            for attempt in self.attempts:
                (attempt.folder / PROGRESS).write_text(str(training.log.step), encoding="utf-8")
        if now - self.saved >= self.tools.checkpoint_s:
            self.saved = now
            self.save(training)

    def measure(self, training: Training) -> None:
        """Take the scores of `TrainSettings.score_every`; those at the end are taken by `finish_run`."""
        settings, step, tools = training.specs[0].train, training.log.step, self.tools
        if not settings.score_every or step % settings.score_every or step == settings.steps:
            return
        well = [run for run, good in enumerate(training.log.diverged) if good is None]
        begun = [
            metric_pool.begin(take(training, run), tools.dataset, tools.images, tools.pool, tools.plugins)
            for run in well
        ]
        for run, pending in zip(well, begun, strict=True):
            row = scores_by_step.row(step, pending.result(), tools.dataset.factor_names)
            scores_by_step.add(self.attempts[run].folder / scores_by_step.NAME, row)

    def set_aside(self, training: Training) -> None:
        """Keep runs that have just diverged as they are, beside a training that goes on."""
        for run, good in enumerate(training.log.diverged):
            if good is not None and run not in self.ended and len(self.attempts) > 1:
                self.ended[run] = take(training, run)
                self._checkpoint(training, [run])

    def save(self, training: Training) -> None:
        """Write the checkpoints of all runs that go on."""
        self._checkpoint(training, [run for run in range(len(self.attempts)) if run not in self.ended])

    def _checkpoint(self, training: Training, runs: Sequence[int]) -> None:
        files = [attempt.folder / CHECKPOINT for attempt in self.attempts]
        checkpoint.save(training, *[file if run in runs else None for run, file in enumerate(files)])
