"""What the commands print: plans, status, lists, tables. Nothing here computes a result."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import fields
from fnmatch import fnmatch
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from bench.cli.common import say
from bench.config.plain_kl import plain_kl_in_words
from bench.errors import BenchError, did_you_mean
from bench.files import read_toml
from bench.formatting import escape_terminal, ranges
from bench.results.store import Store

if TYPE_CHECKING:
    from bench.api.asking import Asked
    from bench.config.wanted_kl import UnknownKLError
    from bench.execution.calibration import KnownKLs
    from bench.results.study import Study
    from bench.spec import RunSpec


class Plain(Console):
    """A console whose texts give the terminal no commands: they may hold names from outside."""

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
    """Say what set points in per cent are shares of, where there are any."""
    if known.used:
        out.print(f"set points in per cent are shares of {plain_kl_in_words(known.used.values())}")


def waits_for(unknown: UnknownKLError) -> str:
    """What a study waits for whose set points are shares of a KL that isn't known."""
    from bench.execution.calibration import calibration_runs

    runs = calibration_runs(unknown.plain)
    data = ", ".join(dict.fromkeys(spec.dataset.name for spec in unknown.plain))
    return (
        f"set points are shares of the plain VAE's KL, which isn't known yet on {data} at these training settings; "
        f"{len(runs)} runs of the plain VAE come first"
    )


def print_plan(asked: Asked, folder: Path, *, as_json: bool) -> None:
    """Print the resolved runs, whether they are done, and which will miss their set point.

    Where set points wait for other runs, those come first.
    """
    from bench.execution import forecast

    study, specs, store = asked.study, asked.specs, Store(folder)
    if asked.waits is not None:
        from bench.execution.calibration import calibration_runs

        if as_json:
            raise asked.waits
        out.print(f"{waits_for(asked.waits)}, in {asked.known.calibration.path}:")
        _print_groups(calibration_runs(asked.waits.plain))
        out.print(f"then {asked.waits.n_runs} runs of preset '{study.preset}' in {folder}: {', '.join(study.methods)}")
        return
    if as_json:
        rows = [{"run": s.run_id, "done": store.is_done(s.run_id), **s.model_dump(mode="json")} for s in specs]
        print(json.dumps(rows, indent=1, sort_keys=True))  # noqa: T201
        return
    done = sum(store.is_done(spec.run_id) for spec in specs)
    out.print(f"{len(specs)} runs of preset '{study.preset}', {done} done in {folder}")
    if study.notice:
        out.print(f"note: {study.notice}")
    print_shares(asked.known)
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
    from bench.results.fates import ARRIVED, fate

    store = Store(folder)
    store.check_schema()
    words: dict[str, str] = {}
    for run in store.planned():
        if store.is_done(run) and (found := store.faults(run)):
            words[run] = f"damaged, {found[0].file} {found[0].what}"
        elif store.is_done(run):
            result = store.result(run)
            status = "done" if result["status"] == "ok" else str(result["status"])
            missed = fate(result.get("control"))
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
    strays = Counter(word.partition(", ")[2] for word in words.values() if word.startswith("done, "))
    if strays:
        out.print("set points missed: " + ", ".join(f"{n} {word}" for word, n in sorted(strays.items())))


def print_list(kind: str, pattern: str, results: Path, *, as_json: bool) -> None:
    """Print the names of one kind, with version and first line of the documentation."""
    from bench import registry
    from bench.config.preset_files import PRESETS, presets
    from bench.config.study import STUDIES, studies

    registries: dict[str, registry.Registry[Any, Any]] = {
        "methods": registry.METHODS,
        "datasets": registry.DATASETS,
        "metrics": registry.METRICS,
        "figures": registry.FIGURES,
        "networks": registry.NETWORKS,
    }
    rows: list[dict[str, Any]]
    if kind == "presets":
        rows = [_summary_of(PRESETS / f"{name}.toml") for name in presets()]
    elif kind == "studies":
        rows = [_summary_of(STUDIES / f"{name}.toml") for name in studies()]
    elif kind == "results":
        rows = [
            {"name": path.relative_to(results).as_posix(), "summary": ""}
            for path in sorted([*_archives(results), *(file.parent for file in results.glob("**/study.toml"))])
        ]
    elif kind in registries:
        rows = [{"name": e.name, "version": e.version, "summary": e.summary} for e in registries[kind]]
    else:
        kinds = [*registries, "presets", "studies", "results"]
        raise BenchError(f"unknown kind '{kind}'{did_you_mean(kind, kinds)}; there are: {', '.join(kinds)}")
    rows = [row for row in rows if fnmatch(row["name"], pattern)]
    if as_json:
        print(json.dumps(rows, indent=1))  # noqa: T201
        return
    width = max((len(row["name"]) for row in rows), default=0)
    for row in rows:
        version = f"v{row['version']}  " if "version" in row else ""
        out.print(f"{row['name']:<{width}}  {version}{row['summary']}")


