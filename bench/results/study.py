"""Stored runs to one tidy table, read from ``results/<study>/`` alone.

The folders are the truth; everything here can be made again from them, ``runs.jsonl`` included.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from bench.errors import BenchError
from bench.metrics.measure import column_info, marks_of
from bench.registry import METRICS
from bench.results import control
from bench.results.labels import Spec, config_id, label_runs
from bench.results.read import entries, read_toml
from bench.results.record import read_failure, read_json, read_run
from bench.results.schemas import DOTTED, FACTS, ProvenanceRecord, ResultRecord
from bench.results.summary import place, score_columns, summarise
from bench.results.versions import refuse_mixed


@dataclass(frozen=True)
class Study:
    """A results folder, read.

    Attributes
    ----------
    path : Path
        ``results/<study>``.
    meta : dict
        ``study.toml``: name, preset, notice, seeds, ...
    runs : DataFrame
        One row per run that finished, diverged or failed (``status``), in the order of the tables: by data
        set, by method with the untrained control last, by seed. Columns are `FACTS`, then scores, then `DOTTED`.
    specs, provenance : dict of str to dict
        ``spec.json`` and ``provenance.json`` of every row.
    failures : list of dict
        The last attempt of every run that failed and hasn't finished since.
    not_applicable : dict
        ``(dataset_label, score) -> reason`` for scores that some run, or all of them, can't have.
    marks : dict
        ``(dataset_label, label, score) -> footnotes`` that some run's metrics gave the score.
    files : dict
        Of every run, the checksums of its files by name.
    """

    path: Path
    meta: dict[str, Any]
    runs: pd.DataFrame
    specs: dict[str, dict[str, Any]]
    provenance: dict[str, dict[str, Any]]
    failures: list[dict[str, Any]]
    not_applicable: dict[tuple[str, str], str]
    marks: dict[tuple[str, str, str], list[str]]
    files: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of the study, as it was recorded."""
        return str(self.meta.get("name", self.path.name))

    @property
    def planned(self) -> int | None:
        """Number of runs the study asks for, where it says so."""
        return int(self.meta["planned"]) if "planned" in self.meta else None

    @property
    def finished(self) -> int:
        """Number of runs that are stored, diverged ones included."""
        return int((self.runs["status"] != "failed").sum())

    @functools.cached_property
    def datasets(self) -> list[str]:
        """Dataset labels in the order of the tables."""
        return list(dict.fromkeys(self.runs["dataset_label"]))

    def result(self, run: str) -> dict[str, Any]:
        """``result.json`` of a run that finished, as it is on disk now.

        Raises
        ------
        BenchError
            If it is damaged.
        """
        return read_json(self.path / "runs" / run / "result.json", ResultRecord)

    @property
    def scores(self) -> list[str]:
        """Score columns in the order of the tables."""
        return score_columns(self.runs)

    def imported_from(self, run: str) -> str:
        """Name of the file through which a run came from somebody else; empty for a run of one's own."""
        origin = self.provenance.get(run, {}).get("imported") or {}
        return str(origin.get("file", "?")) if origin else ""

    @functools.cached_property
    def curves(self) -> dict[str, pd.DataFrame]:
        """Curves by run, as far as `bench.results.curves.read_curves` has read them."""
        return {}

    @functools.cached_property
    def stacks(self) -> dict[tuple[str, str], pd.DataFrame]:
        """Curves of all seeds by data set and label, as far as a figure has asked for them."""
        return {}

    @functools.cached_property
    def summary(self) -> pd.DataFrame:
        """`summarise` of all runs."""
        return summarise(self.runs)

    @functools.cached_property
    def cells(self) -> dict[tuple[str, str, str], dict[str, Any]]:
        """Rows of `summary` that have a value, by data set, label and score."""
        records = self.summary.to_dict("records")
        return {
            (record["dataset_label"], record["label"], record["score"]): {str(k): v for k, v in record.items()}
            for record in records
            if record["n"]
        }

    @functools.cached_property
    def ended_well(self) -> dict[tuple[str, str], pd.DataFrame]:
        """Runs that ended well, by data set and label, lowest seed first."""
        runs = self.runs[self.runs["status"] == "ok"].sort_values("seed", kind="stable")
        groups = runs.groupby(["dataset_label", "label"], sort=False)
        return {(str(dataset), str(label)): group for (dataset, label), group in groups}


