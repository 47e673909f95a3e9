"""Execute a plan in worker processes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.execution import grouping, processes
from bench.execution.plan import Plan
from bench.execution.worker import Outcome, Task, _killed, execute_together
from bench.results.store import Store


def run(
    plan: Plan, store: Store, *, n_jobs: int, plugins: Sequence[Path] = (), checkpoint_s: float = 60.0
) -> Iterator[Outcome]:
    """Execute what a plan leaves to do; yields each run's outcome as it comes. Never raises for a failing run.

    Where a run is for a GPU, the process that trains measures in `n_jobs` others.
    """
    left = plan.left
    if not left:
        return
    path, actions = store.path.resolve(), plan.todo
    workers, measurers = plan.workers(n_jobs), n_jobs if plan.on_gpu else 1
    # What has lost its weights is trained anew.
    again = [spec for spec in left if actions[spec.run_id] == "measure" and store.has_weights(spec.run_id)]
    kept = {spec.run_id for spec in again}
    groups = grouping.group([spec for spec in left if spec.run_id not in kept], workers)
    size = grouping.LARGEST_ON_GPU if plan.on_gpu else 1
    groups += [tuple(again[start : start + size]) for start in range(0, len(again), size)]
    batches = [
        tuple(Task(spec, path, actions[spec.run_id], tuple(plugins), checkpoint_s, measurers) for spec in group)
        for group in groups
    ]
    threads = max(spec.threads for spec in left)
    yield from processes.run_all(execute_together, batches, n_jobs=workers, threads=threads, on_killed=_killed)
