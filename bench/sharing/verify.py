"""Everything that is damaged of a stored study, folder or archive: every record read, every checksum compared."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.errors import BenchError, reason
from bench.results import damage
from bench.results.read import entries
from bench.results.record import RESULT, Fault, failure_or_fault, is_sealed, read_or_fault
from bench.results.schemas import ResultRecord
from bench.sharing.archive import NAMES, read_damaged
from bench.sharing.containers import SUFFIXES
from bench.sharing.record_checks import check_run, read_plan, read_study_file


@dataclass(frozen=True)
class Verified:
    """What became of the check of a study.

    Attributes
    ----------
    n_runs : int
        Folders of runs that were read.
    damaged : dict of str to str
        File, by its name in the study's folder or archive, to what is wrong with it; in the order of the names. An
        archive that can't be read on has the name "", and what is said names it.
    unsealed : list of str
        Runs that were recorded before results had a checksum of their own: an edited score can't be seen there.
    """

    n_runs: int
    damaged: dict[str, str]
    unsealed: list[str]


def verify(path: Path) -> Verified:
    """Compare all files of a study with what was recorded of them.

    Parameters
    ----------
    path : Path
        ``results/<study>``, or an archive of `bench export`. Nothing is changed.

    Raises
    ------
    BenchError
        If there is no study, or a file that isn't called an archive is none.
    """
    if path.is_file():
        try:
            archive, damaged = read_damaged(path)
        except BenchError as error:
            if not path.name.endswith(SUFFIXES):
                raise
            return Verified(0, {"": str(error)}, [])
        with tempfile.TemporaryDirectory(prefix="disbench-", ignore_cleanup_errors=True) as outer:
            folder = Path(outer) / "study"
            for name, content in archive.files.items():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(content)
            return _verify(folder, damaged, weights=False)
    if not (path / "study.toml").exists():
        raise BenchError(f"there is no study at '{path}' (it has no study.toml)")
    return _verify(path, {}, weights=True)


def _verify(folder: Path, damaged: dict[str, str], *, weights: bool) -> Verified:
    """Add what is damaged of a folder to what is known; `weights`: whether they belong there."""
    runs = entries(folder / "runs")
    found = list(_of_study(folder))
    unsealed = []
    for run in runs:
        found += [(f"runs/{run.name}/{fault.file}", fault.what) for fault in _of_run(run, weights=weights)]
        if run.is_dir() and not isinstance(record := read_or_fault(run / RESULT, ResultRecord), Fault):
            unsealed += [] if is_sealed(record[1]) else [run.name]
    for name, what in found:
        damaged.setdefault(name, what)
    return Verified(len(runs), dict(sorted(damaged.items())), unsealed)


def _of_study(folder: Path) -> Iterator[tuple[str, str]]:
    for name, read in (("study.toml", read_study_file), ("plan.json", read_plan)):
        file = folder / name
        try:
            if file.exists():
                read(file.read_bytes())
        except (BenchError, OSError) as error:
            yield name, reason(error).removeprefix(name).lstrip(": ")
    for file in entries(folder / "failed"):
        if file.suffix == ".json" and isinstance(fault := failure_or_fault(file), Fault):
            yield f"failed/{file.name}", fault.what


def _of_run(folder: Path, *, weights: bool) -> list[Fault]:
    """Damaged files of a run: by their checksums first, then by what is in those that pass."""
    if not folder.is_dir():
        return [Fault("", "is no folder")]
    seen = {fault.file: fault for fault in damage.faults(folder, weights=weights)}
    contents: dict[str, bytes] = {}
    for file in entries(folder):
        if file.name in seen or not NAMES.fullmatch(f"runs/{folder.name}/{file.name}"):
            continue
        try:
            contents[file.name] = file.read_bytes()
        except OSError as error:
            seen[file.name] = Fault(file.name, f"can't be read: {reason(error)}")
    records = {name: contents[name] for name in ("spec.json", RESULT) if name in contents}
    if len(records) == 2:
        # One at a time: the first thing that is wrong ends a check.
        for name in ("spec.json", *(name for name in contents if name not in records)):
            try:
                check_run(folder.name, {**records, name: contents[name]})
            except BenchError as error:
                where, _, what = str(error).removeprefix(f"runs/{folder.name}/").partition(" ")
                named = where.rstrip(":")
                fault = Fault(named, what) if named in contents else Fault(name, str(error))
                seen.setdefault(fault.file, fault)
    return [seen[name] for name in sorted(seen)]
