"""Stored runs are held to what was recorded of them, by every reader."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bench.comparison.compare import load_study as load_for_comparison
from bench.errors import BenchError
from bench.results import damage
from bench.results.curves import read_curves, read_scores_by_step
from bench.results.read import write_runs_jsonl
from bench.results.record import look
from bench.results.store import Store
from bench.results.study import read_study
from helpers.damage import ALL, HARMLESS, HIDDEN, SEEN, record
from helpers.synthetic import Build

#: What reads a study's folder for its numbers.
READERS: dict[str, Callable[[Path], object]] = {
    "tables, reports, claims": read_study,
    "compare": load_for_comparison,
    "runs.jsonl": write_runs_jsonl,
}


@pytest.fixture
def run(study_builder: Build) -> Path:
    """Return the folder of one of two runs, recorded as the runner does."""
    study = record(study_builder().fill([1, 3], ["vae"], rows=8))
    return next((study / "runs").glob("*-s001-*"))


def test_what_is_whole_is_read(run: Path) -> None:
    study = run.parents[1]
    for read in READERS.values():
        read(study)
    for folder in run.parent.iterdir():
        assert damage.faults(folder, weights=True) == []


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("kind", SEEN)
def test_damage_is_refused_by_whoever_reads_numbers(run: Path, kind: str, reader: str) -> None:
    file, damaged = SEEN[kind]
    damaged(run)
    with pytest.raises(BenchError, match=rf"{run.name}/{file} .*`bench run --repair` trains it again"):
        READERS[reader](run.parents[1])


@pytest.mark.parametrize("kind", ALL)
def test_damage_is_named_once_where_files_are_read_whole(run: Path, kind: str) -> None:
    file, damaged = ALL[kind]
    damaged(run)
    store = Store(run.parents[1])
    assert [fault.file for fault in store.faults(run.name, full=True, weights=True)] == [file]
    assert [fault.file for fault in store.faults(run.name)] == ([file] if kind in SEEN else [])
    if kind in HARMLESS:
        assert store.faults(run.name, full=True) == []


@pytest.mark.parametrize("kind", HIDDEN)
def test_files_that_are_read_later_are_checked_then(run: Path, kind: str) -> None:
    file, damaged = HIDDEN[kind]
    damaged(run)
    study = read_study(run.parents[1])
    with pytest.raises(BenchError, match=rf"{file} isn't what the run recorded"):
        Store(run.parents[1]).checked(run.name, file)
    if read := {"curves.csv": read_curves, "scores_by_step.csv": read_scores_by_step}.get(file):
        with pytest.raises(BenchError, match=rf"{run.name}/{file} isn't what the run recorded"):
            read(study, run.name)


def test_no_flipped_bit_of_a_result_or_a_spec_passes(run: Path) -> None:
    for name in ("result.json", "spec.json"):
        content = (run / name).read_bytes()
        for place in range(0, len(content), 3):
            (run / name).write_bytes(content[:place] + bytes([content[place] ^ 1 << place % 8]) + content[place + 1 :])
            assert isinstance(look(run), list), f"{name}, byte {place}"
        (run / name).write_bytes(content)
    assert not isinstance(look(run), list)


def test_how_many_runs_are_damaged_is_said(run: Path) -> None:
    for folder in run.parent.iterdir():
        (folder / "curves.csv").unlink()
    with pytest.raises(BenchError, match=r"\(2 runs are damaged\)"):
        read_study(run.parents[1])


def test_runs_from_before_results_had_checksums_of_their_own_are_read(study_builder: Build) -> None:
    study = study_builder().fill([1], ["vae"])
    assert len(read_study(study).runs) == 1
