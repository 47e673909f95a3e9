"""The command line: thin, and quick to start (torch and pandas are imported by the commands that need them)."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from bench import __version__
from bench.cli import check, claims, data, doctor, report, score, share, speed, test, tune, verify
from bench.cli.common import load_plugins, resolve_study, say
from bench.cli.options import (
    Config,
    Datasets,
    Hyper,
    Jobs,
    Json,
    Methods,
    Metrics,
    Mixed,
    Plugins,
    Preset,
    Quiet,
    Reports,
    Results,
    Seeds,
    Settings,
    Study,
    StudyName,
    Tuned,
)
from bench.errors import BenchError, did_you_mean
from bench.files import UTF_8


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"disbench {__version__}")
        raise typer.Exit


app = typer.Typer(
    name="bench",
    help="Which VAEs disentangle, and at what price in reconstruction: train, evaluate, compare, report.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _bench(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    pass


@app.command()
def run(
    config: Config = None,
    method: Methods = None,
    dataset: Datasets = None,
    metric: Metrics = None,
    seeds: Seeds = None,
    preset: Preset = None,
    hyper: Hyper = None,
    tuned: Tuned = None,
    set_: Settings = None,
    study: StudyName = None,
    results: Results = Path("results"),
    reports: Reports = Path("reports"),
    jobs: Jobs = 0,
    rerun: Annotated[
        str | None,
        typer.Option("--rerun", help="Run again: diverged or all. Failed runs are always tried again."),
    ] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Train damaged runs again, those that `bench verify` lists.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan, run nothing.")] = False,
    plugin: Plugins = None,
    mixed: Mixed = False,
    reuse: Annotated[
        list[str] | None,
        typer.Option("--reuse", help="Take finished runs with the same id from this study; repeatable."),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Train and evaluate every run of a study that isn't done yet, then write its report."""
    from bench.cli import console
    from bench.cli.running import report_all, run_all
    from bench.sharing.opening import locate

    request = resolve_study(
        preset, config, set_, method, dataset, metric, seeds, study, plugin, hyper, results, tuned=tuned
    )
    name = request.name
    if rerun not in (None, "diverged", "all"):
        raise BenchError(f"--rerun {rerun}{did_you_mean(rerun, ['diverged', 'all'])}; it is diverged or all")
    if dry_run:
        console.print_plan(request, results / name, as_json=False)
        return
    _, failed = run_all(
        request,
        results,
        jobs=jobs,
        repair=repair,
        rerun="all" if rerun == "all" else "diverged" if rerun == "diverged" else "",
        plugin=plugin,
        mixed=mixed,
        reuse=[locate(other, results) for other in reuse or []],
        quiet=quiet,
    )
    whole = report_all(results / name, reports, name, mixed=mixed, quiet=quiet, jobs=jobs, failed=failed)
    raise typer.Exit(1 if failed or not whole else 0)


@app.command()
def plan(
    config: Config = None,
    method: Methods = None,
    dataset: Datasets = None,
    metric: Metrics = None,
    seeds: Seeds = None,
    preset: Preset = None,
    hyper: Hyper = None,
    tuned: Tuned = None,
    set_: Settings = None,
    study: StudyName = None,
    results: Results = Path("results"),
    plugin: Plugins = None,
    json: Json = False,
    print_config: Annotated[
        bool, typer.Option("--print-config", help="Print the resolved study file instead of the runs.")
    ] = False,
) -> None:
    """Print the runs that `bench run` would do with the same options, fully resolved."""
    from bench.cli import console

    request = resolve_study(
        preset, config, set_, method, dataset, metric, seeds, study, plugin, hyper, results, tuned=tuned
    )
    if print_config:
        import tomli_w

        from bench.config.hyper_choice import current_spelling

        typer.echo(tomli_w.dumps(current_spelling(request.study.model_dump(mode="json"))), nl=False)
    else:
        console.print_plan(request, results / request.name, as_json=json)


@app.command()
def status(
    study: Study,
    results: Results = Path("results"),
    json: Json = False,
) -> None:
    """Print the status of every planned run: done, damaged, diverged, failed, in work or not run yet."""
    from bench.cli import console
    from bench.sharing.opening import locate, opened

    with opened(locate(study, results)) as folder:
        console.print_status(folder, as_json=json)


@app.command("list")
def list_(
    kind: Annotated[
        str,
        typer.Argument(help="methods, datasets, metrics, figures, networks, presets, studies or results."),
    ],
    pattern: Annotated[str, typer.Argument(help="Only names that match this glob.")] = "*",
    results: Results = Path("results"),
    plugin: Plugins = None,
    json: Json = False,
) -> None:
    """List methods, data sets, metrics, figures, networks, presets, studies or stored results."""
    from bench.cli import listing

    load_plugins(plugin)
    listing.print_list(kind, pattern, results, as_json=json)


@app.command()
def show(
    name: Annotated[
        str,
        typer.Argument(
            help="A run's id; a method, dataset, metric, network or figure; or a table of a study file: study, train, "
            "evaluation, tuning."
        ),
    ],
    results: Results = Path("results"),
    plugin: Plugins = None,
    json: Json = False,
) -> None:
    """Show a run's result and provenance, or a method's (data set's, metric's, ...) documentation and settings."""
    from bench.cli import listing

    load_plugins(plugin)
    listing.print_one(name, results, as_json=json)


app.command()(report.aggregate)
app.command()(report.report)
app.command()(tune.tune)
app.command()(check.check)
app.command("test")(test.hold)
app.command()(claims.claims)
app.command()(doctor.doctor)
app.command()(score.score)
app.command()(share.export)
app.command("import")(share.import_)
app.command()(share.compare)
app.command()(verify.verify)
app.command()(speed.speed)
app.add_typer(data.app)


def main() -> NoReturn:
    """Entry point of the command ``bench``: the user's errors become one line and exit code 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal without β and arrows shows question marks; a study's results aren't lost to that. What goes
            # to a file or another program is UTF-8 everywhere, as the files that we write are.
            if stream.isatty():
                stream.reconfigure(errors="replace")
            else:
                stream.reconfigure(encoding=UTF_8["encoding"], errors=UTF_8["errors"])
    try:
        app(standalone_mode=True)
    except BenchError as error:
        say(f"bench: {' '.join(str(error).splitlines())}", err=True)
        sys.exit(2)
    except BrokenPipeError:
        # The reader of our output (head, less) has gone away; there is nobody left to tell.
        sys.stderr.close()
        sys.exit(141)
    sys.exit(0)
