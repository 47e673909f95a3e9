"""What the commands print: plans, progress, tables. Nothing here computes a result."""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import fields
from fnmatch import fnmatch
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from bench.errors import BenchError, did_you_mean
from bench.store import Store

if TYPE_CHECKING:
    from bench.runner import Outcome, Plan
    from bench.spec import RunSpec
    from bench.study import StudySpec

#: Scores shown on the line of a finished run, in this order, where the run has them.
LINE_SCORES = ("reconstruction_bce", "kl", "mig", "dci_disentanglement", "factor_vae_score")
#: Runs longer than this many steps are timed on a few steps before they start.
ESTIMATE_FROM = 20_000
#: Off a terminal, a line of progress at most this often, seconds.
PLAIN_EVERY_S = 60.0

out = Console(highlight=False, soft_wrap=True)


def run_study(
    study: StudySpec,
    specs: list[RunSpec],
    folder: Path,
    *,
    n_jobs: int,
    rerun: Any,
    plugins: Sequence[Path],
    command: str,
    quiet: bool,
) -> int:
    """Run what isn't done, showing progress; returns the number of failed runs."""
    from bench import runner
    from bench.aggregate import write_runs_jsonl

    store = Store(folder)
    store.create(study.model_dump(mode="json") | {"command": command}, specs)
    todo = runner.plan(specs, store, rerun)
    jobs = min(n_jobs or os.cpu_count() or 1, max(1, len(todo.todo)))
    console = Console(quiet=quiet, highlight=False, soft_wrap=True)
    _header(console, study, todo, folder, jobs)
    if todo.todo:
        _estimate(console, todo.todo, jobs)
    failed: list[Outcome] = []
    started = time.monotonic()
    with _Display(console, store, todo.todo) as display:
        for outcome in runner.run(todo, store, n_jobs=jobs, plugins=plugins):
            display.finished(outcome)
            if outcome.state == "failed":
                failed.append(outcome)
    write_runs_jsonl(folder)
    if todo.todo:
        console.print(
            f"{len(todo.todo) - len(failed)} of {len(todo.todo)} runs done in {_time(time.monotonic() - started)}"
        )
    for outcome in failed:
        out.print(f"[red]failed[/red] {outcome.run}: {outcome.message}", soft_wrap=True)
    if failed:
        out.print(f"tracebacks: {store.failed}; the same command tries these runs again")
    return len(failed)


def print_report(folder: Path, target: Path, *, quiet: bool) -> None:
    """Render the report and print its table and where it is."""
    from bench import aggregate, report, tables

    page = report.render(folder, target)
    if not quiet:
        study = aggregate.read_study(folder)
        for table in [
            tables.markdown(tables.make_table(study, d), intervals=False)
            for d in dict.fromkeys(study.runs["dataset_label"])
        ]:
            out.print()
            out.print(table)
    out.print(f"report: {page}", soft_wrap=True)


def print_plan(study: StudySpec, specs: list[RunSpec], folder: Path, *, as_json: bool) -> None:
    """Print the resolved runs and whether they are done."""
    store = Store(folder)
    if as_json:
        rows = [{"run": s.run_id, "done": store.is_done(s.run_id), **s.model_dump(mode="json")} for s in specs]
        print(json.dumps(rows, indent=1, sort_keys=True))  # noqa: T201
        return
    done = sum(store.is_done(spec.run_id) for spec in specs)
    out.print(f"{len(specs)} runs of preset '{study.preset}', {done} done in {folder}")
    if study.notice:
        out.print(f"note: {study.notice}")
    groups: dict[str, list[int]] = {}
    for spec in specs:
        hyper = ", ".join(f"{key}={value}" for key, value in spec.method.hyper.items())
        options = ", ".join(f"{k}={_short(v)}" for k, v in spec.dataset.options.items() if v not in ("", None))
        line = (
            f"{spec.dataset.name}[{options}]  {spec.method.name}[{hyper}]  net {spec.network.name}, "
            f"{spec.steps:,} steps, batch {spec.batch_size}, lr {spec.optimizer.lr:g}"
        )
        groups.setdefault(line, []).append(spec.seed)
    for line, seeds in groups.items():
        out.print(f"  {line}, seeds {_ranges(seeds)}", markup=False)


