"""The command `doctor`: whether this installation can be trusted."""

from __future__ import annotations

import typer

from bench.cli.options import Json


def doctor(json: Json = False) -> None:
    """Print the environment and what would change numbers in it; exits with 1 if wrong values are computed."""
    from bench.check.doctor import as_json, diagnose, text

    diagnosis = diagnose()
    typer.echo(as_json(diagnosis) if json else text(diagnosis), nl=False)
    raise typer.Exit(1 if diagnosis.wrong else 0)
