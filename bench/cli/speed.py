"""The command `speed`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.speed import section_names


def speed(
    section: Annotated[
        list[str] | None,
        typer.Argument(help=f"{', '.join(section_names())}; default: all."),
    ] = None,
    repeats: Annotated[int, typer.Option("--repeats", help="Timed rounds per case.", min=1)] = 3,
    full: Annotated[bool, typer.Option("--full", help="Do long cases in full instead of extrapolating.")] = False,
    json: Annotated[str, typer.Option("--json", metavar="FILE", help="File for the timings; - prints them.")] = "",
    compare: Annotated[Path | None, typer.Option("--compare", help="Compare with an earlier --json file.")] = None,
    figure: Annotated[
        Path | None,
        typer.Option("--figure", help="Draw the ratios: a PNG and a PDF of this name."),
    ] = None,
) -> None:
    """Benchmark training, metrics and the rest on this machine, against plain implementations (minutes)."""
    from bench.speed import report as speed_report

    speed_report.run(section or [], repeats=repeats, full=full, json_file=json, compare=compare, figure=figure)
