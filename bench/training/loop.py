"""The training loop: R runs of one architecture in lockstep, resumable bit for bit.

With dense networks on one CPU thread a run's numbers don't depend, bit for bit, on the runs beside it;
`bench.execution.grouping` looks before it relies on that. Nothing in the loop waits for the device: a step's log row is
written into a buffer that is read once per ``log_every`` steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor

from bench.data.images import ImageStore
from bench.data.order import Order
from bench.dataset import Dataset
from bench.method_kinds import ClosedFormMethod, StagedMethod
from bench.training.cuda_graph import Replay
from bench.training.state import COLUMNS, Training
from bench.training.step import Forward


def train(
    training: Training,
    dataset: Dataset,
    store: ImageStore,
    *,
    until: int | None = None,
    on_log: Callable[[Training], None] | None = None,
) -> None:
    """Advance to step `until` (the specs' number of steps by default), in place.

    Stops early once every run has diverged. `on_log` is called after each log row, when the buffer is empty: the only
    moments at which a checkpoint is exact.
    """
    first = training.specs[0]
    if training.step == 0 and isinstance(training.method, ClosedFormMethod):
        training.method.fit(training.vae, store, [spec.seed for spec in training.specs])
    last = first.steps if until is None else min(until, first.steps)
    if last <= training.step or all(good is not None for good in training.diverged):
        return
    orders = [
        [Order(spec.seed, store.n, spec.batch_size, name) for spec in training.specs]
        for name in ("data", "data:second")[: training.method.n_batches]
    ]
    forward = Forward(training, dataset.likelihood, store)
    staged = training.method if isinstance(training.method, StagedMethod) else None
    starts = staged.stage_starts() if staged else ()
    width = len(COLUMNS) + first.network.latent_dim
    # Runs first: each run's rows are summed as if they were alone.
    buffer = torch.zeros(len(training.specs), first.log_every, width, dtype=torch.float64, device=first.device)
    # What changes from step to step on the Python side can't be replayed.
    plain = first.optimizer.schedule == "constant" and training.mean is None
    replayed = first.device == "cuda" and training.method.capturable and plain and not starts
    block = Replay(forward, orders, buffer).block if replayed else partial(plain_block, forward, orders, buffer)
    step = training.step
    filled = 0
    while step < last:
        begin = step + 1
        if staged and begin in starts:
            forward.begin_stage(staged, begin)
        step = min([last, step + first.log_every - filled, *(start - 1 for start in starts if start > begin)])
        block(begin, step, filled)
        filled += step - begin + 1
        if filled == first.log_every or step == first.steps:
            _log(training, step, buffer[:, :filled].mean(dim=1).cpu().numpy())
            filled = 0
            if on_log is not None:
                on_log(training)
            if all(good is not None for good in training.diverged):
                return
    training.step = last


def plain_block(
    forward: Forward, orders: list[list[Order]], buffer: Tensor, first: int, last: int, filled: int
) -> None:
    """Do the steps from `first` to `last`; their log rows go to the buffer from row `filled` on."""
    for step in range(first, last + 1):
        rows = [np.stack([order(step) for order in each]) for each in orders]
        buffer[:, filled + step - first] = forward(rows, step)


def final(curves: np.ndarray, share: float = 0.05) -> dict[str, float | None]:
    """Means over the last `share` of a run's curve rows.

    Parameters
    ----------
    curves : ndarray of shape (n_rows, 1 + 4 + K)

    Returns
    -------
    dict
        By `COLUMNS`; None where there is no value (no set point, no rows, not finite).
    """
    tail = curves[-max(1, math.ceil(share * len(curves))) :, 1 : 1 + len(COLUMNS)]
    means = tail.mean(axis=0) if len(tail) else np.full(len(COLUMNS), np.nan)
    return {name: float(value) if np.isfinite(value) else None for name, value in zip(COLUMNS, means, strict=True)}


def _log(training: Training, step: int, means: np.ndarray) -> None:
    empty = [COLUMNS.index("set_point")]
    if not training.method.stochastic:
        empty += [COLUMNS.index("kl"), *range(len(COLUMNS), means.shape[1])]
    watched = np.delete(means, empty, axis=1)
    for run, finite in enumerate(np.isfinite(watched).all(axis=1)):
        if not finite and training.diverged[run] is None:
            training.diverged[run] = training.step
    training.curves.append(np.concatenate([np.full((len(means), 1), float(step)), means], axis=1))
    training.step = step
