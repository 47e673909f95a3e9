"""Commands on stored results: `export`, `import`, `compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.common import load_plugins, say, say_what_is_missing
from bench.cli.options import Json, Mixed, Plugins, Results, Study
from bench.errors import BenchError, did_you_mean
from bench.files import write_out

EXPORTS = (".zip", ".tar.xz", ".parquet")
FORMATS = (".md", ".csv", ".json")


def export(
    study: Study,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="A .zip (default: <study>.zip) or a .tar.xz, or all runs' table as .parquet."),
    ] = None,
    pictures: Annotated[
        str,
        typer.Option("--pictures", help="Pictures to include: none, first-seed (those that figures show), all."),
    ] = "none",
    results: Results = Path("results"),
    plugin: Plugins = None,
    mixed: Mixed = False,
) -> None:
    """Write a study as one file to share: its records with checksums, without weights and without your paths."""
    from bench.sharing.export import export_archive, export_table
    from bench.sharing.opening import locate, name_of, opened

    path = locate(study, results)
    load_plugins(plugin, path)
    target = Path(f"{name_of(path.resolve())}.zip") if out is None else out
    _check_suffix(target, EXPORTS)
    with opened(path) as folder:
        if target.suffix == ".parquet":
            if pictures != "none":
                raise BenchError("--pictures belongs to a .zip or .tar.xz: a table holds none")
            rows = export_table(folder, target, mixed=mixed)
            typer.echo(f"export: {target} ({rows} rows)")
            return
        done = export_archive(folder, target, pictures=pictures)
    typer.echo(f"export: {target} ({len(done.runs)} runs, {target.stat().st_size / 2**20:.1f} MiB)")
    if done.failed:
        typer.echo(f"bench: {len(done.failed)} runs that failed aren't in it: {', '.join(done.failed)}", err=True)
    if done.paths_left:
        text = (
            f"the settings of {len(done.paths_left)} runs hold absolute paths, which stay: the runs' ids depend on them"
        )
        typer.echo(f"bench: warning: {text} ({done.paths_left[0]}, ...)", err=True)


def import_(
    file: Annotated[Path, typer.Argument(help="Archive that `bench export` wrote.")],
    study: Annotated[
        str | None,
        typer.Option("--study", help="Name of its folder here. Default: the name it has in the file."),
    ] = None,
    results: Results = Path("results"),
    merge: Annotated[bool, typer.Option("--merge", help="Add its runs to the study of that name.")] = False,
    mixed: Mixed = False,
) -> None:
    """Import a study that was exported: it is checked first, and imported as a whole or not at all."""
    from bench.sharing.import_ import import_study

    done = import_study(file, results, name=study, merge=merge, mixed=mixed)
    there = f", {len(done.known)} were there already" if done.known else ""
    typer.echo(f"import: {done.path} ({len(done.added)} runs added{there}); next: bench report {done.path}")


def compare(
    a: Study,
    b: Study,
    margin: Annotated[
        list[str] | None,
        typer.Option("--margin", help="score=value: ask whether the two differ by less than that; repeatable."),
    ] = None,
    results: Results = Path("results"),
    plugin: Plugins = None,
    mixed: Mixed = False,
    out: Annotated[Path | None, typer.Option("--out", help="Also write a file: .md, .csv or .json.")] = None,
    json: Json = False,
) -> None:
    """Compare two studies, method by method and score by score: B - A over seeds, with intervals."""
    from bench.comparison import compare as comparison_compare
    from bench.comparison.render import render
    from bench.sharing.opening import locate

    if out is not None:
        _check_suffix(out, FORMATS)
    margins = dict(_margin(text) for text in margin or [])
    sides = [locate(name, results) for name in (a, b)]
    load_plugins(plugin, *sides)
    studies = [comparison_compare.load_study(side) for side in sides]
    for study in studies:
        say_what_is_missing(study)
    found = comparison_compare.compare(*studies, margins=margins, mixed=mixed)
    if out is not None:
        write_out(out, render(found, out.suffix))
    (typer.echo if json else say)(render(found, ".json" if json else ".md"), nl=False)


def _check_suffix(file: Path, known: tuple[str, ...]) -> None:
    if not file.name.endswith(known):
        raise BenchError(f"--out '{file}': the name must end in {' or '.join(known)}{did_you_mean(file.suffix, known)}")


def _margin(text: str) -> tuple[str, float]:
    # A score's own options may hold an equals sign.
    score, _, value = text.rpartition("=")
    try:
        number = float(value)
    except ValueError:
        number = 0.0
    if not score or not 0 < number < float("inf"):
        raise BenchError(f"--margin '{text}': write it as score=value with a value above 0, for example mig=0.05")
    return score, number
