"""The plain VAE's KL, which shares refer to: looked up, or computed first by a study of its own (the calibration).

Run as a module it writes what a results folder or archive holds into the table that comes with Disbench::

    python -m bench.execution.calibration results/reference/quick-dsprites.tar.xz
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.config.plain_kl import (
    LEAST_SEEDS,
    PLAIN,
    PlainKL,
    add_to_table,
    key_of,
    packaged_kl,
    read_plain_kls,
    training_of,
)
from bench.config.study import EvaluationSettings, StudySpec
from bench.config.wanted_kl import UnknownKLError
from bench.errors import BenchError
from bench.execution.run import Watcher, run_study
from bench.files import read_toml
from bench.metrics.measure import find_metric
from bench.results.read import AWAY, entries
from bench.results.record import read_json, read_run
from bench.results.schemas import ProvenanceRecord
from bench.results.store import Store
from bench.sharing.opening import opened
from bench.spec import EvaluationSpec, RunSpec

#: Name of the study.
STUDY = "plain_vae"
SEEDS = range(5)


class KnownKLs:
    """Finds the plain VAE's KL for a study, and remembers what it found.

    It looks where the study itself was given one, so that its set points stay what they are when it is continued, then
    into the table that comes with Disbench, then at the runs of an earlier calibration.

    Parameters
    ----------
    folder : Path
        ``results/<study>``.
    results : Path
        ``results``.
    file : Path, optional
        The study's own file, which may be the record of another one.

    Attributes
    ----------
    used : dict of str to PlainKL
        What was found, by `PlainKL.key`.
    """

    def __init__(self, folder: Path, results: Path, file: Path | None = None) -> None:
        self.calibration = Store(results / STUDY)
        self.sources = [source for source in (file, folder / "study.toml") if source is not None]
        self.used: dict[str, PlainKL] = {}

    def __call__(self, plain: RunSpec) -> PlainKL | None:
        """See `bench.config.plain_kl.FindKL`."""
        found = self.recorded.get(key_of(plain)) or packaged_kl(plain) or calibrated(self.calibration, plain)
        if found is not None:
            self.used[found.key] = found
        return found

    @functools.cached_property
    def recorded(self) -> dict[str, PlainKL]:
        """What the study itself was given, by `PlainKL.key`.

        Raises
        ------
        BenchError
            If its record can't be read.
        """
        found: dict[str, PlainKL] = {}
        for source in filter(Path.is_file, self.sources):
            record = read_toml(source, way_out=AWAY).get("record", {})
            items = record.get("plain_kl", []) if isinstance(record, dict) else []
            found |= read_plain_kls(items, f"'{source}'")
        return found

    @property
    def calibrations(self) -> list[Path]:
        """The calibration's folder, if there is one and KLs are wanted."""
        return [self.calibration.path] if self.used and self.calibration.runs.is_dir() else []


def calibrated(store: Store, plain: RunSpec) -> PlainKL | None:
    """The KL that finished runs give, if all that the calibration asks for are done.

    Raises
    ------
    BenchError
        If they are, but too few of them ended well; or a record is damaged.
    """
    if not store.runs.is_dir():
        return None
    runs = calibration_runs([plain])
    if not all(store.is_done(run.run_id) for run in runs):
        return None
    found = measured(store, [run.run_id for run in runs])
    if found is None:
        raise BenchError(
            f"'{store.path}': fewer than {LEAST_SEEDS} of {len(runs)} runs of the plain VAE ended well at these "
            "training settings, so there is no KL that set points could be shares of; write them in nats"
        )
    return found


def calibration_runs(plain: Iterable[RunSpec]) -> list[RunSpec]:
    """Runs of the plain VAE that a calibration takes, some seeds of each kind of training."""
    # Of one size whatever the study's is, so that calibrations for several studies lie in one folder.
    sample = EvaluationSettings.model_validate({})
    evaluation = EvaluationSpec(
        n_codes=sample.n_codes, n_images=sample.n_images, metrics={"kl": find_metric("kl").version}
    )
    return [spec.model_copy(update={"seed": seed, "evaluation": evaluation}) for spec in plain for seed in SEEDS]


