"""The command `check`: whether the numbers still come out as they are stored."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from bench.cli.common import load_plugins
from bench.cli.options import Jobs, Json, Metrics, Plugins, Quiet, Results
from bench.errors import BenchError
from bench.files import write_out


def check(
    tier: Annotated[
        str,
        typer.Option(
            "--tier", help="Tiers, as 0,1 or 0-2: 0 formulas, 1 trajectories, 2 statistics, 3 published values."
        ),
    ] = "0,1",
    method: Annotated[
        list[str] | None,
        typer.Option("-m", "--method", help="Only these methods: a name, a group or a glob; repeatable."),
    ] = None,
    metric: Metrics = None,
    record: Annotated[bool, typer.Option("--record", help="Store reference values of what has none yet.")] = False,
    update: Annotated[
        bool,
        typer.Option(
            "--update",
            help="Store what moved; needs a new version and a line under 'Changed scores'.",
        ),
    ] = False,
    baselines: Annotated[
        Path | None,
        typer.Option("--baselines", help="Folder of the reference values. Default: the project's own."),
    ] = None,
    night: Annotated[int, typer.Option("--night", help="Number that chooses the fresh seeds of tier 2.", min=0)] = 0,
    jobs: Jobs = 0,
    results: Results = Path("results"),
    plugin: Plugins = None,
    json: Json = False,
    junit: Annotated[Path | None, typer.Option("--junit", help="Also write JUnit XML.")] = None,
    markdown: Annotated[
        Path | None,
        typer.Option("--markdown", help="Also write a summary for a pull request."),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Compare scores, losses and short trainings with stored ones; exits with 3 if they moved."""
    tiers = _tiers(tier)
    if record and update:
        raise BenchError("--record and --update exclude each other: --update also stores what isn't stored yet")

    from bench.check.baselines import baseline_folder, in_checkout
    from bench.check.render import as_json, regressions, text
    from bench.check.render import junit as as_junit
    from bench.check.render import markdown as as_markdown
    from bench.check.request import Mode, Request
    from bench.check.run import check as run
    from bench.selectors import split_list
    from bench.testing.targets import brought_by

    load_plugins(plugin)
    if plugin and baselines is None:
        raise BenchError("--plugin needs --baselines: a folder of your own for what is stored of your plug-in")
    if (record or update) and baselines is None and not in_checkout():
        raise BenchError("--record and --update need --baselines: a folder of your own, beside your code")
    if plugin and not (method or metric):
        # A user's baselines hold what is the user's.
        method, metric = (
            [name for kind, name in brought_by(plugin) if kind == wanted] for wanted in ("method", "metric")
        )
        if not (method or metric):
            raise BenchError("the plug-in registers no method and no metric: there is nothing to check")
    mode: Mode = "update" if update else "record" if record else "compare"
    if mode == "compare" and baselines is not None and not baselines.is_dir():
        raise BenchError(f"--baselines '{baselines}': no such folder; bench check --record makes it")
    began = time.monotonic()

    def tell(line: str) -> None:
        if not quiet:
            typer.echo(f"{time.monotonic() - began:5.0f} s  {line}", err=True)

    request = Request(
        baselines=baselines or baseline_folder(),
        mode=mode,
        methods=tuple(part for item in method for part in split_list(item)) if method else None,
        metrics=tuple(part for item in metric for part in split_list(item)) if metric else None,
        results=results,
        plugins=tuple(path.resolve() for path in plugin or []),
        jobs=jobs,
        night=night,
        tell=tell,
    )
    findings = run(request, tiers)
    for option, file, rendered in (("--junit", junit, as_junit), ("--markdown", markdown, as_markdown)):
        if file is not None:
            write_out(file, rendered(findings), option)
    typer.echo(as_json(findings) if json else text(findings), nl=False)
    raise typer.Exit(3 if regressions(findings) else 0)


def _tiers(words: str) -> list[int]:
    from bench.selectors import parse_seeds

    try:
        # A single number is a tier, not a count of them.
        chosen = sorted({int(words)} if words.strip().isdigit() else set(parse_seeds(words)))
    except (BenchError, ValueError):
        chosen = []
    if not chosen or not set(chosen) <= {0, 1, 2, 3}:
        raise BenchError(f"--tier {words}: tiers are 0, 1, 2 and 3, as 0,1 or 0-2")
    return chosen
