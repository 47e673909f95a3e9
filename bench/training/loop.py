"""The training loop: R runs of one architecture as a batch, resumable bit for bit.

With dense networks on one CPU thread a run's numbers don't depend, bit for bit, on the runs beside it;
`bench.execution.grouping` looks before it relies on that. Nothing in the loop waits for the device: a step's log row is
written into a buffer that is read once per ``log_every`` steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from bench.data.chosen import training_images
from bench.data.images import ImageStore
from bench.data.order import Order, order_of
from bench.dataset import Dataset
from bench.method_kinds import ClosedFormMethod, StagedMethod
from bench.spec import RunSpec
from bench.training.cuda_graph import Replay
from bench.training.log import COLUMNS
from bench.training.state import Training, prepare_for
from bench.training.step import Forward


def train_anew(specs: Sequence[RunSpec], dataset: Dataset, store: ImageStore, *, until: int) -> Training:
    """Prepare runs that are trained together and do their first steps, up to step `until`."""
    training = prepare_for(specs, dataset)
    train(training, dataset, store, until=until)
    return training


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
    settings, method, log = training.specs[0].train, training.model.method, training.log
    if log.step == 0 and isinstance(method, ClosedFormMethod):
        method.fit(training.model.vae, training_images(dataset, store), [spec.seed for spec in training.specs])
    last = settings.steps if until is None else min(until, settings.steps)
    if last <= log.step or log.over:
        return
    orders = [
        [order_of(dataset, spec.seed, settings.batch_size, name) for spec in training.specs]
        for name in ("data", "data:second")[: method.n_batches]
    ]
    forward = Forward(training, dataset.likelihood, store, dataset.training_rows())
    staged = method if isinstance(method, StagedMethod) else None
    starts = staged.stage_starts() if staged else ()
    width = len(COLUMNS) + settings.latent_dim
    # Runs first: each run's rows are summed as if they were alone.
    shape = (len(training.specs), settings.log_every, width)
    buffer = torch.zeros(shape, dtype=torch.float64, device=settings.device)
    # What changes from step to step on the Python side can't be replayed.
    plain = settings.lr_schedule == "constant" and training.mean is None
    replayed = settings.device == "cuda" and method.capturable and plain and not starts
    block = Replay(forward, orders, buffer).block if replayed else partial(plain_block, forward, orders, buffer)
    step, filled = log.step, 0
    while step < last:
        begin = step + 1
        if staged and begin in starts:
            forward.begin_stage(staged, begin)
        step = min([last, step + settings.log_every - filled, *(start - 1 for start in starts if start > begin)])
        block(begin, step, filled)
        filled += step - begin + 1
        if filled == settings.log_every or step == settings.steps:
            log.add(step, buffer[:, :filled].mean(dim=1).cpu().numpy(), stochastic=method.stochastic)
            filled = 0
            if on_log is not None:
                on_log(training)
            if log.over:
                return
    log.step = last


def plain_block(
    forward: Forward, orders: list[list[Order]], buffer: Tensor, first: int, last: int, filled: int
) -> None:
    """Do the steps from `first` to `last`; their log rows go to the buffer from row `filled` on."""
    for step in range(first, last + 1):
        rows = [np.stack([order(step) for order in each]) for each in orders]
        buffer[:, filled + step - first] = forward(rows, step)
