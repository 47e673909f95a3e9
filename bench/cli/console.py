"""What the commands print: plans, status, lists, tables. Nothing here computes a result."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from bench.cli.common import say
from bench.config.plain_kl import plain_kl_in_words
from bench.formatting import escape_terminal, ranges
from bench.results.store import Store

if TYPE_CHECKING:
    from bench.api.request import StudyRequest
    from bench.config.wanted_kl import UnknownKLError
    from bench.execution.calibration import KnownKLs
    from bench.results.study import Study
    from bench.spec import RunSpec


class Plain(Console):
    """A console that strips control characters from texts, since they may hold names from outside."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Print texts without control characters, anything else as Rich does."""
        super().print(*(escape_terminal(each) if isinstance(each, str) else each for each in objects), **options)


out = Plain(highlight=False, soft_wrap=True, markup=False)


def print_report(
    study: Study, reports: Path, name: Path, *, quiet: bool, figures: Sequence[str] | None = None, n_jobs: int = 0
) -> bool:
    """Render the report, on all cores unless told otherwise, and print its table and where it is.

    Returns
    -------
    bool
        Whether it is whole; what it lacks is printed on stderr.
    """
    from bench.reporting import render, tables

    jobs = n_jobs or os.cpu_count() or 1
    missing: list[str] = []
    page = render.render(study, reports / name, name=name.as_posix(), figures=figures, n_jobs=jobs, tell=missing.append)
    if not quiet:
        for table in [
            tables.markdown(tables.make_table(study, d), intervals=False)
            for d in dict.fromkeys(study.runs["dataset_label"])
        ]:
            out.print()
            out.print(table)
    out.print(f"report: {page}")
    for line in missing:
        say(f"bench: {line}", err=True)
    return not missing


def print_shares(known: KnownKLs) -> None:
    """Print the plain VAE's KL that set points given in per cent refer to."""
    if known.used:
        out.print(f"set points in per cent are shares of {plain_kl_in_words(known.used.values())}")


def waits_for(unknown: UnknownKLError) -> str:
    """Say that runs of the plain VAE come first, since set points are shares of its KL."""
    from bench.execution.calibration import calibration_runs

    runs = calibration_runs(unknown.plain)
    data = ", ".join(dict.fromkeys(spec.dataset.name for spec in unknown.plain))
    return (
        f"set points are shares of the plain VAE's KL, which isn't known yet on {data} at these training settings; "
        f"{len(runs)} runs of the plain VAE come first"
    )


def print_plan(request: StudyRequest, folder: Path, *, as_json: bool) -> None:
    """Print the resolved runs, whether they are done, and which will miss their set point.

    Where set points wait for other runs, those come first.
    """
    from bench.execution import forecast

    study, specs, store = request.study, request.specs, Store(folder)
    if request.waits is not None:
        from bench.execution.calibration import calibration_runs

        if as_json:
            raise request.waits
        out.print(f"{waits_for(request.waits)}, in {request.known.calibration.path}:")
        _print_groups(calibration_runs(request.waits.plain))
        out.print(
            f"then {request.waits.n_runs} runs of preset '{study.preset}' in {folder}: {', '.join(study.methods)}"
        )
        return
    if as_json:
        rows = [{"run": s.run_id, "done": store.is_done(s.run_id), **s.model_dump(mode="json")} for s in specs]
        print(json.dumps(rows, indent=1, sort_keys=True))  # noqa: T201
        return
    done = sum(store.is_done(spec.run_id) for spec in specs)
    out.print(f"{len(specs)} runs of preset '{study.preset}', {done} done in {folder}")
    if study.notice:
        out.print(f"note: {study.notice}")
    print_shares(request.known)
    _print_groups(specs)
    for line in forecast.warnings(specs, store):
        out.print(f"warning: {line}")


def _print_groups(specs: Sequence[RunSpec]) -> None:
    groups: dict[str, list[int]] = {}
    for spec in specs:
        hyper = ", ".join(f"{key}={value}" for key, value in spec.method.hyper.items())
        options = ", ".join(f"{k}={_short(v)}" for k, v in spec.dataset.options.items() if v not in ("", None))
        line = (
            f"{spec.dataset.name}[{options}]  {spec.method.name}[{hyper}]  net {spec.train.network}, "
            f"{spec.train.steps:,} steps, batch {spec.train.batch_size}, lr {spec.train.lr:g}"
        )
        groups.setdefault(line, []).append(spec.seed)
    for line, seeds in groups.items():
        out.print(f"  {line}, seeds {ranges(seeds)}")


def print_status(folder: Path, *, as_json: bool) -> None:
    """Print one status word per planned run, and how many missed their set points."""
    from bench.results.control_outcomes import ARRIVED, control_outcome

    store = Store(folder)
    store.check_schema()
    words: dict[str, str] = {}
    for run in store.planned():
        if store.is_done(run) and (found := store.faults(run)):
            words[run] = f"damaged, {found[0].file} {found[0].what}"
        elif store.is_done(run):
            result = store.result(run)
            status = "done" if result["status"] == "ok" else str(result["status"])
            missed = control_outcome(result.get("control"))
            words[run] = f"{status}, {missed}" if missed not in ("", ARRIVED) else status
        else:
            step = store.progress(run)
            if store.is_claimed(run):
                words[run] = f"in work, step {step:,}"
            elif store.failures(run):
                words[run] = "failed"
            else:
                words[run] = f"stopped, at step {step:,}" if step else "not run yet"
    if as_json:
        print(json.dumps(words, indent=1, sort_keys=True))  # noqa: T201
        return
    for run, word in words.items():
        out.print(f"{run:<60} {word}")
    counts = Counter(word.split(",")[0] for word in words.values())
    out.print(f"{len(words)} planned: " + ", ".join(f"{n} {word}" for word, n in sorted(counts.items())))
    not_met = Counter(word.partition(", ")[2] for word in words.values() if word.startswith("done, "))
    if not_met:
        out.print("set points missed: " + ", ".join(f"{n} {word}" for word, n in sorted(not_met.items())))


def _short(value: Any) -> str:
    if isinstance(value, list | tuple) and len(value) > 2:
        steps = {b - a for a, b in pairwise(value)}
        if len(steps) == 1:
            return f"{value[0]}:{value[-1] + 1}:{steps.pop()}"
    return str(list(value)) if isinstance(value, tuple) else str(value)