def print_one(name: str, results: Path, *, as_json: bool) -> None:
    """Print one run (result and provenance), or one registered thing (documentation and settings)."""
    from bench import registry
    from bench.sharing.opening import opened

    known: list[str] = []
    for each in (registry.METHODS, registry.DATASETS, registry.METRICS, registry.NETWORKS, registry.FIGURES):
        if name in each:
            entry = each.get(name)
            settings = _settings(entry.value)
            if as_json:
                print(json.dumps({"name": name, "version": entry.version, "settings": settings}, default=str))  # noqa: T201
                return
            out.print(f"{each.kind} {name}, version {entry.version}\n\n{entry.value.__doc__}")
            for key, value in settings.items():
                out.print(f"  {key} = {value}")
            return
        known += [entry.name for entry in each]
    homes, runs = _homes(name, results)
    if not homes:
        known += runs
        raise BenchError(
            f"nothing is called '{name}'{did_you_mean(name, known)}; see `bench list methods`, `bench status`"
        )
    if len(homes) > 1:
        others = ", ".join(map(str, homes[1:]))
        say(f"bench: {len(homes)} studies hold this run: shown as in {homes[0]}; also in {others}", err=True)
    with opened(homes[0]) as folder:
        _print_run(folder / "runs" / name)


def _homes(run: str, results: Path) -> tuple[list[Path], list[str]]:
    """Studies that hold a run, the user's own first, imported ones next, reference studies last; and all runs' ids."""
    from bench.results.record import is_shared
    from bench.sharing.archive import runs_of

    found: list[tuple[bool, bool, Path]] = []
    known: set[str] = set()
    reference = results / "reference"
    for file in results.glob("**/runs/*/result.json"):
        known.add(file.parent.name)
        if file.parent.name == run:
            home = file.parents[2]
            found.append((home.is_relative_to(reference), is_shared(file.parent), home))
    for archive in _archives(results):
        try:
            runs = runs_of(archive)
        except BenchError as error:
            say(f"bench: warning: {error}", err=True)
            continue
        known |= runs
        if run in runs:
            found.append((archive.is_relative_to(reference), True, archive))
    return [home for *_, home in sorted(found)], sorted(known)


def _print_run(folder: Path) -> None:
    from bench.results.record import PROVENANCE, RESULT, SPEC, look, read_json
    from bench.results.schemas import ProvenanceRecord, Record, ResultRecord, SpecRecord
    from bench.results.scored_on import scored_on

    if isinstance(found := look(folder), list):
        say(f"bench: warning: {found[0].error(folder)}", err=True)
    models: dict[str, type[Record]] = {SPEC: SpecRecord, RESULT: ResultRecord, PROVENANCE: ProvenanceRecord}
    there = {name: model for name, model in models.items() if (folder / name).exists()}
    records = {Path(name).stem: read_json(folder / name, model) for name, model in there.items()}
    for line in scored_on(records["spec"]) if "spec" in records else ():
        say(line, err=True)
    print(json.dumps(records, indent=1, sort_keys=True, ensure_ascii=False))  # noqa: T201


def _archives(results: Path) -> list[Path]:
    from bench.sharing.containers import SUFFIXES

    return sorted(file for suffix in SUFFIXES for file in results.glob(f"**/*{suffix}"))


def _summary_of(file: Path) -> dict[str, Any]:
    return {"name": file.stem, "summary": read_toml(file)["description"]}


def _settings(value: Any) -> dict[str, Any]:
    table = getattr(value, "Hyper", None) or getattr(value, "Options", None)
    return {item.name: item.default for item in fields(table)} if table else {}


def _short(value: Any) -> str:
    if isinstance(value, list | tuple) and len(value) > 2:
        steps = {b - a for a, b in pairwise(value)}
        if len(steps) == 1:
            return f"{value[0]}:{value[-1] + 1}:{steps.pop()}"
    return str(list(value)) if isinstance(value, tuple) else str(value)
