"""Training on a GPU: batched runs, recorded steps, precision, and the same numbers as on the CPU.

``bench speed gpu kernels --full --json FILE --figure STEM`` does all of it in a few minutes, most of
which go into compiling.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.execution import processes
from bench.nn.convolution import choose
from bench.nn.precision import Precision
from bench.registry import METHODS
from bench.speed._jobs import some_kl, trained_on_images
from bench.speed.timing import Case, Row, Section, interleave, rows

#: Net and batch size that the plan below is for.
NETWORK, BATCH_SIZE = "H", 64
#: Batched runs.
GROUPS = (1, 40)
PRECISIONS: tuple[Precision, ...] = ("float32", "tf32", "bfloat16")
#: A sweep: 40 runs of 300,000 steps.
PLAN_RUNS, PLAN_STEPS = 40, 300_000
#: Steps of one timed call, by the number of runs; `UNRECORDED` where kernels are asked for one by one.
STEPS, UNRECORDED = {1: 200, 40: 25}, 25
#: Name of the loop that everything is compared with.
PLAIN = "1 run, plain loop"
#: Images of its DataLoader, whose shuffling costs the less the fewer they are.
PLAIN_IMAGES = 2**14
#: Steps after which the GPU's log row is compared with the CPU's.
COMPARED = 5
#: Changes to the data: none, the whole of dSprites.
DATA: tuple[str, ...] = ()
#: Kernels named in the profile.
TOP = 6


@dataclass(frozen=True)
class Setting:
    """How some runs are trained.

    Attributes
    ----------
    n_runs : int
    precision : {"float32", "tf32", "bfloat16"}
    recorded : bool
        Whether the step is replayed from a CUDA graph.
    kernel : str
        Which of `bench.nn.layers`' convolutions, "patches" say; empty for the one that the engine takes.
    method : str
    """

    n_runs: int
    precision: Precision = "float32"
    recorded: bool = True
    kernel: str = ""
    method: str = "beta_vae"

    @property
    def name(self) -> str:
        """One line of the table."""
        runs = "1 run" if self.n_runs == 1 else f"{self.n_runs} runs"
        kernel = f", {self.kernel}" if self.kernel else ""
        how = f"{runs}, {self.precision}, {'recorded' if self.recorded else 'kernel by kernel'}{kernel}"
        return how if self.method == "beta_vae" else f"{self.method}, {how}"


def measure(*, repeats: int, full: bool) -> Section:
    """On the GPU, in a process of its own; no rows where torch sees none."""
    if not torch.cuda.is_available():
        return Section("gpu", "Training on a GPU", [], ["torch sees no GPU here: nothing was measured."])
    section: Section = processes.call(_measure, repeats, full, threads=1)
    return section


def _measure(repeats: int, full: bool) -> Section:
    found = training("cuda", settings(full), repeats=repeats)
    found += [plan(row) for row in found if row.ratio is not None]
    if full:
        found += methods("cuda", GROUPS[-1], repeats=repeats)
    memory = torch.cuda.max_memory_allocated() / 2**30
    notes = [
        f"β-VAE on net {NETWORK}, batches of {BATCH_SIZE}; steps are those of all runs together. Plain: torch.nn, a "
        "DataLoader over images in memory, Adam, one run, one thread, deterministic kernels without TF32. Ours: images "
        "are kept on the GPU as bits; a recorded step is replayed from a CUDA graph.",
        f"Plan: hours for {PLAN_RUNS} runs of {PLAN_STEPS:,} steps at that rate, training alone.",
        f"Largest relative difference of a log row from the CPU's after {COMPARED} steps: {agreement('cuda'):.1e}.",
        f"Peak memory of tensors, all settings together: {memory:.1f} GiB.",
    ]
    if full:
        notes.append("Other methods, with their defaults, are timed in turns with β-VAE.")
        for setting in (Setting(PLAN_RUNS, "bfloat16", recorded=False), Setting(1, "bfloat16", recorded=False)):
            notes += profile(setting)
    return Section("gpu", "Training on a GPU", found, notes, precision="")


def settings(full: bool) -> list[Setting]:
    """What is trained."""
    chosen = [Setting(n, precision) for n in GROUPS for precision in PRECISIONS]
    if full:
        chosen += [Setting(n, "bfloat16", recorded=False) for n in GROUPS]
        chosen += [Setting(GROUPS[-1], precision, kernel="patches") for precision in PRECISIONS]
    return chosen


def training(device: str, chosen: Sequence[Setting], *, repeats: int, steps: dict[int, int] | None = None) -> list[Row]:
    """Steps per second of all runs together, against the plain loop's."""
    n_plain = (steps or STEPS)[1]
    cases = [Case(PLAIN, _plain(device, n_plain), n_plain, "steps")]
    for setting in chosen:
        n_steps = (steps or STEPS)[setting.n_runs]
        n_steps = n_steps if setting.recorded else min(n_steps, UNRECORDED)
        cases.append(Case(setting.name, _trainer(device, setting, n_steps), setting.n_runs * n_steps, "steps"))
    return rows(cases, interleave(cases, repeats=repeats, warmup=2), versus=PLAIN)


def methods(device: str, n_runs: int, *, repeats: int, steps: dict[int, int] | None = None) -> list[Row]:
    """Steps per second of every other method whose steps can be recorded, each in turns with β-VAE."""
    usual = Setting(n_runs, "bfloat16")
    n_steps = (steps or STEPS)[n_runs]
    reference = Case(usual.name, _trainer(device, usual, n_steps), n_runs * n_steps, "steps")
    found = []
    for method in trained_on_images():
        if method == usual.method or not METHODS.get(method).value.capturable:
            continue
        setting = replace(usual, method=method)
        # One at a time: forty runs of each don't fit into a GPU's memory together.
        cases = [reference, Case(setting.name, _trainer(device, setting, n_steps), n_runs * n_steps, "steps")]
        found += rows(cases, interleave(cases, repeats=repeats, warmup=2), versus=usual.name)[1:]
        del cases
        torch.cuda.empty_cache()
    return found


