"""The command `claims`: what the papers say, and what the runs say to it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from bench.cli.common import load_plugins
from bench.cli.options import Json, Plugins, Results
from bench.errors import BenchError, did_you_mean
from bench.files import write_out

FORMATS = (".md", ".csv", ".json")


def claims(
    study: Annotated[
        Optional[list[str]],  # noqa: UP045  (typer reads the annotation at run time)
        typer.Argument(help="Studies, by name or folder; default: all in --results, else the committed ones."),
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
    from bench.results.study import read_study

    load_plugins(plugin)
    studies = []
    for folder in _folders(study or [], results):
        try:
            studies.append(read_study(folder))
        except BenchError as error:
            if study:
                raise
            typer.echo(f"bench: warning: {folder.name} is left out: {error}", err=True)
    verdicts = ledger(studies, names=paper or None)
    if claim:
        verdicts = choose(verdicts, claim)
    if out is not None:
        write_out(out, render(verdicts, out.suffix))
    typer.echo(render(verdicts, ".json" if json else ".md", tests=bool(claim)), nl=False)


def _folders(names: list[str], results: Path) -> list[Path]:
    """Folders of the studies named; of all in `results`, or in ``results/reference``, if none is."""
    places = (results, results / "reference")
    if names:
        found = []
        for name in names:
            folders = [path for path in (*(place / name for place in places), Path(name)) if _is_study(path)]
            if not folders:
                known = [path.name for place in places for path in _studies(place)]
                raise BenchError(f"no study '{name}' in '{results}'{did_you_mean(name, known)}")
            found.append(folders[0])
        return found
    return next((folders for place in places if (folders := _studies(place))), [])


def _studies(place: Path) -> list[Path]:
    return sorted(file.parent for file in place.glob("*/study.toml"))


def _is_study(folder: Path) -> bool:
    return (folder / "study.toml").is_file()
