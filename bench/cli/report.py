"""Commands of stored studies: `aggregate` and `report`."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from bench.cli.common import load_plugins, say_what_is_missing
from bench.cli.options import Mixed, Plugins, Quiet, Reports, Results, Study
from bench.files import write_out
from bench.formatting import escape_csv


def aggregate(
    study: Study,
    results: Results = Path("results"),
    plugin: Plugins = None,
    mixed: Mixed = False,
    out: Annotated[Path | None, typer.Option("--out", help="CSV file; default: print it.")] = None,
) -> None:
    """Print the table of runs as CSV, a row per run; also of a study that is still running."""
    from bench.sharing.opening import locate, opened_study

    path = locate(study, results)
    load_plugins(plugin, path)
    with opened_study(path, mixed=mixed) as read:
        say_what_is_missing(read)
        texts = read.runs.select_dtypes(exclude=["number", "bool"])
        harmless = texts.map(lambda value: escape_csv(value) if isinstance(value, str) else value)
        table = read.runs.assign(**harmless).to_csv(index=False, lineterminator="\n")
    if out is None:
        typer.echo(table, nl=False)
        return
    write_out(out, table)


def report(
    study: Annotated[list[str], typer.Argument(help="Studies, by name, folder or archive; a report each.")],
    results: Results = Path("results"),
    reports: Reports = Path("reports"),
    figures: Annotated[
        str | None,
        typer.Option("--figures", help="For git: report.md, tables and these as PNG, by name, or none; nothing else."),
    ] = None,
    plugin: Plugins = None,
    without_plugins: Annotated[
        bool,
        typer.Option("--without-plugins", help="Report without the plug-ins that a study was made with, and say so."),
    ] = False,
    mixed: Mixed = False,
    quiet: Quiet = False,
) -> None:
    """Render tables and figures from stored runs; the same runs give the same bytes.

    What raises (a figure, a claim) is left out, named on stderr and in the report, and makes the exit code 1.
    """
    from bench.cli import console
    from bench.selectors import split_list
    from bench.sharing.opening import locate, name_of, opened_study

    chosen = None if figures is None else [] if figures == "none" else split_list(figures)
    paths = [locate(name, results) for name in study]
    load_plugins(plugin, *([] if without_plugins else paths), quiet=quiet)
    whole = True
    with ExitStack() as stack:
        # What is no study, or a damaged one, is told before anything is drawn.
        studies = [stack.enter_context(opened_study(path, mixed=mixed)) for path in paths]
        for read in studies:
            say_what_is_missing(read, refuse=not without_plugins)
        for path, read in zip(paths, studies, strict=True):
            place = path.parent.relative_to(results) if path.parent.is_relative_to(results) else Path()
            whole &= console.print_report(read, reports, place / name_of(path), figures=chosen, quiet=quiet)
    raise typer.Exit(0 if whole else 1)