def _plain(device: str, n_steps: int) -> Callable[[], None]:
    """A call that goes on with the plain loop by some steps and waits for the device."""
    from bench.speed._plain import Plain
    from bench.training import torch_setup

    _, dataset, _ = problem(device, Setting(1))
    floats = dataset.images(np.arange(PLAIN_IMAGES) * (len(dataset) // PLAIN_IMAGES)).astype(np.float32)
    plain = Plain(NETWORK, torch.from_numpy(floats), BATCH_SIZE, lr=1e-4, device=device)

    def go_on() -> None:
        torch_setup.settings(1)
        plain.train(n_steps)
        if device == "cuda":
            torch.cuda.synchronize()

    return go_on


def plan(row: Row) -> Row:
    """Hours of the sweep at a row's rate."""
    hours = (PLAN_RUNS * PLAN_STEPS / rate / 3600 for rate in (row.value, row.high, row.low))
    value, low, high = hours
    return Row(f"plan, {row.name}", value, "h", low, high)


def _trainer(device: str, setting: Setting, n_steps: int) -> Callable[[], None]:
    """A call that goes on with the runs by some steps and waits for the device."""
    from bench.data.order import Order
    from bench.training import loop, torch_setup
    from bench.training.cuda_graph import Replay
    from bench.training.log import COLUMNS
    from bench.training.step import Forward

    prepared, dataset, store = problem(device, setting)
    orders = [
        [Order(spec.seed, store.n, spec.train.batch_size, name) for spec in prepared.specs]
        for name in ("data", "data:second")[: prepared.model.method.n_batches]
    ]
    width = len(COLUMNS) + prepared.specs[0].train.latent_dim
    buffer = torch.zeros(setting.n_runs, n_steps, width, dtype=torch.float64, device=device)
    forward = Forward(prepared, dataset.likelihood, store)
    block = (
        Replay(forward, orders, buffer).block
        if setting.recorded
        else functools.partial(loop.plain_block, forward, orders, buffer)
    )

    def go_on() -> None:
        torch_setup.settings(1, setting.precision)
        with _convolving(setting.kernel):
            block(prepared.log.step + 1, prepared.log.step + n_steps, 0)
        prepared.log.step += n_steps
        # What the engine does once per log interval, and what waits for the device.
        buffer.mean(dim=1).cpu()

    return go_on


@contextmanager
def _convolving(kernel: str) -> Iterator[None]:
    """Let convolutions be computed by another of the kernels."""
    usual = choose.convolve
    try:
        if kernel:
            choose.convolve = choose.KERNELS[kernel]
        yield
    finally:
        choose.convolve = usual


def problem(device: str, setting: Setting) -> tuple[Any, Any, Any]:
    """Prepared runs, their dataset and its images on the device."""
    from bench.config.expand import expand
    from bench.config.study import resolve
    from bench.data.images import ResidentImages, store_of
    from bench.dataset import load_dataset
    from bench.training import torch_setup
    from bench.training.state import prepare_for

    changed = [f"train.batch_size={BATCH_SIZE}", f"train.network={NETWORK}", "train.steps=1000000000"]
    changed += [f"train.device={device}", f"train.precision={setting.precision}", *DATA]
    seeds = list(range(setting.n_runs))
    study = resolve("standard", settings=changed, methods=[setting.method], controls=[], seeds=seeds)
    specs = expand(study, some_kl)
    dataset = load_dataset(specs[0].dataset.name, specs[0].dataset.all_options)
    torch_setup.settings(1, setting.precision)
    store = store_of(dataset, device) if device != "cpu" else ResidentImages(dataset, device)
    return prepare_for(specs, dataset), dataset, store


def agreement(device: str, n_runs: int = 2) -> float:
    """Largest relative difference of reconstruction and KL from the CPU's, after some steps of the same runs.

    The device's random numbers are other ones, so the noise is set to zero in both.
    """
    reference, other = (_few_steps(place, n_runs) for place in ("cpu", device))
    return float(((reference - other).abs() / reference.abs()).max())


def _few_steps(device: str, n_runs: int) -> Tensor:
    from bench.data.order import Order
    from bench.training import loop
    from bench.training.log import COLUMNS
    from bench.training.step import Forward

    prepared, dataset, store = problem(device, Setting(n_runs))
    prepared.model.method.code = lambda mean, logvar, noise, state, step: mean
    orders = [[Order(spec.seed, store.n, spec.train.batch_size) for spec in prepared.specs]]
    width = len(COLUMNS) + prepared.specs[0].train.latent_dim
    buffer = torch.zeros(n_runs, COMPARED, width, dtype=torch.float64, device=device)
    loop.plain_block(Forward(prepared, dataset.likelihood, store), orders, buffer, 1, COMPARED, 0)
    return buffer[:, -1, :2].cpu()


def profile(setting: Setting) -> list[str]:
    """Which kernels a step's time goes to."""
    call = _trainer("cuda", setting, 10)
    call()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as seen:
        call()
    events = [(float(event.self_device_time_total), event.key) for event in seen.key_averages()]
    total = math.fsum(spent for spent, _ in events)
    top = sorted(events, reverse=True)[:TOP]
    named = "; ".join(f"{name[:60]} {spent / total:.0%}" for spent, name in top)
    return [f"Profile of {setting.name}: {total / 10 / 1000:.2f} ms of kernels a step: {named}."]
