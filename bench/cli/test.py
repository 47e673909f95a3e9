"""The command `test`, which holds plug-ins to their contracts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from bench.cli.common import load_plugins
from bench.cli.options import Json, Plugins
from bench.errors import BenchError


def hold(
    target: Annotated[
        str,
        typer.Argument(
            metavar="FILE|NAME", help="A plug-in file, an installed plug-in, or a method, dataset, metric or network."
        ),
    ],
    method: Annotated[
        list[str] | None,
        typer.Option("-m", "--method", help=r"Hyper-parameters other than its defaults: name\[key=value]; repeatable."),
    ] = None,
    dataset: Annotated[
        list[str] | None,
        typer.Option("-d", "--dataset", help=r"Options other than its defaults: name\[option=value]; repeatable."),
    ] = None,
    plugin: Plugins = None,
    json: Json = False,
) -> None:
    """Check that a method, dataset, metric or network keeps its contract; exits with 1 if a check fails."""
    import json as writer
    from dataclasses import asdict

    from bench.selectors import parse_selection, split_list
    from bench.testing.checks import run_checks
    from bench.testing.targets import find

    load_plugins(plugin)
    targets = find(target)
    settings = {}
    for kind, given in (("method", method), ("dataset", dataset)):
        for selection in (parse_selection(part) for item in given or [] for part in split_list(item)):
            if (kind, selection.name) not in targets:
                raise BenchError(f"{kind} '{selection.name}' isn't what is tested: {_listed(targets)}")
            if any(len(values) > 1 for values in selection.values.values()):
                raise BenchError(f"{kind} '{selection.name}': one value for each setting, please")
            settings[kind, selection.name] = {key: values[0] for key, values in selection.values.items()}
    outcomes = []
    for kind, name in targets:
        if not json:
            typer.echo(f"{kind} {name}")
        for outcome in run_checks(kind, name, settings.get((kind, name))):
            outcomes.append(outcome)
            if not json:
                mark = "passed" if outcome.passed else "FAILED"
                typer.echo(f"  {mark}  {outcome.check}" + (f": {outcome.reason}" if outcome.reason else ""))
    failed = sum(not outcome.passed for outcome in outcomes)
    if json:
        content = {
            "passed": not failed,
            "checks": [{**asdict(outcome), "passed": outcome.passed} for outcome in outcomes],
        }
        typer.echo(writer.dumps(content, indent=1, ensure_ascii=False))
    else:
        typer.echo(f"{len(outcomes)} checks: {len(outcomes) - failed} passed, {failed} failed")
    raise typer.Exit(1 if failed else 0)


def _listed(targets: Sequence[tuple[str, str]]) -> str:
    return ", ".join(f"{kind} '{name}'" for kind, name in targets)
