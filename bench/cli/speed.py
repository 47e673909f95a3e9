"""The command `speed`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from bench.speed import section_names


def speed(
    section: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Argument(help=f"{', '.join(section_names())}; default: all."),
    ] = None,
    repeats: Annotated[int, typer.Option("--repeats", help="Timed rounds per case.", min=1)] = 3,
    full: Annotated[bool, typer.Option("--full", help="Do long cases in full instead of extrapolating.")] = False,
    json: Annotated[str, typer.Option("--json", metavar="FILE", help="File for the timings; - prints them.")] = "",
    compare: Annotated[Optional[Path], typer.Option("--compare", help="Compare with an earlier --json file.")] = None,  # noqa: UP045
    figure: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--figure", help="Draw the ratios: a PNG and a PDF of this name."),
    ] = None,
) -> None:
    """Benchmark training, metrics and the rest on this machine, against plain implementations (minutes)."""
    from bench.speed import report as speed_report

    speed_report.run(section or [], repeats=repeats, full=full, json_file=json, compare=compare, figure=figure)
