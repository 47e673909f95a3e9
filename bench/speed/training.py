"""Training on all cores: one pinned process per core against a plain loop that has all threads."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, wait
from dataclasses import replace

import loky

from bench.execution import processes
from bench.execution.grouping import LARGE, MANY
from bench.speed._jobs import Job, peak_of_one_process, trained_on_images, work
from bench.speed.timing import Case, Row, Section, interleave, rows

#: Seconds that one timed call lasts.
WINDOW_S, FULL_WINDOW_S = 2.0, 3.0
#: What is measured by default; ``full`` adds every method.
SIZES = (("H", 64), ("H", 128), ("B", 64), ("B", 128))
#: The network and batch size with which methods are compared: the preset's own.
METHODS_AT = ("H", 64)
#: For whose products the ceiling is measured, besides those of batched runs.
CEILING_AT = ("H", 128)
PRECISIONS = ("float32", "bfloat16")
#: Batched runs, one for each seed, and of a sweep over a hyper-parameter.
SEEDS, SWEEP = 10, LARGE
#: The batch size of the study of linear-Gaussian data.
LINEAR_BATCH = 256


def measure(*, repeats: int, full: bool) -> Section:
    """Steps per second of the whole machine, and the runs per hour of a sweep that follow from them."""
    cores = int(loky.cpu_count())
    usual, single = (
        dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(n)) for n in (cores, 1)
    )
    timed = functools.partial(_timed, repeats=repeats, window_s=FULL_WINDOW_S if full else WINDOW_S)
    with processes.crew([usual] + [single] * cores + [processes.worker_environment(1)] * cores) as workers:
        found: list[Row] = []
        for network, batch_size in SIZES:
            found += timed(workers, convolutional(network, batch_size, cores))
        adversary = timed(workers, discriminator(cores))
        found += adversary
        standard = [row for row in found if row.name.startswith("net {}, {}: ".format(*METHODS_AT))]
        if full:
            found += timed(workers, methods(cores))
        quick = timed(workers, sweep(cores))
        found += quick + timed(workers, linear(cores))
    trained = [row for row in quick if "ceiling" not in row.name and "large product" not in row.name]
    found += [*per_hour(standard, "standard"), *per_hour(trained, "quick")]
    notes = [
        "Plain: torch.nn, a DataLoader over images in memory, Adam, .item() every 100 steps; one process with all "
        f"{cores} threads. Ours: {cores} processes with one thread each, started together. β-VAE unless said.",
        "Ceiling: the network's convolutions and matrix products alone, forward and backward, each in the faster "
        "memory layout, in as many processes; of batched runs as one batch of matrices or one after another. As "
        "one large product: as many multiplications.",
        discriminator_share(adversary, cores),
        "Runs per hour: training alone, of β-VAE; 10 seeds, so that all cores are busy to the end.",
        f"Peak memory of one process, net H, batch 128, all of dSprites: {_peak():,.0f} MiB.",
    ]
    return Section("training", "Training on all cores", found, notes)


def convolutional(network: str, batch_size: int, cores: int) -> dict[str, Job]:
    """The plain loop, ours in both precisions and, for one size, what bounds them."""
    at = f"net {network}, {batch_size}: "
    jobs = {f"{at}plain loop": Job("plain", network, batch_size)}
    if (network, batch_size) == CEILING_AT:
        jobs[f"{at}plain loop in {cores} processes"] = Job("apart", network, batch_size)
    for precision in PRECISIONS:
        jobs[f"{at}{cores} processes, {precision}"] = Job("ours", network, batch_size, precision)
    if (network, batch_size) == CEILING_AT:
        for precision in PRECISIONS:
            jobs[f"{at}ceiling, {precision}"] = Job("ceiling", network, batch_size, precision)
            jobs[f"{at}as one large product, {precision}"] = Job("peak", network, batch_size, precision)
    return jobs


def methods(cores: int) -> dict[str, Job]:
    """Every method that is trained, against the plain β-VAE, and FactorVAE once more against a plain FactorVAE."""
    jobs = {"plain β-VAE": Job("plain", *METHODS_AT), "plain FactorVAE": Job("plain", *METHODS_AT, method="factor_vae")}
    for method in trained_on_images():
        for precision in PRECISIONS:
            jobs[f"{method}, {cores} processes, {precision}"] = Job("ours", *METHODS_AT, precision, method)
    return jobs


def discriminator(cores: int) -> dict[str, Job]:
    """FactorVAE with its discriminator and with next to none, and the discriminator's products alone."""
    at = f"FactorVAE, {cores} processes, "
    small = ("factor_vae.discriminator_width=8",)
    return {
        f"{at}discriminator 8 wide": Job("ours", *METHODS_AT, method="factor_vae", settings=small),
        f"{at}discriminator 1000 wide": Job("ours", *METHODS_AT, method="factor_vae"),
        f"{at}the discriminator's products": Job("ceiling", "discriminator", METHODS_AT[1]),
    }


def discriminator_share(found: Sequence[Row], cores: int) -> str:
    """What the discriminator adds to a step, and what its matrix products alone take."""
    small, whole, products = (1000 * cores / row.value for row in found)
    return (
        f"FactorVAE's discriminator adds {whole - small:.1f} ms to a step of one process, with Adam on its weights; "
        f"its matrix products alone take {products:.1f} ms."
    )