def print_status(folder: Path, *, as_json: bool) -> None:
    """Print one status word per planned run."""
    from bench import runner

    store = Store(folder)
    store.check_schema()
    words: dict[str, str] = {}
    for run in store.planned():
        if store.is_done(run):
            status = str(store.result(run)["status"])
            words[run] = "done" if status == "ok" else status
        elif (step := runner.progress(store, run)) > 0:
            words[run] = f"in work, step {step:,}"
        else:
            words[run] = "failed" if store.failures(run) else "not run yet"
    if as_json:
        print(json.dumps(words, indent=1, sort_keys=True))  # noqa: T201
        return
    for run, word in words.items():
        out.print(f"{run:<60} {word}")
    counts = Counter(word.split(",")[0] for word in words.values())
    out.print(f"{len(words)} planned: " + ", ".join(f"{n} {word}" for word, n in sorted(counts.items())))


def print_list(kind: str, pattern: str, results: Path, *, as_json: bool) -> None:
    """Print the names of one kind, with version and first line of the documentation."""
    from bench import registry
    from bench.study import PRESETS, presets

    registries = {
        "methods": registry.METHODS,
        "datasets": registry.DATASETS,
        "metrics": registry.METRICS,
        "figures": registry.FIGURES,
        "networks": registry.NETWORKS,
    }
    rows: list[dict[str, Any]]
    if kind == "presets":
        import tomllib

        rows = [
            {"name": name, "summary": tomllib.loads((PRESETS / f"{name}.toml").read_text())["description"]}
            for name in presets()
        ]
    elif kind == "studies":
        rows = [{"name": path.parent.name, "summary": ""} for path in sorted(results.glob("*/study.toml"))]
    elif kind in registries:
        rows = [{"name": e.name, "version": e.version, "summary": e.summary} for e in registries[kind]]
    else:
        kinds = [*registries, "presets", "studies"]
        raise BenchError(f"unknown kind '{kind}'{did_you_mean(kind, kinds)}; there are: {', '.join(kinds)}")
    rows = [row for row in rows if fnmatch(row["name"], pattern)]
    if as_json:
        print(json.dumps(rows, indent=1))  # noqa: T201
        return
    width = max((len(row["name"]) for row in rows), default=0)
    for row in rows:
        version = f"v{row['version']}  " if "version" in row else ""
        out.print(f"{row['name']:<{width}}  {version}{row['summary']}", markup=False)


def print_one(name: str, results: Path, *, as_json: bool) -> None:
    """Print one run (result and provenance), or one registered thing (documentation and settings)."""
    from bench import registry

    runs = sorted(results.glob(f"*/runs/{name}"))
    if runs:
        found = {part: json.loads((runs[0] / f"{part}.json").read_text()) for part in ("spec", "result", "provenance")}
        print(json.dumps(found, indent=1, sort_keys=True, ensure_ascii=False))  # noqa: T201
        return
    known: list[str] = []
    for each in (registry.METHODS, registry.DATASETS, registry.METRICS, registry.NETWORKS, registry.FIGURES):
        if name in each:
            entry = each.get(name)
            settings = _settings(entry.value)
            if as_json:
                print(json.dumps({"name": name, "version": entry.version, "settings": settings}, default=str))  # noqa: T201
                return
            out.print(f"{each.kind} {name}, version {entry.version}\n\n{entry.value.__doc__}", markup=False)
            for key, value in settings.items():
                out.print(f"  {key} = {value}", markup=False)
            return
        known += [entry.name for entry in each]
    known += [path.name for path in results.glob("*/runs/*")]
    raise BenchError(f"nothing is called '{name}'{did_you_mean(name, known)}; see `bench list methods`, `bench status`")


