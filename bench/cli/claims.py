"""The command `claims`: what the papers say, and what the runs say to it."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.common import load_plugins, say
from bench.cli.options import Json, Plugins, Results
from bench.errors import BenchError, did_you_mean
from bench.files import write_out

if TYPE_CHECKING:
    from bench.results.study import Study

FORMATS = (".md", ".csv", ".json")


def claims(
    study: Annotated[
        list[str] | None,
        typer.Argument(
            help="Studies, by name, folder or archive; default: all in --results and those in its folder reference."
        ),
    ] = None,
    results: Results = Path("results"),
    paper: Annotated[
        list[str] | None,
        typer.Option("--paper", help="Only this paper's claims: dynamicvae, controlvae, ...; repeatable."),
    ] = None,
    claim: Annotated[
        list[str] | None,
        typer.Option("--claim", help="Only this claim, with every test: dynamicvae.C3b, or C3b; repeatable."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Also write a file, with every test: .md, .csv or .json."),
    ] = None,
    plugin: Plugins = None,
    json: Json = False,
) -> None:
    """Judge the papers' claims by the stored runs: reproduced, contradicted, undecided or not run."""
    if out is not None and out.suffix not in FORMATS:
        raise BenchError(f"--out '{out}': the name must end in {', '.join(FORMATS)}{did_you_mean(out.suffix, FORMATS)}")

    from bench.claims.render import render
    from bench.claims.select import pools
    from bench.claims.verdict import choose, ledger
    from bench.sharing.opening import locate, name_of, opened_study, studies_in

    load_plugins(plugin)
    places = (results, results / "reference")
    named = [locate(name, *places) for name in study or []]
    kept: list[tuple[Study, Path]] = []
    # Curves are read while claims are judged.
    with ExitStack() as stack:
        for path in named or [path for place in places for path in studies_in(place)]:
            try:
                read = stack.enter_context(opened_study(path))
                if read.meta.get("tuning"):
                    # Claims are about methods, and at seeds on which no setting was chosen.
                    raise BenchError("it tried settings; run the winners with `bench run --tuned`")
                # Of a run in several studies the first one's scores count: the user's own go before the references.
                pools([*(study for study, _ in kept), read])
                kept.append((read, path))
            except BenchError as error:
                if named:
                    raise
                say(f"bench: warning: {name_of(path)} is left out: {error}", err=True)
        verdicts = ledger([study for study, _ in kept], names=paper or None, called=_called(kept, places[1]))
    if claim:
        verdicts = choose(verdicts, claim)
    if out is not None:
        write_out(out, render(verdicts, out.suffix))
    (typer.echo if json else say)(render(verdicts, ".json" if json else ".md", tests=bool(claim)), nl=False)


def _called(kept: list[tuple[Study, Path]], reference: Path) -> list[str]:
    """Names that tell studies apart: reference studies beside the user's own are marked, two of one name by path."""
    both = len({path.parent == reference for _, path in kept}) > 1
    names = [f"{study.name} (reference)" if both and path.parent == reference else study.name for study, path in kept]
    return [f"{name} ({path})" if names.count(name) > 1 else name for name, (_, path) in zip(names, kept, strict=True)]
