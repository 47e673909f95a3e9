"""Lists of registered things, studies and results, and one of them with its documentation and settings."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from dataclasses import fields
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.cli.common import say
from bench.cli.console import out
from bench.errors import BenchError, did_you_mean
from bench.files import read_toml

if TYPE_CHECKING:
    from pydantic import BaseModel


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
    """Print a run's result and provenance, a registered thing's documentation, or a table of a study file."""
    from bench import registry
    from bench.sharing.opening import opened

    known: list[str] = []
    for each in (registry.METHODS, registry.DATASETS, registry.METRICS, registry.NETWORKS, registry.FIGURES):
        if name in each:
            entry = each.get(name)
            settings, said = _settings(entry.value)
            if as_json:
                content = {"name": name, "version": entry.version, "settings": settings, "descriptions": said}
                print(json.dumps(content, default=str))  # noqa: T201
                return
            out.print(f"{each.kind} {name}, version {entry.version}\n\n{inspect.getdoc(entry.value)}")
            _print_settings(settings, said)
            return
        known += [entry.name for entry in each]
    tables = _tables()
    if name in tables:
        settings, said = _fields(tables[name])
        if as_json:
            print(json.dumps({"name": name, "settings": settings, "descriptions": said}, default=str))  # noqa: T201
            return
        out.print("a study file" if name == "study" else f"table '{name}' of a study file")
        _print_settings(settings, said)
        return
    known += tables
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
            imported = is_shared(file.parent)
            home = file.parents[2]
            found.append((home.is_relative_to(reference), imported, home))
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


def _settings(value: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """Settings of a registered thing with their defaults, and what they mean."""
    from bench.settings import descriptions

    table = getattr(value, "Hyper", None) or getattr(value, "Options", None)
    return ({item.name: item.default for item in fields(table)}, descriptions(table)) if table else ({}, {})


def _tables() -> dict[str, type[BaseModel]]:
    """Tables of a study file by the name that they have there."""
    from bench.config.study import EvaluationSettings, StudySpec
    from bench.config.tuning import TuningSettings
    from bench.train_settings import TrainSettings

    return {"study": StudySpec, "train": TrainSettings, "evaluation": EvaluationSettings, "tuning": TuningSettings}


def _fields(model: type[BaseModel]) -> tuple[dict[str, Any], dict[str, str]]:
    """Fields of a table with their defaults, and what they mean."""
    from bench.schema import StrictModel
    from bench.settings import descriptions

    defaults = {name: field.get_default(call_default_factory=True) for name, field in model.model_fields.items()}
    plain = {name: value.model_dump() if isinstance(value, StrictModel) else value for name, value in defaults.items()}
    return plain, descriptions(model)


def _print_settings(settings: Mapping[str, Any], said: Mapping[str, str]) -> None:
    """One line each: name, default, meaning."""
    if settings:
        out.print("\nsettings and their defaults:")
    shown = {key: key if isinstance(value, dict) else f"{key} = {value!r}" for key, value in settings.items()}
    width = min(max(map(len, shown.values()), default=0), 28)
    for key, text in shown.items():
        out.print(f"  {text:<{width}}  {said.get(key, '')}".rstrip())