class _Display:
    """Progress by steps: a live bar on a terminal, a line a minute elsewhere; a thread reads what workers report."""

    def __init__(self, console: Console, store: Store, todo: list[RunSpec]) -> None:
        self.console = console
        self.bar = Progress(
            BarColumn(),
            TextColumn("{task.percentage:.0f} %, {task.fields[runs]}, {task.fields[eta]}"),
            console=console,
            disable=not console.is_terminal or console.quiet,
            transient=True,
        )
        self.left = {spec.run_id: spec for spec in todo}
        self.store = store
        self.n_runs = len(todo)
        self.total = sum(_cost(spec) for spec in todo)
        self.done = 0
        self.started = self.plain = time.monotonic()
        self.stop = threading.Event()

    def __enter__(self) -> _Display:
        self.bar.start()
        self.task = self.bar.add_task("", total=max(self.total, 1), runs="", eta="")
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.thread.join()
        self.bar.stop()

    def finished(self, outcome: Outcome) -> None:
        """One line per run: what, its seed, the main scores, how long it took."""
        spec = self.left.pop(outcome.run)
        self.done += _cost(spec)
        mark = {"ok": "✓"}.get(outcome.state, outcome.state)
        hyper = " ".join(f"{k}={v:g}" for k, v in spec.method.hyper.items() if k in ("beta", "gamma", "set_point"))
        scores = "  ".join(f"{key} {outcome.scores[key]:.3g}" for key in LINE_SCORES if key in outcome.scores)
        words = (mark, spec.dataset.name, spec.method.name, hyper, f"s{spec.seed}", scores or outcome.message)
        self.console.print("  ".join(word for word in words if word), f" {_time(outcome.wall_s)}", markup=False)

    def _watch(self) -> None:
        from bench.runner import progress

        while not self.stop.wait(1.0):
            steps = self.done + sum(progress(self.store, run) for run in list(self.left))
            passed = time.monotonic() - self.started
            eta = f"about {_time(passed * (self.total - steps) / steps)} left" if steps and passed > 10 else ""
            runs = f"{self.n_runs - len(self.left)} of {self.n_runs} runs"
            self.bar.update(self.task, completed=steps, runs=runs, eta=eta)
            if self.bar.disable and time.monotonic() - self.plain >= PLAIN_EVERY_S:
                self.plain = time.monotonic()
                self.console.print(f"  {runs}, {eta}")


def _cost(spec: RunSpec) -> int:
    return max(spec.steps, 1)


def _header(console: Console, study: StudySpec, plan: Plan, folder: Path, jobs: int) -> None:
    methods = list(dict.fromkeys(spec.method.name for spec in plan.specs))
    seeds = sorted({spec.seed for spec in plan.specs})
    skipped = len(plan.specs) - len(plan.todo)
    train = study.train
    console.print(f"study {folder.name}: preset '{study.preset}', {', '.join(methods)}; seeds {_ranges(seeds)}")
    console.print(f"{study.description}", markup=False)
    console.print(f"NOTE {study.notice}" if study.notice else "the whole data set", markup=False)
    console.print(
        f"{len(plan.specs)} runs, {skipped} done already; {jobs} processes x {train.threads} threads on "
        f"{train.device}, {train.precision}, deterministic"
    )


def _estimate(console: Console, todo: list[RunSpec], jobs: int) -> None:
    long = {(s.method.name, s.network.name, s.batch_size, s.dataset.sha256): s for s in todo if s.steps > ESTIMATE_FROM}
    if not long:
        return
    from bench import backends, runner

    console.print(f"timing a few steps of {len(long)} kinds of run ...")
    total = 0.0
    for key, spec in long.items():
        speed = backends.call(runner.seconds_per_step, spec, threads=spec.threads)
        steps = sum(s.steps for s in todo if (s.method.name, s.network.name, s.batch_size, s.dataset.sha256) == key)
        total += speed * steps
        console.print(
            f"  {spec.method.name}: {1 / speed:.1f} steps/s, {spec.steps:,} steps: {_time(speed * spec.steps)} a run"
        )
    console.print(
        f"this study will take about {_time(total / jobs)} on this hardware (Ctrl-C stops it, nothing is lost)"
    )


def _settings(value: Any) -> dict[str, Any]:
    table = getattr(value, "Hyper", None) or getattr(value, "Options", None)
    return {item.name: item.default for item in fields(table)} if table else {}


def _short(value: Any) -> str:
    if isinstance(value, list | tuple) and len(value) > 2:
        steps = {b - a for a, b in pairwise(value)}
        if len(steps) == 1:
            return f"{value[0]}:{value[-1] + 1}:{steps.pop()}"
    return str(list(value)) if isinstance(value, tuple) else str(value)


def _ranges(numbers: Sequence[int]) -> str:
    parts: list[list[int]] = []
    for number in sorted(numbers):
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in parts)


def _time(seconds: float) -> str:
    minutes, s = divmod(round(seconds), 60)
    hours, m = divmod(minutes, 60)
    days, h = divmod(hours, 24)
    if days:
        return f"{days} d {h} h"
    return f"{h} h {m:02d} min" if h else f"{m} min {s:02d} s" if m else f"{s} s"
