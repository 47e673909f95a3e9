"""What commands do first: load plug-ins, resolve a study's options."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from bench.errors import BenchError
from bench.formatting import escape_terminal

if TYPE_CHECKING:
    from bench.api.request import StudyRequest
    from bench.results.study import Study


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
    hyper: str | None,
    results: Path,
    *,
    tuned: Path | None = None,
    tuning: dict[str, Any] | None = None,
) -> StudyRequest:
    """Resolve options to a study, its runs, and the name of its folder.

    `tuned` is a file of winners, and the study then runs them; `tuning` makes it a study that tries settings.

    Raises
    ------
    BenchError
        For whatever is wrong with an option, in one line.
    """
    from bench.api.request import make_request

    load_plugins(plugin)
    return make_request(
        config, preset=preset, methods=method, datasets=dataset, metrics=metric, seeds=seeds, hyper=hyper,
        settings=settings, name=study, results=results, tuned=tuned, tuning=tuning,
    )  # fmt: skip


def say(text: str, *, err: bool = False, nl: bool = True) -> None:
    """Print a text without control characters, since it may hold names from outside."""
    typer.echo(escape_terminal(text), err=err, nl=nl)


def load_plugins(paths: list[Path] | None, *studies: Path, quiet: bool = False) -> None:
    """Import the users' files of ``--plugin``, then those that studies of the user's own recorded, which is told."""
    from bench.registry import load_plugin

    for path in paths or []:
        load_plugin(path)
    if studies:
        from bench.results.plugins import load_recorded

        for file in [file for study in studies for file in load_recorded(study)]:
            if not quiet:
                say(f"bench: plug-in '{file}' is loaded, as the study recorded it", err=True)


def say_what_is_missing(study: Study, *, refuse: bool = False) -> None:
    """Warn of a study's plug-ins that aren't loaded or have changed.

    Raises
    ------
    BenchError
        If it can't be reported without the ones that aren't loaded.
    """
    from bench.results.plugins import changed_plugins, missing_plugins

    for file, why in missing_plugins(study).items():
        told = f"study '{study.name}' was made with plug-in '{file}', which isn't loaded ({why})"
        if refuse:
            raise BenchError(
                f"{told}: give it with --plugin {file}, or report without its scores, figures and labels with "
                "--without-plugins"
            )
        say(f"bench: warning: {told}: labels, headings and directions of its own are missing", err=True)
    for name in changed_plugins(study):
        say(f"bench: warning: plug-in '{name}' isn't the file that study '{study.name}' ran with", err=True)