def read_study(path: Path, *, mixed: bool = False) -> Study:
    """Read a results folder; a study that is still running is read as far as it got.

    Parameters
    ----------
    path : Path
        ``results/<study>``.
    mixed : bool
        Allow runs of different versions of a method, dataset, metric or protocol side by side. The version is
        then a part of the label, so that they are never averaged.

    Raises
    ------
    BenchError
        No such study, a damaged file, another schema, or mixed versions.
    """
    meta = read_toml(path / "study.toml")
    meta |= meta.get("record", {})
    specs: dict[str, dict[str, Any]] = {}
    results: dict[str, dict[str, Any]] = {}
    provenance: dict[str, dict[str, Any]] = {}
    damaged: list[BenchError] = []
    for folder in entries(path / "runs"):
        if not (folder / "result.json").exists():
            continue  # not a committed run
        try:
            results[folder.name], specs[folder.name] = read_run(folder)
        except BenchError as error:
            damaged.append(error)
            continue
        # Runs that somebody shared may come without it.
        volatile = folder / "provenance.json"
        provenance[folder.name] = read_json(volatile, ProvenanceRecord) if volatile.exists() else {}
    if damaged:
        others = f" ({len(damaged)} runs are damaged)" if len(damaged) > 1 else ""
        raise BenchError(f"{damaged[0]}{others}")
    attempts: dict[str, dict[str, Any]] = {}
    for file in entries(path / "failed"):
        if file.suffix == ".json":
            record = read_failure(file)
            if record["run"] not in results:
                last = attempts.setdefault(record["run"], record)
                if record.get("attempt", 0) >= last.get("attempt", 0):
                    attempts[record["run"]] = record
    if not mixed:
        refuse_mixed(path, specs)
    for run, record in attempts.items():
        specs[run], results[run] = record["spec"], {"status": "failed", "scores": {}}
    runs, not_applicable, marks = _tidy(specs, results, provenance, meta.get("methods", []))
    failures = [attempts[run] for run in runs["run"] if run in attempts]
    files = {run: result.get("files", {}) for run, result in results.items()}
    return Study(path, meta, runs, specs, provenance, failures, not_applicable, marks, files)


def _tidy(
    specs: dict[str, dict[str, Any]],
    results: dict[str, dict[str, Any]],
    provenance: dict[str, dict[str, Any]],
    methods: Iterable[str],
) -> tuple[pd.DataFrame, dict[tuple[str, str], str], dict[tuple[str, str, str], list[str]]]:
    """Rows of `Study.runs` in the order of the tables, what isn't applicable where, and what is marked where."""
    labels = label_runs(specs, methods)
    rows: list[dict[str, Any]] = []
    scores: dict[str, None] = {}
    not_applicable: dict[tuple[str, str], str] = {}
    marks: dict[tuple[str, str, str], list[str]] = {}
    for run in sorted(specs, key=lambda run: labels[run][2]):
        spec, result = specs[run], results[run]
        dataset_label, label, _ = labels[run]
        rows.append(
            _facts(run, spec, result, dataset_label, label, provenance.get(run, {}))
            | {f"hyper.{key}": value for key, value in spec["method"].get("hyper", {}).items()}
            | {f"final.{key}": value for key, value in result.get("final", {}).items()}
            | control.columns(result)
            | result["scores"]
        )
        scores |= dict.fromkeys(result["scores"])
        for metric, why in result.get("not_applicable", {}).items():
            for column in _columns(metric):
                scores[column] = None
                not_applicable[dataset_label, column] = why
        if result["status"] == "ok":
            for column, notes in marks_of(result.get("details", {})).items():
                known = marks.setdefault((dataset_label, label, column), [])
                known += [note for note in notes if note not in known]
    ordered = sorted(scores, key=place)
    dotted = sorted({column for row in rows for column in row if column.startswith(DOTTED)})
    table = pd.DataFrame(rows, columns=[*FACTS, *ordered, *dotted])
    finals = [column for column in dotted if column.startswith("final.")]
    types = dict.fromkeys([*ordered, *finals, "wall_s"], "float64")
    types |= {column: kind for column, kind in control.COLUMNS.items() if column in dotted}
    types |= dict.fromkeys(["steps", "steps_done", "last_good_step", "batch_size"], "Int64")
    return table.astype(types), not_applicable, marks


def _facts(
    run: str, spec: Spec, result: dict[str, Any], dataset_label: str, label: str, provenance: dict[str, Any]
) -> dict[str, Any]:
    return {
        "run": run,
        "status": result["status"],
        "method": spec["method"]["name"],
        "label": label,
        "dataset": spec["dataset"]["name"],
        "dataset_label": dataset_label,
        "config": config_id(spec),
        "seed": spec["seed"],
        "steps": spec.get("steps"),
        "steps_done": result.get("steps_done"),
        "last_good_step": result.get("last_good_step"),
        "batch_size": spec.get("batch_size"),
        "network": spec.get("network", {}).get("name"),
        "wall_s": provenance.get("wall_s"),
    }


def _columns(name: str) -> list[str]:
    """Columns of a metric that has no value; `name` itself if it is a column, or a metric that nobody registers."""
    return list(column_info(name)) if name.partition("[")[0] in METRICS else [name]
