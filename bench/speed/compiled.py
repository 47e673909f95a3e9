"""Networks through ``torch.compile`` on one CPU core, compilation included, against the engine as it is."""

from __future__ import annotations

import shutil
import time

import torch

from bench.execution import processes
from bench.speed._jobs import Job
from bench.speed.timing import Case, Row, Section, interleave, rows

#: Net H as in the preset "standard", and quick's small net with the batched runs.
JOBS = {"net H, 64": Job("ours", "H", 64), "quick's mlp, 64, x 10": Job("ours", "mlp", 64, n_runs=10)}
#: Steps of one timed call.
STEPS = {"H": 15, "mlp": 150}


def measure(*, repeats: int, full: bool) -> Section:
    """Steps per second of all runs together, and after how many steps the time to compile is won back."""
    if shutil.which("g++") is None and shutil.which("clang++") is None:
        return Section("compiled", "torch.compile", [], ["There is no C++ compiler here: nothing was measured."])
    section: Section = processes.call(_measure, repeats, JOBS, STEPS, threads=1)
    return section


def _measure(repeats: int, jobs: dict[str, Job], steps: dict[str, int]) -> Section:
    found, notes = [], []
    for name, job in jobs.items():
        made, note = compare(name, job, steps[job.network], repeats)
        found += made
        notes.append(note)
    return Section("compiled", "torch.compile against the engine as it is", found, notes)


def compare(name: str, job: Job, n_steps: int, repeats: int) -> tuple[list[Row], str]:
    """Time a job both ways; the sentence says what compiling cost."""
    from bench.speed._jobs import problem
    from bench.training import loop, state, torch_setup

    dataset, images, specs = problem(job)
    torch_setup.settings(1)
    trainings = [state.prepare_for(specs, dataset) for _ in range(2)]
    compiled = trainings[1].model.vae
    compiled.encode = torch.compile(compiled.encode)  # type: ignore[method-assign]
    compiled.decode = torch.compile(compiled.decode)  # type: ignore[method-assign]

    def go_on(training: state.Training, n: int) -> None:
        loop.train(training, dataset, images, until=training.log.step + n)

    started = time.perf_counter()
    go_on(trainings[1], 2)
    took_s = time.perf_counter() - started
    work = job.n_runs * n_steps
    labels = (f"{name}, as it is", f"{name}, compiled")
    cases = [
        Case(label, lambda training=training: go_on(training, n_steps), work, "steps")  # type: ignore[misc]
        for label, training in zip(labels, trainings, strict=True)
    ]
    found = rows(cases, interleave(cases, repeats=repeats), versus=labels[0])
    return found, f"{name}: {break_even(found, took_s, job.n_runs)}"


def break_even(found: list[Row], took_s: float, n_runs: int) -> str:
    """After how many steps of each run compiling has paid."""
    plain, compiled = (row.value / n_runs for row in found)
    saved = 1 / plain - 1 / compiled
    paid = f"paid back after {took_s / saved:,.0f} steps" if saved > 0 else "never paid back"
    return f"the first two steps took {took_s:.0f} s with compilation, {paid}."
