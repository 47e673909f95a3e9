"""What commands do first: load plug-ins, resolve a study's options."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from bench.errors import BenchError
from bench.formatting import escape_terminal

if TYPE_CHECKING:
    from bench.config.study import StudySpec
    from bench.spec import RunSpec


def resolve_study(
    preset: str | None,
    config: str | None,
    settings: list[str] | None,
    method: list[str] | None,
    dataset: list[str] | None,
    metric: list[str] | None,
    seeds: str | None,
    study: str | None,
    plugin: list[Path] | None,
    terms: str | None,
) -> tuple[StudySpec, list[RunSpec], str]:
    """The study that these options ask for, its runs, and the name of its folder.

    Raises
    ------
    BenchError
        For whatever is wrong with an option, in one line.
    """
    from bench.config.expand import expand
    from bench.config.study import find_study, resolve
    from bench.selectors import parse_seeds, split_list

    load_plugins(plugin)
    flags: dict[str, Any] = {
        "methods": [part for item in method for part in split_list(item)] if method else None,
        "datasets": [part for item in dataset for part in split_list(item)] if dataset else None,
        "evaluation": {"metrics": [part for item in metric for part in split_list(item)]} if metric else None,
        "seeds": parse_seeds(seeds) if seeds is not None else None,
        "terms": terms,
    }
    file = find_study(config) if config else None
    spec = resolve(preset, study_file=file, settings=settings, **flags)
    specs = expand(spec)
    parts = [file.stem, spec.preset] if file else [spec.preset, *sorted({s.dataset.name for s in specs})]
    name = study or "-".join(parts)
    if not name or name in (".", "..") or "/" in name or "\\" in name:
        raise BenchError(f"--study '{name}' can't be a folder's name")
    return spec, specs, name


def say(text: str, *, err: bool = False, nl: bool = True) -> None:
    """Print a text that may hold names from outside, which give the terminal no commands."""
    typer.echo(escape_terminal(text), err=err, nl=nl)


def load_plugins(paths: list[Path] | None) -> None:
    """Import the users' files of ``--plugin``."""
    from bench.registry import load_plugin

    for path in paths or []:
        load_plugin(path)