def calibrate(
    study: StudySpec,
    unknown: UnknownKLError,
    results: Path,
    *,
    n_jobs: int = 0,
    plugins: Sequence[Path] = (),
    command: str = "",
    watcher: Watcher | None = None,
) -> None:
    """Train the plain VAE where its KL is wanted and isn't known, as an ordinary study in the results folder.

    Raises
    ------
    BenchError
        If some run failed; those that are done are kept.
    """
    runs = calibration_runs(unknown.plain)
    asked = StudySpec(
        preset=study.preset,
        description="The plain VAE, whose KL other studies' set points are shares of.",
        methods=[PLAIN],
        datasets=study.datasets,
        dataset=study.dataset,
        seeds=list(SEEDS),
        train=runs[0].train,
        evaluation=EvaluationSettings.model_validate({"metrics": ["kl"]}),
    )
    folder = results / STUDY
    # Runs of other versions stay beside these: which ones count is decided by their specs.
    outcomes = run_study(
        asked, runs, folder, n_jobs=n_jobs, plugins=plugins, command=command, mixed=True, watcher=watcher
    )
    if failed := [outcome for outcome in outcomes if outcome.state == "failed"]:
        raise BenchError(
            f"{len(failed)} of {len(runs)} runs of the plain VAE failed ({failed[0].message}), so the KL that set "
            f"points are shares of isn't known; tracebacks: {folder / 'failed'}; the same command tries them again"
        )


def measured(store: Store, runs: Sequence[str]) -> PlainKL | None:
    """The KL that some finished runs of one training ended with, on average; None if too few ended well."""
    ended: list[tuple[float, dict[str, Any]]] = []
    for run in runs:
        result, _ = read_run(store.runs / run)
        kl = result.get("final", {}).get("kl")
        if result["status"] == "ok" and kl is not None:
            file = store.runs / run / "provenance.json"
            ended.append((float(kl), read_json(file, ProvenanceRecord) if file.is_file() else {}))
    if len(ended) < LEAST_SEEDS:
        return None
    kls = np.array([kl for kl, _ in ended])
    if round(float(kls.mean()), 2) <= 0:
        raise BenchError(
            f"'{store.path}': the plain VAE's KL is {kls.mean():.2g} nats at these training settings: nothing can be a "
            "share of it; train for longer, or write set points in nats"
        )
    days = sorted(str(record.get("started", ""))[:10] for _, record in ended)
    versions = sorted({str(record.get("versions", {}).get("disbench") or "") for _, record in ended} - {""})
    return PlainKL(
        kl=round(float(kls.mean()), 2),
        sd=round(float(kls.std(ddof=1)), 2),
        n_seeds=len(ended),
        measured=days[0],
        disbench=" and ".join(versions),
        training=training_of(store.spec(runs[0])),
    )


def tabulate(path: Path) -> list[PlainKL]:
    """Add every training of the plain VAE in a results folder or archive to the table that comes with Disbench.

    Raises
    ------
    BenchError
        If there is none with enough seeds.
    """
    with opened(path) as folder:
        store = Store(folder)
        kinds: dict[str, list[str]] = {}
        for run in (item.name for item in entries(store.runs) if store.is_done(item.name)):
            spec = store.spec(run)
            if spec.method.name == PLAIN:
                kinds.setdefault(key_of(spec), []).append(run)
        found = [entry for runs in kinds.values() if (entry := measured(store, runs)) is not None]
    if not found:
        raise BenchError(f"'{path}' has no {LEAST_SEEDS} runs of the plain VAE that ended well")
    add_to_table(found)
    return found


if __name__ == "__main__":
    for source in sys.argv[1:]:
        for each in tabulate(Path(source)):
            data = each.training["dataset"]["name"]
            print(f"{data}, {each.training['steps']:,} steps: {each.kl} nats, sd {each.sd}, {each.n_seeds} seeds")  # noqa: T201