def sweep(cores: int) -> dict[str, Job]:
    """The small network of the preset "quick": alone in each process, batched, and what bounds that."""
    at = "quick's mlp, 64: "
    jobs = {f"{at}plain loop": Job("plain", "mlp", 64), f"{at}plain loop in {cores} processes": Job("apart", "mlp", 64)}
    for precision in PRECISIONS:
        jobs[f"{at}{cores} processes, {precision}"] = Job("ours", "mlp", 64, precision)
        for n_runs in (SEEDS, SWEEP):
            name = f"{at}{cores} processes x {n_runs} in lockstep, {precision}"
            jobs[name] = Job("ours", "mlp", 64, precision, n_runs=n_runs)
    for precision in PRECISIONS:
        jobs[f"{at}ceiling, {precision}"] = Job("ceiling", "mlp", 64, precision, n_runs=SEEDS)
        jobs[f"{at}as one large product, {precision}"] = Job("peak", "mlp", 64, precision, n_runs=SEEDS)
    return jobs


def linear(cores: int) -> dict[str, Job]:
    """The tiny network for linear-Gaussian data: alone in each process, and batched."""
    at = f"linear-Gaussian, {LINEAR_BATCH}: "
    jobs = {f"{at}plain loop": Job("plain", "linear", LINEAR_BATCH)}
    for n_runs in (1, MANY):
        name = f"{cores} processes" if n_runs == 1 else f"{cores} processes x {n_runs} in lockstep"
        jobs[f"{at}{name}"] = Job("ours", "linear", LINEAR_BATCH, n_runs=n_runs)
    return jobs


def per_hour(found: Sequence[Row], preset: str) -> list[Row]:
    """Steps per second as runs per hour at the preset's number of steps."""
    from bench.config.study import resolve

    steps = resolve(preset).train.steps
    made = []
    for row in found:
        value, low, high = (3600 * number / steps for number in (row.value, row.low, row.high))
        name = f"{preset}, {row.name.partition(': ')[2]}"
        versus = f"{preset}, {row.versus.partition(': ')[2]}" if row.versus else ""
        made.append(replace(row, name=name, value=value, low=low, high=high, unit="runs/h", versus=versus, note=""))
    return made


def _timed(workers: Sequence[Executor], jobs: dict[str, Job], *, repeats: int, window_s: float) -> list[Row]:
    cores = len(workers) // 2
    crews = {"plain": workers[:1], "apart": workers[1 : 1 + cores]}
    cases = []
    for name, job in jobs.items():
        crew = crews.get(job.kind, workers[1 + cores :])
        go_on = functools.partial(_together, crew, job)
        settle = functools.partial(_settle, workers)
        n_steps = steps_that_last(window_s, go_on, settle)
        before = functools.partial(_warm_up, go_on, settle, max(1, n_steps // 10))
        call = functools.partial(go_on, n_steps)
        cases.append(Case(name, call, len(crew) * job.n_runs * n_steps, "steps", before))
    measured = rows(cases, interleave(cases, repeats=repeats), versus=cases[0].name)
    return with_shares(dict(zip(jobs.values(), measured, strict=True)))


def steps_that_last(
    window_s: float,
    go_on: Callable[[int], object],
    settle: Callable[[], object],
    clock: Callable[[], float] = time.perf_counter,
) -> int:
    """How many steps take about `window_s` seconds, by trials that double until one lasts a quarter of that.

    A step or two can't tell: the first ones after a pause are slow, a small network's many times as slow as the rest.
    The last trial starts as warm as a timed call.
    """
    go_on(1)
    n_steps = 1
    while True:
        settle()
        started = clock()
        go_on(n_steps)
        took = clock() - started
        if took >= window_s / 4:
            break
        n_steps *= 2
    settle()
    started = clock()
    go_on(n_steps)
    return max(1, round(window_s / (clock() - started) * n_steps))


def _warm_up(go_on: Callable[[int], object], settle: Callable[[], object], n_steps: int) -> None:
    settle()
    go_on(n_steps)
    settle()


def _settle(workers: Sequence[Executor]) -> None:
    """Wait until no worker has anything to do.

    loky's collect garbage after a task, if they haven't for a second, and that takes 0.2 s: a second task waits for it.
    """
    for _ in range(2):
        wait([worker.submit(int) for worker in workers])


def with_shares(found: dict[Job, Row]) -> list[Row]:
    """Notes on what share of each bound was reached, where there is one."""
    noted = []
    for job, row in found.items():
        bounds = {"the ceiling": replace(job, kind="ceiling"), "one large product": replace(job, kind="peak")}
        shares = [f"{row.value / found[bound].value:.0%} of {name}" for name, bound in bounds.items() if bound in found]
        noted.append(replace(row, note=", ".join(shares) if job.kind == "ours" else ""))
    return noted


def _together(crew: Sequence[Executor], job: Job, n_steps: int) -> None:
    """Do that many steps in every process of a crew, at the same time; lasts until the last one is done."""
    futures = [worker.submit(work, job, n_steps) for worker in crew]
    wait(futures)
    for future in futures:
        future.result()


def _peak() -> float:
    return float(processes.call(peak_of_one_process, threads=1))
