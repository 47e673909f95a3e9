"""Running a study in front of somebody: header, estimate, progress, closing lines."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from bench.config.study import StudySpec
from bench.execution import forecast, grouping, processes
from bench.execution.estimate import seconds_per_step
from bench.execution.plan import Plan
from bench.execution.run import Watcher
from bench.execution.task import Outcome
from bench.formatting import duration, ranges
from bench.results.labels import file_of
from bench.results.shared_settings import sharing
from bench.results.store import Store
from bench.spec import RunSpec

#: Scores shown on the line of a finished run, in this order, where the run has them.
LINE_SCORES = ("reconstruction_bce", "kl", "mig", "dci_disentanglement", "factor_vae_score")
#: Runs longer than this many steps are timed on a few steps before they start.
ESTIMATE_FROM = 20_000
#: Off a terminal, a line of progress at most this often, seconds.
PLAIN_EVERY_S = 60.0


class Progress(Watcher):
    """Prints a study's header and estimate, its progress, a line per run, and what failed.

    Parameters
    ----------
    quiet : bool
        Only warnings and failures.
    """

    def __init__(self, *, quiet: bool) -> None:
        self.warned: set[str] = set()
        self.console = Console(quiet=quiet, highlight=False, soft_wrap=True, markup=False)
        self.display: _Display | None = None

    def planned(self, study: StudySpec, plan: Plan, store: Store, workers: int, adopted: int) -> None:
        """Print the header, and the estimate where runs are long; show progress from here on."""
        _header(self.console, study, plan, store.path, workers)
        for line in forecast.warnings(plan.left, store, plan.specs):
            _warn(line)
        for run, faults in plan.repaired.items():
            _warn(f"{run} is trained again: {faults[0].file} {faults[0].what}")
        if adopted:
            self.console.print(f"{adopted} runs were taken over from other studies")
        estimate(self.console, [spec for spec in plan.left if plan.todo[spec.run_id] != "measure"], workers)
        self.store, self.started = store, time.monotonic()
        self.display = _Display(self.console, store, plan.left)
        self.display.start()

    def warn(self, text: str) -> None:
        """Print a warning."""
        _warn(text)

    def finished(self, outcome: Outcome) -> None:
        """Print a line for the run, and what it warns of if no run did so before."""
        if outcome.warning and outcome.warning not in self.warned:
            self.warned.add(outcome.warning)
            _warn(outcome.warning)
        if self.display is not None:
            self.display.finished(outcome)

    def over(self, outcomes: Sequence[Outcome]) -> None:
        """Print how many were done in what time, and the failures on the error stream."""
        if self.display is None:
            return
        self.display.stop()
        failed = [outcome for outcome in outcomes if outcome.state == "failed"]
        if outcomes:
            took, done = duration(time.monotonic() - self.started), len(outcomes) - len(failed)
            self.console.print(f"{done} of {self.display.n_runs} runs done in {took}")
        err = Console(highlight=False, soft_wrap=True, markup=False)
        for outcome in failed:
            err.print(f"failed {outcome.run}: {outcome.message}")
        if failed:
            err.print(f"tracebacks: {self.store.failed}; the same command tries these runs again")


class _Display:
    """Progress by steps: a live bar on a terminal, a line a minute elsewhere; a thread reads what workers report."""

    def __init__(self, console: Console, store: Store, todo: list[RunSpec]) -> None:
        self.console = console
        self.bar = Bar(
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.description}, time left"),
            TimeRemainingColumn(),
            console=console,
            speed_estimate_period=600,  # seconds; workers report steps in bursts
            disable=not console.is_terminal or console.quiet,
            transient=True,
        )
        self.left = {spec.run_id: spec for spec in todo}
        self.store = store
        self.n_runs = len(todo)
        self.total = sum(_cost(spec) for spec in todo)
        self.done = 0
        self.reported: dict[str, int] = {}
        self.plain = time.monotonic()
        self.stopped = threading.Event()

    def start(self) -> None:
        """Begin to show, and to look at what workers report."""
        self.bar.start()
        self.task = self.bar.add_task(self._runs(), total=max(self.total, 1), completed=self.steps())
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()

    def stop(self) -> None:
        """Show nothing any more."""
        self.stopped.set()
        self.thread.join()
        self.bar.stop()

    def finished(self, outcome: Outcome) -> None:
        """One line per run: what, its seed, the main scores, how long it took."""
        spec = self.left.pop(outcome.run)
        self.done += _cost(spec)
        mark = {"ok": "✓"}.get(outcome.state, outcome.state)
        hyper = " ".join(f"{k}={v:g}" for k, v in spec.method.hyper.items() if k in ("beta", "gamma", "set_point"))
        scores = "  ".join(f"{key} {outcome.scores[key]:.3g}" for key in LINE_SCORES if key in outcome.scores)
        words = (mark, _data(spec), spec.method.name, hyper, f"s{spec.seed}", scores, outcome.message)
        self.console.print("  ".join(word for word in words if word), f" {duration(outcome.wall_s)}")

    def steps(self) -> int:
        """Steps done so far, of all runs; never fewer than before."""
        runs = list(self.left)
        for run in runs:
            # A committed run reports nothing any more, but is only finished when its whole group is.
            self.reported[run] = max(self.reported.get(run, 0), self.store.progress(run))
        return self.done + sum(self.reported[run] for run in runs)

    def _watch(self) -> None:
        while not self.stopped.wait(1.0):
            self.bar.update(self.task, completed=self.steps(), description=self._runs())
            if self.bar.disable and time.monotonic() - self.plain >= PLAIN_EVERY_S:
                self.plain = time.monotonic()
                left = self.bar.tasks[0].time_remaining
                self.console.print(f"  {self._runs()}" + (f", about {duration(left)} left" if left else ""))

    def _runs(self) -> str:
        return f"{self.n_runs - len(self.left)} of {self.n_runs} runs"


def _warn(text: str) -> None:
    Console(stderr=True, highlight=False, soft_wrap=True, markup=False).print(f"bench: warning: {text}")


def _data(spec: RunSpec) -> str:
    file = file_of(spec.dataset.model_dump())
    return f"{spec.dataset.name} ({file})" if file else spec.dataset.name


def _cost(spec: RunSpec) -> int:
    return max(spec.train.steps, 1)


def _header(console: Console, study: StudySpec, plan: Plan, folder: Path, jobs: int) -> None:
    methods = list(dict.fromkeys(spec.method.name for spec in plan.specs))
    seeds = sorted({spec.seed for spec in plan.specs})
    skipped = len(plan.specs) - len(plan.todo)
    settings = [spec.train for spec in plan.specs]
    threads, device, precision = (
        " or ".join(dict.fromkeys(str(getattr(one, key)) for one in settings))
        for key in ("threads", "device", "precision")
    )
    console.print(f"study {folder.name}: preset '{study.preset}', {', '.join(methods)}; seeds {ranges(seeds)}")
    console.print(study.description)
    if study.notice:
        console.print(f"NOTE {study.notice}")
    shared = sharing(spec.model_dump(mode="json") for spec in plan.specs)
    console.print(f"hyper-parameters: {study.hyper}: {shared}")
    console.print(
        f"{len(plan.specs)} runs, {skipped} done already; {jobs} processes x {threads} threads on "
        f"{device}, {precision}, deterministic"
    )


def estimate(console: Console, todo: list[RunSpec], jobs: int, *, shortest: int = ESTIMATE_FROM) -> None:
    """Time a few steps of each kind of run that is longer than `shortest` steps, and say how long all will take."""
    groups = grouping.group([spec for spec in todo if spec.train.steps > shortest], jobs)
    # The first group of a kind is the largest.
    long = {key: group for group in reversed(groups) for key in [_kind(group[0])]}
    if not long:
        return
    console.print(f"timing a few steps of {len(long)} kinds of run ...")
    total = 0.0
    for key, group in long.items():
        spec = group[0]
        try:
            speed = processes.call(seconds_per_step, group, threads=spec.train.threads)
        except Exception as error:
            # The run itself will say what is wrong, and be recorded as failed; the others go on.
            console.print(f"  {spec.method.name}: can't be timed ({type(error).__name__}: {error})")
            continue
        total += speed * sum(other.train.steps for other in todo if _kind(other) == key)
        steps = spec.train.steps
        console.print(
            f"  {spec.method.name}: {1 / speed:.1f} steps/s, {steps:,} steps: {duration(speed * steps)} a run"
        )
    console.print(
        f"this study will take about {duration(total / jobs)} on this hardware (Ctrl-C stops it, nothing is lost)"
    )


def _kind(spec: RunSpec) -> tuple[str, str, int, str]:
    return spec.method.name, spec.train.network, spec.train.batch_size, spec.dataset.sha256
