"""Running a study from the command line, and its report afterwards: what `run` and `tune` share."""

from __future__ import annotations

import shlex
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import typer

from bench.api.request import StudyRequest
from bench.api.running import execute
from bench.cli import console
from bench.cli.common import load_plugins, say, say_what_is_missing
from bench.cli.progress import Progress
from bench.errors import BenchError
from bench.execution.calibration import STUDY
from bench.execution.plan import Rerun
from bench.sharing.opening import opened_study
from bench.spec import RunSpec


def run_all(
    request: StudyRequest,
    results: Path,
    *,
    jobs: int,
    rerun: Rerun,
    repair: bool = False,
    plugin: list[Path] | None,
    mixed: bool,
    reuse: list[Path],
    quiet: bool,
) -> tuple[list[RunSpec], bool]:
    """Run what isn't done of a study in front of somebody, who may stop it; its runs, and whether one failed.

    The plain VAE comes first where set points are shares of a KL that isn't known yet.

    Raises
    ------
    BenchError
        As `bench.execution.run.run_study` and `bench.execution.calibration.calibrate`.
    """
    command = shlex.join(["bench", *sys.argv[1:]])
    if request.waits is not None and not quiet:
        say(f"{console.waits_for(request.waits)}: they are trained now, and stay in {results / STUDY}")
    for line in () if quiet else _remarks(request.specs):
        say(line)
    try:
        with _stopped_by_signals():
            outcomes = execute(
                request,
                results,
                n_jobs=jobs,
                rerun=rerun,
                repair=repair,
                plugins=plugin or [],
                command=command,
                mixed=mixed,
                reuse=reuse,
                watcher=Progress(quiet=quiet),
                settled=lambda: None if quiet else console.print_shares(request.known),
            )
    except KeyboardInterrupt:
        typer.echo("\nbench: stopped; finished runs are kept, the same command goes on from here", err=True)
        raise typer.Exit(130) from None
    return request.specs, any(outcome.state == "failed" for outcome in outcomes)


def report_all(
    folder: Path, reports: Path, name: str, *, mixed: bool, quiet: bool, jobs: int, failed: bool = False
) -> bool:
    """Write the report of a study that has just run; whether it is whole.

    Raises
    ------
    BenchError
        If there is nothing to report, unless runs failed: they are the news, and the rest follows from them.
    """
    try:
        load_plugins(None, folder, quiet=quiet)
        with opened_study(folder, mixed=mixed) as read:
            say_what_is_missing(read, refuse=True)
            return console.print_report(read, reports, Path(name), quiet=quiet, n_jobs=jobs)
    except BenchError as error:
        if not failed:
            raise
        say(f"bench: no report: {error}", err=True)
        return False


def _remarks(specs: Sequence[RunSpec]) -> list[str]:
    """What is remarkable about data that are a user's own."""
    from bench.dataset import load_dataset

    own = {spec.dataset.sha256: spec.dataset for spec in specs if spec.dataset.about}
    return [
        f"{data.name}: {remark}"
        for data in own.values()
        for remark in load_dataset(data.name, data.all_options).remarks
    ]


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """Stop once, and cleanly, on Ctrl-C, SIGTERM or a terminal that closes; ``nohup`` keeps its word.

    Once stopped, the process heeds no more of them: Ctrl-C again, while workers are stopped and Python itself ends,
    would hasten nothing and leave a traceback.
    """
    names = ("SIGINT", "SIGTERM", "SIGHUP")
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    heeded = [number for number in numbers if before[number] not in (signal.SIG_IGN, None)]

    def interrupt(*_: object) -> NoReturn:
        for number in heeded:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in heeded:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number in heeded:
            if signal.getsignal(number) is interrupt:
                signal.signal(number, before[number])
