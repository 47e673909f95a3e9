"""The training loop: R runs of one architecture in lockstep, resumable bit for bit.

With dense networks on one CPU thread a run's numbers don't depend, bit for bit, on the runs beside it; `bench.lockstep`
looks before it relies on that. Nothing in the loop waits for the device: a step's log row is written into a buffer that
is read once per ``log_every`` steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench import networks
from bench.adam import Adam
from bench.batches import ImageStore, Order
from bench.data import Dataset
from bench.forward import COLUMNS, Forward, network_adam
from bench.method import Method, State, shared_hyper
from bench.precision import Precision, in_precision
from bench.registry import METHODS
from bench.replay import Replay
from bench.schedule import TailMean
from bench.seeds import torch_stream
from bench.spec import RunSpec


@dataclass
class Training:
    """All that changes while R runs train; `bench.checkpoint` stores and restores it.

    Attributes
    ----------
    specs : list of RunSpec
        One per run; they differ only in seed and in float hyper-parameters.
    known_decoder : ndarray or None
        As given to `prepare`.
    mean : TailMean or None
        Of the network's weights, where the spec wants it.
    step : int
        Last finished step.
    curves : list of ndarray of shape (R, 1 + 4 + K), float64
        Rows of step, `COLUMNS`, KL per latent: means over the log interval that ends at that step.
    diverged : list of int or None
        Per run the last step at which all of a log row was finite, None while all is well.
    """

    specs: list[RunSpec]
    vae: networks.VAE
    method: Method
    modules: nn.Module | None
    optimizers: list[Adam]
    noise: tuple[torch.Generator, ...]
    own: tuple[torch.Generator, ...]
    state: State
    known_decoder: NDArray[np.float64] | None = None
    mean: TailMean | None = None
    step: int = 0
    curves: list[np.ndarray] = field(default_factory=list)
    diverged: list[int | None] = field(default_factory=list)


def prepare(
    specs: Sequence[RunSpec],
    shape: tuple[int, int, int],
    n_train: int,
    known_decoder: NDArray[np.float64] | None = None,
) -> Training:
    """Build and initialise networks, optimisers, streams and state of runs that go in lockstep.

    Parameters
    ----------
    specs : sequence of RunSpec
        Equal but for seed and float hyper-parameters.
    shape : tuple of int
        ``(C, H, W)`` of the images.
    n_train : int
        Number of training images.
    known_decoder : ndarray of shape (d, K), optional
        Of a decoder that isn't trained; see `bench.data.Dataset.known_decoder`.
    """
    first = specs[0]
    if any(shared(spec) != shared(first) for spec in specs):
        raise ValueError("runs in lockstep may differ in seed and in unshared float hyper-parameters only")
    seeds = [spec.seed for spec in specs]
    entry = METHODS.get(first.method.name)
    hypers = [entry.value.Hyper(**spec.method.hyper) for spec in specs]
    method: Method = entry.value(
        hypers, latent_dim=first.network.latent_dim, n_train=n_train, n_steps=first.steps, device=first.device
    )
    vae = method.build(shape) or networks.build(first.network.name, len(specs), shape, first.network.latent_dim)
    networks.initialise(vae, first.network.init, seeds, "vae")
    if known_decoder is not None:
        networks.fix_decoder(vae, known_decoder)
    vae.to(first.device)
    modules = method.modules()
    optimizers = [network_adam(vae, first)]
    if modules is not None:
        networks.initialise(modules, first.network.init, seeds, "method")
        modules.to(first.device)
        modules.forward = in_precision(modules.forward, first.precision, first.device)
        optimizers.append(Adam(modules.parameters(), **method.module_optimizer()))
    return Training(
        specs=list(specs),
        vae=vae,
        method=method,
        modules=modules,
        optimizers=optimizers,
        noise=tuple(torch_stream(seed, "noise", first.device) for seed in seeds),
        own=tuple(torch_stream(seed, f"method:{method.stream or first.method.name}", first.device) for seed in seeds),
        state=method.initial_state(),
        known_decoder=known_decoder,
        mean=TailMean(vae, first.steps, first.optimizer.average) if first.optimizer.average > 0 else None,
        diverged=[None] * len(specs),
    )


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
    if training.step == 0:
        training.method.fit(training.vae, store, [spec.seed for spec in training.specs])
    last = first.steps if until is None else min(until, first.steps)
    if last <= training.step or all(good is not None for good in training.diverged):
        return
    orders = [
        [Order(spec.seed, store.n, spec.batch_size, name) for spec in training.specs]
        for name in ("data", "data:second")[: training.method.n_batches]
    ]
    forward = Forward(training, dataset.likelihood, store)
    starts = training.method.stage_starts()
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
        if begin in starts:
            forward.begin_stage(begin)
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


def shared(spec: RunSpec) -> dict[str, Any]:
    """What runs in lockstep must have in common, JSON-ready."""
    content = spec.model_dump(mode="json", exclude={"seed", "evaluation"})
    content["method"]["hyper"] = shared_hyper(spec.method.name, spec.method.hyper)
    return content


def settings(threads: int, precision: Precision = "float32") -> dict[str, Any]:
    """Pin what torch would otherwise choose by itself, in the process that trains; returns what was set.

    A worker process of loky starts with another number of threads than the parent: numbers would depend on ``-j``.
    """
    torch.set_num_threads(threads)
    # The same switch as `torch.use_deterministic_algorithms`, which imports a compiler first: a second or two.
    torch.set_deterministic_debug_mode("error")
    # Filling every new tensor with NaN finds reads of uninitialised memory, and costs a third of a small net's step.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False
    # "float32" means float32, in `bench.fused` by three products for each: a GPU would otherwise round the factors of
    # its products to 10 bits, which is "tf32".
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    return {"threads": threads, "deterministic_algorithms": True, "cudnn_benchmark": False}
