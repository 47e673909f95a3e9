"""`run`: a study trained, evaluated and opened, as ``bench run`` does it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.api.request import StudyRequest, make_request
from bench.api.study import Study, load_study
from bench.errors import BenchError
from bench.execution.calibration import calibrate
from bench.execution.plan import Rerun
from bench.execution.run import Watcher, run_study
from bench.execution.task import Outcome
from bench.registry import load_plugin
from bench.sharing.opening import locate


def run(
    study: str | Path = "quick",
    *,
    preset: str | None = None,
    methods: Sequence[str] | str | None = None,
    datasets: Sequence[str] | str | None = None,
    metrics: Sequence[str] | str | None = None,
    seeds: int | Sequence[int] | str | None = None,
    hyper: str | None = None,
    tuned: str | Path | None = None,
    settings: Mapping[str, Any] | Sequence[str] | None = None,
    name: str | None = None,
    results: str | Path = "results",
    n_jobs: int = 0,
    rerun: Rerun = "",
    repair: bool = False,
    plugins: Sequence[str | Path] | str | Path = (),
    reuse: Sequence[str | Path] | str | Path = (),
    mixed: bool = False,
    watcher: Watcher | None = None,
) -> Study:
    """Train and evaluate every run of a study that isn't done yet.

    The same call goes on where an earlier one was stopped, and changes nothing where all is done. What runs is what
    ``bench run`` runs with the same options, to the same bytes.

    Parameters
    ----------
    study : str or Path
        A preset ("smoke", "quick", ...), a study that comes with Disbench ("equal_kl", ...) or a TOML file.
    preset : str, optional
        Of a study; by default the one its file names, else "quick".
    methods, datasets, metrics : sequence of str, or str, optional
        As on the command line: ``"beta_vae[beta=1,4]"``, ``"all"``, globs. By default the study's.
    seeds : int, sequence of int, or str, optional
        A count (seeds 0 to n - 1), the seeds themselves, or text such as "0-4".
    hyper : {"shared", "published", "tuned"}, optional
        Who chose the hyper-parameters: one setting that all methods share (the default), each method's authors, or
        `bench tune`.
    tuned : str or Path, optional
        What `bench tune` wrote: each method as in this file and, beside it, at its default. Implies ``hyper="tuned"``.
    settings : mapping or sequence of str, optional
        ``{"train.steps": 1000, "beta_vae.beta": 2}``, or lines as ``--set`` takes them.
    name : str, optional
        Of the results folder; by default as the command line calls it.
    results : str or Path
        Where studies are kept.
    n_jobs : int
        Worker processes; 0: one per core. No number depends on it.
    rerun : {"", "diverged", "all"}
        What is done again.
    repair : bool
        Read finished runs whole, and train again what is damaged or has lost its weights.
    plugins : path, or sequence of path
        Python files that register methods, data sets, metrics or figures.
    reuse : str or path, or sequence of them
        Studies whose finished runs of the same id are taken over.
    mixed : bool
        Allow runs of other versions beside those that are stored.
    watcher : Watcher, optional
        Is told how the study goes; by default nobody is.

    Returns
    -------
    Study
        Of a run that failed, `Study.failures` has the error, and a warning says so.

    Raises
    ------
    BenchError
        Unknown names, impossible values, a folder that can't be written or compared with.

    Examples
    --------
    >>> study = run("smoke", methods="beta_vae[beta=1,4]", seeds=1)  # doctest: +SKIP
    >>> study.runs[["method", "hyper.beta", "mig", "kl"]]  # doctest: +SKIP
    """
    if n_jobs < 0:
        raise BenchError(f"n_jobs={n_jobs}: give a number of worker processes, or 0 for one per core")
    files = [Path(file) for file in _several(plugins)]
    for file in files:
        load_plugin(file)
    root = Path(results)
    request = make_request(
        study, preset=preset, methods=methods, datasets=datasets, metrics=metrics, seeds=seeds, hyper=hyper,
        settings=settings, name=name, results=root, tuned=tuned,
    )  # fmt: skip
    if rerun not in ("", "diverged", "all"):
        raise BenchError(f"rerun={rerun!r}: it is 'diverged', 'all' or ''")
    outcomes = execute(
        request,
        root,
        n_jobs=n_jobs,
        rerun=rerun,
        repair=repair,
        plugins=files,
        command=f"bench.run({str(study)!r})",
        mixed=mixed,
        reuse=[locate(str(other), root) for other in _several(reuse)],
        watcher=watcher,
    )
    failed = [outcome.run for outcome in outcomes if outcome.state == "failed"]
    if failed:
        warnings.warn(f"{len(failed)} of {len(outcomes)} runs failed: see `failures` of the study", stacklevel=2)
    return load_study(root / request.name, mixed=mixed)


def _several(paths: Sequence[str | Path] | str | Path) -> Sequence[str | Path]:
    return [paths] if isinstance(paths, str | Path) else paths


def execute(
    request: StudyRequest,
    results: Path,
    *,
    n_jobs: int,
    rerun: Rerun,
    repair: bool,
    plugins: Sequence[Path],
    command: str,
    mixed: bool,
    reuse: Sequence[Path],
    watcher: Watcher | None,
    settled: Callable[[], None] = lambda: None,
) -> list[Outcome]:
    """Run what isn't done of a study that was asked for, the plain VAE first where set points wait for its KL.

    Parameters
    ----------
    request : StudyRequest
        Its `specs` are known afterwards.
    results : Path
    n_jobs, rerun, repair, plugins, command, mixed, reuse, watcher
        As `bench.execution.run.run_study` has them.
    settled : callable
        Called once all set points are known, before the study runs.

    Raises
    ------
    BenchError
        As `bench.execution.run.run_study` and `bench.execution.calibration.calibrate`.
    """
    if request.waits is not None:
        calibrate(
            request.study, request.waits, results, n_jobs=n_jobs, plugins=plugins, command=command, watcher=watcher
        )
        request.specs, request.waits = request.expanded(), None
    settled()
    return run_study(
        request.study,
        request.specs,
        results / request.name,
        n_jobs=n_jobs,
        rerun=rerun,
        repair=repair,
        plugins=plugins,
        command=command,
        mixed=mixed,
        # A calibration's runs of the plain VAE may be wanted here, too.
        reuse=[*reuse, *request.known.calibrations],
        plain_kl=request.known.used.values(),
        watcher=watcher,
    )
