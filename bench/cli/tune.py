"""The command `tune`: every method at the same tuning budget, and a file of the winners."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench.cli.common import load_plugins, resolve_study, say
from bench.cli.options import (
    Config,
    Datasets,
    Jobs,
    Methods,
    Metrics,
    Mixed,
    Plugins,
    Preset,
    Quiet,
    Reports,
    Results,
    Settings,
    StudyName,
)

if TYPE_CHECKING:
    from bench.api.request import StudyRequest
    from bench.config.study import StudySpec
    from bench.config.tuned import Winners
    from bench.spec import RunSpec

#: The file that the winners go to, in the study's folder.
TUNED = "tuned.toml"


def tune(
    config: Config = None,
    method: Methods = None,
    dataset: Datasets = None,
    metric: Metrics = None,
    preset: Preset = None,
    set_: Settings = None,
    draws: Annotated[
        int | None,
        typer.Option("--draws", help="Settings to draw for each method, beside its default. Default: 16.", min=1),
    ] = None,
    seeds: Annotated[
        str | None,
        typer.Option(
            "--seeds", help="Tuning seeds: a count (3, the default: 1000-1002), a range or a list, from 1000 on."
        ),
    ] = None,
    rule: Annotated[
        str | None,
        typer.Option("--rule", help="Criterion that chooses the winner: a score (default: mig), udr or elbo."),
    ] = None,
    bound: Annotated[
        str | None,
        typer.Option(
            "--bound",
            help="Largest mean reconstruction of a winner: nats (8.5), a quantile of all settings (50%, the default "
            "for a score), times the least (2x), or none.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="File for the winners. Default: tuned.toml in the study's folder."),
    ] = None,
    study: StudyName = None,
    results: Results = Path("results"),
    reports: Reports = Path("reports"),
    jobs: Jobs = 0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the settings and how long they would take, run nothing.")
    ] = False,
    plugin: Plugins = None,
    mixed: Mixed = False,
    reuse: Annotated[
        list[str] | None,
        typer.Option("--reuse", help="Take finished runs with the same id from this study; repeatable."),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Try the same number of settings of every method, choose the best by a rule, and write them down.

    It is a study like any other: stopped, it goes on; another --rule chooses anew from the same runs. `bench run
    --tuned` then runs the winners on seeds that tuning never saw.
    """
    from bench.cli.running import report_all, run_all
    from bench.sharing.opening import locate

    asked_for = {"draws": draws, "rule": rule, "bound": bound}
    request = resolve_study(
        preset, config, set_, method, dataset, metric, seeds, study, plugin, None, results,
        tuning={key: value for key, value in asked_for.items() if value is not None},
    )  # fmt: skip
    folder, name = results / request.name, request.name
    if dry_run:
        _print_plan(request, folder, jobs)
        return
    specs, failed = run_all(
        request, results, jobs=jobs, rerun="", plugin=plugin, mixed=mixed,
        reuse=[locate(other, results) for other in reuse or []], quiet=quiet,
    )  # fmt: skip
    winners = _choose(request.study, specs, folder, out or folder / TUNED, mixed=mixed)
    chosen = request.study.tuning.trials if request.study.tuning else {}
    without = [name for name in chosen if name not in winners.method]
    if without:
        say(f"no winner: {', '.join(without)}: no setting ran well at all tuning seeds, see table_tuning.csv", err=True)
    whole = report_all(folder, reports, name, mixed=mixed, quiet=True, jobs=jobs, failed=failed)
    if not quiet:
        _print_winners(winners)
        words = ["bench", "run", *([config] if config else []), "--preset", request.study.preset]
        methods = [",".join(winners.method)] if without else [_without_values(item) for item in method or []]
        words += [word for item in methods for word in ("-m", item)]
        given = [("-d", dataset), ("--metric", metric), ("--set", set_), ("--plugin", plugin)]
        words += [word for flag, items in given for item in items or [] for word in (flag, str(item))]
        say(f"next: {shlex.join([*words, '--tuned', str(out or folder / TUNED)])}")
    raise typer.Exit(1 if failed or not whole else 0)


def _without_values(methods: str) -> str:
    """Methods without the hyper-parameters that were set by hand; the winners hold those."""
    from bench.selectors import parse_selection, split_list

    return ",".join(parse_selection(item).name for item in split_list(methods))


def _choose(spec: StudySpec, specs: list[RunSpec], folder: Path, file: Path, *, mixed: bool) -> Winners:
    """Compute what the rule needs, choose the winners, and write them."""
    from bench.sharing.opening import opened_study
    from bench.tuning import trials, udr, winners

    load_plugins(None, folder, quiet=True)
    if spec.tuning is not None and spec.tuning.rule == "udr":
        udr.measure(folder, specs)
    with opened_study(folder, mixed=mixed) as read:
        found = winners.winners_of(read, trials.read_trials(read))
    winners.write(found, file)
    say(f"tuned: {file}")
    return found


def _print_plan(request: StudyRequest, folder: Path, jobs: int) -> None:
    """The settings that would be tried, and how long that would take, measured on a few steps of each kind of run."""
    import os

    from bench.cli import console
    from bench.cli.progress import estimate
    from bench.execution.plan import plan
    from bench.results.store import Store

    console.print_plan(request, folder, as_json=False)
    if request.specs:
        left = plan(request.specs, Store(folder))
        estimate(console.out, left.left, left.workers(jobs or os.cpu_count() or 1), shortest=0)


def _print_winners(winners: Winners) -> None:
    from bench.formatting import interval, markdown_table, number, three_digits

    rows: list[list[str]] = []
    for method, found in winners.method.items():
        marks = "" if found.meets_bound else " (no setting meets the bound)"
        hyper = ", ".join(f"{key}={_short(value)}" for key, value in found.hyper.items())
        value = f"{number(found.value, 3)} {interval(found.low, found.high, 3)}".strip()
        nats = "n/a" if found.reconstruction is None else three_digits(found.reconstruction)
        rows.append([method, f"{found.setting} ({found.tried} tried){marks}", value, nats, hyper])
    say("")
    say(markdown_table(["method", "setting", f"{winners.rule} (too good)", "reconstruction", "hyper-parameters"], rows))


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
