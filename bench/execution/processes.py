"""Where runs are executed: worker processes of one machine.

loky is joblib's own engine. It is used directly here since joblib drops all results when one worker is killed.
"""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from loky import ProcessPoolExecutor
from loky.process_executor import TerminatedWorkerError

#: How often one task may be in flight while a worker is killed before it is given up.
MAX_KILLS = 3
#: What a signal usually tells.
REASONS = {
    "SIGKILL": ", as where memory runs out",
    "SIGSEGV": ", a crash in compiled code",
    "SIGABRT": ", a crash in compiled code",
    "SIGFPE": ", a crash in compiled code",
}
#: What tells glibc to keep freed blocks.
ALLOCATOR = {"MALLOC_TRIM_THRESHOLD_": str(2**31 - 1), "MALLOC_MMAP_MAX_": "0"}


class Result(Protocol):
    """What a worker gives back."""

    @property
    def locked(self) -> bool:
        """Whether another process has the work, so that it must be asked for again."""


@dataclass(frozen=True)
class _Killed:
    """Instead of a result, how the worker ended."""

    how: str


Task = TypeVar("Task")
Out = TypeVar("Out", bound=Result)


def worker_environment(threads: int) -> dict[str, str]:
    """Environment of the workers: pinned threads, and an allocator that keeps big blocks.

    glibc gives freed blocks of more than a few MiB back to the system, so that every training step faults its pages in
    anew: about a fifth of a step's time. With these two settings it keeps them. A high threshold for separate mappings
    would do as well, but older versions refuse one above 32 MiB.
    """
    pinned = {name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    pinned["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"  # what torch asks for before it calls a GPU run deterministic
    return pinned | ALLOCATOR


def run_all(
    function: Callable[[tuple[Task, ...]], Sequence[Out]],
    batches: Sequence[tuple[Task, ...]],
    *,
    n_jobs: int,
    threads: int,
    on_killed: Callable[[Task, str], Out],
    poll_s: float = 2.0,
) -> Iterator[Out]:
    """Run batches of tasks in worker processes and yield the tasks' results as they come.

    Also one job at a time runs in a worker, so that numbers can't depend on ``n_jobs``. A killed worker takes only
    the tasks in flight with it: each is tried again alone, and after `MAX_KILLS` handed to `on_killed`.

    Parameters
    ----------
    function : callable
        Importable; gives each task of a batch its result, in their order. Must catch its own exceptions and return
        them as results.
    batches : sequence of tuple
        Tasks that go to a worker together: small, picklable.
    n_jobs, threads : int
        Processes, and threads in each.
    on_killed : callable
        Called in this process with a task that keeps getting its worker killed, and how it ended, such as "SIGSEGV, a
        crash in compiled code"; gives its result.
    poll_s : float
        How long to wait before a task that another process holds is asked for again.
    """
    suspects: list[Task] = []
    for task, result in _drain(function, batches, n_jobs=n_jobs, threads=threads, poll_s=poll_s):
        if isinstance(result, _Killed):
            suspects.append(task)
        else:
            yield result
    # Alone, so that a task which kills its worker can't be confused with its neighbours.
    for task in suspects:
        for _ in range(MAX_KILLS - 1):
            (_, result), *_ = _drain(function, [(task,)], n_jobs=1, threads=threads, poll_s=poll_s)
            if not isinstance(result, _Killed):
                break
        yield on_killed(task, result.how) if isinstance(result, _Killed) else result


def _drain(
    function: Callable[[tuple[Task, ...]], Sequence[Out]],
    batches: Sequence[tuple[Task, ...]],
    *,
    n_jobs: int,
    threads: int,
    poll_s: float,
) -> Iterator[tuple[Task, Out | _Killed]]:
    """Run batches and yield each task with its result, or with how its worker was killed."""
    queue = deque((0.0, batch) for batch in batches)
    flying: dict[Future[Sequence[Out]], tuple[Task, ...]] = {}
    executor: ProcessPoolExecutor | None = None
    try:
        while queue or flying:
            try:
                if executor is None:
                    executor = ProcessPoolExecutor(n_jobs, env=worker_environment(threads), initializer=start_worker)
                while queue and len(flying) < n_jobs and queue[0][0] <= time.monotonic():
                    # No more than one batch per worker is handed over: whatever is in flight is really running.
                    flying[executor.submit(function, queue[0][1])] = queue[0][1]
                    queue.popleft()
                if not flying:
                    time.sleep(poll_s)
                for future in wait(flying, timeout=poll_s, return_when=FIRST_COMPLETED).done:
                    results = future.result()
                    pairs = list(zip(flying.pop(future), results, strict=True))
                    if held := tuple(task for task, result in pairs if result.locked):
                        queue.append((time.monotonic() + poll_s, held))
                    yield from ((task, result) for task, result in pairs if not result.locked)
            except TerminatedWorkerError as error:
                if executor is not None:
                    executor.shutdown(wait=True, kill_workers=True)
                executor = None
                ended = _Killed(_exit_in_words(str(error)))
                yield from ((task, ended) for batch in flying.values() for task in batch)
                flying.clear()
    finally:
        # In flight when we are interrupted: the work since the last checkpoint is lost, nothing else.
        if executor is not None:
            executor.shutdown(wait=True, kill_workers=True)


def _exit_in_words(text: str) -> str:
    """The exit code or signal that loky names at the end of its message, as ``{SIGKILL(-9)}`` or ``{EXIT(3)}``."""
    codes = re.search(r"exit codes? .*?\{(.*)\}", text)
    if codes is None:
        return "an unknown exit code"
    # Workers that idle are stopped with the one that ended by itself, and come as SIGTERM.
    found = codes[1].split(", ")
    code = next((each for each in found if not each.startswith("SIGTERM")), found[0])
    name, _, value = code.rstrip(")").partition("(")
    return f"exit code {value}" if name == "EXIT" else f"{name}{REASONS.get(name, '')}"


def start_worker() -> None:
    """Leave Ctrl-C to the parent, which then stops the workers; and don't outlive it if it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_leave_with, args=(os.getppid(),), daemon=True).start()


def _leave_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    # At any point: what isn't committed goes on from its last checkpoint, and the lock goes with the process.
    os._exit(1)


def call(function: Callable[..., Any], *args: Any, threads: int) -> Any:
    """Call a function once in a worker with the environment that runs have."""
    with ProcessPoolExecutor(1, env=worker_environment(threads), initializer=start_worker) as executor:
        return executor.submit(function, *args).result()


@contextmanager
def crew(environments: Sequence[dict[str, str]]) -> Iterator[list[ProcessPoolExecutor]]:
    """Worker processes that stay for many calls, one for each environment; stopped at the end."""
    workers = [ProcessPoolExecutor(1, env=dict(own), initializer=start_worker) for own in environments]
    try:
        yield workers
    finally:
        for worker in workers:
            worker.shutdown(wait=True, kill_workers=True)
