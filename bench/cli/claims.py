"""The command `claims`: what the papers say, and what the runs say to it."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Optional

import typer

from bench.cli.common import load_plugins, say
from bench.cli.options import Json, Plugins, Results
from bench.errors import BenchError, did_you_mean
from bench.files import write_out

FORMATS = (".md", ".csv", ".json")


def claims(
    study: Annotated[
        Optional[list[str]],  # noqa: UP045  (typer reads the annotation at run time)
        typer.Argument(help="Studies, by name, folder or archive; default: all in --results, else the committed ones."),
    ] = None,
    results: Results = Path("results"),
    paper: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--paper", help="Only this paper's claims: dynamicvae, controlvae, ...; repeatable."),
    ] = None,
    claim: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--claim", help="Only this claim, with every test: dynamicvae.C3b, or C3b; repeatable."),
    ] = None,
    out: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--out", help="Also write a file, with every test: .md, .csv or .json."),
    ] = None,
    plugin: Plugins = None,
    json: Json = False,
) -> None:
    """Judge the papers' claims by the stored runs: reproduced, contradicted, undecided or not run."""
    if out is not None and out.suffix not in FORMATS:
        raise BenchError(f"--out '{out}': the name must end in {', '.join(FORMATS)}{did_you_mean(out.suffix, FORMATS)}")

    from bench.claims.render import render
    from bench.claims.verdict import choose, ledger
    from bench.sharing.opening import name_of, opened_study

    load_plugins(plugin)
    studies = []
    # Curves are read while claims are judged.
    with ExitStack() as stack:
        for path in _studies(study or [], results):
            try:
                studies.append(stack.enter_context(opened_study(path)))
            except BenchError as error:
                if study:
                    raise
                say(f"bench: warning: {name_of(path)} is left out: {error}", err=True)
        verdicts = ledger(studies, names=paper or None)
    if claim:
        verdicts = choose(verdicts, claim)
    if out is not None:
        write_out(out, render(verdicts, out.suffix))
    (typer.echo if json else say)(render(verdicts, ".json" if json else ".md", tests=bool(claim)), nl=False)


def _studies(names: list[str], results: Path) -> list[Path]:
    """Studies that are named; all in `results`, or in ``results/reference``, if none is."""
    from bench.sharing.opening import locate, studies_in

    places = (results, results / "reference")
    if names:
        return [locate(name, *places) for name in names]
    return next((found for place in places if (found := studies_in(place))), [])
