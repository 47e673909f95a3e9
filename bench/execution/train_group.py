"""Training in a worker: runs of a group together, with checkpoints to go on from."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from bench.assembly import is_foreign
from bench.errors import BenchError
from bench.execution import metric_pool
from bench.execution.load import Tools
from bench.execution.task import Attempt, Trained
from bench.files import write_bytes, write_json
from bench.results import scores_by_step
from bench.results.store import CHECKPOINT, CURVES, MEASURED, PROGRESS, WEIGHTS
from bench.training import checkpoint, global_random, loop
from bench.training.agreement import STEPS_COMPARED, agrees, check_draws, check_repeatable
from bench.training.log import final, to_csv
from bench.training.state import Training, prepare_for
from bench.training.trained import TrainedRun, take, weights

#: Why runs that were to be trained together are not.
PARTED = f"beside other runs its first {STEPS_COMPARED} steps don't leave the bits that they leave alone"


def train(attempts: Sequence[Attempt], tools: Tools) -> None:
    """Train runs to the end, together where their checkpoints are at the same step.

    Parameters
    ----------
    attempts : sequence of Attempt
        A group of `bench.execution.grouping.group`; each gets its `Attempt.trained`. Checkpoints in their folders are
        gone on from.
    tools : Tools

    Raises
    ------
    BenchError
        If a plug-in's numbers aren't a function of the run's spec.
    """
    check_repeatable(attempts[0].spec, tools.dataset, tools.images)
    at_step: dict[int | None, list[Attempt]] = {}
    for attempt in attempts:
        clear(attempt.folder)
        begun_otherwise = _begun_otherwise(attempt)
        step, warning = checkpoint.recover(attempt.folder / CHECKPOINT, attempt.spec)
        # It is set aside once, but asked for twice where training it beside others failed.
        attempt.warning = warning or begun_otherwise or attempt.warning
        at_step.setdefault(step, []).append(attempt)
    for step, some in at_step.items():
        together = len(some) == 1 or agrees([one.spec for one in some], tools.dataset, tools.images)
        if not together:
            for one in some:
                one.alone_because = PARTED
        for part in [some] if together else [[one] for one in some]:
            _train_part(part, tools, step)


def _train_part(attempts: Sequence[Attempt], tools: Tools, step: int | None) -> None:
    """Train runs together from their checkpoints' step on; leaves curves and weights in each run's folder."""
    began, clock = time.time(), time.perf_counter()
    training = _at_checkpoint(attempts, tools) if step is not None else None
    resumed_at = step if training else None
    training = training or _at_the_beginning(attempts, tools)
    watch = _Watch(attempts, tools)
    watch.set_aside(training)
    start = training.log.step
    loop.train(training, tools.dataset, tools.images, on_log=watch.on_log)
    if training.log.step > start:
        # A failing measurement must not cost the training.
        watch.save(training)
    alone = [watch.ended.get(run) or take(training, run) for run in range(len(attempts))]
    took_s = (time.perf_counter() - clock) / len(attempts)
    common = {"train_s": round(took_s, 3), "resumed_at_step": resumed_at, "lockstep": len(attempts)}
    for attempt, run in zip(attempts, alone, strict=True):
        said = {"alone_because": attempt.alone_because, "warning": attempt.warning}
        history = common | {key: text for key, text in said.items() if text}
        attempt.trained = Trained(run, record(run, attempt.folder), history, began, took_s)


def _at_the_beginning(attempts: Sequence[Attempt], tools: Tools) -> Training:
    for attempt in attempts:
        (attempt.folder / CHECKPOINT).unlink(missing_ok=True)
        (attempt.folder / scores_by_step.NAME).unlink(missing_ok=True)
    return prepare_for([attempt.spec for attempt in attempts], tools.dataset)


def _at_checkpoint(attempts: Sequence[Attempt], tools: Tools) -> Training | None:
    """The runs as their checkpoints have them; None if one was cut off by a full disk, or is another torch's."""
    training = prepare_for([attempt.spec for attempt in attempts], tools.dataset)
    try:
        checkpoint.load(training, *(attempt.folder / CHECKPOINT for attempt in attempts))
    except BenchError:
        return None
    return training


class _Watch:
    """Looks at runs that are trained together each time that they log: what diverged, what to measure, what to save."""

    def __init__(self, attempts: Sequence[Attempt], tools: Tools) -> None:
        self.attempts, self.tools = attempts, tools
        #: Runs that have diverged, as they were when it was seen: alone, they would have stopped there.
        self.ended: dict[int, TrainedRun] = {}
        self.saved, self.told = time.monotonic(), 0.0
        #: Of generators that only somebody else's code would draw from.
        self.generators = global_random.states() if is_foreign(attempts[0].spec) else {}

    def on_log(self, training: Training) -> None:
        """See `bench.training.loop.train`."""
        # A method may draw for the first time long after the steps that were compared.
        check_draws(self.attempts[0].spec, self.generators)
        self.set_aside(training)
        self.measure(training)
        self.generators = global_random.states() if self.generators else {}
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


def _begun_otherwise(attempt: Attempt) -> str:
    """Begin a run again whose scores on the way were taken otherwise than they are now wanted; what is said of it.

    What is measured isn't a part of a run's identity, but one file can't hold two kinds of scores.
    """
    if not attempt.spec.train.score_every:
        return ""
    file, wanted = attempt.folder / MEASURED, attempt.spec.evaluation.model_dump(mode="json")
    left = [*attempt.folder.glob(f"{CHECKPOINT}*"), attempt.folder / scores_by_step.NAME]
    before = json.loads(file.read_bytes()) if file.exists() else None
    write_json(file, wanted)
    if before == wanted or not any(each.exists() for each in left):
        return ""
    for each in left:
        each.unlink(missing_ok=True)
    return "its scores during training were taken with other metrics or another sample; it began again"


def record(run: TrainedRun, folder: Path) -> dict[str, Any]:
    """Write a run's curves and weights; what ``result.json`` says of its training."""
    log = run.log
    (curves,) = log.curves(run.model.vae.latent_dim)
    write_bytes(folder / CURVES, to_csv(curves).encode())
    tensors = weights(run.model)
    checkpoint.save_atomically(tensors, folder / WEIGHTS)
    good = log.diverged[0]
    finite = all(bool(torch.isfinite(value).all()) for value in tensors.values())
    return {
        "status": "ok" if good is None and finite else "diverged",
        "steps_done": log.step,
        "last_good_step": log.step if good is None else good,
        "final": final(curves),
    }


def clear(folder: Path) -> None:
    """Empty a working folder but for its checkpoints and the scores that were taken on the way to them."""
    for leftover in folder.iterdir():
        # Files of a process that was killed while it wrote; only checkpoints are worth anything, and what was measured
        # on the way to them. Rows after it will be measured again.
        if not leftover.name.startswith(CHECKPOINT) and leftover.name not in (scores_by_step.NAME, MEASURED):
            leftover.unlink()
    if not any(folder.glob(f"{CHECKPOINT}*")):
        (folder / scores_by_step.NAME).unlink(missing_ok=True)
